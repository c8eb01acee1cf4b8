//! One seat: its city and what belongs to it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Due;
use crate::crowns::army::Army;
use crate::crowns::economy::Stock;
use crate::crowns::order::Building;
use crate::crowns::rules::{Resources, UnitKind};

/// One seat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    pub(super) levels: Levels,
    pub(super) stock: Stock,
    /// The units in the city.
    pub(super) home: Army,
    /// Hit points of the keep; a city without any has fallen.
    pub(super) keep: u32,
    /// Stamp until which the keep cannot be hit.
    pub(super) smokes_until: u64,
    /// Number of the next repair while the keep is repaired.
    pub(super) repairs: Option<u64>,
    pub(super) crowns: u64,
    /// Production in percent: a handicap.
    pub(super) production: u64,
    pub(super) site: Option<Site>,
    pub(super) waiting: Option<Waiting>,
    pub(super) batches: VecDeque<(UnitKind, u32)>,
    /// Milliseconds of the allowance for orders.
    pub(super) allowance: u64,
    pub(super) allowed_at: u64,
    /// The planned starvation.
    pub(super) starving: Option<Due>,
    /// Stamp at which the last unit starved.
    pub(super) starved_at: u64,
}

/// Levels of the buildings of a city.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Levels {
    /// Fields of wood, iron and grain.
    pub fields: [u8; 3],
    /// Barracks.
    pub barracks: u8,
    /// Wall.
    pub wall: u8,
    /// Store.
    pub store: u8,
}

impl Levels {
    /// Level of a building.
    pub fn of(&self, building: Building) -> u8 {
        match building {
            Building::Field(resource) => self.fields[resource as usize],
            Building::Barracks => self.barracks,
            Building::Wall => self.wall,
            Building::Store => self.store,
        }
    }

    pub(super) fn of_mut(&mut self, building: Building) -> &mut u8 {
        match building {
            Building::Field(resource) => &mut self.fields[resource as usize],
            Building::Barracks => &mut self.barracks,
            Building::Wall => &mut self.wall,
            Building::Store => &mut self.store,
        }
    }
}

/// A building under construction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Site {
    /// The building.
    pub building: Building,
    /// Stamp at which it is done.
    pub done: u64,
    pub(super) cost: Resources,
    pub(super) number: u64,
}

/// A building that was paid for and waits for the present site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) building: Building,
    pub(super) cost: Resources,
}

impl Seat {
    /// Whether its city has not fallen.
    pub fn stands(&self) -> bool {
        self.keep > 0
    }

    /// Production of its fields in percent of the usual one.
    pub fn production(&self) -> u64 {
        self.production
    }

    /// Levels of its buildings.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The units in the city.
    pub fn home(&self) -> &Army {
        &self.home
    }

    /// Hit points of its keep.
    pub fn keep(&self) -> u32 {
        self.keep
    }

    /// Stamp until which the keep cannot be hit.
    pub fn smokes_until(&self) -> u64 {
        self.smokes_until
    }

    /// Whether the keep is repaired.
    pub fn is_repaired(&self) -> bool {
        self.repairs.is_some()
    }

    /// The units in training, first those that are trained now.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = (UnitKind, u32)> + '_ {
        self.batches.iter().copied()
    }

    /// The building under construction, and the one that waits.
    pub fn sites(&self) -> (Option<Site>, Option<Building>) {
        (self.site, self.waiting.map(|waiting| waiting.building))
    }
}
