//! Receiving half of a link: reads messages from the streams of a connection, dialled by either
//! side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quinn::{Connection, ConnectionError, RecvStream, VarInt};
use raftian_raft::{Message, NodeId};
use tokio::task::{JoinError, JoinSet};

use super::answer::{Handler, RequestSource, answer};
use super::counters::count;
use super::paths::PathId;
use super::peer::{PathGuard, PeerLink};
use super::shared::{Delivery, Shared};
use super::{MAX_REQUESTS, MAX_STREAMS, code, is_worth_logging};
use crate::{panic_message, wire};

/// Maximum number of tasks that read the streams of one connection: one for each open stream, and
/// as many that are about to return. At the bound no further stream is accepted until one of them
/// has returned.
const MAX_STREAM_TASKS: usize = 2 * MAX_STREAMS as usize;

/// Reads the streams of `connection` until it is lost, and returns why.
pub(super) async fn receive(
    connection: &Connection,
    guard: &PathGuard,
    shared: &Arc<Shared>,
) -> ConnectionError {
    // QUIC considers a stream closed once its end was read, so the next one may arrive before the
    // task of the last has returned.
    let mut streams = JoinSet::new();
    let mut requests = JoinSet::new();
    // Before both sides have accepted each other, no request is allowed.
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(MAX_REQUESTS));
    loop {
        tokio::select! {
            // Ended tasks are collected first, because they make room for the next stream.
            biased;
            Some(ended) = streams.join_next() => log_panic(ended),
            stream = connection.accept_uni(), if streams.len() < MAX_STREAM_TASKS => match stream {
                Ok(stream) => {
                    let link = Arc::clone(&guard.link);
                    streams.spawn(read_messages(stream, link, guard.id, Arc::clone(shared)));
                }
                // Returning drops the set, and with it the readers of the lost connection.
                Err(reason) => return record_end(reason, shared),
            },
            Some(ended) = requests.join_next() => log_panic(ended),
            request = connection.accept_bi() => match request {
                Ok((send, receive)) => {
                    let from = RequestSource::Member(guard.link.peer());
                    let shared = Arc::clone(shared);
                    requests.spawn(answer(send, receive, Handler::Node(from), shared));
                }
                Err(reason) => return record_end(reason, shared),
            },
        }
    }
}

/// Reason with which a connection to the removed member `id` is closed. It names the member: a
/// player who left and joined again is another one, with the same key.
pub(super) fn removal_notice(id: NodeId) -> String {
    format!("{id} is no longer a member")
}

/// Records that the peer closed the connection because this node was removed, if it did.
fn record_end(reason: ConnectionError, shared: &Shared) -> ConnectionError {
    if let ConnectionError::ApplicationClosed(close) = &reason
        && close.error_code == code::REMOVED
        && close.reason == removal_notice(shared.id).as_bytes()
    {
        shared.counters.removed.store(true, Ordering::Relaxed);
    }
    reason
}

/// Logs the panic of a connection's task. Its stream or connection is lost, and the peer opens
/// another one.
pub(super) fn log_panic(ended: Result<(), JoinError>) {
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

/// Delivers the messages on one stream until it ends or contains something else.
async fn read_messages(
    mut stream: RecvStream,
    link: Arc<PeerLink>,
    id: PathId,
    shared: Arc<Shared>,
) {
    let from = link.peer();
    let counters = link.counters();
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
        // Before the delivery, so that the reply already takes the same connection.
        link.record_arrival(id, &message.body);
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
