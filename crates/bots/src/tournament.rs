//! Tournaments: many matches between archetypes, and what they say about the numbers of the rules.
//!
//! A tournament is a list of matches that follows from its settings alone, so the same settings
//! give the same results on every machine and with any number of threads.

mod gates;
mod heat_map;
mod matches;
mod statistics;
mod summary;

pub use gates::{Bounds, BoundsError, Gate, gates};
pub use heat_map::{HeatMapError, heat_map};
pub use statistics::{Quantiles, Share, nash_mixture, quantiles};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use raftian_realm::crowns::{EndReason, MapError, Rules, UnitKind};
use rayon::prelude::*;
use serde::Serialize;

use crate::play::{Played, play};
use crate::{Archetype, Level};
use matches::{Match, matches};
use summary::Summary;

/// Largest number of matches of a tournament: some hours on two cores.
pub const MAX_MATCHES: u64 = 1_000_000;

/// Number of matches that are in memory at once.
const CHUNK: usize = 4_096;

/// Number of archetypes.
const KINDS: usize = Archetype::ALL.len();

/// Size of a tournament.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Settings {
    /// Matches of each pair of archetypes; half of them with the seats swapped.
    pub games: u64,
    /// Matches with three, four and five seats each.
    pub tables: u64,
    /// Matches of each unit that is taken away.
    pub ablations: u64,
    /// Matches between levels.
    pub levels: u64,
    /// First seed.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            games: 1_000,
            tables: 600,
            ablations: 400,
            levels: 200,
            seed: 1,
        }
    }
}

impl Settings {
    /// Names of the measurements for which no match is played.
    pub fn unmeasured(&self) -> Vec<&'static str> {
        let counts = [
            ("pairs of archetypes", self.games),
            ("tables of three to five seats", self.tables),
            ("armies without a unit", self.ablations),
            ("levels against each other", self.levels),
        ];
        let without = counts.into_iter().filter(|(_, count)| *count == 0);
        without.map(|(name, _)| name).collect()
    }
}

/// Result of a match.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Outcome {
    /// The winner; `None` for a draw.
    winner: Option<usize>,
    reason: EndReason,
    seconds: u64,
    /// The seat with most crowns at half-time, unless several have.
    leader: Option<usize>,
    orders: u64,
}

/// Results of a tournament.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Results {
    /// Hash of the rules that were played.
    pub rules: String,
    /// Its settings.
    pub settings: Settings,
    /// Number of matches.
    pub matches: u64,
    /// Names of the archetypes, in the order of all lists.
    pub archetypes: [&'static str; KINDS],
    /// Share of wins of the archetype of a row against that of a column; draws count half.
    pub pairs: Vec<Vec<Option<Share>>>,
    /// Mean share of wins of each archetype against the others.
    pub means: Vec<f64>,
    /// How often a player who cannot be exploited chooses each archetype.
    pub nash: Vec<f64>,
    /// Share of wins of the first seat in matches of two.
    pub first_seat: Share,
    /// Share of wins of each archetype, compared with a fair share, by number of seats.
    pub tables: BTreeMap<usize, Vec<f64>>,
    /// Share of wins of each seat, by number of seats.
    pub seats: BTreeMap<usize, Vec<Share>>,
    /// Share of wins without a unit against an opponent with it.
    pub ablations: BTreeMap<UnitKind, Share>,
    /// Share of wins of a level against the one below.
    pub levels: BTreeMap<Level, Share>,
    /// Length of matches in seconds, by number of seats.
    pub lengths: BTreeMap<usize, Quantiles>,
    /// Share of matches of two won by the leader at half-time.
    pub leader_wins: Share,
    /// Orders of a player per minute.
    pub orders_per_minute: f64,
    /// Share of matches of two that ended with the fall of a city.
    pub conquests: Share,
}

/// Reason why a tournament is not played.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TournamentError {
    /// It has more matches than [`MAX_MATCHES`].
    #[error("{0} matches are more than a tournament has; choose {MAX_MATCHES} at most in all")]
    TooManyMatches(u64),
    /// The rules have no map for one of its matches.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Plays a tournament on all cores. `progress` is called with the number of matches played.
///
/// # Errors
/// [`TournamentError`].
pub fn run(
    settings: Settings,
    rules: &Rules,
    progress: impl Fn(u64) + Sync,
) -> Result<Results, TournamentError> {
    settings.matches()?;
    let played = AtomicU64::new(0);
    let mut matches = matches(&settings);
    let mut summary = Summary::default();
    loop {
        let chunk: Vec<_> = matches.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(summary.results(settings, rules));
        }
        let outcomes = chunk.par_iter().map(|one| {
            let outcome = outcome_of(one, rules)?;
            progress(1 + played.fetch_add(1, Ordering::Relaxed));
            Ok(outcome)
        });
        let outcomes: Vec<_> = outcomes.collect::<Result<_, MapError>>()?;
        // In the order of the matches, so that sums are the same with any number of threads.
        for (one, outcome) in chunk.iter().zip(&outcomes) {
            summary.add(one, outcome);
        }
    }
}

fn outcome_of(one: &Match, rules: &Rules) -> Result<Outcome, MapError> {
    let mut crowns = Vec::new();
    let seats = u8::try_from(one.bots.len()).unwrap_or(u8::MAX);
    let watch = |game: &raftian_realm::crowns::Crowns| {
        let due = u64::try_from(crowns.len()).unwrap_or(u64::MAX) * SAMPLE;
        if game.elapsed() >= due {
            let now: Vec<_> = (0..seats).map(|seat| game.crowns(seat)).collect();
            crowns.push(now);
        }
    };
    let Played { game, orders } = play(&one.bots, one.seed, rules, watch)?;
    let end = game.end();
    let half = end.map_or(0, |end| end.at / 2 / SAMPLE);
    let half = usize::try_from(half)
        .unwrap_or(0)
        .min(crowns.len().saturating_sub(1));
    Ok(Outcome {
        winner: end.and_then(|end| end.winner).map(usize::from),
        reason: end.map_or(EndReason::Time, |end| end.reason),
        seconds: end.map_or(0, |end| end.at / 1_000),
        leader: crowns.get(half).and_then(|crowns| only_best(crowns)),
        orders: orders.iter().sum(),
    })
}

/// Milliseconds between two looks at the crowns.
const SAMPLE: u64 = 5_000;

fn only_best(crowns: &[u64]) -> Option<usize> {
    let best = crowns.iter().max()?;
    let mut all = (0..crowns.len()).filter(|seat| crowns[*seat] == *best);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}
