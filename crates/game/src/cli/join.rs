//! `raftian join`: joins a running match, or continues as a member of it.

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use raftian_node::admission::proof;
use raftian_node::cluster::{
    FirstStart, Identity, KnownMember, MemberFile, check_player_name, identity_in,
};
use raftian_node::code::Code;
use raftian_node::contact::{Contact, contacts, local_addresses};
use raftian_node::fresh_incarnation;
use raftian_node::match_record::MatchRecord;
use raftian_node::match_request::{Admitted, JoinRequest, MatchReply, Refusal};
use raftian_node::quic::ask;
use raftian_node::store::Creation;
use raftian_node::ticket::{MAX_TICKET, MatchId, Ticket, TicketMember};
use raftian_node::wire::{self, WIRE_VERSION};

use super::discover::no_mdns;
use super::exit::exit_of;
use super::member::{Launch, PlaceArgs, bind, check_display, default_name, run as run_member};
use super::profile::{mark, match_directory};
use super::start::resume;
use super::{Exit, Failure};
use crate::lan::{LanMatch, browse};
use crate::replication::RULES;

/// Longest time to look for a code on the local network.
const CODE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct JoinArgs {
    /// The ticket or code, or - to read it from standard input.
    ticket: String,
    /// Your name; the default is that of the user.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Join without a vote: the match never waits for this machine.
    #[arg(long)]
    spectate: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &JoinArgs, log_level: &str) -> Result<Exit, Failure> {
    check_display(&args.place)?;
    let ticket = read_ticket(&args.ticket)?;
    let directory = match &args.place.data {
        Some(directory) => directory.clone(),
        None => match_directory(&ticket.match_id.to_string())?,
    };
    let present = MemberFile::find(&directory)?.filter(|file| !file.left);
    if let Some(file) = &present
        && file.match_id != ticket.match_id
    {
        return Err(Failure::new(
            Exit::Configuration,
            format!(
                "{} holds another match, {}, as member n{}; leave that one first, or choose \
                     another directory with --data",
                directory.display(),
                file.match_name,
                file.id
            ),
        ));
    }
    let present = present.filter(|file| {
        let store = file.store_directory(&directory).join("raft.redb");
        store.exists()
    });
    let name = match (&args.name, &present) {
        (Some(name), _) => name.clone(),
        (None, Some(file)) => file.name.clone(),
        (None, None) => default_name(),
    };
    check_player_name(&name)
        .map_err(|reason| Failure::new(Exit::Usage, format!("--name {name:?}: {reason}")))?;
    let last = present.as_ref().map(|file| file.listen);
    let (socket, listen) = bind(args.place.listen, last)?;
    let identity = identity_in(&directory)?;
    let incarnation = fresh_incarnation();
    let request = |binding: [u8; 32]| JoinRequest {
        match_id: ticket.match_id,
        invite: ticket.invite,
        proof: proof(
            &ticket.secret.key(),
            &binding,
            ticket.match_id,
            ticket.invite,
        ),
        rules: RULES.to_owned(),
        name: name.clone(),
        addresses: local_addresses(listen),
        incarnation,
        spectates: args.spectate,
        clock: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs(),
    };
    let mut admitted = request_admission(&identity, &ticket, request);
    let mut elsewhere = ticket.clone();
    // The members that it names may have left, and others be near.
    if admitted
        .as_ref()
        .is_err_and(|failure| failure.exit == Exit::Network)
        && find_members(&mut elsewhere)
    {
        admitted = request_admission(&identity, &elsewhere, request);
    }
    let admitted = match (admitted, present) {
        // The others know whether this player still is a member; if none answers, its store does.
        (Err(failure), Some(file)) if [Exit::Network, Exit::NoQuorum].contains(&failure.exit) => {
            drop(socket);
            return resume(directory, file, &args.place, log_level);
        }
        (admitted, _) => admitted?,
    };
    let id = admitted.id;
    // A member that joined before keeps its name.
    let name = Contact::of(&admitted.membership, id).map_or(name, |contact| contact.name);
    let known = contacts(&admitted.membership)
        .into_iter()
        .filter(|(known, _)| *known != id)
        .filter_map(|(known, contact)| KnownMember::new(known, &contact));
    let match_name = MatchRecord::of(&admitted.membership).map_or("match".to_owned(), |r| r.name);
    let mark = mark(&directory, &ticket.match_id.to_string(), id);
    let file = MemberFile::new(
        (ticket.match_id, match_name),
        (id, name.clone()),
        listen,
        mark,
        known.collect(),
    );
    let launch = Launch {
        directory,
        file,
        first_start: Some(FirstStart {
            founding: admitted.founding,
            // A store that was lost is replaced: the leader admits the new incarnation.
            creation: Creation::replacement(incarnation),
        }),
        socket,
    };
    run_member(launch, &args.place, log_level)
}

/// Finds the match with this code on the local network.
fn find(code: Code) -> Result<Ticket, Failure> {
    let has_it = |found: &LanMatch| found.code.is_some_and(|(hint, _)| hint == code.hint());
    let all = browse(CODE_TIMEOUT, has_it).map_err(no_mdns)?;
    let Some(found) = all.iter().find(|found| has_it(found)) else {
        return Err(Failure::new(
            Exit::Network,
            "no match with this code is announced on the local network; check the code, or join \
             with a ticket",
        ));
    };
    if found.protocol != WIRE_VERSION {
        return Err(Failure::new(
            Exit::Version,
            format!(
                "{} speaks protocol {}, but this build {WIRE_VERSION}; use the same build",
                found.name, found.protocol
            ),
        ));
    }
    let invite = found.code.map_or(0, |(_, invite)| invite);
    Ok(Ticket {
        match_id: found.match_id,
        invite,
        secret: code.secret(),
        members: announcers(&all, found.match_id),
    })
}

/// Members that announce the match.
fn announcers(all: &[LanMatch], match_id: MatchId) -> Vec<TicketMember> {
    all.iter()
        .filter(|found| found.match_id == match_id)
        .map(|found| TicketMember::new(&found.fingerprint, found.addresses.clone()))
        .collect()
}

/// Replaces the members of a ticket by those that announce its match on the local network; returns
/// whether there are any.
fn find_members(ticket: &mut Ticket) -> bool {
    let is_same = |found: &LanMatch| found.match_id == ticket.match_id;
    // Without mDNS the members in the ticket are all that is known.
    let all = browse(CODE_TIMEOUT, is_same).unwrap_or_default();
    ticket.members = announcers(&all, ticket.match_id);
    !ticket.members.is_empty()
}

/// Whether a reply to a request to join decides. A member that is behind does not know the newest
/// invites, and one that is cut off reaches no leader; another one may.
fn is_final(answer: &[u8]) -> bool {
    !matches!(
        wire::decode_value(answer),
        Ok(MatchReply::Refused(
            Refusal::NoInvite(_) | Refusal::NotJoinable | Refusal::NoQuorum
        ))
    )
}

fn read_ticket(text: &str) -> Result<Ticket, Failure> {
    let mut given = text.to_owned();
    if text == "-" {
        given.clear();
        std::io::stdin()
            .take(4 * MAX_TICKET as u64)
            .read_to_string(&mut given)
            .map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot read the ticket: {error}"))
            })?;
    }
    if let Ok(code) = given.parse::<Code>() {
        return find(code);
    }
    given
        .parse()
        .map_err(|error: raftian_node::ticket::TicketError| {
            let exit = match error {
                raftian_node::ticket::TicketError::ForeignVersion { .. } => Exit::Version,
                _ => Exit::Refused,
            };
            Failure::new(exit, error.to_string())
        })
}

/// Asks the members of the ticket to admit this player.
fn request_admission(
    identity: &Identity,
    ticket: &Ticket,
    request: impl Fn([u8; 32]) -> JoinRequest,
) -> Result<Admitted, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    let answer = runtime.block_on(ask(
        identity,
        ticket,
        |binding| {
            // A request within its bounds can be encoded.
            wire::encode_value(&request(binding)).unwrap_or_default()
        },
        is_final,
    ))?;
    match wire::decode_value(&answer)
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?
    {
        MatchReply::Admitted(admitted) => Ok(*admitted),
        MatchReply::Refused(refusal) => Err(Failure::new(exit_of(&refusal), refusal.to_string())),
        _ => Err(Failure::new(
            Exit::Version,
            "the member's reply does not match the request; does it run this version?",
        )),
    }
}
