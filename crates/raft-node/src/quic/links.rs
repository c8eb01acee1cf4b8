//! Links of one node, as its driver uses them: queues, counters and the tasks behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quinn::{Endpoint, TokioRuntime};
use raftian_raft::{Body, Index, Membership, Message, NodeId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::accept::accept;
use super::answer::{PeerRequest, request};
use super::counters::{LinkCounters, count};
use super::dial::Dialler;
use super::peer::PeerLink;
use super::receive::removal_notice;
use super::send::{Outboxes, send};
use super::shared::{Delivery, Shared};
use super::tls::{self, Pin};
use super::{
    INBOX, INBOX_BYTES, LinkError, MAX_CLIENTS, MAX_HANDSHAKES, MAX_JOINERS, OUTBOX,
    PEER_REQUEST_QUEUE, REMOVED_GRACE, REQUEST_QUEUE, RESERVED_HANDSHAKES, SNAPSHOT_OUTBOX,
    ServiceRequest, code, endpoint,
};
use crate::cluster::{Fingerprint, Identity, Member, NodeConfig};
use crate::contact::{Contact, MAX_ADDRESSES};
use crate::links::Links;
use crate::panic_message;

/// Links of one node to all its peers, over one UDP port. They work while the tokio runtime they
/// were started in is polled, and end when this value is dropped.
#[derive(Debug)]
pub struct QuicLinks {
    endpoint: Endpoint,
    address: SocketAddr,
    id: NodeId,
    identity: Identity,
    /// How members are reached for which the membership has no contact: those that the
    /// configuration lists, and those that other members named.
    listed: BTreeMap<NodeId, Contact>,
    /// Ids in the memberships that were followed and not removed since.
    members: BTreeSet<NodeId>,
    peers: BTreeMap<NodeId, Peer>,
    inbox: mpsc::Receiver<Delivery>,
    peer_requests: mpsc::Receiver<PeerRequest>,
    runtime: Handle,
    pub(super) shared: Arc<Shared>,
    /// Dropping it ends every task below it.
    tasks: JoinSet<()>,
}

/// A member with its link, the tasks behind it, and the messages that wait for it, in one queue per
/// stream.
#[derive(Debug)]
struct Peer {
    link: Arc<PeerLink>,
    tasks: [AbortHandle; 2],
    urgent: mpsc::Sender<Message>,
    entries: mpsc::Sender<Message>,
    snapshots: mpsc::Sender<Message>,
    /// Last entry that was queued on the stream for entries.
    last_entry: Index,
}

impl Peer {
    /// Returns the queue of the stream on which a message is to be sent.
    fn outbox(&mut self, body: &Body) -> &mpsc::Sender<Message> {
        match body {
            // No wildcard, so that a new message type must choose its stream.
            Body::InstallSnapshot(_) => &self.snapshots,
            Body::AppendEntries(append) => match append.entries.last() {
                Some(last) => {
                    self.last_entry = last.index;
                    &self.entries
                }
                // It names an entry that may still be on its way, and must not overtake it.
                None if append.previous.index >= self.last_entry => &self.entries,
                None => &self.urgent,
            },
            Body::Forward { .. } => &self.entries,
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::RequestVote { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply(_)
            | Body::SnapshotReply(_)
            | Body::TimeoutNow
            | Body::Read { .. }
            | Body::ReadReply { .. }
            | Body::LostEntries { .. }
            | Body::Founders { .. }
            | Body::Founded { .. } => &self.urgent,
        }
    }
}

/// Options of a node's links.
#[derive(Debug)]
pub struct QuicOptions {
    /// The node's open UDP port. It is opened before the links start, so that a port chosen by the
    /// system can be published to the other members first.
    pub socket: UdpSocket,
    /// Id of this member.
    pub id: NodeId,
    /// All members. A member with a wrong address cannot be dialled; messages flow once it has
    /// dialled this node.
    pub members: Vec<Member>,
    /// The node's key and certificate.
    pub identity: Identity,
}

impl QuicOptions {
    /// Returns the options of the node `config` over `socket`.
    pub fn new(socket: UdpSocket, config: &NodeConfig) -> Self {
        QuicOptions {
            socket,
            id: config.id,
            members: config.members.clone(),
            identity: config.identity.clone(),
        }
    }

    /// Opens the port that `config` listens on, and returns the options for it.
    pub fn bind(config: &NodeConfig) -> Result<Self, LinkError> {
        let socket = UdpSocket::bind(config.listen)
            .map_err(|error| LinkError::socket(config.listen, &error))?;
        Ok(Self::new(socket, config))
    }
}

impl QuicLinks {
    /// Starts the links and returns them with the queue of the operator tool's requests. `notify`
    /// is signalled whenever a message or request arrives. Must be called inside the tokio runtime
    /// that will drive the links.
    pub fn start(
        options: QuicOptions,
        notify: Arc<Notify>,
    ) -> Result<(QuicLinks, mpsc::Receiver<ServiceRequest>), LinkError> {
        // Checked here, because spawning outside of a runtime panics.
        let runtime = Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let QuicOptions {
            socket,
            id,
            members,
            identity,
        } = options;
        let server = tls::server(&identity)?;
        let address = socket
            .local_addr()
            .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let endpoint = Endpoint::new(
            endpoint(&identity),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(|error| LinkError::socket(address, &error))?;
        let (inbox_sender, inbox) = mpsc::channel(INBOX);
        let (request_sender, requests) = mpsc::channel(REQUEST_QUEUE);
        let (peer_request_sender, peer_requests) = mpsc::channel(PEER_REQUEST_QUEUE);
        let shared = Arc::new(Shared {
            own: identity.fingerprint(),
            id,
            links: RwLock::default(),
            counters: Arc::new(LinkCounters::new()),
            inbox: inbox_sender,
            inbox_room: Arc::new(Semaphore::new(INBOX_BYTES)),
            requests: request_sender,
            peer_requests: peer_request_sender,
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            reserved_handshakes: Arc::new(Semaphore::new(RESERVED_HANDSHAKES)),
            clients: Arc::new(Semaphore::new(MAX_CLIENTS)),
            joiners: Arc::new(Semaphore::new(MAX_JOINERS)),
            notify,
            cut: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(endpoint.clone(), Arc::clone(&shared)));
        let mut links = QuicLinks {
            endpoint,
            address,
            id,
            identity,
            listed: BTreeMap::new(),
            members: BTreeSet::new(),
            peers: BTreeMap::new(),
            inbox,
            peer_requests,
            runtime,
            shared,
            tasks,
        };
        for member in members {
            links.list(member.id, member.contact())?;
        }
        Ok((links, requests))
    }

    /// Adds a member that the membership here may not name yet, because this node was away when it
    /// joined.
    ///
    /// # Errors
    /// [`LinkError::Identity`].
    pub fn list(&mut self, id: NodeId, contact: Contact) -> Result<(), LinkError> {
        // The certificate of a present member identifies no other one, even if a peer reports so.
        let is_taken = self.peers.iter().any(|(other, peer)| {
            *other != id
                && self.members.contains(other)
                && peer.link.fingerprint() == contact.fingerprint
        });
        if is_taken {
            return Ok(());
        }
        self.add(id, contact.clone())?;
        self.listed.insert(id, contact);
        Ok(())
    }

    /// Removes the listed members that `membership` does not contain.
    pub fn retain_listed(&mut self, membership: &Membership) {
        let left = |id: &NodeId, _: &mut Contact| !membership.contains(*id);
        for (id, _) in self.listed.extract_if(.., left).collect::<Vec<_>>() {
            self.remove(id);
        }
    }

    /// Adds a peer and dials it. A peer that is known gets the addresses.
    fn add(&mut self, id: NodeId, contact: Contact) -> Result<(), LinkError> {
        let Contact {
            fingerprint,
            addresses,
            ..
        } = contact;
        // A connection with the own certificate is the operator's.
        if id == self.id || fingerprint == self.shared.own {
            return Ok(());
        }
        if let Some(peer) = self.peers.get(&id)
            && peer.link.fingerprint() == fingerprint
        {
            peer.link.set_addresses(addresses);
            return Ok(());
        }
        // A player who left and joined again has the same key under a later id. A node that is
        // behind still finds the earlier one in its log.
        let known = self
            .peers
            .iter()
            .find(|(_, peer)| peer.link.fingerprint() == fingerprint)
            .map(|(id, _)| *id);
        match known {
            Some(known) if known > id => return Ok(()),
            Some(earlier) => self.remove(earlier),
            None => {}
        }
        self.remove(id);
        let config = tls::client(&self.identity, Pin::Whole(fingerprint), tls::protocol())?;
        let counters = self.shared.counters.add(id);
        let link = Arc::new(PeerLink::new(id, fingerprint, addresses, counters));
        self.shared
            .links
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(fingerprint, Arc::clone(&link));
        // Queues and tasks per peer: one that is down delays no other.
        let (urgent, urgent_outbox) = mpsc::channel(OUTBOX);
        let (entries, entry_outbox) = mpsc::channel(OUTBOX);
        let (snapshots, snapshot_outbox) = mpsc::channel(SNAPSHOT_OUTBOX);
        let outboxes = Outboxes {
            urgent: urgent_outbox,
            entries: entry_outbox,
            snapshots: snapshot_outbox,
        };
        let sender = send(Arc::clone(&link), Arc::clone(&self.shared), outboxes);
        let dialler = Dialler {
            endpoint: self.endpoint.clone(),
            config,
            link: Arc::clone(&link),
            shared: Arc::clone(&self.shared),
        };
        let tasks = [
            self.tasks.spawn_on(sender, &self.runtime),
            self.tasks.spawn_on(dialler.run(), &self.runtime),
        ];
        let peer = Peer {
            link,
            tasks,
            urgent,
            entries,
            snapshots,
            last_entry: Index(0),
        };
        self.peers.insert(id, peer);
        Ok(())
    }

    /// Removes a peer: it is no longer dialled, and its connections are closed after
    /// [`REMOVED_GRACE`].
    fn remove(&mut self, id: NodeId) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        let Peer { link, tasks, .. } = peer;
        let mut links = self
            .shared
            .links
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        links.remove(&link.fingerprint());
        drop(links);
        self.shared.counters.remove(id);
        let close = async move {
            tokio::time::sleep(REMOVED_GRACE).await;
            link.close(code::REMOVED, removal_notice(id).as_bytes());
            for task in tasks {
                task.abort();
            }
        };
        self.tasks.spawn_on(close, &self.runtime);
    }

    /// Returns the next request of a member or joiner, if one waits.
    pub fn next_peer_request(&mut self) -> Option<PeerRequest> {
        self.peer_requests.try_recv().ok()
    }

    /// Sends `body` to the member `to` and passes its answer to `then`, or `None` if none arrives
    /// within [`PEER_ANSWER_TIMEOUT`](super::PEER_ANSWER_TIMEOUT).
    pub fn request(
        &mut self,
        to: NodeId,
        body: Vec<u8>,
        then: impl FnOnce(Option<Vec<u8>>) + Send + 'static,
    ) {
        let route = self
            .peers
            .get(&to)
            .filter(|_| !self.shared.is_cut())
            .and_then(|peer| peer.link.route().borrow().clone());
        let Some(route) = route else {
            return then(None);
        };
        let notify = Arc::clone(&self.shared.notify);
        let exchange = async move {
            then(request(&route.connection, &body).await);
            notify.notify_one();
        };
        self.tasks.spawn_on(exchange, &self.runtime);
    }

    /// Adds addresses at which the peer with this certificate may be reached, in place of those
    /// added before; at most [`MAX_ADDRESSES`]. No-op if there is no such peer.
    pub fn add_addresses(&mut self, fingerprint: Fingerprint, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(MAX_ADDRESSES);
        if let Some(link) = self.shared.link(&fingerprint) {
            link.set_found(addresses);
        }
    }

    /// Returns the address from which the connection of the member `id` arrives; `None` if it has
    /// not dialled this node.
    pub fn observed_address(&self, id: NodeId) -> Option<SocketAddr> {
        self.peers.get(&id)?.link.observed_address()
    }

    /// Returns the address of the node's port.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Moves the node to another port, as a change of its machine's address does.
    #[cfg(test)]
    pub(super) fn rebind(&self, socket: UdpSocket) {
        self.endpoint.rebind(socket).expect("a usable socket");
    }

    /// Returns the message of a panic that ended one of the link tasks. Without that task a peer is
    /// no longer dialled or sent to, or no connection accepted.
    pub fn take_panic(&mut self) -> Option<String> {
        while let Some(ended) = self.tasks.try_join_next() {
            // A task that was cancelled, or returned because the node stops, is no defect.
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                return Some(panic_message(&*panic));
            }
        }
        None
    }

    /// Returns the counters, for use on any thread.
    pub fn counters(&self) -> Arc<LinkCounters> {
        Arc::clone(&self.shared.counters)
    }

    /// Cuts or restores the links: while cut, every message in either direction is dropped and
    /// counted. Connections stay open, and the operator's tool is still served.
    pub fn set_cut(&self, cut: bool) {
        self.shared.cut.store(cut, Ordering::Relaxed);
    }

    /// Returns whether the links are cut.
    pub fn is_cut(&self) -> bool {
        self.shared.is_cut()
    }

    /// Closes the connections to all peers; waits at most `max_wait` for that. Afterwards no
    /// message is sent or received, and dropping the links frees the port.
    pub async fn close(&mut self, max_wait: Duration) {
        self.endpoint.close(code::CLOSED, b"the node stops");
        self.tasks.shutdown().await;
        if tokio::time::timeout(max_wait, self.endpoint.wait_idle())
            .await
            .is_err()
        {
            tracing::debug!("closed before all peers were notified");
        }
    }
}

impl Links for QuicLinks {
    /// At the bound, [`OUTBOX`] or [`SNAPSHOT_OUTBOX`], the message is dropped and counted.
    fn send(&mut self, to: NodeId, message: Message) {
        let Some(peer) = self.peers.get_mut(&to) else {
            tracing::debug!(%to, "dropped a message to an unknown peer");
            return;
        };
        let outbox = peer.outbox(&message.body);
        if self.shared.is_cut() || outbox.try_send(message).is_err() {
            count(&peer.link.counters().dropped, 1);
        }
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        while let Ok(Delivery {
            from,
            message,
            _room,
        }) = self.inbox.try_recv()
        {
            // Messages that arrived before the cut are dropped as well.
            if !self.shared.is_cut() {
                return Some((from, message));
            }
            if let Some(counters) = self.shared.counters.peer(from) {
                count(&counters.dropped, 1);
            }
        }
        None
    }

    /// A member without a readable contact is reached as it was listed.
    fn follow(&mut self, membership: &Membership, is_committed: bool) {
        // First, since a player who left and joined again has the same key under another id.
        if is_committed {
            let removed = |id: &NodeId| !membership.contains(*id);
            for id in self.members.extract_if(.., removed).collect::<Vec<_>>() {
                self.remove(id);
            }
        }
        for (id, _) in membership.members() {
            self.members.insert(id);
            let contact = Contact::of(membership, id).or_else(|| self.listed.get(&id).cloned());
            if let Some(contact) = contact
                && let Err(error) = self.add(id, contact)
            {
                tracing::error!(member = %id, %error, "cannot connect to a member");
            }
        }
    }
}

impl Drop for QuicLinks {
    fn drop(&mut self) {
        // A second call after `close` has no effect.
        self.endpoint.close(code::CLOSED, b"the node stops");
    }
}
