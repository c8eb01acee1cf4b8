//! Rules with the largest and smallest numbers that are allowed: no arithmetic exceeds its type.

use rand::rngs::ChaCha8Rng;
use toml::Value;

use super::*;

/// Seconds of each match: a while after the Throne has opened, by the rules of this build.
const LENGTH: u64 = 320;

/// Numbers that may be the largest or smallest allowed one, the largest first.
const TRIED: [i64; 12] = [
    4_294_967_295,
    1_000_000,
    1_000,
    100,
    20,
    8,
    5,
    4,
    3,
    2,
    1,
    0,
];

/// The path of each number in the rules: names and places in lists.
fn numbers(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                numbers(value, &format!("{path}/{name}"), all);
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                numbers(value, &format!("{path}/{place}"), all);
            }
        }
        Value::Integer(_) => all.push(path.to_owned()),
        _ => {}
    }
}

fn number_at<'a>(rules: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('/')
        .skip(1)
        .fold(rules, |value, name| match value {
            Value::Array(list) => &mut list[name.parse::<usize>().unwrap()],
            table => &mut table[name],
        })
}

fn parsed(rules: &Value) -> Option<Rules> {
    Rules::parse(&toml::to_string(rules).unwrap()).ok()
}

/// Changes a number to the first of these that is allowed.
fn change(rules: &mut Value, path: &str, tried: impl Iterator<Item = i64>) {
    for number in tried {
        let before = std::mem::replace(number_at(rules, path), Value::Integer(number));
        if parsed(rules).is_some() {
            return;
        }
        *number_at(rules, path) = before;
    }
}

/// Plays a while with bots of two levels, and asks the third one once.
fn play_a_while(rules: &Rules, seed: u64) {
    let mut game = Crowns::new(3, seed, rules.clone(), 0).unwrap();
    let bots = [
        Bot::new(Level::Captain, Archetype::Rush),
        Bot::new(Level::Captain, Archetype::Turtle),
        Bot::new(Level::Recruit, Archetype::Balanced),
    ];
    for at in (1..LENGTH).step_by(8) {
        game.advance(at * 1_000);
        for (seat, bot) in (0..).zip(&bots) {
            for order in bot.orders(&game, seat, seed) {
                let _may_be_refused = game.order(seat, &order, at * 1_000);
            }
            game.stock(seat);
            steward(&game, seat);
        }
        if at == 249 {
            Bot::new(Level::Warlord, Archetype::Boom).orders(&game, 0, seed);
        }
    }
}

#[test]
fn each_largest_number_of_the_rules_is_played() {
    let text = toml::to_string(&Rules::of_this_build()).unwrap();
    let rules: Value = toml::from_str(&text).unwrap();
    let mut paths = Vec::new();
    numbers(&rules, "", &mut paths);
    assert!(paths.len() > 100, "{}", paths.len());
    for (seed, path) in (0..).zip(&paths) {
        let mut rules = rules.clone();
        change(&mut rules, path, TRIED.into_iter());
        println!("{path} = {}", number_at(&mut rules, path));
        play_a_while(&parsed(&rules).unwrap(), seed);
    }
}

#[test]
fn many_extreme_numbers_of_the_rules_are_played() {
    let text = toml::to_string(&Rules::of_this_build()).unwrap();
    let plain: Value = toml::from_str(&text).unwrap();
    let mut paths = Vec::new();
    numbers(&plain, "", &mut paths);
    for seed in 0..24 {
        let mut rng: ChaCha8Rng = rng_of(seed, 0, 7);
        let mut rules = plain.clone();
        // From a few large numbers to all of them.
        let share = 10 + seed * 4;
        for path in &paths {
            let drawn = rng.random_range(0..100);
            if drawn < share {
                change(&mut rules, path, TRIED.into_iter());
            } else if drawn >= 95 {
                change(&mut rules, path, TRIED.into_iter().rev());
            }
        }
        println!("seed {seed}");
        play_a_while(&parsed(&rules).unwrap(), seed);
    }
}
