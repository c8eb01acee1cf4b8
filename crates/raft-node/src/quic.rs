//! Links over QUIC: one UDP port per node, each peer authenticated by its certificate.
//!
//! Every node dials every other, and peers need not agree on who dials. Both sides of a connection
//! send and receive on it, so a pair of which only one side can be reached needs one connection.
//! With two, messages to a peer are sent on one of them; `paths.rs` describes the choice, and how
//! it changes when either machine gets another address. The accepting side first opens an empty
//! stream as a welcome: in TLS 1.3 the handshake of the dialling side completes before the other
//! side has verified its certificate, and only the welcome shows that both have accepted.
//!
//! Heartbeats, votes and replies are sent on one stream, entries and forwarded commands on a second
//! one, snapshots on a third, with falling priority on the same connection: an urgent message never
//! queues behind bulk, neither here nor at the receiver, and a lost packet of one stream delays no
//! message of another. So a heartbeat may overtake entries, unless it names one that
//! may still be on its way.
//!
//! A connection with the node's own certificate comes from its operator's tool; see [`client`].
//!
//! The links follow the membership: [`Links::follow`](crate::links::Links::follow) dials members
//! that were added and closes the connections of those that were removed.

mod accept;
mod answer;
pub mod client;
mod counters;
mod dial;
mod join;
mod links;
mod paths;
mod peer;
mod receive;
mod send;
mod shared;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::cluster::Identity;

pub use answer::{PeerRequest, RequestSource};
pub use counters::{LinkCounters, PeerCounters};
pub use join::{AskError, ask, ask_at};
pub use links::{QuicLinks, QuicOptions};

/// Maximum number of messages that wait for one peer. One round trip of a busy leader fits; more
/// would be stale on arrival. At the bound the newest message is dropped and counted, since Raft
/// sends again.
pub const OUTBOX: usize = 256;

/// Maximum number of snapshot chunks that wait for one peer: several times the number that the core
/// has in flight to it by default. Behaves like [`OUTBOX`].
pub const SNAPSHOT_OUTBOX: usize = 32;

/// Maximum number of messages that wait for the node. At the bound streams are no longer read, and
/// QUIC slows the senders down.
pub const INBOX: usize = 1024;

/// Maximum bytes of messages that wait for the node: 8 MiB. Behaves like [`INBOX`].
pub const INBOX_BYTES: usize = 8 * 1024 * 1024;

/// Bytes written to a stream at once, give or take one message: 64 KiB, a few packets' worth of
/// work.
pub const WRITE_BATCH: usize = 64 * 1024;

/// Maximum number of handshakes in progress. More are refused before their certificate is read.
/// From half of it on, an address must answer a Retry packet before a handshake begins (RFC 9000,
/// section 8.1.2), so that forged addresses occupy nothing.
pub const MAX_HANDSHAKES: usize = 90;

/// Maximum number of further handshakes in progress with addresses of members and of this machine.
pub const RESERVED_HANDSHAKES: usize = 32;

/// Maximum number of connections of the operator's tools, separate from those of members. More are
/// closed with [`code::BUSY`].
pub const MAX_CLIENTS: usize = 256;

/// Maximum number of connections of players who ask to join, separate from those of members. More
/// are closed with [`code::BUSY`].
pub const MAX_JOINERS: usize = 16;

/// Maximum number of requests of members and joiners that wait for the node.
pub const PEER_REQUEST_QUEUE: usize = 64;

/// Time after which an operator's connection without a request is closed. Bounds how long a killed
/// tool that has read its answer still holds a connection.
pub const CLIENT_IDLE: Duration = Duration::from_secs(2);

/// Maximum number of unidirectional streams that a peer may have open on one connection: urgent
/// messages, entries and snapshots need one each; the rest is room for closed streams that are not
/// released yet, such as the welcome.
pub const MAX_STREAMS: u32 = 6;

/// Maximum number of concurrent requests on one connection of the operator's tool, and on one
/// between members.
pub const MAX_REQUESTS: u32 = 8;

/// Maximum number of requests that wait for the node. More are answered with [`code::BUSY`].
pub const REQUEST_QUEUE: usize = 64;

/// Maximum size of a request of the operator's tool in bytes: 64 KiB.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Maximum size of an answer to the operator's tool in bytes: 1 MiB.
pub const MAX_RESPONSE: usize = 1024 * 1024;

/// Timeout for a request to arrive, and then for its answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for the answer to a request of a member or joiner, which may wait for a leader and a
/// commit.
pub const PEER_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which the connections of a removed member stay open, so that it receives the reply to
/// a request for its own removal.
pub const REMOVED_GRACE: Duration = Duration::from_secs(1);

/// Silence after which a connection is lost. Elections react much earlier; this only cleans up.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Silence after which a connection sends a keep-alive. The peer learns a new address of this
/// machine from the first packet on a connection that this node dialled, and an idle one sends no
/// other.
pub const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Timeout of one attempt to connect: room for four round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Pause after the first failed attempt to connect; it doubles with each further one.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Longest pause between attempts to connect.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Initial estimate of the round trip, for the first retransmission. With QUIC's default of 333 ms
/// a lost first packet would cost a second, longer than an election.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Maximum bytes in flight to this node on one connection: four frames of the largest size.
const RECEIVE_WINDOW: u32 = 4 * 1024 * 1024;

/// Application error codes with which a connection or stream is closed.
pub mod code {
    use quinn::VarInt;

    /// The node stops.
    pub const CLOSED: VarInt = VarInt::from_u32(0);
    /// The bytes on the stream are not messages.
    pub const GARBAGE: VarInt = VarInt::from_u32(1);
    /// The same member opened a newer connection.
    pub const SUPERSEDED: VarInt = VarInt::from_u32(2);
    /// Too many requests are waiting; the client should retry later.
    pub const BUSY: VarInt = VarInt::from_u32(3);
    /// The request or its answer is too large.
    pub const TOO_LARGE: VarInt = VarInt::from_u32(4);
    /// The node did not answer the request in time.
    pub const NO_ANSWER: VarInt = VarInt::from_u32(5);
    /// The certificate belongs to no member.
    pub const UNKNOWN_PEER: VarInt = VarInt::from_u32(6);
    /// The other side was removed from the members, which is committed.
    pub const REMOVED: VarInt = VarInt::from_u32(7);
}

/// Why links cannot be started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The call is outside a tokio runtime.
    #[error("QUIC links must be started inside a tokio runtime")]
    NoRuntime,
    /// The key and certificate cannot be used.
    #[error("the node's key and certificate cannot be used: {reason}")]
    Identity {
        /// Error of TLS.
        reason: String,
    },
    /// The UDP port cannot be used.
    #[error("the UDP port {address} cannot be used: {reason}; {remedy}")]
    Socket {
        /// Address of the port.
        address: SocketAddr,
        /// Error of the operating system.
        reason: String,
        /// Remedy.
        remedy: &'static str,
    },
}

impl LinkError {
    fn socket(address: SocketAddr, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "another program uses it; is this node running already?",
            ErrorKind::PermissionDenied => {
                "choose a port of at least 1024, or run with the privilege to open lower ones"
            }
            ErrorKind::AddrNotAvailable => {
                "this machine does not have the address; `0.0.0.0` listens on all addresses"
            }
            _ => "check the address and the port",
        };
        LinkError::Socket {
            address,
            reason: error.to_string(),
            remedy,
        }
    }
}

/// Request of the operator's tool, opaque to the links. If it is dropped, the client times out.
#[derive(Debug)]
pub struct ServiceRequest {
    /// Body of the request, at most [`MAX_REQUEST`] bytes.
    pub body: Vec<u8>,
    /// Channel for the answer, at most [`MAX_RESPONSE`] bytes.
    pub respond: oneshot::Sender<Vec<u8>>,
}

impl ServiceRequest {
    /// Answers the request. No-op if the client no longer waits.
    pub fn answer(self, answer: Vec<u8>) {
        let _receiver_gone = self.respond.send(answer).is_err();
    }
}

/// Settings of every connection, dialled or accepted.
fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(millis(
            IDLE_TIMEOUT,
        )))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_STREAMS))
        // Only an operator's connection may send requests; its limit is raised on acceptance.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        // Streams finish in the order of their messages. If they shared the line instead, none of a
        // full pipeline of appends would complete for seconds once the line has lost packets.
        .send_fairness(false)
        // Without a buffer datagrams are disabled: no peer needs them.
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}

/// Settings of a node's port. Its secrets are derived from the node's key, so that a restarted node
/// can reset its peers' old connections at once (RFC 9000, section 10.3); otherwise they would send
/// to a lost connection for [`IDLE_TIMEOUT`].
fn endpoint(identity: &Identity) -> EndpointConfig {
    let secret = |purpose: &str| -> [u8; 32] {
        let mut hash = Sha256::new();
        // Each secret has its own purpose, so that one does not reveal the other.
        hash.update(purpose);
        hash.update(identity.key().secret_der());
        hash.finalize().into()
    };
    let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret("raftian stateless reset"));
    let mut connection_ids = [0; 8];
    connection_ids.copy_from_slice(&secret("raftian connection ids")[..8]);
    let connection_ids = u64::from_le_bytes(connection_ids);
    let mut config = EndpointConfig::new(Arc::new(reset));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_ids)));
    config
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Returns whether the `count`th event of a kind is logged: the first, then ever fewer.
fn is_worth_logging(count: u64) -> bool {
    count.is_power_of_two()
}

#[cfg(test)]
mod tests;
