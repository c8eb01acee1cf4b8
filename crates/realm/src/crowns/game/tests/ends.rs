//! The fall of a city and the end of a match.

use super::*;

#[test]
fn fallen_city_gives_no_orders_and_is_not_attacked() {
    let mut game = new_match(3);
    let attack = assault([1, 0, 0, 0], Place::City(2));
    assert_eq!(game.order(0, &attack, second(0)), Ok(()));
    let train = Order::Train(UnitKind::Spear, 2);
    assert_eq!(game.order(2, &train, second(1)), Ok(()));
    assert_eq!(game.order(2, &Order::Concede, second(1)), Ok(()));
    assert_eq!(game.end(), None);
    assert_eq!(
        game.order(2, &Order::Repair(true), second(2)),
        Err(Refusal::Fallen)
    );
    assert_eq!(game.order(0, &attack, second(2)), Err(Refusal::FallenPlace));
    game.advance(second(200));
    assert_eq!(seat(&game, 0).home().total(), 4, "the march came home");
    assert!(
        game.army_of(2).is_empty(),
        "units are trained in a fallen city"
    );
    assert_eq!(game.order(1, &Order::Concede, second(201)), Ok(()));
    assert_eq!(game.end().unwrap().winner, Some(0));
}

#[test]
fn fallen_city_leaves_its_own_garrisons_only() {
    let mut game = new_match(3);
    let garrison = Army::new([2, 0, 0, 0]);
    for (place, holder) in [
        (Place::Oasis(0), 0),
        (Place::Oasis(1), 1),
        (Place::Throne, 2),
    ] {
        game.set_holding(place, Some(holder), garrison);
    }
    assert_eq!(game.order(0, &Order::Concede, second(1)), Ok(()));
    assert_eq!(game.holding(Place::Oasis(0)), Some(&Holding::default()));
    for (place, holder) in [(Place::Oasis(1), 1), (Place::Throne, 2)] {
        let held = Holding {
            holder: Some(holder),
            garrison,
        };
        assert_eq!(game.holding(place), Some(&held));
    }
}

/// Only a stored match can be like this: a match that is played ends with the last city but one.
#[test]
fn match_without_a_city_is_a_draw() {
    let mut game = new_match(2);
    for seat in 0..2 {
        game.seat_mut(seat).keep = 0;
    }
    let hello = Order::Say(crate::crowns::Words::Phrase(crate::crowns::Phrase::Hello));
    assert_eq!(game.order(0, &hello, second(1)), Ok(()));
    let end = End {
        winner: None,
        reason: EndReason::LastKeep,
        at: second(1),
    };
    assert_eq!(game.end(), Some(end));
}

#[test]
fn most_crowns_and_keep_win_when_the_time_is_over() {
    let mut game = new_match(2);
    game.advance(second(1_199));
    assert_eq!((game.end(), game.elapsed()), (None, 1_199 * SECOND));
    let mut hurt = game.clone();
    game.advance(second(1_200));
    let end = game.end().unwrap();
    assert_eq!(
        (end.winner, end.reason),
        (None, EndReason::Time),
        "equal seats draw"
    );
    hurt.seat_mut(0).keep = 99;
    hurt.advance(second(1_200));
    assert_eq!(hurt.end().unwrap().winner, Some(1));
}

#[test]
fn absurd_stamp_ends_the_match_and_nothing_else() {
    let mut game = new_match(2);
    let late = game.order(0, &Order::Repair(true), u64::MAX);
    assert_eq!(late, Err(Refusal::Ended));
    assert_eq!(game.end().unwrap().at, second(1_200));
    let mut game = Crowns::new(2, 7, Rules::of_tests(), u64::MAX).unwrap();
    game.advance(u64::MAX);
    assert_eq!(game.end().unwrap().reason, EndReason::Time);
}

/// Nothing grows and nothing happens after the end. Players still talk, at the same rate.
#[test]
fn match_stands_still_after_its_end() {
    let mut game = new_match(2);
    let train = Order::Train(UnitKind::Spear, 2);
    assert_eq!(game.order(0, &train, second(1)), Ok(()));
    assert_eq!(game.order(1, &Order::Concede, second(2)), Ok(()));
    let (end, before) = (game.end().unwrap().at, game.clone());
    game.advance(second(600));
    assert_eq!(game.order(0, &train, second(700)), Err(Refusal::Ended));
    assert_eq!(game.state_hash(), before.state_hash());
    assert_eq!((game.now(), stock(&game, 0)), (end, stock(&before, 0)));
    let hello = Order::Say(crate::crowns::Words::Phrase(crate::crowns::Phrase::Hello));
    for at in [second(800), second(900)] {
        for _ in 0..20 {
            assert_eq!(game.order(1, &hello, at), Ok(()));
        }
        assert_eq!(game.order(1, &hello, at), Err(Refusal::TooFast));
    }
    assert_eq!((game.now(), stock(&game, 0)), (end, stock(&before, 0)));
}

/// The state of a fixed match is the same on every machine.
#[test]
fn fixed_match_ends_in_the_known_state() {
    let mut game = new_match(4);
    for at in 0..600 {
        let seat = u8::try_from(at % 4).unwrap();
        let order = match at / 4 % 5 {
            0 => Order::Build(Building::Field(Resource::Grain)),
            1 | 3 => Order::Train(UnitKind::Axe, 2),
            2 => assault([0, 4, 0, 0], Place::Oasis(seat * 2)),
            _ => assault([0, 3, 0, 0], Place::City((seat + 1) % 4)),
        };
        // What is refused is refused everywhere.
        let _ = game.order(seat, &order, second(at));
    }
    assert_eq!(format!("{:016x}", game.state_hash()), "ea23238a09b3617f");
}
