//! `raftian leave`, `remove`, `promote`, `demote` and `transfer`.

use std::time::{Duration, Instant};

use clap::Args;
use raftian_node::ballot::BALLOT_SECONDS;
use raftian_node::cluster::MemberFile;
use raftian_node::match_request::{MatchReply, MatchRequest};
use raftian_node::quic::PEER_ANSWER_TIMEOUT;
use raftian_raft::{NodeId, Standing};

use super::profile::RunningArgs;
use super::status::{ask, ask_status, unexpected};
use super::{Exit, Failure};
use crate::admin::{AdminRequest, AdminResponse};
use crate::status_document::StatusDocument;
use crate::terminal::note;

/// Timeout of a request: the member replies a little earlier.
const TIMEOUT: Duration = PEER_ANSWER_TIMEOUT.saturating_add(Duration::from_secs(2));

/// Longest time that a leaving member may take to end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time from the end of a member's node to that of its process.
const FILE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause between two looks at a leaving member.
const POLL: Duration = Duration::from_millis(100);

/// A member by its name or id.
#[derive(Args, Debug)]
pub(super) struct NamedArgs {
    /// Name of the member, or its id such as n3.
    name: String,
    #[command(flatten)]
    member: RunningArgs,
}

/// A member that need not be named.
#[derive(Args, Debug)]
pub(super) struct TransferArgs {
    /// Name of the next leader, or its id such as n3; the default is the best follower.
    name: Option<String>,
    #[command(flatten)]
    member: RunningArgs,
}

#[derive(Args, Debug)]
pub(super) struct LeaveArgs {
    #[command(flatten)]
    member: RunningArgs,
}

pub(super) fn leave(args: &LeaveArgs) -> Result<Exit, Failure> {
    let config = args.member.config()?;
    let voters = ask_status(&config)?
        .membership
        .members
        .iter()
        .filter(|member| member.standing == "voter")
        .count();
    match ask(&config, &AdminRequest::Leave, TIMEOUT)? {
        AdminResponse::Leaving => {}
        other => return Err(unexpected(&other)),
    }
    let deadline = Instant::now() + LEAVE_TIMEOUT;
    while ask_status(&config).is_ok() {
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Exit::NoQuorum,
                "the member was asked to leave and still runs; if it has no window, end it with an \
                 interrupt",
            ));
        }
        std::thread::sleep(POLL);
    }
    if args.member.config.is_some() {
        note("the member has stopped; members of a cluster from files stay members");
        return Ok(Exit::Success);
    }
    let directory = args.member.directory()?;
    // The process writes its file at its very end.
    let deadline = Instant::now() + FILE_TIMEOUT;
    let has_left = loop {
        let has_left = MemberFile::find(&directory)?.is_none_or(|file| file.left);
        if has_left || Instant::now() >= deadline {
            break has_left;
        }
        std::thread::sleep(POLL);
    };
    if has_left {
        note("the member has left");
        Ok(Exit::Success)
    } else if voters > 1 {
        Err(Failure::new(
            Exit::NoQuorum,
            "the member has stopped, but too few members answered to agree that it leaves: it counts \
             as vanished",
        ))
    } else {
        note("nobody else has a vote, so the match is kept on this disk");
        Ok(Exit::Success)
    }
}

pub(super) fn remove(args: &NamedArgs) -> Result<Exit, Failure> {
    let member = find(&args.member, &args.name)?;
    let reply = request(&args.member, &MatchRequest::Remove { member })?;
    note(&match reply {
        MatchReply::Voted { votes, needed } => vote_text("remove", &args.name, votes, needed),
        _ => format!("{} is removed", args.name),
    });
    Ok(Exit::Success)
}

/// State of a vote, and what the other players have to do.
fn vote_text(command: &str, name: &str, votes: usize, needed: usize) -> String {
    format!(
        "{votes} of {needed} votes to {command} {name}: further players have {BALLOT_SECONDS} s \
         from the first vote to run `raftian {command} {name}` too"
    )
}

pub(super) fn promote(args: &NamedArgs) -> Result<Exit, Failure> {
    set_standing(args, Standing::Joining)?;
    note(&format!("{} gets a vote once it keeps up", args.name));
    Ok(Exit::Success)
}

pub(super) fn demote(args: &NamedArgs) -> Result<Exit, Failure> {
    let reply = set_standing(args, Standing::Learner)?;
    note(&match reply {
        MatchReply::Voted { votes, needed } => vote_text("demote", &args.name, votes, needed),
        _ => format!("{} only watches now", args.name),
    });
    Ok(Exit::Success)
}

fn set_standing(args: &NamedArgs, standing: Standing) -> Result<MatchReply, Failure> {
    let member = find(&args.member, &args.name)?;
    request(
        &args.member,
        &MatchRequest::SetStanding { member, standing },
    )
}

pub(super) fn transfer(args: &TransferArgs) -> Result<Exit, Failure> {
    let name = args.name.as_ref();
    let to = name.map(|name| find(&args.member, name)).transpose()?;
    request(&args.member, &MatchRequest::Transfer { to, from: None })?;
    match name {
        Some(name) => note(&format!("{name} leads now")),
        None => note("another member leads now"),
    }
    Ok(Exit::Success)
}

/// Makes a request about the match through the running member.
pub(super) fn request(args: &RunningArgs, request: &MatchRequest) -> Result<MatchReply, Failure> {
    let question = AdminRequest::Match {
        request: Box::new(request.clone()),
    };
    match ask(&args.config()?, &question, TIMEOUT)? {
        AdminResponse::Match {
            reply: reply @ (MatchReply::Done | MatchReply::Invited(_) | MatchReply::Voted { .. }),
        } => Ok(reply),
        other => Err(unexpected(&other)),
    }
}

/// Returns the member with this name or id.
fn find(args: &RunningArgs, name: &str) -> Result<NodeId, Failure> {
    let status = ask_status(&args.config()?)?;
    find_in(&status, name).ok_or_else(|| {
        let names: Vec<_> = status
            .membership
            .members
            .iter()
            .map(|member| match &member.name {
                Some(name) => format!("{name} (n{})", member.id),
                None => format!("n{}", member.id),
            })
            .collect();
        Failure::new(
            Exit::Usage,
            format!(
                "no member is named {name:?}; there are {}",
                names.join(", ")
            ),
        )
    })
}

fn find_in(status: &StatusDocument, name: &str) -> Option<NodeId> {
    let members = &status.membership.members;
    let named = members
        .iter()
        .find(|member| member.name.as_ref().is_some_and(|own| own == name))
        .or_else(|| {
            members
                .iter()
                .find(|member| format!("n{}", member.id) == name)
        })?;
    Some(NodeId(named.id))
}
