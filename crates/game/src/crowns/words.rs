//! Short texts of the screen.

use bevy_raft::Rejection;
use raftian_realm::crowns::{Building, Resource, Resources};

pub(super) use crate::report_words::clock;

/// Name of a building, as on buttons.
pub(super) fn building(building: Building) -> String {
    match building {
        Building::Field(Resource::Wood) => text!("Lumber camp"),
        Building::Field(Resource::Iron) => text!("Mine"),
        Building::Field(Resource::Grain) => text!("Farm"),
        Building::Barracks => text!("Barracks"),
        Building::Wall => text!("Wall"),
        Building::Store => text!("Store"),
    }
}

/// A cost: wood, iron and grain, such as "75 / 45 / 30".
pub(super) fn cost(cost: Resources) -> String {
    let [wood, iron, grain] = cost;
    format!("{wood} / {iron} / {grain}")
}

/// Why a command was not proposed.
pub(crate) fn rejected(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Busy => text!("Too many orders are on their way; wait a moment."),
        Rejection::NoMatch => text!("There is no match; start or join one."),
        rejection => text!(
            "rejected|{reason}",
            reason = sentence(&rejection.to_string())
        ),
    }
}

/// An order whose effect is not known; `reason` is in English.
pub(crate) fn unknown_effect(reason: &str) -> String {
    text!(
        "It is unknown whether your order takes effect: {reason}",
        reason
    )
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
