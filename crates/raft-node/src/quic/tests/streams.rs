//! Heartbeats overtake entries that are on their way.

use raftian_raft::{
    AppendEntries, Bytes, Command, Entry, Index, LogPosition, Moment, Payload, Probe, Stamp,
};

use super::super::receive::read_frame;
use super::*;

/// A message with the entries after `previous`, of 64 KiB each.
fn append(previous: u64, count: u64) -> Message {
    let entry = |index| {
        let command = Command {
            client: ClientId(1),
            sequence: index,
            bytes: Bytes::from(vec![7; 64 * 1024]),
        };
        let member = NodeId(1);
        Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(0),
            payload: Payload::Command { command, member },
        }
    };
    let append = AppendEntries {
        previous: LogPosition {
            term: Term(1),
            index: Index(previous),
        },
        commit: Index(0),
        probe: Some(Probe {
            term: Term(1),
            sent: Moment(0),
            round: 0,
        }),
        round_trip: 0,
        entries: (previous + 1..=previous + count).map(entry).collect(),
    };
    Message::new(Term(1), Body::AppendEntries(append))
}

/// The entries fill the stream's window, because the peer does not read them.
#[tokio::test]
async fn heartbeat_overtakes_entries_unless_it_names_one() {
    const ENTRIES: u64 = 64;
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let (_endpoint, connection) = raw_peer::accept(&b.config, b.socket).await;
    a.connected_to(2).await;
    a.links.send(NodeId(2), message_of_term(1));
    for previous in 0..ENTRIES {
        a.links.send(NodeId(2), append(previous, 1));
    }
    let (acknowledged, last) = (append(3, 0), append(ENTRIES, 0));
    a.links.send(NodeId(2), last.clone());
    a.links.send(NodeId(2), acknowledged.clone());
    // Streams arrive in the order in which they were opened.
    let mut urgent = timeout(PATIENCE, connection.accept_uni())
        .await
        .expect("in time")
        .expect("a stream");
    let mut entries = timeout(PATIENCE, connection.accept_uni())
        .await
        .expect("in time")
        .expect("another stream");
    for expected in [message_of_term(1), acknowledged] {
        let read = timeout(PATIENCE, read_frame(&mut urgent))
            .await
            .expect("no entry is ahead of it");
        assert_eq!(
            read.expect("a frame").map(|(_, message)| message),
            Some(expected)
        );
    }
    let expected = (0..ENTRIES).map(|previous| append(previous, 1));
    for expected in expected.chain([last]) {
        let read = timeout(PATIENCE, read_frame(&mut entries))
            .await
            .expect("in time");
        assert_eq!(
            read.expect("a frame").map(|(_, message)| message),
            Some(expected)
        );
    }
}
