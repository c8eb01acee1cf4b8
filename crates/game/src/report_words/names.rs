//! Names of units, goods and buildings in words, with their numbers.

use raftian_realm::crowns::{Army, Building, Phrase, Resource, Resources, UnitKind};

/// Returns a time of the game clock in milliseconds as minutes and seconds, `m:ss`.
pub fn clock(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Returns goods in words, for example "20 wood and 5 grain"; "nothing" for none.
pub fn goods(goods: Resources) -> String {
    list(amounts(goods)).unwrap_or_else(|| text!("nothing"))
}

/// Amounts in words, without those that are zero.
pub(super) fn amounts(goods: Resources) -> Vec<String> {
    let amounts = Resource::ALL.into_iter().zip(goods);
    let parts = amounts
        .filter(|(_, amount)| *amount > 0)
        .map(|(resource, amount)| counted_resource(resource, amount));
    parts.collect()
}

/// Returns the name of a building in words.
pub fn building_words(building: Building) -> String {
    match building {
        Building::Field(Resource::Wood) => text!("lumber camp"),
        Building::Field(Resource::Iron) => text!("mine"),
        Building::Field(Resource::Grain) => text!("farm"),
        Building::Barracks => text!("barracks"),
        Building::Wall => text!("wall"),
        Building::Store => text!("store"),
    }
}

/// Returns the text of a phrase.
pub fn phrase_text(phrase: Phrase) -> String {
    match phrase {
        Phrase::Hello => text!("Hello"),
        Phrase::GoodLuck => text!("Good luck"),
        Phrase::WellPlayed => text!("Well played"),
        Phrase::Thanks => text!("Thank you"),
        Phrase::Sorry => text!("Sorry"),
        Phrase::Yes => text!("Yes"),
        Phrase::No => text!("No"),
        Phrase::Help => text!("Help me here"),
        Phrase::Attack => text!("Attack here"),
        Phrase::Defend => text!("I defend this"),
        Phrase::Peace => text!("Peace?"),
        Phrase::Beware => text!("Beware of the leader"),
    }
}

/// Returns a resource in words.
pub(crate) fn resource_words(resource: Resource) -> String {
    match resource {
        Resource::Wood => text!("wood"),
        Resource::Iron => text!("iron"),
        Resource::Grain => text!("grain"),
    }
}

/// An amount of a resource in words.
pub(crate) fn counted_resource(resource: Resource, amount: u64) -> String {
    format!("{amount} {}", resource_words(resource))
}

/// Returns the name of `count` units in words, without the number.
pub(crate) fn unit_words(kind: UnitKind, count: u32) -> String {
    match (kind, count) {
        (UnitKind::Spear, 1) => text!("spear"),
        (UnitKind::Spear, _) => text!("spears"),
        (UnitKind::Axe, 1) => text!("axe"),
        (UnitKind::Axe, _) => text!("axes"),
        (UnitKind::Rider, 1) => text!("rider"),
        (UnitKind::Rider, _) => text!("riders"),
        (UnitKind::Ram, 1) => text!("ram"),
        (UnitKind::Ram, _) => text!("rams"),
    }
}

/// A number of units in words.
pub(crate) fn counted_unit(kind: UnitKind, count: u32) -> String {
    format!("{count} {}", unit_words(kind, count))
}

/// Returns an army in words, for example "12 axes and 1 ram".
pub(crate) fn army_words(army: &Army) -> String {
    let units = army.units();
    let units = units.map(|(kind, count)| counted_unit(kind, count));
    list(units.collect()).unwrap_or_else(|| text!("no units"))
}

/// Joins parts as "a, b and c"; `None` without any.
pub(super) fn list(mut parts: Vec<String>) -> Option<String> {
    let last = parts.pop()?;
    Some(match parts.is_empty() {
        true => last,
        false => text!("{others} and {last}", others = parts.join(", "), last),
    })
}
