//! Players who are away.

use super::*;

/// A table of two, both seats taken, whose players are noted as absent.
fn without_its_players() -> Table {
    let mut table = Table::default();
    let of_two = Command::Configure(
        Setup {
            seats: 2,
            ..Setup::default()
        }
        .into(),
    );
    for (player, command) in [
        (ADA, Command::Sit),
        (ADA, of_two),
        (BO, Command::Sit),
        (
            ADA,
            Command::Handicap {
                seat: 0,
                percent: 50,
            },
        ),
    ] {
        assert_eq!(apply(&mut table, player, command), Ok(()));
    }
    for seat in 0..2 {
        let absent = Command::NoteAbsent { seat };
        assert_eq!(table.apply_now(&absent, &at(CY, 20_000)), Ok(()));
    }
    table
}

#[test]
fn absent_players_do_not_decide_about_the_next_match() {
    let table = without_its_players();
    let of_three = Command::Configure(
        Setup {
            seats: 3,
            ..Setup::default()
        }
        .into(),
    );
    let sandbox = Command::Configure(
        Setup {
            is_sandbox: true,
            ..Setup::default()
        }
        .into(),
    );
    for command in [of_three, sandbox, CAPTAIN] {
        let mut table = table.clone();
        assert_eq!(
            table.apply_now(&command, &at(CY, 20_001)),
            Ok(()),
            "{command:?}"
        );
    }
    // Once one is back, others do not decide.
    let mut table = table;
    assert_eq!(
        table.apply_now(&Command::Ready(true), &at(BO, 20_001)),
        Ok(())
    );
    let refused = table.apply_now(&CAPTAIN, &at(CY, 20_002));
    assert_eq!(refused, Err(Refusal::NoSeat));
}

#[test]
fn seat_of_an_absent_player_is_taken_once_no_other_is_open() {
    let mut table = without_its_players();
    assert_eq!(table.apply_now(&Command::Sit, &at(CY, 20_001)), Ok(()));
    assert_eq!((table.seat_of(CY), table.seat_of(ADA)), (Some(0), None));
    assert_eq!(table.chairs()[0].handicap, 100, "it was Ada's");
    assert_eq!(table.seat_of(BO), Some(1));
    assert_eq!(table.apply_now(&CAPTAIN, &at(CY, 20_002)), Ok(()));
    assert_eq!((table.seat_of(BO), table.bots().count()), (None, 1));
    assert_eq!(
        table.apply_now(&Command::Sit, &at(BO, 20_003)),
        Err(Refusal::Full)
    );
    assert_eq!(table.apply_now(&Command::Start, &at(CY, 20_004)), Ok(()));
}

#[test]
fn open_seat_is_taken_before_that_of_an_absent_player() {
    let mut table = Table::default();
    for player in [ADA, BO] {
        assert_eq!(apply(&mut table, player, Command::Sit), Ok(()));
    }
    let absent = Command::NoteAbsent { seat: 0 };
    assert_eq!(table.apply_now(&absent, &at(BO, 20_000)), Ok(()));
    assert_eq!(table.apply_now(&Command::Sit, &at(CY, 20_001)), Ok(()));
    assert_eq!((table.seat_of(CY), table.seat_of(ADA)), (Some(2), Some(0)));
}

#[test]
fn seat_of_an_absent_player_is_kept_during_a_match() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply_now(&absent, &at(ADA, 20_000)), Ok(()));
    for command in [Command::Sit, CAPTAIN] {
        let refused = table.apply_now(&command, &at(CY, 20_001));
        assert_eq!(refused, Err(Refusal::Playing));
    }
    assert_eq!(table.seat_of(BO), Some(1));
}

/// Sends an army against the city of the seat 1.
fn attack(table: &mut Table, stamp: u64) {
    let march = Order::March {
        army: crowns::Army::new([4, 0, 0, 0]),
        to: Place::City(1),
        attack: crowns::Attack::Assault,
    };
    let done = table.apply_now(&Command::Order(march), &at(ADA, stamp));
    assert_eq!(done, Ok(()));
}

#[test]
fn steward_keeps_the_city_of_an_absent_player_only() {
    let mut table = playing();
    let steward = |order| Command::StewardOrder { seat: 1, order };
    let train = |kind, count| steward(Order::Train(kind, count));
    let spears = train(UnitKind::Spear, 2);
    attack(&mut table, 5_000);
    assert_eq!(
        apply(&mut table, ADA, spears.clone()),
        Err(Refusal::NoSteward)
    );
    table.set_present(BO, false, 5_000);
    // The program of a player who is there would answer first.
    assert_eq!(table.stewarded(6_999).count(), 0);
    assert_eq!(
        table.apply_now(&spears, &at(ADA, 6_999)),
        Err(Refusal::StewardEarly)
    );
    assert_eq!(table.stewarded(7_000).collect::<Vec<_>>(), [1]);
    for wrong in [
        train(UnitKind::Axe, 2),
        train(UnitKind::Spear, 6),
        steward(Order::TurnBack { march: 1 }),
        steward(Order::Concede),
    ] {
        let refused = table.apply_now(&wrong, &at(ADA, 7_000));
        assert_eq!(refused, Err(Refusal::NotForStewards));
    }
    assert_eq!(table.apply_now(&spears, &at(ADA, 7_000)), Ok(()));
    assert_eq!(
        table.apply_now(&spears, &at(ADA, 8_999)),
        Err(Refusal::NotForStewards),
        "two seconds"
    );
    assert_eq!(table.apply_now(&spears, &at(ADA, 9_000)), Ok(()));
    table.set_present(BO, true, 9_000);
    assert_eq!(table.seat_of(BO), Some(1), "the seat waited");
    assert_eq!(
        table.apply_now(&spears, &at(ADA, 11_000)),
        Err(Refusal::NoSteward)
    );
    let forbid = Command::Steward(false);
    assert_eq!(table.apply_now(&forbid, &at(BO, 11_000)), Ok(()));
    table.set_present(BO, false, 11_000);
    assert_eq!(
        table.apply_now(&spears, &at(ADA, 13_000)),
        Err(Refusal::NoSteward)
    );
}

/// Soldiers are called home, and trained, for a reason only.
#[test]
fn steward_in_peace_only_repairs() {
    let mut table = playing();
    table.set_present(BO, false, 5_000);
    let steward = |order| Command::StewardOrder { seat: 1, order };
    let spears = steward(Order::Train(UnitKind::Spear, 5));
    assert_eq!(
        table.apply_now(&spears, &at(ADA, 7_000)),
        Err(Refusal::NotForStewards)
    );
    // The steward may repair, but there is nothing to repair yet.
    let repair = steward(Order::Repair(true));
    assert_eq!(
        table.apply_now(&repair, &at(ADA, 7_000)),
        Err(Refusal::Order(crowns::Refusal::WholeKeep))
    );
}

#[test]
fn march_to_another_place_is_no_attack_for_a_steward() {
    let mut table = playing();
    let march = Order::March {
        army: crowns::Army::new([4, 0, 0, 0]),
        to: Place::City(2),
        attack: crowns::Attack::Assault,
    };
    for player in [ADA, BO] {
        let order = Command::Order(march.clone());
        assert_eq!(apply(&mut table, player, order), Ok(()));
    }
    table.set_present(BO, false, 5_000);
    let spears = Command::StewardOrder {
        seat: 1,
        order: Order::Train(UnitKind::Spear, 5),
    };
    let refused = table.apply_now(&spears, &at(ADA, 7_000));
    assert_eq!(refused, Err(Refusal::NotForStewards));
}

/// The rules refuse the order of a poor city; the steward rests all the same.
#[test]
fn steward_whose_order_is_refused_rests() {
    let mut table = playing();
    attack(&mut table, 5_000);
    table.set_present(BO, false, 5_000);
    let steward = |order| Command::StewardOrder { seat: 1, order };
    let call = steward(Order::CallHome(Place::Throne));
    assert_eq!(
        table.apply_now(&call, &at(CY, 7_000)),
        Err(Refusal::Order(crowns::Refusal::NoGarrison))
    );
    for stamp in [7_001, 8_999] {
        let refused = table.apply_now(&call, &at(CY, stamp));
        assert_eq!(refused, Err(Refusal::NotForStewards));
    }
    let again = table.apply_now(&call, &at(ADA, 9_000));
    assert_eq!(again, Err(Refusal::Order(crowns::Refusal::NoGarrison)));
}

#[test]
fn silent_player_is_noted_as_absent_until_the_next_command() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(
        table.apply_now(&absent, &at(ADA, 14_999)),
        Err(Refusal::PlayerPresent)
    );
    assert_eq!(table.apply_now(&absent, &at(ADA, 15_000)), Ok(()));
    assert_eq!((table.is_absent(ADA), table.is_absent(BO)), (false, true));
    assert_eq!(table.stewarded(17_000).collect::<Vec<_>>(), [1]);
    let order = Command::Order(wall());
    assert_eq!(table.apply_now(&order, &at(BO, 16_000)), Ok(()));
    assert!(!table.is_absent(BO));
    assert_eq!(table.stewarded(u64::MAX).count(), 0);
    assert_eq!(
        table.apply_now(&absent, &at(ADA, 16_500)),
        Err(Refusal::PlayerPresent)
    );
    let bot = Command::NoteAbsent { seat: 2 };
    assert_eq!(
        table.apply_now(&bot, &at(ADA, 90_000)),
        Err(Refusal::NoSuchSeat)
    );
}

/// The program of an absent player goes on running bots and watching others.
#[test]
fn command_of_a_program_is_no_sign_of_its_player() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply_now(&absent, &at(ADA, 15_000)), Ok(()));
    for command in [
        Command::AdoptBot { seat: 2 },
        Command::BotAlive { seat: 2 },
        Command::BotOrders {
            seat: 2,
            decision: 1,
            orders: vec![wall()],
        },
        Command::NoteAbsent { seat: 0 },
        Command::Distance(true),
    ] {
        let done = table.apply_now(&command, &at(BO, 16_000));
        assert_eq!(done, Ok(()), "{command:?}");
        assert!(table.is_absent(BO), "{command:?}");
    }
    let steward = Command::StewardOrder {
        seat: 0,
        order: Order::Repair(true),
    };
    let early = table.apply_now(&steward, &at(BO, 16_000));
    assert_eq!(early, Err(Refusal::StewardEarly));
    assert!(table.is_absent(BO));
}

/// A player who is away does not hold up the next match.
#[test]
fn absent_player_loses_the_seat_before_the_next_match() {
    let mut table = playing();
    assert_eq!(
        apply(&mut table, ADA, Command::Order(Order::Concede)),
        Ok(())
    );
    let end = 5_000 + 1_200_000;
    table.advance(end);
    assert!(!table.is_playing());
    assert_eq!(
        table.apply_now(&Command::Start, &at(ADA, end + 1)),
        Err(Refusal::NotReady)
    );
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply_now(&absent, &at(ADA, end + 2)), Ok(()));
    assert_eq!(table.apply_now(&Command::Start, &at(ADA, end + 3)), Ok(()));
    assert_eq!(
        (table.seat_of(BO), table.game().unwrap().seats().len()),
        (None, 2)
    );
}

#[test]
fn match_of_bots_is_abandoned_but_not_one_of_players() {
    let mut table = playing();
    assert_eq!(
        apply(&mut table, CY, Command::Abandon),
        Err(Refusal::PlayersLeft)
    );
    for player in [ADA, BO] {
        assert_eq!(
            apply(&mut table, CY, Command::Abandon),
            Err(Refusal::PlayersLeft)
        );
        let concede = Command::Order(Order::Concede);
        assert_eq!(apply(&mut table, player, concede), Ok(()));
    }
    assert_eq!(
        apply(&mut table, CY, Command::Abandon),
        Err(Refusal::NotPlaying),
        "it has ended"
    );
    let mut table = Table::default();
    for command in [CAPTAIN, CAPTAIN, Command::Start] {
        assert_eq!(apply(&mut table, ADA, command), Ok(()));
    }
    assert_eq!(apply(&mut table, BO, Command::Sit), Err(Refusal::Playing));
    assert_eq!(apply(&mut table, BO, Command::Abandon), Ok(()));
    assert_abandoned(&table);
    assert_eq!(
        apply(&mut table, BO, Command::Abandon),
        Err(Refusal::NotPlaying)
    );
}

/// Any member may claim an absence. The program of a player who thinks answers before it matters.
#[test]
fn player_who_thinks_for_long_is_not_away() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    attack(&mut table, 5_000);
    assert_eq!(table.apply_now(&absent, &at(CY, 16_000)), Ok(()));
    let steward = Command::StewardOrder {
        seat: 1,
        order: Order::Train(UnitKind::Spear, 5),
    };
    assert_eq!(
        table.apply_now(&steward, &at(CY, 16_001)),
        Err(Refusal::StewardEarly)
    );
    let present = Command::Present;
    let before = table.clone();
    assert_eq!(
        table.apply_now(&present, &at(CY, 16_050)),
        Err(Refusal::NoSeat)
    );
    assert!(table.is_absent(BO), "only the own member ends an absence");
    assert_eq!(table.apply_now(&present, &at(BO, 16_100)), Ok(()));
    assert!(!table.is_absent(BO));
    assert_eq!(
        (
            table.chairs().len(),
            table.game().unwrap().seats()[1].home()
        ),
        (3, before.game().unwrap().seats()[1].home()),
        "it orders nothing"
    );
    for stamp in [16_200, 20_000, 26_099] {
        let refused = table.apply_now(&absent, &at(CY, stamp));
        assert_eq!(refused, Err(Refusal::PlayerPresent));
        let refused = table.apply_now(&steward, &at(CY, stamp));
        assert_eq!(refused, Err(Refusal::NoSteward));
    }
}

/// "Abandon" deletes the match, so the absence of each player with a city must be a long one.
#[test]
fn match_is_abandoned_after_a_minute_without_its_players() {
    let mut table = playing();
    let note = |table: &mut Table, seat, stamp| {
        let absent = Command::NoteAbsent { seat };
        assert_eq!(table.apply_now(&absent, &at(CY, stamp)), Ok(()));
    };
    let abandon = |table: &mut Table, stamp| table.apply_now(&Command::Abandon, &at(CY, stamp));
    note(&mut table, 0, 16_000);
    note(&mut table, 1, 20_000);
    // Another claim does not begin the absence again.
    note(&mut table, 1, 70_000);
    for stamp in [20_000, 76_000, 79_999] {
        assert_eq!(abandon(&mut table, stamp), Err(Refusal::PlayersLeft));
    }
    let mut back = table.clone();
    assert_eq!(back.apply_now(&Command::Present, &at(ADA, 79_999)), Ok(()));
    assert_eq!(abandon(&mut back, 200_000), Err(Refusal::PlayersLeft));
    // One who conceded does not hold up the others.
    let concede = Command::Order(Order::Concede);
    assert_eq!(back.apply_now(&concede, &at(ADA, 200_000)), Ok(()));
    assert_eq!(abandon(&mut back, 200_000), Ok(()));
    assert_eq!(abandon(&mut table, 80_000), Ok(()));
    assert_abandoned(&table);
    let text = Refusal::PlayersLeft.to_string();
    assert!(text.contains("60 s"), "{text}");
    let text = Refusal::StewardEarly.to_string();
    assert!(text.contains("2 s"), "{text}");
}

/// A member that leaves is absent since then, also if it was silent for a while and another member
/// claims it later.
#[test]
fn absence_begins_with_the_first_reason() {
    let mut table = playing();
    let since = |table: &Table| table.players().nth(1).unwrap().1.absent_since;
    table.set_present(BO, false, 30_000);
    assert_eq!(since(&table), Some(30_000));
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply_now(&absent, &at(ADA, 50_000)), Ok(()));
    assert_eq!(since(&table), Some(30_000));
    table.set_present(BO, true, 60_000);
    assert_eq!(since(&table), None);
    assert_eq!(table.apply_now(&absent, &at(ADA, 70_000)), Ok(()));
    table.set_present(BO, false, 75_000);
    assert_eq!(since(&table), Some(70_000));
}

/// The match is over without a winner, and its reports stay.
fn assert_abandoned(table: &Table) {
    assert!(!table.is_playing());
    let game = table.game().unwrap();
    let end = game.end().unwrap();
    assert_eq!((end.winner, end.reason), (None, EndReason::Abandoned));
    let last = game.reports_since(game.next_report() - 1).last();
    assert_eq!(last, Some((end.at, &crowns::Report::Ended(end))));
    assert_eq!(table.next_event(), None);
}
