//! A match between windows from its founding to the next one: founded in the menu, joined by
//! ticket, and played on after its founder was killed. Keys give all orders; the command line,
//! which reaches matches begun in a window, shows what they did.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::eventually;
use crate::player::{Machines, Player, program};
use crate::{press, window_of};

/// A window, which ends with the test.
struct Window {
    child: Child,
    id: String,
    /// Home of its user, and the directory of its match where it was named.
    home: PathBuf,
    data: Option<PathBuf>,
}

impl Window {
    fn open(mut program: Command, home: &Path, data: Option<PathBuf>) -> Window {
        let child = program.spawn().expect("the program can be started");
        let id = window_of(&child);
        let home = home.to_owned();
        Window {
            child,
            id,
            home,
            data,
        }
    }

    /// Presses keys in a match, each once the window has handled the one before it, however slowly
    /// it is drawn. Otherwise a key could act on what the one before it is about to close.
    fn press(&self, keys: &[&str]) {
        for key in keys {
            press(&self.id, &[key]);
            // A frame that began before the key may give the first answer, a later one the second.
            self.status();
            self.status();
        }
    }

    /// Status of the window's own member.
    fn status(&self) -> Value {
        let mut status = program(&self.home, &["status", "--json"]);
        if let Some(data) = &self.data {
            status.arg("--data").arg(data);
        }
        let answer = status.output().expect("the program can be started");
        serde_json::from_slice(&answer.stdout).unwrap_or_default()
    }

    /// Presses keys again and again until something has happened.
    fn press_until(&self, what: &str, keys: &[&str], mut done: impl FnMut() -> bool) {
        eventually(what, || {
            if done() {
                return true;
            }
            self.press(keys);
            std::thread::sleep(Duration::from_secs(1));
            done()
        });
    }

    fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

fn table(player: &Player) -> Value {
    player.json(&["status"])["table"].clone()
}

/// Number of seats taken by players, and of those who are ready.
fn players(player: &Player) -> (usize, usize) {
    let table = table(player);
    let seats = table["seats"].as_array().cloned().unwrap_or_default();
    let seated = seats.iter().filter(|seat| seat["kind"] == "player");
    let ready = seated.clone().filter(|seat| seat["ready"] == true);
    (seated.count(), ready.count())
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn match_of_two_windows_goes_on_without_its_founder_and_is_played_again() {
    let machines = Machines::new();
    // Its own home: the founder's match is the one that was started last there.
    let founder_home = machines.data("founder");
    std::fs::create_dir(&founder_home).expect("a directory");
    let mut ada = Window::open(program(&founder_home, &[]), &founder_home, None);
    // Keys before the first frame are lost. At the last entry of the menu further ones do nothing,
    // and the fifth one above it founds a match.
    press(&ada.id, &["Down"; 30]);
    press(&ada.id, &["Up", "Up", "Up", "Up", "Up", "Return"]);
    let ask = |arguments: &[&str]| program(&founder_home, arguments).output();
    let mut ticket = String::new();
    eventually("the command line finds the match of the window", || {
        let answer = ask(&["invite"]).expect("the program can be started");
        ticket = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        answer.status.success()
    });
    let ticket = ticket.lines().last().unwrap_or_default().to_owned();
    let third = machines.join("Cy", &ticket);
    let mut join = program(machines.home(), &["join", &ticket, "--data"]);
    let directory = machines.data("Bo");
    join.arg(&directory);
    join.args(["--name", "Bo", "--listen", "127.0.0.1:0"]);
    let bo = Window::open(join, machines.home(), Some(directory));
    eventually("all three vote", || {
        let members = third.members();
        members.len() == 3 && members.iter().all(|(_, kind)| kind == "voter")
    });

    // The first button of the lobby takes a seat, the third one is for being ready, and the fourth
    // one starts the match.
    ada.press_until("Ada sits", &["Return"], || players(&third).0 == 1);
    bo.press_until("Bo sits", &["Return"], || players(&third).0 == 2);
    bo.press(&["Tab", "Tab"]);
    bo.press_until("Bo is ready", &["Return"], || players(&third).1 > 0);
    ada.press(&["Tab", "Tab", "Tab"]);
    ada.press_until("the match begins", &["Return"], || {
        table(&third)["playing"] == true
    });

    ada.kill();
    let has_trained = || {
        let text = third.succeed(&["table"]);
        text.contains("Bo: 0 crowns, keep 100, ") && !text.contains("Bo: 0 crowns, keep 100, 4")
    };
    bo.press_until("Bo trains a spear without the founder", &["1"], has_trained);

    // The menu over the match: the third button gives up the city, and asks first.
    bo.press(&["Escape", "Tab", "Tab"]);
    bo.press_until("Bo gives up", &["Return"], || {
        table(&third)["game"]["end"]["winner"] == 1
    });

    // No other player is present for a rematch, so the lobby opens, and a bot takes the free seat.
    // Its button is the fifth, after the one that starts the match.
    bo.press_until("the lobby opens", &["Return"], || {
        let table = &bo.status()["table"];
        table.is_object() && table["game"].is_null()
    });
    bo.press(&["Tab", "Tab", "Tab", "Tab"]);
    bo.press_until("a bot sits", &["Return"], || {
        let seats = table(&third)["seats"].as_array().cloned();
        seats.is_some_and(|seats| seats.iter().any(|seat| seat["kind"] == "bot"))
    });
    bo.press(&["Up"]);
    bo.press_until("the next match begins", &["Return"], || {
        let table = table(&third);
        table["round"] == 2 && table["playing"] == true
    });
}
