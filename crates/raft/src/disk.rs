//! Writes under way, and the promises that wait for them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::actions::{HardState, Write, WriteNumber};
use crate::entry::Entry;
use crate::log::Log;
use crate::message::Message;
use crate::snapshot::{LogStart, Snapshot};
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId};

/// Most writes under way: one that is being synced and one that is ready to follow it. Whatever
/// comes meanwhile becomes one write after them, so a slow disk makes writes larger instead of
/// their queue longer.
const MAX_WRITES_IN_FLIGHT: usize = 2;

/// A disk that writes a snapshot at 10 MB a second is slow and does not hang: so many bytes it may
/// take a microsecond for.
const MIN_DISK_BYTES_PER_MICRO: u64 = 10;

/// Most promises that wait for the disk, or one for each member if they are more, as a candidate
/// makes. While the disk hangs every heartbeat asks for one more; beyond the bound they are
/// dropped, as a network would, and the peers ask again.
const MAX_DEFERRED_MESSAGES: usize = 4096;

/// What the node has asked its disk to do, and what the disk has done. Writes complete in order;
/// several may be under way.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Term and vote as of the last write handed out.
    hard_state: HardState,
    /// Term and vote known to be on disk.
    durable_hard_state: HardState,
    /// Last index handed out that the log still holds.
    written: Index,
    /// Last index known to be on disk that the log still holds.
    durable: Index,
    last_number: WriteNumber,
    in_flight: VecDeque<WriteInFlight>,
    /// Promises made since the last write was handed out.
    deferred: Vec<(NodeId, Message)>,
    /// What the next write must hold beside term, vote and entries.
    next: Extra,
    /// The newest snapshot known to be on disk.
    durable_snapshot: Index,
    /// Lowest index that a truncation cut off and that no write handed out since has replaced: the
    /// disk, or a write under way, may still hold entries from there on.
    cut_off: Option<Index>,
    /// A fault of the past is planted: see
    /// [`PlantedFault::LosesTruncation`](crate::PlantedFault::LosesTruncation).
    pub(crate) loses_truncation: bool,
}

/// What a write holds beside term, vote and entries.
#[derive(Clone, Hash, Debug, Default)]
struct Extra {
    snapshot: Option<Snapshot>,
    start: Option<LogStart>,
    discard: bool,
    incarnation: Option<Incarnation>,
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.snapshot.is_none()
            && self.start.is_none()
            && !self.discard
            && self.incarnation.is_none()
    }
}

#[derive(Clone, Debug)]
struct WriteInFlight {
    number: WriteNumber,
    hard_state: HardState,
    /// Last entry written, unless the log cut it off meanwhile: then its completion says nothing
    /// about the log.
    last: Option<LogPosition>,
    snapshot: Option<Index>,
    incarnation: Option<Incarnation>,
    /// Size of the snapshot in bytes.
    bytes: u64,
    since: Moment,
    deferred: Vec<(NodeId, Message)>,
}

impl Disk {
    pub(crate) fn new(hard_state: HardState, last: Index, snapshot: Index) -> Self {
        Disk {
            hard_state,
            durable_hard_state: hard_state,
            written: last,
            durable: last,
            last_number: WriteNumber(0),
            in_flight: VecDeque::new(),
            deferred: Vec::new(),
            next: Extra::default(),
            durable_snapshot: snapshot,
            cut_off: None,
            loses_truncation: false,
        }
    }

    /// Last index that the newest snapshot on disk covers.
    pub(crate) fn durable_snapshot(&self) -> Index {
        self.durable_snapshot
    }

    /// Highest index on disk.
    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    /// Term and vote on disk.
    pub(crate) fn durable_hard_state(&self) -> HardState {
        self.durable_hard_state
    }

    /// Highest index on disk or on its way there.
    pub(crate) fn written(&self) -> Index {
        self.written
    }

    /// Since when the disk has been busy with the oldest write, less the time that a large one may
    /// take.
    pub(crate) fn waiting_since(&self) -> Option<Moment> {
        self.in_flight.front().map(|write| {
            Moment(
                write
                    .since
                    .0
                    .saturating_add(write.bytes / MIN_DISK_BYTES_PER_MICRO),
            )
        })
    }

    /// A message that may leave only when everything the node knows now is on disk, of a node with
    /// so many `members`.
    pub(crate) fn send_after_persist(&mut self, members: usize, to: NodeId, message: Message) {
        let waiting = self.deferred.len()
            + self
                .in_flight
                .iter()
                .map(|write| write.deferred.len())
                .sum::<usize>();
        if waiting < MAX_DEFERRED_MESSAGES.max(members) {
            self.deferred.push((to, message));
        }
    }

    /// The log dropped everything at and after `from`. Completions of writes that reached there are
    /// no longer believed: an entry of the same term may come back to the same index while an older
    /// write is still on its way.
    pub(crate) fn truncated(&mut self, from: Index) {
        if from <= self.written {
            self.cut_off = Some(self.cut_off.map_or(from, |earlier| earlier.min(from)));
        }
        self.written = self.written.min(from.previous());
        self.durable = self.durable.min(from.previous());
        for write in &mut self.in_flight {
            if write.last.is_some_and(|last| last.index >= from) {
                write.last = None;
            }
        }
    }

    /// The node took a snapshot of its own, and its log now begins at `start`.
    pub(crate) fn compacted(&mut self, snapshot: Option<Snapshot>, start: LogStart) {
        self.next.snapshot = snapshot.or(self.next.snapshot.take());
        self.next.start = Some(start);
    }

    /// A leader's snapshot takes the place of the log up to where it ends. If the log does not go
    /// on from there, all of it is replaced; then only what was committed, up to `commit`, is still
    /// equal on disk.
    pub(crate) fn installed(
        &mut self,
        snapshot: Snapshot,
        start: LogStart,
        discard: bool,
        commit: Index,
    ) {
        self.next.snapshot = Some(snapshot);
        self.next.start = Some(start);
        if discard {
            self.next.discard = true;
            self.truncated(commit.next());
        }
    }

    /// The next write begins `incarnation`. Drops deferred messages: they belong to the old
    /// incarnation.
    pub(crate) fn begin_incarnation(&mut self, incarnation: Incarnation) {
        self.next.incarnation = Some(incarnation);
        self.deferred.clear();
        self.in_flight
            .iter_mut()
            .for_each(|write| write.deferred.clear());
    }

    /// Whether an incarnation was begun and is not on disk yet.
    pub(crate) fn is_beginning_incarnation(&self) -> bool {
        self.next.incarnation.is_some()
            || self
                .in_flight
                .iter()
                .any(|write| write.incarnation.is_some())
    }

    /// The write that brings the disk up to date, if it is not and there is room for one under way;
    /// promises that wait for nothing are moved to `send`.
    pub(crate) fn flush<'a>(
        &mut self,
        now: Moment,
        hard_state: HardState,
        log: &'a Log,
        send: &mut Vec<(NodeId, Message)>,
    ) -> Option<Write<&'a [Entry]>> {
        // Entries replace whatever the disk holds from the first of them on. If a snapshot has
        // covered the first one that a truncation cut off, none of them stands there any more: the
        // disk gives up its log and takes all of this one.
        let base = log.base().index;
        let replaces_log = self.cut_off.is_some_and(|from| from <= base) && !self.loses_truncation;
        let entries = log.from(
            if replaces_log {
                base
            } else {
                self.written.max(base)
            }
            .next(),
        );
        if entries.is_empty() && hard_state == self.hard_state && self.next.is_empty() {
            match self.in_flight.back_mut() {
                Some(write) => write.deferred.append(&mut self.deferred),
                None => send.append(&mut self.deferred),
            }
            return None;
        }
        if self.in_flight.len() >= MAX_WRITES_IN_FLIGHT {
            // The promises stand on what is not handed out yet: they wait for the write that will
            // hold it.
            return None;
        }
        self.last_number = WriteNumber(self.last_number.0 + 1);
        let write = Write {
            number: self.last_number,
            hard_state: (hard_state != self.hard_state).then_some(hard_state),
            snapshot: self.next.snapshot.take(),
            start: self.next.start.take(),
            discard: core::mem::take(&mut self.next.discard) || replaces_log,
            incarnation: self.next.incarnation.take(),
            entries,
        };
        self.in_flight.push_back(WriteInFlight {
            number: self.last_number,
            hard_state,
            last: Some(log.last()),
            snapshot: write
                .snapshot
                .as_ref()
                .map(|snapshot| snapshot.position.index),
            incarnation: write.incarnation,
            bytes: write
                .snapshot
                .as_ref()
                .map_or(0, |snapshot| snapshot.len() as u64),
            since: now,
            deferred: core::mem::take(&mut self.deferred),
        });
        self.hard_state = hard_state;
        self.written = log.last().index;
        self.cut_off = None;
        Some(write)
    }

    /// Everything up to `number` is on disk: moves the promises that waited for it to `send`.
    /// Returns the incarnation that began with it, if one did.
    pub(crate) fn persisted(
        &mut self,
        now: Moment,
        number: WriteNumber,
        log: &Log,
        send: &mut Vec<(NodeId, Message)>,
    ) -> Option<Incarnation> {
        assert!(
            number <= self.last_number,
            "a write completed that was never asked for"
        );
        let mut incarnation = None;
        while let Some(mut write) = self.in_flight.pop_front_if(|write| write.number <= number) {
            send.append(&mut write.deferred);
            if self.deferred.capacity() == 0 {
                // The room of the old promises serves the next ones.
                self.deferred = write.deferred;
            }
            self.durable_hard_state = write.hard_state;
            if let Some(last) = write.last {
                let still_there = last.index < log.base().index || log.matches(last);
                assert!(still_there, "a believed write must still be in the log");
                self.durable = self.durable.max(last.index);
            }
            self.durable_snapshot = write.snapshot.unwrap_or(self.durable_snapshot);
            incarnation = write.incarnation.or(incarnation);
        }
        // The disk turns to the next write only now; what waited behind another did not hang.
        if let Some(next) = self.in_flight.front_mut() {
            next.since = next.since.max(now);
        }
        incarnation
    }
}

/// Without moments, and with writes named by how old they are: nodes that differ in nothing else do
/// the same.
impl Hash for Disk {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Disk {
            hard_state,
            durable_hard_state,
            written,
            durable,
            last_number,
            in_flight,
            deferred,
            next,
            durable_snapshot,
            cut_off,
            loses_truncation: _,
        } = self;
        (
            hard_state,
            durable_hard_state,
            written,
            durable,
            deferred,
            next,
            durable_snapshot,
            cut_off,
        )
            .hash(hasher);
        in_flight.len().hash(hasher);
        for WriteInFlight {
            number,
            hard_state,
            last,
            snapshot,
            incarnation,
            bytes: _,
            since: _,
            deferred,
        } in in_flight
        {
            (
                last_number.0 - number.0,
                hard_state,
                last,
                snapshot,
                incarnation,
                deferred,
            )
                .hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests;
