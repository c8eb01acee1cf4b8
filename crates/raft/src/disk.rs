//! Writes in flight, and the messages deferred until they are durable.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use crate::actions::{Founding, HardState, Write, WriteNumber};
use crate::entry::Entry;
use crate::log::Log;
use crate::message::Message;
use crate::snapshot::{LogStart, Snapshot};
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId};

/// Maximum number of writes in flight: one that is being synced and one ready to follow it. Later
/// changes are merged into one write after them, so a slow disk makes writes larger instead of
/// their queue longer.
const MAX_WRITES_IN_FLIGHT: usize = 2;

/// Slowest tolerated snapshot write, in bytes per microsecond (10 MB/s). A slower disk counts as
/// hung.
const MIN_DISK_BYTES_PER_MICRO: u64 = 10;

/// Maximum number of messages deferred until a write is durable, or one per member if there are
/// more members, as for a candidate's requests. While the disk hangs, every heartbeat adds one;
/// beyond the bound messages are dropped, as a network may do, and the peers retry.
const MAX_DEFERRED_MESSAGES: usize = 4096;

/// Writes requested from the disk, and their completion. Writes complete in order; several may be
/// in flight.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Term and vote as of the last write returned.
    hard_state: HardState,
    /// Term and vote known to be on disk.
    durable_hard_state: HardState,
    /// Last index returned for writing that the log still holds.
    written: Index,
    /// Last index known to be on disk that the log still holds.
    durable: Index,
    last_number: WriteNumber,
    in_flight: VecDeque<WriteInFlight>,
    /// Messages deferred since the last write was returned.
    deferred: Vec<(NodeId, Message)>,
    /// Contents of the next write in addition to term, vote and entries.
    next: Extra,
    /// The newest snapshot known to be on disk.
    durable_snapshot: Index,
    /// Lowest truncated index that no later write has replaced: the disk, or a write in flight, may
    /// still hold entries from there on.
    cut_off: Option<Index>,
    /// Whether a past bug is planted: see
    /// [`PlantedBug::LosesTruncation`](crate::PlantedBug::LosesTruncation).
    pub(crate) loses_truncation: bool,
}

/// Contents of a write in addition to term, vote and entries.
#[derive(Clone, Hash, Debug, Default)]
struct Extra {
    snapshot: Option<Snapshot>,
    start: Option<LogStart>,
    discard: bool,
    incarnation: Option<Incarnation>,
    founding: Option<Founding>,
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.snapshot.is_none()
            && self.start.is_none()
            && !self.discard
            && self.incarnation.is_none()
            && self.founding.is_none()
    }
}

#[derive(Clone, Debug)]
struct WriteInFlight {
    number: WriteNumber,
    hard_state: HardState,
    /// Last entry written, or `None` if the log truncated it meanwhile: then the completion proves
    /// nothing about the log.
    last: Option<LogPosition>,
    snapshot: Option<Index>,
    incarnation: Option<Incarnation>,
    /// Whether it contains the state of the founding.
    founding: bool,
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

    /// Start of the oldest write, plus the time that a large snapshot may take.
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

    /// Defers a message until all current state is on disk. The bound on deferred messages is at
    /// least `members`; beyond it the message is dropped.
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

    /// Records that the log dropped everything at and after `from`. Completions of writes that
    /// reached it no longer count: an entry of the same term may return to the same index while an
    /// older write is still in flight.
    pub(crate) fn truncated(&mut self, from: Index) {
        // Entries that were never returned for writing cannot be on the disk.
        if from <= self.written {
            self.cut_off = Some(self.cut_off.map_or(from, |earlier| earlier.min(from)));
        }
        // Truncated entries no longer count as durable, even while the disk still holds them.
        self.written = self.written.min(from.previous());
        self.durable = self.durable.min(from.previous());
        for write in &mut self.in_flight {
            if write.last.is_some_and(|last| last.index >= from) {
                write.last = None;
            }
        }
    }

    /// Records that the log now begins at `start`, with the snapshot if the node took a new one.
    pub(crate) fn compacted(&mut self, snapshot: Option<Snapshot>, start: LogStart) {
        // A snapshot that still waits for its write must not be lost.
        self.next.snapshot = snapshot.or(self.next.snapshot.take());
        self.next.start = Some(start);
    }

    /// Records a leader's snapshot, which replaces the log up to its last entry. With `discard` the
    /// log does not continue from there and all of it is replaced; then only committed entries, up
    /// to `commit`, are still equal on disk.
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

    /// The next write replaces the state of the founding.
    pub(crate) fn set_founding(&mut self, founding: Founding) {
        self.next.founding = Some(founding);
    }

    /// Whether the newest state of the founding is on disk.
    pub(crate) fn is_founding_durable(&self) -> bool {
        self.next.founding.is_none() && !self.in_flight.iter().any(|write| write.founding)
    }

    /// Whether a new incarnation has begun and is not on disk yet.
    pub(crate) fn is_beginning_incarnation(&self) -> bool {
        self.next.incarnation.is_some()
            || self
                .in_flight
                .iter()
                .any(|write| write.incarnation.is_some())
    }

    /// Returns the write that brings the disk up to date, if one is needed and another may be in
    /// flight. Deferred messages that need no write are moved to `send`.
    pub(crate) fn flush<'a>(
        &mut self,
        now: Moment,
        hard_state: HardState,
        log: &'a Log,
        send: &mut Vec<(NodeId, Message)>,
    ) -> Option<Write<&'a [Entry]>> {
        // Written entries replace those on disk from the first of them on. If a snapshot covers the
        // first truncated index, no written entry would replace it: the disk must drop its log and
        // take all of this one.
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
                // Nothing new to write, but the messages may depend on the newest write in flight.
                Some(write) => write.deferred.append(&mut self.deferred),
                None => send.append(&mut self.deferred),
            }
            return None;
        }
        if self.in_flight.len() >= MAX_WRITES_IN_FLIGHT {
            // The deferred messages depend on state not returned yet: they wait for the write that
            // contains it.
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
            founding: self.next.founding.take(),
            entries,
        };
        self.in_flight.push_back(WriteInFlight {
            number: self.last_number,
            hard_state,
            // Writes complete in order, so this one also proves every entry before its own.
            last: Some(log.last()),
            snapshot: write
                .snapshot
                .as_ref()
                .map(|snapshot| snapshot.position.index),
            incarnation: write.incarnation,
            founding: write.founding.is_some(),
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

    /// Records that every write up to `number` is on disk and moves the messages that waited for it
    /// to `send`. Returns the incarnation that began with it, if any.
    pub(crate) fn persisted(
        &mut self,
        now: Moment,
        number: WriteNumber,
        log: &Log,
        send: &mut Vec<(NodeId, Message)>,
    ) -> Option<Incarnation> {
        assert!(
            number <= self.last_number,
            "a completed write must have been requested"
        );
        let mut incarnation = None;
        while let Some(mut write) = self.in_flight.pop_front_if(|write| write.number <= number) {
            send.append(&mut write.deferred);
            if self.deferred.capacity() == 0 {
                // Reuse the allocation for the next deferred messages.
                self.deferred = write.deferred;
            }
            self.durable_hard_state = write.hard_state;
            if let Some(last) = write.last {
                // An entry below the base was compacted, so the log can no longer check it.
                let still_there = last.index < log.base().index || log.matches(last);
                assert!(
                    still_there,
                    "the log must still hold the last entry of a valid write"
                );
                self.durable = self.durable.max(last.index);
            }
            // Not the maximum: a repair may replace the snapshot by an earlier one.
            self.durable_snapshot = write.snapshot.unwrap_or(self.durable_snapshot);
            incarnation = write.incarnation.or(incarnation);
        }
        // The disk starts the next write only now: time spent in the queue does not count as hung.
        if let Some(next) = self.in_flight.front_mut() {
            next.since = next.since.max(now);
        }
        incarnation
    }
}

/// Leaves out moments and counts writes from the newest: nodes that differ in nothing else behave
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
            founding,
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
                founding,
                deferred,
            )
                .hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests;
