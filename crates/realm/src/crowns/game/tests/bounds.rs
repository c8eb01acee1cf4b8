//! Bounds of a city and its armies.

use super::*;
use crate::crowns::order::{MAX_BATCHES, MAX_MARCHES};

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
