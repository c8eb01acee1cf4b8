//! `cargo lab`: experiments, transcripts, storms and fuzzing on the shipping core.

use std::process::ExitCode;

use clap::Parser;
use raftian_lab::cli::Command;

/// Experiments on the shipping Raft core in virtual time.
#[derive(Parser)]
#[command(name = "lab", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    Arguments::parse().command.run().into()
}
