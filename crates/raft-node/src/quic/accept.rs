//! Receiving half of all links: accepts connections and reads messages and requests from them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::PoisonError;

use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use raftian_raft::{Message, NodeId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::counters::count;
use super::shared::{Delivery, Shared};
use super::{
    ANSWER_TIMEOUT, CLIENT_IDLE, CONNECT_TIMEOUT, MAX_REQUEST, MAX_REQUESTS, MAX_RESPONSE,
    MAX_STREAMS, ServiceRequest, code, is_worth_logging, tls,
};
use crate::{panic_message, wire};

/// Maximum number of tasks that read the streams of one peer: one for each open stream, and as many
/// that are about to return. At the bound no further stream is accepted until one of them has
/// returned.
const MAX_STREAM_TASKS: usize = 2 * MAX_STREAMS as usize;

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

/// Logs the panic of a connection's task. The connection is lost, and its peer dials again.
fn log_panic(ended: Result<(), JoinError>) {
    // Any other error is a task that was cancelled with the links.
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        tracing::error!(
            panic = panic_message(&*panic),
            "a task of a connection panicked"
        );
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
        Some(fingerprint) => match shared.members.get(&fingerprint) {
            Some(&from) => serve_peer(connection, from, shared).await,
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

/// Reads the streams of the member `from`.
async fn serve_peer(connection: Connection, from: NodeId, shared: Arc<Shared>) {
    tracing::debug!(peer = %from, address = %connection.remote_address(), "accepted");
    let older = {
        let mut accepted = shared
            .accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        accepted.insert(from, connection.clone())
    };
    // A member has one connection and dials again only after it lost the older one.
    if let Some(older) = older {
        older.close(code::SUPERSEDED, b"a newer connection replaced it");
    }
    // The welcome shows the dialling side that its certificate was accepted.
    match connection.open_uni().await {
        Ok(mut welcome) => drop(welcome.finish()),
        Err(_) => return,
    }
    // QUIC considers a stream closed once its end was read, so the next one may arrive before the
    // task of the last has returned.
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            // Ended tasks are collected first, because they make room for the next stream.
            biased;
            Some(ended) = streams.join_next() => log_panic(ended),
            stream = connection.accept_uni(), if streams.len() < MAX_STREAM_TASKS => match stream {
                Ok(stream) => drop(streams.spawn(read_messages(stream, from, Arc::clone(&shared)))),
                Err(reason) => {
                    // Returning drops the set, and with it the readers of the lost connection.
                    tracing::debug!(peer = %from, %reason, "no longer sends");
                    return;
                }
            },
        }
    }
}

/// Delivers the messages on one stream until it ends or contains something else.
async fn read_messages(mut stream: RecvStream, from: NodeId, shared: Arc<Shared>) {
    let Some(counters) = shared.counters.peer(from) else {
        return;
    };
    loop {
        let (size, message) = match read_frame(&mut stream).await {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(error) => {
                let errors = count(&counters.decode_errors, 1);
                if is_worth_logging(errors) {
                    tracing::warn!(
                        peer = %from, %error, errors,
                        "closed a stream with malformed messages"
                    );
                }
                // An error means that the stream is closed already.
                let _ = stream.stop(code::GARBAGE);
                return;
            }
        };
        if shared.is_cut() {
            // Read and dropped, so that the stream neither closes nor fills up.
            count(&counters.dropped, 1);
            continue;
        }
        // The size is at most `MAX_FRAME`, which is below `INBOX_BYTES`, so the wait always ends.
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&shared.inbox_room)
            .acquire_many_owned(size)
            .await
        else {
            return;
        };
        if shared
            .inbox
            .send(Delivery {
                from,
                message,
                _room: room,
            })
            .await
            .is_err()
        {
            return;
        }
        count(&counters.received, 1);
        shared.notify.notify_one();
    }
}

/// Reads the next message and the size of its frame; `None` at the end of the stream, even a sudden
/// one.
pub(super) async fn read_frame(
    stream: &mut RecvStream,
) -> Result<Option<(usize, Message)>, wire::WireError> {
    let mut length = [0; wire::LENGTH_BYTES];
    if stream.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let size = wire::frame_size(length)?;
    // `frame_size` has bounded it by `MAX_FRAME`.
    let mut frame = vec![0; size];
    if stream.read_exact(&mut frame).await.is_err() {
        return Ok(None);
    }
    wire::decode_message(&frame).map(|message| Some((size, message)))
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
