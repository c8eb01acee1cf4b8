//! Stored tables.

use proptest::prelude::*;

use super::check::ImpossibleTable;
use super::*;

fn restored(table: &Table) -> Result<Table, postcard::Error> {
    postcard::from_bytes(&postcard::to_stdvec(table).unwrap())
}

/// A match with marches, caravans, pacts, garrisons and messages.
fn busy() -> Table {
    let mut table = playing();
    let march = |to| Order::March {
        army: crowns::Army::new([1, 0, 0, 0]),
        to,
        attack: crowns::Attack::Raid,
    };
    let give = Order::Give {
        to: 0,
        goods: [5, 0, 5],
    };
    let offer = |with| Order::Pact {
        with,
        order: crowns::PactOrder::Offer,
    };
    for (player, order) in [
        (ADA, march(Place::City(1))),
        (ADA, march(Place::Oasis(0))),
        (BO, give),
        (BO, wall()),
        (BO, wall()),
        (ADA, Order::Train(UnitKind::Spear, 3)),
        (ADA, offer(1)),
        (BO, offer(0)),
        (ADA, offer(2)),
        (
            ADA,
            Order::Say(crowns::Words::Phrase(crowns::Phrase::Hello)),
        ),
    ] {
        assert_eq!(apply(&mut table, player, Command::Order(order)), Ok(()));
    }
    table
}

#[test]
fn stored_table_is_restored_equal_or_refused() {
    let table = busy();
    assert_eq!(restored(&table).unwrap(), table);
    assert_eq!(restored(&Table::default()).unwrap(), Table::default());
    let tampers: [fn(&mut Table); 10] = [
        |table| table.chairs[0].handicap = 10_000,
        |table| table.setup.speed = 0,
        |table| table.setup.seats = 4,
        |table| table.chairs[1] = table.chairs[0].clone(),
        |table| table.chairs.push(Chair::OPEN),
        |table| table.playing.as_mut().unwrap().speed = 0,
        |table| table.playing.as_mut().unwrap().seats[0] = MatchSeat::Player(CY),
        |table| table.playing.as_mut().unwrap().seats[1] = MatchSeat::Player(ADA),
        |table| table.playing.as_mut().unwrap().seats[2] = MatchSeat::Player(CY),
        |table| table.playing.as_mut().unwrap().seats.truncate(2),
    ];
    for (number, tamper) in tampers.into_iter().enumerate() {
        let mut wrong = table.clone();
        tamper(&mut wrong);
        assert!(restored(&wrong).is_err(), "tamper {number}");
    }
}

#[test]
fn bounds_of_a_stored_table_are_inclusive_and_named() {
    type Change = fn(&mut Table);
    type Case = (&'static str, Change, Change, ImpossibleTable);
    let cases: &[Case] = &[
        (
            "handicap",
            |table| table.chairs[0].handicap = *HANDICAPS.end(),
            |table| table.chairs[0].handicap = *HANDICAPS.end() + 1,
            ImpossibleTable::Handicap,
        ),
        (
            "small handicap",
            |table| table.chairs[0].handicap = *HANDICAPS.start(),
            |table| table.chairs[0].handicap = *HANDICAPS.start() - 1,
            ImpossibleTable::Handicap,
        ),
        (
            "speed",
            |table| table.playing.as_mut().unwrap().speed = MAX_SPEED,
            |table| table.playing.as_mut().unwrap().speed = MAX_SPEED + 1,
            ImpossibleTable::Seats,
        ),
        (
            "beginning",
            |table| table.playing.as_mut().unwrap().began = MAX_CLOCK,
            |table| table.playing.as_mut().unwrap().began = MAX_CLOCK + 1,
            ImpossibleTable::Seats,
        ),
        (
            "players with wins",
            |table| remember_players(table, MAX_PLAYERS),
            |table| remember_players(table, MAX_PLAYERS + 1),
            ImpossibleTable::Players,
        ),
        (
            "another player",
            |_| {},
            |table| table.playing.as_mut().unwrap().seats.swap(0, 1),
            ImpossibleTable::MatchPlayers,
        ),
        (
            "one player too few",
            |_| {},
            |table| table.playing.as_mut().unwrap().seats.truncate(2),
            ImpossibleTable::MatchPlayers,
        ),
        (
            "a player with two seats",
            |_| {},
            |table| {
                table.chairs[1] = table.chairs[0].clone();
                table.playing.as_mut().unwrap().seats[1] = MatchSeat::Player(ADA);
            },
            ImpossibleTable::SamePlayer,
        ),
        (
            "seats",
            |_| {},
            |table| {
                table.setup.seats += 1;
                table.chairs.push(Chair::OPEN);
            },
            ImpossibleTable::Seats,
        ),
        (
            "rules",
            |_| {},
            |table| {
                let mut rules = toml::to_string(&crowns::Rules::of_this_build()).unwrap();
                rules = rules.replacen("attack = 40", "attack = 41", 1);
                let rules = crowns::Rules::parse(&rules).unwrap();
                let game = Crowns::new(3, 1, rules, 0).unwrap();
                table.playing.as_mut().unwrap().game = game;
            },
            ImpossibleTable::Rules,
        ),
    ];
    for (name, valid, impossible, error) in cases {
        let mut table = busy();
        valid(&mut table);
        assert_eq!(table.check(), Ok(()), "{name}");
        impossible(&mut table);
        assert_eq!(table.check().as_ref(), Err(error), "{name}");
    }
}

/// After a match, seats are free for others while its players stay those of the match.
#[test]
fn table_after_a_match_has_other_seats_than_the_match() {
    let mut table = playing();
    table.advance(5_000 + 1_200_000);
    assert_eq!(apply(&mut table, BO, Command::Stand), Ok(()));
    assert_eq!(table.check(), Ok(()));
    assert_eq!(table.match_seats()[1], MatchSeat::Player(BO));
    table.setup.seats = 4;
    table.chairs.push(Chair::OPEN);
    assert_eq!(table.check(), Ok(()), "more seats than in the last match");
    table
        .playing
        .as_mut()
        .unwrap()
        .seats
        .push(MatchSeat::Bot(Level::Captain, Archetype::Rush));
    assert_eq!(table.check(), Err(ImpossibleTable::MatchPlayers));
}

/// The seats of the table and those of its last match are checked on their own.
#[test]
fn player_has_one_seat_at_the_table_and_one_in_the_last_match() {
    let mut table = playing();
    table.advance(5_000 + 1_200_000);
    let mut twice_at_the_table = table.clone();
    twice_at_the_table.chairs[1] = table.chairs[0].clone();
    let mut twice_in_the_match = table;
    twice_in_the_match.playing.as_mut().unwrap().seats[1] = MatchSeat::Player(ADA);
    for wrong in [twice_at_the_table, twice_in_the_match] {
        assert_eq!(wrong.check(), Err(ImpossibleTable::SamePlayer));
    }
}

#[test]
fn wins_of_a_bounded_number_of_players_are_remembered() {
    let mut table = playing();
    remember_players(&mut table, MAX_PLAYERS - 1);
    table.note_win(0);
    table.note_win(1);
    table.note_win(0);
    assert_eq!((table.wins(ADA), table.wins(BO)), (2, 0));
    assert_eq!(table.wins.len(), MAX_PLAYERS);
}

fn remember_players(table: &mut Table, count: usize) {
    table.wins = (0..count)
        .map(|number| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            (PlayerId(id), 1)
        })
        .collect();
}

proptest! {
    /// A damaged table is refused, or plays on without a panic.
    #[test]
    fn damaged_table_is_refused_or_plays_on(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = postcard::to_stdvec(&busy()).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(mut table) = postcard::from_bytes::<Table>(&bytes) {
            for player in [ADA, BO] {
                let march = Order::March {
                    army: crowns::Army::new([1, 0, 0, 0]),
                    to: Place::City(2),
                    attack: crowns::Attack::Assault,
                };
                for order in [march, wall(), Order::Train(UnitKind::Axe, 3)] {
                    let _may_be_refused = apply(&mut table, player, Command::Order(order));
                }
            }
            for stamp in (0..1_300_000).step_by(10_000) {
                table.advance(stamp);
                for seat in 0..9 {
                    table.game().map(|game| (game.stock(seat), game.army_of(seat), game.crowns(seat)));
                }
            }
        }
    }
}
