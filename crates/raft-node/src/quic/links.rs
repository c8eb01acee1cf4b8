//! Links of one node, as its driver uses them: queues, counters and the tasks behind them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::{Endpoint, TokioRuntime};
use raftian_raft::{Body, Message, NodeId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::accept::accept;
use super::counters::{LinkCounters, count};
use super::dial::Dialler;
use super::peer::PeerLink;
use super::send::send;
use super::shared::{Delivery, Shared};
use super::{
    INBOX, INBOX_BYTES, LinkError, MAX_CLIENTS, MAX_HANDSHAKES, OUTBOX, REQUEST_QUEUE,
    SNAPSHOT_OUTBOX, ServiceRequest, code, endpoint, tls,
};
use crate::cluster::{Identity, Member, NodeConfig};
use crate::links::Links;
use crate::panic_message;

/// Links of one node to all its peers, over one UDP port. They work while the tokio runtime they
/// were started in is polled, and end when this value is dropped.
#[derive(Debug)]
pub struct QuicLinks {
    endpoint: Endpoint,
    address: SocketAddr,
    outboxes: BTreeMap<NodeId, Outboxes>,
    inbox: mpsc::Receiver<Delivery>,
    pub(super) shared: Arc<Shared>,
    /// Dropping it ends every task below it.
    tasks: JoinSet<()>,
}

/// Messages that wait for one peer, in one queue per stream.
#[derive(Debug)]
struct Outboxes {
    messages: mpsc::Sender<Message>,
    snapshots: mpsc::Sender<Message>,
}

impl Outboxes {
    fn of(&self, body: &Body) -> &mpsc::Sender<Message> {
        match body {
            // No wildcard, so that a new message type must choose its stream.
            Body::InstallSnapshot(_) => &self.snapshots,
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::RequestVote { .. }
            | Body::VoteReply { .. }
            | Body::AppendEntries(_)
            | Body::AppendReply(_)
            | Body::SnapshotReply(_)
            | Body::TimeoutNow
            | Body::Forward { .. }
            | Body::Read { .. }
            | Body::ReadReply { .. }
            | Body::LostEntries { .. }
            | Body::Founders { .. }
            | Body::Founded { .. } => &self.messages,
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
        Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let QuicOptions {
            socket,
            id,
            members,
            identity,
        } = options;
        let own = identity.fingerprint();
        let peers = || members.iter().filter(|member| member.id != id);
        // The node's own certificate is accepted as well: the operator's tool uses it.
        let pins = members.iter().map(|member| member.fingerprint).chain([own]);
        let server = tls::server(&identity, pins)?;
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
        let counters = Arc::new(LinkCounters::new(peers().map(|member| member.id)));
        let shared = Arc::new(Shared {
            own,
            // Without the node itself: a connection with its certificate is the operator's.
            links: peers()
                .map(|member| {
                    let link = PeerLink::new(member.id, Arc::clone(&counters));
                    (member.fingerprint, Arc::new(link))
                })
                .collect(),
            counters,
            inbox: inbox_sender,
            inbox_room: Arc::new(Semaphore::new(INBOX_BYTES)),
            requests: request_sender,
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            clients: Arc::new(Semaphore::new(MAX_CLIENTS)),
            notify,
            cut: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(endpoint.clone(), Arc::clone(&shared)));
        let mut outboxes = BTreeMap::new();
        for peer in peers() {
            let Some(link) = shared.links.get(&peer.fingerprint) else {
                continue;
            };
            // Queues and tasks per peer: one that is down delays no other.
            let (messages, outbox) = mpsc::channel(OUTBOX);
            let (snapshots, snapshot_outbox) = mpsc::channel(SNAPSHOT_OUTBOX);
            outboxes.insert(
                peer.id,
                Outboxes {
                    messages,
                    snapshots,
                },
            );
            tasks.spawn(send(
                Arc::clone(link),
                Arc::clone(&shared),
                outbox,
                snapshot_outbox,
            ));
            let dialler = Dialler {
                endpoint: endpoint.clone(),
                config: tls::client(&identity, peer.fingerprint)?,
                address: peer.address,
                fingerprint: peer.fingerprint,
                link: Arc::clone(link),
                shared: Arc::clone(&shared),
            };
            tasks.spawn(dialler.run());
        }
        Ok((
            QuicLinks {
                endpoint,
                address,
                outboxes,
                inbox,
                shared,
                tasks,
            },
            requests,
        ))
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
        let Some(outboxes) = self.outboxes.get(&to) else {
            tracing::debug!(%to, "dropped a message to an unknown peer");
            return;
        };
        let outbox = outboxes.of(&message.body);
        if (self.shared.is_cut() || outbox.try_send(message).is_err())
            && let Some(counters) = self.shared.counters.peer(to)
        {
            count(&counters.dropped, 1);
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
}

impl Drop for QuicLinks {
    fn drop(&mut self) {
        // A second call after `close` has no effect.
        self.endpoint.close(code::CLOSED, b"the node stops");
    }
}
