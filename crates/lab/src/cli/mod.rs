//! The subcommands, and how they end.

pub(crate) mod fuzz;
pub(crate) mod scenario;
pub(crate) mod storm;

use std::process::ExitCode;

/// How a run ends. The numbers are those of the game's own command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Exit {
    /// Everything went as it should.
    Success = 0,
    /// A file cannot be read or understood.
    Configuration = 3,
    /// A property of Raft was violated.
    Violated = 8,
    /// Something that was stated did not hold.
    Failed = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
