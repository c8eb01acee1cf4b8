//! Accepts connections, of members and of the operator's tool, and answers the latter.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::counters::count;
use super::paths::Origin;
use super::peer::PeerLink;
use super::receive::{log_panic, receive};
use super::shared::Shared;
use super::{
    ANSWER_TIMEOUT, CLIENT_IDLE, CONNECT_TIMEOUT, MAX_REQUEST, MAX_REQUESTS, MAX_RESPONSE,
    ServiceRequest, code, is_worth_logging, tls,
};

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
        match Arc::clone(&shared.handshakes).try_acquire_owned() {
            // Only the handle is dropped: the set keeps the task, and ends it with the links.
            Ok(place) => drop(connections.spawn(serve(incoming, place, Arc::clone(&shared)))),
            Err(_) => {
                count(&shared.counters.refused_handshakes, 1);
                incoming.refuse();
            }
        }
    }
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
        Some(fingerprint) => match shared.links.get(&fingerprint) {
            Some(link) => serve_peer(connection, link, &shared).await,
            // The verifier accepts the same certificates, so this is a second check.
            None => connection.close(code::UNKNOWN_PEER, b"not a member"),
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
                Ok((send, receive)) => drop(requests.spawn(answer(send, receive, Arc::clone(&shared)))),
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

/// Answers one request; returns when its client has the answer.
async fn answer(mut send: SendStream, mut receive: RecvStream, shared: Arc<Shared>) {
    match respond(&mut receive, &shared).await {
        Ok(answer) => {
            // A client that has disconnected needs no answer.
            let arrives = async {
                send.write_all(&answer).await.ok()?;
                send.finish().ok()?;
                // Completes once the client has acknowledged the whole answer.
                send.stopped().await.ok()
            };
            let _gone = timeout(ANSWER_TIMEOUT, arrives).await;
        }
        Err(refusal) => {
            // The client may have closed either half already; it then needs no reason.
            let _ = receive.stop(refusal);
            let _ = send.reset(refusal);
        }
    }
}

/// Returns the node's answer to the request in `receive`, or the error code for the client.
async fn respond(receive: &mut RecvStream, shared: &Shared) -> Result<Vec<u8>, VarInt> {
    let body = match timeout(ANSWER_TIMEOUT, receive.read_to_end(MAX_REQUEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(quinn::ReadToEndError::TooLong)) => return Err(code::TOO_LARGE),
        Ok(Err(quinn::ReadToEndError::Read(_))) | Err(_) => return Err(code::NO_ANSWER),
    };
    let (respond, answer) = oneshot::channel();
    // Never waits: with a full queue the client is answered at once and can retry.
    match shared.requests.try_send(ServiceRequest { body, respond }) {
        Ok(()) => shared.notify.notify_one(),
        Err(TrySendError::Full(_)) => {
            count(&shared.counters.refused_requests, 1);
            return Err(code::BUSY);
        }
        Err(TrySendError::Closed(_)) => return Err(code::NO_ANSWER),
    }
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) if answer.len() <= MAX_RESPONSE => Ok(answer),
        Ok(Ok(_)) => Err(code::TOO_LARGE),
        Ok(Err(_)) | Err(_) => Err(code::NO_ANSWER),
    }
}
