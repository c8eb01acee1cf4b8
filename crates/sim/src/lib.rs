//! Deterministic simulation of clusters of the shipping Raft core: one seed determines every run.
//!
//! [`Simulation`] holds real [`Node`](raftian_raft::Node)s on simulated links, disks and time.
//! Nothing happens unless the caller requests it, and every property of [`invariants`] is checked
//! after every step. [`storm`] draws faults from a seed, [`scenario`] reads them from a transcript,
//! [`fuzz`] from bytes. [`linearizability`] checks client histories. [`timed`] has the event loop
//! of lighter simulations without simulated disks.
//!
//! ```
//! use raftian_sim::{Setup, Simulation};
//! use std::time::Duration;
//!
//! let mut cluster = Simulation::new(Setup::cluster(3, 7));
//! let leader = cluster.settle(Duration::from_secs(2)).unwrap();
//! cluster.propose(leader, 1, 1, b"attack").unwrap();
//! cluster.settle(Duration::from_secs(1)).unwrap();
//! assert!(cluster.ids().all(|id| cluster.host(id).effects().len() == 1));
//! ```
//!
//! # What is simulated
//! Links lose, duplicate, reorder and cut messages; disks delay writes and lose unfinished ones;
//! machines crash and restart; each machine's clock has its own offset. [`disk`] runs the real
//! store on disks with torn writes and bit rot. Sockets are not simulated; the wire codec runs if
//! [`Setup`] asks for it.

pub mod cluster;
pub mod coverage;
pub mod disk;
pub mod fuzz;
pub mod invariants;
pub mod linearizability;
pub mod scenario;
pub mod splitmix;
pub mod storm;
pub mod timed;

pub use cluster::{Setup, Simulation};
