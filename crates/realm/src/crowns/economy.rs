//! Stock of a seat, in exact integers.
//!
//! Amounts are kept in 1/60,000: production per minute, times milliseconds, adds to them without a
//! remainder.

use serde::{Deserialize, Serialize};

use super::order::Refusal;
use super::rules::{Resource, Resources};

/// Parts of one unit of a resource.
pub(super) const PARTS: u64 = 60_000;

/// Stock of the three resources.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stock {
    parts: Resources,
    /// Game clock of `parts`.
    settled: u64,
    /// Parts that came into the match here, and parts that left it. A transfer between seats counts as
    /// neither.
    gained: Resources,
    spent: Resources,
}

impl Stock {
    /// Creates a stock of whole amounts at `now`.
    pub(super) fn new(amounts: Resources, now: u64) -> Self {
        Stock {
            parts: amounts.map(|amount| amount * PARTS),
            settled: now,
            gained: amounts.map(|amount| amount * PARTS),
            spent: [0; 3],
        }
    }

    /// Whole amounts.
    pub fn amounts(&self) -> Resources {
        self.parts.map(|parts| parts / PARTS)
    }

    /// Whole amount of one resource.
    pub fn of(&self, resource: Resource) -> u64 {
        self.amounts()[resource as usize]
    }

    /// Whether all numbers of a stored stock are at most `most`, and its clock is not after `now`.
    pub(super) fn is_below(&self, most: u64, now: u64) -> bool {
        let mut parts = self.parts.iter().chain(&self.gained).chain(&self.spent);
        self.settled <= now && parts.all(|parts| *parts <= most)
    }

    /// Adds what was produced since the last time, up to `capacity`, and takes what was eaten.
    pub(super) fn settle(&mut self, now: u64, rates: [i64; 3], capacity: u64) {
        let passed = now.saturating_sub(self.settled);
        self.settled = self.settled.max(now);
        for (place, rate) in rates.into_iter().enumerate() {
            let parts = &mut self.parts[place];
            let before = *parts;
            let change = u128::from(rate.unsigned_abs()) * u128::from(passed);
            let change = u64::try_from(change).unwrap_or(u64::MAX);
            *parts = if rate.is_negative() {
                parts.saturating_sub(change)
            } else {
                let room = capacity * PARTS;
                // What exceeds the room from loot stays, but nothing is added to it.
                parts.saturating_add(change).min(room).max(before)
            };
            self.gained[place] += parts.saturating_sub(before);
            self.spent[place] += before.saturating_sub(*parts);
        }
    }

    /// Milliseconds after which the resource is used up at this rate; `None` if it is not.
    pub(super) fn lasts(&self, resource: Resource, rate: i64) -> Option<u64> {
        (rate < 0).then(|| self.parts[resource as usize].div_ceil(rate.unsigned_abs()))
    }

    /// Takes `cost` out of the match.
    ///
    /// # Errors
    /// [`Refusal::TooExpensive`] for the first resource that is missing; nothing is taken.
    pub(super) fn pay(&mut self, cost: Resources) -> Result<(), Refusal> {
        self.take(cost)?;
        for (spent, amount) in self.spent.iter_mut().zip(cost) {
            *spent += amount * PARTS;
        }
        Ok(())
    }

    /// Takes `cost` for another seat.
    ///
    /// # Errors
    /// As for [`pay`](Self::pay).
    pub(super) fn take(&mut self, cost: Resources) -> Result<(), Refusal> {
        for resource in Resource::ALL {
            let (have, needed) = (self.of(resource), cost[resource as usize]);
            if have < needed {
                let missing = needed - have;
                return Err(Refusal::TooExpensive { resource, missing });
            }
        }
        for (parts, amount) in self.parts.iter_mut().zip(cost) {
            *parts -= amount * PARTS;
        }
        Ok(())
    }

    /// Adds whole amounts from another seat, up to `capacity` each; returns what found room. The
    /// rest leaves the match.
    pub(super) fn add(&mut self, amounts: Resources, capacity: u64) -> Resources {
        let mut added = [0; 3];
        for place in 0..3 {
            let room = (capacity * PARTS).saturating_sub(self.parts[place]) / PARTS;
            added[place] = amounts[place].min(room);
            self.parts[place] += added[place] * PARTS;
            self.spent[place] += (amounts[place] - added[place]) * PARTS;
        }
        added
    }

    /// Adds whole amounts that are new in the match, as [`add`](Self::add) does.
    pub(super) fn gain(&mut self, amounts: Resources, capacity: u64) -> Resources {
        for (gained, amount) in self.gained.iter_mut().zip(amounts) {
            *gained += amount * PARTS;
        }
        self.add(amounts, capacity)
    }

    /// Parts of the stock that came into the match here and left it.
    #[cfg(test)]
    pub(super) fn ledger(&self) -> (Resources, Resources, Resources) {
        (self.parts, self.gained, self.spent)
    }

    /// Takes up to `carry` of what exceeds `hidden` of each resource, in proportion.
    pub(super) fn loot(&mut self, carry: u64, hidden: u64) -> Resources {
        let open = self.amounts().map(|amount| amount.saturating_sub(hidden));
        let total: u64 = open.iter().sum();
        let taken = match carry.min(total) {
            0 => [0; 3],
            most => open.map(|amount| amount * most / total),
        };
        for (parts, amount) in self.parts.iter_mut().zip(taken) {
            *parts -= amount * PARTS;
        }
        taken
    }
}

/// Splits a cost by percent; what rounding leaves is wood.
pub(super) fn split(cost: u64, shares: Resources) -> Resources {
    let mut parts = shares.map(|share| cost * share / 100);
    parts[0] += cost - parts.iter().sum::<u64>();
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn production_is_exact_however_often_it_is_settled() {
        let rates = [7, 240, -61];
        let mut once = Stock::new([10, 20, 500], 0);
        let mut often = once.clone();
        once.settle(59_999, rates, 600);
        (1..=59_999).for_each(|now| often.settle(now, rates, 600));
        assert_eq!(once, often);
        once.settle(60_000, rates, 600);
        assert_eq!(once.amounts(), [17, 260, 439]);
    }

    #[test]
    fn stock_is_neither_negative_nor_above_its_room() {
        let mut stock = Stock::new([599, 0, 1], 0);
        stock.settle(600_000, [600, 0, -600], 600);
        assert_eq!(stock.amounts(), [600, 0, 0]);
        assert_eq!(stock.lasts(Resource::Grain, -600), Some(0));
        assert_eq!(stock.lasts(Resource::Wood, -7), Some(600 * PARTS / 7 + 1));
        assert_eq!(stock.lasts(Resource::Wood, 7), None);
    }

    #[test]
    fn stock_above_its_room_stays_but_does_not_grow() {
        let mut stock = Stock::new([700, 600, 599], 0);
        stock.settle(60_000, [60, 60, 60], 600);
        assert_eq!(stock.amounts(), [700, 600, 600]);
        stock.settle(120_000, [-60, -60, -60], 600);
        assert_eq!(stock.amounts(), [640, 540, 540]);
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_taken() {
        let mut stock = Stock::new([100, 50, 0], 0);
        let missing = Refusal::TooExpensive {
            resource: Resource::Iron,
            missing: 10,
        };
        assert_eq!(stock.pay([100, 60, 0]), Err(missing));
        assert_eq!(stock.amounts(), [100, 50, 0]);
        assert_eq!(stock.pay([100, 50, 0]), Ok(()));
        assert_eq!(stock.amounts(), [0; 3]);
    }

    proptest! {
        #[test]
        fn loot_is_what_the_stock_loses(
            amounts in prop::array::uniform3(0_u64..5_000),
            carry in 0_u64..10_000,
            hidden in 0_u64..100,
        ) {
            let mut stock = Stock::new(amounts, 0);
            let taken = stock.loot(carry, hidden);
            prop_assert!(taken.iter().sum::<u64>() <= carry);
            for place in 0..3 {
                prop_assert_eq!(stock.amounts()[place] + taken[place], amounts[place]);
                prop_assert!(stock.amounts()[place] >= amounts[place].min(hidden));
            }
        }

        #[test]
        fn parts_of_a_cost_add_up(cost in 0_u64..1_000_000, wood in 0_u64..=100, iron in 0_u64..=100) {
            let iron = iron.min(100 - wood);
            let parts = split(cost, [wood, iron, 100 - wood - iron]);
            prop_assert_eq!(parts.iter().sum::<u64>(), cost);
        }
    }
}
