//! Stored matches that the rules cannot work with.

use super::*;
use crate::crowns::order::PactOrder;

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
