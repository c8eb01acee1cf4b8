mod floods;
mod identity;
mod membership;
mod moves;
mod operator;
mod raw_peer;
mod snapshots;
mod streams;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint};
use raftian_raft::{
    Body, Change, ClientId, Command, Incarnation, Membership, Message, NodeId, Standing, Term,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

use super::client::{ClientError, request};
use super::*;
use crate::cluster::{EmbeddedNode, Fingerprint, NodeConfig, embedded};
use crate::contact::Contact;
use crate::links::Links;
use crate::wire;

/// Timeout of any single step, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running node without consensus; tests read the messages that it receives.
struct Node {
    config: NodeConfig,
    links: QuicLinks,
    requests: mpsc::Receiver<ServiceRequest>,
    notify: Arc<Notify>,
}

impl Node {
    fn start(node: EmbeddedNode) -> Self {
        Self::start_on(node.socket, node.config)
    }

    fn start_on(socket: UdpSocket, config: NodeConfig) -> Self {
        let notify = Arc::new(Notify::new());
        let (links, requests) =
            QuicLinks::start(QuicOptions::new(socket, &config), Arc::clone(&notify))
                .expect("links start");
        Node {
            config,
            links,
            requests,
            notify,
        }
    }

    fn peer(&self, id: u64) -> Arc<LinkCounters> {
        let counters = self.links.counters();
        assert!(counters.peer(NodeId(id)).is_some(), "no peer n{id}");
        counters
    }

    /// Yields to the runtime until `probe` returns true.
    async fn until(&self, what: &str, probe: impl Fn(&LinkCounters) -> bool) {
        let counters = self.links.counters();
        eventually(what, || probe(&counters)).await;
    }

    async fn connected_to(&self, id: u64) {
        self.until("connected", |counters| {
            counters
                .peer(NodeId(id))
                .is_some_and(|peer| peer.connected())
        })
        .await;
    }

    /// Waits for the next message; only a notification may wake it.
    async fn receive(&mut self) -> (NodeId, Message) {
        let wait = async {
            loop {
                if let Some(received) = self.links.receive() {
                    return received;
                }
                self.notify.notified().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("a message in time")
    }
}

async fn eventually(what: &str, probe: impl FnMut() -> bool) {
    within(PATIENCE, what, probe).await;
}

async fn within(limit: Duration, what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !probe() {
        assert!(Instant::now() < deadline, "not {what} in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn cluster(nodes: usize) -> Vec<EmbeddedNode> {
    embedded(nodes, "test", Path::new("nowhere")).expect("a cluster")
}

fn two() -> (Node, Node) {
    let mut nodes = cluster(2).into_iter().map(Node::start);
    (nodes.next().expect("n1"), nodes.next().expect("n2"))
}

fn message_of_term(term: u64) -> Message {
    Message::new(Term(term), Body::VoteReply { granted: true })
}

fn large(term: u64) -> Message {
    let command = Command {
        client: ClientId(1),
        sequence: 1,
        bytes: vec![1; wire::MAX_FRAME - 64].into(),
    };
    Message::new(
        Term(term),
        Body::Forward {
            commands: vec![command],
        },
    )
}

/// A raw connection to `to` with the identity of `from`, for sending malformed data; its endpoint
/// must outlive it.
async fn connect(
    from: &NodeConfig,
    to: SocketAddr,
    expected: Fingerprint,
) -> (Endpoint, Connection) {
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let config =
        tls::client(&from.identity, tls::Pin::Whole(expected), tls::protocol()).expect("settings");
    let connecting = endpoint
        .connect_with(config, to, "raftian")
        .expect("an attempt");
    (
        endpoint,
        timeout(PATIENCE, connecting)
            .await
            .expect("in time")
            .expect("a connection"),
    )
}

#[tokio::test]
async fn messages_arrive_in_order_in_both_directions() {
    let (mut a, mut b) = two();
    for term in 1..=100 {
        a.links.send(NodeId(2), message_of_term(term));
        b.links.send(NodeId(1), message_of_term(term));
    }
    for term in 1..=100 {
        assert_eq!(b.receive().await, (NodeId(1), message_of_term(term)));
        assert_eq!(a.receive().await, (NodeId(2), message_of_term(term)));
    }
    a.links.send(NodeId(2), large(7));
    assert!(
        b.receive().await == (NodeId(1), large(7)),
        "the largest message arrives whole"
    );
    let counters = a.peer(2);
    let counters = counters.peer(NodeId(2)).expect("a peer");
    assert_eq!(
        (counters.sent(), counters.received(), counters.dropped()),
        (101, 100, 0)
    );
    assert_eq!(
        (
            counters.connects(),
            counters.refused(),
            counters.decode_errors()
        ),
        (1, 0, 0)
    );
    // A message to an unknown peer is dropped without a panic.
    a.links.send(NodeId(9), message_of_term(1));
}

#[tokio::test]
async fn five_nodes_reach_each_other() {
    let mut nodes: Vec<_> = cluster(5).into_iter().map(Node::start).collect();
    for node in &nodes {
        for peer in (1..=5).filter(|peer| NodeId(*peer) != node.config.id) {
            node.connected_to(peer).await;
        }
    }
    for node in &mut nodes {
        // The node itself is no peer: a message to it is dropped.
        for peer in 1..=5 {
            node.links
                .send(NodeId(peer), message_of_term(node.config.id.0));
        }
    }
    for node in &mut nodes {
        for _ in 0..4 {
            let (from, message) = node.receive().await;
            assert_eq!(
                message,
                message_of_term(from.0),
                "the sender must match the content"
            );
        }
    }
}

#[tokio::test]
async fn restarted_peer_is_reconnected() {
    let (mut a, mut b) = two();
    a.links.send(NodeId(2), message_of_term(1));
    assert_eq!(b.receive().await, (NodeId(1), message_of_term(1)));
    b.connected_to(1).await;
    for restart in 1..=2 {
        if restart == 1 {
            b.links.close(Duration::from_secs(1)).await;
        }
        // The second time without a close, as by a crash.
        let config = b.config.clone();
        drop(b);
        let mut socket = None;
        eventually("able to bind the old port", || {
            socket = UdpSocket::bind(config.listen).ok();
            socket.is_some()
        })
        .await;
        b = Node::start_on(socket.expect("bound"), config);
        let mut received = None;
        // A message on the lost connection may be dropped; Raft repeats its messages too.
        eventually("reached again", || {
            a.links.send(NodeId(2), message_of_term(10 + restart));
            received = b.links.receive();
            received.is_some()
        })
        .await;
        assert_eq!(received, Some((NodeId(1), message_of_term(10 + restart))));
        b.connected_to(1).await;
        while b.links.receive().is_some() {}
        // Messages may have taken the connection that the restarted node dialled.
        a.until("connected once more by its own dialling", |counters| {
            counters
                .peer(NodeId(2))
                .is_some_and(|peer| peer.connects() > restart)
        })
        .await;
    }
}

/// The restarted node resets unknown connections, so its peer need not wait for the idle timeout.
#[tokio::test]
async fn crashed_peer_is_detected_before_the_idle_timeout() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let mut a = Node::start(a);
    let config = b.config.clone();
    // This runtime can be stopped without closing its connections.
    let (crash, crashed) = std::sync::mpsc::channel::<()>();
    let (sender, connected) = tokio::sync::oneshot::channel();
    let crashing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let b = runtime.block_on(async {
            let b = Node::start(b);
            b.connected_to(1).await;
            sender.send(()).expect("a waiting receiver");
            eventually("crashed", || crashed.try_recv().is_ok()).await;
            b
        });
        // The runtime is no longer polled, so it sends nothing more.
        drop(b);
        drop(runtime);
    });
    a.connected_to(2).await;
    // From here on this thread does not poll `a` until the other has crashed, so it must have
    // connected before.
    connected.await.expect("it connects");
    crash.send(()).expect("alive");
    crashing.join().expect("no panic");
    let mut socket = None;
    eventually("able to bind the old port", || {
        socket = UdpSocket::bind(config.listen).ok();
        socket.is_some()
    })
    .await;
    let started = Instant::now();
    let mut b = Node::start_on(socket.expect("bound"), config);
    let mut received = None;
    eventually("reached again", || {
        a.links.send(NodeId(2), message_of_term(2));
        received = b.links.receive();
        received.is_some()
    })
    .await;
    assert_eq!(received, Some((NodeId(1), message_of_term(2))));
    assert!(
        started.elapsed() < IDLE_TIMEOUT,
        "detected only after {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn malformed_message_closes_only_its_stream() {
    let mut nodes = cluster(3).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let mut c = Node::start(nodes.next().expect("n3"));
    let (_endpoint, connection) =
        connect(&b.config, a.config.listen, a.config.identity.fingerprint()).await;
    let foreign_version = [2, 0, 0, 0, wire::WIRE_VERSION + 1, 0];
    let nonsense = [3, 0, 0, 0, wire::WIRE_VERSION, 0xff, 0xff];
    let oversize = (wire::MAX_FRAME as u32 + 1).to_le_bytes();
    let frames: [&[u8]; 5] = [&oversize, &[0xff; 4], &[0; 4], &foreign_version, &nonsense];
    for frame in frames {
        let mut stream = connection.open_uni().await.expect("a stream");
        stream.write_all(frame).await.expect("written");
        let stopped = timeout(PATIENCE, stream.stopped())
            .await
            .expect("in time")
            .expect("still connected");
        assert_eq!(stopped, Some(code::GARBAGE));
    }
    let counters = a.peer(2);
    assert_eq!(
        counters.peer(NodeId(2)).map(|peer| peer.decode_errors()),
        Some(5)
    );
    let mut stream = connection.open_uni().await.expect("a stream");
    stream
        .write_all(&wire::encode_message(&message_of_term(1)).expect("small"))
        .await
        .expect("written");
    assert_eq!(
        a.receive().await,
        (NodeId(2), message_of_term(1)),
        "the connection must stay open"
    );
    c.links.send(NodeId(1), message_of_term(2));
    assert_eq!(
        a.receive().await,
        (NodeId(3), message_of_term(2)),
        "the node must keep receiving"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn peer_may_open_and_end_any_number_of_streams() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let (_endpoint, connection) =
        connect(&b.config, a.config.listen, a.config.identity.fingerprint()).await;
    let churn = async {
        for number in 0..20_000 {
            let mut stream = connection.open_uni().await.expect("a stream");
            match number % 3 {
                0 => stream.finish().expect("an open stream"),
                1 => stream.reset(code::CLOSED).expect("an open stream"),
                // Malformed, so the node stops the stream.
                _ => stream.write_all(&[0xff; 4]).await.expect("written"),
            }
        }
    };
    timeout(PATIENCE, churn)
        .await
        .expect("the node accepts all streams in time");
    let mut stream = connection.open_uni().await.expect("a stream");
    stream
        .write_all(&wire::encode_message(&message_of_term(1)).expect("small"))
        .await
        .expect("written");
    assert_eq!(
        a.receive().await,
        (NodeId(2), message_of_term(1)),
        "the node must keep reading"
    );
}

#[tokio::test]
async fn cut_node_neither_sends_nor_receives_until_restored() {
    let (mut a, mut b) = two();
    a.connected_to(2).await;
    b.connected_to(1).await;
    a.links.set_cut(true);
    assert!(a.links.is_cut());
    a.links.send(NodeId(2), message_of_term(1));
    b.links.send(NodeId(1), message_of_term(2));
    a.until("dropping", |counters| {
        counters
            .peer(NodeId(2))
            .is_some_and(|peer| peer.dropped() == 2)
    })
    .await;
    assert_eq!((a.links.receive(), b.links.receive()), (None, None));
    a.links.set_cut(false);
    a.links.send(NodeId(2), message_of_term(3));
    b.links.send(NodeId(1), message_of_term(4));
    assert_eq!(b.receive().await, (NodeId(1), message_of_term(3)));
    assert_eq!(a.receive().await, (NodeId(2), message_of_term(4)));
}

#[tokio::test]
async fn full_outbox_drops_and_counts_the_newest_message() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    // The second node never starts.
    let _silent = nodes.next().expect("n2");
    for term in 0..OUTBOX as u64 + 10 {
        a.links.send(NodeId(2), message_of_term(term));
    }
    assert_eq!(
        a.peer(2).peer(NodeId(2)).map(|peer| peer.dropped()),
        Some(10)
    );
}

#[tokio::test]
async fn slow_receiver_slows_senders_and_loses_no_message() {
    let (mut a, mut b) = two();
    a.connected_to(2).await;
    let mut sent = 0;
    // Far more messages than the queues on the path hold.
    for _ in 0..40 {
        a.links.send(NodeId(2), large(1));
        sent += 1;
        tokio::task::yield_now().await;
    }
    // With less room than one frame, the next message must wait.
    eventually("held back", || {
        b.links.shared.inbox_room.available_permits() < wire::MAX_FRAME
    })
    .await;
    let mut received = 0;
    eventually("delivered", || {
        while b.links.receive().is_some() {
            received += 1;
        }
        received == sent
    })
    .await;
    assert_eq!(b.links.shared.inbox_room.available_permits(), INBOX_BYTES);
}

#[tokio::test]
async fn dropped_links_end_their_tasks() {
    let (a, b) = two();
    a.connected_to(2).await;
    b.connected_to(1).await;
    // Every task holds `Shared`, so its last reference ends with the last task.
    let shared = Arc::downgrade(&a.links.shared);
    drop(a);
    eventually("ended", || shared.strong_count() == 0).await;
    b.until("disconnected", |counters| {
        counters
            .peer(NodeId(1))
            .is_some_and(|peer| !peer.connected())
    })
    .await;
}

#[test]
fn links_without_a_runtime_are_an_error() {
    let node = cluster(1).remove(0);
    let started =
        QuicLinks::start(QuicOptions::new(node.socket, &node.config), Arc::default()).map(drop);
    assert_eq!(started, Err(LinkError::NoRuntime));
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = NodeConfig {
        listen: taken.local_addr().expect("an address"),
        ..node.config
    };
    assert!(matches!(
        QuicOptions::bind(&config),
        Err(LinkError::Socket { .. })
    ));
}
