//! Links inside one process, for nodes that one program pumps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_raft::{Message, NodeId};

use crate::links::Links;

/// Maximum number of messages that wait for one node. At the bound the newest is lost, as on a real
/// network.
pub const MEMORY_INBOX: usize = 16_384;

/// A network in memory: every message arrives in order, at the receiver's next pump, unless its
/// link is cut.
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    inboxes: BTreeMap<NodeId, VecDeque<(NodeId, Message)>>,
    cut: BTreeSet<(NodeId, NodeId)>,
}

impl MemoryNetwork {
    /// Creates a network without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the links of node `id`, with an empty inbox.
    pub fn links(&self, id: NodeId) -> MemoryLinks {
        // A restarted node must not receive the messages that waited for its earlier run.
        self.lock().inboxes.insert(id, VecDeque::new());
        MemoryLinks {
            id,
            network: self.clone(),
        }
    }

    /// Cuts the link from `from` to `to`, in this direction only. Messages in flight are lost.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        let mut shared = self.lock();
        shared.cut.insert((from, to));
        if let Some(inbox) = shared.inboxes.get_mut(&to) {
            inbox.retain(|(sender, _)| *sender != from);
        }
    }

    /// Cuts all links of `id`, in both directions.
    pub fn isolate(&self, id: NodeId) {
        // Collected first, because `cut` takes the same lock.
        let others: Vec<_> = self
            .lock()
            .inboxes
            .keys()
            .copied()
            .filter(|other| *other != id)
            .collect();
        for other in others {
            self.cut(id, other);
            self.cut(other, id);
        }
    }

    /// Restores every link.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves a queue of whole messages, so the poison can be ignored.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node's end of a [`MemoryNetwork`].
#[derive(Debug)]
pub struct MemoryLinks {
    id: NodeId,
    network: MemoryNetwork,
}

impl Links for MemoryLinks {
    fn send(&mut self, to: NodeId, message: Message) {
        let mut shared = self.network.lock();
        if shared.cut.contains(&(self.id, to)) {
            return;
        }
        if let Some(inbox) = shared
            .inboxes
            .get_mut(&to)
            .filter(|inbox| inbox.len() < MEMORY_INBOX)
        {
            inbox.push_back((self.id, message));
        }
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        self.network.lock().inboxes.get_mut(&self.id)?.pop_front()
    }
}
