//! The state machine's side: what it is given, in log order and each once.

use alloc::collections::VecDeque;

use super::Node;
use crate::entry::Entry;
use crate::message::StateHash;
use crate::types::{Index, Moment};

/// What the state machine above was given, and what it said.
#[derive(Clone, Hash, Debug, Default)]
pub(super) struct ApplyState {
    /// Last index handed out for applying.
    pub(super) delivered: Index,
    /// Last index reported as applied.
    pub(super) applied: Index,
    /// Highest index ever handed out in this run; a repair takes `delivered` back.
    pub(super) highest: Index,
    /// The newest snapshot must be handed out before any more entries.
    pub(super) restore: bool,
    /// It was a witness and has let entries pass without their contents: no entry can be applied to
    /// what it has, until a snapshot brings a state.
    pub(super) stateless: bool,
    /// A snapshot was asked for and has not come.
    pub(super) snapshot_asked: bool,
    /// The program could not take a snapshot: it is not asked again before this moment.
    pub(super) ask_not_before: Moment,
    /// Bytes of entries handed out since the newest snapshot.
    pub(super) bytes: usize,
    /// Its newest state hashes, oldest first.
    pub(super) hashes: VecDeque<StateHash>,
}

impl Node {
    pub(super) fn on_applied(&mut self, index: Index) {
        self.applied_at = self.now;
        let state = &mut self.apply_state;
        assert!(
            index <= state.highest,
            "an entry was applied that was never handed out"
        );
        // What was handed out before a repair may be reported after it.
        state.applied = state.applied.max(index.min(state.delivered));
    }

    /// Whether committed entries were handed out and none has been applied for the longest election
    /// timeout.
    pub(super) fn is_program_stalled(&self) -> bool {
        self.apply_state.applied < self.apply_state.delivered
            && self.now.since(self.applied_at) >= self.config.max_election_timeout()
    }

    /// Hands out what is committed, on this node's own disk, and within the apply window; a
    /// snapshot first. Gives the first of the entries to be applied and how many there are.
    pub(super) fn hand_out_committed(&mut self) -> (Index, usize) {
        let nothing = (self.log.base().index.next(), 0);
        if self.apply_state.restore {
            let Some(snapshot) = &self.snapshot else {
                unreachable!("a snapshot is restored only if there is one")
            };
            let covered = snapshot.position.index;
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
        // A witness has nothing to apply, nor has one that was a witness.
        state.stateless = true;
        state.applied = end;
        nothing
    }
}
