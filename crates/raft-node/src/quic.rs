//! Links over QUIC: one UDP port per node, each peer known by its certificate.
//!
//! Every node dials every other and sends on the streams of its own connection; it receives on the
//! connections that the others dialled. So each direction heals by itself, and nobody has to agree
//! on who calls whom. Whoever accepts a connection opens an empty stream as a welcome: in TLS 1.3
//! the dialling side is done before the other has looked at its certificate, and only the welcome
//! says that both have agreed.
//!
//! Snapshots leave on a stream of their own, which yields to the other: heartbeats and answers
//! never queue behind them, neither here nor at the receiver, and a lost packet of a snapshot holds
//! up nothing else.
//!
//! A connection that shows the node's own certificate is its operator's tool; see [`client`].

mod accept;
pub mod client;
mod counters;
mod dial;
mod links;
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

pub use counters::{LinkCounters, PeerCounters};
pub use links::{QuicLinks, QuicOptions};

/// Most messages that wait for one peer. One round trip of a busy leader fits; more would be stale
/// when it arrives. At the bound the newest message is dropped and counted, since Raft sends again.
pub const OUTBOX: usize = 256;

/// Most parts of snapshots that wait for one peer: several times what the core has under way to it
/// by default. Behaves like [`OUTBOX`].
pub const SNAPSHOT_OUTBOX: usize = 32;

/// Most messages that wait for the node. At the bound streams are no longer read, and QUIC slows
/// the senders down.
pub const INBOX: usize = 1024;

/// Most bytes of messages that wait for the node: 8 MiB. Behaves like [`INBOX`].
pub const INBOX_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that are written to a stream at once, give or take one message: 64 KiB, a few packets'
/// worth of work.
pub const WRITE_BATCH: usize = 64 * 1024;

/// Connections whose handshake is under way. More are refused before their certificate is read.
pub const MAX_HANDSHAKES: usize = 90;

/// Connections of the operator's tools. They take no place of a member. More are closed with
/// [`code::BUSY`].
pub const MAX_CLIENTS: usize = 256;

/// Time after which a connection of the operator's tools without a request is closed. It bounds how
/// long the place of a tool that was killed is held after it has read its answer.
pub const CLIENT_IDLE: Duration = Duration::from_secs(2);

/// Most streams in one direction that a peer may have open: consensus needs one and snapshots
/// another; the rest is room for streams that were closed and not yet forgotten.
pub const MAX_STREAMS: u32 = 4;

/// Most requests that the operator's tool may have under way on one connection.
pub const MAX_REQUESTS: u32 = 8;

/// Most requests that wait for the node. More are answered with [`code::BUSY`].
pub const REQUEST_QUEUE: usize = 64;

/// Longest request of the operator's tool in bytes: 64 KiB.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Longest answer to the operator's tool in bytes: 1 MiB.
pub const MAX_RESPONSE: usize = 1024 * 1024;

/// How long a request may take to arrive, and then to be answered.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after which a connection is lost. Elections notice much earlier; this only cleans up.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Silence after which a connection shows that it lives.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How long one attempt to connect may take: room for four round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Pause after the first failed attempt to connect; it doubles with each further one.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Longest pause between attempts to connect.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// First guess of the round trip, for the first retransmission. QUIC's own guess of 333 ms would
/// make a lost first packet cost a second, longer than an election.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Most bytes in flight to this node on one connection: four frames of the largest size.
const RECEIVE_WINDOW: u32 = 4 * 1024 * 1024;

/// Why a connection or stream was closed, as said to the other side.
pub mod code {
    use quinn::VarInt;

    /// The node ends.
    pub const CLOSED: VarInt = VarInt::from_u32(0);
    /// The bytes on the stream are no messages.
    pub const GARBAGE: VarInt = VarInt::from_u32(1);
    /// The same member opened a newer connection.
    pub const SUPERSEDED: VarInt = VarInt::from_u32(2);
    /// Too many requests wait already; ask again later.
    pub const BUSY: VarInt = VarInt::from_u32(3);
    /// The request or its answer is too long.
    pub const TOO_LARGE: VarInt = VarInt::from_u32(4);
    /// The node did not answer the request in time.
    pub const NO_ANSWER: VarInt = VarInt::from_u32(5);
    /// The certificate is of no member.
    pub const STRANGER: VarInt = VarInt::from_u32(6);
}

/// Why links cannot be started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no tokio runtime around the call.
    #[error("QUIC links must be started inside a tokio runtime")]
    NoRuntime,
    /// The key and certificate cannot be used.
    #[error("the node's key and certificate cannot be used: {reason}")]
    Identity {
        /// What TLS said.
        reason: String,
    },
    /// The UDP port cannot be used.
    #[error("the UDP port {address} cannot be used: {reason}; {remedy}")]
    Socket {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system reported.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl LinkError {
    fn socket(address: SocketAddr, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "another program uses it; is this node running already?",
            ErrorKind::PermissionDenied => {
                "choose a port from 1024 on, or run with the right to open lower ones"
            }
            ErrorKind::AddrNotAvailable => {
                "this machine does not have the address; `0.0.0.0` listens on all it has"
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

/// A question of the operator's tool, opaque to the links. Dropping it lets the asker time out.
#[derive(Debug)]
pub struct ServiceRequest {
    /// What it asks, at most [`MAX_REQUEST`] bytes.
    pub body: Vec<u8>,
    /// Where the answer goes, at most [`MAX_RESPONSE`] bytes.
    pub respond: oneshot::Sender<Vec<u8>>,
}

impl ServiceRequest {
    /// Answers. Nothing happens if nobody waits any more.
    pub fn answer(self, answer: Vec<u8>) {
        let _nobody_waits = self.respond.send(answer).is_err();
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
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}

/// Settings of a node's port. Its secrets come from the node's key, so that a restarted node can
/// tell peers at once that their old connections are gone (RFC 9000, section 10.3); otherwise they
/// would talk into the void for [`IDLE_TIMEOUT`].
fn endpoint(identity: &Identity) -> EndpointConfig {
    let secret = |purpose: &str| -> [u8; 32] {
        let mut hash = Sha256::new();
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

/// Whether the `count`th event of one kind is logged: the first, then ever fewer.
fn is_worth_logging(count: u64) -> bool {
    count.is_power_of_two()
}

#[cfg(test)]
mod tests;
