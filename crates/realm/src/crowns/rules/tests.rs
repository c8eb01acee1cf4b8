mod bounds;

use super::*;

#[test]
fn rules_of_this_build_are_valid_and_their_hash_is_pinned() {
    let rules = Rules::of_this_build();
    assert_eq!(
        Rules::parse(&toml::to_string(&rules).unwrap()),
        Ok(rules.clone())
    );
    let mut other = rules.clone();
    other.units.axe.attack += 1;
    assert_ne!(other.hash(), rules.hash());
}

#[test]
fn resources_are_named_as_in_the_file() {
    assert_eq!(Resource::ALL.map(Resource::name), ["wood", "iron", "grain"]);
}

#[test]
fn value_per_hundred_resources_shows_the_triangle() {
    let rules = Rules::of_this_build();
    let per_hundred = |kind, strength: fn(&UnitRules) -> u64| {
        let unit = rules.unit(kind);
        strength(unit) * 100 / unit.cost.iter().sum::<u64>()
    };
    let axe = per_hundred(UnitKind::Axe, |unit| unit.attack);
    let rider = per_hundred(UnitKind::Rider, |unit| unit.attack);
    let spear_to_foot = per_hundred(UnitKind::Spear, |unit| unit.defence_foot);
    let spear_to_horse = per_hundred(UnitKind::Spear, |unit| unit.defence_horse);
    let axe_to_horse = per_hundred(UnitKind::Axe, |unit| unit.defence_horse);
    assert!(spear_to_horse > rider, "a spear stops a rider");
    assert!(rider > axe_to_horse, "a rider beats an axe at home");
    assert!(axe > spear_to_foot, "an axe beats a bare spear");
}

#[test]
fn rules_that_cannot_be_played_are_refused_by_key() {
    let refused = |from: &str, to: &str| {
        assert!(FILE.contains(from), "{from}");
        Rules::parse(&FILE.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    };
    for (from, to, part) in [
        ("schema = 1", "schema = 2", "schema 2"),
        (
            "split = [50, 30, 20]",
            "split = [50, 30, 30]",
            "fields.split: the shares",
        ),
        (
            "production = [150, 240,",
            "production = [240,",
            "fields.production",
        ),
        ("barracks = 1", "barracks = 6", "start: a level"),
        ("per_second = 10", "per_second = 0", "a rate of zero"),
        ("attack = 40", "attack = 1000001", "exceeds a million"),
        ("attack = 40", "attack = 1000001", "units.axe: it"),
        (
            "rams_per_wall_level = 1",
            "rams_per_wall_level = 4294967295",
            "battle.rams_per_wall_level: it exceeds a million",
        ),
        ("hit = 10", "hit = 1000001", "keep.hit: it exceeds"),
        (
            "hit_per_ram = 10",
            "hit_per_ram = 1000001",
            "keep.hit_per_ram: it",
        ),
        ("max_hit = 30", "max_hit = 1000001", "keep.max_hit: it"),
        ("keep = 100", "keep = 1000001", "start.keep: it"),
        ("spears = 4", "spears = 1000001", "start.spears: it"),
        (
            "defence_percent = 10",
            "defence_percent = 1001",
            "wall.defence_percent: it exceeds 1000",
        ),
        (
            "salvage_percent = 20",
            "salvage_percent = 101",
            "battle.salvage_percent: it exceeds 100 ",
        ),
        (
            "cost = [80, 140, 220, 330, 480]",
            "cost = [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
            "wall.cost: a building has 20",
        ),
        (
            "per_seat = 2",
            "per_seat = 30",
            "oasis.per_seat: the oases of",
        ),
        (
            "per_seat = 2",
            "per_seat = 255",
            "oasis.per_seat: the oases of",
        ),
        ("train = 4", "train = 0", "units: a unit costs"),
        ("distance = 2", "distance = 4", "oasis: at least one"),
        ("attack = 40", "attak = 40", "unknown field"),
        ("attack = 40", "attack = -40", "cannot be read"),
        ("attack = 40", "attack = 4.5", "cannot be read"),
    ] {
        let message = refused(from, to);
        assert!(message.contains(part), "{from} -> {to}: {message}");
    }
}
