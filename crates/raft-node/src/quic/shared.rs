//! State shared by the tasks behind a node's links.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use raftian_raft::{Message, NodeId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::answer::PeerRequest;
use super::counters::LinkCounters;
use super::peer::PeerLink;
use super::{MAX_HANDSHAKES, ServiceRequest};
use crate::cluster::Fingerprint;

/// State shared by all tasks of one node's links.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) own: Fingerprint,
    /// Id of this node.
    pub(super) id: NodeId,
    /// Links with the members that may connect, by their certificates.
    pub(super) links: RwLock<BTreeMap<Fingerprint, Arc<PeerLink>>>,
    pub(super) counters: Arc<LinkCounters>,
    pub(super) inbox: mpsc::Sender<Delivery>,
    /// One permit per byte that may wait in the inbox.
    pub(super) inbox_room: Arc<Semaphore>,
    pub(super) requests: mpsc::Sender<ServiceRequest>,
    pub(super) peer_requests: mpsc::Sender<PeerRequest>,
    /// One permit per handshake that may be in progress.
    pub(super) handshakes: Arc<Semaphore>,
    /// Further ones, for members and the operator.
    pub(super) reserved_handshakes: Arc<Semaphore>,
    /// One permit per connection of the operator's tools.
    pub(super) clients: Arc<Semaphore>,
    /// One permit per player who asks to join.
    pub(super) joiners: Arc<Semaphore>,
    pub(super) notify: Arc<Notify>,
    pub(super) cut: AtomicBool,
}

impl Shared {
    /// Returns whether so many handshakes are in progress that a new one must first show that its
    /// address is not forged.
    pub(super) fn is_under_pressure(&self) -> bool {
        self.handshakes.available_permits() < MAX_HANDSHAKES / 2
    }

    /// Returns whether a member, or this machine, has the address.
    pub(super) fn is_known(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is_own = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ]
        .contains(&ip);
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        is_own
            || links.values().any(|link| {
                let mut known = link.known_ips().into_iter();
                known.any(|known| known.to_canonical() == ip)
            })
    }

    /// Returns the link with the member that has this certificate.
    pub(super) fn link(&self, fingerprint: &Fingerprint) -> Option<Arc<PeerLink>> {
        self.links
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(fingerprint)
            .cloned()
    }

    pub(super) fn is_cut(&self) -> bool {
        // Relaxed: as when a cable is pulled, a message at that moment may still pass.
        self.cut.load(Ordering::Relaxed)
    }
}

/// A message in the inbox; dropping it releases its room there.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) from: NodeId,
    pub(super) message: Message,
    pub(super) _room: OwnedSemaphorePermit,
}
