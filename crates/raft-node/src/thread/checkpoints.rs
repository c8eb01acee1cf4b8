//! Exchange of signed checkpoints between members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftian_raft::NodeId;

use super::event_loop::NodeDriver;
use super::peers::connected_peers;
use crate::checkpoint::{Checkpoint, Checkpoints, SignedCheckpoint};
use crate::match_request::{MatchReply, MatchRequest};

/// Shortest time between two lists that are taken from one peer: each may hold hundreds of
/// signatures to verify.
const TAKE_EVERY: Duration = Duration::from_secs(1);

/// The checkpoints that a node knows, and with whom it has exchanged them.
#[derive(Debug, Default)]
pub(super) struct CheckpointExchange {
    known: Arc<Checkpoints>,
    /// Number of peers asked.
    asked: usize,
    /// When a list was last taken from each peer.
    taken: BTreeMap<NodeId, Instant>,
}

impl CheckpointExchange {
    pub(super) fn known(&self) -> Arc<Checkpoints> {
        Arc::clone(&self.known)
    }

    /// Signs and keeps a checkpoint of this node's program.
    pub(super) fn sign(&mut self, driver: &NodeDriver, checkpoint: Checkpoint) {
        let signed = driver
            .signatures()
            .and_then(|signatures| signatures.sign_checkpoint(checkpoint));
        if let Some(signed) = signed {
            Arc::make_mut(&mut self.known).add(driver.node().id(), signed);
        }
    }

    /// The next exchange; `None` if there is nothing to compare, or no peer.
    pub(super) fn next_request(&mut self, driver: &NodeDriver) -> Option<(NodeId, MatchRequest)> {
        let list = self.known.to_pass_on();
        let peers = connected_peers(driver);
        if list.is_empty() || peers.is_empty() {
            return None;
        }
        let peer = peers[self.asked % peers.len()];
        self.asked += 1;
        Some((peer, MatchRequest::Checkpoints(list)))
    }

    /// Answers a peer that sent its list.
    pub(super) fn answer(
        &mut self,
        driver: &NodeDriver,
        peer: NodeId,
        list: Vec<SignedCheckpoint>,
    ) -> MatchReply {
        self.take(driver, peer, list);
        MatchReply::Checkpoints(self.known.to_pass_on())
    }

    /// Keeps the checkpoints in the list of a peer, if their members signed them.
    pub(super) fn take(&mut self, driver: &NodeDriver, peer: NodeId, list: Vec<SignedCheckpoint>) {
        let Some(signatures) = driver.signatures() else {
            return;
        };
        let now = Instant::now();
        let membership = driver.node().membership();
        self.taken.retain(|id, _| membership.contains(*id));
        let last = self.taken.get(&peer);
        if last.is_some_and(|last| now < *last + TAKE_EVERY) {
            return;
        }
        self.taken.insert(peer, now);
        // This node may not know a new member yet.
        let new = list
            .into_iter()
            .filter(|one| membership.contains(one.member) && !self.known.knows(one));
        // A false one ends the list: its sender checks what it passes on, so it lies.
        let genuine: Vec<_> = new.take_while(|one| signatures.is_genuine(one)).collect();
        let known = Arc::make_mut(&mut self.known);
        known.retain(|id| membership.contains(id));
        known.add_all(driver.node().id(), genuine);
    }
}
