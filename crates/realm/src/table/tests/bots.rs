//! Bots, stewards and absent players.

use super::*;

fn decide(seat: u8, decision: u64, orders: Vec<Order>) -> Command {
    Command::BotOrders {
        seat,
        decision,
        orders,
    }
}

#[test]
fn decision_of_a_bot_counts_once_and_from_its_member() {
    let mut table = playing();
    let twice = vec![wall(), Order::CallHome(Place::Throne), wall()];
    // A decision a second at most: number 4 is due from the third second on.
    let mut at_third = |player, command: &Command| table.apply(command, &at(player, 8_000));
    assert_eq!(
        at_third(BO, &decide(2, 1, twice.clone())),
        Err(Refusal::NotYourBot)
    );
    assert_eq!(
        at_third(ADA, &decide(1, 1, twice.clone())),
        Err(Refusal::NoBot)
    );
    assert_eq!(
        at_third(ADA, &decide(2, 5, twice.clone())),
        Err(Refusal::OldDecision)
    );
    assert_eq!(
        at_third(ADA, &decide(2, u64::MAX, vec![])),
        Err(Refusal::OldDecision)
    );
    assert_eq!(at_third(ADA, &decide(2, 4, twice)), Ok(()));
    let again = decide(2, 4, vec![Order::CancelBuild]);
    assert_eq!(at_third(ADA, &again), Err(Refusal::OldDecision));
    let sites = table.game().unwrap().seats()[2].sites();
    assert!(
        sites.0.is_some() && sites.1.is_some(),
        "a refused order is skipped"
    );
}

#[test]
fn bot_gives_nothing_away() {
    let mut table = playing();
    let give = Order::Give {
        to: 0,
        goods: [1; 3],
    };
    let offer = Order::Pact {
        with: 0,
        order: crowns::PactOrder::Offer,
    };
    let hello = Order::Say(crowns::Words::Phrase(crowns::Phrase::Hello));
    for order in [give, offer, hello, Order::Concede] {
        let decision = decide(2, 1, vec![wall(), order]);
        assert_eq!(apply(&mut table, ADA, decision), Err(Refusal::NotForBots));
    }
    let many = vec![Order::Repair(false); MAX_BOT_ORDERS + 1];
    assert_eq!(
        apply(&mut table, ADA, decide(2, 1, many)),
        Err(Refusal::NotForBots)
    );
    assert_eq!(apply(&mut table, ADA, decide(2, 1, vec![wall()])), Ok(()));
}

/// A member takes a bot over only after its own member has given no sign of it.
#[test]
fn bot_is_adopted_after_silence_only() {
    let mut table = playing();
    let adopt = Command::AdoptBot { seat: 2 };
    let alive = Command::BotAlive { seat: 2 };
    assert_eq!(table.apply(&adopt, &at(BO, 6_999)), Err(Refusal::BotAlive));
    assert_eq!(
        table.apply(&alive, &at(BO, 6_999)),
        Err(Refusal::NotYourBot)
    );
    assert_eq!(table.apply(&alive, &at(ADA, 6_999)), Ok(()));
    assert_eq!(table.apply(&adopt, &at(BO, 8_998)), Err(Refusal::BotAlive));
    assert_eq!(table.apply(&adopt, &at(BO, 8_999)), Ok(()));
    let decision = decide(2, 2, vec![wall()]);
    assert_eq!(
        table.apply(&decision, &at(ADA, 9_000)),
        Err(Refusal::NotYourBot)
    );
    assert_eq!(table.apply(&decision, &at(BO, 9_000)), Ok(()));
    assert_eq!(
        table.apply(&adopt, &at(ADA, 10_999)),
        Err(Refusal::BotAlive)
    );
}

/// Sends an army against the city of the seat 1.
fn attack(table: &mut Table, stamp: u64) {
    let march = Order::March {
        army: crowns::Army::new([4, 0, 0, 0]),
        to: Place::City(1),
        attack: crowns::Attack::Assault,
    };
    let done = table.apply(&Command::Order(march), &at(ADA, stamp));
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
    assert_eq!(table.stewarded().collect::<Vec<_>>(), [1]);
    for wrong in [
        train(UnitKind::Axe, 2),
        train(UnitKind::Spear, 6),
        steward(Order::TurnBack { march: 1 }),
        steward(Order::Concede),
    ] {
        assert_eq!(apply(&mut table, ADA, wrong), Err(Refusal::NotForStewards));
    }
    assert_eq!(apply(&mut table, ADA, spears.clone()), Ok(()));
    assert_eq!(
        table.apply(&spears, &at(ADA, 6_999)),
        Err(Refusal::NotForStewards),
        "two seconds"
    );
    assert_eq!(table.apply(&spears, &at(ADA, 7_000)), Ok(()));
    table.set_present(BO, true, 7_000);
    assert_eq!(table.seat_of(BO), Some(1), "the seat waited");
    assert_eq!(
        table.apply(&spears, &at(ADA, 9_000)),
        Err(Refusal::NoSteward)
    );
    assert_eq!(
        table.apply(&Command::Steward(false), &at(BO, 9_000)),
        Ok(())
    );
    table.set_present(BO, false, 9_000);
    assert_eq!(
        table.apply(&spears, &at(ADA, 11_000)),
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
    assert_eq!(apply(&mut table, ADA, spears), Err(Refusal::NotForStewards));
    assert_eq!(apply(&mut table, ADA, steward(Order::Repair(true))), Ok(()));
}

#[test]
fn silent_player_is_noted_as_absent_until_the_next_command() {
    let mut table = playing();
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(
        table.apply(&absent, &at(ADA, 14_999)),
        Err(Refusal::PlayerPresent)
    );
    assert_eq!(table.apply(&absent, &at(ADA, 15_000)), Ok(()));
    assert_eq!(table.stewarded().collect::<Vec<_>>(), [1]);
    let order = Command::Order(wall());
    assert_eq!(table.apply(&order, &at(BO, 16_000)), Ok(()));
    assert_eq!(table.stewarded().count(), 0);
    assert_eq!(
        table.apply(&absent, &at(ADA, 16_500)),
        Err(Refusal::PlayerPresent)
    );
    let bot = Command::NoteAbsent { seat: 2 };
    assert_eq!(
        table.apply(&bot, &at(ADA, 90_000)),
        Err(Refusal::NoSuchSeat)
    );
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
        table.apply(&Command::Start, &at(ADA, end + 1)),
        Err(Refusal::NotReady)
    );
    let absent = Command::NoteAbsent { seat: 1 };
    assert_eq!(table.apply(&absent, &at(ADA, end + 2)), Ok(()));
    assert_eq!(table.apply(&Command::Start, &at(ADA, end + 3)), Ok(()));
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
    assert!(table.game().is_none());
}
