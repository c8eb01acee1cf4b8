//! Crowns: cities that grow, march and fight for the Throne in the middle of the map.
//!
//! The numbers are in `assets/rules/crowns.toml` and become [`Rules`], whose hash is part of a
//! match. [`arithmetic`] computes losses and morale exactly, and [`Map`] places the seats.

pub mod arithmetic;
mod army;
mod battle;
mod map;
mod rules;

pub use army::Army;
pub use battle::{Attack, Battle, BattleResult};
pub use map::{Map, MapError, Oasis, SEATS, Tile};
pub use rules::{
    BarracksRules, BattleRules, BuildingRules, FieldRules, GoalRules, KeepRules, LimitRules,
    MarketRules, OasisRules, Resource, Resources, Rules, RulesError, StartRules, StoreRules,
    ThroneRules, UnitKind, UnitRules, Units, WallRules,
};
