//! Sending half of a link: writes the messages for one peer to the connection that its link
//! chooses.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quinn::SendStream;
use raftian_raft::Message;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::counters::{PeerCounters, count};
use super::paths::PathId;
use super::peer::{PeerLink, Route, is_from_leader};
use super::shared::Shared;
use super::{CONNECT_TIMEOUT, WRITE_BATCH, code};
use crate::wire;

/// Priority of the stream for heartbeats, votes and replies.
const URGENT_PRIORITY: i32 = 1;

/// Priority of the stream for entries and forwarded commands.
const ENTRY_PRIORITY: i32 = 0;

/// Priority of the stream for snapshots.
const SNAPSHOT_PRIORITY: i32 = -1;

/// The messages that wait for one peer, in one queue per stream.
#[derive(Debug)]
pub(super) struct Outboxes {
    /// Heartbeats, votes and replies.
    pub(super) urgent: Receiver<Message>,
    /// Entries and forwarded commands.
    pub(super) entries: Receiver<Message>,
    /// Parts of snapshots.
    pub(super) snapshots: Receiver<Message>,
}

/// Sends the messages for one peer until their outboxes are closed.
pub(super) async fn send(link: Arc<PeerLink>, shared: Arc<Shared>, outboxes: Outboxes) {
    let mut urgent = Lane::new(&link, &shared, outboxes.urgent, URGENT_PRIORITY);
    let mut entries = Lane::new(&link, &shared, outboxes.entries, ENTRY_PRIORITY);
    let mut snapshots = Lane::new(&link, &shared, outboxes.snapshots, SNAPSHOT_PRIORITY);
    // The outboxes are closed together, so the end of one ends all.
    tokio::select! {
        biased;
        () = urgent.run() => {}
        () = entries.run() => {}
        () = snapshots.run() => {}
        () = link.detect_silence() => {}
    }
}

/// One outbox and its stream on the chosen connection.
struct Lane<'a> {
    link: &'a PeerLink,
    shared: &'a Shared,
    outbox: Receiver<Message>,
    priority: i32,
    route: watch::Receiver<Option<Route>>,
    /// The stream and its connection. A stream that is replaced here still delivers its messages
    /// if its connection does.
    stream: Option<(PathId, SendStream)>,
    /// Message that was taken from the outbox and not written yet.
    waiting: Option<Message>,
}

/// Encoded messages that are written together.
struct Batch {
    frames: Vec<u8>,
    messages: usize,
    is_from_leader: bool,
}

impl<'a> Lane<'a> {
    fn new(
        link: &'a PeerLink,
        shared: &'a Shared,
        outbox: Receiver<Message>,
        priority: i32,
    ) -> Self {
        Lane {
            link,
            shared,
            outbox,
            priority,
            route: link.route(),
            stream: None,
            waiting: None,
        }
    }

    /// Returns when the outbox is closed.
    async fn run(&mut self) {
        while let Some(route) = self.standing_route().await {
            // The stream of another connection is finished; what was written to it still arrives.
            if self.stream.as_ref().is_some_and(|(id, _)| *id != route.id) {
                self.stream = None;
            }
            // The stream for heartbeats is opened with the connection, the others with their first
            // message: that for snapshots for most peers never.
            let is_needed = self.priority == URGENT_PRIORITY || self.waiting.is_some();
            if is_needed && !self.open_stream(&route).await {
                continue;
            }
            match self.waiting.take() {
                Some(first) => self.write_batch(&route, first).await,
                // A change of the route is detected before a message is taken, which could be lost
                // with the old one.
                None => tokio::select! {
                    biased;
                    _ = self.route.changed() => {}
                    first = self.outbox.recv() => match first {
                        Some(first) => self.waiting = Some(first),
                        None => return,
                    },
                },
            }
        }
    }

    /// Waits until a connection stands, and returns the chosen one; `None` if the link is gone.
    /// Drops the messages that were queued during a longer absence of the peer; they are stale.
    async fn standing_route(&mut self) -> Option<Route> {
        let since = Instant::now();
        loop {
            let route = self.route.borrow_and_update().clone();
            if route.is_some() {
                if since.elapsed() >= CONNECT_TIMEOUT {
                    self.discard();
                }
                return route;
            }
            self.route.changed().await.ok()?;
        }
    }

    fn discard(&mut self) {
        let mut messages = usize::from(self.waiting.take().is_some());
        while self.outbox.try_recv().is_ok() {
            messages += 1;
        }
        self.count(|counters| &counters.dropped, messages);
    }

    /// Opens a stream on the connection unless there is one. Returns false if the connection is
    /// closed or no longer chosen.
    async fn open_stream(&mut self, route: &Route) -> bool {
        if route.connection.close_reason().is_some() {
            // The reader of the connection removes it.
            let _link_is_gone = self.route.changed().await.is_err();
            return false;
        }
        if self.stream.as_ref().is_some_and(|(id, _)| *id == route.id) {
            return true;
        }
        let stream = tokio::select! {
            biased;
            stream = route.connection.open_uni() => stream,
            _ = self.route.changed() => return false,
        };
        // An error means that the connection was closed, which the next call detects.
        let Ok(stream) = stream else { return false };
        // Setting the priority fails only on a closed stream, and then the next write reports it.
        let _closed = stream.set_priority(self.priority).is_err();
        self.stream = Some((route.id, stream));
        true
    }

    /// Writes `first` and the messages behind it to the stream.
    async fn write_batch(&mut self, route: &Route, first: Message) {
        let batch = self.encode_batch(first);
        let Some((_, stream)) = &mut self.stream else {
            self.count(|counters| &counters.dropped, batch.messages);
            return;
        };
        let is_written = tokio::select! {
            biased;
            written = stream.write_all(&batch.frames) => written.is_ok(),
            // A connection that no longer receives would block the messages for another one.
            _ = self.route.changed() => false,
        };
        if is_written {
            self.count(|counters| &counters.sent, batch.messages);
            if batch.messages > 0 {
                self.link.record_sent(route.id, batch.is_from_leader);
            }
            return;
        }
        // Messages that arrived before the error cannot be distinguished, so all count as dropped.
        self.count(|counters| &counters.dropped, batch.messages);
        if let Some((_, mut stream)) = self.stream.take() {
            // The last frame may be incomplete. An error means that the stream is closed already.
            let _closed = stream.reset(code::CLOSED).is_err();
        }
    }

    fn encode_batch(&mut self, first: Message) -> Batch {
        let mut batch = Batch {
            frames: Vec::new(),
            messages: 0,
            is_from_leader: false,
        };
        let mut next = Some(first);
        while let Some(message) = next.take() {
            self.append(message, &mut batch);
            if batch.frames.len() < WRITE_BATCH {
                next = self.outbox.try_recv().ok();
            }
        }
        batch
    }

    /// Appends the frame of `message` unless the links are cut or it cannot be encoded.
    fn append(&self, message: Message, batch: &mut Batch) {
        match wire::encode_message(&message) {
            Ok(frame) if !self.shared.is_cut() => {
                batch.frames.extend(frame);
                batch.messages += 1;
                batch.is_from_leader |= is_from_leader(&message.body);
                return;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(peer = %self.link.peer(), %error, "a message cannot be sent")
            }
        }
        self.count(|counters| &counters.dropped, 1);
    }

    fn count(&self, counter: impl Fn(&PeerCounters) -> &AtomicU64, by: usize) {
        count(counter(self.link.counters()), by);
    }
}
