//! Connections with one peer, as the tasks that open, read and write them share them.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, VarInt};
use raftian_raft::{Body, NodeId};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::code;
use super::counters::PeerCounters;
use super::paths::{Origin, PathId, Paths, QUIET_CHECKS};
use crate::address::Address;
use crate::cluster::Fingerprint;

/// Silence after which a connection with unanswered messages is left for another one: several
/// heartbeats, and well below an idle timeout. Longer on slow paths: three round trips.
const SILENCE: Duration = Duration::from_millis(300);

/// Link with one peer: the connections that both sides accepted, and the one to send on.
#[derive(Debug)]
pub(super) struct PeerLink {
    peer: NodeId,
    fingerprint: Fingerprint,
    /// Recorded addresses of the peer, the best first.
    addresses: Mutex<Vec<Address>>,
    /// Addresses that were found elsewhere than in its contact.
    found: Mutex<Vec<SocketAddr>>,
    /// Address at which the peer was dialled last, to which a host name may lead.
    dialled: Mutex<Option<SocketAddr>>,
    counters: Arc<PeerCounters>,
    paths: Mutex<Paths<Connection>>,
    route: watch::Sender<Option<Route>>,
    /// Signalled when a connection has an unanswered message.
    unanswered: Notify,
}

/// Connection that messages are to be sent on.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) id: PathId,
    pub(super) connection: Connection,
}

impl PeerLink {
    pub(super) fn new(
        peer: NodeId,
        fingerprint: Fingerprint,
        addresses: Vec<Address>,
        counters: Arc<PeerCounters>,
    ) -> Self {
        PeerLink {
            peer,
            fingerprint,
            addresses: Mutex::new(addresses),
            found: Mutex::default(),
            dialled: Mutex::default(),
            counters,
            paths: Mutex::default(),
            route: watch::Sender::default(),
            unanswered: Notify::new(),
        }
    }

    pub(super) fn peer(&self) -> NodeId {
        self.peer
    }

    /// Returns the hash of the peer's certificate.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn counters(&self) -> &PeerCounters {
        &self.counters
    }

    /// Replaces the recorded addresses.
    pub(super) fn set_addresses(&self, addresses: Vec<Address>) {
        *self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Replaces the addresses that were found elsewhere.
    pub(super) fn set_found(&self, addresses: Vec<SocketAddr>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Returns the recorded addresses, then the one from which the peer's own connection arrives,
    /// and last those found elsewhere.
    pub(super) fn candidate_addresses(&self) -> Vec<Address> {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let found = self
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for further in self.observed_address().into_iter().chain(found) {
            if !addresses.contains(&Address::Ip(further)) {
                addresses.push(Address::Ip(further));
            }
        }
        addresses
    }

    /// Records the address at which the peer was dialled.
    pub(super) fn set_dialled(&self, address: SocketAddr) {
        *self.dialled.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Returns the IP addresses that the peer is known to have.
    pub(super) fn known_ips(&self) -> Vec<IpAddr> {
        let dialled = *self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = self.candidate_addresses();
        let recorded = candidates.iter().filter_map(Address::ip);
        recorded
            .chain(dialled.map(|address| address.ip()))
            .collect()
    }

    /// Closes all connections with the peer.
    pub(super) fn close(&self, code: VarInt, reason: &[u8]) {
        for connection in self.lock().connections() {
            connection.close(code, reason);
        }
    }

    /// Adds a connection for as long as the returned value exists. It closes the one that it
    /// replaces: a member dials again only after it lost the older connection.
    pub(super) fn add(self: &Arc<Self>, origin: Origin, connection: &Connection) -> PathGuard {
        let (id, replaced) = self.update(|paths| paths.add(origin, connection.clone()));
        if let Some(replaced) = replaced {
            replaced.close(code::SUPERSEDED, b"a newer connection replaced it");
        }
        PathGuard {
            link: Arc::clone(self),
            id,
        }
    }

    /// Returns the channel with the connection that messages are to be sent on.
    pub(super) fn route(&self) -> watch::Receiver<Option<Route>> {
        self.route.subscribe()
    }

    /// Returns the address from which the peer's own connection arrives.
    pub(super) fn observed_address(&self) -> Option<SocketAddr> {
        self.lock().accepted().map(Connection::remote_address)
    }

    /// Records that a message of the peer arrived on a connection.
    pub(super) fn record_arrival(&self, id: PathId, body: &Body) {
        self.update(|paths| paths.record_arrival(id, is_from_leader(body)));
    }

    /// Records that messages were written to a connection.
    pub(super) fn record_sent(&self, id: PathId, as_leader: bool) {
        if self.update(|paths| paths.record_sent(id, as_leader)) {
            self.unanswered.notify_one();
        }
    }

    /// Checks connections with unanswered messages for silence; never returns.
    pub(super) async fn detect_silence(&self) {
        loop {
            self.unanswered.notified().await;
            while let Some(interval) = self.check_interval() {
                sleep(interval).await;
                if !self.update(|paths| paths.check(received_datagrams)) {
                    break;
                }
            }
        }
    }

    fn check_interval(&self) -> Option<Duration> {
        let paths = self.lock();
        let (_, connection) = paths.chosen()?;
        Some(SILENCE.max(3 * connection.rtt()) / QUIET_CHECKS)
    }

    fn lock(&self) -> MutexGuard<'_, Paths<Connection>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the connections and publishes the choice.
    fn update<R>(&self, change: impl FnOnce(&mut Paths<Connection>) -> R) -> R {
        // Held to the end, so that choices are published in their order.
        let mut paths = self.lock();
        let result = change(&mut paths);
        let chosen = paths.chosen();
        let is_changed = self.route.send_if_modified(|route| {
            if route.as_ref().map(|route| route.id) == chosen.map(|(id, _)| id) {
                return false;
            }
            *route = chosen.map(|(id, connection)| Route {
                id,
                connection: connection.clone(),
            });
            true
        });
        if is_changed {
            self.counters
                .connected
                .store(chosen.is_some(), Ordering::Relaxed);
            tracing::debug!(peer = %self.peer, chosen = ?chosen.map(|(id, _)| id), "route changed");
        }
        result
    }
}

/// Membership of a connection in its link; dropping it removes the connection.
#[derive(Debug)]
pub(super) struct PathGuard {
    pub(super) link: Arc<PeerLink>,
    pub(super) id: PathId,
}

impl Drop for PathGuard {
    fn drop(&mut self) {
        self.link.update(|paths| paths.remove(self.id));
    }
}

fn received_datagrams(connection: &Connection) -> u64 {
    connection.stats().udp_rx.datagrams
}

/// Returns whether only a leader sends such a message.
pub(super) fn is_from_leader(body: &Body) -> bool {
    match body {
        Body::AppendEntries(_)
        | Body::InstallSnapshot(_)
        | Body::TimeoutNow
        | Body::LostEntries { .. } => true,
        Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::RequestVote { .. }
        | Body::VoteReply { .. }
        | Body::AppendReply(_)
        | Body::SnapshotReply(_)
        | Body::Forward { .. }
        | Body::Read { .. }
        | Body::ReadReply { .. }
        | Body::Founders { .. }
        | Body::Founded { .. } => false,
    }
}
