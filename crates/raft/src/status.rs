//! Status of a node, for operators and tests.

use alloc::vec::Vec;
use core::time::Duration;

use crate::membership::Membership;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Stamp, Term};

/// Copy of one node's protocol state at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Id of this node.
    pub id: NodeId,
    /// Its current term.
    pub term: Term,
    /// Candidate it voted for in this term.
    pub vote: Option<NodeId>,
    /// Its role.
    pub role: RoleKind,
    /// The leader it knows in this term, itself included.
    pub leader: Option<NodeId>,
    /// Commit index.
    pub commit: Index,
    /// The leader's commit index as far as this node knows it, at least its own.
    pub leader_commit: Index,
    /// Whether an entry of the current term is committed as far as this node knows. Until then a
    /// new leader's commit index may be below what earlier leaders have committed (section 5.4.2).
    pub has_committed_in_term: bool,
    /// Highest index reported as applied.
    pub applied: Index,
    /// Its last entry.
    pub last: LogPosition,
    /// Highest index on its own disk.
    pub durable: Index,
    /// Game clock of its last entry.
    pub stamp: Stamp,
    /// Next timer: the election timeout, or a leader's heartbeat; an earlier deadline of a
    /// leadership transfer or a read.
    pub deadline: Moment,
    /// The newest membership in its log.
    pub membership: Membership,
    /// Index of the entry with that membership.
    pub membership_index: Index,
    /// The last entry its newest snapshot covers; 0 without one.
    pub snapshot: Index,
    /// The last entry its log no longer holds; 0 if it holds all.
    pub log_after: Index,
    /// Incarnation of the node.
    pub incarnation: Incarnation,
    /// Founders that this node waits for before the cluster is founded; empty once it is.
    pub awaited_founders: Vec<NodeId>,
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
    /// How entries are sent to it.
    pub flow: FlowKind,
    /// Last index it had acknowledged, once it refused such an entry: its disk lost entries, and it
    /// does not count until it has joined again under another incarnation.
    pub lost: Option<Index>,
}

/// How entries are sent to a follower.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlowKind {
    /// The leader searches for the point where the logs agree.
    Probe,
    /// Entries stream.
    Replicate,
    /// A snapshot is being sent.
    Snapshot {
        /// Bytes that have arrived.
        received: u64,
        /// Its size in bytes.
        size: u64,
    },
}

/// Role of a node, without its state.
#[doc(alias = "StateRole")]
#[doc(alias = "ServerState")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RoleKind {
    /// Follows, or waits for, a leader.
    Follower,
    /// Asks for pre-votes.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

impl RoleKind {
    /// Returns its name in lower case.
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
    fn role_names_are_those_of_the_paper_and_the_thesis() {
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
