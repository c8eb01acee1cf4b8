//! `raftian start`: founds a match that others join, or continues one.

use std::path::PathBuf;

use clap::Args;
use raftian_node::cluster::MemberFile;
use raftian_node::player::{found, resume as prepare_to_continue};

use super::member::{PlaceArgs, check_display, player, run as run_member};
use super::profile::{StoppedMatch, stopped_match};
use super::{Exit, Failure};
use crate::terminal::note;

#[derive(Args, Debug)]
pub(super) struct StartArgs {
    /// Your name; the default is that of the user.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Name of the match; the default is made of your name.
    #[arg(long, value_name = "NAME")]
    match_name: Option<String>,
    /// Do not announce the match on the local network, and make no code.
    #[arg(long)]
    no_lan: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &StartArgs, log_level: &str) -> Result<Exit, Failure> {
    check_display(&args.place)?;
    if let Some(directory) = &args.place.data
        && let Some(file) = MemberFile::find(directory)?
        && !file.left
    {
        return resume(directory.clone(), &args.place, log_level);
    }
    if args.place.headless && args.place.data.is_none() {
        note_stopped_match();
    }
    let player = player(args.name.clone(), &args.place)?;
    let launch = found(&player, args.match_name.as_deref(), !args.no_lan)?;
    run_member(launch, &args.place, log_level)
}

/// Notes how to continue a match whose member has ended without leaving it, for example by a
/// crash: `raftian start` founds another one.
fn note_stopped_match() {
    if let Some(StoppedMatch { name, directory }) = stopped_match() {
        let directory = directory.display();
        note(&format!(
            "the match {name:?} was not left and does not run; continue it with `raftian node \
             --data {directory}`"
        ));
    }
}

/// Continues the member in `directory`.
pub(super) fn resume(
    directory: PathBuf,
    place: &PlaceArgs,
    log_level: &str,
) -> Result<Exit, Failure> {
    let launch = prepare_to_continue(&player(None, place)?, &directory)?;
    run_member(launch, place, log_level)
}
