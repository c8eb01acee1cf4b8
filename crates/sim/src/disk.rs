//! Simulated disks, for which a seed determines crash outcomes, damage and delays.
//!
//! [`SimDisk`] is a disk of bytes with every fault within the model below and some outside it; a
//! real [`RedbStore`](raftian_node::store::RedbStore) runs on it. [`DiskStore`] is the store of one
//! simulated machine: it performs no write until it is requested to, so that a simulation can delay
//! writes for any time, and it tracks the durable state that a crash at any moment would leave.
//! [`SimFileSystem`] has file names as well, for the steps of a store before its file is open.
//!
//! # Within the model
//! A crash may lose, keep or tear each write since the last sync independently; one sector is
//! written whole or not at all; a sync may fail, which leaves unknown what was written. After all
//! of that the store must return the durable state: acknowledged writes are present, the write in
//! progress may be, and nothing else.
//!
//! # Outside the model
//! Bit rot, misdirected writes, and a disk that confirms writes it did not perform. No store on one
//! disk survives them; it must detect them as far as possible and refuse to start.

mod change;
mod crash;
mod file;
mod file_system;
mod media;
mod sim_disk;
mod store;

pub use change::{Change, Fate, Rest, SECTOR};
pub use crash::CrashStyle;
pub use file::Unusable;
pub use file_system::{SimFile, SimFileSystem, Unsynced};
pub use media::{MAX_UNSYNCED, Operation};
pub use sim_disk::SimDisk;
pub use store::{Backup, DiskStore};
