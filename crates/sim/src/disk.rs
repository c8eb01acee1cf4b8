//! Disks that a seed decides about: what they keep in a crash, what they damage, when they are
//! slow.
//!
//! [`SimDisk`] is a disk of bytes with every fault a disk may have, and a few it may not; a real
//! [`RedbStore`](raftian_node::store::RedbStore) runs on it. [`DiskStore`] is the store of one
//! simulated machine: it does nothing until it is told to, so that a write can be on its way for as
//! long as a simulation likes, and it knows what a crash at any moment would leave.
//! [`SimFileSystem`] has names as well, for what a store does before its file is open.
//!
//! # Within the model
//! A crash may lose, keep or tear each write since the last sync by itself; one sector is written
//! whole or not at all; a sync may fail, and then nobody knows what was written. After all of that
//! the store gives back what was durable: a write it had confirmed is there, the one under way may
//! be, and nothing else.
//!
//! # Outside the model
//! Rotten bits, misdirected writes, and a disk that confirms what it did not do. No store on one
//! disk survives them; what it must do is notice, as far as that is possible, and refuse to start.

mod change;
mod crash;
mod file;
mod file_system;
mod media;
mod sim_disk;
mod store;

pub use change::{Change, Fate, Rest, SECTOR};
pub use crash::CrashStyle;
pub use file_system::{SimFile, SimFileSystem, Unsynced};
pub use media::{MAX_UNSYNCED, Operation};
pub use sim_disk::SimDisk;
pub use store::{Backup, DiskStore, Unusable};
