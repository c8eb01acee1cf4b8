//! What became of the datagrams of one direction.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one direction, while it runs. Each only grows.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) received: AtomicU64,
    pub(super) forwarded: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) corrupted: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) strangers: AtomicU64,
}

/// Counts at one moment, in datagrams. Those under way are `received + duplicated - forwarded -
/// lost - cut - dropped`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Came from the sender.
    pub received: u64,
    /// Left for the receiver, copies included.
    pub forwarded: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Copies that were made by chance.
    pub duplicated: u64,
    /// Held back by chance, so that later ones may overtake them.
    pub late: u64,
    /// Damaged by chance in one byte.
    pub corrupted: u64,
    /// Stopped by a cut.
    pub cut: u64,
    /// Dropped because a queue was full.
    pub dropped: u64,
    /// Came from anybody but the sender, and went nowhere.
    pub strangers: u64,
}

impl Counters {
    /// The counts of this moment.
    #[must_use]
    pub fn now(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            received: of(&self.received),
            forwarded: of(&self.forwarded),
            lost: of(&self.lost),
            duplicated: of(&self.duplicated),
            late: of(&self.late),
            corrupted: of(&self.corrupted),
            cut: of(&self.cut),
            dropped: of(&self.dropped),
            strangers: of(&self.strangers),
        }
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            received: self.received + other.received,
            forwarded: self.forwarded + other.forwarded,
            lost: self.lost + other.lost,
            duplicated: self.duplicated + other.duplicated,
            late: self.late + other.late,
            corrupted: self.corrupted + other.corrupted,
            cut: self.cut + other.cut,
            dropped: self.dropped + other.dropped,
            strangers: self.strangers + other.strangers,
        }
    }
}

/// One more of these.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
