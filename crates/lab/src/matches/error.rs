//! Reasons why a series of matches is refused, or cannot be completed.

use std::time::Duration;

use raftian_raft::{ConfigError, MembershipError};

use super::config::{FASTEST, MAX_MATCHES};
use super::{MAX_MACHINES, MAX_ORDERS};
use crate::child_process::ProcessError;

/// Invalid settings of a series of matches.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No matches, or too many.
    #[error(
        "{kinds} kinds times {reps} matches: the total is not between 1 and {}",
        MAX_MATCHES
    )]
    Matches {
        /// Kinds of match.
        kinds: usize,
        /// Matches of each kind.
        reps: u64,
    },
    /// More machines than a match supports.
    #[error("{machines} machines are too many: give at most {}", MAX_MACHINES)]
    TooManyMachines {
        /// Machines of a match.
        machines: u64,
    },
    /// Fewer machines than the experiment needs.
    #[error("{option}: a match {with} needs at least {least} machines")]
    TooFewMachines {
        /// Option to change.
        option: &'static str,
        /// Failure that the match has to survive.
        with: &'static str,
        /// Minimum number of machines.
        least: u64,
    },
    /// A rate of orders that is out of range.
    #[error("--rate must be more than 0 and at most {} orders per second", FASTEST)]
    Rate,
    /// More orders than a match keeps.
    #[error(
        "{machines} players would give {orders:.0} orders, and at most {} are kept: lower --rate, \
         or play for a shorter time",
        MAX_ORDERS
    )]
    TooManyOrders {
        /// Machines of a match, each with a player.
        machines: u64,
        /// Expected number of orders.
        orders: f64,
    },
    /// More reports of effects than a match of processes keeps.
    #[error(
        "{machines} processes would report {effects:.0} effects, and at most {} are kept: \
         lower --rate, or let the machine be away for a shorter time",
        MAX_ORDERS
    )]
    TooManyEffects {
        /// Processes of a match.
        machines: u64,
        /// Expected number of effects.
        effects: f64,
    },
    /// A patience that is too short.
    #[error("--patience must be at least 1ms, or players would repeat orders endlessly")]
    Patience,
    /// A write time that is too long.
    #[error("--disk must be at most 10s")]
    Disk,
    /// A loss of every message.
    #[error("--loss must be below 100%, or no leader is ever elected")]
    Loss,
    /// A duration of the partition that is out of range.
    #[error("--for must be {least:?} to {most:?}")]
    Cut {
        /// Shortest duration.
        least: Duration,
        /// Longest duration.
        most: Duration,
    },
    /// A time between turns that is too short.
    #[error("--every must be at least 100ms: a membership change takes time")]
    Every,
    /// A length of a match that is out of range.
    #[error("--minutes must be more than 0 and at most 600")]
    Minutes,
    /// The core refuses the membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The core refuses the timing.
    #[error("--timeout and --heartbeat: {0}")]
    Timing(#[from] ConfigError),
}

/// Reason why a series of matches could not be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The settings are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A machine process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}
