//! Sums of a tournament, a match at a time.

use std::collections::BTreeMap;

use raftian_realm::crowns::{EndReason, Rules, UnitKind};

use super::matches::{Group, Match};
use super::{KINDS, Outcome, Results, Settings, Share, nash_mixture, quantiles};
use crate::{Archetype, Level};

/// What the results are made of.
#[derive(Debug, Default)]
pub(super) struct Summary {
    matches: u64,
    pairs: [[Option<Share>; KINDS]; KINDS],
    first_seat: Share,
    conquests: Share,
    leader_wins: Share,
    /// Lengths in seconds by number of seats.
    lengths: BTreeMap<usize, Vec<u64>>,
    /// Wins of each archetype and its fair share of them, by number of seats.
    wins: BTreeMap<usize, [(f64, f64); KINDS]>,
    seats: BTreeMap<usize, Vec<Share>>,
    ablations: BTreeMap<UnitKind, Share>,
    levels: BTreeMap<Level, Share>,
    orders: f64,
    minutes: f64,
}

impl Summary {
    /// Adds a match.
    pub(super) fn add(&mut self, one: &Match, outcome: &Outcome) {
        self.matches += 1;
        let count = one.bots.len();
        match one.group {
            Group::Pair(row, column) => {
                let first: &mut Share = self.pairs[row][column].get_or_insert_default();
                first.add(outcome.winner.map(|seat| one.kinds[seat] == row));
                let second: &mut Share = self.pairs[column][row].get_or_insert_default();
                second.add(outcome.winner.map(|seat| one.kinds[seat] == column));
                self.first_seat.add(outcome.winner.map(|seat| seat == 0));
                self.conquests
                    .add(Some(outcome.reason == EndReason::LastKeep));
                if let Some(leader) = outcome.leader {
                    self.leader_wins.add(Some(outcome.winner == Some(leader)));
                }
            }
            Group::Table => {
                let table = self.wins.entry(count).or_default();
                let shares = self
                    .seats
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
                let share: &mut Share = self.ablations.entry(kind).or_default();
                share.add(outcome.winner.map(|seat| seat == one.without));
            }
            Group::Level(level) => {
                let share: &mut Share = self.levels.entry(level).or_default();
                share.add(outcome.winner.map(|seat| one.bots[seat].level == level));
            }
        }
        if matches!(one.group, Group::Pair(..) | Group::Table) {
            self.lengths.entry(count).or_default().push(outcome.seconds);
            self.orders += outcome.orders as f64;
            self.minutes += outcome.seconds as f64 / 60.0 * count as f64;
        }
    }

    /// Share of wins of the archetype of a row against that of a column.
    fn rate(&self, row: usize, column: usize) -> f64 {
        self.pairs[row][column].as_ref().map_or(0.5, Share::rate)
    }

    /// Mean share of wins of an archetype.
    fn mean(&self, row: usize) -> f64 {
        let others = (0..KINDS).filter(|column| *column != row);
        others.map(|column| self.rate(row, column)).sum::<f64>() / (KINDS - 1) as f64
    }

    /// The results of all matches that were added.
    pub(super) fn results(self, settings: Settings, rules: &Rules) -> Results {
        let table: Vec<Vec<f64>> = (0..KINDS)
            .map(|row| (0..KINDS).map(|column| self.rate(row, column)).collect())
            .collect();
        Results {
            rules: format!("{:016x}", rules.hash()),
            settings,
            matches: self.matches,
            archetypes: Archetype::ALL.map(Archetype::name),
            means: (0..KINDS).map(|row| self.mean(row)).collect(),
            nash: nash_mixture(&table),
            pairs: self.pairs.iter().map(|row| row.to_vec()).collect(),
            first_seat: self.first_seat,
            tables: self
                .wins
                .into_iter()
                .map(|(count, wins)| {
                    (
                        count,
                        wins.iter().map(|(won, fair)| ratio(*won, *fair)).collect(),
                    )
                })
                .collect(),
            seats: self.seats,
            ablations: self.ablations,
            levels: self.levels,
            lengths: self
                .lengths
                .into_iter()
                .map(|(count, seconds)| (count, quantiles(seconds)))
                .collect(),
            leader_wins: self.leader_wins,
            orders_per_minute: ratio(self.orders, self.minutes),
            conquests: self.conquests,
        }
    }
}

/// A ratio; 1 for nothing of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}
