//! Status of a node.

use alloc::vec::Vec;

use super::Node;
use crate::progress::{Flow, Progress};
use crate::role::{Follower, Role};
use crate::status::{FlowKind, PeerStatus, Status};
use crate::types::NodeId;

impl Node {
    /// Returns the current status of this node, for display and monitoring.
    pub fn status(&self) -> Status {
        let peer = |(id, progress): (NodeId, &Progress)| PeerStatus {
            id,
            matched: progress.matched,
            next: progress.next,
            round_trip: progress.round_trip.last,
            silent_for: self.now.since(progress.last_contact),
            lost: progress.lost,
            flow: match &progress.flow {
                Flow::Probe { .. } => FlowKind::Probe,
                Flow::Replicate(_) => FlowKind::Replicate,
                Flow::Snapshot(transfer) => FlowKind::Snapshot {
                    received: transfer.received,
                    size: transfer.name.size,
                },
            },
        };
        let peers = match &self.role {
            Role::Leader(leader) => leader.peers.iter().map(peer).collect(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => Vec::new(),
        };
        Status {
            id: self.config.id,
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            role: self.role.kind(),
            leader: self.leader(),
            commit: self.commit,
            leader_commit: self.commit.max(match &self.role {
                Role::Follower(Follower {
                    leader: Some(leader),
                    ..
                }) => leader.commit,
                _ => self.commit,
            }),
            has_committed_in_term: self
                .log
                .position_at(self.commit)
                .is_some_and(|position| position.term == self.hard_state.term),
            applied: self.apply_state.applied,
            last: self.log.last(),
            durable: self.disk.durable(),
            stamp: self.log.last_stamp(),
            deadline: self.wake_at(),
            membership: self.log.membership().clone(),
            membership_index: self.log.membership_index(),
            snapshot: self.covered().index,
            log_after: self.log.base().index,
            incarnation: self.incarnation,
            awaited_founders: self.agreement.as_ref().map_or(Vec::new(), |agreement| {
                agreement.awaited(self.config.id).collect()
            }),
            peers,
        }
    }
}
