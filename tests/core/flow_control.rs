//! Flow control: bounds on messages in flight, and recovery when they are lost.

use std::time::Duration;

use raftian_raft::{
    Body, ClientId, Command, Config, Index, Input, Membership, Moment, Node, RefusalReason,
    Restored,
};
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

fn entries(envelope: &Envelope) -> usize {
    match &envelope.message.body {
        Body::AppendEntries(append) => append.entries.len(),
        _ => 0,
    }
}

fn propose(cluster: &mut Simulation, sequences: std::ops::RangeInclusive<u64>, bytes: usize) {
    for sequence in sequences {
        cluster.propose(N1, 1, sequence, &vec![0; bytes]).unwrap();
    }
}

/// All messages in flight are lost and the window is full: the refusal of the next heartbeat must
/// reopen it.
#[test]
fn replication_resumes_after_every_append_is_lost() {
    let mut cluster =
        led_by_n1(Setup::cluster(3, 1).configure(|config| config.inflight_messages = 4));
    propose(&mut cluster, 1..=10, 8);
    assert_eq!(
        cluster.drop_messages(|m| m.is(Kind::Append)),
        8,
        "four to each follower, then the window is full"
    );
    cluster.run(Duration::from_millis(50));
    assert_eq!(cluster.settled(), Some(N1), "one heartbeat is enough");
    assert!(
        cluster
            .ids()
            .all(|id| cluster.host(id).effects().len() == 10)
    );
}

/// The same with every reply lost instead.
#[test]
fn replication_resumes_after_every_reply_is_lost() {
    let mut cluster =
        led_by_n1(Setup::cluster(3, 1).configure(|config| config.inflight_messages = 2));
    propose(&mut cluster, 1..=10, 8);
    cluster.deliver(|m| m.is(Kind::Append));
    assert_eq!(cluster.drop_messages(|m| m.is(Kind::AppendReply)), 4);
    cluster.run(Duration::from_millis(50));
    assert_eq!(cluster.settled(), Some(N1));
}

/// Bytes charged to a window are all released: after any traffic it is as wide as before.
#[test]
fn byte_window_is_fully_released_after_traffic() {
    let setup = Setup::cluster(3, 1).configure(|config| config.inflight_bytes = 1_000);
    let mut cluster = led_by_n1(setup);
    // Each round exceeds the window, so bytes that were not released would close it.
    for round in 0..200 {
        let first = round * 3 + 1;
        propose(&mut cluster, first..=first + 2, 400);
        cluster.stabilize();
        assert_eq!(
            cluster.node(N1).commit(),
            Index(first + 3),
            "round {round} committed without a heartbeat"
        );
    }
}

/// At the bound, a leader sends nothing more to that follower until it replies, and continues to
/// send to the others.
#[test]
fn inflight_messages_per_follower_are_bounded() {
    let mut cluster =
        led_by_n1(Setup::cluster(3, 1).configure(|config| config.inflight_messages = 5));
    for sequence in 1..=20 {
        cluster.propose(N1, 1, sequence, b"x").unwrap();
        cluster.deliver(|m| m.between(1, 2));
        cluster.deliver(|m| m.between(2, 1));
    }
    assert_eq!(
        cluster.copies(|m| m.between(1, 3) && entries(m) > 0).len(),
        5
    );
    assert_eq!(cluster.node(N2).last().index, Index(21));
    cluster.settle(SECOND).unwrap();
}

/// One AppendEntries stays within its limits in entries and bytes, but always carries one entry.
#[test]
fn append_message_respects_its_size_limits() {
    for (most_entries, most_bytes, expected) in
        [(4, 1 << 20, 4), (1 << 20, 500, 3), (1 << 20, 1, 1)]
    {
        let setup = Setup::cluster(3, 1).configure(move |config| {
            config.max_append_entries = most_entries;
            config.max_append_bytes = most_bytes;
        });
        let mut cluster = led_by_n1(setup);
        cluster.crash(N3);
        propose(&mut cluster, 1..=12, 100);
        cluster.stabilize();
        cluster.restart(N3);
        cluster.advance(Duration::from_millis(50));
        let mut largest = 0;
        while cluster.queued().len() > 0 {
            largest = largest.max(cluster.queued().map(entries).max().unwrap());
            cluster.deliver(|_| true);
        }
        assert_eq!(
            (largest, cluster.settled()),
            (expected, Some(N1)),
            "{most_entries} entries, {most_bytes} bytes"
        );
    }
}

/// A leader holds a bounded number of uncommitted entries; at the bound it returns `Busy`, and it
/// accepts more as soon as they are committed.
#[test]
fn leader_at_its_uncommitted_bound_refuses_and_recovers() {
    for by_bytes in [false, true] {
        let setup = Setup::cluster(3, 1).configure(move |config| {
            // n1 must keep leading while it is isolated.
            config.check_quorum = false;
            if by_bytes {
                config.max_uncommitted_bytes = 10 * (raftian_raft::Entry::OVERHEAD + 100);
            } else {
                config.max_uncommitted_entries = 10;
            }
        });
        let mut cluster = led_by_n1(setup);
        for round in 0..5 {
            cluster.isolate(N1);
            propose(&mut cluster, round * 10 + 1..=round * 10 + 10, 100);
            assert_eq!(
                cluster.propose(N1, 2, 1, b"one more"),
                Err(RefusalReason::Busy)
            );
            cluster.heal();
            // Time for heartbeats only: n1 is cut off, and no other leader may be elected.
            cluster.run(Duration::from_millis(60));
            assert_eq!(cluster.settled(), Some(N1));
        }
    }
}

/// A command too large for any message is refused by the node where it is proposed.
#[test]
fn oversized_command_is_refused_by_leader_and_follower() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    let bytes = vec![0; raftian_raft::Config::MAX_COMMAND_BYTES + 1];
    for at in [N1, N2] {
        assert_eq!(
            cluster.propose(at, 1, 1, &bytes),
            Err(RefusalReason::TooLarge)
        );
        cluster.propose(at, 1, 1, &bytes[1..]).unwrap();
        cluster.stabilize();
    }
    assert_eq!(cluster.host(N3).effects().len(), 1);
}

/// A follower that returns with an empty disk under its old id refuses entries it acknowledged
/// before. The leader must not serve it, and must not retry in a loop without time passing.
#[test]
fn follower_that_lost_its_disk_causes_no_message_loop() {
    let setup = Setup::cluster(3, 1).configure(|config| config.replace_incarnations = false);
    let mut cluster = led_by_n1(setup);
    propose(&mut cluster, 1..=5, 8);
    cluster.stabilize();
    cluster.wipe(N3);
    propose(&mut cluster, 6..=6, 8);
    for _ in 0..20 {
        cluster.advance(Duration::from_millis(50));
        assert!(cluster.stabilize() < 50);
    }
    assert_eq!(
        (cluster.leaders(), cluster.node(N1).commit()),
        (vec![N1], Index(7))
    );
}

/// A stalled reader stops delivery, not the node; delivery resumes when the reader does.
#[test]
fn apply_window_bounds_delivered_entries() {
    let config = Config {
        apply_window: 5,
        ..Config::new(N1, Membership::new([N1]).unwrap(), 1)
    };
    let mut node = Node::new(config, Restored::default(), Moment(0)).unwrap();
    node.step(Moment(1), Input::Campaign);
    let command = |sequence| Command {
        client: ClientId(1),
        sequence,
        bytes: b"x".as_slice().into(),
    };
    let write = |node: &mut Node| {
        let actions = node.take_actions();
        node.step(
            Moment(1),
            Input::Persisted(actions.persist.expect("there is something to write").number),
        );
    };
    write(&mut node);
    node.step(Moment(1), Input::Propose((1..=20).map(command).collect()));
    write(&mut node);
    assert_eq!(
        (node.commit(), node.take_actions().apply.len()),
        (Index(21), 5)
    );
    node.step(Moment(1), Input::Applied(Index(3)));
    assert_eq!(
        node.take_actions()
            .apply
            .iter()
            .map(|entry| entry.index.0)
            .collect::<Vec<_>>(),
        [6, 7, 8]
    );
    assert!(node.take_actions().apply.is_empty());
}
