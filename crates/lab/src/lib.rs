//! Clusters of the shipping Raft core in a world that one seed decides.
//!
//! [`Simulation`] holds real [`Node`](raftian_raft::Node)s on simulated links, disks and time.
//! Nothing happens unless the caller says so, every property of [`invariants`] is checked after
//! every step, and [`storm`] lets a seed say it. [`elections`] measures many clusters in a lighter
//! world, [`matches`](mod@matches) whole matches with players who give orders, [`latency`] where
//! the time of an order goes, on real nodes behind a [`proxy`] or in virtual time,
//! [`responsiveness`] frames beside a node, and [`report`] tells what came out.
//!
//! ```
//! use raftian_lab::{Setup, Simulation};
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

// A write that fails must not end a run: see `terminal`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod child_process;
pub mod cli;
pub mod elections;
pub mod latency;
pub mod matches;
pub mod proxy;
pub mod report;
pub mod responsiveness;
mod retries;
mod terminal;
