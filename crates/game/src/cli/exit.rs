//! Exit codes, and failures that end in one.

use std::process::{ExitCode, Termination};

use raftian_node::StartError;
use raftian_node::cluster::ClusterError;
use raftian_node::match_request::Refusal;
use raftian_node::player::PlayerError;
use raftian_node::quic::AskError;
use raftian_node::quic::client::ClientError;
use raftian_node::store::StoreError;

use crate::embedded::EmbeddedError;
use crate::terminal::note;

/// Exit code of the process. The numbers are a public interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The command succeeded.
    Success = 0,
    /// An unexpected failure.
    Unexpected = 1,
    /// Invalid command line.
    Usage = 2,
    /// Invalid configuration.
    Configuration = 3,
    /// A port cannot be opened, or a member cannot be reached.
    Network = 4,
    /// No majority answered in time.
    NoQuorum = 5,
    /// The other side uses another version.
    Version = 6,
    /// A file is damaged.
    Damaged = 7,
    /// Replicas diverged, or another property of Raft was violated.
    Violated = 8,
    /// A key was refused.
    Refused = 9,
    /// A condition given with `--assert` or `--gate` did not hold.
    Failed = 10,
    /// There is no display or GPU for a window.
    NoDisplay = 11,
    /// Interrupted from the keyboard, after leaving the cluster.
    Interrupted = 130,
    /// Terminated by SIGTERM, after leaving the cluster.
    Terminated = 143,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// A failure: a message for the user, and the exit code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// Creates a failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure {
            exit,
            message: message.into(),
        }
    }

    /// Reports the failure on standard error and returns its exit code.
    #[must_use = "the process must end with this code"]
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
            )
            | StartError::NoStore { .. } => Exit::Damaged,
            StartError::Store(
                StoreError::Foreign { .. } | StoreError::NotAMark { .. } | StoreError::InUse { .. },
            )
            | StartError::Config(_)
            | StartError::Founders { .. }
            | StartError::EarlierBuild { .. }
            | StartError::Frame(..) => Exit::Configuration,
            StartError::Links(_) => Exit::Network,
            _ => Exit::Unexpected,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let exit = match &error {
            AskError::Unreachable { .. }
            | AskError::Silent(_)
            | AskError::Unresolved(_)
            | AskError::NoAnswer => Exit::Network,
            AskError::ForeignProtocol => Exit::Version,
            _ => Exit::Unexpected,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<PlayerError> for Failure {
    fn from(error: PlayerError) -> Self {
        let hint = match &error {
            PlayerError::Refused(Refusal::NameTaken(_)) => ": add --name NAME",
            PlayerError::Start(StartError::Store(StoreError::InUse { .. })) => {
                ": add --profile NAME, or --data DIR"
            }
            _ => "",
        };
        let message = format!("{error}{hint}");
        let exit = match error {
            PlayerError::Files(cause) => Failure::from(cause).exit,
            PlayerError::Start(cause) => Failure::from(cause).exit,
            PlayerError::Ask(cause) => Failure::from(cause).exit,
            PlayerError::Refused(refusal) => exit_of(&refusal),
            PlayerError::Name { .. } | PlayerError::Address { .. } => Exit::Usage,
            PlayerError::OtherCode(_) => Exit::Refused,
            PlayerError::Occupied { .. } | PlayerError::Empty { .. } | PlayerError::Left { .. } => {
                Exit::Configuration
            }
            PlayerError::Listen { .. }
            | PlayerError::Family { .. }
            | PlayerError::Discovery(_)
            | PlayerError::UnknownCode => Exit::Network,
            PlayerError::ForeignProtocol { .. } | PlayerError::UnexpectedReply => Exit::Version,
            _ => Exit::Unexpected,
        };
        Failure { exit, message }
    }
}

/// Returns the exit code for a refused request about a match.
pub(super) fn exit_of(refusal: &Refusal) -> Exit {
    match refusal {
        Refusal::OtherRules { .. } | Refusal::Unreadable(_) => Exit::Version,
        Refusal::NoQuorum => Exit::NoQuorum,
        Refusal::OtherMatch
        | Refusal::NoCode
        | Refusal::NoInvite(_)
        | Refusal::WrongSecret(_)
        | Refusal::UsedUp(_)
        | Refusal::Expired { .. }
        | Refusal::Full(_)
        | Refusal::FullOfSpectators(_)
        | Refusal::HasWitness
        | Refusal::NameTaken(_) => Exit::Refused,
        _ => Exit::Usage,
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Refused { .. } => Exit::Refused,
            ClientError::ForeignProtocol { .. } => Exit::Version,
            ClientError::Unreachable { .. } | ClientError::Busy | ClientError::NoAnswer => {
                Exit::Network
            }
            _ => Exit::Unexpected,
        };
        Failure::new(exit, error.to_string())
    }
}
