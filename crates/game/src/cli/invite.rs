//! `raftian invite`: creates and revokes invites.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use raftian_node::cluster::Fingerprint;
use raftian_node::fresh_secret;
use raftian_node::match_request::{MatchReply, MatchRequest};
use raftian_node::ticket::{MatchId, Secret, Ticket, TicketMember};
use serde::Serialize;

use super::change::request;
use super::output::{failed, print, print_json};
use super::profile::RunningArgs;
use super::status::ask_status;
use super::{Exit, Failure};
use crate::status_document::StatusDocument;
use crate::terminal::note;

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.invite/1";

#[derive(Args, Debug)]
pub(super) struct InviteArgs {
    #[command(subcommand)]
    command: Option<InviteCommand>,
    #[command(flatten)]
    new: NewInviteArgs,
    #[command(flatten)]
    member: RunningArgs,
}

#[derive(Args, Debug)]
struct NewInviteArgs {
    /// How many players may join with it; the default is any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// Time until it expires, such as 30m, 1h or 7d; by default it does not expire.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum InviteCommand {
    /// Revoke an invite: its ticket is no longer accepted.
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
struct RevokeArgs {
    /// Number of the invite.
    number: u32,
}

/// Output of `raftian invite --json`.
#[derive(Serialize)]
struct InviteDocument {
    schema: &'static str,
    ok: bool,
    invite: u32,
    ticket: String,
}

pub(super) fn run(args: &InviteArgs) -> Result<Exit, Failure> {
    match &args.command {
        Some(InviteCommand::Revoke(revoke)) => {
            let number = revoke.number;
            request(&args.member, &MatchRequest::Revoke { number })?;
            note(&format!("invite {number} is revoked"));
        }
        None => {
            let document = invite(&args.new, &args.member)
                .map_err(|failure| failed(args.new.json, SCHEMA, failure))?;
            if args.new.json {
                print_json(&document)?;
            } else {
                print(&document.ticket)?;
                let number = document.invite;
                note(&format!(
                    "this is invite {number}; `raftian invite revoke {number}` revokes it"
                ));
            }
        }
    }
    Ok(Exit::Success)
}

fn invite(args: &NewInviteArgs, member: &RunningArgs) -> Result<InviteDocument, Failure> {
    let secret = fresh_secret().map_err(|error| Failure::new(Exit::Unexpected, error))?;
    let secret = Secret(secret);
    let expires = args.expires.map(|validity| {
        let end = SystemTime::now() + validity;
        end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    });
    let new = MatchRequest::Invite {
        key: secret.key(),
        uses: args.uses,
        expires,
    };
    let MatchReply::Invited(number) = request(member, &new)? else {
        return Err(Failure::new(
            Exit::Version,
            "the member's response does not match the request; does it run this version?",
        ));
    };
    let status = ask_status(&member.config()?)?;
    let ticket = ticket(&status, number, secret)?;
    Ok(InviteDocument {
        schema: SCHEMA,
        ok: true,
        invite: number,
        ticket: ticket.to_string(),
    })
}

/// Returns a ticket with the members that the asked member knows.
fn ticket(status: &StatusDocument, invite: u32, secret: Secret) -> Result<Ticket, Failure> {
    let record = status.record.as_ref().ok_or_else(unreadable)?;
    let match_id = MatchId::try_from(record.id.clone()).map_err(|_| unreadable())?;
    let members = status.membership.members.iter().filter_map(|member| {
        let fingerprint: Fingerprint = member.fingerprint.as_ref()?.parse().ok()?;
        Some(TicketMember::new(&fingerprint, member.addresses.clone()))
    });
    Ok(Ticket {
        match_id,
        invite,
        secret,
        members: members.collect(),
    })
}

fn unreadable() -> Failure {
    Failure::new(
        Exit::Version,
        "the member's status cannot be read by this version",
    )
}

/// Parses a duration such as 90s, 30m, 1h or 7d.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a time such as 90s, 30m, 1h or 7d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    // A hundred years: more is an error in the number.
    count
        .checked_mul(seconds)
        .filter(|seconds| (1..=100 * 365 * 24 * 3600).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in [
            "",
            "h",
            "1",
            "-1h",
            "0m",
            "1w",
            "1\u{e9}",
            "99999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
