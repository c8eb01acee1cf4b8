//! Exchange of signed checkpoints between members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftian_raft::{Index, NodeId};

use super::event_loop::NodeDriver;
use super::peers::connected_peers;
use crate::checkpoint::{Checkpoint, Checkpoints, MAX_LIST, SignedCheckpoint};
use crate::match_request::{MatchReply, MatchRequest};
use crate::signing::Signatures;

/// Shortest time between two lists that are taken from one peer: each may hold hundreds of
/// signatures to verify.
const TAKE_EVERY: Duration = Duration::from_secs(1);

/// Number of signatures in one list that may be false before the rest is ignored. A member whose
/// membership lags may pass some on in good faith.
const MAX_FALSE: usize = 8;

/// Checkpoints known to this node, and the state of its exchange with each peer.
#[derive(Debug)]
pub(super) struct CheckpointExchange {
    /// Name of the match in signatures.
    cluster: String,
    known: Arc<Checkpoints>,
    /// Last entry in the log at the start: an earlier run may have signed checkpoints up to it.
    start: Index,
    /// Number of peers asked.
    asked: usize,
    /// When a list was last taken from each peer.
    taken: BTreeMap<NodeId, Instant>,
}

impl CheckpointExchange {
    pub(super) fn new(cluster: String, start: Index) -> Self {
        CheckpointExchange {
            cluster,
            known: Arc::default(),
            start,
            asked: 0,
            taken: BTreeMap::new(),
        }
    }

    pub(super) fn known(&self) -> Arc<Checkpoints> {
        Arc::clone(&self.known)
    }

    /// Signs and keeps a checkpoint of this node's program, unless its index was signed before.
    pub(super) fn sign(&mut self, driver: &NodeDriver, checkpoint: Checkpoint) {
        let newest = self.known.newest_own();
        let signed = newest.map_or(self.start, |newest| newest.index.max(self.start));
        let Some((signer, keys)) = driver.signatures().and_then(Signatures::keys) else {
            return;
        };
        let id = driver.node().id();
        if checkpoint.index <= signed || keys.get(&id) != Some(&signer.key()) {
            return;
        }
        let member = (id, driver.node().incarnation());
        let signed = SignedCheckpoint::new(signer, &self.cluster, member, checkpoint);
        Arc::make_mut(&mut self.known).add_own(signed);
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
        let Some((_, keys)) = driver.signatures().and_then(Signatures::keys) else {
            return;
        };
        let now = Instant::now();
        self.taken.retain(|id, _| keys.contains_key(id));
        let last = self.taken.get(&peer);
        if last.is_some_and(|last| now < *last + TAKE_EVERY) {
            return;
        }
        self.taken.insert(peer, now);
        let known = Arc::make_mut(&mut self.known);
        known.follow(keys);
        let own = driver.node().id();
        let mut genuine: Vec<SignedCheckpoint> = Vec::new();
        let mut failures = 0;
        for signed in list.into_iter().take(MAX_LIST) {
            let is_new = signed.member != own && !known.knows(&signed);
            // This node may not know a new member yet.
            let Some(key) = known.key(signed.member).filter(|_| is_new) else {
                continue;
            };
            if genuine.contains(&signed) {
                continue;
            }
            if signed.is_signed_by(&self.cluster, key) {
                genuine.push(signed);
            } else {
                failures += 1;
                if failures == MAX_FALSE {
                    break;
                }
            }
        }
        known.add_all(genuine);
    }
}
