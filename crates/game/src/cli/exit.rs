//! Exit codes, and failures that end in one.

use std::process::{ExitCode, Termination};

use raftian_node::StartError;
use raftian_node::cluster::ClusterError;
use raftian_node::quic::client::ClientError;
use raftian_node::store::StoreError;

use crate::embedded::EmbeddedError;
use crate::terminal::note;

/// How a process ends. The numbers are a public interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It did what was asked.
    Success = 0,
    /// It failed in a way nobody foresaw.
    Unexpected = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// A configuration is invalid.
    Configuration = 3,
    /// A port cannot be opened, or a member cannot be reached.
    Network = 4,
    /// No majority answered in time.
    NoQuorum = 5,
    /// The other side speaks another version.
    Version = 6,
    /// A file is damaged.
    Damaged = 7,
    /// Replicas differ, or another property of Raft was violated.
    Violated = 8,
    /// A key was refused.
    Refused = 9,
    /// Something that was stated with `--assert` did not hold.
    Failed = 10,
    /// There is no display or GPU for a window.
    NoDisplay = 11,
    /// Interrupted from the keyboard, after leaving the cluster.
    Interrupted = 130,
    /// LoggedDecision to end (SIGTERM), after leaving the cluster.
    Terminated = 143,
}

impl From<raftian_lab::cli::Exit> for Exit {
    fn from(exit: raftian_lab::cli::Exit) -> Self {
        match exit {
            raftian_lab::cli::Exit::Success => Exit::Success,
            raftian_lab::cli::Exit::Unexpected => Exit::Unexpected,
            raftian_lab::cli::Exit::Usage => Exit::Usage,
            raftian_lab::cli::Exit::Configuration => Exit::Configuration,
            raftian_lab::cli::Exit::NoLeader => Exit::NoQuorum,
            raftian_lab::cli::Exit::Violated => Exit::Violated,
            raftian_lab::cli::Exit::Failed => Exit::Failed,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// What went wrong, in words for a person, and the exit code it ends in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure {
            exit,
            message: message.into(),
        }
    }

    /// Reports the failure on standard error and returns its exit code.
    #[must_use]
    pub fn report(self) -> Exit {
        note(&format!("raftian: {}", self.message));
        self.exit
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        let exit = match &error {
            ClusterError::NoPort { .. } => Exit::Network,
            ClusterError::Key { .. } | ClusterError::Unwritable { .. } => Exit::Unexpected,
            _ => Exit::Configuration,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<EmbeddedError> for Failure {
    fn from(error: EmbeddedError) -> Self {
        let message = error.to_string();
        let exit = match error {
            EmbeddedError::Directory(_) => Exit::Unexpected,
            EmbeddedError::Cluster(cause) => Failure::from(cause).exit,
            EmbeddedError::Member(_, cause) => Failure::from(cause).exit,
        };
        Failure { exit, message }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Store(
                StoreError::Damaged { .. }
                | StoreError::Gap { .. }
                | StoreError::Outdated { .. }
                | StoreError::Lost { .. },
            ) => Exit::Damaged,
            StartError::Store(StoreError::Foreign { .. } | StoreError::NotAMark { .. })
            | StartError::Config(_)
            | StartError::Frame(..) => Exit::Configuration,
            StartError::Store(_) | StartError::Thread(_) => Exit::Unexpected,
            StartError::Links(_) => Exit::Network,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Refused { .. } => Exit::Refused,
            ClientError::ForeignProtocol { .. } => Exit::Version,
            ClientError::Local { .. } | ClientError::TooLarge | ClientError::Protocol { .. } => {
                Exit::Unexpected
            }
            ClientError::Unreachable { .. } | ClientError::Busy | ClientError::NoAnswer => {
                Exit::Network
            }
        };
        Failure::new(exit, error.to_string())
    }
}
