//! Tournaments: many matches between archetypes, and what they say about the numbers of the rules.
//!
//! A tournament is a list of matches that follows from its settings alone, so the same settings
//! give the same results on every machine and with any number of threads.

mod gates;
mod heat_map;
mod matches;
mod statistics;

pub use gates::{Bounds, BoundsError, Gate, gates};
pub use heat_map::{HeatMapError, heat_map};
pub use matches::{Group, Match, matches};
pub use statistics::{Quantiles, Share, nash_mixture, quantiles};

use std::collections::BTreeMap;

use raftian_realm::crowns::{EndReason, Rules, UnitKind};
use rayon::prelude::*;
use serde::Serialize;

use crate::play::{Played, play};
use crate::{Archetype, Level};

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
    /// Layout of this document.
    pub schema: u32,
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

/// Plays a tournament on all cores. `progress` is called with the number of matches played.
pub fn run(settings: Settings, rules: &Rules, progress: impl Fn(u64) + Sync) -> Results {
    let matches = matches(&settings);
    let played = std::sync::atomic::AtomicU64::new(0);
    let outcomes: Vec<_> = matches
        .par_iter()
        .map(|one| {
            let outcome = outcome_of(one, rules);
            progress(1 + played.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            outcome
        })
        .collect();
    let games: Vec<_> = matches.iter().zip(&outcomes).collect();
    summarize(settings, rules, &games)
}

fn outcome_of(one: &Match, rules: &Rules) -> Outcome {
    let mut crowns = Vec::new();
    let seats = u8::try_from(one.bots.len()).unwrap_or(u8::MAX);
    let watch = |game: &raftian_realm::crowns::Crowns| {
        let due = u64::try_from(crowns.len()).unwrap_or(u64::MAX) * SAMPLE;
        if game.elapsed() >= due {
            let now: Vec<_> = (0..seats).map(|seat| game.crowns(seat)).collect();
            crowns.push(now);
        }
    };
    // The numbers of seats of a tournament all have a map.
    let Ok(Played { game, orders }) = play(&one.bots, one.seed, rules, watch) else {
        return Outcome {
            winner: None,
            reason: EndReason::Time,
            seconds: 0,
            leader: None,
            orders: 0,
        };
    };
    let end = game.end();
    let half = end.map_or(0, |end| end.at / 2 / SAMPLE);
    let half = usize::try_from(half)
        .unwrap_or(0)
        .min(crowns.len().saturating_sub(1));
    Outcome {
        winner: end.and_then(|end| end.winner).map(usize::from),
        reason: end.map_or(EndReason::Time, |end| end.reason),
        seconds: end.map_or(0, |end| end.at / 1_000),
        leader: crowns.get(half).and_then(|crowns| only_best(crowns)),
        orders: orders.iter().sum(),
    }
}

/// Milliseconds between two looks at the crowns.
const SAMPLE: u64 = 5_000;

fn only_best(crowns: &[u64]) -> Option<usize> {
    let best = crowns.iter().max()?;
    let mut all = (0..crowns.len()).filter(|seat| crowns[*seat] == *best);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

fn summarize(settings: Settings, rules: &Rules, games: &[(&Match, &Outcome)]) -> Results {
    let mut pairs = vec![vec![None; KINDS]; KINDS];
    let (mut first_seat, mut conquests) = (Share::default(), Share::default());
    let (mut leader_wins, mut lengths) = (Share::default(), BTreeMap::<usize, Vec<u64>>::new());
    let mut wins = BTreeMap::<usize, Vec<(f64, f64)>>::new();
    let mut seats = BTreeMap::<usize, Vec<Share>>::new();
    let (mut ablations, mut levels) = (BTreeMap::new(), BTreeMap::new());
    let (mut orders, mut minutes) = (0.0, 0.0);
    for (one, outcome) in games {
        let count = one.bots.len();
        match one.group {
            Group::Pair(row, column) => {
                let first: &mut Share = pairs[row][column].get_or_insert_default();
                first.add(outcome.winner.map(|seat| one.kinds[seat] == row));
                let second: &mut Share = pairs[column][row].get_or_insert_default();
                second.add(outcome.winner.map(|seat| one.kinds[seat] == column));
                first_seat.add(outcome.winner.map(|seat| seat == 0));
                conquests.add(Some(outcome.reason == EndReason::LastKeep));
                if let Some(leader) = outcome.leader {
                    leader_wins.add(Some(outcome.winner == Some(leader)));
                }
            }
            Group::Table => {
                let table = wins.entry(count).or_insert_with(|| vec![(0.0, 0.0); KINDS]);
                let shares = seats
                    .entry(count)
                    .or_insert_with(|| vec![Share::default(); count]);
                for (seat, kind) in one.kinds.iter().enumerate() {
                    let fair = 1.0 / count as f64;
                    table[*kind].1 += fair;
                    table[*kind].0 += match outcome.winner {
                        Some(winner) => f64::from(u8::from(winner == seat)),
                        None => fair,
                    };
                    shares[seat].add_of(outcome.winner.map(|winner| winner == seat), fair);
                }
            }
            Group::Ablation(kind) => {
                let share: &mut Share = ablations.entry(kind).or_default();
                share.add(outcome.winner.map(|seat| seat == one.without));
            }
            Group::Level(level) => {
                let share: &mut Share = levels.entry(level).or_default();
                share.add(outcome.winner.map(|seat| one.bots[seat].level == level));
            }
        }
        if matches!(one.group, Group::Pair(..) | Group::Table) {
            lengths.entry(count).or_default().push(outcome.seconds);
            orders += outcome.orders as f64;
            minutes += outcome.seconds as f64 / 60.0 * count as f64;
        }
    }
    let rate = |row: usize, column: usize| {
        let share: Option<&Share> = pairs[row][column].as_ref();
        share.map_or(0.5, Share::rate)
    };
    let mean = |row: usize| {
        let others = (0..KINDS).filter(|column| *column != row);
        others.map(|column| rate(row, column)).sum::<f64>() / (KINDS - 1) as f64
    };
    let table: Vec<Vec<f64>> = (0..KINDS)
        .map(|row| (0..KINDS).map(|column| rate(row, column)).collect())
        .collect();
    Results {
        schema: 1,
        rules: format!("{:016x}", rules.hash()),
        settings,
        matches: games.len() as u64,
        archetypes: Archetype::ALL.map(Archetype::name),
        means: (0..KINDS).map(mean).collect(),
        nash: nash_mixture(&table),
        pairs,
        first_seat,
        tables: wins
            .into_iter()
            .map(|(count, wins)| {
                (
                    count,
                    wins.iter().map(|(won, fair)| ratio(*won, *fair)).collect(),
                )
            })
            .collect(),
        seats,
        ablations,
        levels,
        lengths: lengths
            .into_iter()
            .map(|(count, seconds)| (count, quantiles(seconds)))
            .collect(),
        leader_wins,
        orders_per_minute: ratio(orders, minutes),
        conquests,
    }
}

/// A ratio; 1 for nothing of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}
