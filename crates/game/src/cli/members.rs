//! `raftian members`.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::output::{failed, print, print_json};
use super::profile::RunningArgs;
use super::status::ask_status;
use super::{Exit, Failure};
use crate::status_document::{StandingDocument, StatusDocument};

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.members/1";

#[derive(Args, Debug)]
pub(super) struct MembersArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Output of `raftian members --json`.
#[derive(Clone, Debug, Serialize)]
struct MembersDocument {
    schema: &'static str,
    ok: bool,
    /// Name of the cluster.
    cluster: String,
    /// Founders that the asked member waits for before the match is founded; empty once it is.
    awaited_founders: Vec<u64>,
    members: Vec<MemberDocument>,
}

/// One member, as the asked member sees it.
#[derive(Clone, Debug, Serialize)]
struct MemberDocument {
    id: u64,
    name: String,
    /// voter, witness, learner, joining, or leaving.
    kind: String,
    /// Whether it only watches.
    watches: bool,
    /// Names of the players who vote for its removal.
    votes_to_remove: Vec<String>,
    /// Names of the players who vote for making it a spectator.
    votes_to_demote: Vec<String>,
    /// Whether it is the leader known to the asked member.
    leads: bool,
    /// Hash of its certificate, if it is known.
    fingerprint: Option<String>,
    incarnation: u64,
    /// Addresses at which it may be reached, the best first.
    addresses: Vec<String>,
    /// Whether a connection with it stands; always true for the asked member itself.
    connected: bool,
}

pub(super) fn run(args: &MembersArgs) -> Result<Exit, Failure> {
    let document = members(args).map_err(|failure| failed(args.json, SCHEMA, failure))?;
    if args.json {
        print_json(&document)?;
    } else {
        print(document.to_text().trim_end())?;
    }
    Ok(Exit::Success)
}

fn members(args: &MembersArgs) -> Result<MembersDocument, Failure> {
    let config = args.member.config()?;
    let status = ask_status(&config)?;
    Ok(MembersDocument::of(&status))
}

impl MembersDocument {
    fn of(status: &StatusDocument) -> Self {
        MembersDocument {
            schema: SCHEMA,
            ok: true,
            cluster: status.cluster.clone(),
            awaited_founders: status.awaited_founders.clone(),
            members: status
                .membership
                .members
                .iter()
                .map(|member| MemberDocument::of(status, member))
                .collect(),
        }
    }

    /// Formats one line per member, in columns.
    fn to_text(&self) -> String {
        let width = self
            .members
            .iter()
            .map(|member| member.name.chars().count());
        let width = width.max().unwrap_or(0);
        let mut text = String::new();
        for member in &self.members {
            let link = if member.connected {
                "connected"
            } else {
                "not connected"
            };
            let leads = if member.leads { ", leads" } else { "" };
            let watches = if member.watches { ", watches" } else { "" };
            let votes = [
                ("remove", &member.votes_to_remove),
                ("demote", &member.votes_to_demote),
            ];
            let votes: String = votes
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(measure, names)| format!(", votes to {measure}: {}", names.join(", ")))
                .collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  n{:<2} {:<8} {:<13}  {}{leads}{watches}{votes}",
                member.name,
                member.id,
                member.kind,
                link,
                member.addresses.join(", "),
            );
        }
        if !self.awaited_founders.is_empty() {
            text += "the match is not founded yet: all founders must run at the same time\n";
        }
        text
    }
}

/// Names of members, for those who have none the ids.
fn names(status: &StatusDocument, ids: &[u64]) -> Vec<String> {
    let name = |id: &u64| {
        let members = status.membership.members.iter();
        let name = members.filter(|member| member.id == *id);
        let name = name.filter_map(|member| member.name.clone()).next();
        name.unwrap_or_else(|| format!("n{id}"))
    };
    ids.iter().map(name).collect()
}

impl MemberDocument {
    fn of(status: &StatusDocument, member: &StandingDocument) -> Self {
        let peer = status.peers.iter().find(|peer| peer.id == member.id);
        MemberDocument {
            id: member.id,
            name: member
                .name
                .clone()
                .unwrap_or_else(|| format!("n{}", member.id)),
            kind: member.standing.clone(),
            watches: member.watches,
            votes_to_remove: names(status, &member.votes_to_remove),
            votes_to_demote: names(status, &member.votes_to_demote),
            leads: status.leader == Some(member.id),
            fingerprint: member.fingerprint.clone(),
            incarnation: member.incarnation,
            addresses: member.addresses.iter().map(ToString::to_string).collect(),
            connected: status.id == member.id || peer.is_some_and(|peer| peer.connected),
        }
    }
}
