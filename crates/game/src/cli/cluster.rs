//! `raftian cluster new`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use raftian_node::cluster::{NewCluster, generate};

use super::output::print;
use super::{Exit, Failure};
use crate::terminal::note;

#[derive(Subcommand, Debug)]
pub(super) enum ClusterCommand {
    /// Write keys and node files for a new cluster, and print the files' paths.
    New(NewArgs),
}

#[derive(Args, Debug)]
pub(super) struct NewArgs {
    /// Directory to write to; must be empty or not exist yet.
    directory: PathBuf,
    /// Number of members, 1 to 9.
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// UDP port of the first member; the others get the ports after it.
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    base_port: u16,
}

pub(super) fn run(command: ClusterCommand) -> Result<Exit, Failure> {
    let ClusterCommand::New(args) = command;
    let cluster = NewCluster {
        nodes: args.nodes,
        base_port: args.base_port,
        ..NewCluster::default()
    };
    for file in generate(&args.directory, &cluster)? {
        print(&file.display().to_string())?;
    }
    note(
        "start each with `raftian node --config FILE`, or with a window: `raftian play --config FILE`",
    );
    Ok(Exit::Success)
}
