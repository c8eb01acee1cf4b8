//! Requests on streams of their own: those of the operator's tool, of other members, and of players
//! who ask to join.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use raftian_raft::NodeId;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

use super::counters::count;
use super::shared::Shared;
use super::{ANSWER_TIMEOUT, MAX_REQUEST, MAX_RESPONSE, PEER_ANSWER_TIMEOUT, ServiceRequest, code};
use crate::cluster::Fingerprint;

/// Request of another member, or of a player who asks to join. If it is dropped, the other side
/// times out.
#[derive(Debug)]
pub struct PeerRequest {
    /// Sender of the request, authenticated by its certificate.
    pub from: RequestSource,
    /// Body of the request, at most [`MAX_REQUEST`] bytes.
    pub body: Vec<u8>,
    /// Channel for the answer, at most [`MAX_RESPONSE`] bytes.
    pub respond: oneshot::Sender<Vec<u8>>,
}

/// Sender of a [`PeerRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestSource {
    /// Another member.
    Member(NodeId),
    /// A player who asks to join.
    Joiner {
        /// Hash of its certificate.
        fingerprint: Fingerprint,
        /// Address from which it is connected.
        address: SocketAddr,
        /// Secret that only the two ends of this connection know (RFC 5705).
        binding: [u8; 32],
    },
}

/// Who handles a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    /// The program, for its operator.
    Program,
    /// The node.
    Node(RequestSource),
}

impl Handler {
    fn timeout(self) -> Duration {
        match self {
            Handler::Program => ANSWER_TIMEOUT,
            Handler::Node(_) => PEER_ANSWER_TIMEOUT,
        }
    }
}

/// Answers one request; returns when the other side has the answer.
pub(super) async fn answer(
    mut send: SendStream,
    mut receive: RecvStream,
    handler: Handler,
    shared: Arc<Shared>,
) {
    match respond(&mut receive, handler, &shared).await {
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

/// Returns the answer to the request in `receive`, or the error code for the client.
async fn respond(
    receive: &mut RecvStream,
    handler: Handler,
    shared: &Shared,
) -> Result<Vec<u8>, VarInt> {
    let body = match timeout(ANSWER_TIMEOUT, receive.read_to_end(MAX_REQUEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(quinn::ReadToEndError::TooLong)) => return Err(code::TOO_LARGE),
        Ok(Err(quinn::ReadToEndError::Read(_))) | Err(_) => return Err(code::NO_ANSWER),
    };
    let (respond, answer) = oneshot::channel();
    // Never waits: with a full queue the client is answered at once and can retry.
    let queued = match handler {
        Handler::Program => shared
            .requests
            .try_send(ServiceRequest { body, respond })
            .map_err(full_or_closed),
        // As when a cable is pulled: nothing passes between members.
        Handler::Node(_) if shared.is_cut() => Err(code::NO_ANSWER),
        Handler::Node(from) => shared
            .peer_requests
            .try_send(PeerRequest {
                from,
                body,
                respond,
            })
            .map_err(full_or_closed),
    };
    if let Err(refusal) = queued {
        if refusal == code::BUSY {
            count(&shared.counters.refused_requests, 1);
        }
        return Err(refusal);
    }
    shared.notify.notify_one();
    match timeout(handler.timeout(), answer).await {
        Ok(Ok(answer)) if answer.len() <= MAX_RESPONSE => Ok(answer),
        Ok(Ok(_)) => Err(code::TOO_LARGE),
        Ok(Err(_)) | Err(_) => Err(code::NO_ANSWER),
    }
}

fn full_or_closed<T>(error: TrySendError<T>) -> VarInt {
    match error {
        TrySendError::Full(_) => code::BUSY,
        TrySendError::Closed(_) => code::NO_ANSWER,
    }
}

/// Sends `body` on a stream of its own and returns the answer; `None` if none arrived.
pub(super) async fn request(connection: &Connection, body: &[u8]) -> Option<Vec<u8>> {
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.ok()?;
        send.write_all(body).await.ok()?;
        send.finish().ok()?;
        receive.read_to_end(MAX_RESPONSE).await.ok()
    };
    timeout(PEER_ANSWER_TIMEOUT, exchange).await.ok()?
}
