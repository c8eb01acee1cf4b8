//! Pacts, gifts, messages and fair windows.

use super::*;
use crate::crowns::order::{MAX_CARAVANS, PactOrder};
use crate::crowns::report::{PactChange, Phrase, Text, Words};

fn pact(with: u8, order: PactOrder) -> Order {
    Order::Pact { with, order }
}

fn agree(game: &mut Crowns, one: u8, other: u8, at: u64) {
    assert_eq!(game.order(one, &pact(other, PactOrder::Offer), at), Ok(()));
    assert_eq!(game.order(other, &pact(one, PactOrder::Accept), at), Ok(()));
    assert!(game.are_at_peace(one, other));
}

fn last_report(game: &Crowns) -> Report {
    let reports = game.reports_since(game.next_report() - 1);
    reports.map(|(_, report)| report.clone()).next().unwrap()
}

fn over(one: u8, other: u8) -> Report {
    Report::Pact {
        seat: one,
        with: other,
        change: PactChange::Over,
    }
}

#[test]
fn pact_forbids_marches_until_its_notice_is_over() {
    let mut game = new_match(3);
    give_army(&mut game, 0, [0, 50, 0, 0]);
    let attack = assault([0, 10, 0, 0], Place::City(1));
    // One is under way when the pact is made: it returns without a battle.
    assert_eq!(game.order(0, &attack, second(1)), Ok(()));
    agree(&mut game, 0, 1, second(2));
    assert_eq!(game.order(0, &attack, second(3)), Err(Refusal::AtPeace));
    let on_other = assault([0, 10, 0, 0], Place::City(2));
    assert_eq!(game.order(0, &on_other, second(3)), Ok(()));
    game.advance(second(110));
    assert_eq!(seat(&game, 1).keep(), 100);
    assert!(seat(&game, 2).keep() < 100);

    assert_eq!(game.order(1, &pact(0, PactOrder::End), second(200)), Ok(()));
    assert_eq!(
        game.order(0, &attack, second(229)),
        Err(Refusal::PactEnding(second(230))),
        "30 s of notice"
    );
    game.advance(second(230));
    assert_eq!(last_report(&game), over(0, 1));
    assert_eq!(game.order(0, &attack, second(230)), Ok(()));
}

#[test]
fn oasis_of_a_partner_is_not_attacked() {
    let mut game = new_match(3);
    for one in [0, 1] {
        give_army(&mut game, one, [0, 30, 0, 0]);
    }
    let place = Place::Oasis(0);
    let take = assault([0, 10, 0, 0], place);
    assert_eq!(game.order(1, &take, second(1)), Ok(()));
    game.advance(second(100));
    assert_eq!(game.holding(place).unwrap().holder, Some(1));
    agree(&mut game, 0, 1, second(100));
    assert_eq!(game.order(0, &take, second(101)), Err(Refusal::AtPeace));
}

#[test]
fn every_wrong_change_of_a_pact_is_refused() {
    let mut game = new_match(3);
    let mut change = |seat, with, order| game.order(seat, &pact(with, order), second(1));
    assert_eq!(change(0, 0, PactOrder::Offer), Err(Refusal::OwnSeat));
    assert_eq!(change(0, 3, PactOrder::Offer), Err(Refusal::NoSeat));
    assert_eq!(change(0, 1, PactOrder::Accept), Err(Refusal::NoOffer));
    assert_eq!(change(0, 1, PactOrder::End), Err(Refusal::NoPact));
    assert_eq!(change(0, 1, PactOrder::Offer), Ok(()));
    assert_eq!(change(0, 1, PactOrder::Offer), Err(Refusal::SamePact));
    assert_eq!(change(0, 1, PactOrder::Accept), Err(Refusal::NoOffer));
    assert_eq!(change(1, 0, PactOrder::End), Ok(()), "declined");
    assert_eq!(change(1, 0, PactOrder::Accept), Err(Refusal::NoOffer));
    assert_eq!(change(0, 1, PactOrder::Offer), Ok(()));
    assert_eq!(
        change(1, 0, PactOrder::Offer),
        Ok(()),
        "two offers are a pact"
    );
    assert_eq!(change(1, 0, PactOrder::Offer), Err(Refusal::SamePact));
    assert_eq!(change(0, 1, PactOrder::End), Ok(()));
    assert_eq!(
        change(0, 1, PactOrder::End),
        Err(Refusal::NoPact),
        "ends already"
    );
}

#[test]
fn last_two_cities_have_no_pact() {
    let mut game = new_match(2);
    let offer = game.order(0, &pact(1, PactOrder::Offer), second(1));
    assert_eq!(offer, Err(Refusal::TwoLeft));
    let mut game = new_match(3);
    agree(&mut game, 0, 1, second(1));
    assert_eq!(game.order(2, &Order::Concede, second(2)), Ok(()));
    assert!(!game.are_at_peace(0, 1));
    let offer = game.order(0, &pact(2, PactOrder::Offer), second(3));
    assert_eq!(offer, Err(Refusal::FallenPlace));
}

/// The crowns of the Throne's holder count up to the moment of the offer.
#[test]
fn holder_close_to_victory_is_offered_no_pact() {
    let mut game = new_match(3);
    give_army(&mut game, 0, [0, 60, 0, 0]);
    let march = assault([0, 60, 0, 0], Place::Throne);
    assert_eq!(game.order(0, &march, second(300)), Ok(()));
    let axes = Army::new([0, 1, 0, 0]);
    let taken = second(300) + game.march_time(0, Place::Throne, &axes).unwrap();
    let offer = pact(0, PactOrder::Offer);
    let early = game.order(1, &offer, taken + 239 * SECOND);
    assert_eq!(early, Ok(()));
    let late = game.order(2, &offer, taken + 241 * SECOND);
    assert_eq!(late, Err(Refusal::CloseToVictory));
    let accepted = game.order(0, &pact(1, PactOrder::Accept), taken + 241 * SECOND);
    assert_eq!(accepted, Err(Refusal::CloseToVictory));
}

#[test]
fn seat_close_to_victory_loses_its_pacts() {
    let mut game = new_match(3);
    give_army(&mut game, 0, [0, 60, 0, 0]);
    agree(&mut game, 0, 1, second(1));
    assert_eq!(
        game.order(0, &assault([0, 60, 0, 0], Place::Throne), second(300)),
        Ok(())
    );
    // 80 % of 300 crowns, of which the Throne gives one a second.
    let taken = second(300)
        + game
            .march_time(0, Place::Throne, &Army::new([0, 1, 0, 0]))
            .unwrap();
    game.advance(taken + 240 * SECOND - 1);
    assert!(game.are_at_peace(0, 1));
    game.advance(taken + 240 * SECOND);
    assert!(!game.are_at_peace(0, 1));
    assert_eq!(last_report(&game), over(0, 1));
    for (one, other) in [(0, 1), (1, 0)] {
        let offer = game.order(one, &pact(other, PactOrder::Offer), game.now());
        assert_eq!(offer, Err(Refusal::CloseToVictory));
    }
    game.advance(taken + 300 * SECOND);
    assert_eq!(game.end().unwrap().winner, Some(0));
}

/// The pact is made after the Throne was taken, so its end is planned anew.
#[test]
fn pact_made_by_the_holder_of_the_throne_ends_close_to_victory() {
    for (holder, partner) in [(0, 1), (1, 0)] {
        let mut game = new_match(3);
        game.advance(second(300));
        game.set_holding(Place::Throne, Some(holder), Army::new([2, 0, 0, 0]));
        agree(&mut game, holder, partner, second(310));
        game.advance(second(300 + 240) - 1);
        assert!(game.are_at_peace(0, 1));
        game.advance(second(300 + 240));
        assert!(!game.are_at_peace(0, 1));
        game.advance(second(300 + 300));
        assert_eq!(game.end().unwrap().winner, Some(holder));
    }
}

#[test]
fn pact_of_two_others_lasts_to_the_victory_of_the_holder() {
    let mut game = new_match(3);
    game.advance(second(300));
    agree(&mut game, 0, 1, second(300));
    game.set_holding(Place::Throne, Some(2), Army::new([2, 0, 0, 0]));
    game.advance(second(300 + 300));
    assert_eq!(game.end().unwrap().winner, Some(2));
    assert!(game.are_at_peace(0, 1));
}

#[test]
fn gift_arrives_up_to_the_room_of_the_receiver() {
    let mut game = new_match(2);
    let give = |goods| Order::Give { to: 1, goods };
    let before = stock(&game, 0);
    assert_eq!(game.order(0, &give([100, 0, 30]), second(0)), Ok(()));
    assert_eq!(
        stock(&game, 0),
        [before[0] - 100, before[1], before[2] - 30]
    );
    // Six tiles of five seconds.
    let mut without = new_match(2);
    for (at, gift) in [(second(30) - 1, 0), (second(30), 100)] {
        game.advance(at);
        without.advance(at);
        assert_eq!(stock(&game, 1)[0], stock(&without, 1)[0] + gift);
    }
    let gift = Report::Gift {
        from: 0,
        to: 1,
        goods: [100, 0, 30],
    };
    assert_eq!(last_report(&game), gift);
}

#[test]
fn gift_for_a_fallen_city_comes_back() {
    let mut game = new_match(3);
    let give = Order::Give {
        to: 1,
        goods: [100, 0, 0],
    };
    assert_eq!(game.order(0, &give, second(0)), Ok(()));
    let arrives = game.caravans().next().unwrap().1.arrives;
    assert_eq!(game.order(1, &Order::Concede, second(5)), Ok(()));
    game.advance(arrives);
    let (_, caravan) = game.caravans().next().unwrap();
    assert_eq!((caravan.returns, caravan.leaves), (true, arrives));
    let back = arrives + (arrives - second(0));
    let mut without = new_match(3);
    for (at, missing) in [(back - 1, 100), (back, 0)] {
        game.advance(at);
        without.advance(at);
        assert_eq!(stock(&game, 0)[0], stock(&without, 0)[0] - missing);
    }
    assert_eq!(game.caravans().len(), 0);
}

#[test]
fn goods_that_reach_no_city_are_lost() {
    let mut game = new_match(4);
    let give = |goods| Order::Give { to: 1, goods };
    assert_eq!(game.order(0, &give([50, 0, 7]), second(0)), Ok(()));
    assert_eq!(game.order(0, &give([20, 3, 0]), second(1)), Ok(()));
    for seat in [1, 0] {
        assert_eq!(game.order(seat, &Order::Concede, second(5)), Ok(()));
    }
    game.advance(second(200));
    assert_eq!(game.caravans().len(), 0);
    assert_eq!(game.tally().lost_goods, [70, 3, 7]);
}

#[test]
fn every_wrong_gift_is_refused() {
    let mut game = new_match(3);
    let mut give = |to, goods| game.order(0, &Order::Give { to, goods }, second(1));
    assert_eq!(give(0, [1, 0, 0]), Err(Refusal::OwnSeat));
    assert_eq!(give(3, [1, 0, 0]), Err(Refusal::NoSeat));
    assert_eq!(give(1, [0; 3]), Err(Refusal::NoGoods));
    let dear = give(1, [0, 0, u64::MAX]);
    assert!(matches!(dear, Err(Refusal::TooExpensive { .. })));
    for _ in 0..MAX_CARAVANS {
        assert_eq!(give(1, [1, 0, 0]), Ok(()));
    }
    assert_eq!(give(1, [1, 0, 0]), Err(Refusal::TooManyCaravans));
    let mut game = new_match(3);
    assert_eq!(game.order(1, &Order::Concede, second(1)), Ok(()));
    let give = Order::Give {
        to: 1,
        goods: [1; 3],
    };
    assert_eq!(game.order(0, &give, second(1)), Err(Refusal::FallenPlace));
}

#[test]
fn messages_are_heard_from_the_fallen_and_after_the_end() {
    let mut game = new_match(2);
    let hello = Order::Say(Words::Phrase(Phrase::WellPlayed));
    assert_eq!(game.order(0, &Order::Concede, second(1)), Ok(()));
    assert!(game.end().is_some());
    assert_eq!(game.order(0, &hello, second(2)), Ok(()));
    let words = Words::Phrase(Phrase::WellPlayed);
    assert_eq!(last_report(&game), Report::Said { seat: 0, words });
    let words = Words::Text(Text::try_from("again?".to_owned()).unwrap());
    assert_eq!(game.order(1, &Order::Say(words.clone()), second(2)), Ok(()));
    assert_eq!(last_report(&game), Report::Said { seat: 1, words });
    let ping = |x| Order::Ping(crate::crowns::Tile { x, y: 0 });
    assert_eq!(game.order(1, &ping(4), second(2)), Ok(()));
    assert_eq!(game.order(1, &ping(5), second(2)), Err(Refusal::OffMap(4)));
    assert_eq!(
        Refusal::PactEnding(630_000).to_string(),
        "the pact is ending and forbids it until 10:30"
    );
    let many = (0..30).map(|_| game.order(1, &hello, second(2)));
    assert!(many.into_iter().any(|said| said == Err(Refusal::TooFast)));
}

/// Which seat is first in a window follows from the seed alone, and each seat's own orders keep their
/// order.
#[test]
fn orders_of_one_window_do_not_depend_on_whose_came_first() {
    let first_seat = |seed: u64, sequence: [u8; 2]| {
        let rules = Rules::of_tests();
        let mut game = Crowns::new(2, seed, rules, BEGAN)
            .unwrap()
            .with_fair_window(200);
        let before = stock(&game, 0);
        for seat in sequence {
            for _ in 0..2 {
                let wall = Order::Build(Building::Wall);
                assert_eq!(game.order(seat, &wall, BEGAN + 10), Ok(()));
            }
            let cancel = Order::CancelBuild;
            assert_eq!(game.order(seat, &cancel, BEGAN + 20), Ok(()));
        }
        game.advance(BEGAN + 199);
        assert_eq!(
            stock(&game, 0),
            before,
            "performed at the end of the window"
        );
        game.advance(BEGAN + 200);
        let refused = game.reports_since(0);
        let refused = refused.filter(|(_, report)| matches!(report, Report::Refused { .. }));
        assert_eq!(
            refused.count(),
            0,
            "a building is given up after it was begun"
        );
        let sites = [0, 1].map(|one| seat(&game, one).sites());
        assert!(sites.iter().all(|(_, waiting)| waiting.is_none()));
        sites[0].0.unwrap().number < sites[1].0.unwrap().number
    };
    let first: Vec<bool> = (0..40)
        .map(|seed| {
            let first = first_seat(seed, [0, 1]);
            assert_eq!(first_seat(seed, [1, 0]), first, "seed {seed}");
            first
        })
        .collect();
    assert!(first.contains(&true) && first.contains(&false));
}

/// Who concedes does not leave the Throne to a friend: its guard returns.
#[test]
fn conceded_throne_is_guarded_again() {
    let mut game = new_match(3);
    give_army(&mut game, 0, [0, 60, 0, 0]);
    let march = assault([0, 60, 0, 0], Place::Throne);
    assert_eq!(game.order(0, &march, second(300)), Ok(()));
    game.advance(second(400));
    assert_eq!(game.holding(Place::Throne).unwrap().holder, Some(0));
    assert!(!game.is_throne_guarded());
    assert_eq!(game.order(0, &Order::Concede, second(400)), Ok(()));
    assert!(game.is_throne_guarded());
}

#[test]
fn building_that_is_given_up_returns_a_share() {
    let rules = Rules::of_this_build();
    assert_eq!(rules.building.refund_percent, 80);
    let mut game = Crowns::new(2, 7, rules, BEGAN).unwrap();
    let wall = Order::Build(Building::Wall);
    let before = stock(&game, 0);
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    assert_eq!(game.order(0, &Order::CancelBuild, second(0)), Ok(()));
    // 56 wood and 24 iron were paid.
    assert_eq!(stock(&game, 0), [before[0] - 12, before[1] - 5, before[2]]);
}

#[test]
fn order_refused_at_the_end_of_its_window_is_reported() {
    let mut game = new_match(2).with_fair_window(200);
    let order = Order::CallHome(Place::Throne);
    assert_eq!(game.order(1, &order, BEGAN + 250), Ok(()));
    game.advance(BEGAN + 400);
    let refusal = Refusal::NoGarrison;
    assert_eq!(
        last_report(&game),
        Report::Refused {
            seat: 1,
            order,
            refusal
        }
    );
    // The rate limit counts when the order comes.
    let many: Vec<_> = (0..40)
        .map(|_| game.order(0, &Order::Repair(false), BEGAN + 401))
        .collect();
    assert_eq!(many[0], Ok(()));
    assert_eq!(many[39], Err(Refusal::TooFast));
}

#[test]
fn handicap_changes_what_fields_produce() {
    let game = new_match(2).with_production(1, 150);
    assert_eq!(game.rates(0), [240, 240, 236]);
    assert_eq!(game.rates(1), [360, 360, 356]);
}
