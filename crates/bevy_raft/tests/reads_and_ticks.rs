//! Reads, ticks, random numbers and the order of systems, with links in memory and a manual clock.

use std::time::Duration;

use bevy_app::{App, PostUpdate};
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::test_app::TestCluster;
use bevy_raft::{ReadError, ReadRequest, TickDemand, Ticks};
use raftian_raft::{Index, NodeId, Stamp};
use rand::Rng;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Draw;

impl ReplicatedCommand for Draw {
    const NAME: &'static str = "test.draw/1";
}

/// Numbers drawn for each entry, and the ticks seen.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
struct Drawn {
    numbers: Vec<u64>,
    ticks: Vec<u64>,
    stamps: Vec<u64>,
}

impl ReplicatedState for Drawn {
    const NAME: &'static str = "test.drawn/1";
}

#[derive(Resource, Default)]
struct Answers(Vec<(ReadRequest, Result<Index, ReadError>, usize)>);

fn draw(entry: Res<CommittedEntry>, mut drawn: ResMut<Drawn>) {
    if let Some(tick) = entry.tick() {
        drawn.ticks.push(tick.number);
        drawn.stamps.extend(entry.stamp().map(|stamp| stamp.0));
    } else if let Some(mut rng) = entry.rng() {
        drawn.numbers.push(rng.next_u64());
    }
}

fn set_up(app: &mut App) {
    app.add_replicated_command::<Draw>()
        .add_replicated_state::<Drawn>()
        .init_resource::<Answers>()
        .add_systems(ApplyCommitted, draw)
        .add_observer(
            |read: On<ReadOutcome>, drawn: Res<Drawn>, mut answers: ResMut<Answers>| {
                answers.0.push((read.id, read.result, drawn.numbers.len()));
            },
        );
}

fn drawn(app: &App) -> &Drawn {
    app.world().resource::<Drawn>()
}

fn answers(app: &App) -> &[(ReadRequest, Result<Index, ReadError>, usize)] {
    &app.world().resource::<Answers>().0
}

#[test]
fn random_numbers_are_the_same_on_every_machine_and_differ_between_entries() {
    let mut cluster = TestCluster::new(3, set_up);
    cluster.elect();
    for _ in 0..8 {
        cluster.app(1).world_mut().propose(Draw);
    }
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).numbers.len() == 8));
    let numbers = drawn(&cluster.apps()[0]).numbers.clone();
    assert!(
        cluster
            .apps()
            .iter()
            .all(|app| drawn(app).numbers == numbers)
    );
    let mut distinct = numbers;
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 8);
}

/// A read at any machine sees what was committed elsewhere before it was requested.
#[test]
fn read_sees_everything_committed_before() {
    let mut cluster = TestCluster::new(3, set_up);
    let leader = cluster.elect();
    let follower = leader % 3 + 1;
    for _ in 0..5 {
        cluster.app(leader).world_mut().propose(Draw);
    }
    cluster.run_until(|apps| drawn(&apps[leader as usize - 1]).numbers.len() == 5);
    let id = cluster.app(follower).world_mut().read();
    cluster.run_until(|apps| !answers(&apps[follower as usize - 1]).is_empty());
    let answer = &answers(&cluster.apps()[follower as usize - 1])[0];
    assert_eq!(answer.0, id);
    assert!(
        answer.1.as_ref().is_ok_and(|index| index.0 >= 6),
        "{answer:?}"
    );
    assert_eq!(answer.2, 5, "the state contains them");
}

/// Without a quorum a read waits; an old leader must not answer it.
#[test]
fn read_of_an_isolated_leader_waits_for_the_quorum() {
    let mut cluster = TestCluster::new(3, set_up);
    let leader = cluster.elect();
    cluster.network().isolate(NodeId(leader));
    cluster.app(leader).world_mut().read();
    for _ in 0..300 {
        cluster.frame();
    }
    let other = leader % 3 + 1;
    cluster.app(other).world_mut().propose(Draw);
    cluster.run_until(|apps| drawn(&apps[other as usize - 1]).numbers.len() == 1);
    assert!(answers(cluster.app(leader)).is_empty());
    cluster.network().heal();
    cluster.run_until(|apps| !answers(&apps[leader as usize - 1]).is_empty());
    assert_eq!(answers(cluster.app(leader))[0].2, 1);
}

fn ticking(interval: Duration) -> TestCluster {
    TestCluster::with_plugin(3, |_| {}, move |plugin| plugin.with_ticks(interval), set_up)
}

/// Ticks number without gaps, at the rate of the interval, also across a change of leaders.
#[test]
fn ticks_are_counted_without_gaps_across_leaders() {
    let mut cluster = ticking(Duration::from_millis(100));
    let leader = cluster.elect();
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() >= 3));
    let (before, ticks) = (cluster.now(), drawn(&cluster.apps()[0]).ticks.len());
    for _ in 0..200 {
        cluster.frame();
    }
    let elapsed = cluster.now().since(before).as_millis() as usize / 100;
    let seen = drawn(&cluster.apps()[0]).ticks.len() - ticks;
    assert!(
        seen.abs_diff(elapsed) <= 1,
        "{seen} ticks in {elapsed} intervals"
    );
    cluster.network().isolate(NodeId(leader));
    let next = leader % 3 + 1;
    let at = drawn(&cluster.apps()[next as usize - 1]).ticks.len();
    cluster.run_until(|apps| drawn(&apps[next as usize - 1]).ticks.len() > at + 5);
    cluster.network().heal();
    let at = drawn(&cluster.apps()[next as usize - 1]).ticks.len();
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() > at + 5));
    for app in cluster.apps() {
        let ticks = &drawn(app).ticks;
        let expected: Vec<u64> = (1..=ticks.len() as u64).collect();
        assert_eq!(*ticks, expected);
        assert_eq!(app.world().resource::<Ticks>().0, ticks.len() as u64);
    }
}

#[test]
fn time_stands_still_without_a_quorum() {
    let mut cluster = ticking(Duration::from_millis(100));
    let leader = cluster.elect();
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() >= 3));
    (1..=3).for_each(|id| cluster.network().isolate(NodeId(id)));
    // What is in flight arrives, and the leader steps down.
    (0..100).for_each(|_| cluster.frame());
    let stopped = drawn(cluster.app(leader)).ticks.len();
    (0..500).for_each(|_| cluster.frame());
    assert_eq!(drawn(cluster.app(leader)).ticks.len(), stopped);
    cluster.network().heal();
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() > stopped + 3));
}

/// The app asks for no ticks.
#[derive(Resource)]
struct Rests;

/// An app whose next three events are due every two seconds of the game clock.
fn ticking_on_demand() -> TestCluster {
    let plugin = |plugin: RaftPlugin| plugin.with_ticks_on_demand(Duration::from_millis(100));
    TestCluster::with_plugin(
        3,
        |_| {},
        plugin,
        |app| {
            set_up(app);
            app.add_systems(
                PostUpdate,
                (|drawn: Res<Drawn>, mut demand: ResMut<TickDemand>, rests: Option<Res<Rests>>| {
                    let next = drawn.ticks.len() as u64 + 1;
                    let is_needed = next <= 3 && rests.is_none();
                    demand.0 = is_needed.then_some(Stamp(2_000 * next));
                })
                .before(RaftSystems::Propose),
            );
        },
    )
}

/// One tick for each event, soon after it is due, also if the leader changes in between.
#[test]
fn ticks_on_demand_come_when_they_are_needed() {
    let mut cluster = ticking_on_demand();
    let leader = cluster.elect();
    cluster.run_until(|apps| drawn(&apps[leader as usize - 1]).ticks.len() == 1);
    cluster.network().isolate(NodeId(leader));
    let other = leader % 3 + 1;
    cluster.run_until(|apps| drawn(&apps[other as usize - 1]).ticks.len() == 2);
    cluster.network().heal();
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() == 3));
    (0..500).for_each(|_| cluster.frame());
    for app in cluster.apps() {
        let drawn = drawn(app);
        assert_eq!(drawn.ticks, [1, 2, 3], "none more than were needed");
        for (stamp, needed) in drawn.stamps.iter().zip([2_000, 4_000, 6_000]) {
            assert!((needed..needed + 500).contains(stamp), "{:?}", drawn.stamps);
        }
    }
}

/// Another member stands in for a leader whose app proposes none.
#[test]
fn ticks_on_demand_come_without_the_app_of_the_leader() {
    let mut cluster = ticking_on_demand();
    let leader = cluster.elect();
    cluster.app(leader).world_mut().insert_resource(Rests);
    cluster.run_until(|apps| apps.iter().all(|app| drawn(app).ticks.len() == 3));
    assert_eq!(cluster.elect(), leader);
    // The first one waits for the leader; then the member knows that the leader proposes none.
    let stamps = &drawn(&cluster.apps()[0]).stamps;
    assert!((2_300..3_000).contains(&stamps[0]), "{stamps:?}");
    assert!((4_000..4_500).contains(&stamps[1]), "{stamps:?}");
}

fn also_draws(entry: Res<CommittedEntry>, mut drawn: ResMut<Drawn>) {
    if entry.command::<Draw>().is_some() {
        drawn.numbers.push(0);
    }
}

/// The message names both systems and the remedy, before any entry is applied.
#[test]
fn systems_without_an_order_are_refused_by_name() {
    let built = std::panic::catch_unwind(|| {
        TestCluster::new(1, |app| {
            set_up(app);
            app.add_systems(ApplyCommitted, also_draws);
        })
    });
    let panic = built.err().expect("the order is ambiguous");
    let message = raftian_node::panic_message(&*panic);
    for part in ["draw", "also_draws", "Drawn", "chain()"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A state that was removed would be missing in snapshots and differ from the others.
#[test]
fn removed_state_stops_the_node_by_name() {
    let mut cluster = TestCluster::new(1, set_up);
    cluster.app(1).world_mut().remove_resource::<Drawn>();
    cluster.app(1).world_mut().propose(Draw);
    let stopped = |app: &App| {
        let view = app.world().resource::<RaftStatus>().view.as_ref();
        view.and_then(|view| view.stopped.as_ref().map(ToString::to_string))
    };
    cluster.run_until(|apps| stopped(&apps[0]).is_some());
    let reason = stopped(&cluster.apps()[0]).unwrap_or_default();
    assert!(reason.contains("test.drawn/1"), "{reason}");
}
