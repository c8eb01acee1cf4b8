mod battles;
mod bounds;
mod diplomacy;
mod ends;
mod properties;
mod starvation;
mod stored;
mod throne;

use super::*;
use crate::crowns::battle::Attack;
use crate::crowns::order::{Order, Refusal};
use crate::crowns::rules::UnitKind;

/// A stamp at which matches of these tests begin.
const BEGAN: u64 = 1_000_000;

fn new_match(seats: u8) -> Crowns {
    Crowns::new(seats, 7, Rules::of_tests(), BEGAN).unwrap()
}

/// A stamp of a second of the match.
fn second(second: u64) -> u64 {
    BEGAN + second * SECOND
}

/// Gives a seat an army and grain for it.
fn give_army(game: &mut Crowns, seat: u8, counts: [u32; 4]) {
    game.settle(seat);
    let now = game.now;
    let own = game.seat_mut(seat);
    own.home = own.home.plus(&Army::new(counts));
    own.stock = Stock::new([2_000, 2_000, 50_000], now);
    game.tally.made += Army::new(counts).total();
    game.plan_starvation(seat);
}

fn assault(counts: [u32; 4], to: Place) -> Order {
    let army = Army::new(counts);
    let attack = Attack::Assault;
    Order::March { army, to, attack }
}

fn seat(game: &Crowns, seat: usize) -> &Seat {
    &game.seats()[seat]
}

fn stock(game: &Crowns, seat: u8) -> Resources {
    game.stock(seat).unwrap().amounts()
}

#[test]
fn field_costs_takes_time_and_produces_more() {
    let mut game = new_match(2);
    let wood = Building::Field(Resource::Wood);
    assert_eq!(game.order(0, &Order::Build(wood), second(0)), Ok(()));
    // 240 in wood, iron and grain, of 200 each.
    assert_eq!(stock(&game, 0), [80, 128, 152]);
    assert_eq!(seat(&game, 0).sites().0.unwrap().done, second(16));
    // 240 per minute, less four grain of the spears.
    assert_eq!(game.rates(0), [240, 240, 236]);
    game.advance(second(16));
    assert_eq!(seat(&game, 0).levels().fields, [2, 1, 1]);
    assert_eq!(game.rates(0), [330, 240, 236]);
    // 64 in the 16 seconds, and 110 in 20 more.
    game.advance(second(36));
    assert_eq!(stock(&game, 0)[0], 80 + 64 + 110);
}

#[test]
fn second_building_waits_and_is_given_up_first() {
    let mut game = new_match(2);
    let wall = Order::Build(Building::Wall);
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    let before = stock(&game, 0);
    assert_eq!(game.order(0, &wall, second(0)), Err(Refusal::SiteTaken));
    assert_eq!(game.order(0, &Order::CancelBuild, second(0)), Ok(()));
    assert_eq!(stock(&game, 0), [before[0] + 98, before[1] + 42, before[2]]);
    assert_eq!(game.order(0, &wall, second(0)), Ok(()));
    game.advance(second(7));
    assert_eq!(seat(&game, 0).levels().wall, 0);
    game.advance(second(8));
    assert_eq!(seat(&game, 0).levels().wall, 1);
    game.advance(second(8 + 16));
    assert_eq!(seat(&game, 0).levels().wall, 2);
    let nothing = game.order(0, &Order::CancelBuild, second(25));
    assert_eq!(nothing, Err(Refusal::NothingBuilt));
}

#[test]
fn units_are_trained_one_after_the_other() {
    let mut game = new_match(2);
    let train = |count| Order::Train(UnitKind::Spear, count);
    assert_eq!(game.order(0, &train(3), second(0)), Ok(()));
    assert_eq!(
        game.order(0, &train(0), second(0)),
        Err(Refusal::Number(200))
    );
    let riders = Order::Train(UnitKind::Rider, 1);
    assert_eq!(
        game.order(0, &riders, second(0)),
        Err(Refusal::SmallBarracks(2))
    );
    for (at, spears) in [(3, 4), (4, 5), (8, 6), (12, 7), (60, 7)] {
        game.advance(second(at));
        assert_eq!(
            seat(&game, 0).home().count(UnitKind::Spear),
            spears,
            "at {at} s"
        );
    }
}

#[test]
fn four_perfect_assaults_end_a_city_and_the_match() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 400, 0, 40]);
    game.seat_mut(1).levels.wall = 5;
    let time = game.march_time(0, Place::City(1), &Army::new([0, 1, 0, 1]));
    assert_eq!(time, Ok(60 * SECOND));
    for (wave, keep) in (1..).zip([70, 40, 10, 0]) {
        let army = [0, 80, 0, 8];
        let order = assault(army, Place::City(1));
        assert_eq!(game.order(0, &order, game.now()), Ok(()));
        game.advance(game.now() + 60 * SECOND);
        assert_eq!(seat(&game, 1).keep(), keep, "wave {wave}");
        assert_eq!(seat(&game, 1).levels().wall, 5 - wave);
    }
    let end = game.end().unwrap();
    assert_eq!((end.winner, end.reason), (Some(0), EndReason::LastKeep));
    assert_eq!(game.crowns(0), 100, "one for each hit point");
    assert_eq!(game.next_event(), None);
    let late = game.order(0, &Order::Concede, game.now() + 1);
    assert_eq!(late, Err(Refusal::Ended));
}

#[test]
fn smoking_keep_is_not_hit_again() {
    let mut game = new_match(3);
    for attacker in [0, 2] {
        give_army(&mut game, attacker, [0, 200, 0, 0]);
        let order = assault([0, 100, 0, 0], Place::City(1));
        assert_eq!(game.order(attacker, &order, second(1)), Ok(()));
    }
    game.advance(second(100));
    // Both arrived within 20 s.
    assert_eq!(seat(&game, 1).keep(), 85);
    let both = game.crowns(0) + game.crowns(2);
    assert_eq!(both, 15);
}

/// A battle can be won and cost the last attacker.
#[test]
fn attackers_who_all_die_hit_no_keep_and_take_no_loot() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 2, 0, 0]);
    game.seat_mut(1).home = Army::NONE;
    let army = Army::new([0, 2, 0, 0]);
    let preview = game.preview(0, army, Place::City(1), Attack::Assault);
    let preview = preview.unwrap();
    assert!(preview.result.is_won);
    assert_eq!(preview.result.attacker_lost, army);
    assert_eq!((preview.hit, preview.loot), (0, [0; 3]));
    let order = assault([0, 2, 0, 0], Place::City(1));
    assert_eq!(game.order(0, &order, second(1)), Ok(()));
    game.advance(second(100));
    assert_eq!(seat(&game, 1).keep(), 100);
    assert_eq!(seat(&game, 1).smokes_until(), BEGAN, "it does not smoke");
    assert_eq!((game.crowns(0), game.marches().len()), (0, 0));
    let battles = game
        .reports_since(0)
        .filter_map(|(_, report)| match report {
            Report::Battle(battle) => Some((battle.hit, battle.loot)),
            _ => None,
        });
    assert_eq!(battles.collect::<Vec<_>>(), [(0, [0; 3])]);
}

#[test]
fn raid_brings_loot_home_and_leaves_the_keep() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 0, 60, 0]);
    game.seat_mut(0).stock = Stock::new([100, 100, 500], BEGAN);
    let raid = Order::March {
        army: Army::new([0, 0, 60, 0]),
        to: Place::City(1),
        attack: Attack::Raid,
    };
    assert_eq!(game.order(0, &raid, second(0)), Ok(()));
    game.advance(second(24));
    // 200 and what 24 seconds produced, of which 50 are hidden. Its spears ate, and two were
    // killed.
    let (_, march) = game.marches().next().unwrap();
    assert!(march.returns);
    assert_eq!((march.leaves, march.arrives), (second(24), second(48)));
    assert_eq!(march.loot, [246, 246, 244]);
    // A fifth of the rider that was killed: 20 wood and 55 iron.
    assert_eq!(stock(&game, 1)[..2], [50 + 4, 50 + 11]);
    assert_eq!(seat(&game, 1).keep(), 100);
    game.advance(second(48));
    assert_eq!(game.marches().len(), 0);
    assert_eq!(stock(&game, 0)[..2], [100 + 192 + 246; 2]);
}

#[test]
fn throne_gives_crowns_from_its_taking_to_the_goal() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 100, 0, 0]);
    let march = |count| assault([0, count, 0, 0], Place::Throne);
    assert_eq!(game.order(0, &march(50), second(10)), Ok(()));
    game.advance(second(200));
    assert_eq!(
        seat(&game, 0).home().count(UnitKind::Axe),
        100,
        "closed: it returned"
    );
    assert_eq!(game.order(0, &march(50), second(300)), Ok(()));
    game.advance(second(321));
    let holding = game.holding(Place::Throne).unwrap();
    assert_eq!(holding.holder, Some(0));
    // (300 / 2,000) ^ 1.5 = 0.058 of 50.
    assert_eq!(holding.garrison, Army::new([0, 47, 0, 0]));
    game.advance(second(321 + 419));
    assert_eq!(game.end(), None);
    game.advance(second(321 + 420));
    let end = End {
        winner: Some(0),
        reason: EndReason::Crowns,
        at: second(741),
    };
    assert_eq!(game.end(), Some(end));
}

#[test]
fn throne_taken_from_another_gives_whole_seconds_to_each() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 20, 0, 0]);
    give_army(&mut game, 1, [0, 200, 0, 0]);
    let first = assault([0, 20, 0, 0], Place::Throne);
    assert_eq!(game.order(0, &first, second(300)), Ok(()));
    let second_one = assault([0, 200, 0, 0], Place::Throne);
    assert_eq!(game.order(1, &second_one, second(310) + 700), Ok(()));
    game.advance(second(800));
    // Held from 321 to 331.7 s, and from then on by the other one.
    assert_eq!(game.crowns(0), 10);
    let end = game.end().unwrap();
    assert_eq!((end.winner, end.at), (Some(1), second(331 + 420) + 700));
}

#[test]
fn oasis_produces_for_its_holder_until_it_is_lost() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 20, 0, 0]);
    give_army(&mut game, 1, [0, 200, 0, 0]);
    let oasis = Place::Oasis(0);
    assert_eq!(
        game.order(0, &assault([0, 20, 0, 0], oasis), second(0)),
        Ok(())
    );
    game.advance(second(100));
    let resource = game.map().oases[0].resource;
    game.seat_mut(0).stock = Stock::new([0; 3], game.now);
    let rate = game.rates(0)[resource as usize];
    assert_eq!(
        game.order(1, &assault([0, 200, 0, 0], oasis), second(100)),
        Ok(())
    );
    let lost = second(100) + game.march_time(1, oasis, &Army::new([0, 1, 0, 0])).unwrap();
    game.advance(lost);
    assert_eq!(game.holding(oasis).unwrap().holder, Some(1));
    let produced = u64::try_from(rate).unwrap() * (lost - second(100)) / 60_000;
    assert_eq!(stock(&game, 0)[resource as usize], produced);
}

#[test]
fn weaker_defender_has_the_morale_of_both_values() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 90, 0, 0]);
    let army = Army::new([0, 90, 0, 0]);
    let most = 3 * crate::crowns::arithmetic::ONE / 2;
    let morale = crate::crowns::arithmetic::morale(game.value(0), game.value(1), most);
    assert!(morale > crate::crowns::arithmetic::ONE);
    let battle = crate::crowns::battle::Battle {
        attack: Attack::Assault,
        attacker: army,
        defender: Army::new([60, 0, 0, 0]),
        base: 60,
        wall: 0,
        morale,
    };
    game.seat_mut(1).home = battle.defender;
    let morale = crate::crowns::arithmetic::morale(game.value(0), game.value(1), most);
    let expected = crate::crowns::battle::Battle { morale, ..battle };
    let expected = expected.fight(game.rules());
    assert_eq!(
        game.order(0, &assault([0, 90, 0, 0], Place::City(1)), second(0)),
        Ok(())
    );
    game.advance(second(42));
    let lost = army.minus(&game.army_of(0).minus(&Army::new([4, 0, 0, 0])).unwrap());
    assert_eq!(lost, Some(expected.attacker_lost));
}

#[test]
fn late_throne_gives_twice_as_much() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 50, 0, 0]);
    game.advance(second(600));
    give_army(&mut game, 0, [0; 4]);
    let march = assault([0, 50, 0, 0], Place::Throne);
    assert_eq!(game.order(0, &march, second(600) + 300), Ok(()));
    game.advance(second(1_200));
    // Taken at 621.3 s: 279 seconds with one crown up to 900.3 s, and 71 with two.
    let end = game.end().unwrap();
    assert_eq!(
        (end.winner, end.at),
        (Some(0), second(621 + 279 + 71) + 300)
    );
    assert_eq!(game.crowns(0), 421);
}

#[test]
fn garrison_of_an_oasis_works_until_it_is_called_home() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 20, 0, 0]);
    let own = game.map().seat(0).unwrap();
    let near = (0..4).find(|oasis| {
        let tile = game.map().tile(Place::Oasis(*oasis)).unwrap();
        tile.distance(own) <= 28
    });
    let oasis = Place::Oasis(near.unwrap());
    let before = game.rates(0);
    assert_eq!(
        game.order(0, &assault([0, 20, 0, 0], oasis), second(0)),
        Ok(())
    );
    game.advance(second(20));
    assert_eq!(game.holding(oasis).unwrap().holder, Some(0));
    let produced: i64 = game.rates(0).iter().sum::<i64>() - before.iter().sum::<i64>();
    let upkeep = i64::from(20 - game.army_of(0).count(UnitKind::Axe)) * 2;
    assert_eq!(produced, 60 + upkeep);
    assert_eq!(
        game.order(1, &Order::CallHome(oasis), second(20)),
        Err(Refusal::NoGarrison)
    );
    assert_eq!(game.order(0, &Order::CallHome(oasis), second(20)), Ok(()));
    assert_eq!(game.holding(oasis), Some(&Holding::default()));
    game.advance(second(40));
    assert_eq!(seat(&game, 0).home(), &game.army_of(0));
}

#[test]
fn march_that_turns_back_takes_as_long_as_it_took() {
    let mut game = new_match(2);
    let order = assault([4, 0, 0, 0], Place::City(1));
    assert_eq!(game.order(0, &order, second(0)), Ok(()));
    let march = game.marches().next().unwrap().0;
    let back = Order::TurnBack { march };
    assert_eq!(game.order(1, &back, second(15)), Err(Refusal::NoSuchMarch));
    assert_eq!(game.order(0, &back, second(15)), Ok(()));
    assert_eq!(game.order(0, &back, second(16)), Err(Refusal::NoSuchMarch));
    game.advance(second(29));
    assert!(seat(&game, 0).home().is_empty());
    game.advance(second(30));
    assert_eq!(seat(&game, 0).home().total(), 4);
    game.advance(second(100));
    assert_eq!(seat(&game, 1).home().total(), 4, "it never arrived");
    // Later than half of the way: the moment of its arrival passes on the way back.
    assert_eq!(game.order(0, &order, second(100)), Ok(()));
    let march = game.marches().next().unwrap().0;
    assert_eq!(
        game.order(0, &Order::TurnBack { march }, second(130)),
        Ok(())
    );
    game.advance(second(159));
    assert!(seat(&game, 0).home().is_empty());
    game.advance(second(160));
    assert_eq!(seat(&game, 0).home().total(), 4);
}

#[test]
fn army_without_grain_loses_a_unit_each_five_seconds() {
    let mut game = new_match(2);
    give_army(&mut game, 0, [0, 0, 400, 0]);
    game.seat_mut(0).stock = Stock::new([100, 100, 10], BEGAN);
    game.plan_starvation(0);
    game.seat_mut(0).keep = 50;
    // 240 - 4 - 1,200 per minute: ten grain last 0.6 s. Orders do not postpone it.
    for at in 1..=61 {
        let toggled = game.order(0, &Order::Repair(at % 2 == 0), second(at));
        assert_eq!(toggled, Ok(()));
    }
    // At 5, 10, ... and 60 s: not before five seconds of the match.
    assert_eq!(game.army_of(0).count(UnitKind::Rider), 400 - 12);
    assert_eq!(game.tally().lost, 12);
}

#[test]
fn whole_keep_is_not_repaired() {
    let mut game = new_match(2);
    let repair = Order::Repair(true);
    let refused = game.order(0, &repair, second(1));
    assert_eq!(refused, Err(Refusal::WholeKeep));
    game.seat_mut(0).keep = 99;
    assert_eq!(game.order(0, &repair, second(1)), Ok(()));
}

#[test]
fn march_without_units_or_to_no_place_is_refused_with_its_reason() {
    let mut game = new_match(2);
    for (order, refusal, text) in [
        (
            assault([1, 0, 0, 0], Place::Oasis(4)),
            Refusal::NoSuchOasis(4),
            "no such oasis; this map has 1 to 4",
        ),
        (
            assault([1, 0, 0, 0], Place::City(2)),
            Refusal::NoSuchCity(2),
            "no such city; this map has 1 to 2",
        ),
        (
            assault([1, 0, 0, 0], Place::City(0)),
            Refusal::OwnCity,
            "this is your own city",
        ),
        (
            assault([0; 4], Place::Throne),
            Refusal::NoUnits,
            "an army has at least one unit; name some",
        ),
    ] {
        assert_eq!(game.order(0, &order, second(1)), Err(refusal));
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn repair_takes_its_time_however_often_it_is_begun() {
    let mut game = new_match(2);
    game.seat_mut(0).keep = 50;
    for at in 0..20 {
        let begin = Order::Repair(at % 2 == 0);
        assert_eq!(game.order(0, &begin, second(at)), Ok(()));
    }
    assert!(!seat(&game, 0).is_repaired());
    assert_eq!(game.order(0, &Order::Repair(true), second(20)), Ok(()));
    assert!(seat(&game, 0).is_repaired());
    game.advance(second(39));
    assert_eq!(seat(&game, 0).keep(), 50);
    game.advance(second(60));
    assert_eq!(seat(&game, 0).keep(), 52);
    game.advance(second(1_000));
    let late = seat(&game, 0).keep();
    assert_eq!(
        late,
        50 + (900 - 20) / 20 - 1,
        "the last one would be at 900 s"
    );
    let refused = game.order(0, &Order::Repair(true), second(1_000));
    assert_eq!(refused, Err(Refusal::SuddenDeath));
}

#[test]
fn twenty_orders_at_once_and_then_ten_a_second() {
    let mut game = new_match(2);
    let order = Order::Repair(false);
    for _ in 0..20 {
        assert_eq!(game.order(0, &order, second(1)), Ok(()));
    }
    assert_eq!(game.order(0, &order, second(1)), Err(Refusal::TooFast));
    assert_eq!(game.order(1, &order, second(1)), Ok(()));
    assert_eq!(game.order(0, &order, second(1) + 99), Err(Refusal::TooFast));
    assert_eq!(game.order(0, &order, second(1) + 100), Ok(()));
}

/// Refused orders are entries of the log too.
#[test]
fn refused_orders_count_against_the_limit() {
    let mut game = new_match(3);
    let order = Order::CallHome(Place::Throne);
    for _ in 0..20 {
        assert_eq!(game.order(0, &order, second(1)), Err(Refusal::NoGarrison));
    }
    assert_eq!(game.order(0, &order, second(1)), Err(Refusal::TooFast));
    let allowed = Order::Repair(false);
    assert_eq!(game.order(0, &allowed, second(1)), Err(Refusal::TooFast));
    let later = second(1) + 100;
    assert_eq!(game.order(0, &order, later), Err(Refusal::NoGarrison));
    // A fallen seat has a limit as well.
    assert_eq!(game.order(0, &Order::Concede, second(2)), Ok(()));
    for _ in 0..8 {
        assert_eq!(game.order(0, &allowed, second(2)), Err(Refusal::Fallen));
    }
    assert_eq!(game.order(0, &allowed, second(2)), Err(Refusal::TooFast));
    assert_eq!(game.order(9, &allowed, second(2)), Err(Refusal::NoSeat));
}

#[test]
fn swap_gives_two_for_three_and_never_more() {
    let mut game = new_match(2);
    let swap = |amount, receive| Order::Swap {
        give: Resource::Wood,
        amount,
        receive,
    };
    assert_eq!(game.order(0, &swap(100, Resource::Iron), second(0)), Ok(()));
    assert_eq!(stock(&game, 0), [100, 266, 200]);
    let refused = [
        (swap(1, Resource::Iron), Refusal::TooLittle),
        (swap(0, Resource::Iron), Refusal::TooLittle),
        (swap(5, Resource::Wood), Refusal::SameResource),
        (
            swap(u64::MAX, Resource::Iron),
            Refusal::TooExpensive {
                resource: Resource::Wood,
                missing: u64::MAX - 100,
            },
        ),
    ];
    for (order, refusal) in refused {
        assert_eq!(game.order(0, &order, second(0)), Err(refusal));
    }
    game.seat_mut(0).stock = Stock::new([600, 590, 0], second(0));
    assert_eq!(
        game.order(0, &swap(300, Resource::Iron), second(0)),
        Err(Refusal::NoRoom)
    );
}
