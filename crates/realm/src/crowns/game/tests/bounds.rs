//! Bounds of a city and its armies.

use super::*;
use crate::crowns::order::{MAX_BATCHES, MAX_MARCHES, MAX_WAITING};

fn rich_match() -> Crowns {
    let mut game = new_match(2);
    let now = game.now;
    game.seat_mut(0).stock = Stock::new([50_000; 3], now);
    game
}

#[test]
fn building_ends_at_its_highest_level() {
    let mut game = rich_match();
    let wall = Order::Build(Building::Wall);
    let mut at = second(0);
    for level in 1..=5 {
        assert_eq!(game.order(0, &wall, at), Ok(()), "level {level}");
        at += 60 * SECOND;
    }
    assert_eq!(game.order(0, &wall, at), Err(Refusal::HighestLevel));
    assert_eq!(seat(&game, 0).levels().wall, 5);
    assert_eq!(game.building_cost(0, Building::Wall), None);
    // A level that is under way counts.
    let barracks = Order::Build(Building::Barracks);
    for level in 2..=4 {
        assert_eq!(game.order(0, &barracks, at), Ok(()), "level {level}");
        at += 60 * SECOND;
    }
    assert_eq!(game.order(0, &barracks, at), Ok(()));
    assert_eq!(game.order(0, &barracks, at), Err(Refusal::HighestLevel));
}

/// Twenty seconds: the largest window of a table at the largest speed of a match.
#[test]
fn fair_window_is_twenty_seconds_at_most() {
    for window in [MAX_WINDOW, MAX_WINDOW + 1, u64::MAX] {
        let mut game = new_match(2).with_fair_window(window);
        let wall = Order::Build(Building::Wall);
        assert_eq!(game.order(0, &wall, second(1)), Ok(()));
        game.advance(second(20) - 1);
        assert_eq!(seat(&game, 0).sites().0, None, "{window}");
        game.advance(second(20));
        assert!(seat(&game, 0).sites().0.is_some(), "{window}");
    }
}

#[test]
fn thirty_two_orders_of_a_seat_wait_in_one_window() {
    let mut game = new_match(2).with_fair_window(MAX_WINDOW);
    let order = Order::Repair(false);
    let mut at = second(0);
    for number in 0..MAX_WAITING {
        assert_eq!(game.order(0, &order, at), Ok(()), "order {number}");
        at += 100;
    }
    assert_eq!(game.order(0, &order, at), Err(Refusal::TooFast));
    assert_eq!(game.order(1, &order, at), Ok(()));
    assert_eq!(game.order(0, &order, second(20)), Ok(()));
}

#[test]
fn cost_of_the_next_level_follows_those_under_way() {
    let mut game = rich_match();
    assert_eq!(game.building_cost(0, Building::Wall), Some([56, 24, 0]));
    let wall = Order::Build(Building::Wall);
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    assert_eq!(game.building_cost(0, Building::Wall), Some([98, 42, 0]));
    assert_eq!(game.building_cost(0, Building::Store), Some([70, 20, 10]));
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    assert_eq!(game.building_cost(0, Building::Store), None, "one waits");
}

#[test]
fn repair_ends_at_the_whole_keep() {
    let (mut game, mut without) = (new_match(2), new_match(2));
    game.seat_mut(0).keep = 99;
    assert_eq!(game.order(0, &Order::Repair(true), second(0)), Ok(()));
    for at in [second(20), second(80)] {
        game.advance(at);
        without.advance(at);
        assert_eq!(seat(&game, 0).keep(), 100);
        assert_eq!(stock(&game, 0)[0], stock(&without, 0)[0] - 5);
    }
}

#[test]
fn barracks_have_eight_batches_at_most() {
    let mut game = rich_match();
    let train = Order::Train(UnitKind::Spear, 100);
    for _ in 0..MAX_BATCHES {
        assert_eq!(game.order(0, &train, second(0)), Ok(()));
    }
    assert_eq!(game.order(0, &train, second(0)), Err(Refusal::BusyBarracks));
    assert_eq!(seat(&game, 0).batches().len(), MAX_BATCHES);
    let too_many = Order::Train(UnitKind::Spear, 201);
    assert_eq!(
        game.order(0, &too_many, second(0)),
        Err(Refusal::Number(200))
    );
}

#[test]
fn march_needs_its_units_and_is_one_of_thirty_two() {
    let mut game = rich_match();
    let march = |spears| assault([spears, 0, 0, 0], Place::City(1));
    assert_eq!(
        game.order(0, &march(5), second(0)),
        Err(Refusal::NoSuchUnits)
    );
    assert_eq!(game.order(0, &march(0), second(0)), Err(Refusal::NoUnits));
    give_army(&mut game, 0, [100, 0, 0, 0]);
    let mut at = second(1);
    for number in 0..MAX_MARCHES {
        assert_eq!(game.order(0, &march(1), at), Ok(()), "march {number}");
        at += 100;
    }
    assert_eq!(game.order(0, &march(1), at), Err(Refusal::TooManyMarches));
    // A garrison on its way home is a march as well.
    game.set_holding(Place::Oasis(0), Some(0), Army::new([1, 0, 0, 0]));
    game.tally.made += 1;
    let call = Order::CallHome(Place::Oasis(0));
    assert_eq!(game.order(0, &call, at), Err(Refusal::TooManyMarches));
    game.advance(second(120));
    assert_eq!(game.order(0, &call, second(120)), Ok(()));
}
