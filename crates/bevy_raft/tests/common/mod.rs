//! A game of numbers, and apps that play it over QUIC on loopback with stores on disk.

// Each test file uses a part.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use bevy_app::{App, TaskPoolPlugin};
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{ChangeError, Index, MatchFolders, ReadError};
use bevy_state::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Add(pub(crate) u32);

impl ReplicatedCommand for Add {
    const NAME: &'static str = "test.add/1";
}

/// The replicated state: numbers with the members that added them.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
pub(crate) struct Added(pub(crate) Vec<(u64, u32)>);

impl ReplicatedState for Added {
    const NAME: &'static str = "test.added/1";
}

/// Events triggered in an app.
#[derive(Resource, Default)]
pub(crate) struct Seen {
    pub(crate) committed: Vec<(u32, bool)>,
    pub(crate) outcomes: Vec<(ProposalId, Outcome)>,
    pub(crate) changes: Vec<Result<ChangeDone, ChangeError>>,
    pub(crate) restored: Vec<u64>,
    pub(crate) failures: Vec<String>,
    pub(crate) states: Vec<MatchState>,
    pub(crate) reads: Vec<Result<Index, ReadError>>,
}

pub(crate) fn add(entry: Res<CommittedEntry>, mut added: ResMut<Added>) {
    if let (Some(Add(n)), Some(info)) = (entry.command::<Add>(), entry.info()) {
        added.0.push((info.member.0, *n));
    }
}

pub(crate) fn note_state(state: Res<State<MatchState>>, mut seen: ResMut<Seen>) {
    if seen.states.last() != Some(state.get()) {
        seen.states.push(*state.get());
    }
}

/// An app with the game.
pub(crate) fn game(plugin: RaftPlugin) -> App {
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), plugin))
        .add_replicated_command::<Add>()
        .add_replicated_state::<Added>()
        .init_resource::<Seen>()
        .add_systems(ApplyCommitted, add)
        .add_systems(bevy_app::Update, note_state)
        .add_observer(|added: On<Committed<Add>>, mut seen: ResMut<Seen>| {
            seen.committed.push((added.command.0, added.replayed));
        })
        .add_observer(|outcome: On<ProposalOutcome>, mut seen: ResMut<Seen>| {
            seen.outcomes.push((outcome.id, outcome.outcome.clone()));
        })
        .add_observer(|change: On<ChangeOutcome>, mut seen: ResMut<Seen>| {
            seen.changes.push(change.result.clone());
        })
        .add_observer(|restored: On<StateRestored>, mut seen: ResMut<Seen>| {
            seen.restored.push(restored.index.0);
        })
        .add_observer(|read: On<ReadOutcome>, mut seen: ResMut<Seen>| {
            seen.reads.push(read.result);
        })
        .add_observer(|failed: On<MatchFailed>, mut seen: ResMut<Seen>| {
            seen.failures.push(failed.reason.clone());
        });
    app
}

/// An app without a match, whose files are in `directory`.
pub(crate) fn player(directory: &TempDir) -> App {
    let folders = MatchFolders::inside(directory.path());
    ready(game(RaftPlugin::default().with_folders(folders)))
}

pub(crate) fn ready(mut app: App) -> App {
    app.finish();
    app.cleanup();
    app
}

/// Longest time that a test waits for a condition.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs frames of all apps until `done` returns true.
pub(crate) fn run_until(
    apps: &mut [&mut App],
    goal: &str,
    mut done: impl FnMut(&mut [&mut App]) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    while !done(apps) {
        let details: Vec<_> = apps
            .iter()
            .map(|app| (state(app), current(app).clone(), sum(app).clone()))
            .collect();
        assert!(
            Instant::now() < deadline,
            "not reached: {goal}: {details:#?}"
        );
        apps.iter_mut().for_each(|app| app.update());
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn state(app: &App) -> MatchState {
    *app.world().resource::<State<MatchState>>().get()
}

pub(crate) fn current(app: &App) -> &CurrentMatch {
    app.world().resource::<CurrentMatch>()
}

pub(crate) fn sum(app: &App) -> &Vec<(u64, u32)> {
    &app.world().resource::<Added>().0
}

pub(crate) fn seen(app: &App) -> &Seen {
    app.world().resource::<Seen>()
}

pub(crate) fn loopback() -> Option<std::net::SocketAddr> {
    Some(([127, 0, 0, 1], 0).into())
}

pub(crate) fn start(name: &str) -> StartMatch {
    StartMatch {
        player: Some(name.to_owned()),
        announced: false,
        listen: loopback(),
        ..StartMatch::default()
    }
}

pub(crate) fn join(ticket: &str, name: &str) -> JoinMatch {
    JoinMatch {
        player: Some(name.to_owned()),
        listen: loopback(),
        ..ticket.into()
    }
}

/// Founds a match in `app` and returns its ticket.
pub(crate) fn found(app: &mut App, name: &str) -> String {
    app.world_mut().start_match(start(name));
    run_until(&mut [app], "the founder plays", |apps| {
        state(apps[0]) == MatchState::Running && current(apps[0]).ticket.is_some()
    });
    current(app).ticket.clone().unwrap_or_default()
}

pub(crate) fn everywhere(apps: &mut [&mut App], wanted: &[(u64, u32)]) -> bool {
    apps.iter().all(|app| sum(app) == wanted)
}
