//! What a node knows of its peers.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Index, Node, NodeId, PeerStatus, Status};

use super::event_loop::NodeDriver;

/// Returns the last entries in the logs of the members, as this leader knows them.
pub(super) fn progress(node: &Node) -> Vec<(NodeId, Index)> {
    let status = node.status();
    let peers = status.peers.iter().map(|peer| (peer.id, peer.matched));
    peers.chain([(status.id, status.last.index)]).collect()
}

/// Returns the members that answer this leader, and itself.
pub(super) fn present(node: &Node) -> BTreeSet<NodeId> {
    let status = node.status();
    let longest = node.config().vanish_after.unwrap_or(Duration::MAX);
    let peers = status.peers.iter();
    let present = peers.filter(|peer| peer.silent_for < longest);
    present.map(|peer| peer.id).chain([status.id]).collect()
}

/// Returns the status of a peer, as this leader knows it.
pub(super) fn peer(status: &Status, id: NodeId) -> Option<&PeerStatus> {
    status.peers.iter().find(|peer| peer.id == id)
}

/// Returns the peers that are connected.
pub(super) fn connected_peers(driver: &NodeDriver) -> Vec<NodeId> {
    let peers = driver.links().counters().peers().into_iter();
    peers
        .filter(|(_, counters)| counters.connected())
        .map(|(id, _)| id)
        .collect()
}
