//! `cargo lab`: transcripts, storms and fuzzing on the shipping core.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Experiments on the shipping Raft core in virtual time.
#[derive(Parser)]
#[command(name = "lab", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Runs transcripts and says which did not go as they say.
    Scenario(cli::scenario::Arguments),
    /// Throws bytes at decoders, stores, nodes and clusters, and looks whether they are answered as they should.
    Fuzz(cli::fuzz::Arguments),
    /// Lets faults rain on simulated clusters, and looks whether they survive.
    Storm(cli::storm::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Scenario(arguments) => cli::scenario::run(&arguments),
        Command::Fuzz(arguments) => cli::fuzz::run(&arguments),
        Command::Storm(arguments) => cli::storm::run(&arguments),
    }
    .into()
}
