//! The promise of `docs/matches.md`, row by row: which crashes and leaves a match survives.

use serde_json::Value;

use crate::cluster::eventually;
use crate::healths;
use crate::player::{Machines, Player, agree};

#[test]
fn last_member_keeps_the_match_on_its_disk() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    ada.order(2);
    let ticket = ada.ticket().to_owned();
    let (exit, last) = ada.interrupt();
    assert_eq!((exit, &last["event"]), (Some(130), &Value::from("stopped")));
    let ada = machines.player("Ada", &["start", "--headless"]);
    assert_eq!(healths(&ada.json(&["status"]))[1], 70);
    assert_eq!(ada.ticket(), ticket, "it listens on its port again");
    let bo = machines.join("Bo", &ticket);
    ada.sees(&["Ada", "Bo"]);
    bo.order(2);
    agree(&[&ada, &bo]);
}

/// Two voters: a crash cannot be distinguished from a broken link, so the match stops until the
/// other one returns.
#[test]
fn match_of_two_stops_when_one_vanishes_and_goes_on_when_it_returns() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    bo.kill();
    let order = ada.ask(&["order", "attack", "1", "--timeout", "2"]);
    assert_eq!(order.status.code(), Some(5), "{order:?}");
    ada.event("waiting");
    let bo = machines.player("Bo", &["node"]);
    ada.event("resumed");
    bo.order(2);
    agree(&[&ada, &bo]);
    let (exit, last) = bo.interrupt();
    assert_eq!((exit, &last["event"]), (Some(130), &Value::from("left")));
    ada.sees(&["Ada"]);
    ada.order(3);
}

/// With a witness two of three are left after a crash. After a while two voters are left, the
/// witness among them: a second crash stops the match.
#[test]
fn match_of_two_with_a_witness_survives_a_crash() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let witness = machines.player(
        "Wit",
        &[
            "join",
            ada.ticket(),
            "--witness",
            "--headless",
            "--name",
            "Wit",
        ],
    );
    let standings = |player: &Player| -> Vec<String> {
        let members = player.members().into_iter();
        members.map(|(_, kind)| kind).collect()
    };
    eventually("all vote", || {
        standings(&ada) == ["voter", "voter", "witness"]
    });
    ada.order(1);
    let output = witness.ask(&["order", "attack", "1"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("a witness, which gives no orders"),
        "{message}"
    );
    assert!(
        witness
            .succeed(&["status"])
            .contains("none: a witness keeps no orders")
    );
    ada.kill();
    bo.order(2);
    eventually("the crashed one has no vote", || {
        standings(&bo) == ["joining", "voter", "witness"]
    });
    bo.order(3);
    // It returns, and leads when the other one leaves.
    let ada = machines.player("Ada", &["node"]);
    eventually("all vote", || {
        standings(&ada) == ["voter", "voter", "witness"]
    });
    bo.interrupt();
    ada.order(4);
    assert_eq!(standings(&ada), ["voter", "witness"]);
    assert_eq!(healths(&ada.json(&["status"])), [70, 70, 70, 70, 100]);
    // No other member can lead, so Ada stays in the match and keeps it on disk.
    let (exit, last) = ada.interrupt();
    assert_eq!((exit, &last["event"]), (Some(130), &Value::from("stopped")));
    drop(witness);
}

/// A spectator is the third machine, as long as no other player and no witness is.
#[test]
fn match_of_two_with_a_spectator_survives_a_crash() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let zoe = machines.player("Zoe", &watch_arguments(ada.ticket()));
    let bo = machines.join("Bo", ada.ticket());
    let kinds = |player: &Player| -> Vec<String> {
        let members = player.members().into_iter();
        members.map(|(_, kind)| kind).collect()
    };
    let voters = ["voter", "voter", "voter"];
    eventually("all vote", || kinds(&bo) == voters);
    ada.kill();
    bo.order(1);
    // If the spectator was elected, it hands leadership to Bo before it loses its vote.
    eventually("Bo plays on alone", || {
        kinds(&bo) == ["joining", "learner", "voter"]
    });
    zoe.kill();
    bo.order(2);
    let zoe = machines.player("Zoe", &["node"]);
    let ada = machines.player("Ada", &["node"]);
    eventually("all vote", || kinds(&ada) == voters);
    let cy = machines.join("Cy", ada.ticket());
    eventually("the players vote", || {
        kinds(&cy) == ["voter", "learner", "voter", "voter"]
    });
    agree(&[&ada, &bo, &cy, &zoe]);
}

fn watch_arguments(ticket: &str) -> [&str; 8] {
    [
        "join",
        ticket,
        "--spectate",
        "--headless",
        "--listen",
        "127.0.0.1:0",
        "--name",
        "Zoe",
    ]
}

/// Of three, one crashes, and a second one when the first has lost its vote: the match stops until
/// one of them returns.
#[test]
fn match_of_three_stops_at_the_second_crash_until_one_returns() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    ada.kill();
    bo.order(1);
    eventually("it has no vote", || {
        cy.members()[0] == ("Ada".to_owned(), "joining".to_owned())
    });
    bo.kill();
    let order = cy.ask(&["order", "attack", "1", "--timeout", "2"]);
    assert_eq!(order.status.code(), Some(5), "{order:?}");
    let bo = machines.player("Bo", &["node"]);
    cy.order(2);
    let ada = machines.player("Ada", &["node"]);
    cy.sees(&["Ada", "Bo", "Cy"]);
    agree(&[&ada, &bo, &cy]);
}

/// All but one crash at once and never return: a new match begins from the copy of the one.
#[test]
fn last_of_three_goes_on_from_its_copy() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    cy.order(1);
    agree(&[&ada, &bo, &cy]);
    ada.kill();
    bo.kill();
    let order = cy.ask(&["order", "attack", "1", "--timeout", "2"]);
    assert_eq!(order.status.code(), Some(5), "{order:?}");
    let (_, last) = cy.interrupt();
    assert_eq!(last["event"], "stopped");
    let data = machines.data("Cy");
    let data = data.to_str().expect("a temporary path is text");
    let recovered = machines.run(&["recover", "--yes", "--data", data]);
    assert!(recovered.status.success(), "{recovered:?}");
    let cy = machines.player("Cy", &["node"]);
    cy.sees(&["Cy"]);
    cy.order(2);
    assert_eq!(healths(&cy.json(&["status"])), [70, 70, 100, 100, 100]);
}

/// A vanished voter does not count after a while, so one more may leave, and returns by itself.
#[test]
fn vanished_voter_loses_its_vote_and_gets_it_back() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    cy.kill();
    bo.order(1);
    eventually("it has no vote", || {
        ada.members()[2] == ("Cy".to_owned(), "joining".to_owned())
    });
    bo.interrupt();
    ada.order(2);
    assert_eq!(ada.members().len(), 2);
    let cy = machines.player("Cy", &["node"]);
    ada.sees(&["Ada", "Cy"]);
    cy.order(3);
    agree(&[&ada, &cy]);
}

/// Of five, two crash at once, the leader among them, and later a third.
#[test]
fn match_of_five_survives_three_crashes_in_turn() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let ticket = ada.ticket().to_owned();
    let [bo, cy, di, ed] = ["Bo", "Cy", "Di", "Ed"].map(|name| machines.join(name, &ticket));
    ada.sees(&["Ada", "Bo", "Cy", "Di", "Ed"]);
    assert_eq!(bo.leader(), Some(ada.id()));
    ada.kill();
    bo.kill();
    cy.order(1);
    let voters = |player: &Player| {
        let members = player.members();
        members.iter().filter(|(_, kind)| kind == "voter").count()
    };
    eventually("three voters are left", || voters(&cy) == 3);
    ed.kill();
    di.order(2);
    let [ada, bo, ed] = ["Ada", "Bo", "Ed"].map(|name| machines.player(name, &["node"]));
    cy.sees(&["Ada", "Bo", "Cy", "Di", "Ed"]);
    agree(&[&ada, &bo, &cy, &di, &ed]);
    // One leaves politely.
    di.interrupt();
    eventually("three of four vote", || {
        ada.members().len() == 4 && voters(&ada) == 3
    });
    ada.order(3);
}
