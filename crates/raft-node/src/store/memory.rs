//! In-memory store, which keeps nothing beyond the process.

use std::collections::VecDeque;

use raftian_raft::{Restored, Write, WriteNumber};

use super::log_range::LogRange;
use super::{Store, StoreError};

/// A store in the memory of the process; writes are "durable" at once. For tests, and for nodes
/// with simulated time and disk. It is also the reference implementation of a write, against which
/// [`RedbStore`](super::RedbStore) is tested.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    image: Restored,
    /// Holds no more than the submissions since the last call of `completed`.
    completed: VecDeque<WriteNumber>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a store that contains `restored`.
    pub fn holding(restored: Restored) -> Self {
        MemoryStore {
            image: restored,
            completed: VecDeque::new(),
        }
    }

    /// Returns the state from which a node restarts.
    pub fn restored(&self) -> Restored {
        self.image.clone()
    }

    /// Returns the state by reference.
    pub fn image(&self) -> &Restored {
        &self.image
    }
}

impl Store for MemoryStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        // The check of the file store, so that both refuse the same writes.
        let after = LogRange::of(&self.image).after(&write)?;
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
        let image = &mut self.image;
        image.incarnation = incarnation.unwrap_or(image.incarnation);
        if let Some(founding) = founding {
            image.founding = founding;
        }
        image.hard_state = hard_state.unwrap_or(image.hard_state);
        if snapshot.is_some() {
            image.snapshot = snapshot;
        }
        // In the order of "effects of one write" (see the module): discard, start, entries.
        if discard {
            image.entries.clear();
        }
        if let Some(start) = start {
            let dropped = image
                .entries
                .partition_point(|entry| entry.index <= start.position.index);
            image.entries.drain(..dropped);
            image.start = start;
        }
        if let Some(first) = entries.first() {
            let kept = image
                .entries
                .partition_point(|entry| entry.index < first.index);
            image.entries.truncate(kept);
        }
        image.entries.extend(entries);
        assert_eq!(LogRange::of(&self.image), after);
        self.completed.push_back(number);
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.completed.pop_front().map(Ok)
    }
}
