//! Members of a match that players join, as processes of a test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use crate::cluster::{WAIT, eventually};

/// The machines of one test.
pub(crate) struct Machines {
    directory: tempfile::TempDir,
}

/// A running member.
pub(crate) struct Player {
    pub(crate) directory: PathBuf,
    home: PathBuf,
    pub(crate) child: Child,
    events: Receiver<Value>,
    pub(crate) ready: Value,
}

impl Machines {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Machines { directory }
    }

    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// Runs the program until it exits.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(self.home(), arguments)
    }

    /// Starts a member with this command, which is completed by its directory, and waits until it
    /// takes part.
    pub(crate) fn player(&self, name: &str, command: &[&str]) -> Player {
        self.player_with_input(name, command, "")
    }

    /// The same for a command that reads `input`.
    pub(crate) fn player_with_input(&self, name: &str, command: &[&str], input: &str) -> Player {
        let directory = self.data(name);
        let mut child = program(self.home(), command)
            .args(["--json", "--data"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stdin = child.stdin.take();
        // One that reads nothing may have closed it.
        let _closed = stdin.is_some_and(|mut stdin| stdin.write_all(input.as_bytes()).is_err());
        let stdout = child.stdout.take().expect("it is piped");
        let (send, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event is JSON");
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        let mut player = Player {
            directory,
            home: self.home().to_owned(),
            child,
            events,
            ready: Value::Null,
        };
        player.ready = player.event("ready");
        player
    }

    pub(crate) fn found(&self, name: &str) -> Player {
        self.player(
            name,
            &[
                "start",
                "--headless",
                "--listen",
                "127.0.0.1:0",
                "--name",
                name,
            ],
        )
    }

    pub(crate) fn join(&self, name: &str, ticket: &str) -> Player {
        self.player(name, &join_arguments(name, ticket))
    }

    /// Attempts a join that is expected to fail. Returns the exit code and stderr.
    pub(crate) fn failed_join(&self, name: &str, ticket: &str) -> (Option<i32>, String) {
        let directory = self.data(name);
        let directory = directory.to_str().expect("a temporary path is text");
        let mut arguments = join_arguments(name, ticket).to_vec();
        arguments.extend(["--data", directory]);
        let output = self.run(&arguments);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

fn join_arguments<'a>(name: &'a str, ticket: &'a str) -> [&'a str; 7] {
    [
        "join",
        ticket,
        "--headless",
        "--listen",
        "127.0.0.1:0",
        "--name",
        name,
    ]
}

pub(crate) fn program(home: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_raftian"));
    program
        .args(arguments)
        .env("HOME", home)
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::null());
    program
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    program(home, arguments)
        .output()
        .expect("the program can be started")
}

impl Player {
    /// Waits for an event of this kind.
    pub(crate) fn event(&self, kind: &str) -> Value {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|error| panic!("no event {kind:?}: {error}"));
            if event["event"] == kind {
                return event;
            }
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.ready["id"].as_u64().expect("an id")
    }

    pub(crate) fn port(&self) -> u16 {
        let listen = self.ready["listen"].as_str().expect("an address");
        let listen: std::net::SocketAddr = listen.parse().expect("an IP address and a port");
        listen.port()
    }

    pub(crate) fn ticket(&self) -> &str {
        self.ready["ticket"]
            .as_str()
            .expect("a founder has a ticket")
    }

    /// Runs a command about this member.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let directory = self.directory.to_str().expect("a temporary path is text");
        run(&self.home, &[arguments, &["--data", directory]].concat())
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("output is text")
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.succeed(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("a document is JSON")
    }

    /// Runs a command that fails, and returns its document.
    pub(crate) fn json_failure(&self, arguments: &[&str]) -> Value {
        let output = self.ask(&[arguments, &["--json"]].concat());
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("a document is JSON")
    }

    pub(crate) fn order(&self, city: u64) {
        let city = city.to_string();
        let order = self.json(&["order", "attack", &city, "--timeout", "30"]);
        assert_eq!(order["ok"], true, "{order}");
    }

    /// Names and kinds of the members, in order of their ids.
    pub(crate) fn members(&self) -> Vec<(String, String)> {
        let document = self.json(&["members"]);
        let members = document["members"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        members
            .iter()
            .map(|member| (text(&member["name"]), text(&member["kind"])))
            .collect()
    }

    /// Waits until these are the members and all but `away` vote.
    pub(crate) fn sees(&self, names: &[&str]) {
        let voters: Vec<_> = names
            .iter()
            .map(|name| ((*name).to_owned(), "voter".to_owned()))
            .collect();
        eventually(&format!("the members are {names:?}"), || {
            self.members() == voters
        });
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        self.json(&["status"])["leader"].as_u64()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Interrupts the member and returns its exit code and its last event.
    pub(crate) fn interrupt(mut self) -> (Option<i32>, Value) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        let exit = self.child.wait().expect("an interrupted child ends").code();
        let last = std::iter::from_fn(|| self.events.recv_timeout(WAIT).ok()).last();
        (exit, last.unwrap_or_default())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // A test that failed leaves it running; one that was waited for is gone already.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

pub(crate) fn agree(players: &[&Player]) {
    eventually("all have the same state at the same index", || {
        let states: Vec<_> = players
            .iter()
            .map(|player| {
                let status = player.json(&["status"]);
                (status["applied"].as_u64(), status["state_hash"].clone())
            })
            .collect();
        states.iter().all(|state| *state == states[0])
    });
}
