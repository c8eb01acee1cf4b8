//! Messages of an earlier term, and replies to probes of another leadership (section 5.1).

use super::*;
use crate::message::{SnapshotReply, SnapshotResult};

fn receive_in_term(node: &mut Node, term: u64, from: u64, body: Body) {
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(from),
            message: Message::new(Term(term), body),
        },
    );
}

fn matched_index(node: &Node, follower: u64) -> Index {
    let peers = node.status().peers;
    peers
        .iter()
        .find(|peer| peer.id == NodeId(follower))
        .expect("the follower is a member")
        .matched
}

#[test]
fn acknowledgement_of_an_earlier_term_commits_nothing() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    receive_in_term(&mut node, 0, 2, answer(1));
    assert_eq!(
        (matched_index(&node, 2), node.commit()),
        (Index(0), Index(0))
    );
    receive_in_term(&mut node, 1, 2, answer(1));
    assert_eq!(
        (matched_index(&node, 2), node.commit()),
        (Index(1), Index(1))
    );
}

/// The terms of the message and of the probe are checked separately: either alone rejects a late
/// reply.
#[test]
fn acknowledgement_of_a_foreign_probe_commits_nothing() {
    for (term, sent, committed) in [(1, NOW, 1), (0, NOW, 0), (1, Moment(NOW.0 + 1), 0)] {
        let mut node = leader(three(Standing::Voter), |_| {});
        write(&mut node);
        let probe = Some(Probe {
            term: Term(term),
            sent,
            round: 0,
        });
        let result = AppendResult::Matched { up_to: Index(1) };
        receive(
            &mut node,
            2,
            Body::AppendReply(AppendReply {
                probe,
                result,
                state: None,
            }),
        );
        assert_eq!(
            node.commit(),
            Index(committed),
            "a probe of term {term}, sent at {sent:?}"
        );
        assert_eq!(
            ignored_messages(&node.take_actions()),
            1 - committed as usize
        );
    }
}

#[test]
fn vote_of_an_earlier_term_does_not_count() {
    let mut node = node(three(Standing::Voter), |_| {});
    node.step(NOW, Input::Campaign);
    write(&mut node);
    receive_in_term(&mut node, 0, 2, Body::VoteReply { granted: true });
    assert_eq!(node.role(), RoleKind::Candidate);
    receive_in_term(&mut node, 1, 2, Body::VoteReply { granted: true });
    assert_eq!(node.role(), RoleKind::Leader);
}

/// A leader that is sending a snapshot to n3, and the last entry of the snapshot.
fn sending_a_snapshot() -> (Node, LogPosition) {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, 1..=3);
    write(&mut node);
    matched(&mut node, 2, 4);
    settle(&mut node);
    let data = Bytes::from(&[5][..]);
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(4),
            data,
            compact_to: Some(Index(4)),
        }),
    );
    let sent = write(&mut node).send;
    let to_n3 = |(to, message): &(NodeId, Message)| {
        *to == NodeId(3) && matches!(message.body, Body::InstallSnapshot(_))
    };
    assert!(sent.iter().any(to_n3), "n3 needs compacted entries");
    (
        node,
        LogPosition {
            term: TERM,
            index: Index(4),
        },
    )
}

#[test]
fn snapshot_reply_counts_only_in_the_sending_leadership() {
    let ours = Probe {
        term: TERM,
        sent: NOW,
        round: 0,
    };
    let cases = [
        (1, Some(ours), 4),
        (0, Some(ours), 0),
        (0, None, 0),
        (
            1,
            Some(Probe {
                term: Term(0),
                ..ours
            }),
            0,
        ),
        (
            1,
            Some(Probe {
                sent: Moment(NOW.0 + 1),
                ..ours
            }),
            0,
        ),
    ];
    for (term, probe, expected) in cases {
        let (mut node, position) = sending_a_snapshot();
        let reply = SnapshotReply {
            probe,
            position,
            result: SnapshotResult::Installed,
        };
        receive_in_term(&mut node, term, 3, Body::SnapshotReply(reply));
        assert_eq!(
            matched_index(&node, 3),
            Index(expected),
            "term {term}, {probe:?}"
        );
    }
}

/// Thesis 3.10: TimeoutNow comes from the leader. One from another node, or of another term, starts
/// no election; nor does one received by a node that follows no leader.
#[test]
fn timeout_now_counts_only_from_the_followed_leader() {
    let ordered = |term: u64, from: u64| {
        let mut node = follower(|_| {});
        receive_in_term(&mut node, term, from, Body::TimeoutNow);
        node.role()
    };
    assert_eq!(ordered(1, 2), RoleKind::Candidate);
    assert_eq!(ordered(1, 3), RoleKind::Follower);
    assert_eq!(ordered(0, 2), RoleKind::Follower);

    let mut node = follower(|config| config.pre_vote = true);
    let late = Moment(NOW.0 + node.config().max_election_timeout().as_micros() as u64);
    node.step(late, Input::Wake);
    assert_eq!((node.role(), node.leader()), (RoleKind::PreCandidate, None));
    at(&mut node, late, 2, Body::TimeoutNow);
    assert_eq!((node.role(), node.term()), (RoleKind::PreCandidate, TERM));
}
