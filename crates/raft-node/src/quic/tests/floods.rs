//! Floods of packets from outsiders.

use super::*;

/// Packets per second of a flood.
const FLOOD: u32 = 400;

/// Requests and reconnections during a flood.
const ATTEMPTS: usize = 12;

/// Returns the first packets of `count` connections, each of which would begin a handshake.
async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let to = sink.local_addr().expect("its address");
    let identity = crate::cluster::Identity::generate().expect("an identity");
    let pin = tls::Pin::Whole(identity.fingerprint());
    let config = tls::client(&identity, pin, tls::protocol()).expect("settings");
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let mut packets = Vec::new();
    // An attempt that is dropped sends another packet, which ends its connection.
    let mut attempts = Vec::new();
    while packets.len() < count {
        let connecting = endpoint.connect_with(config.clone(), to, "raftian");
        attempts.push(connecting.expect("an attempt"));
        let mut packet = vec![0; 2048];
        let size = timeout(PATIENCE, sink.recv(&mut packet)).await;
        packet.truncate(size.expect("in time").expect("a packet"));
        packets.push(packet);
    }
    packets
}

/// Strangers send first packets of connections and never answer. Unless their addresses had to be
/// validated, each would occupy a handshake for its whole timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_and_members_connect_during_a_flood_of_first_packets() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let (config, to) = (a.config.clone(), a.config.listen);
    let packets = first_packets(2 * FLOOD as usize).await;
    let attacker = UdpSocket::bind("127.0.0.2:0").expect("a port");
    let flood = tokio::spawn(async move {
        for packet in packets.iter().cycle() {
            // The node may be gone at the end of the test.
            let _gone = attacker.send_to(packet, to).is_err();
            tokio::time::sleep(Duration::from_secs(1) / FLOOD).await;
        }
    });
    a.until("under pressure", |counters| {
        counters.retried_handshakes() > 0
    })
    .await;
    for attempt in 0..ATTEMPTS {
        let asked = tokio::spawn({
            let config = config.clone();
            async move { request(&config, vec![7], PATIENCE).await }
        });
        let asked_of_node = timeout(PATIENCE, a.requests.recv()).await;
        let asked_of_node = asked_of_node.unwrap_or_else(|_| panic!("request {attempt} is lost"));
        asked_of_node.expect("the links run").answer(vec![8]);
        assert_eq!(asked.await.expect("no panic"), Ok(vec![8]));
        let (_endpoint, connection) = connect(&b.config, to, config.identity.fingerprint()).await;
        timeout(PATIENCE, connection.accept_uni())
            .await
            .unwrap_or_else(|_| panic!("reconnection {attempt} is not accepted"))
            .expect("welcome");
    }
    flood.abort();
}
