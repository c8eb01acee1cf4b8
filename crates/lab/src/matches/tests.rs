//! Whole matches: violations that the checks must find, and determinism.

use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Runs two seconds, crashes the leader, and restarts it.
fn crashed(conditions: &Conditions, size: u64, seed: u64) -> Match {
    let mut game = Match::new(conditions, size, seed);
    game.run_for(2 * SECOND);
    let leader = game.leader().expect("a leader within two seconds");
    game.crash(leader);
    game.run_for(2 * SECOND);
    game.restart(leader);
    game.run_for(SECOND);
    assert!(game.settle(20 * SECOND).is_some(), "seed {seed}");
    game
}

fn planted(plant: Plant) -> play::Account {
    let plant = Some(plant);
    crashed(
        &Conditions {
            plant,
            loss: "20%".parse().unwrap(),
            ..Conditions::default()
        },
        3,
        7,
    )
    .account()
}

#[test]
fn planted_bugs_are_found() {
    let lost = planted(Plant::Lost);
    assert!(
        lost.lost > 0 && matches!(lost.violation, Some(ledger::Violation::Lost { .. })),
        "{lost:?}"
    );
    let doubled = planted(Plant::Doubled);
    assert!(
        doubled.doubled > 0 && matches!(doubled.violation, Some(ledger::Violation::Doubled { .. })),
        "{doubled:?}"
    );
    let diverged = planted(Plant::Diverged);
    assert!(
        !diverged.equal && matches!(diverged.violation, Some(ledger::Violation::Diverged { .. })),
        "{diverged:?}"
    );
}

#[test]
fn matches_are_sound_and_reproducible_from_their_seed() {
    for seed in 0..12 {
        let conditions = Conditions {
            loss: "0..10%".parse().unwrap(),
            rate: 50.0,
            ..Conditions::default()
        };
        let accounts = [2, 3, 5].map(|size| {
            let mut games = [
                crashed(&conditions, size, seed),
                crashed(&conditions, size, seed),
            ];
            assert_eq!(games[0].steps(), games[1].steps());
            games[0].account()
        });
        for account in accounts {
            assert!(
                account.is_sound() && account.applied > 200,
                "seed {seed}: {account:?}"
            );
        }
    }
}

#[test]
fn follower_behind_the_log_catches_up_by_snapshot() {
    let conditions = Conditions {
        rate: 400.0,
        ..Conditions::default()
    };
    let mut game = Match::new(&conditions, 3, 3);
    game.run_for(2 * SECOND);
    let follower = (game.leader().expect("a leader") + 1) % 3;
    game.crash(follower);
    game.run_for(8 * SECOND);
    game.restart(follower);
    game.watch_for_equality(1 << follower);
    game.run_for(SECOND);
    assert!(game.equality().is_some() && game.settle(20 * SECOND).is_some());
    let account = game.account();
    assert!(
        account.is_sound() && account.applied > SNAPSHOT_EVERY,
        "{account:?}"
    );
}

/// An hour on Wi-Fi: jitter, losses, and one link that stalls in every minute.
#[test]
fn adaptive_timeouts_hold_no_needless_election_on_wifi() {
    let conditions = Conditions {
        adaptive: Some("30ms..500ms".parse().unwrap()),
        heartbeat: "15ms".parse().unwrap(),
        delay: "1..80ms".parse().unwrap(),
        loss: "2%".parse().unwrap(),
        rate: 1.0,
        ..Conditions::default()
    };
    let mut game = Match::new(&conditions, 5, 1);
    game.run_for(10 * SECOND);
    let before = game.elections();
    for minute in 0..60 {
        game.stall(minute % 5, Duration::from_millis(300));
        game.run_for(60 * SECOND);
    }
    assert_eq!(game.elections(), before, "no leader was replaced");
    // A machine that joins there gets a vote.
    let place = (game.leader().expect("a leader") + 1) % 5;
    game.stop_clicking(place);
    game.ask_to_remove(game.id(place));
    game.run_for(5 * SECOND);
    let id = game.arrive_new(place);
    game.ask_to_add(id);
    game.run_for(60 * SECOND);
    let members = game.members().expect("a leader");
    assert!(members.voters().any(|voter| voter == id), "{members:?}");
    assert!(game.settle(20 * SECOND).is_some() && game.account().is_sound());
}

#[test]
fn order_passes_click_log_majority_and_effect_in_order() {
    let mut game = Match::new(&Conditions::default(), 3, 1);
    game.run_for(3 * SECOND);
    assert!(game.settle(SECOND).is_some());
    for order in game.ledger().orders() {
        let known = [
            Some(order.clicked),
            order.proposed,
            order.committed,
            order.applied,
        ];
        assert!(
            known.iter().all(Option::is_some) && known.is_sorted(),
            "{order:?}"
        );
    }
}
