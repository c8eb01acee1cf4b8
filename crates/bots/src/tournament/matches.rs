//! The matches of a tournament.

use raftian_realm::crowns::UnitKind;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{KINDS, Settings};
use crate::{Archetype, Bot, Level, rng_of};

/// Purpose of a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
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
pub struct Match {
    /// Its purpose.
    pub group: Group,
    /// The bots, by seat.
    pub bots: Vec<Bot>,
    /// Place of the archetype of each seat in [`Archetype::ALL`].
    pub kinds: Vec<usize>,
    /// The seat that does without a unit.
    pub without: usize,
    /// Its seed.
    pub seed: u64,
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

/// Returns the matches of a tournament.
pub fn matches(settings: &Settings) -> Vec<Match> {
    let mut all = Vec::new();
    let seeds = |count: u64| (0..count).map(|game| settings.seed.wrapping_add(game));
    for row in 0..KINDS {
        for column in row + 1..KINDS {
            all.extend(seeds(settings.games).map(|seed| {
                // Both sides of the same map.
                let kinds = swapped(vec![row, column], seed);
                let map = map_of(seed / 2, row * KINDS + column);
                Match::new(Group::Pair(row, column), Level::Captain, kinds, map)
            }));
        }
    }
    for count in 3..=5 {
        all.extend(seeds(settings.tables).map(|seed| {
            let mut kinds: Vec<_> = (0..KINDS).collect();
            kinds.shuffle(&mut rng_of(seed, count, 0));
            kinds.truncate(usize::from(count));
            Match::new(Group::Table, Level::Captain, kinds, seed)
        }));
    }
    for unit in UnitKind::ALL {
        all.extend(seeds(settings.ablations).map(|seed| {
            let kinds = vec![KINDS - 1; 2];
            let group = Group::Ablation(unit);
            let map = map_of(seed / 2, KINDS * KINDS + unit as usize);
            let mut one = Match::new(group, Level::Captain, kinds, map);
            one.without = usize::from(seed % 2 == 1);
            one.bots[one.without].style.mix[unit as usize] = 0;
            one
        }));
    }
    for (lower, higher) in [
        (Level::Recruit, Level::Captain),
        (Level::Captain, Level::Warlord),
    ] {
        all.extend(seeds(settings.levels).map(|seed| {
            let kind = rng_of(seed, 0, 0).random_range(0..KINDS);
            let group = Group::Level(higher);
            let map = map_of(seed / 2, usize::MAX - higher as usize);
            let mut one = Match::new(group, higher, vec![kind; 2], map);
            one.bots[usize::from(seed % 2 == 1)].level = lower;
            one
        }));
    }
    all
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
