//! Reasons why a study of elections is refused, or cannot be completed.

use raftian_raft::{ConfigError, MembershipError};

use super::{MAX_PROCESSES, MAX_RUNS, MAX_THREADS};
use crate::child_process::ProcessError;

/// Invalid settings of a study.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No runs, or too many.
    #[error(
        "{sizes} sizes times {reps} repetitions: the number of runs is not between 1 and {}",
        MAX_RUNS
    )]
    Runs {
        /// Number of cluster sizes.
        sizes: usize,
        /// Clusters of each size.
        reps: u64,
    },
    /// A cluster without a majority after the crash.
    #[error(
        "--crash-leader needs clusters of at least 3 nodes: smaller ones have no majority after it"
    )]
    CrashOfTooFew,
    /// A crash among threads.
    #[error("--threads measures first elections: remove --crash-leader")]
    CrashOnThreads,
    /// A cluster with too many threads.
    #[error("--threads supports clusters of at most {} nodes", MAX_THREADS)]
    TooManyThreads,
    /// A cluster with too many processes.
    #[error("--real-processes supports 3 to {} nodes", MAX_PROCESSES)]
    TooManyProcesses,
    /// Simulated conditions for real processes.
    #[error("--real-processes uses the real network and timers: remove --delay, --loss and --poll")]
    SimulatedConditions,
    /// A limit that no election can meet.
    #[error("--limit must be longer than the longest election timeout")]
    Limit,
    /// A polling interval that is too long.
    #[error("--poll must be at most 10s")]
    Poll,
    /// The core refuses the membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The core refuses the timing.
    #[error("--timeout and --heartbeat: {0}")]
    Timing(#[from] ConfigError),
}

/// Reason why a study could not be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The settings are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A node process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}
