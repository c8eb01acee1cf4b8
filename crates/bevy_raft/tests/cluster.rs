//! The plugin in several apps of one process, with links in memory and a manual clock.

use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::test_app::TestCluster;
use bevy_raft::{AppliedLog, MAX_PENDING, Outbox, Rejection};
use bevy_state::prelude::*;
use raftian_raft::NodeId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Append(u32);

impl ReplicatedCommand for Append {
    const NAME: &'static str = "test.append/1";
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unregistered;

impl ReplicatedCommand for Unregistered {
    const NAME: &'static str = "test.unregistered/1";
}

/// The replicated state: all numbers appended, in order.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone)]
struct Truth(Vec<u32>);

/// Events triggered on this machine.
#[derive(Resource, Default)]
struct Heard {
    committed: Vec<(u32, Option<ProposalId>)>,
    outcomes: Vec<(ProposalId, Outcome)>,
    led: u32,
}

fn append(entry: Res<CommittedEntry>, mut truth: ResMut<Truth>) {
    if let Some(Append(n)) = entry.command::<Append>() {
        truth.0.push(*n);
    }
}

fn cluster(size: u64) -> TestCluster {
    TestCluster::new(size, |app| {
        app.add_replicated_command::<Append>()
            .init_resource::<Truth>()
            .init_resource::<Heard>();
        app.add_systems(ApplyCommitted, append);
        app.add_systems(OnEnter(RaftRole::Leader), |mut heard: ResMut<Heard>| {
            heard.led += 1
        });
        app.add_observer(
            |hit: On<Committed<Append>>, truth: Res<Truth>, mut heard: ResMut<Heard>| {
                assert_eq!(
                    truth.0.last(),
                    Some(&hit.command.0),
                    "announced after it was applied"
                );
                heard.committed.push((hit.command.0, hit.proposal));
            },
        );
        app.add_observer(|outcome: On<ProposalOutcome>, mut heard: ResMut<Heard>| {
            heard.outcomes.push((outcome.id, outcome.outcome.clone()));
        });
    })
}

fn truth(app: &bevy_app::App) -> &[u32] {
    &app.world().resource::<Truth>().0
}

fn everywhere(apps: &[bevy_app::App], wanted: &[u32]) -> bool {
    apps.iter().all(|app| truth(app) == wanted)
}

#[test]
fn commands_are_applied_in_the_same_order_on_every_machine() {
    let mut cluster = cluster(3);
    cluster.elect();
    for id in 1..=3 {
        for n in 0..5 {
            cluster
                .app(id)
                .world_mut()
                .propose(Append(id as u32 * 10 + n));
        }
    }
    cluster.run_until(|apps| apps.iter().all(|app| truth(app).len() == 15));
    let first = truth(&cluster.apps()[0]).to_vec();
    assert!(everywhere(cluster.apps(), &first));
    for id in 1..=3 {
        let own: Vec<_> = first
            .iter()
            .copied()
            .filter(|n| *n as u64 / 10 == id)
            .collect();
        assert_eq!(
            own,
            (0..5).map(|n| id as u32 * 10 + n).collect::<Vec<_>>(),
            "commands of one machine keep their order"
        );
    }
}

/// A bug that shows on one machine alone stops that machine at each start, and no other.
#[test]
fn failed_apply_stops_only_that_machine_and_names_the_entry() {
    for fails in [
        panics as fn(Res<CommittedEntry>) -> Result,
        returns_an_error,
    ] {
        let mut started = 0;
        let mut cluster = TestCluster::new(3, move |app| {
            started += 1;
            app.add_replicated_command::<Append>()
                .init_resource::<Truth>()
                .init_resource::<Heard>();
            app.add_systems(ApplyCommitted, append);
            // The node must stop even if the app ignores errors.
            app.set_error_handler(bevy_ecs::error::ignore);
            // The first and the second start of machine 2.
            if started == 2 || started == 4 {
                app.add_systems(ApplyCommitted, fails.after(append));
            }
        });
        let leader = cluster.elect();
        let proposer = if leader == 1 { 3 } else { 1 };
        for n in 12..15 {
            cluster.app(proposer).world_mut().propose(Append(n));
        }
        let stopped = |app: &bevy_app::App| {
            let view = app.world().resource::<RaftStatus>().view.clone();
            view.and_then(|view| view.stopped)
                .map(|stopped| stopped.to_string())
        };
        cluster.run_until(|apps| {
            [0, 2]
                .iter()
                .all(|place| truth(&apps[*place]) == [12, 13, 14])
        });
        cluster.run_until(|apps| stopped(&apps[1]).is_some());
        let reason = stopped(&cluster.apps()[1]).expect("run_until just saw it stopped");
        assert!(
            reason.contains("at entry #3, command Append(13): ") && reason.contains("thirteen"),
            "{reason}"
        );
        assert_eq!([1, 3].map(|id| stopped(cluster.app(id))), [None, None]);

        cluster.restart(2);
        cluster.run_until(|apps| stopped(&apps[1]).is_some());
        assert_eq!(stopped(&cluster.apps()[1]), Some(reason), "the same entry");
        cluster.app(1).world_mut().propose(Append(16));
        cluster.run_until(|apps| {
            [0, 2]
                .iter()
                .all(|place| truth(&apps[*place]) == [12, 13, 14, 16])
        });
    }
}

fn panics(entry: Res<CommittedEntry>) -> Result {
    assert_ne!(entry.command::<Append>(), Some(&Append(13)), "thirteen");
    Ok(())
}

fn returns_an_error(entry: Res<CommittedEntry>) -> Result {
    match entry.command::<Append>() {
        Some(Append(13)) => Err("thirteen".into()),
        _ => Ok(()),
    }
}

/// A submitted command may be committed by the others; one that was not submitted cannot be.
#[test]
fn stopped_node_gives_every_proposal_an_outcome() {
    let mut cluster = cluster(3);
    let leader = cluster.elect();
    cluster.network().isolate(NodeId(leader));
    let submitted = cluster.app(leader).world_mut().propose(Append(1));
    cluster.frame();
    cluster
        .app(leader)
        .world_mut()
        .resource_mut::<bevy_raft::RaftNode>()
        .stop("planted".to_owned());
    let later = cluster.app(leader).world_mut().propose(Append(2));
    cluster.frame();
    assert!(
        cluster
            .app(leader)
            .world()
            .resource::<Heard>()
            .outcomes
            .is_empty(),
        "another node may be attached"
    );
    cluster.frame();
    let outcomes = &cluster.app(leader).world().resource::<Heard>().outcomes;
    let reason = "planted".to_owned();
    assert_eq!(
        outcomes[0],
        (
            submitted,
            Outcome::Unknown {
                reason: reason.clone()
            }
        )
    );
    assert_eq!(
        outcomes[1],
        (later, Outcome::Rejected(Rejection::Stopped { reason }))
    );
    assert_eq!(outcomes.len(), 2);
}

/// A command that no node accepts must not be resubmitted for ever.
#[test]
fn command_larger_than_the_node_accepts_is_rejected() {
    let mut cluster = TestCluster::with_settings(
        1,
        |config| config.max_command_bytes = 5,
        |app| {
            app.add_replicated_command::<Append>()
                .init_resource::<Truth>()
                .init_resource::<Heard>();
            app.add_systems(ApplyCommitted, append);
            app.add_observer(|outcome: On<ProposalOutcome>, mut heard: ResMut<Heard>| {
                heard.outcomes.push((outcome.id, outcome.outcome.clone()));
            });
        },
    );
    cluster.elect();
    let id = cluster.app(1).world_mut().propose(Append(u32::MAX));
    cluster.run_until(|apps| !apps[0].world().resource::<Heard>().outcomes.is_empty());
    let outcomes = &cluster.app(1).world().resource::<Heard>().outcomes;
    assert_eq!(
        *outcomes,
        [(id, Outcome::Rejected(Rejection::TooLarge { bytes: 9 }))]
    );
    assert!(
        cluster
            .app(1)
            .world()
            .resource::<Outbox>()
            .pending()
            .is_empty()
    );
}

#[test]
fn nothing_changes_before_the_command_is_committed() {
    let mut cluster = cluster(3);
    let leader = cluster.elect();
    cluster.network().isolate(NodeId(leader));
    cluster.app(leader).world_mut().propose(Append(1));
    for _ in 0..100 {
        cluster.frame();
        assert!(everywhere(cluster.apps(), &[]));
    }
    assert_eq!(
        cluster.app(leader).world().resource::<RaftStatus>().pending,
        1,
        "the proposal is still pending"
    );
    cluster.network().heal();
    cluster.run_until(|apps| everywhere(apps, &[1]));
}

#[test]
fn only_the_proposer_gets_a_proposal_outcome_and_only_once() {
    let mut cluster = cluster(3);
    cluster.elect();
    let id = cluster.app(2).world_mut().propose(Append(7));
    cluster.run_until(|apps| everywhere(apps, &[7]));
    for app in 1..=3 {
        let heard = cluster.app(app).world().resource::<Heard>();
        let proposal = (app == 2).then_some(id);
        assert_eq!(heard.committed, [(7, proposal)]);
        assert_eq!(heard.outcomes.len(), usize::from(app == 2));
    }
    let heard = cluster.app(2).world().resource::<Heard>();
    assert!(
        matches!(&heard.outcomes[0], (outcome_id, Outcome::Committed(facts)) if *outcome_id == id && facts.index.0 > 0)
    );
}

#[test]
fn command_in_flight_when_the_leader_dies_is_applied_once() {
    // The leader dies before, during and after the commit.
    for frames in 0..12 {
        let mut cluster = cluster(3);
        let leader = cluster.elect();
        let follower = leader % 3 + 1;
        cluster.app(follower).world_mut().propose(Append(1));
        for _ in 0..frames {
            cluster.frame();
        }
        cluster.freeze(leader, true);
        cluster.network().isolate(NodeId(leader));
        cluster.run_until(|apps| apps.iter().filter(|app| truth(app) == [1]).count() >= 2);
        cluster.network().heal();
        cluster.freeze(leader, false);
        cluster.app(follower).world_mut().propose(Append(2));
        cluster.run_until(|apps| everywhere(apps, &[1, 2]));
    }
}

#[test]
fn frozen_window_catches_up_and_loses_nothing() {
    let mut cluster = cluster(3);
    let leader = cluster.elect();
    let sleeper = leader % 3 + 1;
    cluster.freeze(sleeper, true);
    let wanted: Vec<u32> = (0..1000).collect();
    for batch in wanted.chunks(100) {
        for n in batch {
            cluster.app(leader).world_mut().propose(Append(*n));
        }
        cluster.run_until(|apps| truth(&apps[leader as usize - 1]).last() == batch.last());
    }
    assert_eq!(truth(&cluster.apps()[sleeper as usize - 1]), []);
    cluster.freeze(sleeper, false);
    cluster.run_until(|apps| everywhere(apps, &wanted));
}

#[test]
fn isolated_leader_steps_down_and_reports_no_quorum() {
    let mut cluster = cluster(3);
    let leader = cluster.elect();
    let world = cluster.app(leader).world_mut();
    assert!(
        world.run_system_cached(has_quorum).unwrap() && world.run_system_cached(is_leader).unwrap()
    );
    cluster.network().isolate(NodeId(leader));
    let index = leader as usize - 1;
    cluster.run_until(|apps| {
        *apps[index].world().resource::<State<RaftRole>>().get() != RaftRole::Leader
    });
    let world = cluster.app(leader).world_mut();
    assert!(
        !world.run_system_cached(has_quorum).unwrap()
            && !world.run_system_cached(is_leader).unwrap()
    );
    assert_eq!(
        world.resource::<Heard>().led,
        1,
        "OnEnter(RaftRole::Leader) runs once"
    );
}

#[test]
fn unregistered_and_surplus_commands_are_rejected_at_once() {
    let mut cluster = cluster(1);
    let world = cluster.app(1).world_mut();
    let unregistered = world.propose(Unregistered);
    for n in 0..MAX_PENDING as u32 {
        world.propose(Append(n));
    }
    let surplus = world.propose(Append(0));
    let outcomes = &world.resource::<Heard>().outcomes;
    assert_eq!(
        outcomes[0],
        (
            unregistered,
            Outcome::Rejected(Rejection::NotRegistered("test.unregistered/1"))
        )
    );
    assert_eq!(outcomes[1], (surplus, Outcome::Rejected(Rejection::Busy)));
    cluster.run_until(|apps| truth(&apps[0]).len() == MAX_PENDING);
}

#[test]
fn repeated_commands_leave_equal_sessions_on_every_machine() {
    let mut cluster = cluster(3);
    let leader = cluster.elect();
    // Cut the way back to one follower: its proposal is committed by the leader, the proposer
    // receives nothing and resubmits.
    let proposer = leader % 3 + 1;
    cluster.network().cut(NodeId(leader), NodeId(proposer));
    cluster.app(proposer).world_mut().propose(Append(5));
    for _ in 0..10 {
        cluster.frame();
    }
    cluster.network().heal();
    cluster.run_until(|apps| everywhere(apps, &[5]));
    cluster.app(leader).world_mut().propose(Append(6));
    cluster.run_until(|apps| everywhere(apps, &[5, 6]));
    let sessions: Vec<_> = cluster
        .apps()
        .iter()
        .map(|app| app.world().resource::<AppliedLog>().sessions.clone())
        .collect();
    assert!(sessions.iter().all(|s| *s == sessions[0]));
}

/// Two systems that write the same state in no order would make machines diverge.
#[test]
#[should_panic(expected = "conflict")]
fn ambiguous_order_in_apply_committed_is_an_error() {
    let mut cluster = TestCluster::new(1, |app| {
        app.add_replicated_command::<Append>()
            .init_resource::<Truth>();
        app.add_systems(
            ApplyCommitted,
            (append, |mut truth: ResMut<Truth>| truth.0.push(0)),
        );
    });
    cluster.app(1).world_mut().propose(Append(1));
    cluster.run_until(|apps| !truth(&apps[0]).is_empty());
}
