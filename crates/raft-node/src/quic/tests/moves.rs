//! Messages flow on whichever connection stands, and a member whose address changes is reached
//! again without another configuration.

use raftian_raft::{AppendEntries, AppendReply, AppendResult, Index, LogPosition};

use super::super::receive::read_frame;
use super::snapshots::chunk;
use super::*;

/// Limit for a link to work again in both directions after a move.
const RECOVERY: Duration = Duration::from_secs(2);

fn heartbeat(term: u64) -> Message {
    let append = AppendEntries {
        previous: LogPosition {
            term: Term(term),
            index: Index(1),
        },
        commit: Index(1),
        probe: None,
        round_trip: 0,
        entries: Vec::new(),
    };
    Message::new(Term(term), Body::AppendEntries(append))
}

fn reply(term: Term) -> Message {
    let reply = AppendReply {
        probe: None,
        result: AppendResult::Matched { up_to: Index(1) },
        state: None,
    };
    Message::new(term, Body::AppendReply(reply))
}

/// Loopback port without a program that answers.
fn silent_port() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a port")
}

/// Moves `node` to another port; its peers are not notified. Returns the old port, which no longer
/// answers.
async fn move_away(node: &Node) -> UdpSocket {
    node.links.rebind(silent_port());
    let mut old = None;
    // The endpoint reads its old port until the first packet arrives at the new one.
    eventually("moved", || {
        old = UdpSocket::bind(node.config.listen).ok();
        old.is_some()
    })
    .await;
    old.expect("bound")
}

/// Sends heartbeats of `term` until one of them and a reply to one have arrived.
async fn exchange(leader: &mut Node, follower: &mut Node, term: u64, limit: Duration) {
    let leader_id = leader.config.id;
    let follower_id = follower.config.id;
    within(limit, "answered", || {
        leader.links.send(follower_id, heartbeat(term));
        while let Some((_, message)) = follower.links.receive() {
            if matches!(message.body, Body::AppendEntries(_)) {
                follower.links.send(leader_id, reply(message.term));
            }
        }
        std::iter::from_fn(|| leader.links.receive()).any(|(_, message)| message.term.0 == term)
    })
    .await;
}

/// Sends a chunk of a snapshot until it has arrived.
async fn send_chunk(from: &mut Node, to: &mut Node, number: u64, limit: Duration) {
    let receiver = to.config.id;
    within(limit, "received", || {
        from.links.send(receiver, chunk(number, 2));
        std::iter::from_fn(|| to.links.receive()).any(|(_, message)| message == chunk(number, 2))
    })
    .await;
}

async fn both_dialled(a: &Node, b: &Node) {
    for (node, peer) in [(a, b.config.id), (b, a.config.id)] {
        node.until("connected by its own dialling", |counters| {
            counters.peer(peer).is_some_and(|peer| peer.connects() > 0)
        })
        .await;
    }
}

/// Two members of which the first has a wrong address of the second.
fn one_sided() -> (Node, Node, UdpSocket) {
    let mut nodes = cluster(2).into_iter();
    let mut a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let wrong = silent_port();
    a.config.members[1].address = wrong.local_addr().expect("an address").into();
    (Node::start(a), Node::start(b), wrong)
}

#[tokio::test]
async fn pair_talks_although_only_one_side_can_dial() {
    let (mut a, mut b, _wrong) = one_sided();
    a.connected_to(2).await;
    assert_eq!(
        a.peer(2).peer(NodeId(2)).map(|peer| peer.connects()),
        Some(0)
    );
    a.links.send(NodeId(2), message_of_term(1));
    b.links.send(NodeId(1), message_of_term(2));
    assert_eq!(b.receive().await, (NodeId(1), message_of_term(1)));
    assert_eq!(a.receive().await, (NodeId(2), message_of_term(2)));
}

#[tokio::test]
async fn peer_that_cannot_be_dialled_is_dialled_where_it_dials_from() {
    let (a, b, _wrong) = one_sided();
    both_dialled(&a, &b).await;
}

/// A name may stand for several addresses, of which one answers.
#[tokio::test]
async fn peer_is_dialled_by_its_host_name() {
    let mut nodes = cluster(2).into_iter();
    let mut a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let named = format!("localhost:{}", b.config.listen.port());
    a.config.members[1].address = named.parse().expect("a host name");
    let (a, b) = (Node::start(a), Node::start(b));
    both_dialled(&a, &b).await;
    let seen = b.links.observed_address(NodeId(1));
    assert_eq!(
        seen,
        Some(a.config.listen),
        "where the other one dials from"
    );
}

#[tokio::test]
async fn follower_that_moves_is_reached_again() {
    let (mut a, mut b) = two();
    both_dialled(&a, &b).await;
    exchange(&mut a, &mut b, 1, PATIENCE).await;
    let _old = move_away(&b).await;
    exchange(&mut a, &mut b, 2, RECOVERY).await;
}

#[tokio::test]
async fn leader_that_moves_reaches_its_follower_again() {
    let (mut a, mut b) = two();
    both_dialled(&a, &b).await;
    exchange(&mut b, &mut a, 1, PATIENCE).await;
    let _old = move_away(&b).await;
    exchange(&mut b, &mut a, 2, RECOVERY).await;
}

#[tokio::test]
async fn members_that_move_in_turn_keep_in_contact() {
    let (mut a, mut b) = two();
    both_dialled(&a, &b).await;
    exchange(&mut a, &mut b, 1, PATIENCE).await;
    let _old = move_away(&b).await;
    exchange(&mut a, &mut b, 2, RECOVERY).await;
    a.until("dialled again at the new address", |counters| {
        counters
            .peer(NodeId(2))
            .is_some_and(|peer| peer.connects() > 1)
    })
    .await;
    let _other = move_away(&a).await;
    exchange(&mut a, &mut b, 3, RECOVERY).await;
}

#[tokio::test]
async fn snapshots_follow_the_connection() {
    let (mut a, mut b) = two();
    both_dialled(&a, &b).await;
    exchange(&mut a, &mut b, 1, PATIENCE).await;
    send_chunk(&mut a, &mut b, 0, PATIENCE).await;
    let _old = move_away(&b).await;
    send_chunk(&mut a, &mut b, 1, RECOVERY).await;
}

#[tokio::test]
async fn member_restarted_on_another_port_is_sent_to() {
    let (mut a, b) = two();
    both_dialled(&a, &b).await;
    let config = b.config.clone();
    // Its old port stays taken, so that it cannot get the same one again.
    let moved = silent_port();
    drop(b);
    let mut b = Node::start_on(moved, config);
    within(RECOVERY, "received", || {
        a.links.send(NodeId(2), message_of_term(1));
        b.links.receive() == Some((NodeId(1), message_of_term(1)))
    })
    .await;
}

/// The test plays the second member, with one connection of each direction.
#[tokio::test]
async fn closed_connection_is_replaced_by_the_other_at_once() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let fingerprint = a.config.identity.fingerprint();
    let (endpoint, accepted) = raw_peer::accept(&b.config, b.socket).await;
    a.connected_to(2).await;
    let (_other_endpoint, dialled) = connect(&b.config, a.config.listen, fingerprint).await;
    let welcome = timeout(PATIENCE, dialled.accept_uni()).await;
    drop(welcome.expect("in time").expect("a welcome"));

    // It cannot be dialled again.
    endpoint.set_server_config(None);
    accepted.close(code::CLOSED, b"");
    let read = async {
        let mut stream = dialled.accept_uni().await.expect("a stream");
        read_frame(&mut stream).await.expect("a frame")
    };
    let mut read = std::pin::pin!(read);
    let deadline = Instant::now() + PATIENCE;
    let (_, message) = loop {
        assert!(Instant::now() < deadline, "no message in time");
        a.links.send(NodeId(2), message_of_term(1));
        if let Ok(read) = timeout(Duration::from_millis(10), &mut read).await {
            break read.expect("a message");
        }
    };
    assert_eq!(message, message_of_term(1));
    let counters = a.peer(2);
    let counters = counters.peer(NodeId(2)).expect("a peer");
    assert!(counters.connected(), "one connection stands");
    assert_eq!(counters.connects(), 1);
}
