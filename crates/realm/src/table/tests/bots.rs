//! Bots.

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
    let mut at_third = |player, command: &Command| table.apply_now(command, &at(player, 8_000));
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
    let most = vec![Order::Repair(false); MAX_BOT_ORDERS];
    assert_eq!(apply(&mut table, ADA, decide(2, 1, most)), Ok(()));
}

/// A member takes a bot over only after its own member has given no sign of it.
#[test]
fn bot_is_adopted_after_silence_only() {
    let mut table = playing();
    let adopt = Command::AdoptBot { seat: 2 };
    let alive = Command::BotAlive { seat: 2 };
    assert_eq!(
        table.apply_now(&adopt, &at(BO, 6_999)),
        Err(Refusal::BotAlive)
    );
    assert_eq!(
        table.apply_now(&alive, &at(BO, 6_999)),
        Err(Refusal::NotYourBot)
    );
    assert_eq!(table.apply_now(&alive, &at(ADA, 6_999)), Ok(()));
    assert_eq!(
        table.apply_now(&adopt, &at(BO, 8_998)),
        Err(Refusal::BotAlive)
    );
    assert_eq!(table.apply_now(&adopt, &at(BO, 8_999)), Ok(()));
    let decision = decide(2, 2, vec![wall()]);
    assert_eq!(
        table.apply_now(&decision, &at(ADA, 9_000)),
        Err(Refusal::NotYourBot)
    );
    assert_eq!(table.apply_now(&decision, &at(BO, 9_000)), Ok(()));
    assert_eq!(
        table.apply_now(&adopt, &at(ADA, 10_999)),
        Err(Refusal::BotAlive)
    );
}
