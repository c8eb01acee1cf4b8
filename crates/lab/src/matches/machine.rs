//! One machine of a match: a node, its disk, its state and its player.

use std::collections::{BTreeSet, VecDeque};

use raftian_node::store::{MemoryStore, Store};
use raftian_raft::{ClientId, Index, Moment, Node, NodeId, RoleKind, Sessions, Write, WriteNumber};

use super::MAX_MACHINES;
use super::ledger::Ledger;
use super::state::State;

/// Machine of a match, running or down.
pub(super) struct Machine {
    /// Node id; a new one each time a joining node replaces one that left.
    pub(super) id: NodeId,
    /// Node, while it runs.
    pub(super) node: Option<Node>,
    /// Durable state.
    pub(super) store: MemoryStore,
    /// Pending writes, each with the time at which it becomes durable.
    pub(super) writing: VecDeque<Write>,
    /// Number of starts and stops; events of an earlier run are stale.
    pub(super) run: u64,
    pub(super) state: State,
    pub(super) player: Player,
    /// Last log index and commit index that the ledger has recorded.
    pub(super) noted: (Index, Index),
}

/// Player of a machine: clicks, and repeats orders.
pub(super) struct Player {
    pub(super) client: ClientId,
    /// Whether new orders are given.
    pub(super) clicks: bool,
    /// Orders without an effect.
    pub(super) pending: BTreeSet<u64>,
}

impl Player {
    pub(super) fn new(client: ClientId) -> Self {
        Player {
            client,
            clicks: true,
            pending: BTreeSet::new(),
        }
    }

    /// Whether the next order stays within the session window of the oldest pending one. A player
    /// with about a thousand pending orders gives no more.
    pub(super) fn has_room(&self, next: u64) -> bool {
        self.pending
            .first()
            .is_none_or(|oldest| next - oldest < Sessions::MAX_AHEAD - 1)
    }
}

/// Node id: the machine's position, plus the number of its predecessors there.
pub(super) fn name(place: usize, before: u64) -> NodeId {
    NodeId(place as u64 + 1 + before * MAX_MACHINES)
}

/// Position of a node's machine.
pub(super) fn place(id: NodeId) -> usize {
    ((id.0 - 1) % MAX_MACHINES) as usize
}

impl Machine {
    /// Creates a machine without a node.
    pub(super) fn new(id: NodeId, player: Player) -> Self {
        Machine {
            id,
            node: None,
            store: MemoryStore::new(),
            writing: VecDeque::new(),
            run: 0,
            state: State::default(),
            player,
            noted: (Index(0), Index(0)),
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.node
            .as_ref()
            .is_some_and(|node| node.role() == RoleKind::Leader)
    }

    /// Completes the oldest write.
    pub(super) fn written(&mut self) -> Option<WriteNumber> {
        let write = self.writing.pop_front()?;
        self.keep(write)
    }

    /// Makes a write durable.
    pub(super) fn keep(&mut self, write: Write) -> Option<WriteNumber> {
        self.store
            .submit(write)
            .expect("the core leaves no gap in its log");
        self.store
            .completed()
            .map(|done| done.expect("memory does not fail"))
    }

    /// Drops memory and unfinished writes.
    pub(super) fn forget(&mut self) {
        self.node = None;
        self.writing.clear();
        // Makes all scheduled events of this run stale.
        self.run += 1;
        self.state = State::default();
        self.player.clicks = false;
        self.player.pending.clear();
        self.noted = (Index(0), Index(0));
    }

    /// Records in the ledger the orders that this leader appended or learned as committed since the
    /// last call.
    pub(super) fn note(&mut self, place: usize, ledger: &mut Ledger, now: Moment) {
        let Some(node) = &self.node else { return };
        let last = node.last().index;
        let commit = node.commit();
        // Updated on followers too, so that a new leader reports only later entries.
        let (noted_last, noted_commit) = std::mem::replace(&mut self.noted, (last, commit));
        if node.role() != RoleKind::Leader {
            return;
        }
        let order = |entry: &raftian_raft::Entry| match &entry.payload {
            raftian_raft::Payload::Command { command, .. } => {
                Some((command.client, command.sequence))
            }
            _ => None,
        };
        if last > noted_last {
            for (client, sequence) in node
                .entries_from(noted_last.next())
                .iter()
                .filter_map(order)
            {
                ledger.proposed(client, sequence, now);
            }
        }
        if commit > noted_commit {
            let entries = node.entries_from(noted_commit.next()).iter();
            for (client, sequence) in entries
                .take_while(|entry| entry.index <= commit)
                .filter_map(order)
            {
                ledger.committed(client, sequence, place as u32, now);
            }
        }
    }
}
