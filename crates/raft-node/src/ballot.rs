//! Votes of the players on what takes something from a member that is present: its place in the
//! match, or its vote.
//!
//! Decision: more than half of the other players that are present agree, and each vote is an entry
//! of the log. Why: with a single request any player could remove another one; entries are seen by
//! all, and survive a change of the leader. A member that does not answer is removed by one player,
//! since the match goes on without it anyway, and so is the other one of two. A leader that breaks
//! the rules can still remove a member by itself. Would change if: votes were signed and checked by
//! every member.

use std::collections::BTreeSet;

use raftian_raft::{Membership, NodeId};
use serde::{Deserialize, Serialize};

use crate::admission::{Step, players, record_annex};
use crate::match_record::MatchRecord;
use crate::match_request::{MatchReply, Refusal};

/// Maximum number of ballots at a time. The oldest gives way.
pub const MAX_BALLOTS: usize = 8;

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
    /// Players who voted for it, at most [`MAX_PLAYERS`](crate::match_record::MAX_PLAYERS).
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

/// State of the votes on a measure after that of the player who asks.
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
    /// Whether the votes count at a time, in seconds since 1970.
    pub fn is_open(&self, now: u64) -> bool {
        now < self.since.saturating_add(BALLOT_SECONDS)
    }

    fn is_about(&self, member: NodeId, measure: Measure) -> bool {
        self.member == member && self.measure == measure
    }
}

/// Returns the step of a vote on a measure, `None` once enough players agree.
///
/// # Errors
/// The member that asks has no say, because it does not play.
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

/// Counts the vote of the member that asks for a measure against `member`.
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
    if by == member || !present.contains(&member) {
        return Ok(Count::Agreed);
    }
    let voters: BTreeSet<NodeId> = players(membership, &record)
        .map(|(id, _)| id)
        .filter(|id| *id != member && (*id == by || present.contains(id)))
        .collect();
    if !voters.contains(&by) {
        let reason = "only players vote on other members, and this machine does not play";
        return Err(Refusal::Impossible(reason.to_owned()));
    }
    let given = record
        .ballots
        .iter()
        .find(|ballot| ballot.is_about(member, measure) && ballot.is_open(now));
    let mut votes: BTreeSet<NodeId> = given.map_or_else(BTreeSet::new, |ballot| {
        let votes = ballot.votes.iter().copied();
        votes.filter(|vote| voters.contains(vote)).collect()
    });
    let since = given.map_or(now, |ballot| ballot.since);
    let is_new = votes.insert(by);
    let needed = voters.len() / 2 + 1;
    if votes.len() >= needed {
        return Ok(Count::Agreed);
    }
    if !is_new {
        let votes = votes.len();
        return Ok(Count::Open { votes, needed });
    }
    record.ballots.retain(|ballot| {
        let is_other = !ballot.is_about(member, measure);
        is_other && ballot.is_open(now) && membership.contains(ballot.member)
    });
    if record.ballots.len() >= MAX_BALLOTS {
        record.ballots.remove(0);
    }
    record.ballots.push(Ballot {
        member,
        measure,
        votes: votes.into_iter().collect(),
        since,
    });
    Ok(Count::Recorded(record))
}
