mod absence;
mod bots;
mod refusals;
mod stored;

use super::*;
use crate::crowns::{Building, EndReason, Order, Place, Resource, UnitKind};

const ADA: PlayerId = PlayerId([1; 16]);
const BO: PlayerId = PlayerId([2; 16]);
const CY: PlayerId = PlayerId([3; 16]);

fn member(player: PlayerId) -> u64 {
    u64::from(player.0[0])
}

fn at(player: PlayerId, stamp: u64) -> Origin {
    Origin {
        player,
        member: member(player),
        stamp,
        random: stamp * 7 + 1,
        round: 0,
    }
}

impl Table {
    /// Applies a command of a player who sees the table as it is.
    fn apply_now(&mut self, command: &Command, origin: &Origin) -> Result<(), Refusal> {
        let round = self.rounds();
        self.apply(command, &Origin { round, ..*origin })
    }
}

fn apply(table: &mut Table, player: PlayerId, command: Command) -> Result<(), Refusal> {
    table.apply_now(&command, &at(player, 5_000))
}

const CAPTAIN: Command = Command::AddBot {
    level: Level::Captain,
    archetype: Archetype::Balanced,
};

/// A table of two players and a bot that plays since the stamp 5,000.
fn playing() -> Table {
    let mut table = Table::default();
    for player in [ADA, BO, CY] {
        table.set_present(player, true, 5_000);
    }
    for (player, command) in [
        (ADA, Command::Sit),
        (BO, Command::Sit),
        (ADA, CAPTAIN),
        (BO, Command::Ready(true)),
        (ADA, Command::Start),
    ] {
        assert_eq!(apply(&mut table, player, command), Ok(()));
    }
    assert!(table.is_playing());
    table
}

fn wall() -> Order {
    Order::Build(Building::Wall)
}

#[test]
fn seats_are_taken_and_freed_before_a_match() {
    let mut table = Table::default();
    assert_eq!(table.chairs().len(), 4);
    assert_eq!(apply(&mut table, ADA, Command::Stand), Err(Refusal::NoSeat));
    assert_eq!(apply(&mut table, ADA, Command::Sit), Ok(()));
    assert_eq!(apply(&mut table, BO, CAPTAIN), Err(Refusal::NoSeat));
    assert_eq!(apply(&mut table, ADA, Command::Sit), Err(Refusal::HasSeat));
    assert_eq!(apply(&mut table, ADA, Command::Start), Err(Refusal::Alone));
    for _ in 0..3 {
        assert_eq!(apply(&mut table, ADA, CAPTAIN), Ok(()));
    }
    assert_eq!(apply(&mut table, ADA, CAPTAIN), Err(Refusal::Full));
    assert_eq!(apply(&mut table, BO, Command::Sit), Err(Refusal::Full));
    let remove = |seat| Command::RemoveBot { seat };
    assert_eq!(apply(&mut table, BO, remove(1)), Err(Refusal::NoSeat));
    assert_eq!(apply(&mut table, ADA, remove(0)), Err(Refusal::NoBot));
    assert_eq!(apply(&mut table, ADA, remove(9)), Err(Refusal::NoBot));
    assert_eq!(apply(&mut table, ADA, remove(2)), Ok(()));
    assert_eq!(apply(&mut table, BO, Command::Sit), Ok(()));
    assert_eq!(table.seat_of(BO), Some(2));
    assert_eq!(apply(&mut table, BO, Command::Stand), Ok(()));
    assert_eq!(table.seat_of(BO), None);
}

#[test]
fn setup_is_bounded_and_keeps_the_seated() {
    let mut table = Table::default();
    for player in [ADA, BO, CY] {
        assert_eq!(apply(&mut table, player, Command::Sit), Ok(()));
    }
    assert_eq!(apply(&mut table, BO, Command::Stand), Ok(()));
    let setup = |seats, window, speed| {
        Command::Configure(
            Setup {
                seats,
                window: Some(window),
                speed,
                ..Setup::default()
            }
            .into(),
        )
    };
    for (seats, window, speed, refusal) in [
        (1, 0, 1, Refusal::Seats),
        (9, 0, 1, Refusal::Seats),
        (4, 1_001, 1, Refusal::Window),
        (4, 0, 0, Refusal::Speed),
        (4, 0, 21, Refusal::Speed),
    ] {
        let changed = apply(&mut table, ADA, setup(seats, window, speed));
        assert_eq!(changed, Err(refusal), "the limit that is broken");
    }
    assert_eq!(Refusal::Speed.to_string(), "a match has a speed of 1 to 20");
    assert_eq!(apply(&mut table, ADA, setup(8, 1_000, 20)), Ok(()));
    assert_eq!(apply(&mut table, ADA, setup(2, 200, 2)), Ok(()));
    assert_eq!((table.seat_of(ADA), table.seat_of(CY)), (Some(0), Some(1)));
    assert_eq!((table.setup().speed, table.window()), (2, 200));
    assert_eq!(apply(&mut table, ADA, setup(3, 0, 1)), Ok(()));
    assert_eq!(apply(&mut table, BO, Command::Sit), Ok(()));
    assert_eq!(
        apply(&mut table, ADA, setup(2, 0, 1)),
        Err(Refusal::TooFewSeats)
    );
    let handicap = |seat, percent| Command::Handicap { seat, percent };
    assert_eq!(
        apply(&mut table, ADA, handicap(1, 201)),
        Err(Refusal::Handicap)
    );
    assert_eq!(
        apply(&mut table, ADA, handicap(3, 100)),
        Err(Refusal::NoSuchSeat)
    );
    assert_eq!(apply(&mut table, ADA, handicap(1, 150)), Ok(()));
    for player in [BO, CY] {
        assert_eq!(apply(&mut table, player, Command::Ready(true)), Ok(()));
    }
    assert_eq!(apply(&mut table, ADA, Command::Start), Ok(()));
    let game = table.game().unwrap();
    assert_eq!([game.rates(0)[0], game.rates(1)[0]], [240, 360]);
}

/// A player who only watches lets bots play, as long as no one else wants to.
#[test]
fn bots_play_without_a_player() {
    let mut table = Table::default();
    for command in [CAPTAIN, CAPTAIN, Command::Start] {
        assert_eq!(apply(&mut table, ADA, command), Ok(()));
    }
    assert_eq!(table.bots().count(), 2);
    assert_eq!(table.game().unwrap().seats().len(), 2);
}

#[test]
fn match_begins_once_the_others_are_ready() {
    let mut table = Table::default();
    assert_eq!(apply(&mut table, ADA, Command::Sit), Ok(()));
    assert_eq!(apply(&mut table, BO, Command::Sit), Ok(()));
    assert_eq!(apply(&mut table, CY, Command::Start), Err(Refusal::NoSeat));
    assert_eq!(
        apply(&mut table, ADA, Command::Start),
        Err(Refusal::NotReady)
    );
    assert_eq!(apply(&mut table, BO, Command::Ready(true)), Ok(()));
    // A change of what was agreed takes the agreement back.
    assert_eq!(apply(&mut table, ADA, CAPTAIN), Ok(()));
    assert_eq!(
        apply(&mut table, ADA, Command::Start),
        Err(Refusal::NotReady)
    );
    assert_eq!(apply(&mut table, BO, Command::Ready(true)), Ok(()));
    assert_eq!(apply(&mut table, ADA, Command::Start), Ok(()));
    assert_eq!(
        table.game().unwrap().seats().len(),
        3,
        "open seats are left out"
    );
    assert_eq!(
        table.next_event(),
        Some(5_000 + 1_200_000),
        "the end of the match"
    );
    for command in [
        Command::Sit,
        Command::Stand,
        CAPTAIN,
        Command::Start,
        Command::Ready(true),
    ] {
        let refused = apply(&mut table, ADA, command);
        assert_eq!(refused, Err(Refusal::Playing));
    }
}

#[test]
fn player_orders_for_the_own_seat_only() {
    let mut table = playing();
    assert_eq!(apply(&mut table, BO, Command::Order(wall())), Ok(()));
    let game = table.game().unwrap();
    assert_eq!(game.seats()[0].sites().0, None);
    assert!(game.seats()[1].sites().0.is_some());
    let watcher = apply(&mut table, CY, Command::Order(wall()));
    assert_eq!(watcher, Err(Refusal::NoSeat));
    let refused = apply(
        &mut table,
        BO,
        Command::Order(Order::CallHome(Place::Throne)),
    );
    assert_eq!(refused, Err(Refusal::Order(crowns::Refusal::NoGarrison)));
    let mut idle = Table::default();
    assert_eq!(apply(&mut idle, ADA, Command::Sit), Ok(()));
    let early = apply(&mut idle, ADA, Command::Order(wall()));
    assert_eq!(early, Err(Refusal::NotPlaying));
}

/// One person runs all members of a sandbox and orders through any of them.
#[test]
fn members_of_a_sandbox_are_one_player() {
    let mut table = Table::default();
    let sandbox = |is_sandbox| {
        Command::Configure(
            Setup {
                is_sandbox,
                ..Setup::default()
            }
            .into(),
        )
    };
    assert_eq!(apply(&mut table, ADA, Command::Sit), Ok(()));
    let late = apply(&mut table, ADA, sandbox(true));
    assert_eq!(late, Err(Refusal::Sandbox));
    assert_eq!(apply(&mut table, ADA, Command::Stand), Ok(()));
    assert_eq!(apply(&mut table, ADA, sandbox(true)), Ok(()));
    assert_eq!(apply(&mut table, ADA, Command::Sit), Ok(()));
    assert_eq!(apply(&mut table, BO, Command::Sit), Err(Refusal::HasSeat));
    assert_eq!(apply(&mut table, BO, sandbox(false)), Err(Refusal::Sandbox));
    assert_eq!(apply(&mut table, BO, CAPTAIN), Ok(()));
    assert_eq!(apply(&mut table, CY, Command::Start), Ok(()));
    table.set_present(ADA, false, 1_000);
    for player in [ADA, BO, CY] {
        assert_eq!(table.seat_of(player), Some(0));
        let spear = Order::Train(UnitKind::Spear, 1);
        assert_eq!(apply(&mut table, player, Command::Order(spear)), Ok(()));
    }
    assert!(table.players().all(|(_, player)| player.is_present()));
}

/// 200 ms of the log, whatever the speed of the match.
#[test]
fn fair_window_is_measured_in_stamps() {
    let mut table = Table::default();
    let setup = Setup {
        seats: 2,
        window: Some(200),
        speed: 2,
        ..Setup::default()
    };
    let begin = [
        Command::Sit,
        Command::Configure(setup.into()),
        CAPTAIN,
        Command::Start,
    ];
    for command in begin {
        assert_eq!(apply(&mut table, ADA, command), Ok(()));
    }
    let order = Command::Order(wall());
    assert_eq!(table.apply_now(&order, &at(ADA, 5_050)), Ok(()));
    let site = |table: &Table| table.game().unwrap().seats()[0].sites().0;
    table.advance(5_199);
    assert_eq!(site(&table), None);
    table.advance(5_200);
    assert!(site(&table).is_some());
}

#[test]
fn rematch_begins_by_majority_with_the_next_seats() {
    let mut table = playing();
    let first_map = table.game().unwrap().map().clone();
    assert_eq!(Table::default().seed(), None);
    assert_eq!(table.seed(), Some(at(ADA, 5_000).random));
    let rematch = Command::Rematch(true);
    assert_eq!(
        apply(&mut Table::default(), ADA, rematch.clone()),
        Err(Refusal::NotPlayed)
    );
    assert_eq!(
        apply(&mut table, ADA, rematch.clone()),
        Err(Refusal::NotEnded)
    );
    assert_eq!(
        apply(&mut table, ADA, Command::Order(Order::Concede)),
        Ok(())
    );
    // Bo has taken the most from the keeps of the others when the time is over.
    table.playing.as_mut().unwrap().game.give_crowns(1, 50);
    table.advance(5_000 + 1_200_000);
    assert_eq!(table.game().unwrap().end().unwrap().winner, Some(1));
    assert_eq!((table.wins(ADA), table.wins(BO)), (0, 1));
    assert_eq!(apply(&mut table, CY, rematch.clone()), Err(Refusal::NoSeat));
    assert_eq!(apply(&mut table, ADA, rematch.clone()), Ok(()));
    assert!(!table.is_playing(), "one of two is no majority");
    assert_eq!(apply(&mut table, ADA, Command::Rematch(false)), Ok(()));
    assert_eq!(apply(&mut table, BO, rematch.clone()), Ok(()));
    assert!(!table.is_playing());
    let vote = table.apply_now(&rematch, &at(ADA, 1_900_000));
    assert_eq!(vote, Ok(()));
    assert!(table.is_playing());
    assert_eq!(table.rounds(), 2);
    assert_eq!(table.seed(), Some(at(ADA, 1_900_000).random));
    assert_eq!((table.seat_of(BO), table.seat_of(ADA)), (Some(0), Some(2)));
    assert_ne!(table.game().unwrap().map(), &first_map);
    assert_eq!(table.bots().next().unwrap().1.decision, 0);
}

/// After a match others take the seats, but each player speaks for the seat of the match.
#[test]
fn players_talk_after_a_match_under_the_seats_that_they_had() {
    let mut table = playing();
    for player in [ADA, BO] {
        let concede = Command::Order(Order::Concede);
        assert_eq!(apply(&mut table, player, concede), Ok(()));
    }
    let end = table.game().unwrap().end().unwrap();
    let hash = table.game().unwrap().state_hash();
    assert_eq!((table.wins(ADA), table.wins(BO)), (0, 0), "the bot has won");
    // Ada leaves, and Cy takes her seat.
    for (player, command) in [
        (ADA, Command::Stand),
        (CY, Command::Sit),
        (BO, Command::Ready(true)),
    ] {
        assert_eq!(table.apply_now(&command, &at(player, 60_000)), Ok(()));
    }
    assert_eq!(table.seat_of(CY), Some(0));
    let bot = MatchSeat::Bot(Level::Captain, Archetype::Balanced);
    let [ada, bo] = [ADA, BO].map(MatchSeat::Player);
    assert_eq!(table.match_seats(), [ada, bo, bot]);
    assert_eq!(table.match_seat_of(ADA), Some(0));
    assert_eq!(table.match_seat_of(CY), None);
    assert_eq!(table.clock(60_000), Some(end.at));
    let hello = Order::Say(crowns::Words::Phrase(crowns::Phrase::Hello));
    for order in [hello.clone(), wall()] {
        let refused = table.apply_now(&Command::Order(order), &at(CY, 60_001));
        assert_eq!(refused, Err(Refusal::NotInMatch));
    }
    assert_eq!(table.game().unwrap().state_hash(), hash, "it stands still");
    let reports = table.game().unwrap().next_report();
    for player in [ADA, BO] {
        let said = table.apply_now(&Command::Order(hello.clone()), &at(player, 60_002));
        assert_eq!(said, Ok(()));
    }
    let game = table.game().unwrap();
    let speakers = game.reports_since(reports).map(|(_, report)| match report {
        crowns::Report::Said { seat, .. } => *seat,
        other => panic!("{other:?}"),
    });
    assert_eq!(speakers.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn only_player_left_waits_for_others_after_a_vote() {
    let mut table = Table::default();
    for player in [ADA, BO] {
        table.set_present(player, true, 5_000);
        assert_eq!(apply(&mut table, player, Command::Sit), Ok(()));
    }
    assert_eq!(apply(&mut table, BO, Command::Ready(true)), Ok(()));
    assert_eq!(apply(&mut table, ADA, Command::Start), Ok(()));
    assert_eq!(
        apply(&mut table, BO, Command::Order(Order::Concede)),
        Ok(())
    );
    table.set_present(BO, false, 5_000);
    assert_eq!(apply(&mut table, ADA, Command::Rematch(true)), Ok(()));
    assert!(table.game().is_none());
    assert_eq!(apply(&mut table, CY, Command::Sit), Ok(()));
}

/// The fair window is on where members are far apart, unless the table decides otherwise.
#[test]
fn distance_of_the_members_opens_a_fair_window() {
    for (window, is_far, waits) in [
        (None, false, false),
        (None, true, true),
        (Some(0), true, false),
        (Some(200), false, true),
    ] {
        let mut table = Table::default();
        let setup = Setup {
            seats: 2,
            window,
            speed: 1,
            ..Setup::default()
        };
        for command in [
            Command::Sit,
            Command::Configure(setup.into()),
            CAPTAIN,
            Command::Distance(is_far),
            Command::Start,
            Command::Order(wall()),
        ] {
            assert_eq!(apply(&mut table, ADA, command), Ok(()));
        }
        assert_eq!(table.is_far(), is_far);
        let site = |table: &Table| table.game().unwrap().seats()[0].sites().0;
        assert_eq!(site(&table).is_none(), waits, "{window:?} {is_far}");
        table.advance(5_200);
        assert!(site(&table).is_some());
    }
}

#[test]
fn game_clock_runs_with_the_stamps_times_the_speed() {
    let mut table = Table::default();
    assert_eq!(apply(&mut table, ADA, Command::Sit), Ok(()));
    assert_eq!(apply(&mut table, ADA, CAPTAIN), Ok(()));
    let fast = Setup {
        seats: 2,
        window: None,
        speed: 2,
        ..Setup::default()
    };
    assert_eq!(
        apply(&mut table, ADA, Command::Configure(fast.into())),
        Ok(())
    );
    assert_eq!(apply(&mut table, ADA, Command::Start), Ok(()));
    assert_eq!(table.next_event(), Some(5_000 + 600_000));
    let field = Order::Build(Building::Field(Resource::Wood));
    assert_eq!(apply(&mut table, ADA, Command::Order(field)), Ok(()));
    assert_eq!(
        table.next_event(),
        Some(5_000 + 8_000),
        "16 s at double speed"
    );
    table.advance(5_000 + 7_999);
    assert_eq!(table.game().unwrap().seats()[0].levels().fields[0], 1);
    table.advance(5_000 + 8_000);
    assert_eq!(table.game().unwrap().seats()[0].levels().fields[0], 2);
    table.advance(5_000 + 600_000);
    let end = table.game().unwrap().end().unwrap();
    assert_eq!((end.reason, end.at), (EndReason::Time, 1_200_000));
    assert_eq!(table.next_event(), None);
}

/// Each of two players who change different settings at once gets theirs.
#[test]
fn settings_that_a_player_does_not_name_stay() {
    let mut table = Table::default();
    let seats = SetupChange {
        seats: Some(3),
        ..SetupChange::default()
    };
    let speed = SetupChange {
        speed: Some(4),
        window: Some(Some(100)),
        ..SetupChange::default()
    };
    assert_eq!(apply(&mut table, ADA, Command::Configure(seats)), Ok(()));
    assert_eq!(apply(&mut table, BO, Command::Configure(speed)), Ok(()));
    let setup = Setup {
        seats: 3,
        window: Some(100),
        speed: 4,
        is_sandbox: false,
    };
    assert_eq!(table.setup(), setup);
    assert_eq!(SetupChange::from(setup).applied_to(Setup::default()), setup);
}

/// An order of one match that arrives in the next one was meant for another city.
#[test]
fn command_for_the_match_before_is_refused() {
    let mut table = playing();
    let late = Origin {
        round: table.rounds(),
        ..at(ADA, 1_900_100)
    };
    table.advance(5_000 + 1_200_000);
    for player in [ADA, BO] {
        let vote = table.apply_now(&Command::Rematch(true), &at(player, 1_900_000));
        assert_eq!(vote, Ok(()));
    }
    assert_eq!(table.rounds(), 2);
    let before = table.clone();
    for command in [
        Command::Order(Order::Concede),
        Command::Order(wall()),
        Command::Rematch(true),
        Command::Start,
        Command::Ready(true),
        Command::Abandon,
        Command::StewardOrder {
            seat: 0,
            order: Order::Repair(true),
        },
        Command::BotOrders {
            seat: 1,
            decision: 1,
            orders: vec![wall()],
        },
    ] {
        let refused = table.apply(&command, &late);
        assert_eq!(refused, Err(Refusal::OtherMatch), "{command:?}");
    }
    let mut still = before;
    still.advance(late.stamp);
    assert_eq!(table.game(), still.game());
    assert_eq!(table.apply(&Command::Present, &late), Ok(()));
    let now = table.apply_now(&Command::Order(wall()), &late);
    assert_eq!(now, Ok(()));
}

/// The vote of a player who is away is no longer waited for.
#[test]
fn rematch_begins_when_the_last_player_without_a_vote_is_away() {
    let mut table = playing();
    table.advance(5_000 + 1_200_000);
    let vote = table.apply_now(&Command::Rematch(true), &at(ADA, 1_300_000));
    assert_eq!(vote, Ok(()));
    assert!(!table.is_playing());
    let away = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply_now(&away, &at(CY, 1_300_001)), Ok(()));
    assert!(table.is_playing(), "one of one is a majority");
    assert_eq!(table.chairs().len(), 2, "Ada and the bot");
}

#[test]
fn archetypes_and_levels_have_names_of_their_own() {
    let archetypes: std::collections::BTreeSet<_> = Archetype::ALL.map(Archetype::name).into();
    assert_eq!(archetypes.len(), Archetype::ALL.len());
    let levels: std::collections::BTreeSet<_> = Level::ALL.map(Level::name).into();
    assert_eq!(levels.len(), Level::ALL.len());
    assert!(archetypes.contains("rush") && levels.contains("captain"));
}
