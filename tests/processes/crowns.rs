//! Matches of Crowns: bots and players on several members, and the commands around them.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::eventually;
use crate::player::{Machines, Player, agree, program};

/// Longest match of a test: 20 minutes of the game clock at 20 times its speed, with time for
/// elections and a busy machine.
const LONGEST_MATCH: Duration = Duration::from_secs(180);

fn game(player: &Player) -> Value {
    player.json(&["status"])["table"]["game"].clone()
}

fn clock(player: &Player) -> u64 {
    game(player)["clock_ms"].as_u64().unwrap_or(0)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONGEST_MATCH;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Three bots on three members play to the end, while the leader is killed twice. Nothing committed
/// is lost, and all members end with the same state.
#[test]
fn match_of_bots_survives_two_killed_leaders() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    let cy = machines.join("Cy", ada.ticket());
    ada.sees(&["Ada", "Bo", "Cy"]);
    ada.succeed(&["table", "setup", "--seats", "3", "--speed", "20"]);
    for (player, archetype) in [(&ada, "rush"), (&bo, "boom"), (&cy, "expand")] {
        player.succeed(&["table", "add-bot", "captain", archetype]);
    }
    cy.succeed(&["table", "start"]);
    let mut players = vec![("Ada", ada), ("Bo", bo), ("Cy", cy)];
    for minutes in [1, 4] {
        let at = minutes * 60_000;
        wait_until("the match goes on", || clock(&players[0].1) > at);
        let leader = players.iter().find_map(|(_, player)| player.leader());
        let leader = leader.expect("a match that goes on has a leader");
        let place = players.iter().position(|(_, player)| player.id() == leader);
        let (name, killed) = players.remove(place.expect("the leader is one of them"));
        let (before, bots) = (clock(&players[0].1), bots(&players[0].1));
        assert!(bots.iter().any(|bot| bot["runs_on"] == leader), "{bots:?}");
        killed.kill();
        // The bot of the killed leader is run by another member from then on.
        eventually("another member runs the bot", || {
            let bots = self::bots(&players[1].1);
            bots.iter().all(|bot| bot["runs_on"] != leader)
        });
        wait_until("the others play on", || {
            clock(&players[0].1) > before + 10_000
        });
        let again = machines.player(name, &["node"]);
        players.push((name, again));
    }
    for (name, player) in &players {
        wait_until(&format!("the match ends at {name}"), || {
            !game(player)["end"].is_null()
        });
    }
    let all: Vec<_> = players.iter().map(|(_, player)| player).collect();
    agree(&all);
    let ends: Vec<_> = all
        .iter()
        .map(|player| game(player)["end"].clone())
        .collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    // Those that were killed have gone on with the history of their snapshot and log.
    for player in &all {
        eventually("all have signed the same history", || {
            let checkpoints = &player.json(&["status"])["checkpoints"];
            let disputes = checkpoints["disputes"].as_array().expect("a list");
            assert!(disputes.is_empty(), "{disputes:?}");
            let members = checkpoints["members"].as_array().expect("a list");
            members.len() == 3 && members.iter().all(|one| one["agreed"].is_u64())
        });
    }
}

fn bots(player: &Player) -> Vec<Value> {
    let table = &player.json(&["status"])["table"];
    let seats = table["seats"].as_array().expect("a table has seats");
    seats
        .iter()
        .filter(|seat| seat["kind"] == "bot")
        .cloned()
        .collect()
}

#[test]
fn players_sit_agree_and_order_each_for_the_own_seat() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    ada.succeed(&["table", "sit"]);
    let refused = bo.ask(&["table", "add-bot", "captain"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("you have no seat"), "{text}");
    bo.succeed(&["table", "sit"]);
    let refused = ada.json_failure(&["table", "start"]);
    assert!(
        refused["error"]
            .to_string()
            .contains("not all players are ready"),
        "{refused}"
    );
    bo.succeed(&["table", "ready"]);
    ada.succeed(&["table", "start"]);
    bo.succeed(&["order", "build", "wall"]);
    let [_, iron, grain] = stock(&bo, 2);
    bo.succeed(&["order", "swap", "iron", "30", "grain"]);
    let [_, less, more] = stock(&bo, 2);
    assert!(less < iron && more > grain);
    ada.succeed(&["order", "march", "oasis:1", "--spears", "1"]);
    ada.succeed(&["order", "say", "good", "luck"]);
    ada.succeed(&["order", "give", "2", "--wood", "5"]);
    ada.succeed(&["order", "ping", "-1", "2"]);
    let refused = ada.ask(&["order", "march", "city:1", "--spears", "1"]);
    assert_eq!(refused.status.code(), Some(2), "the own city: {refused:?}");
    let refused = ada.ask(&["order", "pact", "2", "offer"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("the last two cities have no pacts"), "{text}");
    let text = ada.succeed(&["status"]);
    for part in [
        "seat       1 player Ada (you): 0 crowns, keep 100",
        "1 march, the Throne opens at 4:00",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    let text = ada.succeed(&["table"]);
    for part in [
        "seat       2 Bo: 0 crowns, keep 100, 4 units",
        "levels     lumber 1, mine 1, farm 1, barracks 1, wall 0, store 1",
        ": 1 spear to oasis:1, ",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    let table = ada.json(&["table"]);
    assert_eq!(table["schema"], "raftian.table/1");
    assert_eq!(
        (&table["ok"], &table["own_seat"]),
        (&Value::from(true), &Value::from(1))
    );
    bo.succeed(&["order", "concede"]);
    eventually("the match has ended", || game(&ada)["end"]["winner"] == 1);
    agree(&[&ada, &bo]);
    ada.succeed(&["table", "rematch"]);
    let text = bo.succeed(&["table"]);
    let ended = "Ada (seat 1) won: the last keep that stands";
    assert!(
        text.contains(ended) && text.contains("1 of 2 players here want it"),
        "{text}"
    );
    bo.succeed(&["table", "rematch"]);
    let table = &ada.json(&["status"])["table"];
    assert_eq!(
        (&table["round"], &table["playing"]),
        (&Value::from(2), &Value::from(true))
    );
    assert_eq!(table["seats"][1]["name"], "Ada", "each takes the next seat");
    assert_eq!(table["seats"][1]["wins"], 1);
}

fn next_line(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> String {
    let line = lines.next().expect("another line");
    line.expect("output is text")
}

/// Reports in words, also while they come in.
#[test]
fn feed_names_the_players_and_follows_the_match_until_its_member_ends() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    assert_eq!(ada.succeed(&["feed"]), "", "no match yet");
    ada.succeed(&["table", "sit"]);
    ada.succeed(&["table", "setup", "--fair-window", "100"]);
    ada.succeed(&["table", "setup", "--seats", "2"]);
    ada.succeed(&["table", "add-bot", "recruit"]);
    ada.succeed(&["table", "start"]);
    let directory = ada.directory.to_str().expect("a temporary path is text");
    let mut follower = program(machines.home(), &["feed", "--follow", "--data", directory])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut lines = BufReader::new(follower.stdout.take().expect("it is piped")).lines();
    ada.succeed(&["order", "say", "good", "luck"]);
    let first = next_line(&mut lines);
    assert!(first.ends_with("  Ada: good luck"), "{first}");
    // At the end of its window, after the order itself has succeeded.
    ada.succeed(&["order", "swap", "wood", "900", "iron"]);
    let second = next_line(&mut lines);
    let refused = "The order of Ada to swap 900 wood for iron was refused: ";
    assert!(
        second.contains(refused) && second.contains("more wood is needed"),
        "{second}"
    );
    let json = ada.succeed(&["feed", "--json", "--since", "1"]);
    let line: Value = serde_json::from_str(json.trim()).expect("one line of JSON");
    assert_eq!(
        (&line["number"], &line["round"]),
        (&Value::from(1), &Value::from(1))
    );
    assert!(line["at_ms"].is_u64() && second.ends_with(line["text"].as_str().expect("text")));
    ada.succeed(&["order", "concede"]);
    let ending = [(); 2].map(|()| next_line(&mut lines));
    assert!(ending[0].contains("Ada gave up the city."), "{ending:?}");
    assert!(
        ending[1].contains("recruit balanced won: the last keep that stands."),
        "{ending:?}"
    );
    ada.interrupt();
    assert!(lines.next().is_none());
    assert!(follower.wait().expect("it ends").success());
}

fn stock(player: &Player, seat: usize) -> [u64; 3] {
    let city = &game(player)["cities"][seat - 1];
    [0, 1, 2].map(|place| city["stock"][place].as_u64().expect("an amount"))
}

/// A bot at the seat of a member: `raftian bots run`.
#[test]
fn bot_plays_the_seat_of_a_member() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let early = ada.ask(&["bots", "run"]);
    assert_eq!(early.status.code(), Some(2), "no seat: {early:?}");
    ada.succeed(&["table", "sit"]);
    ada.succeed(&["table", "setup", "--seats", "2", "--speed", "20"]);
    ada.succeed(&["table", "add-bot", "recruit"]);
    ada.succeed(&["table", "start"]);
    let directory = ada.directory.to_str().expect("a temporary path is text");
    let arguments = ["bots", "run", "--level", "captain", "--data", directory];
    let output = program(machines.home(), &arguments)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("the match has ended"), "{text}");
    let city = &game(&ada)["cities"][0];
    assert!(city["barracks"].as_u64() > Some(1), "it built: {city}");
}

/// Its orders wait for a majority, but an interrupt does not.
#[test]
fn bot_of_a_seat_is_interrupted_without_a_majority() {
    let machines = Machines::new();
    let ada = machines.found("Ada");
    let bo = machines.join("Bo", ada.ticket());
    ada.sees(&["Ada", "Bo"]);
    ada.succeed(&["table", "sit"]);
    ada.succeed(&["table", "add-bot", "recruit"]);
    ada.succeed(&["table", "start"]);
    bo.kill();
    eventually("the majority is lost", || ada.leader().is_none());
    let directory = ada.directory.to_str().expect("a temporary path is text");
    let arguments = ["bots", "run", "--level", "captain", "--data", directory];
    let mut child = program(machines.home(), &arguments)
        .spawn()
        .expect("the program can be started");
    // A Captain builds in its first decision, so by then an order waits.
    eventually("an order waits", || {
        ada.json(&["status"])["pending"].as_u64() > Some(0)
    });
    let sent = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    eventually("it ends", || {
        child.try_wait().is_ok_and(|ended| ended.is_some())
    });
    assert_eq!(child.wait().expect("it has ended").code(), Some(143));
}

/// The line protocol, against a bot in the same process.
#[test]
fn program_plays_by_lines() {
    let machines = Machines::new();
    let arguments = [
        "bots",
        "serve",
        "--practice",
        "recruit",
        "--seed",
        "5",
        "--every",
        "2000",
    ];
    let mut child = program(machines.home(), &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut answers = child.stdin.take().expect("it is piped");
    let states = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut refusals = Vec::new();
    let mut last = Value::Null;
    for (number, line) in states.lines().enumerate() {
        let state: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        assert_eq!(state["schema"], "raftian.bot/1");
        assert_eq!(state["seat"], 1);
        refusals.extend(state["refused"].as_array().cloned().unwrap_or_default());
        let orders = match number {
            0 => "build wall\nmarch oasis:1 --spears 2\nmarch oasis:1 --spears 2\n",
            1 => "order 66\nmarch oasis:1 --spears 1\n",
            2 => "train spear 2\ntrain axe 2",
            _ if state["clock_ms"].as_u64() > Some(60_000) => "concede\n",
            _ => "",
        };
        // The program ends once it has shown the end.
        let _ended = write!(answers, "{orders}\n\n").is_err();
        last = state;
    }
    assert!(child.wait().expect("it ends").success());
    assert_eq!(last["end"]["winner"], 2, "conceded: {last}");
    let orders: Vec<_> = refusals
        .iter()
        .map(|one| one["order"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        orders,
        ["order 66", "march oasis:1 --spears 1"],
        "{refusals:?}"
    );
    let reason = refusals[1]["reason"].as_str().unwrap_or("");
    assert!(reason.contains("does not have these units"), "{reason}");
}

/// The example of `docs/bots.md`, where Python is installed.
#[test]
fn example_in_python_beats_a_recruit() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bot.py");
    let program = std::process::Command::new("python3")
        .args([example, "--practice", "recruit", "--seed", "2"])
        .env("RAFTIAN", env!("CARGO_BIN_EXE_raftian"))
        .output();
    let Ok(output) = program else {
        eprintln!("skipped: python3 is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("winner: seat 1"),
        "{output:?}"
    );
}

/// The example without the program, and with a program that fails.
#[test]
fn example_in_python_ends_with_an_error_in_one_line() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bot.py");
    let machines = Machines::new();
    let missing = machines.data("no-such-program");
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_raftian"));
    for (raftian, code, lines) in [(missing.as_path(), 1, 1), (own, 2, 1)] {
        let output = std::process::Command::new("python3")
            .arg(example)
            .env("RAFTIAN", raftian)
            .env("HOME", machines.home())
            .env_remove("XDG_DATA_HOME")
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: python3 is not installed");
            return;
        };
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.lines().count(), lines, "{text}");
    }
}

#[test]
fn bots_play_at_once_and_tournaments_have_gates() {
    let machines = Machines::new();
    let story = machines.run(&["bots", "play", "--seed", "2", "--story"]);
    let text = String::from_utf8_lossy(&story.stdout).into_owned();
    assert!(text.contains("wins") && text.lines().count() > 20, "{text}");
    let again = machines.run(&["bots", "play", "--seed", "2", "--story"]);
    assert_eq!(again.stdout, story.stdout, "the same match each time");
    let short = machines.run(&["bots", "play", "--seed", "2"]);
    let text = String::from_utf8_lossy(&short.stdout).into_owned();
    assert!(
        text.contains(") won: ") && text.contains("Crowns: Asta (rush) "),
        "{text}"
    );
    let few = machines.run(&["bots", "play", "--archetypes", "rush"]);
    assert_eq!(few.status.code(), Some(2), "{few:?}");

    let gates = machines.data("gates.toml");
    let own = include_str!("../../assets/rules/gates.toml");
    let impossible = own.replace("orders = [8, 30]", "orders = [0, 1]");
    std::fs::write(&gates, impossible).expect("a file");
    let gates = gates.to_str().expect("a temporary path is text");
    let svg = machines.data("pairs.svg");
    let svg_path = svg.to_str().expect("a temporary path is text");
    let small = [
        "bots",
        "tournament",
        "--games",
        "2",
        "--tables",
        "2",
        "--ablations",
        "2",
    ];
    let rest = [
        "--levels", "2", "--json", "--svg", svg_path, "--gate", gates,
    ];
    let output = machines.run(&[&small[..], &rest].concat());
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document is JSON");
    assert_eq!(document["ok"], false);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.matches("\"schema\"").count(), 1, "{text}");
    assert_eq!(document["schema"], "raftian.bots-tournament/1");
    assert_eq!(document["matches"], 2 * 15 + 3 * 2 + 4 * 2 + 2 * 2);
    let picture = std::fs::read_to_string(svg).expect("the picture was written");
    assert!(picture.starts_with("<svg") && picture.contains("balanced"));

    let none = [
        "--games",
        "0",
        "--tables",
        "0",
        "--ablations",
        "0",
        "--levels",
        "0",
    ];
    let nothing = machines.run(&[&["bots", "tournament", "--json"][..], &none].concat());
    let document: Value = serde_json::from_slice(&nothing.stdout).expect("a document is JSON");
    assert_eq!(document["ok"], true, "no gate was asked for");
    let unmeasured = machines.run(&["bots", "tournament", "--levels", "0", "--gate"]);
    assert_eq!(unmeasured.status.code(), Some(10), "{unmeasured:?}");
    let text = String::from_utf8_lossy(&unmeasured.stderr).into_owned();
    assert!(text.contains("levels against each other"), "{text}");
    let nowhere = machines.data("missing/pairs.svg");
    let nowhere = nowhere.to_str().expect("a temporary path is text");
    // A whole tournament would take minutes.
    let unwritable = machines.run(&["bots", "tournament", "--svg", nowhere]);
    assert_eq!(unwritable.status.code(), Some(3), "{unwritable:?}");

    std::fs::write(gates, "orders = 5").expect("a file");
    let wrong = machines.run(&["bots", "tournament", "--games", "1", "--gate", gates]);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
}
