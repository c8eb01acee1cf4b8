//! `raftian node`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use raftian_node::NodeHandle;
use raftian_node::cluster::{NodeConfig, NodeFile};
use raftian_node::quic::QuicOptions;
use signal_hook::consts::SIGTERM;

use super::output::print;
use super::{Exit, Failure, MemberArgs};
use crate::embedded::start_node;
use crate::headless;
use crate::service::OwnMember;

#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    member: MemberArgs,
}

pub(super) fn run(args: &NodeArgs) -> Result<Exit, Failure> {
    let asked = watch_signals()?;
    let (node, member) = start(&args.member)?;
    print(&format!("{} (n{}) listens on {}", member.config.name, member.config.id.0, member.config.listen));
    headless::run(node, member, || asked.to_end.load(Ordering::Acquire))
        .map_err(|reason| Failure::new(Exit::Unexpected, format!("the node has stopped: {reason}")))?;
    Ok(if asked.by_term.load(Ordering::Acquire) { Exit::Terminated } else { Exit::Interrupted })
}

/// Starts the node of a member's file.
pub(super) fn start(args: &MemberArgs) -> Result<(NodeHandle, OwnMember), Failure> {
    let config: NodeConfig = NodeFile::read(&args.config)?;
    let links = QuicOptions::bind(&config).map_err(|error| Failure::new(Exit::Network, error.to_string()))?;
    let node = start_node(&config, links)?;
    let member = OwnMember { config, control: node.control() };
    Ok((node, member))
}

/// Whether and how the node was asked to end.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// It was asked at all.
    to_end: Arc<AtomicBool>,
    /// It was asked by SIGTERM.
    by_term: Arc<AtomicBool>,
}

/// The first interrupt ends the node in an orderly way, the second at once.
fn watch_signals() -> Result<Asked, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Unexpected, format!("signals cannot be handled: {error}"));
    let asked = Asked::default();
    let to_end = Arc::clone(&asked.to_end);
    ctrlc::set_handler(move || {
        if to_end.swap(true, Ordering::AcqRel) {
            std::process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|error| failed(&error))?;
    // Registered last, so that it runs first and then calls the handler above.
    signal_hook::flag::register(SIGTERM, Arc::clone(&asked.by_term)).map_err(|error| failed(&error))?;
    Ok(asked)
}
