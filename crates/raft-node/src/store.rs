//! Where a node's promises are kept: term, vote and log entries.
//!
//! A [`Store`] takes the core's writes in order and tells when each is durable. [`RedbStore`] is the real one, a single
//! file; [`WriterThread`] moves any store off the node's thread, so that a hanging disk is seen instead of suffered;
//! [`MemoryStore`] keeps nothing beyond the process.

mod file;
mod seal;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;

use raftian_raft::{Entry, HardState, Index, Restored, Write, WriteNumber};

pub use file::{CACHE_BYTES, RedbStore, SCHEMA};
pub use writer::{CLOSE_WAIT, WRITE_QUEUE, WriterThread};

/// The durable half of a node. Writes take effect whole and in the order of their submission.
pub trait Store: Send {
    /// Takes `write`; [`Store::completed`] will name it once it is durable, perhaps at once. An error is final: what
    /// the disk holds is no longer known, and the node must stop without sending anything that waited for this write.
    fn submit(&mut self, write: Write) -> Result<(), StoreError>;

    /// The next write that became durable, in order of submission; `None` if there is none at this moment. An error is
    /// as final as one of [`Store::submit`].
    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>>;
}

/// Why a store cannot be opened, or cannot be written any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system does not give the file to us.
    #[error(
        "cannot open the store {}: {reason}; check that the path names a file this user may read and write",
        file.display()
    )]
    NoAccess {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        reason: String,
    },
    /// Another process has the file open.
    #[error("the store {} is in use: another process already runs this node; end that one first", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file is sound but not this node's.
    #[error(
        "the store {} belongs to {what} {found}, this node wants {what} {expected}; \
         give each node its own `data` directory, or move this file away if it is of an old cluster",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What differs: "schema", "node" or "cluster".
        what: &'static str,
        /// What the file says.
        found: String,
        /// What this node is.
        expected: String,
    },
    /// The file does not hold what was written to it.
    #[error(
        "the store {} is damaged at {place}: {reason}. Restore the file from a copy of this very \
         disk, or replace this member by a new one: an empty file under the old id could forget a vote",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it: a table and key, or "the file".
        place: String,
        /// What was found there.
        reason: String,
    },
    /// A write did not reach the disk, so nobody knows what it holds.
    #[error(
        "write {number} did not reach the store {}: {reason}; the node must stop. Check the free space and the health \
         of the disk, then start it again",
        file.display()
    )]
    WriteFailed {
        /// The file.
        file: PathBuf,
        /// Which write.
        number: u64,
        /// What the disk said.
        reason: String,
    },
    /// A write would leave a hole in the log, which no correct core asks for.
    #[error("write {number} starts at entry {first}, but the log in the store ends at {end}")]
    Gap {
        /// Which write.
        number: u64,
        /// Its first entry.
        first: Index,
        /// Last entry of the store.
        end: Index,
    },
    /// The disk is so far behind that it must be taken for dead.
    #[error("{WRITE_QUEUE} writes wait for the disk; it hangs, the node must stop")]
    Hanging,
    /// The thread that writes has ended after an error, or could not be started.
    #[error("the thread that writes to disk is gone: {reason}")]
    Stopped {
        /// Why, as far as known.
        reason: String,
    },
}

/// A store that lives as long as the process; writes are "durable" at once. For tests, and for nodes whose time and
/// disk are simulated.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    hard_state: HardState,
    entries: Vec<Entry>,
    /// Holds no more than the submissions since the last call of `completed`.
    completed: VecDeque<WriteNumber>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that already holds `restored`.
    #[must_use]
    pub fn holding(restored: Restored) -> Self {
        MemoryStore { hard_state: restored.hard_state, entries: restored.entries, completed: VecDeque::new() }
    }

    /// What a node that starts from this store is given.
    #[must_use]
    pub fn restored(&self) -> Restored {
        Restored { hard_state: self.hard_state, entries: self.entries.clone() }
    }
}

impl Store for MemoryStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        let end = self.entries.last().map_or(Index(0), |entry| entry.index);
        refuse_gap(&write, end)?;
        if let Some(first) = write.entries.first() {
            let kept = self.entries.partition_point(|entry| entry.index < first.index);
            self.entries.truncate(kept);
        }
        self.entries.extend(write.entries);
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        self.completed.push_back(write.number);
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.completed.pop_front().map(Ok)
    }
}

/// Checks that `write` continues or replaces a log that ends at `end`, and has no hole itself.
fn refuse_gap(write: &Write, end: Index) -> Result<(), StoreError> {
    let mut end = match write.entries.first() {
        Some(first) if first.index > Index(0) => end.min(first.index.previous()),
        _ => end,
    };
    for entry in &write.entries {
        if entry.index != end.next() {
            return Err(StoreError::Gap { number: write.number.0, first: entry.index, end });
        }
        end = entry.index;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
