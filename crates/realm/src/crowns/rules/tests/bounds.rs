//! The bounds of every number of the file.

use super::*;
use toml::{Table, Value};

/// Keys of all whole numbers of the file with the numbers, those of lists with their place.
fn numbers() -> Vec<(Vec<String>, i64)> {
    fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, i64)>) {
        let mut enter = |key: String, value: &Value| {
            path.push(key);
            walk(value, path, found);
            path.pop();
        };
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    enter(key.clone(), value);
                }
            }
            Value::Array(list) => {
                for (place, value) in list.iter().enumerate() {
                    enter(place.to_string(), value);
                }
            }
            Value::Integer(number) => found.push((path.clone(), *number)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let table: Table = FILE.parse().unwrap();
    walk(&Value::Table(table), &mut Vec::new(), &mut found);
    found
}

/// The rules of this build with another number under one key.
fn with_number(path: &[String], number: i64) -> Result<Rules, RulesError> {
    let mut file = Value::Table(FILE.parse().unwrap());
    let mut value = &mut file;
    for key in path {
        value = match value {
            Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
            other => &mut other[key.as_str()],
        };
    }
    *value = Value::Integer(number);
    let rules: Rules = file
        .try_into()
        .map_err(|error: toml::de::Error| RulesError::Syntax(error.to_string()))?;
    rules.check().map(|()| rules)
}

/// Largest number that is valid under a key; `None` if it must have the number of the file.
fn largest(path: &[String]) -> Option<i64> {
    let keys: Vec<_> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["schema"] | [_, "split", _] => None,
        ["start", "fields" | "wall" | "barracks" | "store"] => Some(5),
        ["barracks", "riders_from" | "rams_from"] => Some(255),
        ["oasis", "distance"] => Some(3),
        ["oasis", "per_seat"] => Some(255),
        ["building", "refund_percent"]
        | ["battle", "salvage_percent"]
        | ["pact", "void_percent"] => Some(100),
        [.., "defence_percent" | "max_morale_percent"] | ["barracks", "train_percent", _] => {
            Some(1_000)
        }
        _ => Some(1_000_000),
    }
}

#[test]
fn every_number_has_a_largest_value() {
    let numbers = numbers();
    assert!(numbers.len() > 100, "{}", numbers.len());
    for (path, number) in numbers {
        let key = path.join(".");
        let most = largest(&path).unwrap_or(number);
        assert_eq!(with_number(&path, most).err(), None, "{key} = {most}");
        assert!(with_number(&path, most + 1).is_err(), "{key} = {most} + 1");
    }
}

#[test]
fn zero_is_refused_where_it_forbids_something() {
    let mut refused: Vec<_> = numbers()
        .into_iter()
        .filter(|(path, _)| with_number(path, 0).is_err())
        .map(|(path, _)| path.join("."))
        .filter(|key| !key.contains("split") && !key.contains("units"))
        .collect();
    refused.sort();
    let expected = [
        "battle.rams_per_wall_level",
        "battle.starvation",
        "building.seconds_per_level",
        "keep.repair",
        "limit.burst",
        "limit.per_second",
        "market.give",
        "oasis.distance",
        "oasis.per_seat",
        "schema",
        "start.barracks",
        "start.keep",
        "start.store",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn unit_costs_something_and_takes_time() {
    for name in ["spear", "axe", "rider", "ram"] {
        let key = |rest: &str| vec!["units".to_owned(), name.to_owned(), rest.to_owned()];
        for time in ["train", "tile"] {
            assert!(with_number(&key(time), 0).is_err(), "{name}.{time}");
        }
        let mut rules = Rules::of_this_build();
        let units = &mut rules.units;
        let unit = match name {
            "spear" => &mut units.spear,
            "axe" => &mut units.axe,
            "rider" => &mut units.rider,
            _ => &mut units.ram,
        };
        unit.cost = [0, 1, 0];
        assert_eq!(rules.check(), Ok(()), "{name}");
        let mut free = rules;
        let units = &mut free.units;
        for unit in [
            &mut units.spear,
            &mut units.axe,
            &mut units.rider,
            &mut units.ram,
        ] {
            if unit.cost == [0, 1, 0] {
                unit.cost = [0; 3];
            }
        }
        assert!(free.check().is_err(), "{name}");
    }
}

/// One share cannot make up for another one that is out of bounds, and lists fit each other.
#[test]
fn shares_and_lists_are_checked_one_by_one() {
    type Change = fn(&mut Rules);
    let splits: [Change; 4] = [
        |rules| rules.fields.split = [50, 30, 21],
        |rules| rules.barracks.split = [0, 0, 99],
        |rules| rules.wall.split = [100, 1, 0],
        |rules| rules.store.split = [u64::MAX, 101, 0],
    ];
    let lists: [Change; 6] = [
        |rules| rules.fields.production.push(1),
        |rules| rules.barracks.train_percent.push(1),
        |rules| rules.store.capacity.truncate(4),
        |rules| rules.fields.cost.push(1),
        |rules| rules.barracks.cost.push(1),
        |rules| rules.store.cost.truncate(3),
    ];
    let lengths: [Change; 2] = [
        |rules| rules.wall.cost = vec![1; 21],
        |rules| {
            rules.store.cost = vec![1; 21];
            rules.store.capacity = vec![1; 22];
        },
    ];
    let changes = splits.into_iter().chain(lists).chain(lengths);
    for (number, change) in changes.enumerate() {
        let mut rules = Rules::of_this_build();
        change(&mut rules);
        assert!(rules.check().is_err(), "change {number}");
    }
    let mut longest = Rules::of_this_build();
    longest.wall.cost = vec![1; 20];
    longest.store.cost = vec![1; 20];
    longest.store.capacity = vec![1; 21];
    longest.start.wall = 20;
    longest.start.store = 21;
    longest.fields.split = [0, 0, 100];
    assert_eq!(longest.check(), Ok(()));
}
