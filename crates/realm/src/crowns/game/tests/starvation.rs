//! Armies without grain.

use super::*;

/// A match in which the seat 0 has this army and this much grain.
fn match_with(counts: [u32; 4], grain: u64) -> Crowns {
    let mut game = new_match(2);
    give_army(&mut game, 0, counts);
    game.seat_mut(0).stock = Stock::new([0, 0, grain], BEGAN);
    game.plan_starvation(0);
    game
}

#[test]
fn first_unit_starves_when_the_grain_is_used_up() {
    // 240 - 4 - 1,200 per minute: a quarter of a minute.
    let mut game = match_with([0, 0, 400, 0], 241);
    for (at, riders) in [
        (second(15) - 1, 400),
        (second(15), 399),
        (second(20) - 1, 399),
        (second(20), 398),
    ] {
        game.advance(at);
        assert_eq!(game.army_of(0).count(UnitKind::Rider), riders, "at {at}");
    }
}

#[test]
fn unit_under_way_starves_if_no_garrison_has_its_kind() {
    let mut game = match_with([0, 200, 0, 0], 0);
    let oasis = Place::Oasis(0);
    game.set_holding(oasis, Some(0), Army::new([3, 0, 0, 0]));
    let march = assault([0, 200, 0, 0], Place::City(1));
    assert_eq!(game.order(0, &march, second(0)), Ok(()));
    game.advance(second(5));
    let (_, march) = game.marches().next().unwrap();
    assert_eq!(march.army, Army::new([0, 199, 0, 0]));
    assert_eq!(game.tally().lost, 1);
    let garrison = game.holding(oasis).unwrap().garrison;
    assert_eq!(garrison, Army::new([3, 0, 0, 0]));
}

#[test]
fn unit_of_the_largest_own_garrison_starves() {
    let mut game = match_with([0; 4], 0);
    for (oasis, holder, axes) in [(0, 0, 150), (1, 0, 151), (2, 1, 152)] {
        game.set_holding(
            Place::Oasis(oasis),
            Some(holder),
            Army::new([0, axes, 0, 0]),
        );
    }
    game.seat_mut(1).stock = Stock::new([0, 0, 5_000], BEGAN);
    game.plan_starvation(1);
    // The last one of two with the same count.
    for (at, left) in [(5, [150, 150]), (10, [150, 149]), (15, [149, 149])] {
        game.advance(second(at));
        let axes = game
            .oases
            .iter()
            .map(|oasis| oasis.garrison.count(UnitKind::Axe));
        let axes: Vec<_> = axes.take(3).collect();
        assert_eq!(axes, [left[0], left[1], 152], "at {at} s");
    }
    assert_eq!(game.tally().lost, 3);
}

/// Only a stored match can have such an event.
#[test]
fn seat_without_units_does_not_starve() {
    let mut game = match_with([0; 4], 0);
    game.seat_mut(0).home = Army::NONE;
    game.schedule
        .insert((second(0), 0, 0), Event::Starved { seat: 0 });
    game.advance(second(0));
    assert_eq!((game.next_report(), game.tally().lost), (0, 0));
}
