//! The four roles and what belongs to each alone.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::peers::Peers;
use crate::reads::LeaderReads;
use crate::status::RoleKind;
use crate::types::{ClientId, Incarnation, Index, Moment, NodeId, Stamp};

/// What a node is at the moment (figure 4, with the pre-candidate of thesis 9.6).
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Follows a leader, or waits for one.
    Follower(Follower),
    /// Asks who would vote for it in the next term, without entering that term.
    PreCandidate(Campaign),
    /// Stands for election in its term.
    Candidate(Campaign),
    /// Leads its term.
    Leader(Leader),
}

/// The leader a follower has heard of in its term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownLeader {
    pub(crate) id: NodeId,
    /// Which life of it. Not asked of the members: the follower may not know yet that it is one.
    pub(crate) incarnation: Incarnation,
    /// When its last message arrived.
    pub(crate) last_contact: Moment,
}

/// A follower's state.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    /// The leader of this term, once heard of.
    pub(crate) leader: Option<KnownLeader>,
    /// When the follower gives up waiting.
    pub(crate) election_deadline: Moment,
}

impl Follower {
    /// Waits for a leader of whom it has not heard.
    pub(crate) fn waiting(election_deadline: Moment) -> Self {
        Follower {
            leader: None,
            election_deadline,
        }
    }
}

/// State of a (pre-)candidate.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    /// Who granted, the candidate itself included.
    pub(crate) granted: BTreeSet<NodeId>,
    /// When it tries again.
    pub(crate) election_deadline: Moment,
}

/// A leader's state (figure 2, "volatile state on leaders").
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    /// The followers.
    pub(crate) peers: Peers,
    /// When the next heartbeat leaves.
    pub(crate) heartbeat_due: Moment,
    /// First index of the leader's own term. Only from there on may it count replicas (section
    /// 5.4.2).
    pub(crate) first_of_term: Index,
    /// The game clock: this stamp at this moment, running since.
    pub(crate) clock: (Stamp, Moment),
    /// Bytes of entries not yet committed.
    pub(crate) uncommitted_bytes: usize,
    /// The highest sequence of each client with a command that is not committed yet. It may also
    /// hold clients whose commands are committed by now, up to twice as many as entries may be
    /// uncommitted.
    pub(crate) newest: BTreeMap<ClientId, u64>,
    /// A leadership transfer in progress.
    pub(crate) transfer: Option<LeadershipTransfer>,
    /// It leads without a vote, until the membership that says so is committed, and with it
    /// everything it appended.
    pub(crate) leaving: bool,
    /// A successor was told to stand. It may do so at any time later in this term, past every
    /// follower's stickiness, so the leader's clock says nothing any more about who else leads.
    pub(crate) lease_broken: bool,
    /// Reads that wait for a majority to confirm that this node still leads (thesis 6.4).
    pub(crate) reads: LeaderReads,
}

/// A leadership transfer in progress (thesis 3.10).
#[derive(Clone, Debug)]
pub(crate) struct LeadershipTransfer {
    /// To whom.
    pub(crate) to: NodeId,
    /// When it is given up.
    pub(crate) deadline: Moment,
    /// The successor was told.
    pub(crate) timeout_now_sent: bool,
}

impl Role {
    pub(crate) fn kind(&self) -> RoleKind {
        match self {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }
}

impl Role {
    /// When its election timer ends; a leader has none.
    pub(crate) fn election_deadline_mut(&mut self) -> Option<&mut Moment> {
        match self {
            Role::Follower(follower) => Some(&mut follower.election_deadline),
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                Some(&mut campaign.election_deadline)
            }
            Role::Leader(_) => None,
        }
    }
}

impl Leader {
    /// The game clock at `now`.
    pub(crate) fn stamp(&self, now: Moment) -> Stamp {
        let (stamp, since) = self.clock;
        Stamp(
            stamp
                .0
                .saturating_add(now.since(since).as_micros() as u64 / 1000),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_game_clock_runs_on_from_where_the_leader_took_it_over_and_never_back() {
        let leader = Leader {
            peers: Peers::default(),
            heartbeat_due: Moment(0),
            first_of_term: Index(1),
            clock: (Stamp(700), Moment(5_000)),
            uncommitted_bytes: 0,
            newest: BTreeMap::new(),
            transfer: None,
            leaving: false,
            lease_broken: false,
            reads: LeaderReads::default(),
        };
        let stamps = [4_000, 5_000, 5_999, 6_000, 1_005_000].map(|now| leader.stamp(Moment(now)).0);
        assert_eq!(
            stamps,
            [700, 700, 700, 701, 1_700],
            "milliseconds of the game for microseconds here"
        );
    }
}
