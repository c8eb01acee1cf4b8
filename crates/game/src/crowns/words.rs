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

/// A reason as a sentence of the interface: it begins with a capital letter.
pub(crate) fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_begins_with_a_capital_letter() {
        assert_eq!(sentence("no majority"), "No majority");
        assert_eq!(sentence("état"), "État");
        assert_eq!(sentence(""), "");
    }
}
