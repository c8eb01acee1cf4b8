//! Connections of players who ask to join: a protocol of their own in the handshake, one request,
//! and no message of consensus.
//!
//! A joiner may not be known to the member that it asks, so any certificate is accepted on such a
//! connection. The proof of the joiner is in its request; see [`crate::admission`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Handler, RequestSource, answer, request};
use super::counters::count;
use super::shared::Shared;
use super::tls::{self, Pin};
use super::{CONNECT_TIMEOUT, code};
use crate::address::Address;
use crate::cluster::{Fingerprint, Identity};
use crate::ticket::Ticket;

/// Label of the secret that both ends of a connection derive from its TLS session (RFC 5705).
const BINDING_LABEL: &[u8] = b"raftian join";

/// Pause between the attempts at two addresses, while none has succeeded.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Returns the secret that only the two ends of `connection` know.
fn binding(connection: &Connection) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    connection
        .export_keying_material(&mut secret, BINDING_LABEL, b"")
        .ok()?;
    Some(secret)
}

/// Answers the one request on the connection of a joiner.
pub(super) async fn serve_joiner(
    connection: Connection,
    fingerprint: Fingerprint,
    shared: Arc<Shared>,
) {
    let Ok(_place) = Arc::clone(&shared.joiners).try_acquire_owned() else {
        count(&shared.counters.refused_requests, 1);
        return connection.close(code::BUSY, b"too many players ask to join");
    };
    let Some(binding) = binding(&connection) else {
        return connection.close(code::GARBAGE, b"no secret of the session");
    };
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
    let from = RequestSource::Joiner {
        fingerprint,
        address: connection.remote_address(),
        binding,
    };
    if let Ok(Ok((send, receive))) = timeout(CONNECT_TIMEOUT, connection.accept_bi()).await {
        answer(send, receive, Handler::Node(from), shared).await;
    }
    connection.close(code::CLOSED, b"one request is answered");
}

/// Why no member answered a request to join.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No member of the ticket answers at any of its addresses.
    #[error(
        "none of the {addresses} addresses in the ticket answers; is the match still running, and \
         is UDP to it allowed? Ask a member for a fresh ticket if they have moved"
    )]
    Unreachable {
        /// Number of addresses.
        addresses: usize,
    },
    /// No member answers at the address that was given.
    #[error(
        "no member of a match answers at {0}; is the match still running there, and is UDP to it \
         allowed?"
    )]
    Silent(Address),
    /// The host name that was given has no address.
    #[error("{0}; check the name")]
    Unresolved(String),
    /// Members answer, but speak another protocol.
    #[error("the match speaks another protocol than this build; all players need the same build")]
    ForeignProtocol,
    /// A member was reached and did not answer in time.
    #[error("a member was reached but did not answer; the match may have no quorum. Retry later")]
    NoAnswer,
    /// The request cannot be sent from this machine.
    #[error("cannot send the request: {0}")]
    Local(String),
}

/// Asks the members of `ticket` until one gives a final answer to the request that `body` makes
/// from the secret of the connection. If none does, returns the last answer: a member that is
/// behind may not know yet what another one knows.
///
/// # Errors
/// [`AskError`].
pub async fn ask(
    identity: &Identity,
    ticket: &Ticket,
    body: impl Fn([u8; 32]) -> Vec<u8>,
    is_final: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, AskError> {
    let mut targets = Vec::new();
    // First the best address of each member, then the second of each.
    let longest = ticket.members.iter().map(|member| member.addresses.len());
    for rank in 0..longest.max().unwrap_or(0) {
        for member in &ticket.members {
            if let Some(address) = member.addresses.get(rank) {
                targets.push((Pin::Start(member.fingerprint), address.clone()));
            }
        }
    }
    let (answer, _) = ask_any(identity, targets, body, is_final).await?;
    Ok(answer)
}

/// Asks the member at `address`, whichever it is. Returns its answer and the hash of its
/// certificate.
///
/// # Errors
/// [`AskError`].
pub async fn ask_at(
    identity: &Identity,
    address: &Address,
    body: Vec<u8>,
) -> Result<(Vec<u8>, Fingerprint), AskError> {
    let found = address.resolve().await.map_err(AskError::Unresolved)?;
    let target = found.into_iter().map(|socket| (Pin::Any, socket.into()));
    let target = target.collect();
    let asked = ask_any(identity, target, |_| body.clone(), |_| true).await;
    asked.map_err(|error| match error {
        AskError::Unreachable { .. } => AskError::Silent(address.clone()),
        other => other,
    })
}

/// Asks at the addresses one after the other, and returns the first final answer with the hash of
/// the certificate of the member that gave it.
async fn ask_any(
    identity: &Identity,
    targets: Vec<(Pin, Address)>,
    body: impl Fn([u8; 32]) -> Vec<u8>,
    is_final: impl Fn(&[u8]) -> bool,
) -> Result<(Vec<u8>, Fingerprint), AskError> {
    let local = |error: std::io::Error| AskError::Local(error.to_string());
    let v4 = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).map_err(local)?;
    // A machine may have no IPv6.
    let v6 = Endpoint::client(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).ok();
    let addresses = targets.len();
    let mut attempts = JoinSet::new();
    for (place, (pin, address)) in (0..).zip(targets) {
        let config = tls::client(identity, pin, tls::join_protocol())
            .map_err(|error| AskError::Local(error.to_string()))?;
        let endpoints = (v4.clone(), v6.clone());
        attempts.spawn(async move {
            tokio::time::sleep(NEXT_ADDRESS * place).await;
            connect(endpoints, config, address).await
        });
    }
    let mut failure = AskError::Unreachable { addresses };
    let mut provisional = None;
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(connection)) => match exchange(&connection, &body).await {
                Some((answer, from)) if !is_final(&answer) => provisional = Some((answer, from)),
                Some(answered) => {
                    connection.close(code::CLOSED, b"");
                    // The close should leave this machine before the process ends.
                    let _late = timeout(CONNECT_TIMEOUT, endpoint_idle(&v4, v6.as_ref())).await;
                    return Ok(answered);
                }
                None => failure = AskError::NoAnswer,
            },
            Ok(Err(Some(error))) if is_foreign(&error) => failure = AskError::ForeignProtocol,
            // Another address may answer.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    provisional.ok_or(failure)
}

/// Returns the first connection at the addresses of a host name, or at the IP address.
async fn connect(
    (v4, v6): (Endpoint, Option<Endpoint>),
    config: quinn::ClientConfig,
    address: Address,
) -> Result<Connection, Option<ConnectionError>> {
    let mut failed = None;
    for socket in address.resolve().await.unwrap_or_default() {
        let endpoint = if socket.is_ipv4() {
            Some(&v4)
        } else {
            v6.as_ref()
        };
        let connecting = endpoint.and_then(|endpoint| {
            let connecting = endpoint.connect_with(config.clone(), socket, Identity::SERVER_NAME);
            connecting.ok()
        });
        let Some(connecting) = connecting else {
            continue;
        };
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => {}
        }
    }
    Err(failed)
}

async fn endpoint_idle(v4: &Endpoint, v6: Option<&Endpoint>) {
    v4.wait_idle().await;
    if let Some(v6) = v6 {
        v6.wait_idle().await;
    }
}

fn is_foreign(error: &ConnectionError) -> bool {
    tls::alert(error) == Some(tls::Alert::ForeignProtocol)
}

async fn exchange(
    connection: &Connection,
    body: impl Fn([u8; 32]) -> Vec<u8>,
) -> Option<(Vec<u8>, Fingerprint)> {
    let answer = request(connection, &body(binding(connection)?)).await?;
    Some((answer, tls::peer(connection)?))
}
