//! The four roles and the state of each.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::peers::Peers;
use crate::reads::LeaderReads;
use crate::status::RoleKind;
use crate::types::{ClientId, Incarnation, Index, Moment, NodeId, Stamp};

/// Current role of a node (figure 4, with the pre-candidate of thesis 9.6).
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Follows a leader, or waits for one.
    Follower(Follower),
    /// Asks for pre-votes for the next term, without entering that term.
    PreCandidate(Campaign),
    /// Stands for election in its term.
    Candidate(Campaign),
    /// Leads its term.
    Leader(Leader),
}

/// The leader that a follower knows in its term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownLeader {
    pub(crate) id: NodeId,
    /// Its incarnation, taken from its messages and not from the membership: the follower may not
    /// know yet that the leader is a member.
    pub(crate) incarnation: Incarnation,
    /// When its last message arrived.
    pub(crate) last_contact: Moment,
    /// Its commit index according to its messages, for display only.
    pub(crate) commit: Index,
}

/// A follower's state.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    /// The leader of this term, once known.
    pub(crate) leader: Option<KnownLeader>,
    /// Moment at which the follower stops waiting for a leader.
    pub(crate) election_deadline: Moment,
}

impl Follower {
    /// Creates a follower that waits for an unknown leader.
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
    /// Voters that granted, the candidate itself included.
    pub(crate) granted: BTreeSet<NodeId>,
    /// Moment at which the candidate retries.
    pub(crate) election_deadline: Moment,
}

/// A leader's state (figure 2, "volatile state on leaders").
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    /// The followers.
    pub(crate) peers: Peers,
    /// Moment at which the next heartbeat is sent.
    pub(crate) heartbeat_due: Moment,
    /// First index of the leader's own term. Only from there on may it count replicas (section
    /// 5.4.2).
    pub(crate) first_of_term: Index,
    /// Game clock: its stamp at a moment, from which it runs on.
    pub(crate) clock: (Stamp, Moment),
    /// Bytes of entries not yet committed.
    pub(crate) uncommitted_bytes: usize,
    /// The highest sequence of each client with a command that is not committed yet. It may also
    /// hold clients whose commands are committed by now, up to twice the limit of uncommitted
    /// entries.
    pub(crate) newest: BTreeMap<ClientId, u64>,
    /// A leadership transfer in progress.
    pub(crate) transfer: Option<LeadershipTransfer>,
    /// Whether it leads without a vote, until the membership that removes its vote is committed,
    /// and with it everything it appended.
    pub(crate) leaving: bool,
    /// Whether TimeoutNow was sent. The successor may stand for election at any later time in this
    /// term, in spite of every follower's stickiness, so the lease no longer excludes another
    /// leader.
    pub(crate) lease_broken: bool,
    /// Reads that wait for a majority to confirm that this node still leads (thesis 6.4).
    pub(crate) reads: LeaderReads,
}

/// A leadership transfer in progress (thesis 3.10).
#[derive(Clone, Debug)]
pub(crate) struct LeadershipTransfer {
    /// The successor.
    pub(crate) to: NodeId,
    /// Moment at which it is aborted.
    pub(crate) deadline: Moment,
    /// Whether TimeoutNow was sent to the successor.
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
    /// End of its election timer; a leader has none.
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
                // Lossless: the difference of two moments fits 64 bits of microseconds.
                .saturating_add(now.since(since).as_micros() as u64 / 1000),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn game_clock_continues_and_never_goes_back() {
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
            "game clock in milliseconds, moments in microseconds"
        );
    }
}
