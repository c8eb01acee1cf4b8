//! Whole matches in virtual time: machines with disks, links between them, and players who give
//! orders.
//!
//! A [`Match`] runs the shipping core on [`MemoryStore`](raftian_node::store::MemoryStore)s that
//! take their time. What happens to it, such as a crash or a cut, is up to an experiment:
//! [`failover`], [`partition`] or [`churn`]. Every order is followed by a
//! [`Ledger`](ledger::Ledger) from the click to its effect, and every effect on every machine is
//! compared with that of the others. A failover can be played by real
//! [`processes`](failover::processes), too.
//!
//! ```
//! use raftian_lab::matches::{Conditions, Match};
//! use std::time::Duration;
//!
//! let mut game = Match::new(&Conditions::default(), 3, 7);
//! game.run_for(Duration::from_secs(2));
//! let leader = game.leader().unwrap();
//! game.crash(leader);
//! game.run_for(Duration::from_secs(2));
//! game.restart(leader);
//! assert!(game.settle(Duration::from_secs(10)).is_some());
//! let account = game.account();
//! assert!(account.applied > 50 && account.is_sound());
//! ```
//!
//! # What is simulated
//! A message is late and may be lost; if its way is cut when it leaves or when it would arrive, it
//! is lost too. A write is durable some time after it was asked for; writes overlap, in their
//! order, and a crash loses those not yet done with everything in memory. Players sit at a machine
//! each, click at random moments that do not depend on each other (a Poisson process), and give an
//! order again, under the same number, until its effect is seen there. With their machine they
//! forget everything: whoever comes back is a new client. Not simulated: codecs, sockets, and
//! clocks of different rates.
//!
//! # Bounds
//! At most [`MAX_MACHINES`] machines and [`MAX_ORDERS`] orders, of 96 bytes each with their
//! effect; a log of some [`SNAPSHOT_EVERY`] entries of 64 bytes on each machine and its disk; what
//! is under way between them. That is below 100 MB for the largest match, and below 5 MB for the
//! usual one.
//!
//! # Decisions
//! **The core, not its driver.** Decision: nodes are stepped directly, and their work is done where
//! it lies. Why: millions of steps a second; storms run the driver under the same core. Would
//! change if: the driver decided anything.
//!
//! **Pre-vote and check-quorum stay on.** Decision: everything but the options is as in the core's
//! defaults. Why: players meet the node that ships. Would change if: a comparison with another
//! cluster were wanted.
//!
//! **An effect is judged by a rolling hash.** Decision: a machine's state is one number that each
//! effect changes, and the number after the k-th effect must be the same everywhere. Why: it takes
//! 8 bytes for each order, and sees every other effect, every other order of effects, and every
//! snapshot of something else. Would change if: states could differ without an effect.

pub mod churn;
mod config;
pub mod failover;
pub mod findings;
pub mod ledger;
mod machine;
pub mod partition;
mod play;
mod state;
pub mod theory;

pub use config::{Conditions, Plant, Series, World};
pub use play::{Account, Match, Orders};

/// Most machines of a match: as many as a set of them has room for in one word.
pub const MAX_MACHINES: u64 = 64;

/// Most orders that a match may be asked for.
pub const MAX_ORDERS: f64 = 500_000.0;

/// Entries after which a machine takes a snapshot.
pub const SNAPSHOT_EVERY: u64 = 4096;

#[cfg(test)]
mod tests;
