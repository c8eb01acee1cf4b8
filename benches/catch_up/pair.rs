//! A leader with a full log, an empty follower, and the messages between them.

use std::time::{Duration, Instant};

use raftian_node::store::{RedbStore, Store};
use raftian_raft::{
    ClientId, Command, Config, Entry, HardState, Index, Input, LogPosition, LogStart, Membership,
    Message, Moment, Node, NodeId, Payload, Restored, RoleKind, Snapshot, Stamp, Term, Write,
    WriteNumber,
};

/// Data that the follower lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lack {
    /// A state of `bytes` bytes, sent in chunks of `chunk` bytes.
    State { bytes: usize, chunk: usize },
    /// `entries` entries with commands of `bytes` bytes.
    Entries { entries: u64, bytes: usize },
}

/// Time of the whole run: no clock ticks.
const NOW: Moment = Moment(1);

/// Last entry covered by the snapshot of the leader.
const COVERED: Index = Index(1_000_000);

/// The two nodes.
pub(crate) struct Pair {
    leader: Node,
    follower: Node,
    target: Index,
}

/// Destination of the follower's writes.
pub(crate) struct Disk {
    store: Option<RedbStore>,
    /// Bytes of each write that held a snapshot or entries.
    pub(crate) written: Vec<usize>,
}

impl Disk {
    pub(crate) fn new(store: Option<RedbStore>) -> Self {
        Disk {
            store,
            written: Vec::new(),
        }
    }

    fn write(&mut self, write: Write<&[Entry]>) -> WriteNumber {
        let Write {
            number,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            founding,
            entries,
        } = write;
        let bytes = snapshot.as_ref().map_or(0, Snapshot::len)
            + entries.iter().map(Entry::size).sum::<usize>();
        self.written.extend((bytes > 0).then_some(bytes));
        if let Some(store) = &mut self.store {
            let entries = entries.to_vec();
            store
                .submit(Write {
                    number,
                    hard_state,
                    snapshot,
                    start,
                    discard,
                    incarnation,
                    founding,
                    entries,
                })
                .expect("the disk works");
            assert!(
                store.completed().is_some_and(|done| done.is_ok()),
                "a write is durable when it returns"
            );
        }
        number
    }
}

impl Pair {
    pub(crate) fn new(lack: Lack) -> Self {
        let membership = Membership::new([NodeId(1), NodeId(2)]).expect("two voters");
        let config = |id| Config::new(NodeId(id), membership.clone(), id);
        let hard_state = HardState {
            term: Term(1),
            vote: None,
        };
        let (restored, config_of_leader) = match lack {
            Lack::State { bytes, chunk } => {
                let position = LogPosition {
                    term: Term(1),
                    index: COVERED,
                };
                let data = (0..bytes).map(|place| place as u8).collect::<Vec<_>>();
                let stamp = Stamp(1);
                let membership = membership.clone();
                let snapshot = Snapshot {
                    position,
                    stamp,
                    membership,
                    data: Some(data.into()),
                };
                let start = LogStart { position, stamp };
                let restored = Restored {
                    hard_state,
                    snapshot: Some(snapshot),
                    start,
                    ..Restored::default()
                };
                (
                    restored,
                    Config {
                        snapshot_chunk: chunk,
                        ..config(1)
                    },
                )
            }
            Lack::Entries { entries, bytes } => {
                let entry = |index| {
                    let command = Command {
                        client: ClientId(1),
                        sequence: index,
                        bytes: vec![0x5a; bytes].into(),
                    };
                    let payload = Payload::Command {
                        command,
                        member: NodeId(1),
                    };
                    Entry {
                        term: Term(1),
                        index: Index(index),
                        stamp: Stamp(1),
                        payload,
                    }
                };
                let entries = (1..=entries).map(entry).collect();
                (
                    Restored {
                        hard_state,
                        entries,
                        ..Restored::default()
                    },
                    config(1),
                )
            }
        };
        let target = if let Lack::Entries { entries, .. } = lack {
            Index(entries)
        } else {
            COVERED
        };
        let leader = Node::new(config_of_leader, restored, NOW)
            .expect("a log that a node could have written");
        let follower = Node::new(config(2), Restored::default(), NOW).expect("defaults work");
        Pair {
            leader,
            follower,
            target,
        }
    }

    /// Time from the leader's election until the follower has stored and applied everything.
    pub(crate) fn catch_up(mut self, disk: &mut Disk) -> Duration {
        self.leader.step(NOW, Input::Campaign);
        while self.leader.role() != RoleKind::Leader {
            self.round(disk);
        }
        let start = Instant::now();
        while self.follower.applied() < self.target {
            self.round(disk);
        }
        start.elapsed()
    }

    /// Runs both nodes, the leader first, and delivers their messages to each other.
    fn round(&mut self, disk: &mut Disk) {
        let mut nowhere = Disk::new(None);
        // `&` and not `&&`: both nodes must act.
        let quiet = act(&mut self.leader, &mut nowhere, &mut self.follower)
            & act(&mut self.follower, disk, &mut self.leader);
        assert!(!quiet, "no node sends, but the follower has not caught up");
    }
}

/// Performs all actions of `node`. Returns whether it sent nothing.
fn act(node: &mut Node, disk: &mut Disk, other: &mut Node) -> bool {
    let mut quiet = true;
    let from = node.id();
    while node.has_work() {
        let work = node.work();
        let sent: Vec<(NodeId, Message)> = std::mem::take(&mut work.others.send);
        let restored = work
            .others
            .restore
            .take()
            .map(|snapshot| snapshot.position.index);
        let applied = work.apply.last().map(|entry| entry.index).or(restored);
        let persisted = work.persist.map(|write| disk.write(write));
        work.others.events.clear();
        if let Some(number) = persisted {
            node.step(NOW, Input::Persisted(number));
        }
        if let Some(index) = applied {
            node.step(NOW, Input::Applied(index));
        }
        for (_, message) in sent {
            quiet = false;
            other.step(NOW, Input::Receive { from, message });
        }
    }
    quiet
}
