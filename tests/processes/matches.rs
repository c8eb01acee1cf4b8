//! Matches that players join: founding, tickets, leaving, vanishing and coming back.

use std::process::Stdio;

use serde_json::Value;

use crate::cluster::eventually;
use crate::healths;
use crate::player::{Machines, Player, agree, program};

#[test]
fn founder_leaves_and_the_others_play_on() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let ticket = ada.ticket().to_owned();
    assert!(ticket.len() <= 400, "{}", ticket.len());
    ada.order(1);
    let bo = machines.join("Bo", &ticket);
    let cy = machines.join("Cy", &ticket);
    assert_eq!((ada.id(), bo.id(), cy.id()), (1, 2, 3));
    ada.sees(&["Ada", "Bo", "Cy"]);
    bo.order(2);
    cy.order(3);
    agree(&[&ada, &bo, &cy]);
    let (exit, last) = ada.interrupt();
    assert_eq!((exit, &last["event"]), (Some(130), &Value::from("left")));
    bo.sees(&["Bo", "Cy"]);
    cy.order(4);
    // The ticket names only the founder, who is gone: the others are found on the local network,
    // where there is one.
    let found = machines.run(&["discover", "--json", "--timeout", "5"]);
    let found: Value = serde_json::from_slice(&found.stdout).expect("a document is JSON");
    let mut matches = found["matches"].as_array().expect("a list").iter();
    let is_announced = matches.any(|found| found["match"] == bo.ready["match"]);
    let fresh = bo.succeed(&["invite"]);
    let di = machines.join("Di", if is_announced { &ticket } else { fresh.trim() });
    assert_eq!(di.id(), 4, "ids are never used again");
    bo.sees(&["Bo", "Cy", "Di"]);
    di.order(5);
    cy.kill();
    di.order(1);
    // It returns by itself, without a ticket.
    let cy = machines.player("Cy", &["node"]);
    assert_eq!(cy.id(), 3);
    agree(&[&bo, &cy, &di]);
    let status = cy.json(&["status"]);
    assert_eq!(healths(&status), [40, 70, 70, 70, 70]);
}

/// The player has the same key as the member that left, which every later joiner finds in the log.
#[test]
fn player_who_left_and_joined_again_stays_when_others_join() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    ada.interrupt();
    bo.sees(&["Bo"]);
    let ticket = bo.succeed(&["invite"]);
    let ada = machines.join("Ada", ticket.trim());
    assert_eq!(ada.id(), 3);
    let cy = machines.join("Cy", ticket.trim());
    ada.sees(&["Bo", "Ada", "Cy"]);
    // Longer than the pause before a removed member is disconnected.
    let deadline = std::time::Instant::now() + 2 * raftian_node::quic::REMOVED_GRACE;
    while std::time::Instant::now() < deadline {
        ada.order(1);
    }
    agree(&[&bo, &ada, &cy]);
}

/// The maker of the ticket has left, but another member that it names is there.
#[test]
fn old_ticket_of_several_members_admits_after_its_maker_left() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    let ticket = ada.succeed(&["invite"]);
    ada.interrupt();
    bo.sees(&["Bo"]);
    let cy = machines.join("Cy", ticket.trim());
    bo.sees(&["Bo", "Cy"]);
    cy.order(2);
    agree(&[&bo, &cy]);
}

#[test]
fn invites_that_are_wrong_used_up_revoked_or_expired_are_refused_by_name() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let refused = |ticket: &str, exit, part: &str| {
        let (code, message) = machines.failed_join("Eve", ticket);
        assert_eq!(code, Some(exit), "{message}");
        assert!(message.contains(part), "{message}");
    };
    refused("RAFT-7K3Q-9MXT", 9, "neither a ticket nor a code");
    let (first, rest) = ada.ticket().split_at(40);
    let mistyped = rest.strip_prefix(|_| true).expect("a longer ticket");
    let letter = if rest.starts_with('A') { 'B' } else { 'A' };
    refused(
        &format!("{first}{letter}{mistyped}"),
        9,
        "incomplete or mistyped",
    );
    let once = ada.json(&["invite", "--uses", "1"]);
    let once_ticket = once["ticket"].as_str().expect("a ticket");
    let bo = machines.join("Bo", once_ticket);
    refused(once_ticket, 9, "used up");
    let revoked = bo.json(&["invite"]);
    let number = revoked["invite"].to_string();
    bo.succeed(&["invite", "revoke", &number]);
    refused(
        revoked["ticket"].as_str().expect("a ticket"),
        9,
        "was revoked",
    );
    let expired = ada.json(&["invite", "--expires", "1s"]);
    eventually("the invite has expired", || {
        let (code, message) = machines.failed_join("bO", expired["ticket"].as_str().unwrap());
        // Its name is taken, so it is refused in any case.
        code == Some(9) && message.contains("has expired")
    });
    let (code, message) = machines.failed_join("ada", ada.ticket());
    assert!(
        code == Some(9) && message.contains("a member is named"),
        "{message}"
    );
    let names: Vec<_> = ada.members().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Ada", "Bo"]);
}

/// A ticket of one match presented to a member of another, whose address is the same.
#[test]
fn ticket_of_another_match_reaches_nobody() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let ticket = ada.ticket().to_owned();
    let listen = ada.ready["listen"].as_str().expect("an address").to_owned();
    ada.kill();
    let _other = machines.player(
        "Other",
        &[
            "start",
            "--headless",
            "--listen",
            &listen,
            "--name",
            "Other",
        ],
    );
    let (exit, message) = machines.failed_join("Bo", &ticket);
    assert_eq!(exit, Some(4), "{message}");
}

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

/// A member that was away does not know the one that leads when it returns, and refuses its
/// connections until another member has vouched for it.
#[test]
fn member_that_was_away_follows_a_leader_that_joined_meanwhile() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    cy.kill();
    let di = machines.join("Di", ada.ticket());
    eventually("it gets the vote of the one that vanished", || {
        ada.members()[3] == ("Di".to_owned(), "voter".to_owned())
    });
    ada.succeed(&["transfer", "Di"]);
    assert_eq!(bo.leader(), Some(di.id()));
    di.order(3);
    let cy = machines.player("Cy", &["node"]);
    eventually("it follows the leader", || cy.leader() == Some(di.id()));
    agree(&[&ada, &bo, &cy, &di]);
}

/// A member that returns on another port is reached there.
#[test]
fn member_that_returns_on_another_port_records_its_address() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    let before = bo.ready["listen"].clone();
    bo.kill();
    // The port is taken while the member is away.
    let address = before.as_str().expect("an address");
    let _taken = std::net::UdpSocket::bind(address).expect("the port is free");
    let bo = machines.player("Bo", &["node"]);
    let now = bo.ready["listen"].clone();
    assert_ne!(before, now);
    eventually("the other member knows the address", || {
        let members = ada.json(&["members"]);
        members["members"][1]["addresses"][0] == now
    });
    ada.order(1);
    agree(&[&ada, &bo]);
}

#[test]
fn member_leaves_and_is_removed_by_command() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    bo.succeed(&["demote", "Cy"]);
    eventually("it only watches", || {
        ada.members()[2] == ("Cy".to_owned(), "learner".to_owned())
    });
    cy.succeed(&["promote", "n3"]);
    ada.sees(&["Ada", "Bo", "Cy"]);
    cy.succeed(&["leave"]);
    assert_eq!(cy.event("left")["event"], "left");
    ada.sees(&["Ada", "Bo"]);
    // From the leader itself.
    let remover = if ada.leader() == Some(ada.id()) {
        &ada
    } else {
        &bo
    };
    let other = if remover.id() == ada.id() {
        "Bo"
    } else {
        "Ada"
    };
    remover.succeed(&["remove", other]);
    assert_eq!(remover.members().len(), 1);
    remover.order(1);
    let unknown = remover.ask(&["remove", "Zoe"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

/// Of two voters one is lost for good: the other one makes a new match from its copy.
#[test]
fn match_is_recovered_from_a_copy_under_another_id() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    ada.order(2);
    agree(&[&ada, &bo]);
    let earlier = bo.ready["match"].clone();
    ada.kill();
    let refused = bo.ask(&["recover", "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "it runs: {refused:?}");
    let directory = bo.directory.clone();
    let data = directory.to_str().expect("a temporary path is text");
    bo.kill();
    let asked = machines.run(&["recover", "--data", data]);
    assert_eq!(
        asked.status.code(),
        Some(2),
        "nobody can be asked: {asked:?}"
    );
    let recovered = machines.run(&["recover", "--yes", "--data", data]);
    assert!(recovered.status.success(), "{recovered:?}");
    let bo = machines.player("Bo", &["node"]);
    assert_ne!(bo.ready["match"], earlier);
    bo.sees(&["Bo"]);
    bo.order(2);
    let cy = machines.join("Cy", bo.ticket());
    assert_eq!(cy.id(), 3);
    bo.sees(&["Bo", "Cy"]);
    agree(&[&bo, &cy]);
    assert_eq!(healths(&cy.json(&["status"]))[1], 40);
    // The lost member returns, and belongs to the earlier match only.
    let ada_data = machines.data("Ada");
    let mut ada = program(machines.home(), &["node", "--json", "--data"])
        .arg(&ada_data)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be started");
    bo.order(3);
    assert_eq!(bo.members().len(), 2);
    ada.kill().expect("a child can be killed");
    ada.wait().expect("a killed child ends");
}

/// Two voters: a crash cannot be distinguished from a broken link, so the match stops until the other one
/// returns.
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

/// With a witness two of three are left after a crash. After a while two voters are left, the witness
/// among them: a second crash stops the match.
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

/// Of three, one crashes, and a second one when the first has lost its vote: the match stops until one
/// of them returns.
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

#[test]
fn removed_member_ends_and_joins_again_as_a_new_one() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let mut cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    ada.succeed(&["remove", "Cy"]);
    cy.event("removed");
    let exit = cy.child.wait().expect("it ends by itself");
    assert_eq!(exit.code(), Some(9));
    let resumed = cy.ask(&["node"]);
    assert_eq!(resumed.status.code(), Some(3), "{resumed:?}");
    let cy = machines.join("Cy", ada.ticket());
    assert_eq!(cy.id(), 4);
    ada.sees(&["Ada", "Bo", "Cy"]);
    // Removed while it was down, so its own file still lists it as a member.
    ada.succeed(&["demote", "Cy"]);
    cy.kill();
    ada.succeed(&["remove", "Cy"]);
    let cy = machines.join("Cy", ada.ticket());
    assert_eq!(cy.id(), 5);
    bo.order(4);
    agree(&[&ada, &bo, &cy]);
}

/// With another voter down, the two that are left still agree: first the vote of the one that is
/// down is taken, then the leaver goes.
#[test]
fn member_leaves_right_after_another_one_crashed() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    cy.kill();
    bo.succeed(&["leave"]);
    bo.event("left");
    ada.order(2);
    let cy = machines.player("Cy", &["node"]);
    ada.sees(&["Ada", "Cy"]);
    agree(&[&ada, &cy]);
}

#[test]
fn second_start_of_a_running_member_changes_nothing() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let again = ada.ask(&["start", "--headless"]);
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    ada.order(1);
}

#[test]
fn requests_without_a_quorum_exit_with_5() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    bo.kill();
    for command in [&["invite"][..], &["remove", "Bo"], &["transfer"]] {
        let output = ada.ask(command);
        assert_eq!(output.status.code(), Some(5), "{command:?}: {output:?}");
    }
    let left = ada.ask(&["leave"]);
    assert_eq!(left.status.code(), Some(5), "{left:?}");
}

/// Each has its own matches and keys, so two players share a machine.
#[test]
fn profiles_of_one_user_have_their_own_matches() {
    let machines = Machines::new();
    let start = [
        "start",
        "--profile",
        "ada",
        "--headless",
        "--no-lan",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut ada = program(machines.home(), &start)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be started");
    eventually("the match of the profile is found", || {
        let members = machines.run(&["members", "--profile", "ada"]);
        members.status.success()
    });
    for (profile, exit) in [("bo", 2), ("../ada", 2)] {
        let members = machines.run(&["members", "--profile", profile]);
        assert_eq!(members.status.code(), Some(exit), "{members:?}");
    }
    ada.kill().expect("a child can be killed");
    ada.wait().expect("a killed child ends");
}
