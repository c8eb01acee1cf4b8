//! The subcommands, and how they end: for `cargo lab`, and for any other program that offers them.

pub mod churn;
pub mod elections;
pub mod failover;
pub mod fuzz;
pub mod latency;
mod matches;
pub mod output;
pub mod partition;
pub mod responsiveness;
pub mod scenario;
pub mod storm;

use std::process::ExitCode;

use crate::terminal::{errln, output_failed};

/// The subcommands.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Measures how long clusters of many sizes take to elect a leader, and how many elections that
    /// takes.
    Elections(elections::Arguments),
    /// One node of `elections --real-processes`, started by it.
    #[command(hide = true)]
    ElectionsNode(elections::NodeArguments),
    /// Measures frames of a window beside a Raft node in its schedule, a thread or a process, and
    /// orders beside frames.
    Responsiveness(responsiveness::Arguments),
    /// Measures how long orders take from click to sight on real nodes over bad networks, and where
    /// that time goes.
    Latency(latency::Arguments),
    /// Crashes a machine in each of many matches, and measures how long they stand still and
    /// whether orders are lost.
    Failover(failover::Arguments),
    /// One machine of `failover --real-processes`, started by it.
    #[command(hide = true)]
    FailoverNode(failover::NodeArguments),
    /// Cuts links of many matches in many shapes, and measures who goes on and when everybody is
    /// equal again.
    Partition(partition::Arguments),
    /// Lets machines leave, crash, come back and join all the time, and measures what players
    /// notice of it.
    Churn(churn::Arguments),
    /// Runs transcripts and says which did not go as they say.
    Scenario(scenario::Arguments),
    /// Throws bytes at decoders, stores, nodes and clusters, and looks whether they are answered as
    /// they should.
    Fuzz(fuzz::Arguments),
    /// Lets faults rain on simulated clusters, and looks whether they survive.
    Storm(storm::Arguments),
}

impl Command {
    /// Runs it, as a command of `host`. Results go to stdout, everything else to stderr.
    pub fn run(&self, host: Host) -> Exit {
        let exit = self.run_command(host);
        if exit == Exit::Success && output_failed() {
            errln!("standard output cannot be written; some of the results are lost");
            return Exit::Unexpected;
        }
        exit
    }

    fn run_command(&self, host: Host) -> Exit {
        match self {
            Command::Elections(arguments) => elections::run(arguments),
            Command::ElectionsNode(arguments) => elections::run_node(arguments),
            Command::Responsiveness(arguments) => responsiveness::run(arguments, host),
            Command::Latency(arguments) => latency::run(arguments),
            Command::Failover(arguments) => failover::run(arguments),
            Command::FailoverNode(arguments) => failover::run_node(arguments),
            Command::Partition(arguments) => partition::run(arguments),
            Command::Churn(arguments) => churn::run(arguments),
            Command::Scenario(arguments) => scenario::run(arguments),
            Command::Fuzz(arguments) => fuzz::run(arguments),
            Command::Storm(arguments) => storm::run(arguments),
        }
    }
}

/// Which program has the commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    /// `lab`, which has no window; where one is needed it builds the game.
    Lab,
    /// The game, which shows a [`Scene`](crate::responsiveness::scene::Scene) on `dots SCENE`
    /// beside these commands.
    Game,
}

/// How a run ends. The numbers are those of the game's own command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Everything went as it should.
    Success = 0,
    /// Something failed that should not have, such as writing a file.
    Unexpected = 1,
    /// The command line says what cannot be.
    Usage = 2,
    /// A file cannot be read or understood.
    Configuration = 3,
    /// No leader was elected in time.
    NoLeader = 5,
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
