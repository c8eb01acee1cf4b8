//! Matches that fail, and apps that use the plugin from its own events.

mod common;

use std::time::{Duration, Instant};

use bevy_app::App;
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{
    ChangeError, CommittedEntry, Ended, MatchFolders, NodeId, RaftNode, ReadError, Standing, Ticks,
};
use raftian_node::cluster::{self, NewCluster, generate};
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use common::{
    Add, Added, PATIENCE, current, everywhere, found, game, join, player, ready, run_until, seen,
    start, state, sum,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fail;

impl ReplicatedCommand for Fail {
    const NAME: &'static str = "test.fail/1";
}

/// Panics before and after `add` in the order of systems, with a command in its queue.
fn fail(entry: Res<CommittedEntry>, mut commands: Commands) {
    if entry.command::<Fail>().is_some() {
        commands.queue(|world: &mut World| world.resource_mut::<Added>().0.push((0, 99)));
        panic!("the command fails");
    }
}

fn failing(home: &TempDir) -> App {
    let folders = MatchFolders::inside(home.path());
    let mut app = game(RaftPlugin::default().with_folders(folders));
    app.add_replicated_command::<Fail>()
        .add_systems(ApplyCommitted, fail.after(common::add));
    ready(app)
}

/// The commands of an observer run at the next flush, which must find every resource in its place.
#[test]
fn observers_may_use_the_plugin() {
    let home = TempDir::new().unwrap();
    let folders = MatchFolders::inside(home.path());
    let mut app = game(RaftPlugin::default().with_folders(folders));
    app.add_observer(|added: On<Committed<Add>>, mut commands: Commands| {
        if added.command.0 < 10 {
            commands.propose(Add(added.command.0 + 10));
            commands.read();
        }
    })
    .add_observer(|_: On<ProposalOutcome>, mut commands: Commands| {
        commands.read();
    })
    .add_observer(|_: On<StateRestored>, mut commands: Commands| {
        commands.propose(Add(100));
    });
    let mut app = ready(app);
    found(&mut app, "Ada");
    // Several entries in one frame.
    for n in 1..=5 {
        app.world_mut().propose(Add(n));
    }
    run_until(&mut [&mut app], "ten orders", |apps| {
        sum(apps[0]).len() == 10
    });
    app.world_mut().leave_match();
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left
    });
    found(&mut app, "Ada");
    run_until(&mut [&mut app], "the order of the observer", |apps| {
        everywhere(apps, &[(1, 100)])
    });
}

/// The rest of a batch of entries belongs to a match that the app has left.
#[test]
fn observer_may_leave_in_the_middle_of_a_batch() {
    let home = TempDir::new().unwrap();
    let node = cluster::embedded(1, "leave", home.path())
        .unwrap()
        .remove(0);
    let raft = node.config.raft_config().unwrap();
    let links = QuicOptions::new(node.socket, &node.config);
    let options = NodeOptions::new(&node.config, raft, links);
    let mut app = game(RaftPlugin::new(NodeHandle::start(options).unwrap()));
    app.add_observer(|_: On<Committed<Add>>, mut commands: Commands| {
        commands.leave_match();
    });
    let mut app = ready(app);
    for n in 1..=20 {
        app.world_mut().propose(Add(n));
    }
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left
    });
    assert!(!app.world().contains_resource::<RaftNode>());
    assert_eq!(seen(&app).outcomes.len(), 20, "one for each");
}

/// A partly applied entry leaves nothing behind: neither marks of the executor nor commands.
#[test]
fn match_after_a_panic_in_the_schedule_begins_clean() {
    let home = TempDir::new().unwrap();
    let mut app = failing(&home);
    found(&mut app, "Ada");
    app.world_mut().propose(Add(1));
    let failed = app.world_mut().propose(Fail);
    let read = |app: &App| app.world().resource::<CommittedEntry>().info();
    run_until(&mut [&mut app], "a failure", |apps| {
        state(apps[0]) == MatchState::Failed
    });
    assert_eq!(read(&app), None, "no entry is being applied");
    let outcome = seen(&app).outcomes.iter().find(|(id, _)| *id == failed);
    assert!(
        matches!(outcome, Some((_, Outcome::Unknown { reason })) if reason.contains("the command fails")),
        "{outcome:?}"
    );
    assert!(
        current(&app)
            .failure
            .as_ref()
            .is_some_and(|failed| failed.reason.contains("the command fails")
                && failed.kind == FailureKind::Stopped)
    );
    found(&mut app, "Ada");
    app.world_mut().propose(Add(7));
    app.world_mut().propose(Add(8));
    run_until(&mut [&mut app], "two orders", |apps| {
        sum(apps[0]).len() >= 2
    });
    assert_eq!(sum(&app), &[(1, 7), (1, 8)]);
}

/// The plugin reports the stop, and the app may start another match.
#[test]
fn stopped_node_of_a_node_file_is_reported() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("cluster");
    let new = NewCluster {
        nodes: 1,
        base_port: free_port(),
        ..NewCluster::default()
    };
    generate(&directory, &new).unwrap();
    let mut app = player(&home);
    app.world_mut()
        .open_node_file(directory.join("n1").join("node.toml"));
    run_until(&mut [&mut app], "the node runs", |apps| {
        state(apps[0]) == MatchState::Running
    });
    app.world_mut().propose(Add(1));
    run_until(&mut [&mut app], "an order", |apps| {
        everywhere(apps, &[(1, 1)])
    });
    app.world_mut().read();
    app.world_mut()
        .resource_mut::<RaftNode>()
        .stop("it is enough".to_owned());
    run_until(&mut [&mut app], "a failure", |apps| {
        state(apps[0]) == MatchState::Failed && !seen(apps[0]).reads.is_empty()
    });
    assert_eq!(seen(&app).failures, ["it is enough"]);
    let failed = current(&app).failure.clone().unwrap();
    assert_eq!(
        (failed.kind, failed.reason.as_str()),
        (FailureKind::Stopped, "it is enough")
    );
    found(&mut app, "Ada");
}

fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[test]
fn reads_end_with_the_match() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    app.world_mut().read();
    assert_eq!(seen(&app).reads, [Err(ReadError::NoMatch)]);
    found(&mut app, "Ada");
    app.world_mut().read();
    app.world_mut().leave_match();
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left
    });
    assert_eq!(seen(&app).reads.len(), 2);
}

/// `OnEnter` runs for each, however short it is.
#[test]
fn every_state_is_entered() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    app.update();
    app.world_mut().join_match("garbage");
    run_until(&mut [&mut app], "a failure", |apps| {
        state(apps[0]) == MatchState::Failed
    });
    app.world_mut().start_match(start("Ada"));
    run_until(&mut [&mut app], "the match", |apps| {
        state(apps[0]) == MatchState::Running
    });
    app.world_mut().leave_match();
    // The answer arrives long before the next frame.
    std::thread::sleep(Duration::from_millis(200));
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left
    });
    app.update();
    assert_eq!(
        seen(&app).states,
        [
            MatchState::Detached,
            MatchState::Starting,
            MatchState::Failed,
            MatchState::Starting,
            MatchState::Joining,
            MatchState::Running,
            MatchState::Leaving,
            MatchState::Left,
        ]
    );
    // A request to leave that comes before the match is open.
    app.world_mut().start_match(start("Ada"));
    app.world_mut().leave_match();
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left && current(apps[0]).ended.is_some()
    });
    assert_eq!(current(&app).ended, Some(Ended::Kept));
}

#[test]
fn invites_may_last_for_ever_and_be_revoked() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    found(&mut app, "Ada");
    app.world_mut().change_match(MatchChange::Invite {
        uses: None,
        expires_in: Some(Duration::MAX),
    });
    // That of the founder's ticket.
    app.world_mut().change_match(MatchChange::Revoke(1));
    run_until(&mut [&mut app], "both changes", |apps| {
        seen(apps[0]).changes.len() == 2 && current(apps[0]).ticket.is_none()
    });
    assert!(
        seen(&app)
            .changes
            .iter()
            .all(Result::<ChangeDone, ChangeError>::is_ok)
    );
}

fn ticking(home: &TempDir, interval: Duration) -> App {
    let folders = MatchFolders::inside(home.path());
    let plugin = RaftPlugin::default().with_folders(folders);
    ready(game(plugin.with_ticks(interval)))
}

fn ticks(app: &App) -> u64 {
    app.world().resource::<Ticks>().0
}

/// The node of the next match has a clock that begins anew.
#[test]
fn ticks_of_the_next_match_keep_their_interval() {
    const INTERVAL: Duration = Duration::from_millis(50);
    let home = TempDir::new().unwrap();
    let mut app = ticking(&home, INTERVAL);
    for _ in 0..2 {
        found(&mut app, "Ada");
        let began = Instant::now();
        let before = ticks(&app);
        run_until(&mut [&mut app], "ticks", |apps| {
            ticks(apps[0]) >= before + 20
        });
        // One tick may be in progress at either end.
        assert!(began.elapsed() >= 18 * INTERVAL, "{:?}", began.elapsed());
        app.world_mut().leave_match();
        run_until(&mut [&mut app], "the end", |apps| {
            state(apps[0]) == MatchState::Left
        });
        assert!(seen(&app).outcomes.is_empty(), "ticks are not the app's");
    }
}

/// A joiner is always some entries behind a match in which each frame brings some.
#[test]
fn joiner_of_a_busy_match_plays() {
    let (home_a, home_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let interval = Duration::from_millis(2);
    let (mut a, mut b) = (ticking(&home_a, interval), ticking(&home_b, interval));
    let ticket = found(&mut a, "Ada");
    b.world_mut().join_match(join(&ticket, "Bo"));
    run_until(&mut [&mut a, &mut b], "Bo plays", |apps| {
        // The leader's app has many frames for each of Bo's.
        (0..15).for_each(|_| {
            std::thread::sleep(Duration::from_millis(1));
            apps[0].update();
        });
        state(apps[1]) == MatchState::Running
    });
}

/// The leader's window is hidden: its node leads on, and its app does not run.
#[test]
fn time_goes_on_if_the_app_of_the_leader_is_paused() {
    let (home_a, home_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let interval = Duration::from_millis(20);
    let (mut a, mut b) = (ticking(&home_a, interval), ticking(&home_b, interval));
    let ticket = found(&mut a, "Ada");
    b.world_mut().join_match(join(&ticket, "Bo"));
    run_until(&mut [&mut a, &mut b], "Bo votes", |apps| {
        let bo = apps[1].world().resource::<Members>().get(NodeId(2));
        state(apps[1]) == MatchState::Running
            && bo.is_some_and(|bo| bo.standing == Some(Standing::Voter))
    });
    let before = ticks(&b);
    let began = Instant::now();
    run_until(&mut [&mut b], "ticks", |apps| {
        ticks(apps[0]) >= before + 100
    });
    assert_eq!(state(&b), MatchState::Running);
    // Each by the pause of a stand-in would take almost a minute.
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    // Both count the same ticks when the window is shown again.
    run_until(&mut [&mut a, &mut b], "the same", |apps| {
        ticks(apps[0]) >= before + 100 && ticks(apps[0]) == ticks(apps[1])
    });
}
