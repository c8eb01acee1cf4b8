//! Snapshots of replicated state, and its repair, in several apps of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bevy_app::App;
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::test_app::TestCluster;
use bevy_raft::{AppliedLog, ChainHead, STATE_HASH_EVERY};
use raftian_raft::{Change, Config, NodeId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Append(u32);

impl ReplicatedCommand for Append {
    const NAME: &'static str = "test.append/1";
}

/// The replicated state: all numbers appended, in order.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
struct Truth(Vec<u32>);

impl ReplicatedState for Truth {
    const NAME: &'static str = "test.truth/1";
}

/// A second replicated state.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
struct Count(u64);

impl ReplicatedState for Count {
    const NAME: &'static str = "test.count/1";
}

/// Events triggered on this machine.
#[derive(Resource, Default)]
struct Heard {
    committed: Vec<u32>,
    outcomes: Vec<(ProposalId, Outcome)>,
    restored: Vec<(StateRestored, Truth)>,
}

fn append(entry: Res<CommittedEntry>, mut truth: ResMut<Truth>, mut count: ResMut<Count>) {
    if let Some(Append(n)) = entry.command::<Append>() {
        truth.0.push(*n);
        count.0 += 1;
    }
}

fn game(app: &mut App) {
    app.add_replicated_command::<Append>()
        .init_resource::<Truth>()
        .init_resource::<Count>()
        .init_resource::<Heard>();
    app.add_systems(ApplyCommitted, append);
    app.add_observer(|hit: On<Committed<Append>>, mut heard: ResMut<Heard>| {
        heard.committed.push(hit.command.0)
    });
    app.add_observer(|outcome: On<ProposalOutcome>, mut heard: ResMut<Heard>| {
        heard.outcomes.push((outcome.id, outcome.outcome.clone()));
    });
    app.add_observer(
        |restored: On<StateRestored>, truth: Res<Truth>, mut heard: ResMut<Heard>| {
            heard.restored.push((*restored, truth.clone()));
        },
    );
}

fn with_state(app: &mut App) {
    game(app);
    app.add_replicated_state::<Truth>()
        .add_replicated_state::<Count>();
}

/// Frequent snapshots with a short log behind them.
fn often(config: &mut Config) {
    config.snapshot_entries = Some(20);
    config.snapshot_keep = 5;
}

fn truth(app: &App) -> &[u32] {
    &app.world().resource::<Truth>().0
}

fn heard(app: &App) -> &Heard {
    app.world().resource::<Heard>()
}

fn log_after(app: &App) -> u64 {
    app.world()
        .resource::<RaftStatus>()
        .view
        .as_ref()
        .map_or(0, |view| view.status.log_after.0)
}

fn everywhere(apps: &[App], wanted: &[u32]) -> bool {
    apps.iter().all(|app| truth(app) == wanted)
}

/// Appends `numbers` through node `id`, at most one outbox-sized batch at a time.
fn append_all(cluster: &mut TestCluster, id: u64, numbers: std::ops::Range<u32>) {
    for batch in numbers.collect::<Vec<_>>().chunks(50) {
        for n in batch {
            cluster.app(id).world_mut().propose(Append(*n));
        }
        cluster.run_until(|apps| truth(&apps[id as usize - 1]).contains(&batch[batch.len() - 1]));
    }
}

/// Checks that all apps have the same sessions and history once they have applied the same entries.
fn same_memory(cluster: &mut TestCluster) {
    let log = |app: &App| app.world().resource::<AppliedLog>().clone();
    cluster.run_until(|apps| apps.iter().all(|app| log(app).index == log(&apps[0]).index));
    let first = log(&cluster.apps()[0]);
    for app in cluster.apps() {
        assert_eq!(log(app).sessions, first.sessions);
        assert_eq!(log(app).head, first.head);
    }
    assert_ne!(first.head, ChainHead::default());
}

#[test]
fn lagging_member_receives_a_snapshot_and_the_same_state() {
    let mut cluster = TestCluster::with_settings(3, often, with_state);
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    let place = away as usize - 1;
    append_all(&mut cluster, leader, 0..10);
    cluster.run_until(|apps| truth(&apps[place]).len() == 10);
    cluster.network().isolate(NodeId(away));
    append_all(&mut cluster, leader, 10..200);
    cluster.run_until(|apps| log_after(&apps[leader as usize - 1]) > 100);
    assert_eq!(
        truth(&cluster.apps()[place]).len(),
        10,
        "no entry reached it"
    );
    cluster.network().heal();
    let all: Vec<u32> = (0..200).collect();
    cluster.run_until(|apps| everywhere(apps, &all));
    assert!(
        cluster
            .apps()
            .iter()
            .all(|app| app.world().resource::<Count>().0 == 200)
    );

    let heard = heard(&cluster.apps()[place]);
    let [(restored, seen)] = &heard.restored[..] else {
        panic!("{} restored", heard.restored.len())
    };
    let held = seen.0.len();
    assert!(
        held > 100 && all.starts_with(&seen.0),
        "the observer sees the restored state"
    );
    assert!(restored.index.0 > held as u64 && restored.before < restored.index);
    let announced: Vec<u32> = (0..10).chain(held as u32..200).collect();
    assert_eq!(
        heard.committed, announced,
        "commands in the snapshot are not announced"
    );
    same_memory(&mut cluster);
}

#[test]
fn restarted_member_resumes_from_its_own_snapshot() {
    let mut cluster = TestCluster::with_settings(3, often, with_state);
    let leader = cluster.elect();
    append_all(&mut cluster, leader, 0..100);
    cluster.run_until(|apps| everywhere(apps, &(0..100).collect::<Vec<_>>()));
    let id = leader % 3 + 1;
    cluster.run_until(|apps| log_after(&apps[id as usize - 1]) > 50);
    cluster.restart(id);
    assert_eq!(truth(&cluster.apps()[id as usize - 1]), []);
    cluster.run_until(|apps| everywhere(apps, &(0..100).collect::<Vec<_>>()));
    let heard = heard(&cluster.apps()[id as usize - 1]);
    assert_eq!(heard.restored.len(), 1);
    assert_eq!(heard.restored[0].0.before.0, 0);
    assert!(
        heard.committed.len() < 50,
        "only the end of the log was applied"
    );
    same_memory(&mut cluster);
}

/// The log that contains the removal is dropped, so only the snapshot has the former member.
#[test]
fn roster_is_part_of_snapshots() {
    let mut cluster = TestCluster::with_settings(3, often, with_state);
    let leader = cluster.elect();
    let (removed, restarted) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.change_members(Change::Remove(NodeId(removed)));
    let roster = |app: &App| app.world().resource::<AppliedLog>().roster.clone();
    let place = restarted as usize - 1;
    cluster.run_until(|apps| roster(&apps[place]).former().len() == 1);
    let before = roster(&cluster.apps()[place]);
    assert!(before.get(NodeId(removed)).is_some());
    append_all(&mut cluster, leader, 0..100);
    cluster.run_until(|apps| log_after(&apps[place]) > 50);
    cluster.restart(restarted);
    let all: Vec<u32> = (0..100).collect();
    cluster.run_until(|apps| truth(&apps[place]) == all);
    assert_eq!(roster(&cluster.apps()[place]), before);
}

/// The proposer receives nothing until its command is part of a snapshot, and keeps resubmitting
/// meanwhile.
#[test]
fn command_received_in_a_snapshot_is_applied_once_and_answered() {
    let mut cluster = TestCluster::with_settings(3, often, with_state);
    let leader = cluster.elect();
    let proposer = leader % 3 + 1;
    let place = proposer as usize - 1;
    append_all(&mut cluster, leader, 0..10);
    cluster.run_until(|apps| everywhere(apps, &(0..10).collect::<Vec<_>>()));
    // Messages from it arrive, messages to it are lost.
    for other in (1..=3).filter(|other| *other != proposer) {
        cluster.network().cut(NodeId(other), NodeId(proposer));
    }
    let id = cluster.app(proposer).world_mut().propose(Append(1000));
    cluster.run_until(|apps| truth(&apps[leader as usize - 1]).contains(&1000));
    append_all(&mut cluster, leader, 10..200);
    cluster.run_until(|apps| log_after(&apps[leader as usize - 1]) > 100);
    assert!(!truth(&cluster.apps()[place]).contains(&1000));
    assert_eq!(
        cluster
            .app(proposer)
            .world()
            .resource::<RaftStatus>()
            .pending,
        1,
        "the proposal is pending"
    );

    cluster.network().heal();
    cluster.run_until(|apps| !heard(&apps[place]).outcomes.is_empty());
    let heard = heard(&cluster.apps()[place]);
    assert_eq!(heard.restored.len(), 1, "the command arrived in a snapshot");
    assert!(matches!(&heard.outcomes[..], [(answered, Outcome::Committed(_))] if *answered == id));
    assert!(!heard.committed.contains(&1000));
    let wanted = truth(&cluster.apps()[leader as usize - 1]).to_vec();
    assert_eq!(wanted.iter().filter(|n| **n == 1000).count(), 1);
    cluster.run_until(|apps| everywhere(apps, &wanted));
    same_memory(&mut cluster);
}

#[test]
fn follower_with_tampered_state_is_repaired() {
    let mut cluster = TestCluster::new(3, with_state);
    let leader = cluster.elect();
    let broken = leader % 3 + 1;
    let place = broken as usize - 1;
    append_all(&mut cluster, leader, 0..100);
    cluster.run_until(|apps| everywhere(apps, &(0..100).collect::<Vec<_>>()));
    cluster.app(broken).world_mut().resource_mut::<Truth>().0[50] = 7;
    let all: Vec<u32> = (0..STATE_HASH_EVERY as u32 + 20).collect();
    // Past the next index at which hashes are compared.
    append_all(&mut cluster, leader, 100..all.len() as u32);
    cluster.run_until(|apps| everywhere(apps, &all));
    let repaired = heard(&cluster.apps()[place]);
    let [(repair, _)] = repaired.restored[..] else {
        panic!("{} restored", repaired.restored.len())
    };
    assert!(repair.hash.is_some() && repair.hash_before.is_some());
    assert_ne!(repair.hash, repair.hash_before);
    assert_eq!(repaired.committed, all, "nothing is announced twice");
    let others = cluster
        .apps()
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != place);
    assert!(
        others
            .map(|(_, app)| heard(app))
            .all(|heard| heard.restored.is_empty()),
        "only the tampered member was restored"
    );
    assert_eq!(cluster.elect(), leader, "the leader did not change");
    same_memory(&mut cluster);
}

#[test]
fn leader_with_tampered_state_is_replaced_and_repaired() {
    let mut cluster = TestCluster::new(3, with_state);
    let broken = cluster.elect();
    append_all(&mut cluster, broken, 0..100);
    cluster.run_until(|apps| everywhere(apps, &(0..100).collect::<Vec<_>>()));
    cluster.app(broken).world_mut().resource_mut::<Truth>().0[50] = 7;
    let all: Vec<u32> = (0..2 * STATE_HASH_EVERY as u32 + 20).collect();
    let other = broken % 3 + 1;
    append_all(&mut cluster, other, 100..all.len() as u32);
    cluster.run_until(|apps| everywhere(apps, &all));
    assert_ne!(cluster.elect(), broken);
    same_memory(&mut cluster);
}

#[test]
fn unreadable_snapshot_stops_the_node_with_a_reason() {
    let renamed = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&renamed);
    let mut cluster = TestCluster::with_settings(3, often, move |app| {
        game(app);
        app.add_replicated_state::<Truth>();
        if !now.load(Ordering::Relaxed) {
            app.add_replicated_state::<Count>();
        }
    });
    let leader = cluster.elect();
    append_all(&mut cluster, leader, 0..100);
    let id = leader % 3 + 1;
    cluster.run_until(|apps| log_after(&apps[id as usize - 1]) > 50);
    // From now on a restarted app registers fewer states than its snapshot contains.
    renamed.store(true, Ordering::Relaxed);
    cluster.restart(id);
    let stopped = |app: &App| {
        app.world()
            .resource::<RaftStatus>()
            .view
            .as_ref()
            .and_then(|view| view.stopped.clone())
    };
    cluster.run_until(|apps| stopped(&apps[id as usize - 1]).is_some());
    let reason = stopped(&cluster.apps()[id as usize - 1])
        .expect("run_until just saw it stopped")
        .to_string();
    assert!(
        reason.contains("test.count/1") && reason.contains("the same build"),
        "{reason}"
    );
    cluster.freeze(id, true);
    append_all(&mut cluster, leader, 100..150);
    let apps = cluster.apps();
    assert_eq!(
        truth(&apps[id as usize - 1]),
        [],
        "no entry was applied without the snapshot"
    );
    assert!(
        truth(&apps[leader as usize - 1]).len() == 150,
        "the others go on"
    );
}

#[test]
fn log_is_not_compacted_without_registered_state() {
    let mut cluster = TestCluster::with_settings(3, often, game);
    let leader = cluster.elect();
    append_all(&mut cluster, leader, 0..100);
    let all: Vec<u32> = (0..100).collect();
    cluster.run_until(|apps| everywhere(apps, &all));
    assert!(cluster.apps().iter().all(|app| log_after(app) == 0));
    cluster.restart(leader);
    cluster.run_until(|apps| everywhere(apps, &all));
}

#[test]
#[should_panic(expected = "test.truth/1")]
fn two_states_with_the_same_name_are_refused() {
    App::new()
        .add_replicated_state::<Truth>()
        .add_replicated_state::<Truth>();
}
