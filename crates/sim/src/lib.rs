//! Deterministic simulation of clusters of the shipping Raft core: everything follows from one seed.
//!
//! [`Simulation`] holds real [`Node`](raftian_raft::Node)s on simulated links, disks and time.
//! Nothing happens unless the caller requests it, and every property of [`invariants`] is checked
//! after every step. [`storm`] draws faults from a seed, [`scenario`] reads them from a transcript,
//! [`fuzz`] from bytes. [`linearizability`] checks the histories of clients. [`timed`] has the event
//! queue of lighter simulations, whose nodes have no simulated disk.
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
//! Links lose, repeat, reorder and cut; disks hold writes back and lose the ones not yet done;
//! machines crash and come back; each machine's clock starts elsewhere. [`disk`] has the real store
//! on disks that tear writes and rot. Not simulated here: codecs and sockets, which belong to the
//! node.

pub mod cluster;
pub mod counters;
pub mod disk;
pub mod fuzz;
pub mod invariants;
pub mod linearizability;
pub mod scenario;
pub mod splitmix;
pub mod storm;
pub mod timed;

pub use cluster::{Setup, Simulation};
