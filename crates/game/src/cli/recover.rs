//! `raftian recover`: a new match from this member's copy.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use raftian_node::cluster::MemberFile;
use raftian_node::contact::{Contact, own_addresses};
use raftian_node::fresh_incarnation;
use raftian_node::player::{MatchFolders, NewMatch};
use raftian_node::recover::{RecoverError, recover};
use raftian_node::signing::CommandKey;
use raftian_node::store::Creation;
use raftian_raft::NodeId;

use super::profile::{RunningArgs, folders, member_in, set_current};
use super::{Exit, Failure};
use crate::replication::RULES;
use crate::terminal::note;

#[derive(Args, Debug)]
pub(super) struct RecoverArgs {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    member: RunningArgs,
}

pub(super) fn run(args: &RecoverArgs) -> Result<Exit, Failure> {
    if args.member.config.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            "a match that was created by `raftian cluster new` cannot be recovered; name a member \
             of `raftian start` or `raftian join` with --data",
        ));
    }
    let directory = args.member.directory()?;
    let old = member_in(&directory)?;
    let old_config = old.config(&directory, Vec::new(), None)?;
    if !old_config.store().exists() {
        return Err(Failure::new(
            Exit::Configuration,
            format!(
                "there is no copy: {} does not exist",
                old_config.store().display()
            ),
        ));
    }
    if !args.yes {
        confirm(&old)?;
    }
    let drawn = NewMatch::draw(old.code.is_some())?;
    let id = NodeId(old.id);
    let mut new = old.clone();
    new.match_id = drawn.id;
    let beside = directory.parent().unwrap_or(&directory);
    let folders = folders().unwrap_or_else(|_| MatchFolders::inside(beside));
    new.mark = folders.guard(drawn.id, id);
    new.left = false;
    new.known.clear();
    let incarnation = fresh_incarnation();
    let contact = Contact {
        name: old.name.clone(),
        fingerprint: old_config.identity.fingerprint(),
        key: Some(CommandKey::of(&old_config.identity)),
        addresses: own_addresses(&old.addresses, old.listen),
    };
    let membership = drawn.membership((&old.match_name, RULES), (id, incarnation), &contact)?;
    new.invite = Some(drawn.ticket_invite());
    new.code = drawn.code;
    let new_config = new.config(&directory, Vec::new(), None)?;
    let creation = Creation::first(incarnation);
    let last = recover(&old_config, &new_config, creation, &membership).map_err(failure)?;
    // The earlier file shows the way back to the earlier match.
    let kept = directory.join(format!("member-{}.toml", old.match_id));
    std::fs::copy(directory.join(MemberFile::NAME), &kept).map_err(|error| {
        Failure::new(
            Exit::Unexpected,
            format!("cannot write {}: {error}", kept.display()),
        )
    })?;
    new.write(&directory)?;
    set_current(&directory);
    note(&format!(
        "a new match begins after #{} of the earlier one, with {} alone; continue with `raftian node \
         --data {}` and invite the others. {} is the file of the earlier match",
        last.0,
        old.name,
        directory.display(),
        kept.display()
    ));
    Ok(Exit::Success)
}

/// Asks for the name of the match.
fn confirm(old: &MemberFile) -> Result<(), Failure> {
    note(&format!(
        "This makes a new match from this machine's copy of {}. Orders that the others committed \
         without this machine are not in it, and the last orders in it may never have been committed. \
         If the others return, they go on with the earlier match, and the two differ. Wait for them \
         if you can.",
        old.match_name
    ));
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "nobody can be asked here; add --yes",
        ));
    }
    note("Type the name of the match to go on:");
    let mut typed = String::new();
    let is_read = std::io::stdin().lock().read_line(&mut typed).is_ok();
    if is_read && typed.trim() == old.match_name {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Usage,
            "nothing was changed: that is not the name of the match",
        ))
    }
}

fn failure(error: RecoverError) -> Failure {
    match error {
        RecoverError::Store(error) => Failure::from(raftian_node::StartError::Store(error)),
        RecoverError::Witness => Failure::new(Exit::Configuration, error.to_string()),
        _ => Failure::new(Exit::Unexpected, error.to_string()),
    }
}
