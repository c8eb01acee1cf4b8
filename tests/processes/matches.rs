//! Matches that players join: founding, tickets, leaving, vanishing and coming back.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

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

/// Without mDNS a player needs the code and the address of any member.
#[test]
fn player_joins_by_the_code_at_the_address_of_a_member() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let code = ada.ready["code"].as_str().expect("a code");
    let bo = machines.join("Bo", ada.ticket());
    let address = format!("localhost:{}", bo.port());
    let command = ["join", &address, "--headless", "--listen", "127.0.0.1:0"];
    let input = format!("{code}\n");
    let cy = machines.player_with_input("Cy", &[&command[..], &["--name", "Cy"]].concat(), &input);
    let di = machines.join("Di", &format!("{code}@127.0.0.1:{}", ada.port()));
    eventually("all are members", || ada.members().len() == 4);
    cy.order(1);
    agree(&[&ada, &bo, &cy, &di]);
    let (exit, message) = machines.failed_join("Eve", &format!("RAFT-AAAA-AAAA@{address}"));
    assert_eq!(exit, Some(9), "{message}");
    assert!(message.contains("has another code"), "{message}");
    let (exit, message) = machines.failed_join("Eve", &format!("{code}@localhost"));
    assert_eq!(exit, Some(9), "{message}");
    assert!(message.contains("an address is expected"), "{message}");
    let (exit, message) = machines.failed_join("Eve", &format!("{code}@127.0.0.1:9"));
    assert_eq!(exit, Some(4), "{message}");
    assert!(message.contains("answers at 127.0.0.1:9"), "{message}");
}

#[test]
fn match_without_a_code_is_joined_by_ticket_only() {
    let machines = Machines::new();
    let start = ["start", "--no-lan", "--headless", "--listen", "127.0.0.1:0"];
    let ada = machines.player("Ada", &start);
    let listen = ada.ready["listen"].as_str().expect("an address");
    let (exit, message) = machines.failed_join("Eve", &format!("RAFT-AAAA-AAAA@{listen}"));
    assert_eq!(exit, Some(9), "{message}");
    assert!(
        message.contains("has no code; ask a member for a ticket"),
        "{message}"
    );
    let bo = machines.join("Bo", ada.ticket());
    bo.order(1);
}

/// The host name is in the log and in tickets, and survives a restart.
#[test]
fn member_is_reached_by_its_host_name() {
    let machines = Machines::new();
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let listen = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let named = listen.replace("127.0.0.1", "localhost");
    let start = [
        "start",
        "--headless",
        "--listen",
        &listen,
        "--address",
        &named,
    ];
    let ada = machines.player("Ada", &start);
    let addresses = |player: &Player| player.json(&["members"])["members"][0]["addresses"].clone();
    assert_eq!(addresses(&ada), serde_json::json!([named, listen]));
    let bo = machines.join("Bo", ada.ticket());
    ada.kill();
    let ada = machines.player("Ada", &["node"]);
    ada.order(1);
    assert_eq!(addresses(&bo), serde_json::json!([named, listen]));
}

/// The log of each has the old addresses of the others, so they find each other on the local
/// network, where there is one.
#[test]
fn members_that_all_return_on_other_ports_find_each_other() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let players = ["Bo", "Cy"].map(|name| machines.join(name, ada.ticket()));
    ada.sees(&["Ada", "Bo", "Cy"]);
    let found = machines.run(&["discover", "--json", "--timeout", "5"]);
    let found: Value = serde_json::from_slice(&found.stdout).expect("a document is JSON");
    let mut matches = found["matches"].as_array().expect("a list").iter();
    if !matches.any(|found| found["match"] == ada.ready["match"]) {
        eprintln!("not tested: this machine has no mDNS");
        return;
    }
    let listen: Vec<_> = [&ada, &players[0], &players[1]]
        .map(|player| ("127.0.0.1", player.port()))
        .into();
    ada.kill();
    players.into_iter().for_each(Player::kill);
    let taken: Vec<_> = listen
        .iter()
        .map(|address| std::net::UdpSocket::bind(address).expect("it is free"))
        .collect();
    let back: Vec<_> = std::thread::scope(|scope| {
        let machines = &machines;
        let starts =
            ["Ada", "Bo", "Cy"].map(|name| scope.spawn(move || machines.player(name, &["node"])));
        starts
            .map(|start| start.join().expect("it is ready"))
            .into()
    });
    back[1].order(1);
    agree(&back.iter().collect::<Vec<_>>());
    drop(taken);
    let moved: Vec<_> = back.iter().map(Player::port).collect();
    let old: Vec<_> = listen.into_iter().map(|(_, port)| port).collect();
    assert!(old.iter().all(|port| !moved.contains(port)));
    // The earlier port is free again, and taken at the next start.
    let [ada, bo, cy] = <[Player; 3]>::try_from(back).ok().expect("three");
    ada.kill();
    let ada = machines.player("Ada", &["node"]);
    assert_eq!(ada.port(), old[0]);
    ada.order(2);
    agree(&[&ada, &bo, &cy]);
}

/// With a lost key the player would be another one.
#[test]
fn join_in_the_directory_of_a_member_without_its_key_changes_nothing() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let files = machines.data("Bo");
    bo.kill();
    let key = std::fs::read(files.join("key.pem")).expect("a key");
    let certificate = std::fs::read(files.join("certificate.pem")).expect("a certificate");
    std::fs::remove_file(files.join("key.pem")).expect("a key");
    let (exit, message) = machines.failed_join("Bo", ada.ticket());
    assert_eq!(exit, Some(3), "{message}");
    assert!(message.contains("key.pem"), "{message}");
    assert!(!files.join("key.pem").exists());
    let kept = std::fs::read(files.join("certificate.pem")).expect("a certificate");
    assert_eq!(kept, certificate);
    std::fs::write(files.join("key.pem"), key).expect("a key");
    let bo = machines.player("Bo", &["node"]);
    bo.order(1);
}

#[test]
fn addresses_that_cannot_be_recorded_are_refused() {
    let machines = Machines::new();
    for (named, part) in [
        (&["0.0.0.0:7777"][..], "it stands for all addresses"),
        (
            &["a.org:1", "b.org:1", "c.org:1"],
            "c.org:1 cannot be an address",
        ),
    ] {
        let data = machines.data("Ada");
        let data = data.to_str().expect("a temporary path is text");
        let mut arguments = vec!["start", "--headless", "--data", data];
        arguments.extend(named.iter().flat_map(|address| ["--address", *address]));
        let output = machines.run(&arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn doctor_names_the_member_that_is_not_connected() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let checked = |expected: i32, part: &str| {
        let output = ada.ask(&["doctor"]);
        let text = String::from_utf8(output.stdout).expect("output is text");
        let line = text.lines().find(|line| line.starts_with("member"));
        let line = line.expect("it checks the member");
        output.status.code() == Some(expected) && line.contains(part)
    };
    eventually("all is well", || checked(0, "connected with all 1 others"));
    bo.kill();
    eventually("Bo is missed", || {
        checked(10, "FAILED  not connected with Bo at 127.0.0.1:")
    });
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
    // One vote of two changes nothing yet.
    bo.succeed(&["demote", "Cy"]);
    bo.succeed(&["remove", "Cy"]);
    ada.sees(&["Ada", "Bo", "Cy"]);
    eventually("the votes are seen", || {
        let cy = &ada.json(&["members"])["members"][2];
        cy["votes_to_demote"][0] == "Bo" && cy["votes_to_remove"][0] == "Bo"
    });
    ada.succeed(&["demote", "Cy"]);
    // Between two players it soon gets a vote again, but watches.
    eventually("it only watches", || {
        ada.json(&["members"])["members"][2]["watches"] == true
    });
    let by_itself = cy.ask(&["promote", "n3"]);
    assert_eq!(by_itself.status.code(), Some(2), "{by_itself:?}");
    bo.succeed(&["promote", "n3"]);
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

#[test]
fn removed_member_ends_and_joins_again_as_a_new_one() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let mut cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    ada.succeed(&["remove", "Cy"]);
    bo.succeed(&["remove", "Cy"]);
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
    bo.succeed(&["demote", "Cy"]);
    cy.kill();
    ada.succeed(&["remove", "Cy"]);
    bo.succeed(&["remove", "Cy"]);
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

/// Starts a match in the own profile of a user, and waits until its member runs.
fn start_in_profile(machines: &Machines) -> Child {
    let arguments = ["start", "--headless", "--json", "--listen", "127.0.0.1:0"];
    let mut child = program(machines.home(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let stdout = child.stdout.take().expect("it is piped");
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let mut events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    assert!(events.any(|event| event["event"] == "ready"));
    child
}

/// Kills a member and returns its standard error.
fn kill(mut child: Child) -> String {
    child.kill().expect("a child can be killed");
    let output = child.wait_with_output().expect("a killed child ends");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn start_after_a_crash_names_the_match_and_how_to_continue_it() {
    let machines = Machines::new();
    let first = start_in_profile(&machines);
    let second = start_in_profile(&machines);
    let current = machines.data(".local/share/raftian/current");
    let directory = std::fs::read_to_string(current).expect("the match is remembered");
    // The first one runs, so there was nothing to continue.
    let before = kill(second);
    let third = start_in_profile(&machines);
    let after = kill(third);
    kill(first);
    assert_eq!(before, "");
    assert_eq!(after.lines().count(), 1, "{after}");
    let command = format!("continue it with `raftian node --data {directory}`");
    assert!(after.contains(&command), "{command:?} in {after}");
}
