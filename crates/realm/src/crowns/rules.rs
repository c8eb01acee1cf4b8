//! The numbers of Crowns, read from a data file.

mod check;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::map::{Map, MapError, SEATS};

/// Version of the file's layout.
const SCHEMA: u32 = 1;

/// The file of this build.
const FILE: &str = include_str!("../../../../assets/rules/crowns.toml");

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

    /// Name of `count` units, without the number.
    pub fn counted(self, count: u32) -> &'static str {
        match (self, count) {
            (UnitKind::Spear, 1) => "spear",
            (UnitKind::Spear, _) => "spears",
            (UnitKind::Axe, 1) => "axe",
            (UnitKind::Axe, _) => "axes",
            (UnitKind::Rider, 1) => "rider",
            (UnitKind::Rider, _) => "riders",
            (UnitKind::Ram, 1) => "ram",
            (UnitKind::Ram, _) => "rams",
        }
    }
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
    /// There is no map for a number of seats.
    #[error("oasis.per_seat: {0}")]
    Map(#[from] MapError),
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
        // Whether there is a map does not depend on the seed.
        for seats in SEATS {
            Map::new(seats, &rules.oasis, 0)?;
        }
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
}

#[cfg(test)]
mod tests;
