//! Short texts of the screen.

use raftian_realm::crowns::{Building, Resource, Resources};

pub(super) use crate::report_words::clock;

/// Name of a building.
pub(super) fn building(building: Building) -> &'static str {
    match building {
        Building::Field(Resource::Wood) => "Lumber camp",
        Building::Field(Resource::Iron) => "Mine",
        Building::Field(Resource::Grain) => "Farm",
        Building::Barracks => "Barracks",
        Building::Wall => "Wall",
        Building::Store => "Store",
    }
}

/// A cost: wood, iron and grain, such as "75 / 45 / 30".
pub(super) fn cost(cost: Resources) -> String {
    let [wood, iron, grain] = cost;
    format!("{wood} / {iron} / {grain}")
}
