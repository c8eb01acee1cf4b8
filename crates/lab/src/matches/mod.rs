//! Whole matches in virtual time: machines with disks, links between them, and players who give
//! orders.
//!
//! A [`Match`] runs the shipping core on [`MemoryStore`](raftian_node::store::MemoryStore)s with
//! write delays. Experiments inject its failures, such as a crash or a partition: [`failover`],
//! [`partition`] or [`churn`]. A [`Ledger`](ledger::Ledger) tracks every order from the click to
//! its effect, and compares every effect on every machine with that of the others. A failover can
//! also run on real [`processes`](failover::processes).
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
//! A message is delayed and may be lost; it is also lost if its link is cut when it is sent or when
//! it would arrive. A write becomes durable some time after it was submitted; writes overlap, in
//! order, and a crash loses memory and unfinished writes. One player sits at each machine, clicks
//! at random times independently of the others (a Poisson process), and repeats an order, under the
//! same number, until its effect is visible there. A restart loses the player's memory: the player
//! returns as a new client. Not simulated: codecs, sockets, and clocks of different rates.
//!
//! # Bounds
//! At most [`MAX_MACHINES`] machines and [`MAX_ORDERS`] orders, of 96 bytes each with their effect;
//! a log of about [`SNAPSHOT_EVERY`] entries of 64 bytes on each machine and its disk; and messages
//! in flight. That is below 100 MB for the largest match, and below 5 MB for the usual one.
//!
//! # Decisions
//! **The core, not its driver.** Decision: nodes are stepped directly, and their actions are
//! performed in place. Why: millions of steps per second; storms run the driver on the same core.
//! Would change if: the driver decided anything.
//!
//! **Pre-vote and check-quorum stay on.** Decision: everything but the options is as in the core's
//! defaults. Why: players use the node that ships. Would change if: a comparison with another
//! cluster were wanted.
//!
//! **A rolling hash compares effects.** Decision: a machine's state is one number that each effect
//! changes, and the number after the k-th effect must be the same everywhere. Why: it takes 8 bytes
//! for each order, and detects every differing effect, order of effects, and snapshot. Would change
//! if: states could differ without an effect.

pub mod churn;
mod config;
mod error;
pub mod failover;
pub mod ledger;
mod machine;
pub mod partition;
mod play;
mod state;
pub mod theory;

pub use config::{Conditions, Plant, Series, World};
pub use error::{SettingsError, StudyError};
pub use play::{Account, ChangeRequests, Match};

/// Maximum number of machines of a match: the bits of one word, which represents a set of them.
pub const MAX_MACHINES: u64 = 64;

/// Maximum number of orders of a match.
pub const MAX_ORDERS: f64 = 500_000.0;

/// Number of entries after which a machine takes a snapshot.
pub const SNAPSHOT_EVERY: u64 = 4096;

/// First violation of a match, with its kind and number; `None` if the match is sound.
fn violation(account: &Account, settled: bool, kind: &str, rep: usize) -> Option<String> {
    let violated = match &account.violation {
        Some(violation) => violation.to_string(),
        None if settled && !account.equal => "machines ended with different states".to_owned(),
        None => return None,
    };
    Some(format!("{kind}, match {}: {violated}", rep + 1))
}

#[cfg(test)]
mod tests;
