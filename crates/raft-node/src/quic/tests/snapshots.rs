//! Snapshots use their own stream and never delay consensus.

use raftian_raft::{
    Index, InstallSnapshot, LogPosition, Membership, Moment, Probe, SnapshotName, SnapshotReply,
    SnapshotResult, Stamp,
};

use super::super::receive::read_frame;
use super::*;

/// Bytes per chunk and chunks in flight, as in the core's default configuration.
const CHUNK: usize = 64 * 1024;
const UNDER_WAY: u64 = 8;

pub(super) fn chunk(number: u64, chunks: u64) -> Message {
    let position = LogPosition {
        term: Term(1),
        index: Index(9),
    };
    let body = InstallSnapshot {
        name: SnapshotName {
            position,
            size: chunks * CHUNK as u64,
            hash: 7,
        },
        stamp: Stamp(0),
        membership: Membership::new([NodeId(1), NodeId(2)]).expect("a cluster"),
        offset: number * CHUNK as u64,
        bytes: Some(vec![number as u8; CHUNK].into()),
        repair: false,
        probe: Probe {
            term: Term(1),
            sent: Moment(number),
            round: 0,
        },
    };
    Message::new(Term(1), Body::InstallSnapshot(body.into()))
}

fn received(part: &InstallSnapshot) -> Message {
    let arrived = part.offset + part.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    let position = part.name.position;
    let result = SnapshotResult::Received(arrived);
    Message::new(
        Term(1),
        Body::SnapshotReply(SnapshotReply {
            probe: Some(part.probe),
            position,
            result,
        }),
    )
}

#[tokio::test]
async fn unread_snapshot_delays_no_other_message() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let (_endpoint, connection) = raw_peer::accept(&b.config, b.socket).await;
    a.connected_to(2).await;

    for number in 0..SNAPSHOT_OUTBOX as u64 {
        a.links
            .send(NodeId(2), chunk(number, SNAPSHOT_OUTBOX as u64));
    }
    // Streams arrive in the order in which they were opened.
    let mut messages = timeout(PATIENCE, connection.accept_uni())
        .await
        .expect("in time")
        .expect("a stream");
    let mut snapshots = timeout(PATIENCE, connection.accept_uni())
        .await
        .expect("in time")
        .expect("another stream");
    let first = timeout(PATIENCE, read_frame(&mut snapshots))
        .await
        .expect("in time");
    assert_eq!(
        first.expect("a frame").map(|(_, message)| message),
        Some(chunk(0, SNAPSHOT_OUTBOX as u64))
    );
    // From here on the stream is not read: no more leaves than its window holds.
    let sent = || {
        a.links
            .counters()
            .peer(NodeId(2))
            .map_or(0, |peer| peer.sent())
    };
    let mut before = u64::MAX;
    while sent() != before {
        before = sent();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        before < SNAPSHOT_OUTBOX as u64,
        "the snapshot must be stuck"
    );

    for term in 1..=1000 {
        a.links.send(NodeId(2), message_of_term(term));
        if term % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for term in 1..=1000 {
        let read = timeout(PATIENCE, read_frame(&mut messages))
            .await
            .expect("in time");
        assert_eq!(
            read.expect("a frame").map(|(_, message)| message),
            Some(message_of_term(term))
        );
    }
    for number in 1..SNAPSHOT_OUTBOX as u64 {
        let read = timeout(PATIENCE, read_frame(&mut snapshots))
            .await
            .expect("in time")
            .expect("a frame");
        assert!(
            read.is_some_and(|(_, message)| message == chunk(number, SNAPSHOT_OUTBOX as u64)),
            "no message is lost"
        );
    }
}

/// Two running nodes: one sends a snapshot as the core does, and a heartbeat every few
/// milliseconds, which the other answers.
#[tokio::test]
async fn heartbeats_are_answered_during_a_large_snapshot() {
    const CHUNKS: u64 = 512;
    const HEARTBEAT: Duration = Duration::from_millis(10);
    let (mut a, mut b) = two();
    a.connected_to(2).await;
    b.connected_to(1).await;
    let started = Instant::now();
    let mut sent = 0;
    let mut arrived = 0;
    let mut asked = Vec::new();
    let mut trips = Vec::new();
    while arrived < CHUNKS {
        assert!(
            started.elapsed() < PATIENCE,
            "only {arrived} of {CHUNKS} chunks arrived"
        );
        while sent < CHUNKS.min(arrived + UNDER_WAY) {
            a.links.send(NodeId(2), chunk(sent, CHUNKS));
            sent += 1;
        }
        if asked
            .last()
            .is_none_or(|last: &Instant| last.elapsed() >= HEARTBEAT)
        {
            asked.push(Instant::now());
            a.links.send(NodeId(2), message_of_term(asked.len() as u64));
        }
        while let Some((_, message)) = b.links.receive() {
            match &message.body {
                Body::InstallSnapshot(part) => b.links.send(NodeId(1), received(part)),
                _ => b.links.send(NodeId(1), message),
            }
        }
        while let Some((_, message)) = a.links.receive() {
            match &message.body {
                Body::SnapshotReply(_) => arrived += 1,
                _ => trips.push(asked[message.term.0 as usize - 1].elapsed()),
            }
        }
        tokio::task::yield_now().await;
    }
    let took = started.elapsed();
    let slowest = trips.iter().max().copied().unwrap_or(took);
    // All heartbeats but the last few have their answer.
    assert!(
        trips.len() >= 5 && trips.len() + 5 >= asked.len(),
        "{} of {} in {took:?}",
        trips.len(),
        asked.len()
    );
    assert!(
        slowest < took / 3,
        "the slowest answer took {slowest:?} of {took:?}"
    );
}
