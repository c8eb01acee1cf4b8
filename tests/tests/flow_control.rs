//! How much is under way, and how it gets going again when it is lost.

use std::time::Duration;

use raftian_lab::simulation::{Envelope, Kind};
use raftian_lab::{Setup, Simulation};
use raftian_raft::{
    Body, ClientId, Command, Config, Index, Input, Membership, Moment, Node, RefusalReason,
    Restored,
};
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

/// Everything in flight is lost and the window is full: the next heartbeat's refusal must open it
/// again.
#[test]
fn replication_resumes_when_everything_in_flight_was_lost_with_the_window_full() {
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

/// The same with every answer lost instead.
#[test]
fn replication_resumes_when_all_acknowledgements_were_lost_with_the_window_full() {
    let mut cluster =
        led_by_n1(Setup::cluster(3, 1).configure(|config| config.inflight_messages = 2));
    propose(&mut cluster, 1..=10, 8);
    cluster.deliver(|m| m.is(Kind::Append));
    assert_eq!(cluster.drop_messages(|m| m.is(Kind::AppendReply)), 4);
    cluster.run(Duration::from_millis(50));
    assert_eq!(cluster.settled(), Some(N1));
}

/// What is charged to a window is what is given back: after any traffic it is as wide as before.
#[test]
fn a_window_in_bytes_is_as_wide_after_much_traffic_as_before() {
    let setup = Setup::cluster(3, 1).configure(|config| config.inflight_bytes = 1_000);
    let mut cluster = led_by_n1(setup);
    for round in 0..200 {
        let first = round * 3 + 1;
        propose(&mut cluster, first..=first + 2, 400);
        cluster.stabilize();
        assert_eq!(
            cluster.node(N1).commit(),
            Index(first + 3),
            "no heartbeat was needed in round {round}"
        );
    }
}

/// At the bound nothing more is sent to a follower until it answers, and to the others it is.
#[test]
fn no_more_messages_are_in_flight_to_one_follower_than_allowed() {
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

/// One AppendEntries carries no more than it may, in entries and in bytes, but always one entry.
#[test]
fn a_message_holds_no_more_than_allowed() {
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

/// A leader holds a bounded number of uncommitted entries; then it says so, and it takes more as
/// soon as they are committed.
#[test]
fn a_leader_that_cannot_commit_refuses_at_its_bound_and_recovers() {
    for by_bytes in [false, true] {
        let setup = Setup::cluster(3, 1).configure(move |config| {
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
            // Only heartbeats: the others must not elect another while n1 is cut off.
            cluster.run(Duration::from_millis(60));
            assert_eq!(cluster.settled(), Some(N1));
        }
    }
}

/// A command that no message could carry is refused where it is proposed.
#[test]
fn a_command_that_is_too_large_is_refused_by_leader_and_follower() {
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

/// A follower that came back with an empty disk under its old id refuses what it acknowledged. It
/// is not served, but it must not be asked again and again without time passing either.
#[test]
fn a_follower_that_lost_its_disk_does_not_start_an_endless_exchange() {
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

/// A reader that stalls stops the hand-out, not the node; what it missed comes when it goes on.
#[test]
fn no_more_entries_are_handed_out_than_the_apply_window_holds() {
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
