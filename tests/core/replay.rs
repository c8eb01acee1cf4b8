//! Replay: a recorded list of inputs reproduces a node bit for bit, and a seed a whole cluster.

use raftian_raft::{Actions, Node, NodeId};
use raftian_sim::cluster::{Recorded, Recording};
use raftian_sim::{Setup, Simulation};
use raftian_tests::SECOND;

/// A cluster with elections, lost messages, crashes and leadership transfers behind it.
fn eventful(seed: u64) -> Simulation {
    let mut cluster = Simulation::new(Setup::cluster(5, seed).recorded().trace(100_000));
    for sequence in 1..=30 {
        let leader = cluster.settle(2 * SECOND).unwrap();
        cluster.propose(leader, 1, sequence, b"x").unwrap();
        match sequence % 6 {
            0 => drop(cluster.transfer_leadership(leader, None)),
            1 => cluster.isolate(leader),
            2 => cluster.heal(),
            3 => {
                let _lost = cluster.drop_messages(|m| m.serial % 3 == 0);
            }
            4 => {
                cluster.crash(leader);
                cluster.run(SECOND);
                cluster.restart(leader);
            }
            _ => cluster.hold_disk(leader),
        }
        cluster.run(SECOND);
        cluster.heal();
        cluster.release_disk(leader);
    }
    cluster
}

fn replay(recording: &Recording) -> (Node, usize) {
    let mut node = Node::new(
        recording.config.clone(),
        recording.restored.clone(),
        recording.started,
    )
    .unwrap();
    for step in &recording.steps {
        match step {
            Recorded::Stepped(now, input) => node.step(*now, input.clone()),
            Recorded::Acted(actions) => assert_eq!(node.take_actions(), **actions),
        }
    }
    (node, recording.steps.len())
}

#[test]
fn recorded_node_replays_identically() {
    let cluster = eventful(3);
    let mut steps = 0;
    for id in cluster.ids() {
        let recordings = cluster.host(id).recordings();
        for recording in &recordings {
            steps += replay(recording).1;
        }
        let (again, _) = replay(recordings.last().unwrap());
        assert_eq!(again.status(), cluster.node(id).status());
    }
    assert!(steps > 1_000, "only {steps} steps were recorded");
}

#[test]
fn same_seed_reproduces_the_run() {
    let first = eventful(3);
    let second = eventful(3);
    let other = eventful(4);
    assert_eq!(first.trace(), second.trace());
    assert_ne!(first.trace(), other.trace());
}

/// A clone of a node draws the same timeouts and sends the same replies.
#[test]
fn cloned_node_behaves_like_the_original() {
    let cluster = eventful(5);
    let recording = cluster.host(NodeId(2)).recordings().pop().unwrap();
    let mut node = Node::new(
        recording.config.clone(),
        recording.restored.clone(),
        recording.started,
    )
    .unwrap();
    let half = recording.steps.len() / 2;
    let run = |node: &mut Node, steps: &[Recorded]| -> Vec<Actions> {
        let mut all = Vec::new();
        for step in steps {
            match step {
                Recorded::Stepped(now, input) => node.step(*now, input.clone()),
                Recorded::Acted(_) => all.push(node.take_actions()),
            }
        }
        all
    };
    run(&mut node, &recording.steps[..half]);
    let mut copy = node.clone();
    assert_eq!(
        run(&mut node, &recording.steps[half..]),
        run(&mut copy, &recording.steps[half..])
    );
}

/// A second `take_actions` without a step in between returns nothing.
#[test]
fn actions_are_returned_once() {
    let cluster = eventful(6);
    for recording in cluster
        .ids()
        .flat_map(|id| cluster.host(id).recordings().to_vec())
    {
        let mut node = Node::new(
            recording.config.clone(),
            recording.restored.clone(),
            recording.started,
        )
        .unwrap();
        for step in recording.steps {
            match step {
                Recorded::Stepped(now, input) => node.step(now, input),
                Recorded::Acted(_) => {
                    let _performed = node.take_actions();
                    assert!(node.take_actions().is_empty());
                }
            }
        }
    }
}
