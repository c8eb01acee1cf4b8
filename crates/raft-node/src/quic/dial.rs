//! Sending half of a link: keeps one connection to one peer and writes messages to its streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use raftian_raft::{Message, NodeId};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout};

use super::counters::{PeerCounters, count};
use super::shared::Shared;
use super::{BACKOFF_MAX, BACKOFF_MIN, CONNECT_TIMEOUT, WRITE_BATCH, code, is_worth_logging, tls};
use crate::cluster::{Fingerprint, Identity, Member};
use crate::wire;

/// Priority of the stream for snapshots: below consensus, which has 0.
const SNAPSHOT_PRIORITY: i32 = -1;

/// Task that dials one peer.
pub(super) struct Dialler {
    pub(super) endpoint: Endpoint,
    pub(super) config: quinn::ClientConfig,
    pub(super) peer: Member,
    pub(super) outbox: Receiver<Message>,
    pub(super) snapshots: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
}

/// Why there is no connection.
enum Down {
    /// The node stops, or its outboxes are closed.
    Ended,
    /// One side refused the other's certificate or wire version.
    Refused(tls::Alert),
    /// Any other reason.
    Lost(String),
}

impl Dialler {
    /// Connects, sends and reconnects until the node stops.
    pub(super) async fn run(mut self) {
        let mut failures: u32 = 0;
        loop {
            let down = match self.connect().await {
                Ok((connection, stream)) => {
                    // Without a failure, queued messages are no older than one attempt to connect.
                    if failures > 0 {
                        self.discard();
                    }
                    let since = Instant::now();
                    let down = self.send_over(&connection, stream).await;
                    // A connection that is lost at once counts as a failure, so that the pauses
                    // keep growing.
                    if since.elapsed() >= BACKOFF_MAX {
                        failures = 0;
                    }
                    down
                }
                Err(down) => down,
            };
            failures = failures.saturating_add(1);
            if matches!(down, Down::Ended) {
                return;
            }
            self.log_down(&down, failures);
            sleep(backoff(failures, self.shared.own, self.peer.fingerprint)).await;
        }
    }

    fn counters(&self) -> Option<&PeerCounters> {
        self.shared.counters.peer(self.peer.id)
    }

    /// Returns a connection that the peer has accepted, and the stream to send on.
    async fn connect(&self) -> Result<(Connection, SendStream), Down> {
        let connecting = match self.endpoint.connect_with(
            self.config.clone(),
            self.peer.address,
            Identity::SERVER_NAME,
        ) {
            Ok(connecting) => connecting,
            // Any other error may pass, so it is only a reason to try again.
            Err(quinn::ConnectError::EndpointStopping) => return Err(Down::Ended),
            Err(error) => return Err(Down::Lost(error.to_string())),
        };
        let agree = async {
            let connection = connecting.await?;
            // The welcome: see the documentation of `quic`.
            drop(connection.accept_uni().await?);
            let stream = connection.open_uni().await?;
            Ok((connection, stream))
        };
        match timeout(CONNECT_TIMEOUT, agree).await {
            Ok(agreed) => agreed.map_err(|error| down(&error)),
            Err(_) => Err(Down::Lost("the peer does not answer".to_owned())),
        }
    }

    async fn send_over(&mut self, connection: &Connection, stream: SendStream) -> Down {
        let id = self.peer.id;
        if let Some(counters) = self.counters() {
            counters.connected.store(true, Ordering::Relaxed);
            counters.refusing.store(false, Ordering::Relaxed);
            count(&counters.connects, 1);
        }
        tracing::info!(peer = %id, address = %self.peer.address, "connected");
        let sender = PeerSender {
            peer: id,
            shared: &self.shared,
            connection,
        };
        // Both use the same connection, so the end of one ends the other.
        let down = tokio::select! {
            down = sender.send_messages(&mut self.outbox, stream) => down,
            down = sender.send_snapshots(&mut self.snapshots) => down,
        };
        if let Some(counters) = self.counters() {
            counters.connected.store(false, Ordering::Relaxed);
        }
        // The peer need not wait for its idle timeout.
        connection.close(code::CLOSED, b"");
        down
    }

    /// Drops the messages that were queued while the peer was unreachable; they are stale.
    fn discard(&mut self) {
        let mut messages = 0;
        while self.outbox.try_recv().is_ok() || self.snapshots.try_recv().is_ok() {
            messages += 1;
        }
        if let Some(counters) = self.counters() {
            count(&counters.dropped, messages);
        }
    }

    fn log_down(&self, down: &Down, failures: u32) {
        let peer = self.peer.id;
        if let Some(counters) = self.counters() {
            counters
                .refusing
                .store(matches!(down, Down::Refused(_)), Ordering::Relaxed);
        }
        let is_logged = is_worth_logging(failures.into());
        match down {
            Down::Ended => {}
            Down::Refused(alert) => {
                let refused = self
                    .counters()
                    .map_or(0, |counters| count(&counters.refused, 1));
                if is_worth_logging(refused) {
                    let address = self.peer.address;
                    tracing::warn!(
                        %peer, %address, ?alert, refused,
                        "refused: another node or build is at this address"
                    );
                }
            }
            // A peer that is off for a whole match must not fill the log.
            Down::Lost(reason) if is_logged => {
                tracing::info!(%peer, %reason, failures, "not connected")
            }
            Down::Lost(reason) => tracing::debug!(%peer, %reason, failures, "not connected"),
        }
    }
}

/// An established connection, with the context needed to send on it.
struct PeerSender<'a> {
    peer: NodeId,
    shared: &'a Shared,
    connection: &'a Connection,
}

impl PeerSender<'_> {
    /// Writes the snapshots of the outbox to a stream of their own until the connection is lost.
    /// The stream is opened for the first snapshot, for most peers never, and has a lower priority
    /// than consensus.
    async fn send_snapshots(&self, outbox: &mut Receiver<Message>) -> Down {
        let first = tokio::select! {
            biased;
            error = self.connection.closed() => return down(&error),
            first = outbox.recv() => first,
        };
        let Some(first) = first else {
            return Down::Ended;
        };
        let stream = match self.connection.open_uni().await {
            Ok(stream) => stream,
            Err(error) => return down(&error),
        };
        // Setting the priority fails only on a closed stream, and then the next write reports it.
        let _closed = stream.set_priority(SNAPSHOT_PRIORITY).is_err();
        self.send_from(Some(first), outbox, stream).await
    }

    /// Writes the messages of the outbox until the connection is lost.
    async fn send_messages(&self, outbox: &mut Receiver<Message>, stream: SendStream) -> Down {
        self.send_from(None, outbox, stream).await
    }

    async fn send_from(
        &self,
        mut waiting: Option<Message>,
        outbox: &mut Receiver<Message>,
        mut stream: SendStream,
    ) -> Down {
        let mut frames = Vec::with_capacity(WRITE_BATCH);
        loop {
            let first = match waiting.take() {
                Some(first) => Some(first),
                // A lost connection is detected before a message is taken, which would be lost with
                // it.
                None => tokio::select! {
                    biased;
                    error = self.connection.closed() => return down(&error),
                    first = outbox.recv() => first,
                },
            };
            let Some(first) = first else {
                return Down::Ended;
            };
            frames.clear();
            let mut messages = self.add(first, &mut frames);
            while frames.len() < WRITE_BATCH
                && let Ok(message) = outbox.try_recv()
            {
                messages += self.add(message, &mut frames);
            }
            // Messages that arrived before the error cannot be distinguished, so all count as
            // dropped.
            if let Err(error) = stream.write_all(&frames).await {
                self.count(|counters| &counters.dropped, messages);
                return match self.connection.close_reason() {
                    Some(reason) => down(&reason),
                    None => Down::Lost(error.to_string()),
                };
            }
            self.count(|counters| &counters.sent, messages);
        }
    }

    /// Appends the frame of `message` unless the links are cut or it cannot be encoded; returns the
    /// number of messages appended.
    fn add(&self, message: Message, frames: &mut Vec<u8>) -> usize {
        match wire::encode_message(&message) {
            Ok(frame) if !self.shared.is_cut() => {
                frames.extend(frame);
                return 1;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(peer = %self.peer, %error, "a message cannot be sent"),
        }
        self.count(|counters| &counters.dropped, 1);
        0
    }

    fn count(&self, counter: impl Fn(&PeerCounters) -> &AtomicU64, by: usize) {
        if let Some(counters) = self.shared.counters.peer(self.peer) {
            count(counter(counters), by);
        }
    }
}

fn down(error: &ConnectionError) -> Down {
    match (error, tls::alert(error)) {
        // A dialled connection in use is closed locally only when the node stops.
        (ConnectionError::LocallyClosed, _) => Down::Ended,
        (_, Some(alert)) => Down::Refused(alert),
        (error, None) => Down::Lost(error.to_string()),
    }
}

/// Returns the pause before the next attempt: doubles up to [`BACKOFF_MAX`], minus up to half of
/// it. The reduction depends on both ends and the attempt, so that nodes that lost each other
/// together do not reconnect together.
fn backoff(failures: u32, own: Fingerprint, peer: Fingerprint) -> Duration {
    // Bounds the shift; the pause reaches its maximum long before.
    let doublings = failures.saturating_sub(1).min(16);
    let longest = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    let mut hash = Sha256::new();
    hash.update(own.bytes());
    hash.update(peer.bytes());
    hash.update(failures.to_le_bytes());
    let shares = u32::from(hash.finalize()[0]);
    longest - longest * shares / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_second_and_differs_between_links() {
        let a = Fingerprint::of(b"a");
        let b = Fingerprint::of(b"b");
        for failures in 1..100 {
            let pause = backoff(failures, a, b);
            assert!(
                pause >= BACKOFF_MIN / 2 && pause <= BACKOFF_MAX,
                "{pause:?} after {failures}"
            );
        }
        assert!(backoff(1, a, b) <= BACKOFF_MIN);
        assert!(backoff(u32::MAX, a, b) >= BACKOFF_MAX / 2);
        assert_ne!(backoff(9, a, b), backoff(9, b, a));
    }
}
