//! One machine of a match: a node, its disk, its state and its player.

use std::collections::{BTreeSet, VecDeque};

use raftian_node::store::{MemoryStore, Store};
use raftian_raft::{ClientId, Index, Moment, Node, NodeId, RoleKind, Sessions, Write, WriteNumber};

use super::MAX_MACHINES;
use super::ledger::Ledger;
use super::state::State;

/// A machine, which may be down.
pub(super) struct Machine {
    /// Who it is; another one each time a newcomer takes the place of one that left.
    pub(super) id: NodeId,
    /// Its node, while it runs.
    pub(super) node: Option<Node>,
    /// What is durable.
    pub(super) store: MemoryStore,
    /// What is not yet, with the moment from which it is.
    pub(super) writing: VecDeque<Write>,
    /// Starts and ends of the machine so far: whatever was meant for an earlier run comes too late.
    pub(super) run: u64,
    /// When it looks at its timers next.
    pub(super) looks: Moment,
    pub(super) state: State,
    pub(super) player: Player,
    /// SimLinks of its log and of what is committed in it, as the ledger knows them.
    pub(super) noted: (Index, Index),
}

/// A player: clicks, and asks again.
pub(super) struct Player {
    pub(super) client: ClientId,
    /// It gives new orders.
    pub(super) clicks: bool,
    /// Orders without an effect yet.
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

    /// Whether the next order is not so far ahead of the oldest without an effect that sessions
    /// would take that for done. A player who waits for a thousand orders gives no more.
    pub(super) fn has_room(&self, next: u64) -> bool {
        self.pending
            .first()
            .is_none_or(|oldest| next - oldest < Sessions::MAX_AHEAD - 1)
    }
}

/// A node's name: where its machine stands, and how many had the place before.
pub(super) fn name(place: usize, before: u64) -> NodeId {
    NodeId(place as u64 + 1 + before * MAX_MACHINES)
}

/// Where a node's machine stands.
pub(super) fn place(id: NodeId) -> usize {
    ((id.0 - 1) % MAX_MACHINES) as usize
}

impl Machine {
    /// A machine without a node.
    pub(super) fn new(id: NodeId, player: Player) -> Self {
        Machine {
            id,
            node: None,
            store: MemoryStore::new(),
            writing: VecDeque::new(),
            run: 0,
            looks: Moment(u64::MAX),
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

    /// The oldest write is durable now.
    pub(super) fn written(&mut self) -> Option<WriteNumber> {
        let write = self.writing.pop_front()?;
        self.keep(write)
    }

    /// Makes a write durable.
    pub(super) fn keep(&mut self, write: Write) -> Option<WriteNumber> {
        self.store
            .submit(write)
            .expect("a core leaves no gap in its log");
        self.store
            .completed()
            .map(|done| done.expect("memory does not fail"))
    }

    /// Loses what memory held, and the writes that are not done.
    pub(super) fn forget(&mut self) {
        self.node = None;
        self.writing.clear();
        self.run += 1;
        self.looks = Moment(u64::MAX);
        self.state = State::default();
        self.player.clicks = false;
        self.player.pending.clear();
        self.noted = (Index(0), Index(0));
    }

    /// Tells the ledger of orders that this leader appended, or knows as committed, since it was
    /// last asked.
    pub(super) fn note(&mut self, place: usize, ledger: &mut Ledger, now: Moment) {
        let Some(node) = &self.node else { return };
        let (last, commit) = (node.last().index, node.commit());
        let (noted_last, noted_commit) = std::mem::replace(&mut self.noted, (last, commit));
        if node.role() != RoleKind::Leader {
            return;
        }
        let order = |entry: &raftian_raft::Entry| match &entry.payload {
            raftian_raft::Payload::Command(command) => Some((command.client, command.sequence)),
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
