//! Subcommands and exit codes of `cargo lab`.

pub mod chaos;
pub mod churn;
pub mod elections;
pub mod failover;
pub mod fuzz;
pub mod latency;
mod matches;
pub mod partition;
pub mod scenario;
pub mod storm;

use std::fmt;
use std::process::ExitCode;

use crate::report::assertion::check_names;
use crate::report::findings::Findings;
use crate::report::output::Output;
use crate::terminal::{errln, output_failed};

/// The subcommands.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Measures how long clusters of various sizes take to elect a leader, and how many elections
    /// that takes.
    Elections(elections::Arguments),
    /// One node of `elections --real-processes`, started by the experiment.
    #[command(hide = true)]
    ElectionsNode(elections::NodeArguments),
    /// Measures the latency of orders from click to display on real nodes over bad networks, and
    /// breaks it down.
    Latency(latency::Arguments),
    /// Crashes a machine in each of many matches, and measures how long orders stall and whether
    /// any are lost.
    Failover(failover::Arguments),
    /// One machine of `failover --real-processes`, started by the experiment.
    #[command(hide = true)]
    FailoverNode(failover::NodeArguments),
    /// Plays a long match of real processes under random faults, and accounts for every order.
    Chaos(chaos::Arguments),
    /// Partitions the network of many matches in various shapes, and measures which side makes
    /// progress and when all machines have converged.
    Partition(partition::Arguments),
    /// Makes machines leave, crash, restart and join continuously, and measures the effect on
    /// players.
    Churn(churn::Arguments),
    /// Runs scenario transcripts and reports those that fail.
    Scenario(scenario::Arguments),
    /// Fuzzes decoders, stores, nodes and clusters.
    Fuzz(fuzz::Arguments),
    /// Runs randomized fault injection on simulated clusters.
    Storm(storm::Arguments),
}

impl Command {
    /// Runs the command. Results go to stdout, everything else to stderr.
    pub fn run(&self) -> Exit {
        self.run_command().unless_output_failed()
    }

    fn run_command(&self) -> Exit {
        match self {
            Command::Elections(arguments) => elections::run(arguments),
            Command::ElectionsNode(arguments) => elections::run_node(arguments),
            Command::Latency(arguments) => latency::run(arguments),
            Command::Failover(arguments) => failover::run(arguments),
            Command::FailoverNode(arguments) => failover::run_node(arguments),
            Command::Chaos(arguments) => chaos::run(arguments),
            Command::Partition(arguments) => partition::run(arguments),
            Command::Churn(arguments) => churn::run(arguments),
            Command::Scenario(arguments) => scenario::run(arguments),
            Command::Fuzz(arguments) => fuzz::run(arguments),
            Command::Storm(arguments) => storm::run(arguments),
        }
    }
}

/// Validates the settings of a study and the names of its thresholds.
///
/// # Errors
/// [`Exit::Usage`], after the first error was printed.
pub fn check(
    settings: Result<(), impl fmt::Display>,
    output: &Output,
    quantities: &[&'static str],
) -> Result<(), Exit> {
    if let Err(error) = settings {
        errln!("{error}");
        return Err(Exit::Usage);
    }
    check_names(&output.asserted, quantities).map_err(|error| {
        errln!("{error}");
        Exit::Usage
    })
}

/// Writes the findings to every requested output, and returns the exit code of the thresholds.
pub fn write_findings(output: &Output, findings: Findings) -> Exit {
    match output.write(findings.results(output)) {
        Ok(true) => Exit::Success,
        Ok(false) => Exit::Failed,
        Err(error) => {
            errln!("{error}");
            Exit::Unexpected
        }
    }
}

/// Exit code of a run; the numbers match the game's own command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Success.
    Success = 0,
    /// An unexpected failure, such as a file that cannot be written.
    Unexpected = 1,
    /// Invalid command line.
    Usage = 2,
    /// A file cannot be read or parsed.
    Configuration = 3,
    /// No leader was elected in time.
    NoLeader = 5,
    /// A property of Raft was violated.
    Violated = 8,
    /// A stated expectation did not hold.
    Failed = 10,
}

impl Exit {
    /// Reports results that were lost because standard output could not be written, and replaces a
    /// success by a failure then.
    #[must_use = "the process must end with this code"]
    pub fn unless_output_failed(self) -> Self {
        if self == Exit::Success && output_failed() {
            errln!("cannot write to standard output; some results are lost");
            return Exit::Unexpected;
        }
        self
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
