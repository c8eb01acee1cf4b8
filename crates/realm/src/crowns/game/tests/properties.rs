//! Invariants of the state under random orders.

use proptest::prelude::*;

use super::*;
use crate::crowns::economy::PARTS;
use crate::crowns::order::{MAX_CARAVANS, MAX_MARCHES, PactOrder};

fn building() -> impl Strategy<Value = Building> {
    prop_oneof![
        prop::sample::select(&Resource::ALL[..]).prop_map(Building::Field),
        Just(Building::Barracks),
        Just(Building::Wall),
        Just(Building::Store),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (0_u8..4).prop_map(Place::City),
        (0_u8..8).prop_map(Place::Oasis),
        Just(Place::Throne),
    ]
}

fn pact() -> impl Strategy<Value = PactOrder> {
    prop_oneof![
        2 => Just(PactOrder::Offer),
        2 => Just(PactOrder::Accept),
        1 => Just(PactOrder::End),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let kind = || prop::sample::select(&UnitKind::ALL[..]);
    let resource = || prop::sample::select(&Resource::ALL[..]);
    let attack = prop_oneof![Just(Attack::Raid), Just(Attack::Assault)];
    let army = prop::array::uniform4(0_u32..12).prop_map(Army::new);
    prop_oneof![
        4 => building().prop_map(Order::Build),
        1 => Just(Order::CancelBuild),
        6 => (kind(), 0_u32..12).prop_map(|(kind, count)| Order::Train(kind, count)),
        8 => (army, place(), attack).prop_map(|(army, to, attack)| Order::March { army, to, attack }),
        1 => (0_u64..200).prop_map(|march| Order::TurnBack { march }),
        1 => place().prop_map(Order::CallHome),
        2 => (resource(), 0_u64..200, resource()).prop_map(|(give, amount, receive)| Order::Swap {
            give,
            amount,
            receive,
        }),
        1 => any::<bool>().prop_map(Order::Repair),
        2 => (0_u8..4, pact()).prop_map(|(with, order)| Order::Pact { with, order }),
        2 => (0_u8..4, prop::array::uniform3(0_u64..60)).prop_map(|(to, goods)| Order::Give {
            to,
            goods,
        }),
    ]
}

/// Orders with their seats and the milliseconds since the one before.
fn orders() -> impl Strategy<Value = Vec<(u8, Order, u64)>> {
    prop::collection::vec((0_u8..4, order(), 0_u64..9_000), 0..200)
}

/// What came into the match is in a stock, under way, spent or lost.
fn check_goods(game: &Crowns) {
    for resource in Resource::ALL {
        let place = resource as usize;
        let (mut gained, mut elsewhere) = (0, 0);
        for seat in game.seats() {
            let (parts, came, spent) = seat.stock.ledger();
            gained += came[place];
            elsewhere += parts[place] + spent[place];
        }
        let loot = game.marches().map(|(_, march)| march.loot[place]);
        let goods = game.caravans().map(|(_, caravan)| caravan.goods[place]);
        let under_way: u64 = loot.chain(goods).sum();
        let lost = game.tally().lost_goods[place];
        assert_eq!(
            gained,
            elsewhere + (under_way + lost) * PARTS,
            "{resource:?}"
        );
    }
}

fn check(game: &Crowns) {
    check_goods(game);
    for (one, other) in game.pacts.keys() {
        let stands = |seat: u8| game.seats[usize::from(seat)].stands();
        assert!(stands(*one) && stands(*other), "a fallen seat has a pact");
    }
    let units: u64 = (0..3).map(|seat| game.army_of(seat).total()).sum();
    assert_eq!(
        units,
        game.tally().made - game.tally().lost,
        "no unit appears or vanishes"
    );
    let starvations = game
        .schedule
        .values()
        .filter(|event| matches!(event, Event::Starved { .. }));
    assert!(
        starvations.count() <= game.seats().len(),
        "a plan was not replaced"
    );
    for place in game.places() {
        let holding = game.holding(place).unwrap();
        assert_eq!(holding.holder.is_some(), !holding.garrison.is_empty());
    }
    for (seat, own) in (0..).zip(game.seats()) {
        assert!(own.keep() <= 100);
        assert!(own.stands() || game.army_of(seat).is_empty());
        let marches = game.marches().filter(|(_, march)| march.seat == seat);
        assert!(marches.count() <= MAX_MARCHES);
        let caravans = game.caravans().filter(|(_, caravan)| caravan.from == seat);
        assert!(caravans.count() <= MAX_CARAVANS);
        let room = game.capacity(seat).max(200);
        assert!(stock(game, seat).iter().all(|amount| *amount <= room));
    }
    assert!(game.marches().all(|(_, march)| !march.army.is_empty()));
    let arrive = |(_, march): (u64, &March)| march.arrives >= game.now();
    assert!(
        game.end().is_some() || game.marches().all(arrive),
        "a march was forgotten"
    );
}

proptest! {
    #[test]
    fn no_order_breaks_the_state(orders in orders(), armies in 0_u32..60) {
        let mut game = new_match(3);
        for seat in 0..3 {
            game.seat_mut(seat).home = Army::new([armies; 4]);
        }
        game.tally.made = u64::from(armies) * 12;
        let mut at = BEGAN;
        for (seat, order, passed) in orders {
            at += passed;
            let mut refused = game.clone();
            refused.advance(at);
            if let Err(refusal) = game.order(seat, &order, at) {
                let is_seat = usize::from(seat) < refused.seats.len();
                let is_played = refused.end.is_none() || order.is_message();
                if is_seat && is_played && refusal != Refusal::TooFast {
                    prop_assert_eq!(refused.charge(seat, at), Ok(()));
                    if refusal != Refusal::Fallen {
                        refused.settle(seat);
                    }
                }
                prop_assert_eq!(&game, &refused, "{:?} of {:?} changed something", refusal, order);
            }
            check(&game);
        }
    }

    /// A machine that looks at the clock more often has the same state.
    #[test]
    fn state_depends_on_the_orders_alone(orders in orders(), extra in 1_u64..700) {
        let (mut once, mut often) = (new_match(3), new_match(3));
        let mut at = BEGAN;
        for (seat, order, passed) in orders {
            let from = at;
            at += passed;
            (from..at).step_by(usize::try_from(extra).unwrap()).for_each(|now| often.advance(now));
            prop_assert_eq!(once.order(seat, &order, at), often.order(seat, &order, at));
        }
        prop_assert_eq!(once.state_hash(), often.state_hash());
    }

    /// "Symmetric maps give symmetric battles": the match in which the two seats have changed their
    /// parts is the same match.
    #[test]
    fn seats_are_equal(orders in orders(), armies in 4_u32..60) {
        let (mut game, mut mirror) = (new_match(2), new_match(2));
        for seat in 0..2 {
            give_army(&mut game, seat, [armies; 4]);
            give_army(&mut mirror, seat, [armies; 4]);
        }
        let mut at = BEGAN;
        for (seat, order, passed) in orders {
            at += passed;
            let seat = seat % 2;
            let done = game.order(seat, &order, at);
            prop_assert_eq!(done, mirror.order(1 - seat, &mirrored(&order), at));
            for seat in 0..2 {
                prop_assert_eq!(standing(&game, seat), standing(&mirror, 1 - seat));
            }
        }
    }
}

fn standing(game: &Crowns, seat: u8) -> (Resources, Army, u64, u32, Levels) {
    let own = &game.seats()[usize::from(seat)];
    let (army, crowns) = (game.army_of(seat), game.crowns(seat));
    (
        stock(game, seat),
        army,
        crowns,
        own.keep(),
        own.levels().clone(),
    )
}

/// The order of the other seat of two.
fn mirrored(order: &Order) -> Order {
    let seat = |seat: u8| if seat < 2 { 1 - seat } else { seat };
    let place = |place| match place {
        Place::City(city) => Place::City(seat(city)),
        // Each has two oases, those of the first seat first.
        Place::Oasis(number @ 0..4) => Place::Oasis((number + 2) % 4),
        other => other,
    };
    match order {
        Order::March { army, to, attack } => Order::March {
            army: *army,
            to: place(*to),
            attack: *attack,
        },
        Order::CallHome(from) => Order::CallHome(place(*from)),
        Order::Give { to, goods } => Order::Give {
            to: seat(*to),
            goods: *goods,
        },
        Order::Pact { with, order } => Order::Pact {
            with: seat(*with),
            order: *order,
        },
        other => other.clone(),
    }
}
