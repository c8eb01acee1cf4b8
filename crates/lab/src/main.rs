//! `cargo lab`: transcripts and storms on the shipping core.

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
    /// Lets faults rain on simulated clusters, and looks whether they survive.
    Storm(cli::storm::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Scenario(arguments) => cli::scenario::run(&arguments),
        Command::Storm(arguments) => cli::storm::run(&arguments),
    }
    .into()
}
