//! Accepts connections: of members, of the operator's tool, and of players who ask to join.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, Endpoint, Incoming, VarInt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Handler, answer};
use super::counters::count;
use super::join::serve_joiner;
use super::paths::Origin;
use super::peer::PeerLink;
use super::receive::{log_panic, receive};
use super::shared::Shared;
use super::{CLIENT_IDLE, CONNECT_TIMEOUT, MAX_REQUESTS, code, is_worth_logging, tls};

/// Accepts connections until the endpoint closes.
pub(super) async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(ended) = connections.join_next() => {
                log_panic(ended);
                continue;
            }
        };
        // The endpoint was closed; dropping the set ends the connections that are left.
        let Some(incoming) = incoming else { return };
        if shared.is_under_pressure() && incoming.may_retry() {
            count(&shared.counters.retried_handshakes, 1);
            // An error means that the address was validated meanwhile, and the dialling side
            // tries again.
            let _validated = incoming.retry().is_err();
            continue;
        }
        match handshake_place(&shared, incoming.remote_address()) {
            // Only the handle is dropped: the set keeps the task, and ends it with the links.
            Some(place) => drop(connections.spawn(serve(incoming, place, Arc::clone(&shared)))),
            None => {
                count(&shared.counters.refused_handshakes, 1);
                incoming.refuse();
            }
        }
    }
}

/// Returns a place for one more handshake. Only addresses of members and of this machine get the
/// reserved ones.
fn handshake_place(shared: &Shared, address: SocketAddr) -> Option<OwnedSemaphorePermit> {
    let general = Arc::clone(&shared.handshakes).try_acquire_owned().ok();
    general.or_else(|| {
        let reserved = Arc::clone(&shared.reserved_handshakes);
        shared
            .is_known(address.ip())
            .then(|| reserved.try_acquire_owned().ok())?
    })
}

/// Serves one connection, from its first packet to its end. `handshake` is released when the
/// handshake completes.
async fn serve(incoming: Incoming, handshake: OwnedSemaphorePermit, shared: Arc<Shared>) {
    let address = incoming.remote_address();
    let connection = match timeout(CONNECT_TIMEOUT, async { incoming.accept()?.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return log_refused(&shared, address, Some(&error)),
        Err(_) => return log_refused(&shared, address, None),
    };
    // Only handshakes are limited by this permit, not established connections.
    drop(handshake);
    match tls::peer(&connection) {
        Some(fingerprint) if tls::is_joining(&connection) => {
            serve_joiner(connection, fingerprint, shared).await;
        }
        Some(fingerprint) if fingerprint == shared.own => {
            match Arc::clone(&shared.clients).try_acquire_owned() {
                // The permit is held to the end of the connection.
                Ok(_place) => serve_operator(connection, Arc::clone(&shared)).await,
                Err(_) => {
                    count(&shared.counters.refused_requests, 1);
                    connection.close(code::BUSY, b"too many clients");
                }
            }
        }
        Some(fingerprint) => match shared.link(&fingerprint) {
            Some(link) => serve_peer(connection, &link, &shared).await,
            None => {
                let refused = count(&shared.counters.refused_handshakes, 1);
                if is_worth_logging(refused) {
                    tracing::warn!(
                        %address, %fingerprint, refused,
                        "refused a connection: its certificate belongs to no member"
                    );
                }
                connection.close(code::UNKNOWN_PEER, b"not a member");
            }
        },
        None => connection.close(code::UNKNOWN_PEER, b"no certificate"),
    }
}

/// Counts a failed handshake. Only a refused certificate or version is worth a warning: slow or
/// abandoned handshakes are normal at a start, when members dial peers that are not up yet.
fn log_refused(shared: &Shared, address: SocketAddr, error: Option<&ConnectionError>) {
    let refused = count(&shared.counters.refused_handshakes, 1);
    let reason = error.map_or("it timed out".to_owned(), ToString::to_string);
    if error.is_some_and(|error| tls::alert(error).is_some()) && is_worth_logging(refused) {
        tracing::warn!(%address, %reason, refused, "refused a connection");
    } else {
        tracing::debug!(%address, %reason, refused, "a handshake was not completed");
    }
}

/// Welcomes the other side of a member's connection and reads its streams.
async fn serve_peer(connection: Connection, link: &Arc<PeerLink>, shared: &Arc<Shared>) {
    let peer = link.peer();
    tracing::debug!(%peer, address = %connection.remote_address(), "accepted");
    // The welcome shows the dialling side that its certificate was accepted. It is the first
    // stream: the link opens others as soon as the connection is added to it.
    match timeout(CONNECT_TIMEOUT, connection.open_uni()).await {
        Ok(Ok(mut welcome)) => drop(welcome.finish()),
        // A side that allows no stream is no member, and must not hold the connection.
        Ok(Err(_)) | Err(_) => return connection.close(code::GARBAGE, b"no stream allowed"),
    }
    let guard = link.add(Origin::Accepted, &connection);
    let reason = receive(&connection, &guard, shared).await;
    tracing::debug!(%peer, %reason, "lost a connection of the peer");
}

/// Answers the requests of the operator's tool.
async fn serve_operator(connection: Connection, shared: Arc<Shared>) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(MAX_REQUESTS));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            request = connection.accept_bi() => match request {
                Ok((send, receive)) => {
                    let answer = answer(send, receive, Handler::Program, Arc::clone(&shared));
                    requests.spawn(answer);
                }
                Err(_) => return,
            },
            Some(ended) = requests.join_next() => log_panic(ended),
            // Begins anew in every turn, so only an unbroken silence ends the connection.
            () = sleep(CLIENT_IDLE), if requests.is_empty() => {
                connection.close(code::CLOSED, b"no request");
                return;
            }
        }
    }
}
