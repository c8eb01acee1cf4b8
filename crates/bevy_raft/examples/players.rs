//! Players on several machines add up numbers. The first one founds a match, the others join it by
//! its ticket or, on the same network, by its code; each types numbers, or `leave`:
//!
//! ```sh
//! cargo run -p bevy_raft --example players
//! cargo run -p bevy_raft --example players -- RAFT-7K3Q-2MXT
//! ```
//!
//! A second player on the same machine needs another name and another folder for its files:
//!
//! ```sh
//! USER=Bo XDG_DATA_HOME=/tmp/bo cargo run -p bevy_raft --example players -- RAFT-7K3Q-2MXT
//! ```

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bevy_app::prelude::*;
use bevy_app::{ScheduleRunnerPlugin, TaskPoolPlugin};
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_state::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Add(i64);

impl ReplicatedCommand for Add {
    const NAME: &'static str = "players.add/1";
}

#[derive(Resource, Default, Serialize, Deserialize)]
struct Sum(i64);

impl ReplicatedState for Sum {
    const NAME: &'static str = "players.sum/1";
}

/// Lines typed by the player.
#[derive(Resource)]
struct Lines(Mutex<Receiver<String>>);

fn main() {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        std::io::stdin()
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| send.send(line))
    });
    let frame = ScheduleRunnerPlugin::run_loop(Duration::from_millis(20));
    App::new()
        .add_plugins((TaskPoolPlugin::default(), frame, RaftPlugin::default()))
        .add_replicated_command::<Add>()
        .add_replicated_state::<Sum>()
        .insert_resource(Lines(Mutex::new(receive)))
        .add_systems(ApplyCommitted, add)
        .add_systems(Startup, enter_match)
        .add_systems(Update, read_lines)
        .add_systems(OnEnter(MatchState::Running), show_match)
        .add_systems(OnEnter(MatchState::NoQuorum), || {
            println!("waiting for players");
        })
        .add_systems(OnEnter(MatchState::Left), end)
        .add_systems(OnEnter(MatchState::Failed), end)
        .add_observer(show_sum)
        .add_observer(show_refusal)
        .run();
}

/// Runs once per committed command, in the same order on every machine.
fn add(entry: Res<CommittedEntry>, mut sum: ResMut<Sum>) {
    if let Some(Add(n)) = entry.command::<Add>() {
        sum.0 += n;
    }
}

fn enter_match(mut commands: Commands) {
    match std::env::args().nth(1) {
        Some(invitation) => commands.join_match(invitation),
        None => commands.start_match(StartMatch::default()),
    }
}

fn read_lines(lines: Res<Lines>, mut commands: Commands) {
    let Ok(lines) = lines.0.lock() else { return };
    for line in lines.try_iter() {
        match line.trim().parse() {
            // `show_refusal` shows an outcome other than the usual one.
            Ok(number) => {
                commands.propose(Add(number));
            }
            Err(_) if line.trim() == "leave" => commands.leave_match(),
            Err(_) => println!("type a number, or leave"),
        }
    }
}

fn show_match(current: Res<CurrentMatch>) {
    println!("{} plays {}", current.player, current.name);
    if let (Some(code), Some(ticket)) = (current.code, &current.ticket) {
        println!("others join with {code} on this network, or with {ticket}");
    }
}

fn show_sum(added: On<Committed<Add>>, sum: Res<Sum>, log: Res<AppliedLog>) {
    let member = log.roster.get(added.entry.member);
    let name = member.and_then(|member| member.name.as_deref());
    println!(
        "{} added {}: {}",
        name.unwrap_or("?"),
        added.command.0,
        sum.0
    );
}

fn show_refusal(proposal: On<ProposalOutcome>) {
    match &proposal.outcome {
        Outcome::Committed(_) => {}
        Outcome::Rejected(reason) => println!("not added: {reason}"),
        Outcome::Unknown { reason } => println!("perhaps added, perhaps not: {reason}"),
    }
}

fn end(current: Res<CurrentMatch>, mut exit: MessageWriter<AppExit>) {
    exit.write(match &current.failure {
        Some(failed) => {
            eprintln!("{failed}");
            AppExit::error()
        }
        None => {
            println!("you have left the match");
            AppExit::Success
        }
    });
}
