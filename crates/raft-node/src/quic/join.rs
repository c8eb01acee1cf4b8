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

/// Asks the members of `ticket` until one gives a final answer to the request that `body` makes from
/// the secret of the connection. If none does, returns the last answer: a member that is behind may
/// not know yet what another one knows.
///
/// # Errors
/// [`AskError`].
pub async fn ask(
    identity: &Identity,
    ticket: &Ticket,
    body: impl Fn([u8; 32]) -> Vec<u8>,
    is_final: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, AskError> {
    let v4 = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
        .map_err(|error| AskError::Local(error.to_string()))?;
    // A machine may have no IPv6.
    let v6 = Endpoint::client(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).ok();
    let mut attempts = JoinSet::new();
    // First the best address of each member, then the second of each.
    let longest = ticket.members.iter().map(|member| member.addresses.len());
    for rank in 0..longest.max().unwrap_or(0) {
        for member in &ticket.members {
            let Some(&address) = member.addresses.get(rank) else {
                continue;
            };
            let endpoint = if address.is_ipv4() {
                Some(&v4)
            } else {
                v6.as_ref()
            };
            let Some(endpoint) = endpoint.cloned() else {
                continue;
            };
            let config = tls::client(
                identity,
                Pin::Start(member.fingerprint),
                tls::join_protocol(),
            )
            .map_err(|error| AskError::Local(error.to_string()))?;
            let turn = NEXT_ADDRESS * u32::try_from(attempts.len()).unwrap_or(u32::MAX);
            attempts.spawn(async move {
                tokio::time::sleep(turn).await;
                let connecting = endpoint
                    .connect_with(config, address, Identity::SERVER_NAME)
                    .map_err(|_| None)?;
                match timeout(CONNECT_TIMEOUT, connecting).await {
                    Ok(connected) => connected.map_err(Some),
                    Err(_) => Err(None),
                }
            });
        }
    }
    let addresses = attempts.len();
    let mut failure = AskError::Unreachable { addresses };
    let mut provisional = None;
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(connection)) => match exchange(&connection, &body).await {
                Some(answer) if !is_final(&answer) => provisional = Some(answer),
                Some(answer) => {
                    connection.close(code::CLOSED, b"");
                    // The close should leave this machine before the process ends.
                    let _late = timeout(CONNECT_TIMEOUT, endpoint_idle(&v4, v6.as_ref())).await;
                    return Ok(answer);
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

async fn endpoint_idle(v4: &Endpoint, v6: Option<&Endpoint>) {
    v4.wait_idle().await;
    if let Some(v6) = v6 {
        v6.wait_idle().await;
    }
}

fn is_foreign(error: &ConnectionError) -> bool {
    tls::alert(error) == Some(tls::Alert::ForeignProtocol)
}

async fn exchange(connection: &Connection, body: impl Fn([u8; 32]) -> Vec<u8>) -> Option<Vec<u8>> {
    request(connection, &body(binding(connection)?)).await
}
