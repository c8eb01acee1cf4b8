//! The matches of a tournament.

use raftian_realm::crowns::UnitKind;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{KINDS, MAX_MATCHES, Settings, TournamentError};
use crate::{Archetype, Bot, Level, rng_of};

/// Purpose of a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    /// Two archetypes, by their places in [`Archetype::ALL`].
    Pair(usize, usize),
    /// Archetypes at random at a table of three or more.
    Table,
    /// Two equal bots, of which one does without a unit.
    Ablation(UnitKind),
    /// A level against the one below.
    Level(Level),
}

/// A match to be played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Match {
    /// Its purpose.
    pub(super) group: Group,
    /// The bots, by seat.
    pub(super) bots: Vec<Bot>,
    /// Place of the archetype of each seat in [`Archetype::ALL`].
    pub(super) kinds: Vec<usize>,
    /// The seat that does without a unit.
    pub(super) without: usize,
    /// Its seed.
    pub(super) seed: u64,
}

impl Match {
    fn new(group: Group, level: Level, kinds: Vec<usize>, seed: u64) -> Self {
        let bots = kinds
            .iter()
            .map(|kind| Bot::new(level, Archetype::ALL[*kind]));
        Match {
            group,
            bots: bots.collect(),
            kinds,
            without: 0,
            seed,
        }
    }
}

/// Levels with the one above.
const LEVELS: [(Level, Level); 2] = [
    (Level::Recruit, Level::Captain),
    (Level::Captain, Level::Warlord),
];

/// Numbers of seats of the matches of archetypes at random.
const TABLES: std::ops::RangeInclusive<u8> = 3..=5;

impl Settings {
    /// Number of matches.
    ///
    /// # Errors
    /// [`TournamentError::TooManyMatches`].
    pub fn matches(&self) -> Result<u64, TournamentError> {
        let pairs = KINDS * (KINDS - 1) / 2;
        let groups = [
            (self.games, pairs),
            (self.tables, TABLES.count()),
            (self.ablations, UnitKind::ALL.len()),
            (self.levels, LEVELS.len()),
        ];
        let all = groups.into_iter().fold(0_u64, |all, (count, groups)| {
            let groups = u64::try_from(groups).unwrap_or(u64::MAX);
            all.saturating_add(count.saturating_mul(groups))
        });
        if all > MAX_MATCHES {
            return Err(TournamentError::TooManyMatches(all));
        }
        Ok(all)
    }
}

/// Returns the matches of a tournament, each when it is due.
pub(super) fn matches(settings: &Settings) -> impl Iterator<Item = Match> + use<> {
    let Settings {
        games,
        tables,
        ablations,
        levels,
        seed,
    } = *settings;
    let pairs = (0..KINDS).flat_map(|row| (row + 1..KINDS).map(move |column| (row, column)));
    let pairs = pairs.flat_map(move |(row, column)| {
        seeds(seed, games).map(move |seed| pair_match(row, column, seed))
    });
    let tables =
        TABLES.flat_map(move |count| seeds(seed, tables).map(move |seed| table_match(count, seed)));
    let ablations = UnitKind::ALL
        .into_iter()
        .flat_map(move |unit| seeds(seed, ablations).map(move |seed| ablation_match(unit, seed)));
    let levels = LEVELS.into_iter().flat_map(move |(lower, higher)| {
        seeds(seed, levels).map(move |seed| level_match(lower, higher, seed))
    });
    pairs.chain(tables).chain(ablations).chain(levels)
}

fn seeds(first: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |game| first.wrapping_add(game))
}

fn pair_match(row: usize, column: usize, seed: u64) -> Match {
    // Both sides of the same map.
    let kinds = swapped(vec![row, column], seed);
    let map = map_of(seed / 2, row * KINDS + column);
    Match::new(Group::Pair(row, column), Level::Captain, kinds, map)
}

fn table_match(count: u8, seed: u64) -> Match {
    let mut kinds: Vec<_> = (0..KINDS).collect();
    kinds.shuffle(&mut rng_of(seed, count, 0));
    kinds.truncate(usize::from(count));
    Match::new(Group::Table, Level::Captain, kinds, seed)
}

fn ablation_match(unit: UnitKind, seed: u64) -> Match {
    let kinds = vec![KINDS - 1; 2];
    let map = map_of(seed / 2, KINDS * KINDS + unit as usize);
    let mut one = Match::new(Group::Ablation(unit), Level::Captain, kinds, map);
    one.without = usize::from(seed % 2 == 1);
    one.bots[one.without].style.mix[unit as usize] = 0;
    one
}

fn level_match(lower: Level, higher: Level, seed: u64) -> Match {
    let kind = rng_of(seed, 0, 0).random_range(0..KINDS);
    let map = map_of(seed / 2, usize::MAX - higher as usize);
    let mut one = Match::new(Group::Level(higher), higher, vec![kind; 2], map);
    one.bots[usize::from(seed % 2 == 1)].level = lower;
    one
}

/// The seed of a match, another one for each purpose: the luck of one map counts once.
fn map_of(seed: u64, purpose: usize) -> u64 {
    rng_of(seed, 0, purpose as u64).random()
}

fn swapped(mut kinds: Vec<usize>, seed: u64) -> Vec<usize> {
    if seed % 2 == 1 {
        kinds.reverse();
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_as_many_as_announced() {
        let settings = Settings {
            games: 3,
            tables: 2,
            ablations: 5,
            levels: 1,
            seed: u64::MAX,
        };
        let all: Vec<_> = matches(&settings).collect();
        assert_eq!(settings.matches(), Ok(all.len() as u64));
        assert_eq!(all.len(), 15 * 3 + 3 * 2 + 4 * 5 + 2);
        // Both sides of each map.
        assert_eq!((all[1].seed, &all[1].kinds), (all[2].seed, &vec![0, 1]));
        assert_ne!(all[0].seed, all[1].seed);
    }
}
