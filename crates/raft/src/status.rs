//! What a node looks like from outside, for people and tests.

use alloc::vec::Vec;
use core::time::Duration;

use crate::membership::Membership;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Stamp, Term};

/// A snapshot of one node's protocol state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// This node.
    pub id: NodeId,
    /// Its current term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub vote: Option<NodeId>,
    /// Its role.
    pub role: RoleKind,
    /// The leader it knows of in this term, itself included.
    pub leader: Option<NodeId>,
    /// Commit index.
    pub commit: Index,
    /// Highest index reported as applied.
    pub applied: Index,
    /// Its last entry.
    pub last: LogPosition,
    /// Highest index on its own disk.
    pub durable: Index,
    /// Game clock of its last entry.
    pub stamp: Stamp,
    /// When its election timer ends; for a leader, when its next heartbeat is due.
    pub deadline: Moment,
    /// The members by the newest entry of its log that says so.
    pub membership: Membership,
    /// Index of that entry.
    pub membership_index: Index,
    /// The last entry its newest snapshot covers; 0 without one.
    pub snapshot: Index,
    /// The last entry its log does not hold any more; 0 if it holds all.
    pub log_after: Index,
    /// Which life of the node this is.
    pub incarnation: Incarnation,
    /// A leader's view of its followers; empty for others.
    pub peers: Vec<PeerStatus>,
}

/// A leader's view of one follower.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    /// The follower.
    pub id: NodeId,
    /// matchIndex.
    pub matched: Index,
    /// nextIndex.
    pub next: Index,
    /// Round trip of the last answered probe, the follower's storage included.
    pub round_trip: Option<Duration>,
    /// Time since its last answer.
    pub silent_for: Duration,
    /// How entries reach it.
    pub flow: FlowKind,
    /// It refused entries that it had acknowledged, the last of them at this index: its disk lost
    /// them, and it does not count any more until it has joined again under another incarnation.
    pub lost: Option<Index>,
}

/// How entries reach a follower.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowKind {
    /// Where the logs agree is being found out.
    Probe,
    /// Entries stream.
    Replicate,
    /// A snapshot is on its way.
    Snapshot {
        /// Bytes that have arrived.
        received: u64,
        /// Its size in bytes.
        size: u64,
    },
}

/// The role of a node, without what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RoleKind {
    /// Follows, or waits for, a leader.
    Follower,
    /// Asks whether it could win an election.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

impl RoleKind {
    /// The lower-case word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RoleKind::Follower => "follower",
            RoleKind::PreCandidate => "pre-candidate",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        }
    }
}

impl core::fmt::Display for RoleKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn roles_are_called_as_the_paper_and_the_thesis_call_them() {
        let roles = [
            RoleKind::Follower,
            RoleKind::PreCandidate,
            RoleKind::Candidate,
            RoleKind::Leader,
        ];
        assert_eq!(
            roles.map(|role| role.to_string()),
            ["follower", "pre-candidate", "candidate", "leader"]
        );
    }
}
