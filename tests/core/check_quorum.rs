//! Check-quorum (thesis 6.2), leader stickiness (thesis 4.2.3), and leaders whose disk hangs.

use std::time::Duration;

use raftian_raft::{Body, Index, LogPosition, Message, Moment, RoleKind, Term};
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::coverage::Mark;
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND};

fn led_by_n1(size: u64) -> Simulation {
    let mut cluster = Simulation::new(Setup::cluster(size, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N1]);
    cluster
}

/// "A leader in Raft steps down if an election timeout elapses without a successful round of
/// heartbeats to a majority of its cluster" (6.2).
#[test]
fn leader_that_lost_its_quorum_steps_down() {
    let mut cluster = led_by_n1(5);
    cluster.partition(&[&[N1, N2]]);
    let (_, longest) = cluster.node(N1).config().election_timeout;
    cluster.run(longest);
    assert_eq!(
        cluster.node(N1).role(),
        RoleKind::Leader,
        "a leader waits for the longest election timeout"
    );
    cluster.run(Duration::from_millis(100));
    assert_ne!(cluster.node(N1).role(), RoleKind::Leader);
    assert_eq!(
        cluster.propose(N1, 1, 1, b"x"),
        Err(raftian_raft::RefusalReason::NoLeader)
    );
}

#[test]
fn leader_in_contact_with_a_bare_majority_keeps_leading() {
    let mut cluster = led_by_n1(5);
    cluster.partition(&[&[N1, N2, N3]]);
    cluster.run(5 * SECOND);
    assert_eq!(cluster.leaders(), [N1]);
}

/// A leader that can send but not receive would prevent the others from electing a working one.
#[test]
fn leader_that_receives_nothing_is_replaced() {
    let mut cluster = led_by_n1(3);
    cluster.cut(N2, N1);
    cluster.cut(N3, N1);
    cluster.run(2 * SECOND);
    let leaders = cluster.leaders();
    assert!(leaders.len() == 1 && leaders[0] != N1, "{leaders:?} lead");
}

/// "If a server receives a RequestVote request within the minimum election timeout of hearing from
/// a current leader, it does not update its term or grant its vote" (thesis 4.2.3).
#[test]
fn follower_of_a_live_leader_ignores_a_later_term() {
    let mut cluster = led_by_n1(3);
    let last = LogPosition {
        term: Term(9),
        index: raftian_raft::Index(9),
    };
    let ask = |transfer| {
        Message::new(
            Term(9),
            Body::RequestVote {
                last,
                transfer,
                priority: 0,
            },
        )
    };
    let from_n3 = |message| {
        [Envelope {
            serial: 0,
            from: N3,
            to: N2,
            sent: Moment(0),
            message,
        }]
    };
    let (shortest, _) = cluster.node(N2).config().election_timeout;

    cluster.inject(from_n3(ask(false)));
    cluster.deliver(|_| true);
    assert_eq!(
        (cluster.node(N2).term(), cluster.node(N2).leader()),
        (Term(1), Some(N1))
    );
    cluster.drop_messages(|_| true);

    // Just before the minimum election timeout the follower must still refuse.
    cluster.isolate(N2);
    cluster.advance(shortest - Duration::from_millis(1));
    cluster.heal();
    cluster.drop_messages(|_| true);
    cluster.inject(from_n3(ask(false)));
    cluster.deliver(|m| m.to == N2);
    assert_eq!(
        cluster.node(N2).term(),
        Term(1),
        "the minimum election timeout is not over"
    );
}

#[test]
fn follower_without_recent_heartbeat_votes() {
    let mut cluster = led_by_n1(3);
    let (shortest, _) = cluster.node(N2).config().election_timeout;
    cluster.isolate(N1);
    cluster.advance(shortest);
    let last = LogPosition {
        term: Term(9),
        index: raftian_raft::Index(9),
    };
    let message = Message::new(
        Term(9),
        Body::RequestVote {
            last,
            transfer: false,
            priority: 0,
        },
    );
    cluster.drop_messages(|_| true);
    cluster.inject([Envelope {
        serial: 0,
        from: N3,
        to: N2,
        sent: Moment(0),
        message,
    }]);
    cluster.deliver(|m| m.is(Kind::RequestVote));
    assert_eq!(cluster.node(N2).status().vote, Some(N3));
}

/// A leader that can send but not store keeps its followers from standing and commits on their
/// disks alone; it must step down.
#[test]
fn leader_whose_disk_hangs_steps_down_and_another_leads() {
    let mut cluster = led_by_n1(3);
    cluster.hold_disk(N1);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.run(4 * SECOND);
    let leaders = cluster.leaders();
    assert!(leaders.len() == 1 && leaders[0] != N1, "{leaders:?} lead");
    assert_eq!(cluster.counters().of(Mark::SteppedDownWithHungDisk), 1);
    cluster.release_disk(N1);
    cluster.settle(SECOND).unwrap();
}

/// An idle leader has no writes pending, so its disk does not count as hung.
#[test]
fn idle_leader_with_a_held_disk_keeps_leading() {
    let mut cluster = led_by_n1(3);
    cluster.hold_disk(N1);
    cluster.run(2 * SECOND);
    assert_eq!(cluster.leaders(), [N1]);
}

/// Followers with slow disks keep their leader: they reply to its heartbeats, and another leader
/// would commit no more. But their entries do not count towards a commit.
#[test]
fn followers_with_hung_disks_keep_leader_and_ack_nothing() {
    let mut cluster = led_by_n1(3);
    cluster.hold_disk(N2);
    cluster.hold_disk(N3);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.run(SECOND / 2);
    assert_eq!(
        (cluster.leaders(), cluster.node(N1).commit()),
        (vec![N1], Index(1))
    );
    cluster.release_disk(N2);
    cluster.release_disk(N3);
    cluster.settle(2 * SECOND).unwrap();
    assert!(
        cluster
            .ids()
            .all(|id| cluster.host(id).effects().len() == 1)
    );
}
