//! What a node looks like from outside, for people and tests.

use alloc::vec::Vec;
use core::time::Duration;

use crate::types::{Index, LogPosition, Moment, NodeId, Stamp, Term};

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
