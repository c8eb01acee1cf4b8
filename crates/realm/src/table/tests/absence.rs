//! Players who are away.

use super::*;

/// A table of two, both seats taken, whose players are noted as absent.
fn without_its_players() -> Table {
    let mut table = Table::default();
    let of_two = Command::Configure(Setup {
        seats: 2,
        ..Setup::default()
    });
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
        assert_eq!(table.apply(&absent, &at(CY, 20_000)), Ok(()));
    }
    table
}

#[test]
fn absent_players_do_not_decide_about_the_next_match() {
    let table = without_its_players();
    let of_three = Command::Configure(Setup {
        seats: 3,
        ..Setup::default()
    });
    let sandbox = Command::Configure(Setup {
        is_sandbox: true,
        ..Setup::default()
    });
    for command in [of_three, sandbox, CAPTAIN] {
        let mut table = table.clone();
        assert_eq!(
            table.apply(&command, &at(CY, 20_001)),
            Ok(()),
            "{command:?}"
        );
    }
    // Once one is back, others do not decide.
    let mut table = table;
    assert_eq!(table.apply(&Command::Ready(true), &at(BO, 20_001)), Ok(()));
    let refused = table.apply(&CAPTAIN, &at(CY, 20_002));
    assert_eq!(refused, Err(Refusal::NoSeat));
}

#[test]
fn seat_of_an_absent_player_is_taken_once_no_other_is_open() {
    let mut table = without_its_players();
    assert_eq!(table.apply(&Command::Sit, &at(CY, 20_001)), Ok(()));
    assert_eq!((table.seat_of(CY), table.seat_of(ADA)), (Some(0), None));
    assert_eq!(table.chairs()[0].handicap, 100, "it was Ada's");
    assert_eq!(table.seat_of(BO), Some(1));
    assert_eq!(table.apply(&CAPTAIN, &at(CY, 20_002)), Ok(()));
    assert_eq!((table.seat_of(BO), table.bots().count()), (None, 1));
    assert_eq!(
        table.apply(&Command::Sit, &at(BO, 20_003)),
        Err(Refusal::Full)
    );
    assert_eq!(table.apply(&Command::Start, &at(CY, 20_004)), Ok(()));
}

#[test]
fn open_seat_is_taken_before_that_of_an_absent_player() {
    let mut table = Table::default();
    for player in [ADA, BO] {
        assert_eq!(apply(&mut table, player, Command::Sit), Ok(()));
    }
    let absent = Command::NoteAbsent { seat: 0 };
    assert_eq!(table.apply(&absent, &at(BO, 20_000)), Ok(()));
    assert_eq!(table.apply(&Command::Sit, &at(CY, 20_001)), Ok(()));
    assert_eq!((table.seat_of(CY), table.seat_of(ADA)), (Some(2), Some(0)));
}

#[test]
fn seat_of_an_absent_player_is_kept_during_a_match() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply(&absent, &at(ADA, 20_000)), Ok(()));
    for command in [Command::Sit, CAPTAIN] {
        let refused = table.apply(&command, &at(CY, 20_001));
        assert_eq!(refused, Err(Refusal::Playing));
    }
    assert_eq!(table.seat_of(BO), Some(1));
}
