//! Armies: counts of the four units.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rules::{Rules, UnitKind, UnitRules};

/// Counts of the four units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Army([u32; 4]);

/// Counts with names, such as "2 spears and 1 ram"; "no units" for an empty army.
impl fmt::Display for Army {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self
            .units()
            .map(|(kind, count)| format!("{count} {}", kind.counted(count)));
        let parts: Vec<_> = parts.collect();
        match parts.split_last() {
            None => f.write_str("no units"),
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} and {last}", others.join(", ")),
        }
    }
}

impl Army {
    /// No unit.
    pub const NONE: Army = Army([0; 4]);

    /// Creates an army of these counts, in the order of [`UnitKind::ALL`].
    pub fn new(counts: [u32; 4]) -> Self {
        Army(counts)
    }

    /// Number of units of this kind.
    pub fn count(&self, kind: UnitKind) -> u32 {
        self.0[kind as usize]
    }

    /// Number of all units.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Army::NONE
    }

    /// The units with their counts; kinds without a unit are left out.
    pub fn units(&self) -> impl Iterator<Item = (UnitKind, u32)> + '_ {
        let all = UnitKind::ALL
            .into_iter()
            .map(|kind| (kind, self.count(kind)));
        all.filter(|(_, count)| *count > 0)
    }

    /// Returns both together. Counts that exceed 32 bits stop there, which no economy reaches.
    #[must_use]
    pub fn plus(&self, other: &Army) -> Army {
        Army(std::array::from_fn(|kind| {
            self.0[kind].saturating_add(other.0[kind])
        }))
    }

    /// Returns the army without `other`; `None` if it has fewer units of some kind.
    pub fn minus(&self, other: &Army) -> Option<Army> {
        let mut left = [0; 4];
        for (kind, left) in left.iter_mut().enumerate() {
            *left = self.0[kind].checked_sub(other.0[kind])?;
        }
        Some(Army(left))
    }

    /// Returns the counts changed by `change`.
    #[must_use]
    pub fn map(&self, change: impl Fn(u32) -> u32) -> Army {
        Army(self.0.map(change))
    }

    /// Sum of a number of the rules over all units.
    pub fn sum(&self, rules: &Rules, number: impl Fn(&UnitRules) -> u64) -> u64 {
        self.units()
            .map(|(kind, count)| u64::from(count) * number(rules.unit(kind)))
            .sum()
    }

    /// What its units cost.
    pub fn value(&self, rules: &Rules) -> u64 {
        self.sum(rules, |unit| unit.cost.iter().sum())
    }

    /// Loot that it carries.
    pub fn carry(&self, rules: &Rules) -> u64 {
        self.sum(rules, |unit| unit.carry)
    }

    /// Grain that it eats per minute.
    pub fn upkeep(&self, rules: &Rules) -> u64 {
        self.sum(rules, |unit| unit.upkeep)
    }

    /// Seconds per tile of a march: those of the slowest unit; `None` without a unit.
    pub fn tile(&self, rules: &Rules) -> Option<u64> {
        self.units().map(|(kind, _)| rules.unit(kind).tile).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn army_is_displayed_by_counts() {
        assert_eq!(Army::NONE.to_string(), "no units");
        assert_eq!(Army::new([0, 9, 0, 0]).to_string(), "9 axes");
        assert_eq!(Army::new([1, 0, 2, 0]).to_string(), "1 spear and 2 riders");
        assert_eq!(
            Army::new([2, 3, 4, 1]).to_string(),
            "2 spears, 3 axes, 4 riders and 1 ram"
        );
    }

    #[test]
    fn slowest_unit_sets_the_pace() {
        let rules = Rules::of_tests();
        let riders = Army::new([0, 0, 5, 0]);
        assert_eq!(riders.tile(&rules), Some(4));
        assert_eq!(riders.plus(&Army::new([0, 0, 0, 1])).tile(&rules), Some(10));
        assert_eq!(Army::NONE.tile(&rules), None);
    }

    #[test]
    fn more_units_than_there_are_cannot_be_taken_away() {
        let army = Army::new([3, 0, 2, 1]);
        assert_eq!(
            army.minus(&Army::new([1, 0, 2, 0])),
            Some(Army::new([2, 0, 0, 1]))
        );
        assert_eq!(army.minus(&Army::new([0, 1, 0, 0])), None);
        assert_eq!((army.total(), army.is_empty()), (6, false));
    }
}
