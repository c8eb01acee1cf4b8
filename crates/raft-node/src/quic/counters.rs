//! Counters of the links, readable from any thread while they run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use raftian_raft::NodeId;

/// Counters of all links of one node. Every counter starts at 0 with the node and only grows.
#[derive(Debug)]
pub struct LinkCounters {
    /// Counters of the members that are peers at present.
    peers: RwLock<BTreeMap<NodeId, Arc<PeerCounters>>>,
    pub(super) refused_handshakes: AtomicU64,
    pub(super) retried_handshakes: AtomicU64,
    pub(super) removed: AtomicBool,
    pub(super) refused_requests: AtomicU64,
}

impl LinkCounters {
    pub(super) fn new() -> Self {
        LinkCounters {
            peers: RwLock::default(),
            refused_handshakes: AtomicU64::new(0),
            retried_handshakes: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            refused_requests: AtomicU64::new(0),
        }
    }

    /// Returns the counters of the link with `peer`, if it is a peer.
    pub fn peer(&self, peer: NodeId) -> Option<Arc<PeerCounters>> {
        self.peers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&peer)
            .cloned()
    }

    /// Returns the counters of all peers, in order of their ids.
    pub fn peers(&self) -> Vec<(NodeId, Arc<PeerCounters>)> {
        self.peers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(id, counters)| (*id, Arc::clone(counters)))
            .collect()
    }

    /// Adds a peer, whose counters start at 0.
    pub(super) fn add(&self, peer: NodeId) -> Arc<PeerCounters> {
        let counters = Arc::new(PeerCounters::default());
        self.peers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer, Arc::clone(&counters));
        counters
    }

    /// Removes a peer.
    pub(super) fn remove(&self, peer: NodeId) {
        self.peers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&peer);
    }

    /// Returns the number of failed attempts to connect to this node: unknown certificates, port
    /// scans, broken handshakes.
    pub fn refused_handshakes(&self) -> u64 {
        self.refused_handshakes.load(Ordering::Relaxed)
    }

    /// Returns how often a connecting address had to be validated first, because many handshakes
    /// were in progress.
    pub fn retried_handshakes(&self) -> u64 {
        self.retried_handshakes.load(Ordering::Relaxed)
    }

    /// Returns whether another member has reported that this node was removed from the members.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Returns the number of operator requests that were refused because too many waited.
    pub fn refused_requests(&self) -> u64 {
        self.refused_requests.load(Ordering::Relaxed)
    }
}

/// Counters of the link with one peer.
#[derive(Debug, Default)]
pub struct PeerCounters {
    pub(super) connected: AtomicBool,
    pub(super) connects: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) refusing: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) decode_errors: AtomicU64,
}

impl PeerCounters {
    /// Returns whether a connection with the peer stands that both sides have accepted, dialled by
    /// either.
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Returns how often a connection that this node dialled to the peer was established.
    pub fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    /// Returns how often this node dialled the peer and one side refused the other's certificate or
    /// wire version.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns whether this node's last attempt to connect ended because one side refused the
    /// other's certificate or wire version. A connection that the peer dialled may stand
    /// nevertheless.
    pub fn is_refused(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Returns the number of messages written to connections with the peer.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the number of messages received from the peer.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns the number of messages to or from the peer that were dropped because of a full
    /// queue, a lost connection or cut links.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the number of the peer's streams that were closed because of malformed messages.
    pub fn decode_errors(&self) -> u64 {
        self.decode_errors.load(Ordering::Relaxed)
    }
}

/// Adds `by` to `counter` and returns the new count.
pub(super) fn count(counter: &AtomicU64, by: usize) -> u64 {
    let by = u64::try_from(by).unwrap_or(u64::MAX);
    // Relaxed: no other memory is published by a counter.
    counter.fetch_add(by, Ordering::Relaxed).wrapping_add(by)
}
