//! `raftian node`.

use std::path::Path;

use clap::Args;
use raftian_node::cluster::{NodeConfig, NodeFile};
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, Stopped};

use super::member::PlaceArgs;
use super::output::print;
use super::profile::RunningArgs;
use super::signals::watch_signals;
use super::start::resume;
use super::{Exit, Failure};
use crate::embedded::start_node;
use crate::headless;
use crate::status_document::OwnMember;

#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Print one JSON document per event instead of text; of a member of `raftian start` or `join`.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &NodeArgs, log_level: &str) -> Result<Exit, Failure> {
    let Some(config) = &args.member.config else {
        let directory = args.member.directory()?;
        return resume(directory, &PlaceArgs::headless(args.json), log_level);
    };
    let stop_request = watch_signals()?;
    let (node, member) = start(config)?;
    let started = format!(
        "{} (n{}) listens on {}",
        member.config.name, member.config.id.0, member.config.listen
    );
    // On its own thread: standard output may be a pipe that is full and never read, and must not
    // block the match.
    std::thread::spawn(move || {
        let _unread = print(&started).is_err();
    });
    headless::run(node, member, |leave| leave || stop_request.is_made()).map_err(failure)?;
    Ok(stop_request.exit())
}

pub(super) fn failure(stopped: Stopped) -> Failure {
    let exit = match stopped {
        Stopped::Contradiction(_) => Exit::Violated,
        Stopped::Store(_) | Stopped::Program(_) | Stopped::Panicked(_) | Stopped::Ended => {
            Exit::Unexpected
        }
    };
    Failure::new(exit, format!("the node has stopped: {stopped}"))
}

/// Starts the node described by a member's file.
pub(super) fn start(file: &Path) -> Result<(NodeHandle, OwnMember), Failure> {
    let config: NodeConfig = NodeFile::read(file)?;
    let links = QuicOptions::bind(&config)
        .map_err(|error| Failure::new(Exit::Network, error.to_string()))?;
    let node = start_node(&config, links)?;
    let member = OwnMember {
        config,
        control: node.control(),
    };
    Ok((node, member))
}
