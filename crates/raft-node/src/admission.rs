//! Rules of admission to a match, and of the other requests about its members: which change of the
//! membership fulfils a request.
//!
//! Decision: a player proves that it knows the secret of an invite without sending it, by a keyed
//! hash over a secret of the TLS session. Why: a node that pretends to be a member learns nothing
//! that it could use at a real one, and a proof is worthless on another connection. Would change
//! if: invites were signed by members.
//!
//! Decision: at most five members vote, and three of four players. Why: four voters survive no more
//! crashes than three, nor six more than five, and every further one slows each commit down. The
//! others wait as learners and get the vote of one that is lost. Would change if: matches were so
//! large that two of five were likely to crash within the time in which a vote moves.
//!
//! Decision: while two players vote and there is no witness, a spectator gets a vote. Why: two
//! voters stop when one of them crashes, and with a third machine they go on. The match still waits
//! for no spectator, since the two players are a majority. Would change if: spectators
//! were not trusted with a vote.
//!
//! Decision: the use of an invite and the addition of the member are one entry of the log. Why: two
//! players who use the last place of an invite at once cannot both get it. Would change if: never.

use raftian_raft::{Change, Member, Membership, MembershipError, NodeId, Standing};
use ring::hmac;

use crate::ballot::{Circumstances, Measure, vote};
use crate::cluster::{Fingerprint, check_player_name};
use crate::contact::{Contact, contacts, has_key_of_another};
use crate::match_record::{Invite, MAX_INVITES, MAX_PLAYERS, MAX_SPECTATORS, MatchRecord};
use crate::match_request::{
    Admission, Admitted, JoinRequest, MatchReply, MatchRequest, Part, Refusal,
};
use crate::ticket::MatchId;

/// Difference of two clocks, in seconds, that is worth a remark: an hour.
const CLOCK_REMARK: u64 = 3600;

const KEY_TAKEN: &str = "another member has the key of this player's orders";

/// Seconds of a day and a year, for remarks.
const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;

/// Returns the proof that the holder of an invite makes on one connection: HMAC-SHA256, with the
/// hash of the secret as its key, over the secret of the session, the match and the invite.
pub fn proof(key: &[u8; 32], binding: &[u8; 32], match_id: MatchId, invite: u32) -> [u8; 32] {
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, key),
        &proved(binding, match_id, invite),
    );
    let mut proof = [0; 32];
    proof.copy_from_slice(tag.as_ref());
    proof
}

fn proved(binding: &[u8; 32], match_id: MatchId, invite: u32) -> Vec<u8> {
    [&binding[..], &match_id.0, &invite.to_be_bytes()].concat()
}

/// Checks the parts of a request to join that any member can check, before the leader is asked. A
/// player who has the certificate of a member needs no invite.
///
/// # Errors
/// The reason why the player is not admitted.
pub fn check(
    membership: &Membership,
    request: &JoinRequest,
    (fingerprint, binding): (Fingerprint, &[u8; 32]),
) -> Result<(), Refusal> {
    let record = MatchRecord::of(membership).ok_or(Refusal::NotJoinable)?;
    if record.id != request.match_id {
        return Err(Refusal::OtherMatch);
    }
    let is_member = Contact::find(membership, fingerprint).is_some();
    if !is_member {
        check_proof(&record, request, binding)?;
    }
    if !request.key.is_proved(binding, &request.key_proof) {
        let reason = "the request does not prove the key of this player's orders";
        return Err(Refusal::Impossible(reason.to_owned()));
    }
    if record.rules != request.rules {
        return Err(Refusal::OtherRules {
            theirs: record.rules,
            own: request.rules.clone(),
        });
    }
    check_player_name(&request.name).map_err(|reason| Refusal::InvalidName {
        name: request.name.clone(),
        reason,
    })
}

fn check_proof(
    record: &MatchRecord,
    request: &JoinRequest,
    binding: &[u8; 32],
) -> Result<(), Refusal> {
    let number = request.invite;
    let invite = record.invite(number).ok_or(Refusal::NoInvite(number))?;
    // Compared in constant time.
    hmac::verify(
        &hmac::Key::new(hmac::HMAC_SHA256, &invite.key),
        &proved(binding, request.match_id, number),
        &request.proof,
    )
    .map_err(|_| Refusal::WrongSecret(number))
}

/// Next action of a leader about a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The request is fulfilled, or refused; a reply other than a refusal may be sent once the
    /// membership is committed.
    Reply(MatchReply),
    /// This change fulfils the request.
    Change(Change),
    /// Leadership must be transferred first.
    Transfer(Option<NodeId>),
}

/// Returns the next step of the leader `own`, whose newest membership is `membership`.
pub fn next_step(
    own: NodeId,
    founding: &Membership,
    membership: &Membership,
    request: &MatchRequest,
    circumstances: &Circumstances,
) -> Step {
    let now = circumstances.now;
    let step = match request {
        MatchRequest::Admit(admission) => admit(founding, membership, admission, now),
        MatchRequest::Invite { key, uses, expires } => {
            invite(membership, (*key, *uses, *expires), now)
        }
        MatchRequest::Revoke { number } => revoke(membership, *number),
        MatchRequest::Remove { member } => remove(own, membership, *member, circumstances),
        MatchRequest::SetStanding { member, standing } => {
            set_standing(membership, *member, *standing, circumstances)
        }
        MatchRequest::Transfer { to, from } => transfer(own, membership, *to, *from),
        MatchRequest::Record { member, contact } => record_contact(membership, *member, contact),
        MatchRequest::Contacts => Ok(Step::Reply(MatchReply::Contacts(contacts(membership)))),
        // Answered from the leader's status; the membership shows no progress.
        MatchRequest::Progress => Ok(Step::Reply(MatchReply::Progress(Vec::new()))),
        // Answered by the links of the asked member.
        MatchRequest::ObservedAddress => Ok(Step::Reply(MatchReply::ObservedAddress(None))),
        MatchRequest::Checkpoints(_) => Ok(Step::Reply(MatchReply::Checkpoints(Vec::new()))),
    };
    step.unwrap_or_else(|refusal| Step::Reply(MatchReply::Refused(refusal)))
}

fn admit(
    founding: &Membership,
    membership: &Membership,
    admission: &Admission,
    now: u64,
) -> Result<Step, Refusal> {
    let contact = &admission.contact;
    if let Some(id) = Contact::find(membership, contact.fingerprint) {
        // Admitted before, and asks again. If its disk is a new one, the leader replaces the
        // incarnation once the member answers.
        return Ok(Step::Reply(MatchReply::Admitted(Box::new(Admitted {
            id,
            founding: founding.clone(),
            membership: membership.clone(),
        }))));
    }
    if has_key_of_another(membership, contact, None) {
        return Err(impossible(KEY_TAKEN));
    }
    let mut record = MatchRecord::of(membership).ok_or(Refusal::NotJoinable)?;
    let number = admission.invite;
    let place = record
        .invites
        .iter()
        .position(|invite| invite.number == number)
        .ok_or(Refusal::NoInvite(number))?;
    let invite = &mut record.invites[place];
    if invite.expires.is_some_and(|expires| expires <= now) {
        let clocks = clock_remark(now, admission.clock);
        return Err(Refusal::Expired { number, clocks });
    }
    match &mut invite.uses_left {
        None => {}
        Some(0) => return Err(Refusal::UsedUp(number)),
        Some(uses) => *uses -= 1,
    }
    check_room(membership, &record, admission.part)?;
    check_name_is_free(membership, &contact.name, None)?;
    let id = NodeId(record.next_member);
    record.next_member += 1;
    let standing = match admission.part {
        Part::Player => {
            let wanted = wanted_voters(players(membership, &record).count() + 1);
            if voting_players(membership, &record).count() < wanted {
                Standing::Joining
            } else {
                Standing::Learner
            }
        }
        Part::Spectator => {
            record.spectators.retain(|id| membership.contains(*id));
            record.spectators.push(id);
            Standing::Learner
        }
        Part::Witness => Standing::Witness,
    };
    Ok(Step::Change(Change::Add {
        id,
        incarnation: admission.incarnation,
        standing,
        contact: contact.encode().map_err(impossible)?,
        annex: Some(record.encode().map_err(impossible)?),
    }))
}

/// Number of voters for a number of players, not counting a witness.
fn wanted_voters(players: usize) -> usize {
    match players {
        0..=3 => players,
        4 => 3,
        _ => 5,
    }
}

/// The members that play, with a vote or waiting for one.
pub(crate) fn players<'a>(
    membership: &'a Membership,
    record: &'a MatchRecord,
) -> impl Iterator<Item = (NodeId, &'a Member)> {
    membership.members().filter(|(id, member)| {
        !record.spectators.contains(id) && member.standing != Some(Standing::Witness)
    })
}

/// The players that vote, or will once they keep up.
fn voting_players<'a>(
    membership: &'a Membership,
    record: &'a MatchRecord,
) -> impl Iterator<Item = NodeId> + 'a {
    players(membership, record)
        .filter(|(_, member)| is_voting(member))
        .map(|(id, _)| id)
}

fn is_voting(member: &Member) -> bool {
    matches!(member.standing, Some(Standing::Voter | Standing::Joining))
}

/// Step of a leader towards the wanted voters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Balance {
    /// One member gets a vote or loses it.
    Change(Change),
    /// The leader only watches and must lose its vote, so this player leads first.
    Transfer(NodeId),
}

/// Returns the next step of the leader `own` towards the wanted voters, `None` if the right members
/// vote. `counts` returns whether a member answers and, if it is to become a voter, has not needed
/// too long for that; `progress` returns how far its log is.
pub fn next_vote(
    own: NodeId,
    membership: &Membership,
    counts: impl Fn(NodeId) -> bool,
    progress: impl Fn(NodeId) -> u64,
) -> Option<Balance> {
    let record = MatchRecord::of(membership)?;
    let present: Vec<_> = players(membership, &record)
        .filter(|(id, _)| counts(*id))
        .collect();
    let wanted = wanted_voters(present.len());
    if present
        .iter()
        .filter(|(_, member)| is_voting(member))
        .count()
        < wanted
    {
        return give_vote(present.into_iter(), progress);
    }
    // One that returns has got its vote back before another one loses it.
    let voters: Vec<_> = present.into_iter().filter(votes).collect();
    if voters.len() > wanted {
        let last = voters.into_iter().rfind(|(id, _)| *id != own)?;
        return Some(change_of(last, Standing::Learner));
    }
    next_vote_of_spectators(own, membership, &record, (counts, progress))
}

/// Gives a spectator the vote that two players need besides theirs, or takes it.
fn next_vote_of_spectators(
    own: NodeId,
    membership: &Membership,
    record: &MatchRecord,
    (counts, progress): (impl Fn(NodeId) -> bool, impl Fn(NodeId) -> u64),
) -> Option<Balance> {
    let spectators: Vec<_> = membership
        .members()
        .filter(|(id, _)| record.spectators.contains(id))
        .collect();
    let has_witness = membership.members().any(|(_, member)| member.is_witness());
    // A silent player counts for as long as it votes.
    let voters: Vec<_> = players(membership, record).filter(votes).collect();
    let is_needed = !has_witness && voters.len() == 2;
    let mut voting = spectators.iter().filter(|(_, member)| is_voting(member));
    if !is_needed {
        let first = *voting.next()?;
        if first.0 != own {
            return Some(change_of(first, Standing::Learner));
        }
        let next = voters.into_iter().find(|(id, _)| counts(*id))?;
        return Some(Balance::Transfer(next.0));
    }
    if voting.clone().any(|(id, _)| *id == own || counts(*id)) {
        return None;
    }
    let silent = voting.next().copied();
    let waiting = spectators.into_iter().filter(|(id, _)| counts(*id));
    let given = give_vote(waiting, progress)?;
    // One that is silent makes room for the other.
    Some(silent.map_or(given, |silent| change_of(silent, Standing::Learner)))
}

fn votes((_, member): &(NodeId, &Member)) -> bool {
    member.standing == Some(Standing::Voter)
}

/// Lets the learner with the longest log become a voter.
fn give_vote<'a>(
    members: impl Iterator<Item = (NodeId, &'a Member)>,
    progress: impl Fn(NodeId) -> u64,
) -> Option<Balance> {
    let waiting = members.filter(|(_, member)| member.standing == Some(Standing::Learner));
    let next = waiting.max_by_key(|(id, _)| progress(*id))?;
    Some(change_of(next, Standing::Joining))
}

fn change_of((id, member): (NodeId, &Member), standing: Standing) -> Balance {
    Balance::Change(Change::Set(id, member.incarnation, standing))
}

/// Refuses one more member of this kind than the match has room for.
fn check_room(membership: &Membership, record: &MatchRecord, part: Part) -> Result<(), Refusal> {
    let spectators = record.spectators.iter();
    let spectators = spectators.filter(|id| membership.contains(**id)).count();
    let players = players(membership, record).count();
    let has_witness = membership.members().any(|(_, member)| member.is_witness());
    let voters = voting_players(membership, record).count();
    match part {
        Part::Witness if voters < 2 => Err(Refusal::Impossible(
            "a witness helps only once two players vote; retry when a second one does".to_owned(),
        )),
        Part::Player if players >= MAX_PLAYERS => Err(Refusal::Full(players)),
        Part::Spectator if spectators >= MAX_SPECTATORS => {
            Err(Refusal::FullOfSpectators(spectators))
        }
        Part::Witness if has_witness => Err(Refusal::HasWitness),
        _ => Ok(()),
    }
}

/// Returns whether `member` is the only one that can lead. A witness cannot: it stores no commands.
fn is_last_leader(membership: &Membership, member: NodeId) -> bool {
    let mut leaders = membership
        .members()
        .filter(|(_, other)| other.may_lead() && other.standing.is_some());
    leaders.all(|(id, _)| id == member)
}

/// Refuses the name of a member other than `own`; names that differ only in case are the same.
fn check_name_is_free(
    membership: &Membership,
    name: &str,
    own: Option<NodeId>,
) -> Result<(), Refusal> {
    let is_same = |(id, other): &(NodeId, Contact)| {
        Some(*id) != own && other.name.to_lowercase() == name.to_lowercase()
    };
    if contacts(membership).iter().any(is_same) {
        Err(Refusal::NameTaken(name.to_owned()))
    } else {
        Ok(())
    }
}

/// Returns a remark if the two clocks differ by more than an hour.
fn clock_remark(own: u64, theirs: u64) -> String {
    match own.abs_diff(theirs) {
        ..CLOCK_REMARK => String::new(),
        seconds @ ..DAY => differ(seconds / 3600, "hours"),
        seconds @ ..YEAR => differ(seconds / DAY, "days"),
        seconds => differ(seconds / YEAR, "years"),
    }
}

fn differ(count: u64, unit: &str) -> String {
    format!(" by the leader's clock, from which yours differs by {count} {unit}")
}

fn invite(
    membership: &Membership,
    (key, uses, expires): ([u8; 32], Option<u32>, Option<u64>),
    now: u64,
) -> Result<Step, Refusal> {
    let mut record = MatchRecord::of(membership).ok_or(Refusal::NotJoinable)?;
    if let Some(known) = record.invites.iter().find(|invite| invite.key == key) {
        return Ok(Step::Reply(MatchReply::Invited(known.number)));
    }
    let is_usable = |invite: &Invite| {
        invite.uses_left != Some(0) && invite.expires.is_none_or(|expires| expires > now)
    };
    // Others stay for as long as there is room, so that a refusal can state more than "unknown".
    if record.invites.len() >= MAX_INVITES {
        record.invites.retain(is_usable);
    }
    if record.invites.len() >= MAX_INVITES {
        return Err(Refusal::TooManyInvites(MAX_INVITES));
    }
    record.invites.push(Invite {
        number: record.next_invite,
        key,
        uses_left: uses,
        expires,
    });
    record.next_invite += 1;
    record_annex(&record)
}

fn revoke(membership: &Membership, number: u32) -> Result<Step, Refusal> {
    let mut record = MatchRecord::of(membership).ok_or(Refusal::NotJoinable)?;
    let before = record.invites.len();
    record.invites.retain(|invite| invite.number != number);
    if record.invites.len() < before {
        record_annex(&record)
    } else if number < record.next_invite {
        Ok(Step::Reply(MatchReply::Done))
    } else {
        Err(Refusal::NoInvite(number))
    }
}

pub(crate) fn record_annex(record: &MatchRecord) -> Result<Step, Refusal> {
    Ok(Step::Change(Change::Record {
        contacts: Vec::new(),
        annex: Some(record.encode().map_err(impossible)?),
    }))
}

fn remove(
    own: NodeId,
    membership: &Membership,
    member: NodeId,
    circumstances: &Circumstances,
) -> Result<Step, Refusal> {
    if !membership.contains(member) {
        return Ok(Step::Reply(MatchReply::Done));
    }
    if is_last_leader(membership, member) {
        return Err(Refusal::LastVoter);
    }
    if let Some(step) = vote(membership, member, Measure::Remove, circumstances)? {
        return Ok(step);
    }
    if member == own {
        return Ok(Step::Transfer(None));
    }
    Ok(Step::Change(Change::Remove(member)))
}

fn set_standing(
    membership: &Membership,
    member: NodeId,
    standing: Standing,
    circumstances: &Circumstances,
) -> Result<Step, Refusal> {
    let present = membership
        .member(member)
        .ok_or_else(|| impossible(MembershipError::NoMember(member)))?;
    let record = MatchRecord::of(membership);
    let watches = record
        .as_ref()
        .is_some_and(|record| record.spectators.contains(&member));
    let is_fulfilled = match standing {
        Standing::Joining if watches => false,
        // A player waits for a vote while enough others have one.
        Standing::Joining => {
            matches!(present.standing, Some(Standing::Voter | Standing::Joining))
                || record.as_ref().is_some_and(|record| {
                    let wanted = wanted_voters(players(membership, record).count());
                    present.standing == Some(Standing::Learner)
                        && voting_players(membership, record).count() >= wanted
                })
        }
        // A learner that waits for a vote is no spectator yet.
        Standing::Learner => present.standing == Some(standing) && (watches || record.is_none()),
        // A vote follows once a member keeps up, and a witness joins as one.
        Standing::Voter | Standing::Witness => {
            let reason = "a member is promoted or demoted, and nothing else";
            return Err(Refusal::Impossible(reason.to_owned()));
        }
    };
    if is_fulfilled {
        return Ok(Step::Reply(MatchReply::Done));
    }
    if is_last_leader(membership, member) {
        return Err(Refusal::LastVoter);
    }
    let change = Change::Set(member, present.incarnation, standing);
    if present.standing != Some(standing) {
        membership.after(&change).map_err(impossible)?;
    }
    // Whether it watches is recorded first.
    if let Some(mut record) = record {
        if standing == Standing::Learner && !watches {
            check_room(membership, &record, Part::Spectator)?;
            if let Some(step) = vote(membership, member, Measure::Demote, circumstances)? {
                return Ok(step);
            }
            record.spectators.retain(|id| membership.contains(*id));
            record.spectators.push(member);
            // Once it plays again, these votes do not count again.
            record
                .ballots
                .retain(|ballot| !ballot.is_about(member, Measure::Demote));
            return record_annex(&record);
        }
        if standing == Standing::Joining && watches {
            check_room(membership, &record, Part::Player)?;
            let mut players = players(membership, &record);
            if !players.any(|(id, _)| id == circumstances.by) {
                let reason = "a player makes a spectator a player; ask one to promote this member";
                return Err(Refusal::Impossible(reason.to_owned()));
            }
            drop(players);
            record.spectators.retain(|id| *id != member);
            return record_annex(&record);
        }
    }
    Ok(Step::Change(change))
}

fn transfer(
    own: NodeId,
    membership: &Membership,
    to: Option<NodeId>,
    from: Option<NodeId>,
) -> Result<Step, Refusal> {
    let is_fulfilled = match to {
        Some(to) => to == own,
        None => from.is_some_and(|from| from != own),
    };
    let may_lead = |id: NodeId| id != own && membership.member(id).is_some_and(Member::may_lead);
    if is_fulfilled {
        Ok(Step::Reply(MatchReply::Done))
    } else if to.is_some_and(|to| !may_lead(to)) {
        Err(Refusal::Impossible(
            "only a voter leads; choose another member, or promote this one if it has no vote"
                .to_owned(),
        ))
    } else if !membership.members().any(|(id, _)| may_lead(id)) {
        Err(Refusal::LastVoter)
    } else {
        Ok(Step::Transfer(to))
    }
}

fn record_contact(
    membership: &Membership,
    member: NodeId,
    contact: &Contact,
) -> Result<Step, Refusal> {
    let recorded = Contact::of(membership, member)
        .ok_or_else(|| impossible(MembershipError::NoMember(member)))?;
    if recorded == *contact {
        return Ok(Step::Reply(MatchReply::Done));
    }
    // A key is not replaced: it is what the member is recognized by.
    if recorded.fingerprint != contact.fingerprint {
        return Err(Refusal::Impossible(
            "the key of a member cannot be replaced; remove the member and invite it again"
                .to_owned(),
        ));
    }
    if has_key_of_another(membership, contact, Some(member)) {
        return Err(impossible(KEY_TAKEN));
    }
    check_name_is_free(membership, &contact.name, Some(member))?;
    Ok(Step::Change(Change::Record {
        contacts: vec![(member, contact.encode().map_err(impossible)?)],
        annex: None,
    }))
}

fn impossible(error: impl ToString) -> Refusal {
    Refusal::Impossible(error.to_string())
}

#[cfg(test)]
mod tests;
