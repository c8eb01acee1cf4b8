//! Datagram counters of one direction.

use std::sync::atomic::{AtomicU64, Ordering};

/// Live counters of one direction; each only grows.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) received: AtomicU64,
    pub(super) forwarded: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) unknown_senders: AtomicU64,
}

/// Snapshot of the counters, in datagrams. Those in flight are `received + duplicated - forwarded -
/// lost - cut - dropped`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Received from the sender.
    pub received: u64,
    /// Forwarded to the receiver, including copies.
    pub forwarded: u64,
    /// Randomly lost.
    pub lost: u64,
    /// Randomly duplicated; counts the copies.
    pub duplicated: u64,
    /// Randomly held back, so that later ones may overtake them.
    pub late: u64,
    /// Dropped by a cut.
    pub cut: u64,
    /// Dropped because a queue was full.
    pub dropped: u64,
    /// Received from any address but the sender's, and discarded.
    pub unknown_senders: u64,
}

impl Counters {
    /// Current counts.
    pub fn now(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            received: of(&self.received),
            forwarded: of(&self.forwarded),
            lost: of(&self.lost),
            duplicated: of(&self.duplicated),
            late: of(&self.late),
            cut: of(&self.cut),
            dropped: of(&self.dropped),
            unknown_senders: of(&self.unknown_senders),
        }
    }
}

impl Counts {
    /// Sum of both.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            received: self.received + other.received,
            forwarded: self.forwarded + other.forwarded,
            lost: self.lost + other.lost,
            duplicated: self.duplicated + other.duplicated,
            late: self.late + other.late,
            cut: self.cut + other.cut,
            dropped: self.dropped + other.dropped,
            unknown_senders: self.unknown_senders + other.unknown_senders,
        }
    }
}

/// Increments a counter.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
