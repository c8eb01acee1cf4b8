//! Mailbox between a node's thread and its program.

use std::collections::VecDeque;

use raftian_raft::{Index, Responses};

use crate::driver::Committed;

/// Items for the program, and the program's progress in taking them. Both sides lock it while they
/// move a few entries.
///
/// A snapshot replaces the program's state, even a later one that diverged. Reports about the state
/// therefore count only if they were made after the newest snapshot was taken: they carry
/// [`Mailbox::generation`].
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Bounded by the core's apply window; a snapshot, if there is one, is the first.
    committed: VecDeque<Committed>,
    pub(super) responses: Responses,
    /// Why the program cannot continue with this node.
    pub(super) given_up: Option<String>,
    /// Number of snapshots delivered.
    delivered: u64,
    /// Number of the snapshot that the program took last.
    generation: u64,
    /// Last index that the program took in this generation.
    taken: Index,
}

impl Mailbox {
    /// Node side: delivers the output of one turn to the program.
    pub(super) fn deliver(&mut self, committed: Vec<Committed>, mut responses: Responses) {
        for committed in committed {
            if matches!(committed, Committed::Snapshot(_)) {
                // The snapshot covers every entry not taken yet, or replaces one that diverged.
                self.committed.clear();
                self.delivered += 1;
            }
            self.committed.push_back(committed);
        }
        self.responses.append(&mut responses);
    }

    /// Program side: moves up to `most` committed items to `into`; returns whether there were any.
    /// A program that gave up receives no more.
    pub(super) fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) -> bool {
        let count = if self.given_up.is_some() {
            0
        } else {
            most.min(self.committed.len())
        };
        for committed in self.committed.drain(..count) {
            if matches!(committed, Committed::Snapshot(_)) {
                // It is the newest: `deliver` removes an earlier one that waits.
                self.generation = self.delivered;
            }
            self.taken = committed.index();
            into.push(committed);
        }
        count > 0
    }

    /// Returns the generation of the program's state: the number of the snapshot that it took last.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns whether no newer snapshot was delivered after the one that began `generation`.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        generation == self.delivered
    }

    /// Returns the generation of the program's state and the last index that it took; `None` while
    /// a snapshot waits to be taken first.
    pub(super) fn taken(&self) -> Option<(u64, Index)> {
        self.is_current(self.generation)
            .then_some((self.generation, self.taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::{Entry, LogPosition, Membership, NodeId, Payload, Snapshot, Stamp, Term};

    fn entries(indexes: std::ops::RangeInclusive<u64>) -> Vec<Committed> {
        let entry = |index| Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(0),
            payload: Payload::Empty,
        };
        indexes
            .map(|index| Committed::Entry(entry(index)))
            .collect()
    }

    fn snapshot(index: u64) -> Committed {
        let position = LogPosition {
            term: Term(1),
            index: Index(index),
        };
        let membership = Membership::new([NodeId(1)]).expect("a cluster");
        Committed::Snapshot(Snapshot {
            position,
            stamp: Stamp(0),
            membership,
            data: None,
        })
    }

    fn take(mailbox: &mut Mailbox, most: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        mailbox.take_committed(most, &mut taken);
        taken.iter().map(|committed| committed.index().0).collect()
    }

    #[test]
    fn snapshot_replaces_items_not_taken_yet() {
        let mut mailbox = Mailbox::default();
        mailbox.deliver(entries(1..=9), Responses::default());
        assert_eq!(take(&mut mailbox, 3), [1, 2, 3]);
        let repair = [snapshot(2)].into_iter().chain(entries(3..=9)).collect();
        mailbox.deliver(repair, Responses::default());
        assert_eq!(take(&mut mailbox, 3), [2, 3, 4]);
        assert_eq!(mailbox.taken(), Some((1, Index(4))));
    }

    /// A program that had applied #9 when its state diverged must not count as having applied #9
    /// again.
    #[test]
    fn progress_before_a_snapshot_does_not_count_after_it() {
        let mut mailbox = Mailbox::default();
        mailbox.deliver(entries(1..=9), Responses::default());
        assert_eq!(take(&mut mailbox, 20).len(), 9);
        let generation = mailbox.generation();
        assert_eq!(
            (mailbox.taken(), mailbox.is_current(generation)),
            (Some((0, Index(9))), true)
        );
        mailbox.deliver(vec![snapshot(5)], Responses::default());
        assert_eq!(
            (mailbox.taken(), mailbox.is_current(generation)),
            (None, false)
        );
        assert_eq!(take(&mut mailbox, 20), [5]);
        assert_eq!(
            (mailbox.taken(), mailbox.is_current(mailbox.generation())),
            (Some((1, Index(5))), true)
        );
        assert!(
            !mailbox.is_current(generation),
            "the previous generation must stay stale"
        );
    }
}
