//! Bounds of the numbers. Within them no arithmetic of the rules or of bots exceeds its type.

use super::{Rules, RulesError, SCHEMA, UnitKind, UnitRules};

/// Maximum of every number that is not a percentage.
const MAX: u64 = 1_000_000;

/// Maximum of a percentage that may exceed a hundred.
const MAX_PERCENT: u64 = 1_000;

/// Maximum of a share of a whole, in percent.
const MAX_SHARE: u64 = 100;

/// Maximum length of a list of costs.
const MAX_LEVELS: usize = 20;

impl Rules {
    pub(in crate::crowns) fn check(&self) -> Result<(), RulesError> {
        if self.schema != SCHEMA {
            return Err(RulesError::Schema(self.schema));
        }
        let invalid = |key, reason| Err(RulesError::Invalid { key, reason });
        for (key, split) in [
            ("fields.split", self.fields.split),
            ("barracks.split", self.barracks.split),
            ("wall.split", self.wall.split),
            ("store.split", self.store.split),
        ] {
            if split.iter().any(|share| *share > 100) || split.iter().sum::<u64>() != 100 {
                return invalid(key, "the shares must add up to 100");
            }
        }
        for (key, cost) in [
            ("fields.cost", &self.fields.cost),
            ("barracks.cost", &self.barracks.cost),
            ("wall.cost", &self.wall.cost),
            ("store.cost", &self.store.cost),
        ] {
            if cost.len() > MAX_LEVELS {
                return invalid(key, "a building has 20 levels at most");
            }
        }
        for (key, cost, levels) in [
            (
                "fields.production",
                &self.fields.cost,
                self.fields.production.len(),
            ),
            (
                "barracks.train_percent",
                &self.barracks.cost,
                self.barracks.train_percent.len(),
            ),
            (
                "store.capacity",
                &self.store.cost,
                self.store.capacity.len(),
            ),
        ] {
            if levels != cost.len() + 1 {
                return invalid(key, "it must have one value more than the costs");
            }
        }
        let is_level = |level: u8, costs: &[u64], least: u8| {
            level >= least && usize::from(level - least) <= costs.len()
        };
        if !is_level(self.start.fields, &self.fields.cost, 0)
            || !is_level(self.start.wall, &self.wall.cost, 0)
            || !is_level(self.start.barracks, &self.barracks.cost, 1)
            || !is_level(self.start.store, &self.store.cost, 1)
        {
            return invalid("start", "a level is not one that can be reached");
        }
        let limits = &self.limit;
        if self.market.give == 0 || limits.burst == 0 || limits.per_second == 0 {
            return invalid("market or limit", "a rate of zero forbids everything");
        }
        if self.battle.rams_per_wall_level == 0 || self.battle.starvation == 0 {
            return invalid("battle", "a divisor is zero");
        }
        if self.keep.repair == 0 || self.building.seconds_per_level == 0 || self.start.keep == 0 {
            return invalid("keep or building", "a time or a keep of zero");
        }
        if self.oasis.per_seat == 0 || self.oasis.distance == 0 || self.oasis.distance > 3 {
            return invalid(
                "oasis",
                "at least one per seat, at a distance of 1 to 3 tiles",
            );
        }
        self.check_bounds()?;
        for kind in UnitKind::ALL {
            let unit = self.unit(kind);
            if unit.train == 0 || unit.tile == 0 || unit.cost.iter().sum::<u64>() == 0 {
                return invalid("units", "a unit costs something and takes time");
            }
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), RulesError> {
        for (numbers, most, reason) in [
            (self.amounts(), MAX, "it exceeds a million"),
            (self.percentages(), MAX_PERCENT, "it exceeds 1000 percent"),
            (self.shares(), MAX_SHARE, "it exceeds 100 percent"),
        ] {
            if let Some((key, _)) = numbers.into_iter().find(|(_, number)| *number > most) {
                return Err(RulesError::Invalid { key, reason });
            }
        }
        Ok(())
    }

    /// All numbers with their keys, except percentages, levels and the distances of oases.
    fn amounts(&self) -> Vec<(&'static str, u64)> {
        let lists = [
            ("fields.production", &self.fields.production),
            ("fields.cost", &self.fields.cost),
            ("barracks.cost", &self.barracks.cost),
            ("wall.cost", &self.wall.cost),
            ("store.cost", &self.store.cost),
            ("store.capacity", &self.store.capacity),
        ];
        let lists = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().map(move |number| (key, *number)));
        let units = [
            ("units.spear", &self.units.spear),
            ("units.axe", &self.units.axe),
            ("units.rider", &self.units.rider),
            ("units.ram", &self.units.ram),
        ];
        let units = units.into_iter().map(|(key, unit)| (key, largest_of(unit)));
        let singles = [
            ("start.wood", self.start.wood),
            ("start.iron", self.start.iron),
            ("start.grain", self.start.grain),
            ("start.spears", self.start.spears.into()),
            ("start.keep", self.start.keep.into()),
            ("store.hidden", self.store.hidden),
            (
                "building.seconds_per_level",
                self.building.seconds_per_level,
            ),
            ("market.give", self.market.give),
            ("market.receive", self.market.receive),
            ("battle.militia", self.battle.militia),
            (
                "battle.rams_per_wall_level",
                self.battle.rams_per_wall_level.into(),
            ),
            ("battle.starvation", self.battle.starvation),
            ("keep.hit", self.keep.hit.into()),
            ("keep.hit_per_ram", self.keep.hit_per_ram.into()),
            ("keep.max_hit", self.keep.max_hit.into()),
            ("keep.smoke", self.keep.smoke),
            ("keep.repair", self.keep.repair),
            ("keep.repair_wood", self.keep.repair_wood),
            ("oasis.production", self.oasis.production),
            ("oasis.militia", self.oasis.militia),
            ("throne.opens", self.throne.opens),
            ("throne.guard", self.throne.guard),
            ("throne.crowns", self.throne.crowns),
            ("throne.late_from", self.throne.late_from),
            ("throne.late_crowns", self.throne.late_crowns),
            ("goal.crowns_of_two", self.goal.crowns_of_two),
            ("goal.crowns", self.goal.crowns),
            ("goal.sudden_death", self.goal.sudden_death),
            ("goal.end", self.goal.end),
            ("pact.notice", self.pact.notice),
            ("caravan.tile", self.caravan.tile),
            ("limit.burst", self.limit.burst),
            ("limit.per_second", self.limit.per_second),
        ];
        lists.chain(units).chain(singles).collect()
    }

    fn percentages(&self) -> Vec<(&'static str, u64)> {
        let train = self.barracks.train_percent.iter();
        let singles = [
            ("wall.defence_percent", self.wall.defence_percent),
            ("battle.max_morale_percent", self.battle.max_morale_percent),
        ];
        train
            .map(|percent| ("barracks.train_percent", *percent))
            .chain(singles)
            .collect()
    }

    fn shares(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("building.refund_percent", self.building.refund_percent),
            ("battle.salvage_percent", self.battle.salvage_percent),
            // Beyond the goal a pact would end after the victory.
            ("pact.void_percent", self.pact.void_percent),
        ]
    }
}

/// The largest number of a unit.
fn largest_of(unit: &UnitRules) -> u64 {
    let UnitRules {
        cost,
        train,
        tile,
        attack,
        mounted: _,
        defence_foot,
        defence_horse,
        carry,
        upkeep,
    } = *unit;
    let others = [
        train,
        tile,
        attack,
        defence_foot,
        defence_horse,
        carry,
        upkeep,
    ];
    cost.into_iter().chain(others).max().unwrap_or(0)
}
