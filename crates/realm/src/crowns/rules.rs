//! The numbers of Crowns, read from a data file.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the file's layout.
const SCHEMA: u32 = 1;

/// The file of this build.
const FILE: &str = include_str!("../../../../assets/rules/crowns.toml");

/// Maximum of every number in the file. With it no product of the rules exceeds 64 bits.
const MAX: u64 = 1_000_000;

/// The numbers of Crowns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    schema: u32,
    /// What a seat begins with.
    pub start: StartRules,
    /// Lumber camp, mine and farm.
    pub fields: FieldRules,
    /// Barracks.
    pub barracks: BarracksRules,
    /// Wall.
    pub wall: WallRules,
    /// Store.
    pub store: StoreRules,
    /// Building sites.
    pub building: BuildingRules,
    /// Market.
    pub market: MarketRules,
    /// The four units.
    pub units: Units,
    /// Battles.
    pub battle: BattleRules,
    /// Keeps.
    pub keep: KeepRules,
    /// Oases.
    pub oasis: OasisRules,
    /// The Throne.
    pub throne: ThroneRules,
    /// End of a match.
    pub goal: GoalRules,
    /// Pacts.
    pub pact: PactRules,
    /// Caravans.
    pub caravan: CaravanRules,
    /// Rate of orders.
    pub limit: LimitRules,
}

/// One of the three resources.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// For walls and stores.
    Wood,
    /// For soldiers.
    Iron,
    /// Eaten by soldiers.
    Grain,
}

impl Resource {
    /// All three, in the order of [`Resources`].
    pub const ALL: [Resource; 3] = [Resource::Wood, Resource::Iron, Resource::Grain];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Wood => "wood",
            Resource::Iron => "iron",
            Resource::Grain => "grain",
        }
    }
}

/// Amounts of wood, iron and grain.
pub type Resources = [u64; 3];

/// Kind of a unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// Stops riders.
    Spear,
    /// Attacks.
    Axe,
    /// Raids.
    Rider,
    /// Breaks walls and keeps.
    Ram,
}

impl UnitKind {
    /// All four.
    pub const ALL: [UnitKind; 4] = [
        UnitKind::Spear,
        UnitKind::Axe,
        UnitKind::Rider,
        UnitKind::Ram,
    ];
}

/// What a seat begins with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRules {
    /// Wood.
    pub wood: u64,
    /// Iron.
    pub iron: u64,
    /// Grain.
    pub grain: u64,
    /// Level of each field.
    pub fields: u8,
    /// Level of the barracks.
    pub barracks: u8,
    /// Level of the store.
    pub store: u8,
    /// Level of the wall.
    pub wall: u8,
    /// Spears in the city.
    pub spears: u32,
    /// Hit points of the keep, which is also their maximum.
    pub keep: u32,
}

/// Fields: one for each resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRules {
    /// Production per minute at level 0 and up.
    pub production: Vec<u64>,
    /// Costs to reach level 1 and up.
    pub cost: Vec<u64>,
    /// Shares of wood, iron and grain in percent.
    pub split: Resources,
}

/// Barracks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarracksRules {
    /// Costs to reach level 2 and up.
    pub cost: Vec<u64>,
    /// Shares of wood, iron and grain in percent.
    pub split: Resources,
    /// Training times in percent at level 1 and up.
    pub train_percent: Vec<u64>,
    /// Level from which riders are trained.
    pub riders_from: u8,
    /// Level from which rams are trained.
    pub rams_from: u8,
}

/// Wall.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WallRules {
    /// Costs to reach level 1 and up.
    pub cost: Vec<u64>,
    /// Shares of wood, iron and grain in percent.
    pub split: Resources,
    /// Defence per level, in percent.
    pub defence_percent: u64,
}

/// Store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreRules {
    /// Costs to reach level 2 and up.
    pub cost: Vec<u64>,
    /// Shares of wood, iron and grain in percent.
    pub split: Resources,
    /// Room for each resource at level 1 and up.
    pub capacity: Vec<u64>,
    /// Amount of each resource that is never looted.
    pub hidden: u64,
}

/// Building sites.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildingRules {
    /// Building time in seconds, times the level to be reached.
    pub seconds_per_level: u64,
    /// Share of the cost that is returned for a building that is given up, in percent: less than all,
    /// so that no building hides a stock from raiders for nothing.
    pub refund_percent: u64,
}

/// Market: `give` of one resource become `receive` of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketRules {
    /// Amount given.
    pub give: u64,
    /// Amount received for it.
    pub receive: u64,
}

/// The numbers of the four units.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Spear.
    pub spear: UnitRules,
    /// Axe.
    pub axe: UnitRules,
    /// Rider.
    pub rider: UnitRules,
    /// Ram.
    pub ram: UnitRules,
}

/// Numbers of one unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitRules {
    /// Its cost.
    pub cost: Resources,
    /// Seconds to train one in barracks of level 1.
    pub train: u64,
    /// Seconds per tile of a march.
    pub tile: u64,
    /// Strength in an attack.
    pub attack: u64,
    /// Whether it attacks on horseback.
    pub mounted: bool,
    /// Strength in a defence against attackers on foot.
    pub defence_foot: u64,
    /// Strength in a defence against attackers on horseback.
    pub defence_horse: u64,
    /// Loot that it carries.
    pub carry: u64,
    /// Grain that it eats per minute.
    pub upkeep: u64,
}

/// Battles.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BattleRules {
    /// Defence of every city without soldiers.
    pub militia: u64,
    /// Rams that cancel one level of a wall during a battle.
    pub rams_per_wall_level: u32,
    /// Largest factor of morale, in percent.
    pub max_morale_percent: u64,
    /// Share of the value of killed attackers that the defender gets, in percent.
    pub salvage_percent: u64,
    /// Seconds in which a starving army loses one soldier.
    pub starvation: u64,
}

/// Keeps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepRules {
    /// Hit points lost in an assault that was won.
    pub hit: u32,
    /// Further ones for each surviving ram.
    pub hit_per_ram: u32,
    /// Most hit points lost in one assault.
    pub max_hit: u32,
    /// Seconds after a hit in which a keep cannot be hit again.
    pub smoke: u64,
    /// Seconds for the repair of one hit point.
    pub repair: u64,
    /// Wood for the repair of one hit point.
    pub repair_wood: u64,
}

/// Oases.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OasisRules {
    /// Number per seat.
    pub per_seat: u8,
    /// Distance from the seat, in tiles.
    pub distance: u8,
    /// Production per minute.
    pub production: u64,
    /// Defence without soldiers.
    pub militia: u64,
}

/// The Throne.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThroneRules {
    /// Second at which it opens.
    pub opens: u64,
    /// Defence of its first holder.
    pub guard: u64,
    /// Crowns per second.
    pub crowns: u64,
    /// Second from which it gives more.
    pub late_from: u64,
    /// Crowns per second from then on.
    pub late_crowns: u64,
}

/// End of a match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoalRules {
    /// Crowns with which one of two seats wins.
    pub crowns_of_two: u64,
    /// Crowns with which one of more seats wins.
    pub crowns: u64,
    /// Second from which no keep is repaired.
    pub sudden_death: u64,
    /// Second at which the match ends.
    pub end: u64,
}

/// Pacts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PactRules {
    /// Seconds between the notice and the end.
    pub notice: u64,
    /// Share of the goal in percent from which a seat has no pacts.
    pub void_percent: u64,
}

/// Caravans.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaravanRules {
    /// Seconds per tile.
    pub tile: u64,
}

/// Rate of orders of one seat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRules {
    /// Orders at once.
    pub burst: u64,
    /// Orders per second.
    pub per_second: u64,
}

/// Why a text is not a set of rules.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RulesError {
    /// It does not have the layout of the file.
    #[error("the rules cannot be read: {0}")]
    Syntax(String),
    /// It has another layout.
    #[error("the rules have schema {0}, but this build reads {SCHEMA}; use the same build")]
    Schema(u32),
    /// A number is out of bounds, or a list too short.
    #[error("{key}: {reason}; correct the file of the rules")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Reason.
        reason: &'static str,
    },
}

impl Rules {
    /// Returns the rules of this build.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn of_this_build() -> Self {
        Rules::parse(FILE).expect("the rules of this build are valid")
    }

    /// Returns the rules of the tests of mechanics.
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Rules::parse(include_str!("game/tests/rules.toml")).expect("valid rules")
    }

    /// Reads rules.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let rules: Rules =
            toml::from_str(text).map_err(|error| RulesError::Syntax(error.to_string()))?;
        rules.check()?;
        Ok(rules)
    }

    /// Numbers of a unit.
    pub fn unit(&self, kind: UnitKind) -> &UnitRules {
        match kind {
            UnitKind::Spear => &self.units.spear,
            UnitKind::Axe => &self.units.axe,
            UnitKind::Rider => &self.units.rider,
            UnitKind::Ram => &self.units.ram,
        }
    }

    /// A fingerprint of all numbers: machines with other ones cannot play the same match.
    pub fn hash(&self) -> u64 {
        // The text form has one order of keys, and no two values share it.
        let text = toml::to_string(self).unwrap_or_default();
        let digest = Sha256::digest(text);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }

    pub(super) fn check(&self) -> Result<(), RulesError> {
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
        if self.largest() > MAX {
            return invalid("a number", "it exceeds a million");
        }
        for kind in UnitKind::ALL {
            let unit = self.unit(kind);
            if unit.train == 0 || unit.tile == 0 || unit.cost.iter().sum::<u64>() == 0 {
                return invalid("units", "a unit costs something and takes time");
            }
        }
        Ok(())
    }

    /// The largest number.
    fn largest(&self) -> u64 {
        let units = UnitKind::ALL.map(|kind| {
            let unit = self.unit(kind);
            let others = [
                unit.train,
                unit.tile,
                unit.attack,
                unit.defence_foot,
                unit.defence_horse,
                unit.carry,
                unit.upkeep,
            ];
            unit.cost.into_iter().chain(others).max().unwrap_or(0)
        });
        let lists = [
            &self.fields.production,
            &self.fields.cost,
            &self.barracks.cost,
            &self.barracks.train_percent,
            &self.wall.cost,
            &self.store.cost,
            &self.store.capacity,
        ];
        let StartRules {
            wood, iron, grain, ..
        } = self.start;
        let singles = [
            wood,
            iron,
            grain,
            self.wall.defence_percent,
            self.store.hidden,
            self.building.seconds_per_level,
            self.building.refund_percent,
            self.pact.notice,
            self.pact.void_percent,
            self.caravan.tile,
            self.market.give,
            self.market.receive,
            self.battle.militia,
            self.battle.max_morale_percent,
            self.battle.salvage_percent,
            self.battle.starvation,
            self.keep.smoke,
            self.keep.repair,
            self.keep.repair_wood,
            self.oasis.production,
            self.oasis.militia,
            self.throne.opens,
            self.throne.guard,
            self.throne.crowns,
            self.throne.late_from,
            self.throne.late_crowns,
            self.goal.crowns_of_two,
            self.goal.crowns,
            self.goal.sudden_death,
            self.goal.end,
            self.limit.burst,
            self.limit.per_second,
        ];
        let lists = lists.into_iter().flatten().copied();
        lists.chain(units).chain(singles).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
