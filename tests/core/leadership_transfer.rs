//! Leadership transfer: thesis 3.10.

use raftian_raft::{Body, Message, Moment, NodeId, RefusalReason, RequestError, RoleKind, Term};
use raftian_sim::Setup;
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::coverage::Mark;
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// "The prior leader sends a TimeoutNow request to the target server" (thesis 3.10). The target
/// skips the election timeout and the pre-vote, and voters do not refuse it because the old leader
/// is alive.
#[test]
fn leadership_moves_to_the_named_follower_at_once() {
    let mut cluster = led_by_n1(Setup::cluster(5, 1));
    cluster.transfer_leadership(N1, Some(N3)).unwrap();
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N3]);
    assert_eq!(cluster.counters().of(Mark::StoodForElectionInTransfer), 1);
}

/// Without a named target, the follower with the longest log becomes leader.
#[test]
fn leadership_moves_to_the_most_up_to_date_follower() {
    let mut cluster = led_by_n1(Setup::cluster(5, 1));
    // Only n4 receives the entry.
    cluster.isolate(N2);
    cluster.isolate(N3);
    cluster.isolate(NodeId(5));
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    cluster.heal();
    cluster.transfer_leadership(N1, None).unwrap();
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [NodeId(4)]);
}

/// "The prior leader fully updates the target server's log" (thesis 3.10) before TimeoutNow.
#[test]
fn timeout_now_is_sent_only_after_the_log_is_complete() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.deliver(|m| m.between(1, 2));
    cluster.transfer_leadership(N1, Some(N3)).unwrap();
    assert_eq!(cluster.copies(|m| m.is(Kind::TimeoutNow)).len(), 0);
    cluster.deliver(|m| m.between(1, 3));
    cluster.deliver(|m| m.between(3, 1));
    assert_eq!(cluster.copies(|m| m.is(Kind::TimeoutNow)).len(), 1);
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N3]);
    assert_eq!(cluster.host(N3).effects().len(), 1);
}

/// "The prior leader stops accepting new client requests" (thesis 3.10), and "if leadership
/// transfer does not complete after about an election timeout, the prior leader aborts the transfer
/// and resumes accepting client requests".
#[test]
fn leader_refuses_commands_until_a_failed_transfer_ends() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.crash(N3);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    cluster.transfer_leadership(N1, Some(N3)).unwrap();
    assert_eq!(
        cluster.propose(N1, 1, 2, b"y"),
        Err(RefusalReason::TransferringLeadership)
    );
    // Longer than an election timeout: the transfer is aborted.
    cluster.run(SECOND / 2);
    assert_eq!(cluster.leaders(), [N1]);
    assert_eq!(cluster.counters().of(Mark::AbortedLeadershipTransfer), 1);
    cluster.propose(N1, 1, 2, b"y").unwrap();
    cluster.stabilize();
    assert_eq!(cluster.host(N2).effects().len(), 2);
}

/// TimeoutNow may be lost after it was sent.
#[test]
fn transfer_can_be_retried_after_a_lost_timeout_now() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.transfer_leadership(N1, Some(N2)).unwrap();
    cluster.drop_messages(|m| m.is(Kind::TimeoutNow));
    cluster.run(SECOND / 2);
    assert_eq!(cluster.leaders(), [N1]);
    cluster.transfer_leadership(N1, Some(N2)).unwrap();
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N2]);
}

/// A late TimeoutNow is ignored: the term it was sent in is over.
#[test]
fn timeout_now_of_an_earlier_term_is_ignored() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.transfer_leadership(N1, Some(N2)).unwrap();
    let late = cluster.copies(|m| m.is(Kind::TimeoutNow));
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N2]);
    cluster.transfer_leadership(N2, Some(N3)).unwrap();
    cluster.stabilize();
    cluster.inject(late);
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N3]);
}

/// Only the leader of the term may send TimeoutNow.
#[test]
fn timeout_now_from_another_follower_is_ignored() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    let message = Message::new(Term(1), Body::TimeoutNow);
    cluster.inject([Envelope {
        serial: 0,
        from: N3,
        to: N2,
        sent: Moment(0),
        message,
    }]);
    cluster.stabilize();
    assert_eq!(
        (cluster.leaders(), cluster.node(N1).term()),
        (vec![N1], Term(1))
    );
}

/// A transfer to the leader itself, to an unknown node, or by a follower changes nothing.
#[test]
fn invalid_leadership_transfer_is_refused() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    assert_eq!(
        cluster.transfer_leadership(N1, Some(N1)),
        Err(RequestError::NoSuccessor)
    );
    assert_eq!(
        cluster.transfer_leadership(N1, Some(NodeId(99))),
        Err(RequestError::NoSuccessor)
    );
    assert_eq!(
        cluster.transfer_leadership(N2, Some(N3)),
        Err(RequestError::NotLeader(Some(N1)))
    );
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(
        (cluster.leaders(), cluster.node(N2).role()),
        (vec![N1], RoleKind::Follower)
    );
    let mut alone = led_by_n1(Setup::cluster(1, 1));
    assert_eq!(
        alone.transfer_leadership(N1, None),
        Err(RequestError::NoSuccessor)
    );
    alone.propose(N1, 1, 1, b"x").unwrap();
}
