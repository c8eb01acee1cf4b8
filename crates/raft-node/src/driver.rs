//! The one loop of a node: inbox, step, persist, send, deliver. A thread, a test and a Bevy schedule call the same
//! function.

use std::collections::VecDeque;

use raftian_raft::{
    Actions, Command, Config, ConfigError, Entry, Event, Index, Input, Moment, Node, NodeId, Refused, Restored,
};

use crate::links::Links;
use crate::store::{Store, StoreError};
use crate::view::NodeView;

/// Most messages taken from the links before actions are performed: bounds the size of one write and one round of
/// messages.
pub const INBOX_BATCH: usize = 1024;

/// Most rounds of one pump. Beyond them the driver returns to its caller, who must pump again at once: a flood of
/// messages cannot keep a frame.
pub const ROUNDS: usize = 32;

/// Events kept to be looked at. The oldest is dropped.
pub const EVENTS_KEPT: usize = 256;

/// Entries at the end of the log shown in a [`NodeView`].
pub const TAIL_SHOWN: usize = 32;

/// Refusals kept until they are taken. The oldest is dropped: its proposer's own timer finds it.
pub const REFUSED_KEPT: usize = 4096;

/// A node with a disk and links, to be pumped.
#[derive(Debug)]
pub struct Driver<S, L> {
    node: Node,
    store: S,
    links: L,
    /// Entries handed out and not yet taken, bounded by the core's apply window.
    committed: VecDeque<Entry>,
    refused: VecDeque<Refused>,
    events: VecDeque<Event>,
    now: Moment,
}

impl<S: Store, L: Links> Driver<S, L> {
    /// A node as `store` left it, at `now`.
    ///
    /// # Errors
    /// Those of [`Node::new`].
    pub fn new(config: Config, restored: Restored, store: S, links: L, now: Moment) -> Result<Self, ConfigError> {
        Ok(Driver {
            node: Node::new(config, restored, now)?,
            store,
            links,
            committed: VecDeque::new(),
            refused: VecDeque::new(),
            events: VecDeque::new(),
            now,
        })
    }

    /// Does everything that can be done at `now` and tells when to come again if nothing else happens; that is `now`
    /// itself if there is more to do.
    ///
    /// # Errors
    /// A failed write is final: nothing that waited for it has left, and the node must not be pumped again.
    pub fn pump(&mut self, now: Moment) -> Result<Moment, StoreError> {
        self.now = self.now.max(now);
        for _ in 0..ROUNDS {
            for _ in 0..INBOX_BATCH {
                let Some((from, message)) = self.links.receive() else { break };
                self.node.step(now, Input::Receive { from, message });
            }
            while let Some(completed) = self.store.completed() {
                self.node.step(now, Input::Persisted(completed?));
            }
            if self.node.wake_at() <= now {
                self.node.step(now, Input::Wake);
            }
            let actions = self.node.take_actions();
            if actions.is_empty() {
                return Ok(self.node.wake_at());
            }
            self.perform(actions)?;
        }
        Ok(now)
    }

    /// Messages leave before the write is submitted: none of them stands on it, and a store that writes in place would
    /// keep them waiting (thesis 10.2.1).
    fn perform(&mut self, actions: Actions) -> Result<(), StoreError> {
        for (to, message) in actions.send {
            self.links.send(to, message);
        }
        if let Some(write) = actions.persist {
            self.store.submit(write)?;
        }
        self.committed.extend(actions.apply);
        push_bounded(&mut self.refused, actions.refused, REFUSED_KEPT);
        push_bounded(&mut self.events, actions.events, EVENTS_KEPT);
        Ok(())
    }

    /// Proposes commands. What becomes of them is told by the log, or by [`Driver::take_refused`] after the next pump.
    pub fn propose(&mut self, commands: Vec<Command>) {
        self.node.step(self.now, Input::Propose(commands));
    }

    /// Moves up to `most` committed entries to `into`, in log order, each once. Taking them counts as applying them.
    pub fn take_committed(&mut self, most: usize, into: &mut Vec<Entry>) {
        let count = most.min(self.committed.len());
        into.extend(self.committed.drain(..count));
        if let Some(last) = into.last().filter(|_| count > 0) {
            self.node.step(self.now, Input::Applied(last.index));
        }
    }

    /// Moves every committed entry that was handed out to `into`. They count as applied when [`Driver::applied`] says
    /// so.
    pub fn hand_out(&mut self, into: &mut Vec<Entry>) {
        into.extend(self.committed.drain(..));
    }

    /// Everything up to `index` has been applied by whoever got it.
    pub fn applied(&mut self, index: Index) {
        self.node.step(self.now, Input::Applied(index));
    }

    /// Proposals that were refused since the last call.
    pub fn take_refused(&mut self) -> Vec<Refused> {
        self.refused.drain(..).collect()
    }

    /// Hands leadership over, if this node leads.
    pub fn hand_over(&mut self, to: Option<NodeId>) {
        self.node.step(self.now, Input::HandOver(to));
    }

    /// The consensus state.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The links, to look at their counters or to cut them.
    pub fn links_mut(&mut self) -> &mut L {
        &mut self.links
    }

    /// What the node looks like from outside.
    pub fn view(&self) -> NodeView {
        let last = self.node.last().index;
        let tail_from = Index(last.0.saturating_sub(TAIL_SHOWN as u64 - 1).max(1));
        NodeView {
            status: self.node.status(),
            now: self.now,
            tail: self.node.entries_from(tail_from).to_vec(),
            events: self.events.iter().cloned().collect(),
            paused: false,
            cut: false,
            stopped: None,
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, items: Vec<T>, bound: usize) {
    queue.extend(items);
    if queue.len() > bound {
        queue.drain(..queue.len() - bound);
    }
}
