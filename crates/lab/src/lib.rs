//! Experiments on the shipping Raft core, and the `cargo lab` command line.
//!
//! [`elections`] measures leader elections of many clusters, [`matches`](mod@matches) whole matches
//! with players who give orders, [`latency`] the latency of orders on real nodes behind a [`proxy`]
//! or in virtual time, and [`report`] writes the results. [`cli`] also runs the storms,
//! scenarios and fuzz targets of [`raftian_sim`]. The frame times of windows with a node are
//! measured by the crate `raftian-frames`.

// A failed write must not end a run: see `terminal`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod child_process;
pub mod cli;
pub mod elections;
pub mod latency;
pub mod matches;
pub mod proxy;
pub mod report;
mod retries;
pub mod terminal;
