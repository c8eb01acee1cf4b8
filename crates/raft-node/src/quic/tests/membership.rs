//! Links follow the membership in the log.

use super::*;

/// A membership of these members, with their contacts.
fn membership_of(configs: &[&NodeConfig]) -> Membership {
    let members = configs
        .iter()
        .map(|config| (config.id, Incarnation(1), Standing::Voter));
    let contact = |config: &&NodeConfig| {
        let contact = contact_of(config);
        (config.id, contact.encode().expect("a contact"))
    };
    let recorded = Change::Record {
        contacts: configs.iter().map(contact).collect(),
        annex: None,
    };
    Membership::of(members)
        .and_then(|membership| membership.after(&recorded))
        .expect("a membership")
}

/// Nodes that know each other only from the membership in the log.
#[tokio::test]
async fn links_follow_the_membership() {
    let nodes: Vec<_> = cluster(3).into_iter().collect();
    let configs: Vec<_> = nodes.iter().map(|node| node.config.clone()).collect();
    let mut started = nodes.into_iter().map(|mut node| {
        node.config.members.clear();
        Node::start(node)
    });
    let [mut a, mut b, mut c] = [(); 3].map(|()| started.next().expect("three nodes"));
    let all = membership_of(&configs.iter().collect::<Vec<_>>());
    let without_c = membership_of(&[&configs[0], &configs[1]]);
    for node in [&mut a, &mut b] {
        node.links.follow(&without_c, true);
    }
    a.connected_to(2).await;
    b.connected_to(1).await;
    // It knows the others, who do not know it yet.
    c.links.follow(&all, true);
    c.until("refused", |counters| {
        counters
            .peer(NodeId(1))
            .is_some_and(|peer| peer.refused() > 0)
    })
    .await;
    // Added by a change that is not committed yet.
    for node in [&mut a, &mut b] {
        node.links.follow(&all, false);
    }
    a.connected_to(3).await;
    b.connected_to(3).await;
    a.links.send(NodeId(3), message_of_term(7));
    assert_eq!(c.receive().await, (NodeId(1), message_of_term(7)));
    // A removal that is not committed closes nothing.
    a.links.follow(&without_c, false);
    assert!(a.links.counters().peer(NodeId(3)).is_some());
    a.links.follow(&without_c, true);
    assert!(a.links.counters().peer(NodeId(3)).is_none());
    c.until("closed by the other side and refused", |counters| {
        counters
            .peer(NodeId(1))
            .is_some_and(|peer| !peer.connected() && peer.is_refused())
    })
    .await;
    b.connected_to(3).await;
}

/// A member that moved to another port is dialled there as soon as the log contains its address.
#[tokio::test]
async fn peer_is_dialled_at_its_recorded_address() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let mut b = nodes.next().expect("n2");
    let (listen_a, listen_b) = (a.config.clone(), b.config.clone());
    let mut a = Node::start(a);
    drop(b.socket);
    b.socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    b.config.listen = b.socket.local_addr().expect("its address");
    // It cannot dial: only the address that the first one has may connect the two.
    b.config.members.retain(|member| member.id != NodeId(1));
    let moved = b.config.clone();
    let mut b = Node::start(b);
    let mut known = listen_a.clone();
    known.listen = listen_b.listen;
    b.links.follow(&membership_of(&[&known, &moved]), true);
    a.links.follow(&membership_of(&[&listen_a, &moved]), true);
    a.connected_to(2).await;
    a.links.send(NodeId(2), message_of_term(3));
    assert_eq!(b.receive().await, (NodeId(1), message_of_term(3)));
}

/// A node that was away gets both changes at once: a player left, and joined again with the same
/// key as another member.
#[tokio::test]
async fn player_who_joined_again_is_linked_under_the_new_id() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let own = a.config.clone();
    let mut earlier = b.config.clone();
    earlier.id = NodeId(3);
    let later = b.config.clone();
    let mut a = Node::start_on(
        a.socket,
        NodeConfig {
            members: Vec::new(),
            ..a.config
        },
    );
    a.links.follow(&membership_of(&[&own, &earlier]), true);
    let _b = Node::start(b);
    a.connected_to(3).await;
    a.links.follow(&membership_of(&[&own, &later]), true);
    a.connected_to(2).await;
    assert!(a.links.counters().peer(NodeId(3)).is_none());
    // Contacts from elsewhere do not replace the link of a member.
    let contact = contact_of(&earlier);
    a.links.list(NodeId(3), contact).expect("a usable identity");
    assert!(a.links.counters().peer(NodeId(3)).is_none());
    a.connected_to(2).await;
}

/// A member that catches up finds both memberships of a player in its log, and the removal of the
/// first one.
#[tokio::test]
async fn player_who_joined_again_is_not_removed_by_a_member_that_catches_up() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let own = a.config.clone();
    let later = b.config.clone();
    let mut earlier = b.config.clone();
    earlier.id = NodeId(1);
    let mut own_later = own.clone();
    own_later.id = NodeId(3);
    let mut a = Node::start_on(
        a.socket,
        NodeConfig {
            id: NodeId(3),
            members: Vec::new(),
            ..a.config
        },
    );
    let mut b = Node::start_on(
        b.socket,
        NodeConfig {
            members: Vec::new(),
            ..b.config
        },
    );
    // It knows from its admission who is a member now; then it reads the log.
    let contact = contact_of(&later);
    a.links.list(NodeId(2), contact).expect("a usable identity");
    b.links.follow(&membership_of(&[&later, &own_later]), true);
    a.connected_to(2).await;
    a.links.follow(&membership_of(&[&earlier]), true);
    a.links.follow(&membership_of(&[&own_later]), true);
    a.links.follow(&membership_of(&[&later, &own_later]), true);
    tokio::time::sleep(2 * REMOVED_GRACE).await;
    a.links.send(NodeId(2), message_of_term(3));
    assert_eq!(b.receive().await, (NodeId(3), message_of_term(3)));
    assert!(!b.links.counters().is_removed());
    // One that did not know it yet removes the earlier membership, which is not this one.
    a.links.follow(&membership_of(&[&own_later]), true);
    a.links
        .follow(&membership_of(&[&earlier, &own_later]), true);
    tokio::time::sleep(2 * REMOVED_GRACE).await;
    a.connected_to(1).await;
    a.links.follow(&membership_of(&[&own_later]), true);
    b.until("disconnected", |counters| {
        counters
            .peer(NodeId(3))
            .is_some_and(|peer| !peer.connected())
    })
    .await;
}

fn contact_of(config: &NodeConfig) -> Contact {
    Contact {
        name: config.name.clone(),
        fingerprint: config.identity.fingerprint(),
        addresses: vec![config.listen.into()],
        key: None,
    }
}
