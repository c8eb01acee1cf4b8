//! Battles, and their previews.

use super::*;
use crate::crowns::arithmetic::ONE;
use crate::crowns::{Battle, BattleReport};

fn last_battle(game: &Crowns) -> BattleReport {
    let battles = game
        .reports_since(0)
        .filter_map(|(_, report)| match report {
            Report::Battle(battle) => Some(battle.clone()),
            _ => None,
        });
    battles.last().unwrap()
}

#[test]
fn preview_is_what_an_attack_does_that_arrives_now() {
    for (attack, hit) in [(Attack::Raid, 0), (Attack::Assault, 15)] {
        let mut game = new_match(2);
        give_army(&mut game, 0, [0, 200, 0, 0]);
        give_army(&mut game, 1, [200, 0, 0, 0]);
        let (army, to) = (Army::new([0, 200, 0, 0]), Place::City(1));
        let order = Order::March { army, to, attack };
        assert_eq!(game.order(0, &order, second(0)), Ok(()));
        let arrives = second(42);
        let mut before = game.clone();
        // One that is a moment late has not changed anything yet.
        before
            .marches
            .values_mut()
            .for_each(|march| march.arrives += 1);
        before.advance(arrives);
        let preview = before.preview(0, army, to, attack).unwrap();
        game.advance(arrives);
        let battle = last_battle(&game);
        assert_eq!((battle.attack, battle.result), (attack, preview.result));
        assert_eq!((battle.hit, battle.loot), (preview.hit, preview.loot));
        assert_eq!(preview.hit, hit);
        assert_eq!(preview.time, 42 * SECOND);
        let is_raid = attack == Attack::Raid;
        assert_eq!(!seat(&game, 1).home().is_empty(), is_raid, "who gets away");
    }
}

#[test]
fn wall_is_broken_by_rams_alone() {
    for (rams, wall) in [(0, 3), (4, 2)] {
        let mut game = new_match(2);
        give_army(&mut game, 0, [0, 100, 0, rams]);
        game.seat_mut(1).levels.wall = 3;
        let order = assault([0, 100, 0, rams], Place::City(1));
        assert_eq!(game.order(0, &order, second(0)), Ok(()));
        game.advance(second(60));
        assert!(seat(&game, 1).keep() < 100);
        assert_eq!(seat(&game, 1).levels().wall, wall, "{rams} rams");
    }
}

#[test]
fn keep_smokes_for_twenty_seconds() {
    for (late, keep) in [(0, 70), (1, 85)] {
        let mut game = new_match(2);
        give_army(&mut game, 0, [0, 200, 0, 0]);
        let order = assault([0, 100, 0, 0], Place::City(1));
        assert_eq!(game.order(0, &order, second(0) + late), Ok(()));
        assert_eq!(game.order(0, &order, second(20)), Ok(()));
        game.advance(second(42) + late);
        assert_eq!(seat(&game, 1).smokes_until(), second(62) + late);
        game.advance(second(62));
        assert_eq!(seat(&game, 1).keep(), keep, "{late} ms late");
    }
}

#[test]
fn city_is_defended_by_its_units_militia_wall_and_morale() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 200, 0, 0]);
    game.seat_mut(1).levels.wall = 3;
    let army = Army::new([0, 200, 0, 0]);
    for attack in [Attack::Raid, Attack::Assault] {
        let expected = Battle {
            attack,
            attacker: army,
            defender: Army::new([4, 0, 0, 0]),
            base: 60,
            wall: 3,
            morale: 3 * ONE / 2,
        };
        assert_eq!(game.battle_at(0, army, Place::City(1), attack), expected);
    }
}

#[test]
fn holder_of_an_oasis_has_its_morale() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 200, 0, 0]);
    let spears = Army::new([3, 0, 0, 0]);
    game.set_holding(Place::Oasis(0), Some(1), spears);
    let army = Army::new([0, 200, 0, 0]);
    let expected = Battle {
        // An oasis is always assaulted.
        attack: Attack::Assault,
        attacker: army,
        defender: spears,
        base: 100,
        wall: 0,
        morale: 3 * ONE / 2,
    };
    let battle = game.battle_at(0, army, Place::Oasis(0), Attack::Raid);
    assert_eq!(battle, expected);
    let free = Battle {
        defender: Army::NONE,
        morale: ONE,
        ..expected
    };
    let battle = game.battle_at(0, army, Place::Oasis(1), Attack::Raid);
    assert_eq!(battle, free);
}

#[test]
fn value_of_a_seat_is_the_cost_of_its_buildings_and_army() {
    let mut game = new_match(2);
    game.seat_mut(0).levels = Levels {
        fields: [1, 2, 0],
        barracks: 3,
        wall: 2,
        store: 3,
    };
    let fields = 150 + (150 + 240);
    let barracks = 160 + 260;
    let wall = 80 + 140;
    let store = 100 + 160;
    let spears = 4 * (30 + 10 + 20);
    assert_eq!(game.value(0), fields + barracks + wall + store + spears);
    assert_eq!(game.value(2), 0, "no such seat");
}
