//! Stored matches that the rules cannot work with.

use super::check::{MAX, MAX_GOODS, MAX_ITEMS, MAX_UNITS};
use super::seat::Waiting;
use super::*;
use crate::crowns::order::{MAX_BATCH, MAX_BATCHES, PactOrder};

/// Changes one thing in a stored match.
type Tamper = fn(&mut Crowns);

/// A match with marches, a caravan, a pact, a garrison and a waiting order.
fn busy() -> Crowns {
    let mut game = new_match(3).with_fair_window(200);
    give_army(&mut game, 0, [50, 50, 50, 50]);
    let pact = |with| Order::Pact {
        with,
        order: PactOrder::Offer,
    };
    let give = Order::Give {
        to: 2,
        goods: [1, 2, 3],
    };
    for (seat, order) in [
        (0, assault([0, 10, 0, 0], Place::Oasis(0))),
        (0, assault([0, 10, 0, 0], Place::City(2))),
        (0, Order::Train(UnitKind::Axe, 5)),
        (0, pact(1)),
        (1, pact(0)),
        (1, give),
        (1, Order::Build(Building::Wall)),
        (2, Order::Build(Building::Barracks)),
        (2, Order::Build(Building::Wall)),
    ] {
        assert_eq!(game.order(seat, &order, second(1)), Ok(()));
    }
    game.advance(second(18));
    game.seat_mut(1).keep -= 10;
    assert_eq!(game.order(1, &Order::Repair(true), second(18)), Ok(()));
    assert!(game.holding(Place::Oasis(0)).unwrap().holder.is_some());
    assert!(game.are_at_peace(0, 1) && game.caravans().len() == 1);
    game
}

fn first_march(game: &mut Crowns) -> &mut March {
    game.marches.values_mut().next().unwrap()
}

fn first_caravan(game: &mut Crowns) -> &mut Caravan {
    game.caravans.values_mut().next().unwrap()
}

fn restored(game: &Crowns) -> Result<Crowns, postcard::Error> {
    postcard::from_bytes(&postcard::to_stdvec(game).unwrap())
}

#[test]
fn stored_match_is_restored_equal() {
    let game = busy();
    assert_eq!(restored(&game).unwrap(), game);
}

#[test]
fn every_impossible_match_is_refused() {
    let tampers: &[(&str, Tamper)] = &[
        ("the rules", |game| game.rules.market.give = 0),
        ("the map", |game| game.map.seats.swap(0, 1)),
        ("the seed", |game| game.seed += 1),
        ("an oasis", |game| game.oases.truncate(5)),
        ("a seat", |game| game.seats.truncate(2)),
        ("began", |game| game.began = game.now + 1),
        ("now", |game| game.now = 1 << 63),
        ("the time after the end", |game| {
            game.end = Some(End {
                winner: None,
                reason: EndReason::Time,
                at: game.now - 1,
            });
        }),
        ("the window", |game| game.window = MAX_WINDOW + 1),
        ("settled", |game| game.throne.settled = game.now + 1),
        ("next", |game| game.next = u64::MAX),
        ("the goal", |game| game.throne.goal = u64::MAX),
        ("the tally", |game| game.tally.lost = game.tally.made + 1),
        ("lost goods", |game| game.tally.lost_goods[1] = u64::MAX),
        ("an army", |game| {
            game.seats[0].home = Army::new([u32::MAX, 0, 0, 0])
        }),
        ("a garrison", |game| {
            game.oases[0].garrison = Army::new([0, u32::MAX, 0, 0])
        }),
        ("a field", |game| game.seats[0].levels.fields[2] = 6),
        ("a wall", |game| game.seats[0].levels.wall = 6),
        ("barracks", |game| game.seats[0].levels.barracks = 0),
        ("a store", |game| game.seats[0].levels.store = 6),
        ("a keep", |game| game.seats[0].keep = 101),
        ("crowns", |game| game.seats[0].crowns = u64::MAX),
        ("production", |game| game.seats[0].production = 401),
        ("allowed", |game| game.seats[0].allowed_at = game.now + 1),
        ("allowance", |game| game.seats[0].allowance = u64::MAX),
        ("starved", |game| game.seats[0].starved_at = game.now + 1),
        ("a batch", |game| {
            game.seats[0].batches.push_back((UnitKind::Ram, 0))
        }),
        ("a large batch", |game| {
            game.seats[0].batches.push_back((UnitKind::Ram, 201))
        }),
        ("batches", |game| {
            game.seats[0].batches = vec![(UnitKind::Ram, 1); 9].into()
        }),
        ("a holder", |game| game.oases[0].holder = Some(3)),
        ("no holder", |game| game.oases[0].holder = None),
        ("no garrison", |game| game.oases[0].garrison = Army::NONE),
        ("a march's seat", |game| first_march(game).seat = 3),
        ("a march's place", |game| {
            first_march(game).place = Place::Oasis(6)
        }),
        ("a march's army", |game| first_march(game).army = Army::NONE),
        ("a march's start", |game| {
            first_march(game).leaves = u64::MAX
        }),
        ("a march's loot", |game| {
            first_march(game).loot[0] = u64::MAX
        }),
        ("a caravan's giver", |game| first_caravan(game).from = 3),
        ("a caravan's receiver", |game| first_caravan(game).to = 3),
        ("a caravan's arrival", |game| {
            first_caravan(game).arrives = 0
        }),
        ("a site's cost", |game| {
            game.seats[2].site.as_mut().unwrap().cost[0] = 1 << 40;
        }),
        ("a march's end", |game| first_march(game).arrives = u64::MAX),
        ("a march's large loot", |game| {
            first_march(game).loot[0] = 1 << 40
        }),
        ("a caravan's end", |game| {
            first_caravan(game).arrives = u64::MAX
        }),
        ("a caravan's large goods", |game| {
            first_caravan(game).goods[0] = 1 << 40
        }),
        ("a caravan's goods", |game| {
            first_caravan(game).goods[2] = u64::MAX
        }),
        ("a pact", |game| {
            game.pacts.insert((0, 3), Pact::Agreed);
        }),
        ("a pact with itself", |game| {
            game.pacts.insert((1, 1), Pact::Agreed);
        }),
        ("a waiting order", |game| {
            game.waiting.values_mut().next().unwrap().0 = 3;
        }),
        ("an event", |game| {
            game.schedule
                .insert((game.now, 0, 0), Event::Trained { seat: 3 });
        }),
        ("a late event", |game| {
            game.schedule.insert((u64::MAX, 0, 0), Event::TimeOver);
        }),
        ("a winner", |game| {
            let end = End {
                winner: Some(3),
                reason: EndReason::Time,
                at: 0,
            };
            game.end = Some(end);
        }),
    ];
    for (name, tamper) in tampers {
        let mut game = busy();
        tamper(&mut game);
        assert!(restored(&game).is_err(), "{name}");
    }
}

/// Sets one number of a stored match.
type Set = fn(&mut Crowns, u64);

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

fn level(number: u64) -> u8 {
    u8::try_from(number).unwrap()
}

/// Copies of one item under the keys from 1.
fn copies<T: Clone>(items: &mut BTreeMap<u64, T>, number: u64) {
    let one = items.values().next().unwrap().clone();
    *items = (1..=number).map(|key| (key, one.clone())).collect();
}

#[test]
fn every_number_of_a_stored_match_has_a_largest_value() {
    let now = busy().now;
    let bounds: &[(&str, u64, Set)] = &[
        ("now", LATEST_STAMP, |game, most| game.now = most),
        ("began", now, |game, most| game.began = most),
        ("began early", LATEST_START, |game, most| {
            game.now = LATEST_START + 1;
            game.began = most;
        }),
        ("settled", now, |game, most| game.throne.settled = most),
        ("stock", now, |game, most| {
            game.seats[0].stock = Stock::new([1; 3], most);
        }),
        ("window", MAX_WINDOW, |game, most| game.window = most),
        ("next", MAX, |game, most| game.next = most),
        ("goal", MAX, |game, most| game.throne.goal = most),
        ("made", MAX, |game, most| game.tally.made = most),
        ("lost", busy().tally.made, |game, most| {
            game.tally.lost = most
        }),
        ("lost goods", MAX_GOODS, |game, most| {
            game.tally.lost_goods[2] = most
        }),
        ("loot", MAX_GOODS, |game, most| {
            first_march(game).loot[1] = most
        }),
        ("gift", MAX_GOODS, |game, most| {
            first_caravan(game).goods[1] = most
        }),
        ("site", MAX_GOODS, |game, most| {
            game.seats[2].site.as_mut().unwrap().cost[1] = most;
        }),
        ("next site", MAX_GOODS, |game, most| {
            let cost = [0, most, 0];
            let building = Building::Store;
            game.seats[2].waiting = Some(Waiting { building, cost });
        }),
        ("home", u64::from(MAX_UNITS), |game, most| {
            game.seats[1].home = Army::new([0, 0, count(most), 0]);
        }),
        ("garrison", u64::from(MAX_UNITS), |game, most| {
            game.oases[0].garrison = Army::new([0, 0, count(most), 0]);
        }),
        ("march", u64::from(MAX_UNITS), |game, most| {
            first_march(game).army = Army::new([0, 0, count(most), 0]);
        }),
        ("marches", MAX_ITEMS as u64, |game, most| {
            copies(&mut game.marches, most)
        }),
        ("caravans", MAX_ITEMS as u64, |game, most| {
            copies(&mut game.caravans, most)
        }),
        ("waiting", MAX_ITEMS as u64, |game, most| {
            copies(&mut game.waiting, most)
        }),
        ("events", MAX_ITEMS as u64, |game, most| {
            let due = game.now;
            game.schedule = (0..most)
                .map(|key| ((due, key, key), Event::TimeOver))
                .collect();
        }),
        ("field", 5, |game, most| {
            game.seats[0].levels.fields[1] = level(most)
        }),
        ("wall", 5, |game, most| {
            game.seats[0].levels.wall = level(most)
        }),
        ("barracks", 5, |game, most| {
            game.seats[0].levels.barracks = level(most)
        }),
        ("store", 5, |game, most| {
            game.seats[0].levels.store = level(most)
        }),
        ("keep", 100, |game, most| game.seats[0].keep = count(most)),
        ("crowns", MAX, |game, most| game.seats[0].crowns = most),
        ("production", MAX_PRODUCTION, |game, most| {
            game.seats[0].production = most
        }),
        ("allowed", now, |game, most| game.seats[0].allowed_at = most),
        ("allowed after the end", LATEST_STAMP, |game, most| {
            let at = game.now;
            game.end = Some(End {
                winner: None,
                reason: EndReason::Time,
                at,
            });
            game.seats[0].allowed_at = most;
        }),
        ("allowance", MAX, |game, most| {
            game.seats[0].allowance = most
        }),
        ("starved", now, |game, most| game.seats[0].starved_at = most),
        ("batch", u64::from(MAX_BATCH), |game, most| {
            game.seats[0].batches = [(UnitKind::Ram, count(most))].into();
        }),
        ("batches", MAX_BATCHES as u64, |game, most| {
            game.seats[0].batches = (0..most).map(|_| (UnitKind::Ram, 1)).collect();
        }),
        ("leaves", now, |game, most| {
            first_march(game).leaves = most;
            first_march(game).arrives = most;
        }),
        ("arrives", now + MAX, |game, most| {
            first_march(game).arrives = most
        }),
        ("caravan leaves", now, |game, most| {
            first_caravan(game).leaves = most;
            first_caravan(game).arrives = most;
        }),
        ("caravan arrives", now + MAX, |game, most| {
            first_caravan(game).arrives = most
        }),
        ("due", now + MAX, |game, most| {
            game.schedule.insert((most, 0, 0), Event::TimeOver);
        }),
        ("holder", 2, |game, most| {
            game.oases[0].holder = Some(level(most))
        }),
        ("march of", 2, |game, most| {
            first_march(game).seat = level(most)
        }),
        ("march to", 5, |game, most| {
            first_march(game).place = Place::Oasis(level(most))
        }),
        ("gift from", 2, |game, most| {
            first_caravan(game).from = level(most)
        }),
        ("gift to", 2, |game, most| {
            first_caravan(game).to = level(most)
        }),
        ("order of", 2, |game, most| {
            game.waiting.values_mut().next().unwrap().0 = level(most)
        }),
        ("pact with", 2, |game, most| {
            game.pacts.insert((0, level(most)), Pact::Agreed);
        }),
        ("event of", 2, |game, most| {
            let due = (game.now, 0, 0);
            game.schedule
                .insert(due, Event::Trained { seat: level(most) });
        }),
        ("winner", 2, |game, most| {
            let winner = Some(level(most));
            let at = game.now;
            game.end = Some(End {
                winner,
                reason: EndReason::Time,
                at,
            });
        }),
    ];
    for (name, most, set) in bounds {
        let mut game = busy();
        set(&mut game, *most);
        assert_eq!(game.check(), Ok(()), "{name}: {most}");
        let mut game = busy();
        set(&mut game, most + 1);
        assert!(game.check().is_err(), "{name}: {most} + 1");
    }
}

/// Two things that are wrong at once do not hide each other.
#[test]
fn holding_without_a_garrison_has_no_holder() {
    let mut game = busy();
    game.oases[0].holder = Some(3);
    game.oases[0].garrison = Army::NONE;
    assert!(game.check().is_err());
    game.oases[0].holder = None;
    assert_eq!(game.check(), Ok(()));
}

/// The smallest values.
#[test]
fn levels_and_batches_of_a_stored_match_have_a_smallest_value() {
    let sets: [(&str, Set, u64); 3] = [
        (
            "barracks",
            |game, least| game.seats[0].levels.barracks = level(least),
            1,
        ),
        (
            "store",
            |game, least| game.seats[0].levels.store = level(least),
            1,
        ),
        (
            "batch",
            |game, least| {
                game.seats[0].batches = [(UnitKind::Ram, count(least))].into();
            },
            1,
        ),
    ];
    for (name, set, least) in sets {
        let mut game = busy();
        set(&mut game, least);
        assert_eq!(game.check(), Ok(()), "{name}");
        set(&mut game, least - 1);
        assert!(game.check().is_err(), "{name}");
    }
}
