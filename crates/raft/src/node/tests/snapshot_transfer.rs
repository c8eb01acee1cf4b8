//! The window of a snapshot transfer.

use super::snapshots::snapshot_part;
use super::*;
use crate::message::{SnapshotReply, SnapshotResult};

fn chunks(actions: &Actions) -> Vec<u64> {
    let offset = |(_, message): &(NodeId, Message)| match &message.body {
        Body::InstallSnapshot(part) => Some(part.offset),
        _ => None,
    };
    actions.send.iter().filter_map(offset).collect()
}

/// A leader that sends n2 a snapshot of 40 bytes in chunks of 4, two of them in flight; n3 is up to
/// date.
fn sending() -> (Node, Actions) {
    let mut node = leader(three(Standing::Voter), |config| {
        config.snapshot_keep = 0;
        config.snapshot_chunk = 4;
        config.snapshot_inflight = 2;
    });
    write(&mut node);
    propose(&mut node, 1..=3);
    write(&mut node);
    matched(&mut node, 3, 4);
    write(&mut node);
    node.step(NOW, Input::Applied(Index(4)));
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(4),
            data: vec![1; 40].into(),
            compact_to: None,
        }),
    );
    let actions = write(&mut node);
    (node, actions)
}

#[test]
fn only_replies_to_the_transfer_advance_its_window() {
    let (mut node, first) = sending();
    assert_eq!(chunks(&first), [0, 4]);
    let mut goes_on = |term: u64, index: u64, result: SnapshotResult| {
        let position = LogPosition {
            term: TERM,
            index: Index(index),
        };
        let reply = SnapshotReply {
            probe: Some(Probe {
                term: crate::types::Term(1),
                sent: NOW,
                round: 0,
            }),
            position,
            result,
        };
        let message = Message::new(Term(term), Body::SnapshotReply(reply));
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message,
            },
        );
        chunks(&write(&mut node))
    };
    assert_eq!(
        goes_on(1, 3, SnapshotResult::Received(4)),
        [],
        "a chunk reply for another snapshot"
    );
    assert_eq!(
        goes_on(1, 3, SnapshotResult::Installed),
        [],
        "an install reply for another snapshot"
    );
    assert_eq!(
        goes_on(0, 4, SnapshotResult::Received(4)),
        [],
        "a reply of an earlier term"
    );
    assert_eq!(goes_on(1, 4, SnapshotResult::Received(4)), [8]);
    assert_eq!(goes_on(1, 4, SnapshotResult::Received(12)), [12, 16]);
}

#[test]
fn chunks_of_different_snapshots_are_not_mixed() {
    let mut node = follower(|_| {});
    let mut gets = |part: &InstallSnapshot, from: usize, to: usize| {
        let bytes = part.bytes.as_ref().map(|bytes| bytes[from..to].into());
        let part = InstallSnapshot {
            offset: from as u64,
            bytes,
            ..part.clone()
        };
        receive(&mut node, 2, Body::InstallSnapshot(part.into()));
        let sent = write(&mut node).send;
        let of = |(_, message): &(NodeId, Message)| match &message.body {
            Body::SnapshotReply(reply) => Some(reply.result),
            _ => None,
        };
        sent.iter().find_map(of)
    };
    let received = |bytes| Some(SnapshotResult::Received(bytes));
    let one = snapshot_part(1, 9, 8);
    let other = snapshot_part(1, 12, 16);
    assert_eq!(gets(&one, 0, 4), received(4));
    assert_eq!(gets(&one, 0, 4), received(4), "a duplicate chunk");
    assert_eq!(
        gets(&other, 4, 8),
        received(0),
        "nothing of this snapshot was received yet"
    );
    assert_eq!(gets(&other, 0, 4), received(4));
}
