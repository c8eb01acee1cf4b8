//! Durable state of a node: term, vote, snapshot and log entries.
//!
//! A [`Store`] takes the core's writes in order and reports when each is durable. [`RedbStore`] is
//! the production store, a single file; [`WriterThread`] moves any store off the node's thread, so
//! that the node detects a hanging disk instead of hanging with it; [`MemoryStore`] keeps nothing
//! beyond the process.
//!
//! # Effects of one write
//! In this order and atomically: term and vote are replaced; the snapshot replaces the one before;
//! `discard` drops every entry; `start` drops the entries up to it and is the new beginning of the
//! log; the entries replace those at or after the first of them; an incarnation, and a state of the
//! founding, replace the one before. A write that would leave a hole in the log, or a log
//! that begins after the end of the snapshot, is an error and changes nothing.
//!
//! # Files that a start refuses
//! A start refuses a file that is damaged, that belongs to another node, cluster or layout, or that
//! is older than the writes this node has acknowledged. It refuses to create a file where one was
//! lost: see [`RedbStore::guard`].
//!
//! Decision: a file of another layout is refused by its number and never converted. Why: all
//! members of a match run the same wire version, the layout changes with it because values are
//! stored in wire format, and a match is short, so such a file is of no use to this build. Would
//! change if: matches outlived the builds that began them, and their members were updated one by
//! one.
//!
//! Decision: each value has a checksum, which covers its place, and the file has none over all
//! values. Why: an error names the place of a value that was changed, moved, truncated or lost,
//! even if redb's own checksums are right. An older value, back at its own place, is accepted where
//! no other part contradicts it; but that takes a database that keeps half a transaction, which
//! redb's checksums over the whole tree exclude, and a checksum over all values would be read and
//! written with every write. A whole file that is older is detected by its rollback guard. Would
//! change if: the store used a database that checks pages and not trees.

mod checksum;
mod file;
mod file_system;
mod log_range;
mod memory;
mod reader;
mod rollback_guard;
mod schema;
mod snapshot;
mod validate;
mod writer;

use std::path::PathBuf;

use raftian_raft::{Index, Write, WriteNumber};

pub use file::{CACHE_BYTES, Creation, RedbStore};
pub use file_system::{FileSystem, Found, OsFileSystem};
pub use log_range::MAX_SNAPSHOT;
pub use memory::MemoryStore;
pub use rollback_guard::GUARD_BYTES;
pub use schema::SCHEMA;
pub use snapshot::CHUNK_BYTES;
pub use writer::{CLOSE_WAIT, WRITE_QUEUE, WriterThread};

/// Durable half of a node. Writes take effect atomically and in the order of their submission.
pub trait Store: Send {
    /// Submits `write`; [`Store::completed`] returns its number once it is durable, perhaps at
    /// once. An error is final: the contents of the disk are unknown, and the node must stop
    /// without sending any message that waited for this write.
    fn submit(&mut self, write: Write) -> Result<(), StoreError>;

    /// Returns the next write that became durable, in order of submission; `None` if there is none
    /// at this moment. An error is as final as one of [`Store::submit`].
    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>>;
}

/// Why a store cannot be opened or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system denies access to the file.
    #[error(
        "cannot open {}: {reason}; check that the path names a file this user may read and write",
        file.display()
    )]
    NoAccess {
        /// The file.
        file: PathBuf,
        /// Error of the file system.
        reason: String,
    },
    /// The path of the mark names a file that is not a mark; it is left unchanged.
    #[error(
        "{} is not the mark of a store: it has {size} bytes, and a mark has {GUARD_BYTES}. Nothing \
         was written to it; set `mark` to another path, or move that file away",
        file.display()
    )]
    NotAMark {
        /// The file.
        file: PathBuf,
        /// Size in bytes.
        size: u64,
    },
    /// Another process has the file open.
    #[error(
        "the store {} is in use: another process already runs this member. Stop that one first; a \
         second player on this machine takes another directory or profile",
        file.display()
    )]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file is intact but belongs to another node, cluster, schema or incarnation.
    #[error("the store {} {}", file.display(), foreign(what, found, expected))]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The property that differs: "schema", "node", "cluster" or "incarnation".
        what: &'static str,
        /// Value in the file.
        found: String,
        /// Value of this node.
        expected: String,
    },
    /// The contents of the file are not those that were written.
    #[error(
        "the store {} is damaged at {place}: {reason}. Restore the file from an up-to-date copy of \
         this disk, or replace this member by a new one: an empty file under the old id could lose \
         a vote",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Location of the damage: a table and key, or "the file".
        place: String,
        /// Finding at that location.
        reason: String,
    },
    /// The file is intact and belongs to this node, but is not the newest: it was restored from a
    /// copy, or its disk lost acknowledged writes.
    #[error(
        "the store {} is older than this node: it contains {found} writes, but {} records \
         {acknowledged} acknowledged ones. Restore the newest file, or replace this member by a \
         new one: a lost write could be a vote",
        file.display(), mark.display()
    )]
    Outdated {
        /// The file.
        file: PathBuf,
        /// The file's mark.
        mark: PathBuf,
        /// Number of writes in the file.
        found: u64,
        /// Number of acknowledged writes.
        acknowledged: u64,
    },
    /// The file is missing, though this node had one.
    #[error(
        "the store {} is gone: {} records {acknowledged} acknowledged writes. Restore the newest \
         file. If it is lost for good and a majority of the members still have theirs, move {} \
         away too: this member then begins with an empty store, and the leader admits it. If the \
         match had not begun, set up all members again",
        file.display(), mark.display(), mark.display()
    )]
    Lost {
        /// The file.
        file: PathBuf,
        /// The file's mark.
        mark: PathBuf,
        /// Number of acknowledged writes.
        acknowledged: u64,
    },
    /// A write did not reach the disk, so the contents of the file are unknown.
    #[error(
        "write {number} did not reach the store {}: {reason}; the node must stop. Check the free \
         space and the health of the disk, then restart the node",
        file.display()
    )]
    WriteFailed {
        /// The file.
        file: PathBuf,
        /// Number of the write.
        number: u64,
        /// Error of the disk.
        reason: String,
    },
    /// A write would leave a hole in the log; no correct core submits one.
    #[error(
        "write {number} has entry {first}, but the log in the store begins after {start} and ends \
         at {end}"
    )]
    Gap {
        /// Number of the write.
        number: u64,
        /// The entry that does not fit.
        first: Index,
        /// Last entry that the store does not keep.
        start: Index,
        /// Last entry of the store.
        end: Index,
    },
    /// A write would move the beginning of the log to an index that no snapshot covers, or back
    /// before its current beginning; no correct core submits one.
    #[error(
        "write {number} would begin the log after {start}, but that must be between {earliest}, \
         its current beginning, and {covered}, the last entry that the snapshot covers"
    )]
    Uncovered {
        /// Number of the write.
        number: u64,
        /// New beginning of the log.
        start: Index,
        /// Current beginning of the log.
        earliest: Index,
        /// The last entry that the snapshot covers; zero without one.
        covered: Index,
    },
    /// A write contains a snapshot larger than [`MAX_SNAPSHOT`].
    #[error(
        "write {number} contains a snapshot of {size} bytes; the limit is {MAX_SNAPSHOT} bytes"
    )]
    SnapshotTooLarge {
        /// Number of the write.
        number: u64,
        /// Size of its snapshot in bytes.
        size: usize,
    },
    /// The disk is so far behind that it counts as failed.
    #[error("the disk hangs: {WRITE_QUEUE} writes wait for it; the node must stop")]
    Hanging,
    /// The writer thread has ended after an error, or could not be started.
    #[error("the thread that writes to disk has ended: {reason}")]
    Stopped {
        /// Reason, as far as known.
        reason: String,
    },
}

fn foreign(what: &str, found: &str, expected: &str) -> String {
    if what == "schema" {
        format!(
            "has schema {found}, but this build reads schema {expected}; use the build that wrote \
             it, or move the file and its mark away if its match is over"
        )
    } else {
        format!(
            "belongs to {what} {found}, but this node expects {what} {expected}; give each node \
             its own `data` directory, or move this file away if it is of an old cluster"
        )
    }
}

#[cfg(test)]
mod tests;
