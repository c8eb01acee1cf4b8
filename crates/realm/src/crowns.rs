//! Crowns: cities that grow, march and fight for the Throne in the middle of the map.
//!
//! [`Crowns`] is the state of a match. The orders of the seats change it, and the stamps of the log
//! are its only clock. The numbers are in `assets/rules/crowns.toml` and become [`Rules`], whose
//! hash is part of a match. [`arithmetic`] computes losses and morale exactly, and [`Map`] places
//! the seats.

pub mod arithmetic;
mod army;
mod battle;
mod economy;
mod game;
mod map;
mod order;
mod report;
mod rules;

pub use army::Army;
pub use battle::{Attack, Battle, BattleResult};
pub use economy::Stock;
pub use game::{
    Caravan, Crowns, End, EndReason, Holding, ImpossibleGame, Levels, March, Pact, Preview, Seat,
    Site, Tally,
};
pub use map::{Map, MapError, Oasis, SEATS, Tile};
pub use order::{
    Building, MAX_BATCH, MAX_BATCHES, MAX_CARAVANS, MAX_MARCHES, MAX_WAITING, Order, PactOrder,
    Place, Refusal,
};
pub use report::{BattleReport, MAX_REPORTS, PactChange, Phrase, Report, Text, TextError, Words};
pub use rules::{
    BarracksRules, BattleRules, BuildingRules, CaravanRules, FieldRules, GoalRules, KeepRules,
    LimitRules, MarketRules, OasisRules, PactRules, Resource, Resources, Rules, RulesError,
    StartRules, StoreRules, ThroneRules, UnitKind, UnitRules, Units, WallRules,
};
