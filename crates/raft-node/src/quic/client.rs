//! Client of the operator's tool: sends requests to a running node, with the node's own key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use quinn::{
    Connection, ConnectionError, Endpoint, ReadError, ReadToEndError, TransportErrorCode, VarInt,
    WriteError,
};
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::tls::{self, Pin};
use super::{MAX_REQUEST, MAX_RESPONSE, code};
use crate::cluster::{Identity, NodeConfig};

/// Longest time that a client waits for its close to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// Why a request returned no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node answers at the address.
    #[error(
        "no node answers at {address} (waited {:.1} s); is it running?",
        max_wait.as_secs_f64()
    )]
    Unreachable {
        /// Address of the node.
        address: SocketAddr,
        /// Duration of the attempt.
        max_wait: Duration,
    },
    /// The node at the address has another key.
    #[error("the node at {address} has another key; use the `node.toml` it was started with")]
    Refused {
        /// Address of the node.
        address: SocketAddr,
    },
    /// The node at the address uses another wire version.
    #[error("the node at {address} uses another wire version; use the build that the node runs")]
    ForeignProtocol {
        /// Address of the node.
        address: SocketAddr,
    },
    /// The node's request queue is full.
    #[error("the node is busy with other requests; retry later")]
    Busy,
    /// The node did not answer in time.
    #[error("the node does not answer; it may be starting, stopping or overloaded")]
    NoAnswer,
    /// The request exceeds [`MAX_REQUEST`], or the answer [`MAX_RESPONSE`].
    #[error("the request or its answer is too large")]
    TooLarge,
    /// The exchange was interrupted.
    #[error("the exchange with the node was interrupted: {reason}")]
    Protocol {
        /// Error of QUIC.
        reason: String,
    },
    /// The client cannot send the request.
    #[error("cannot send the request: {reason}")]
    Local {
        /// Reason.
        reason: String,
    },
}

impl ClientError {
    /// Returns whether the node may have accepted the request although no answer came back.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            // Too long may be the answer, of a request that the node has handled.
            ClientError::NoAnswer | ClientError::Protocol { .. } | ClientError::TooLarge => true,
            ClientError::Unreachable { .. }
            | ClientError::Refused { .. }
            | ClientError::ForeignProtocol { .. }
            | ClientError::Busy
            | ClientError::Local { .. } => false,
        }
    }
}

/// Sends `body`, at most [`MAX_REQUEST`] bytes, to the running node of `config` and returns its
/// answer, at most [`MAX_RESPONSE`] bytes. Takes no longer than `max_wait`.
pub async fn request(
    config: &NodeConfig,
    body: Vec<u8>,
    max_wait: Duration,
) -> Result<Vec<u8>, ClientError> {
    if body.len() > MAX_REQUEST {
        return Err(ClientError::TooLarge);
    }
    let address = reachable(config.listen);
    let local = |reason: String| ClientError::Local { reason };
    let own = Pin::Whole(config.identity.fingerprint());
    let tls = tls::client(&config.identity, own, tls::protocol())
        .map_err(|error| local(error.to_string()))?;
    let from: IpAddr = if address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let endpoint =
        Endpoint::client(SocketAddr::new(from, 0)).map_err(|error| local(error.to_string()))?;
    // Outlives the exchange, so that the connection is closed after a timeout too.
    let mut connection = None;
    let ask = async {
        let connecting = endpoint
            .connect_with(tls, address, Identity::SERVER_NAME)
            .map_err(|error| ClientError::Local {
                reason: error.to_string(),
            })?;
        let connection = connection.insert(
            connecting
                .await
                .map_err(|error| broken(address, max_wait, &error))?,
        );
        let answer = exchange(connection, &body).await;
        answer.map_err(|error| match connection.close_reason() {
            // The connection stood, so the node may have read the request before it was lost.
            Some(ConnectionError::TimedOut | ConnectionError::Reset) => ClientError::NoAnswer,
            Some(reason) => broken(address, max_wait, &reason),
            None => error,
        })
    };
    let answer = timeout(max_wait, ask).await;
    if let Some(connection) = &connection {
        send_close(connection).await;
    }
    match answer {
        Ok(answer) => answer,
        // The handshake had completed, so the node is running.
        Err(_) if connection.is_some() => Err(ClientError::NoAnswer),
        Err(_) => Err(ClientError::Unreachable { address, max_wait }),
    }
}

/// Closes the connection and waits until the close is sent, so that the node releases the
/// connection at once. If the packet is lost, the node closes the idle connection itself.
async fn send_close(connection: &Connection) {
    // A task of quinn sends the packet, and only this counter shows when.
    let packets = || connection.stats().udp_tx.datagrams;
    let before = packets();
    connection.close(code::CLOSED, b"");
    let sent = async {
        while packets() == before {
            yield_now().await;
        }
    };
    let _not_sent = timeout(CLOSE_TIMEOUT, sent).await;
}

/// [`request`] for callers without a tokio runtime; inside one it is an error.
pub fn request_blocking(
    config: &NodeConfig,
    body: Vec<u8>,
    max_wait: Duration,
) -> Result<Vec<u8>, ClientError> {
    if Handle::try_current().is_ok() {
        return Err(ClientError::Local {
            reason: "a blocking request cannot run inside an async runtime".to_owned(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Local {
            reason: error.to_string(),
        })?;
    runtime.block_on(request(config, body, max_wait))
}

async fn exchange(connection: &Connection, body: &[u8]) -> Result<Vec<u8>, ClientError> {
    let protocol = |error: &dyn std::error::Error| ClientError::Protocol {
        reason: error.to_string(),
    };
    let (mut send, mut receive) = connection
        .open_bi()
        .await
        .map_err(|error| protocol(&error))?;
    match send.write_all(body).await {
        Ok(()) => send.finish().map_err(|error| protocol(&error))?,
        // The node's reason arrives on the receiving half.
        Err(WriteError::Stopped(_)) => {}
        Err(error) => return Err(protocol(&error)),
    }
    match receive.read_to_end(MAX_RESPONSE).await {
        Ok(answer) => Ok(answer),
        Err(ReadToEndError::TooLong) => Err(ClientError::TooLarge),
        // The node names the reason of a refusal by the code with which it resets the stream.
        Err(ReadToEndError::Read(ReadError::Reset(reason))) => Err(refusal(reason)),
        Err(error) => Err(protocol(&error)),
    }
}

fn refusal(reason: VarInt) -> ClientError {
    match reason {
        code::BUSY => ClientError::Busy,
        code::TOO_LARGE => ClientError::TooLarge,
        code::NO_ANSWER => ClientError::NoAnswer,
        other => ClientError::Protocol {
            reason: format!("the node returned the code {other}"),
        },
    }
}

fn broken(address: SocketAddr, max_wait: Duration, error: &ConnectionError) -> ClientError {
    match (tls::alert(error), error) {
        (Some(tls::Alert::Refused), _) => ClientError::Refused { address },
        (Some(tls::Alert::ForeignProtocol), _) => ClientError::ForeignProtocol { address },
        (None, ConnectionError::TimedOut) => ClientError::Unreachable { address, max_wait },
        (None, ConnectionError::ApplicationClosed(close)) if close.error_code == code::BUSY => {
            ClientError::Busy
        }
        (None, ConnectionError::ApplicationClosed(close)) if close.error_code == code::CLOSED => {
            ClientError::NoAnswer
        }
        // Before the handshake is done, the code of the application is hidden (RFC 9000, section
        // 10.2.3).
        (None, ConnectionError::ConnectionClosed(close))
            if close.error_code == TransportErrorCode::APPLICATION_ERROR =>
        {
            ClientError::Busy
        }
        (None, error) => ClientError::Protocol {
            reason: error.to_string(),
        },
    }
}

/// Returns the address at which a node that listens on `address` is reached from its own machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
