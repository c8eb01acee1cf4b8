//! Crowns: cities that grow, march and fight for the Throne in the middle of the map.
//!
//! [`Crowns`] is the state of a match. The orders of the seats change it, and the stamps of the log
//! are its only clock. The numbers are in `assets/rules/crowns.toml` and become [`Rules`], whose hash
//! is part of a match. [`arithmetic`] computes losses and morale exactly, and [`Map`] places the seats.

pub mod arithmetic;
mod army;
mod battle;
mod economy;
mod game;
mod map;
mod order;
mod rules;

pub use army::Army;
pub use battle::{Attack, Battle, BattleResult};
pub use economy::Stock;
pub use game::{Crowns, End, EndReason, Holding, Levels, March, Seat, Site, Tally};
pub use map::{Map, MapError, Oasis, SEATS, Tile};
pub use order::{Building, MAX_BATCH, MAX_BATCHES, MAX_MARCHES, Order, Place, Refusal};
pub use rules::{
    BarracksRules, BattleRules, BuildingRules, FieldRules, GoalRules, KeepRules, LimitRules,
    MarketRules, OasisRules, Resource, Resources, Rules, RulesError, StartRules, StoreRules,
    ThroneRules, UnitKind, UnitRules, Units, WallRules,
};
