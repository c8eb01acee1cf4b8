//! Votes of the players on what takes something from a member that is present: its place in the
//! match, or its vote.
//!
//! Decision: more than half of the other players that are present agree, and each vote is an entry
//! of the log. Why: with a single request any player could remove another one; entries are seen by
//! all, and survive a change of the leader. A member that does not answer is removed by one player,
//! since the match goes on without it anyway, and so is the other one of two. A leader that breaks
//! the rules can still remove a member by itself. Would change if: votes were signed and checked by
//! every member.
//!
//! Decision: those who play when a ballot begins decide it. Why: a player who invites machines of
//! its own would otherwise win a ballot that is under way, or end one against itself. Would change
//! if: votes belonged to people; here they belong to machines.

use std::collections::BTreeSet;

use raftian_raft::{Membership, NodeId};
use serde::{Deserialize, Serialize};

use crate::admission::{Step, players, record_annex};
use crate::match_record::{MAX_PLAYERS, MAX_SPECTATORS, MatchRecord};
use crate::match_request::{MatchReply, Refusal};

/// Maximum number of ballots at a time: one on each measure against each member, so that no ballot
/// pushes out another one.
pub const MAX_BALLOTS: usize = 2 * (MAX_PLAYERS + MAX_SPECTATORS + 1);

/// Seconds from the first vote of a ballot until its votes no longer count.
pub const BALLOT_SECONDS: u64 = 120;

/// What happens to a member if enough players vote for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Measure {
    /// It is removed from the match.
    Remove,
    /// It loses its vote and only watches.
    Demote,
}

/// Votes on one measure, in the record of a match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ballot {
    /// The member that the measure is about.
    pub member: NodeId,
    /// The measure.
    pub measure: Measure,
    /// Players who may vote on it: those who played at the first vote, at most [`MAX_PLAYERS`].
    pub voters: Vec<NodeId>,
    /// Players among them who voted for it.
    pub votes: Vec<NodeId>,
    /// Time of the first vote on the leader's clock, in seconds since 1970.
    pub since: u64,
}

/// A request as the leader sees it when it looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The member that makes the request.
    pub by: NodeId,
    /// Members that answer the leader, and the leader itself.
    pub present: &'a BTreeSet<NodeId>,
    /// The leader's clock, in seconds since 1970.
    pub now: u64,
}

/// State of the votes on a measure.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Count {
    /// Enough players agree, or none needs to.
    Agreed,
    /// The vote is new; this record contains it.
    Recorded(MatchRecord),
    /// The vote is recorded, and further ones are needed.
    Open {
        /// Number of votes.
        votes: usize,
        /// Number of votes that decide.
        needed: usize,
    },
}

impl Ballot {
    /// Whether the votes count at a time, in seconds since 1970. The clocks of two leaders may
    /// differ, so neither may lie far from the other.
    pub fn is_open(&self, now: u64) -> bool {
        now.abs_diff(self.since) < BALLOT_SECONDS
    }

    pub(crate) fn is_about(&self, member: NodeId, measure: Measure) -> bool {
        self.member == member && self.measure == measure
    }
}

/// Returns the step of a vote on a measure, `None` once enough players agree.
///
/// # Errors
/// The member that asks may not vote, because it does not play.
pub(crate) fn vote(
    membership: &Membership,
    member: NodeId,
    measure: Measure,
    circumstances: &Circumstances,
) -> Result<Option<Step>, Refusal> {
    match count(membership, member, measure, circumstances)? {
        Count::Agreed => Ok(None),
        Count::Recorded(record) => record_annex(&record).map(Some),
        Count::Open { votes, needed } => Ok(Some(Step::Reply(MatchReply::Voted { votes, needed }))),
    }
}

/// Records the vote of the member that asks for a measure against `member`, or counts the votes if
/// it has one already.
fn count(
    membership: &Membership,
    member: NodeId,
    measure: Measure,
    circumstances: &Circumstances,
) -> Result<Count, Refusal> {
    let Circumstances { by, present, now } = *circumstances;
    // The operator of a cluster from files decides alone.
    let Some(mut record) = MatchRecord::of(membership) else {
        return Ok(Count::Agreed);
    };
    if by == member {
        return Ok(Count::Agreed);
    }
    let players: BTreeSet<NodeId> = players(membership, &record).map(|(id, _)| id).collect();
    if !players.contains(&by) {
        let reason = "only players decide about other members, and this machine does not play";
        return Err(Refusal::Impossible(reason.to_owned()));
    }
    if !present.contains(&member) {
        return Ok(Count::Agreed);
    }
    let open = record
        .ballots
        .iter()
        .position(|ballot| ballot.is_about(member, measure) && ballot.is_open(now));
    let mut ballot = match open {
        Some(place) => record.ballots.remove(place),
        None => Ballot {
            member,
            measure,
            voters: players.iter().copied().filter(|id| *id != member).collect(),
            votes: Vec::new(),
            since: now,
        },
    };
    if !ballot.voters.contains(&by) {
        let reason = format!(
            "this machine joined while the others vote on that; wait {BALLOT_SECONDS} seconds"
        );
        return Err(Refusal::Impossible(reason));
    }
    if !ballot.votes.contains(&by) {
        ballot.votes.push(by);
        record
            .ballots
            .retain(|other| other.is_open(now) && membership.contains(other.member));
        record.ballots.push(ballot);
        return Ok(Count::Recorded(record));
    }
    // Votes of absent players are kept, but not counted.
    let mut deciders = players;
    deciders.retain(|id| *id == by || present.contains(id));
    let votes = ballot.votes.iter().filter(|id| deciders.contains(id));
    let votes = votes.count();
    let voters = ballot.voters.iter().filter(|id| deciders.contains(id));
    let needed = voters.count() / 2 + 1;
    if votes >= needed {
        Ok(Count::Agreed)
    } else {
        Ok(Count::Open { votes, needed })
    }
}
