//! Joins a running match by a ticket or a code.

use std::str::FromStr;
use std::time::Duration;

use super::{
    Launch, Player, PlayerError, bind, check_addresses, check_name, default_name, occupied, resume,
};
use crate::address::Address;
use crate::admission::proof;
use crate::clock::wall_clock;
use crate::cluster::{
    FirstStart, Identity, KnownMember, MemberFile, check_key, check_player_name, identity_in,
};
use crate::code::Code;
use crate::contact::{Contact, contacts, own_addresses};
use crate::lan::{LanMatch, browse};
use crate::match_record::MatchRecord;
use crate::match_request::{Admitted, JoinRequest, JoinerRequest, MatchReply, Part, Refusal};
use crate::quic::{AskError, ask, ask_at};
use crate::random_ids::fresh_incarnation;
use crate::signing::CommandSigner;
use crate::store::Creation;
use crate::ticket::{MatchId, Ticket, TicketError, TicketMember};
use crate::wire::{self, WIRE_VERSION};

/// Longest time to look for a code on the local network.
const CODE_TIMEOUT: Duration = Duration::from_secs(5);

/// A ticket, or the code of a match on the local network. Parsed from the text of either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Invitation {
    /// A ticket.
    Ticket(Ticket),
    /// A code.
    Code(Code),
    /// A code, and the address of a member of its match, for networks without mDNS. As text
    /// `CODE@HOST:PORT`.
    At(Code, Address),
}

impl FromStr for Invitation {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((code, address)) = text.trim().split_once('@') {
            let code = code.parse().map_err(|_| TicketError::NotATicket)?;
            let address = address.parse().map_err(|_| TicketError::NotAnAddress)?;
            return Ok(Invitation::At(code, address));
        }
        match text.parse() {
            Ok(code) => Ok(Invitation::Code(code)),
            Err(_) => text.parse().map(Invitation::Ticket),
        }
    }
}

/// Asks the members of a match to admit the player, and prepares to take part. A player who is a
/// member already continues, also if no member answers.
///
/// # Errors
/// [`PlayerError`].
pub fn join(player: &Player, invitation: &Invitation, part: Part) -> Result<Launch, PlayerError> {
    let ticket = match invitation {
        Invitation::Ticket(ticket) => ticket.clone(),
        Invitation::Code(code) => find(*code)?,
        Invitation::At(code, address) => find_at(*code, address)?,
    };
    let directory = match &player.directory {
        Some(directory) => directory.clone(),
        None => player.folders.directory(ticket.match_id),
    };
    let present = MemberFile::find(&directory)?.filter(|file| !file.left);
    if let Some(file) = &present
        && file.match_id != ticket.match_id
    {
        return Err(occupied(directory, file));
    }
    let present = present.filter(|file| {
        let store = file.store_directory(&directory).join("raft.redb");
        store.exists()
    });
    let name = match (&player.name, &present) {
        (Some(name), _) => name.clone(),
        (None, Some(file)) => file.name.clone(),
        (None, None) => default_name(),
    };
    check_name("name of the player", &name)?;
    check_addresses(&player.addresses)?;
    let (socket, listen) = bind(player.listen, present.as_ref())?;
    let is_ipv6 = |address: &Address| address.ip().is_some_and(|ip| ip.to_canonical().is_ipv6());
    let mut addresses = ticket
        .members
        .iter()
        .flat_map(|member| &member.addresses)
        .peekable();
    if listen.is_ipv4() && addresses.peek().is_some() && addresses.all(is_ipv6) {
        return Err(PlayerError::Family { listen });
    }
    // A new key in place of a lost one would be another player.
    if present.is_some() {
        check_key(&directory)?;
    }
    let mut named = player.addresses.clone();
    if let Some(file) = present.as_ref().filter(|_| named.is_empty()) {
        named.clone_from(&file.addresses);
    }
    let identity = identity_in(&directory)?;
    let signer = CommandSigner::new(&identity);
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
        rules: player.rules.clone(),
        name: name.clone(),
        key: signer.key(),
        key_proof: signer.prove(&binding),
        addresses: own_addresses(&named, listen),
        incarnation,
        part,
        clock: wall_clock(),
    };
    let mut admitted = request_admission(&identity, &ticket, request);
    let mut elsewhere = ticket.clone();
    // The members that it names may have left, and others be near.
    if admitted.as_ref().is_err_and(is_unanswered) && find_members(&mut elsewhere) {
        admitted = request_admission(&identity, &elsewhere, request);
    }
    let admitted = match admitted {
        Err(PlayerError::Refused(Refusal::WrongSecret(_))) => {
            return Err(match invitation {
                Invitation::At(_, address) => PlayerError::OtherCode(address.clone()),
                Invitation::Ticket(_) | Invitation::Code(_) => {
                    PlayerError::Refused(Refusal::WrongSecret(ticket.invite))
                }
            });
        }
        // The others know whether this player still is a member; if none answers, its store does.
        Err(error) if present.is_some() && is_undecided(&error) => {
            drop(socket);
            return resume(player, &directory);
        }
        admitted => admitted?,
    };
    let id = admitted.id;
    // A member that joined before keeps its name.
    let name = Contact::of(&admitted.membership, id).map_or(name, |contact| contact.name);
    let known = contacts(&admitted.membership)
        .into_iter()
        .filter(|(known, _)| *known != id)
        .filter_map(|(known, contact)| KnownMember::new(known, &contact));
    let match_name = MatchRecord::of(&admitted.membership).map_or("match".to_owned(), |r| r.name);
    let guard = player.folders.guard(ticket.match_id, id);
    let mut file = MemberFile::new(
        (ticket.match_id, match_name),
        (id, name),
        listen,
        guard,
        known.collect(),
    );
    file.addresses = named;
    // The founder may join its own match.
    if let Some(present) = present.filter(|present| present.id == id.0) {
        (file.invite, file.code) = (present.invite, present.code);
        (file.listen, file.first_listen) = (present.listen, present.first_listen);
        file.set_listen(listen, player.listen.is_some());
    }
    Ok(Launch {
        directory,
        file,
        first_start: Some(FirstStart {
            founding: admitted.founding,
            // A store that was lost is replaced: the leader admits the new incarnation.
            creation: Creation::replacement(incarnation),
        }),
        socket,
        rules: player.rules.clone(),
    })
}

/// No member answered, so others may.
fn is_unanswered(error: &PlayerError) -> bool {
    matches!(
        error,
        PlayerError::Ask(AskError::Unreachable { .. } | AskError::NoAnswer)
    )
}

/// No member could decide.
fn is_undecided(error: &PlayerError) -> bool {
    is_unanswered(error) || matches!(error, PlayerError::Refused(Refusal::NoQuorum))
}

/// Finds the match with this code on the local network.
fn find(code: Code) -> Result<Ticket, PlayerError> {
    let hint = code.hint();
    let has_it = |found: &LanMatch| found.code.is_some_and(|(other, _)| other == hint);
    let all = browse(CODE_TIMEOUT, has_it).map_err(PlayerError::Discovery)?;
    let Some(found) = all.iter().find(|found| has_it(found)) else {
        return Err(PlayerError::UnknownCode);
    };
    if found.protocol != WIRE_VERSION {
        return Err(PlayerError::ForeignProtocol {
            name: found.name.clone(),
            theirs: found.protocol,
            own: WIRE_VERSION,
        });
    }
    let invite = found.code.map_or(0, |(_, invite)| invite);
    Ok(Ticket {
        match_id: found.match_id,
        invite,
        secret: code.secret(),
        members: announcers(&all, found.match_id),
    })
}

/// Asks the member at `address` for its match, which must have this code.
fn find_at(code: Code, address: &Address) -> Result<Ticket, PlayerError> {
    // The player's own key belongs to a match that is not known yet.
    let identity = Identity::generate()?;
    let request = wire::encode_value(&JoinerRequest::Describe).unwrap_or_default();
    let (answer, fingerprint) = block_on(ask_at(&identity, address, request))??;
    let description = match wire::decode_value(&answer) {
        Ok(MatchReply::Described(description)) => description,
        Ok(MatchReply::Refused(refusal)) => return Err(refusal.into()),
        Ok(_) | Err(_) => return Err(PlayerError::UnexpectedReply),
    };
    // The sender is not authenticated yet, and the name is printed.
    if check_player_name(&description.name).is_err() {
        return Err(PlayerError::UnexpectedReply);
    }
    Ok(Ticket {
        match_id: description.match_id,
        invite: description.invite,
        secret: code.secret(),
        members: vec![TicketMember::new(&fingerprint, vec![address.clone()])],
    })
}

/// Members that announce the match.
fn announcers(all: &[LanMatch], match_id: MatchId) -> Vec<TicketMember> {
    all.iter()
        .filter(|found| found.match_id == match_id)
        .map(|found| {
            let addresses = found.addresses.iter().copied().map(Address::Ip);
            TicketMember::new(&found.fingerprint, addresses.collect())
        })
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

/// Asks the members of the ticket to admit this player.
fn request_admission(
    identity: &Identity,
    ticket: &Ticket,
    request: impl Fn([u8; 32]) -> JoinRequest,
) -> Result<Admitted, PlayerError> {
    let answer = block_on(ask(
        identity,
        ticket,
        |binding| {
            // A request within its bounds can be encoded.
            wire::encode_value(&JoinerRequest::Join(request(binding))).unwrap_or_default()
        },
        is_final,
    ))??;
    match wire::decode_value(&answer) {
        Ok(MatchReply::Admitted(admitted)) => Ok(*admitted),
        Ok(MatchReply::Refused(refusal)) => Err(refusal.into()),
        Ok(_) | Err(_) => Err(PlayerError::UnexpectedReply),
    }
}

/// Runs a request to its end. A resolver of host names may still hang then, and is not waited for.
fn block_on<T>(request: impl Future<Output = T>) -> Result<T, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AskError::Local(error.to_string()))?;
    let result = runtime.block_on(request);
    runtime.shutdown_background();
    Ok(result)
}
