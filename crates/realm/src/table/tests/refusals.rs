//! A refused command changes nothing.

use proptest::prelude::*;

use super::*;

/// Three players at a table of four; the third is absent.
fn with_an_absent_player() -> Table {
    let mut table = Table::default();
    for player in [ADA, BO, CY] {
        assert_eq!(apply(&mut table, player, Command::Sit), Ok(()));
    }
    let absent = Command::NoteAbsent { seat: 2 };
    assert_eq!(table.apply_now(&absent, &at(ADA, 20_000)), Ok(()));
    table
}

#[test]
fn refused_start_leaves_an_absent_player_the_seat() {
    let mut table = with_an_absent_player();
    let refused = table.apply_now(&Command::Start, &at(ADA, 20_001));
    assert_eq!(refused, Err(Refusal::NotReady));
    assert_eq!(table.seat_of(CY), Some(2));
    // Alone without the absent ones.
    assert_eq!(table.apply_now(&Command::Stand, &at(BO, 20_002)), Ok(()));
    let refused = table.apply_now(&Command::Start, &at(ADA, 20_003));
    assert_eq!(refused, Err(Refusal::Alone));
    assert_eq!((table.seat_of(CY), table.chairs().len()), (Some(2), 4));
}

#[test]
fn refused_setup_leaves_an_absent_player_the_seat() {
    let mut table = with_an_absent_player();
    assert_eq!(table.apply_now(&CAPTAIN, &at(ADA, 20_001)), Ok(()));
    let of_two = Command::Configure(
        Setup {
            seats: 2,
            ..Setup::default()
        }
        .into(),
    );
    let refused = table.apply_now(&of_two, &at(ADA, 20_002));
    assert_eq!(refused, Err(Refusal::TooFewSeats));
    assert_eq!(table.seat_of(CY), Some(2));
    let remove = Command::RemoveBot { seat: 3 };
    assert_eq!(table.apply_now(&remove, &at(ADA, 20_003)), Ok(()));
    assert_eq!(table.apply_now(&of_two, &at(ADA, 20_004)), Ok(()));
    assert_eq!((table.seat_of(BO), table.seat_of(CY)), (Some(1), None));
}

/// Any command, also one that is refused in most states.
fn command() -> impl Strategy<Value = Command> {
    let seat = || 0_u8..5;
    let setup = (1_u8..6, 1_u64..3, any::<bool>()).prop_map(|(seats, speed, is_sandbox)| Setup {
        seats,
        window: None,
        speed,
        is_sandbox,
    });
    let decision = (seat(), 0_u64..40, 0_usize..10);
    let lobby = prop_oneof![
        4 => Just(Command::Sit),
        1 => Just(Command::Stand),
        4 => any::<bool>().prop_map(Command::Ready),
        1 => setup.prop_map(|setup| Command::Configure(setup.into())),
        1 => (seat(), 40_u64..210).prop_map(|(seat, percent)| Command::Handicap { seat, percent }),
        2 => Just(CAPTAIN),
        1 => seat().prop_map(|seat| Command::RemoveBot { seat }),
        4 => Just(Command::Start),
        2 => any::<bool>().prop_map(Command::Rematch),
    ];
    let played = prop_oneof![
        2 => Just(Command::Order(wall())),
        1 => Just(Command::Order(Order::Concede)),
        1 => decision.prop_map(|(seat, decision, count)| Command::BotOrders {
            seat,
            decision,
            orders: vec![wall(); count],
        }),
        1 => seat().prop_map(|seat| Command::BotAlive { seat }),
        1 => seat().prop_map(|seat| Command::AdoptBot { seat }),
        4 => seat().prop_map(|seat| Command::NoteAbsent { seat }),
        1 => Just(Command::Present),
        1 => Just(Command::Abandon),
        1 => any::<bool>().prop_map(Command::Steward),
        2 => seat().prop_map(|seat| Command::StewardOrder {
            seat,
            order: Order::Repair(true),
        }),
    ];
    prop_oneof![lobby, played]
}

proptest! {
    #[test]
    fn refused_command_changes_nothing_but_the_sign_of_its_sender(
        steps in prop::collection::vec((0_usize..3, 0_u64..15_000, command()), 1..60),
    ) {
        let mut table = Table::default();
        let mut stamp = 0;
        for (player, passed, command) in steps {
            stamp += passed;
            let origin = at([ADA, BO, CY][player], stamp);
            let mut expected = table.clone();
            expected.advance(stamp);
            if !command.is_of_member() {
                expected.note_sign(expected.seated_as(origin.player), stamp);
            }
            match table.apply_now(&command, &origin) {
                // The match notes that its seat gave one.
                Ok(()) | Err(Refusal::Order(_)) => {}
                Err(refusal) => {
                    prop_assert_eq!(&table, &expected, "{:?} of {:?}", refusal, command);
                }
            }
        }
    }
}
