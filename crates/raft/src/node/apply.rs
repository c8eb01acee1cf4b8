//! Delivers committed entries to the state machine, in log order and exactly once per run.

use alloc::collections::VecDeque;

use super::Node;
use crate::entry::Entry;
use crate::message::StateHash;
use crate::types::{Index, Moment};

/// Progress of the state machine, as delivered by the node and reported by the program.
#[derive(Clone, Hash, Debug, Default)]
pub(super) struct ApplyState {
    /// Last index delivered for applying.
    pub(super) delivered: Index,
    /// Last index reported as applied.
    pub(super) applied: Index,
    /// Highest index ever delivered in this run; a repair moves `delivered` back.
    pub(super) highest: Index,
    /// Whether the newest snapshot must be delivered before any more entries.
    pub(super) restore: bool,
    /// Whether the node, as a witness, skipped entries without contents. No entry can be applied
    /// until a snapshot provides a state.
    pub(super) stateless: bool,
    /// Whether a requested snapshot is outstanding.
    pub(super) snapshot_asked: bool,
    /// Earliest time of the next snapshot request after the program declined one.
    pub(super) ask_not_before: Moment,
    /// Bytes of entries delivered since the newest snapshot.
    pub(super) bytes: usize,
    /// Newest state hashes, oldest first.
    pub(super) hashes: VecDeque<StateHash>,
}

impl Node {
    pub(super) fn on_applied(&mut self, index: Index) {
        self.applied_at = self.now;
        let state = &mut self.apply_state;
        assert!(
            index <= state.highest,
            "the program applied an entry that was never delivered"
        );
        // Entries delivered before a repair may be reported as applied after it.
        state.applied = state.applied.max(index.min(state.delivered));
    }

    /// Whether delivered entries are unapplied and the program made no progress for the longest
    /// election timeout.
    pub(super) fn is_program_stalled(&self) -> bool {
        self.apply_state.applied < self.apply_state.delivered
            && self.now.since(self.applied_at) >= self.config.max_election_timeout()
    }

    /// Delivers a pending snapshot, then the entries that are committed, durable on this node, and
    /// within the apply window. Returns the index of the first entry to apply and their number.
    pub(super) fn deliver_committed(&mut self) -> (Index, usize) {
        let nothing = (self.log.base().index.next(), 0);
        if self.apply_state.restore {
            let Some(snapshot) = &self.snapshot else {
                unreachable!("a snapshot is restored only if there is one")
            };
            let covered = snapshot.position.index;
            // Like an entry, a snapshot waits for this node's disk. A repair that ends no later
            // than the durable snapshot passes at once.
            if self.disk.durable_snapshot() < covered {
                return nothing;
            }
            self.apply_state.restore = false;
            self.apply_state.delivered = covered;
            self.apply_state.highest = self.apply_state.highest.max(covered);
            self.apply_state.bytes = 0;
            self.apply_state.stateless = snapshot.data.is_none();
            if snapshot.data.is_some() {
                self.actions.restore = Some(snapshot.clone());
            } else {
                self.apply_state.applied = covered;
            }
        }
        let state = &mut self.apply_state;
        // After a restart the node must not have less than its program has applied.
        let durable = self.commit.min(self.disk.durable());
        if durable <= state.delivered {
            return nothing;
        }
        let window = Index(
            state
                .applied
                .0
                .saturating_add(self.config.apply_window as u64),
        );
        let witness = self
            .log
            .membership()
            .member(self.config.id)
            .is_some_and(|member| member.is_witness());
        let keeps_state = !witness && !state.stateless && self.log.is_whole_after(state.delivered);
        let end = if keeps_state {
            durable.min(window)
        } else {
            durable
        };
        if end <= state.delivered {
            return nothing;
        }
        // The program was idle, so its stall timeout starts now.
        if state.applied == state.delivered {
            self.applied_at = self.now;
        }
        let first = state.delivered.next();
        let count = (end.0 - state.delivered.0) as usize;
        if self.config.snapshot_bytes.is_some() {
            let entries = &self.log.from(first)[..count];
            state.bytes += entries.iter().map(Entry::size).sum::<usize>();
        }
        state.delivered = end;
        state.highest = state.highest.max(end);
        if keeps_state {
            return (first, count);
        }
        // Neither a witness nor a former witness has a state to apply entries to.
        state.stateless = true;
        state.applied = end;
        nothing
    }
}
