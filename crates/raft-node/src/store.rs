//! Where a node's promises are kept: term, vote, snapshot and log entries.
//!
//! A [`Store`] takes the core's writes in order and tells when each is durable. [`RedbStore`] is
//! the real one, a single file; [`WriterThread`] moves any store off the node's thread, so that a
//! hanging disk is seen instead of suffered; [`MemoryStore`] keeps nothing beyond the process.
//!
//! # What one write does
//! In this order, and all of it or nothing: term and vote are replaced; the snapshot replaces the
//! one before; `discard` drops every entry; `start` drops the entries up to it and is where the log
//! begins from then on; the entries replace whatever is at or after the first of them; an
//! incarnation replaces the one before. A write after which the log would have a hole, or would
//! begin after what the snapshot covers, is an error and changes nothing.
//!
//! # What a start refuses
//! A file that is damaged, or of another node, cluster or layout; one that is older than what this
//! node has confirmed, and none where there was one: see [`RedbStore::guard`].
//!
//! Decision: each value has a checksum, which covers its place, and the file has none over all
//! values. Why: a value that was changed, moved, cut or lost is named by its place, even if redb's
//! own checksums are right. An older value, back at its own place, passes where no other part
//! contradicts it; but that takes a database that keeps half a transaction, which redb's checksums
//! over the whole tree exclude, and a checksum over all values would be read and written with every
//! write. A whole file that is older is noticed by its mark. Would change if: the store stood on a
//! database that checks pages and not trees.

mod checksum;
mod file;
mod file_system;
mod log_range;
mod memory;
mod rollback_guard;
mod snapshot;
mod validate;
mod writer;

use std::path::PathBuf;

use raftian_raft::{Index, Write, WriteNumber};

pub use file::{CACHE_BYTES, RedbStore, SCHEMA};
pub use file_system::{FileSystem, Found, OsFileSystem};
pub use log_range::MAX_SNAPSHOT;
pub use memory::MemoryStore;
pub use rollback_guard::GUARD_BYTES;
pub use snapshot::CHUNK_BYTES;
pub use writer::{CLOSE_WAIT, WRITE_QUEUE, WriterThread};

/// The durable half of a node. Writes take effect whole and in the order of their submission.
pub trait Store: Send {
    /// Takes `write`; [`Store::completed`] will name it once it is durable, perhaps at once. An
    /// error is final: what the disk holds is no longer known, and the node must stop without
    /// sending anything that waited for this write.
    fn submit(&mut self, write: Write) -> Result<(), StoreError>;

    /// The next write that became durable, in order of submission; `None` if there is none at this
    /// moment. An error is as final as one of [`Store::submit`].
    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>>;
}

/// Why a store cannot be opened, or cannot be written any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system does not give the file to us.
    #[error(
        "cannot open {}: {reason}; check that the path names a file this user may read and write",
        file.display()
    )]
    NoAccess {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        reason: String,
    },
    /// The path of the mark names another file, which is left as it is.
    #[error(
        "{} is not the mark of a store: it has {size} bytes, and a mark has {GUARD_BYTES}. Nothing was written to it; \
         set `mark` to another path, or move that file away",
        file.display()
    )]
    NotAMark {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        size: u64,
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
        /// What differs: "schema", "node", "cluster" or "life".
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
    /// The file is sound and this node's, but not the newest: it was put back from a copy, or its
    /// disk lost what it had confirmed.
    #[error(
        "the store {} is older than this node: it holds {found} writes, and {acknowledged} were confirmed, says {}. \
         Put the newest file back, or replace this member by a new one: what it forgot could be a vote",
        file.display(), mark.display()
    )]
    Outdated {
        /// The file.
        file: PathBuf,
        /// Its mark.
        mark: PathBuf,
        /// Writes that the file holds.
        found: u64,
        /// Writes that were confirmed.
        acknowledged: u64,
    },
    /// There is no file, though this node had one.
    #[error(
        "the store {} is gone: {acknowledged} writes to it were confirmed, says {}. Put the file back, or replace this \
         member by a new one: an empty file under the old id could forget a vote",
        file.display(), mark.display()
    )]
    Lost {
        /// The file.
        file: PathBuf,
        /// Its mark.
        mark: PathBuf,
        /// Writes that were confirmed.
        acknowledged: u64,
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
    #[error(
        "write {number} has entry {first}, but the log in the store begins after {start} and ends at {end}"
    )]
    Gap {
        /// Which write.
        number: u64,
        /// The entry that does not fit.
        first: Index,
        /// Last entry that the store does not keep.
        start: Index,
        /// Last entry of the store.
        end: Index,
    },
    /// A write would let the log begin where no snapshot covers what came before, or before where
    /// it began until then. No correct core asks for either.
    #[error(
        "write {number} lets the log begin after {start}, but that must be between {earliest}, where it begins now, \
         and {covered}, the last entry that the snapshot covers"
    )]
    Uncovered {
        /// Which write.
        number: u64,
        /// Where the log would begin.
        start: Index,
        /// Where it begins now.
        earliest: Index,
        /// The last entry that the snapshot covers; zero without one.
        covered: Index,
    },
    /// A write holds a snapshot that is larger than [`MAX_SNAPSHOT`].
    #[error(
        "write {number} holds a snapshot of {size} bytes; a store keeps one of at most {MAX_SNAPSHOT}"
    )]
    SnapshotTooLarge {
        /// Which write.
        number: u64,
        /// Size of its snapshot in bytes.
        size: usize,
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

#[cfg(test)]
mod tests;
