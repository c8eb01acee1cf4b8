//! Peers are identified by their certificates, and those of other wire versions are refused.

use super::*;

#[tokio::test]
async fn unknown_key_is_refused_in_both_directions() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    // A node with an unknown key uses the address of the second node and knows the first one.
    let foreign = cluster(1).remove(0);
    let mut disguised = b.config.clone();
    disguised.identity = foreign.config.identity;
    let mut a = Node::start(a);
    let mut foreign = Node::start_on(b.socket, disguised);
    let refuses = |counters: &LinkCounters, peer| {
        counters
            .peer(NodeId(peer))
            .is_some_and(|peer| peer.refused() > 1)
    };
    a.until("refusing to dial an unknown peer", |counters| {
        refuses(counters, 2)
    })
    .await;
    a.until("refusing a connection of an unknown peer", |counters| {
        counters.refused_handshakes() > 1
    })
    .await;
    foreign
        .until("refused", |counters| refuses(counters, 1))
        .await;
    a.links.send(NodeId(2), message_of_term(1));
    foreign.links.send(NodeId(1), message_of_term(1));
    a.until("still refusing", |counters| {
        counters.refused_handshakes() > 3
    })
    .await;
    assert_eq!((a.links.receive(), foreign.links.receive()), (None, None));
    assert_eq!(
        a.peer(2).peer(NodeId(2)).map(|peer| peer.connects()),
        Some(0)
    );
    assert_eq!(
        foreign.peer(1).peer(NodeId(1)).map(|peer| peer.connects()),
        Some(0)
    );
}

/// A builder of a TLS client that trusts the certificate of `node`.
fn trusting(
    node: &Node,
) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(node.config.identity.certificate().clone())
        .expect("a certificate");
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
}

/// Connects to `node` with these settings, from an endpoint that must be kept.
fn dial_with(node: &Node, tls: rustls::ClientConfig) -> (Endpoint, quinn::Connecting) {
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("settings");
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint
        .connect_with(config, node.config.listen, "raftian")
        .expect("an attempt");
    (endpoint, connecting)
}

#[tokio::test]
async fn connection_without_a_certificate_is_refused() {
    let a = Node::start(cluster(1).remove(0));
    let mut tls = trusting(&a).with_no_client_auth();
    tls.alpn_protocols = vec![format!("raftian/{}", wire::WIRE_VERSION).into_bytes()];
    let (_endpoint, connecting) = dial_with(&a, tls);
    // In TLS 1.3 the client's handshake may complete before the server has verified the client.
    if let Ok(connection) = timeout(PATIENCE, connecting).await.expect("in time") {
        let reason = timeout(PATIENCE, connection.closed())
            .await
            .expect("refused in time");
        assert_eq!(tls::alert(&reason), Some(tls::Alert::Refused), "{reason}");
    }
    a.until("counted", |counters| counters.refused_handshakes() == 1)
        .await;
}

#[tokio::test]
async fn node_of_another_wire_version_is_refused_as_such() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let b = nodes.next().expect("n2");
    let a = Node::start(a);
    let mut tls = trusting(&a)
        .with_client_auth_cert(
            vec![b.config.identity.certificate().clone()],
            b.config.identity.key().clone_key(),
        )
        .expect("an identity");
    tls.alpn_protocols = vec![b"raftian/0".to_vec()];
    let (_endpoint, connecting) = dial_with(&a, tls);
    let error = timeout(PATIENCE, connecting)
        .await
        .expect("in time")
        .expect_err("another version");
    assert_eq!(
        tls::alert(&error),
        Some(tls::Alert::ForeignProtocol),
        "{error}"
    );
}

#[tokio::test]
async fn certificate_identifies_the_sender() {
    let mut nodes = cluster(3).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    for node in nodes {
        let (_endpoint, connection) = connect(
            &node.config,
            a.config.listen,
            a.config.identity.fingerprint(),
        )
        .await;
        let mut stream = connection.open_uni().await.expect("a stream");
        stream
            .write_all(&wire::encode_message(&message_of_term(5)).expect("small"))
            .await
            .expect("written");
        assert_eq!(a.receive().await, (node.config.id, message_of_term(5)));
    }
}
