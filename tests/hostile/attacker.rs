//! Means of an attacker: connections with any identity, raw streams, datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use raftian_node::NodeControl;
use raftian_node::cluster::{Identity, NodeConfig};
use raftian_node::wire;
use raftian_raft::{Body, Incarnation, Index, LogPosition, Message, NodeId, Term};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Timeout of any single step.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Time in which an attack must have had its effect, if it has one.
pub(super) const EFFECT: Duration = Duration::from_millis(400);

/// A member, as the others know it.
pub(super) struct Target {
    pub(super) config: NodeConfig,
    pub(super) incarnation: Incarnation,
}

pub(super) struct Attacker {
    honest: Vec<Target>,
    controls: Vec<NodeControl>,
    stolen: Vec<Target>,
}

impl Attacker {
    pub(super) fn new(
        honest: Vec<Target>,
        controls: Vec<NodeControl>,
        stolen: Vec<Target>,
    ) -> Self {
        Attacker {
            honest,
            controls,
            stolen,
        }
    }

    /// The member that leads.
    pub(super) fn leader(&self) -> &Target {
        let leader = self.controls.iter().find_map(|control| {
            let status = control.view().status;
            status.leader.filter(|leader| *leader == status.id)
        });
        let leader = leader.unwrap_or(NodeId(1));
        self.honest
            .iter()
            .find(|target| target.config.id == leader)
            .expect("an honest member leads")
    }

    /// A member that follows.
    pub(super) fn follower(&self) -> &Target {
        let leader = self.leader().config.id;
        let mut others = self.honest.iter();
        others
            .find(|target| target.config.id != leader)
            .expect("three members")
    }

    pub(super) fn control(&self, target: &Target) -> &NodeControl {
        &self.controls[target.config.id.0 as usize - 1]
    }

    pub(super) fn term(&self) -> Term {
        self.controls[0].view().status.term
    }

    /// The last entry of the leader.
    pub(super) fn last(&self) -> LogPosition {
        self.control(self.leader()).view().status.last
    }

    pub(super) fn commit(&self) -> Index {
        self.control(self.leader()).view().status.commit
    }

    /// Number of messages that a member has received from the first stolen member.
    pub(super) fn received(&self, to: &Target) -> u64 {
        let counters = self.control(to).links();
        let member = counters.peer(self.stolen().config.id);
        member.map_or(0, |member| member.received())
    }

    /// A member whose key was stolen.
    pub(super) fn stolen(&self) -> &Target {
        &self.stolen[0]
    }

    /// Another member whose key was stolen.
    pub(super) fn other_stolen(&self) -> &Target {
        &self.stolen[1]
    }

    /// A message of the first stolen member.
    pub(super) fn message(&self, to: &Target, term: Term, body: Body) -> Message {
        Message {
            term,
            sender: self.stolen().incarnation,
            receiver: to.incarnation,
            body,
        }
    }

    /// Connects as the first stolen member.
    pub(super) async fn as_member(&self, to: &Target) -> Link {
        let protocols = vec![member_protocol()];
        let config = client(Some(&self.stolen().config.identity), protocols);
        let link = dial(config, to.config.listen).await;
        link.expect("a member is let in")
    }

    /// Sends messages as the first stolen member on a stream of its own.
    pub(super) async fn send(&self, link: &Link, messages: &[Message]) -> SendStream {
        let mut stream = within(link.connection.open_uni()).await.expect("a stream");
        for message in messages {
            let frame = wire::encode_message(message).expect("a frame");
            within(stream.write_all(&frame)).await.expect("room");
        }
        stream
    }
}

/// A connection and the endpoint that keeps it.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) endpoint: Endpoint,
}

pub(super) fn member_protocol() -> Vec<u8> {
    format!("raftian/{}", wire::WIRE_VERSION).into_bytes()
}

pub(super) fn join_protocol() -> Vec<u8> {
    format!("raftian-join/{}", wire::WIRE_VERSION).into_bytes()
}

/// A TLS client that trusts everyone.
fn builder() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsAll))
}

/// Settings of a client with this identity, or none.
pub(super) fn client(identity: Option<&Identity>, protocols: Vec<Vec<u8>>) -> quinn::ClientConfig {
    let mut tls = match identity {
        None => builder().with_no_client_auth(),
        Some(identity) => builder()
            .with_client_auth_cert(
                vec![identity.certificate().clone()],
                identity.key().clone_key(),
            )
            .expect("an identity"),
    };
    tls.alpn_protocols = protocols;
    quic(tls)
}

/// Settings of a client that shows one certificate and signs with the key of another.
pub(super) fn client_with_the_key_of_another(
    shown: &Identity,
    signs: &Identity,
) -> quinn::ClientConfig {
    let key = rustls::crypto::ring::sign::any_supported_type(signs.key()).expect("a key");
    let certified = rustls::sign::CertifiedKey::new(vec![shown.certificate().clone()], key);
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    let mut tls = builder().with_client_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![member_protocol()];
    quic(tls)
}

fn quic(tls: rustls::ClientConfig) -> quinn::ClientConfig {
    quinn::ClientConfig::new(Arc::new(
        QuicClientConfig::try_from(tls).expect("settings of QUIC"),
    ))
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port")
}

/// Connects, and waits until the other side has decided about the client.
pub(super) async fn dial(
    config: quinn::ClientConfig,
    to: SocketAddr,
) -> Result<Link, ConnectionError> {
    let endpoint = endpoint();
    let connecting = endpoint
        .connect_with(config, to, Identity::SERVER_NAME)
        .expect("an attempt");
    let connection = within(connecting).await?;
    // In TLS 1.3 the handshake of a client ends before the server has verified it. A member opens
    // a stream once it has let the other in.
    within(connection.accept_uni()).await?;
    Ok(Link {
        connection,
        endpoint,
    })
}

/// How a dial ended.
pub(super) fn verdict(result: Result<Link, ConnectionError>) -> String {
    match result {
        Ok(_) => "let in".to_owned(),
        Err(ConnectionError::TransportError(error)) => match u64::from(error.code) {
            0x178 => "no common protocol".to_owned(),
            0x100..0x200 => "refused by TLS".to_owned(),
            _ => "refused by QUIC".to_owned(),
        },
        Err(ConnectionError::ConnectionClosed(close)) => match u64::from(close.error_code) {
            0x178 => "no common protocol".to_owned(),
            0x100..0x200 => "refused by TLS".to_owned(),
            _ => "refused by QUIC".to_owned(),
        },
        Err(ConnectionError::ApplicationClosed(_)) => "closed after the handshake".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// First packets of connections, each of which would begin a handshake.
pub(super) async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let to = sink.local_addr().expect("its address");
    let identity = Identity::generate().expect("an identity");
    let config = client(Some(&identity), vec![member_protocol()]);
    let endpoint = endpoint();
    let mut packets = Vec::new();
    let mut attempts = Vec::new();
    while packets.len() < count {
        let connecting = endpoint.connect_with(config.clone(), to, Identity::SERVER_NAME);
        attempts.push(connecting.expect("an attempt"));
        let mut packet = vec![0; 2048];
        let size = within(sink.recv(&mut packet)).await.expect("a packet");
        packet.truncate(size);
        packets.push(packet);
    }
    packets
}

/// Sends datagrams at a fixed rate for `length`, from the sockets in rotation.
pub(super) async fn flood(
    packets: &[Vec<u8>],
    from: &[UdpSocket],
    to: SocketAddr,
    per_second: u32,
    length: Duration,
) {
    /// Datagrams that are sent together.
    const BURST: u32 = 10;
    let bursts = (length.as_secs_f64() * f64::from(per_second / BURST)) as usize;
    let mut sockets = from.iter().cycle();
    let mut packets = packets.iter().cycle();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * BURST / per_second);
    for _ in 0..bursts {
        ticks.tick().await;
        for (packet, socket) in packets.by_ref().zip(sockets.by_ref()).take(BURST as usize) {
            // A full buffer loses the datagram, as a network does.
            let _lost = socket.send_to(packet, to).is_err();
        }
    }
}

pub(super) async fn within<T>(step: impl Future<Output = T>) -> T {
    let step = tokio::time::timeout(PATIENCE, step);
    step.await.expect("a step in time")
}

/// Accepts every server.
#[derive(Debug)]
struct TrustsAll;

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
