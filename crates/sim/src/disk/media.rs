//! Contents of a disk: durable bytes, unsynced changes and faults.

use std::collections::BTreeSet;

use super::change::{Change, Fate, SECTOR};
use crate::coverage::{Counters, Mark};

/// Maximum number of unsynced bytes: 64 MiB. Beyond it the oldest change becomes durable without a
/// sync, as if the machine had written its cache back.
pub const MAX_UNSYNCED: usize = 64 * 1024 * 1024;

/// One recorded disk operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A change, which the next sync makes durable.
    Change(Change),
    /// A sync, which makes every earlier change durable.
    Sync,
}

#[derive(Debug, Default)]
pub(super) struct Media {
    /// Durable bytes.
    pub(super) image: Vec<u8>,
    /// Bytes that a read sees.
    pub(super) view: Vec<u8>,
    /// Changes from `image` to `view`, in order.
    pub(super) changes: Vec<Change>,
    /// Number of bytes in `changes`.
    pub(super) unsynced: usize,
    pub(super) generation: u64,
    pub(super) recording: Option<Vec<Operation>>,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Number of operations until power is cut.
    pub(super) power_cut_in: Option<u64>,
    /// Makes the next sync fail; the seed determines what the sync leaves behind.
    pub(super) next_sync_fails: Option<u64>,
    pub(super) syncs_lie: bool,
    pub(super) full: bool,
    pub(super) failing_reads: u64,
    pub(super) bad_sectors: BTreeSet<usize>,
    pub(super) next_read_flips: Option<u64>,
    /// Misdirects the next write; the number determines its target sector.
    pub(super) next_write_strays: Option<u64>,
}

impl Media {
    pub(super) fn ask(&mut self, operation: impl FnOnce() -> Operation) {
        if let Some(recording) = &mut self.recording {
            recording.push(operation());
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.view, &Fate::Applied);
        if let Change::Write { at, bytes } = &change {
            self.unsynced += bytes.len();
            let sectors = at / SECTOR..(at + bytes.len()).div_ceil(SECTOR);
            // A write remaps the bad sectors that it touches.
            self.faults
                .bad_sectors
                .retain(|sector| !sectors.contains(sector));
        }
        self.changes.push(change);
        while self.unsynced > MAX_UNSYNCED {
            let oldest = self.changes.remove(0);
            if let Change::Write { bytes, .. } = &oldest {
                self.unsynced -= bytes.len();
            }
            oldest.apply(&mut self.image, &Fate::Applied);
        }
    }

    /// Applies `fates` to the changes that are not durable; changes without one are lost.
    pub(super) fn settle(&mut self, fates: &[Fate]) {
        let fates = fates.iter().chain(std::iter::repeat(&Fate::Lost));
        for (change, fate) in self.changes.drain(..).zip(fates) {
            change.apply(&mut self.image, fate);
            self.counters.count(match fate {
                Fate::Lost => Mark::DiskLostChange,
                Fate::Applied => Mark::DiskKeptChangeThatWasNotSynced,
                Fate::Torn { .. } => Mark::DiskToreChange,
            });
        }
        self.unsynced = 0;
    }

    pub(super) fn flip(&mut self, bit: u64) -> bool {
        let Some(at) = usize::try_from(bit / 8)
            .ok()
            .filter(|at| *at < self.image.len())
        else {
            return false;
        };
        let mask = 1 << (bit % 8);
        self.image[at] ^= mask;
        let covered = |change: &Change| match change {
            Change::Write { at: start, bytes } => (*start..start + bytes.len()).contains(&at),
            Change::Resize(len) => *len <= at,
        };
        // A pending change hides the damage from readers, and repairs it once it is synced.
        if !self.changes.iter().any(covered) && at < self.view.len() {
            self.view[at] ^= mask;
        }
        self.counters.count(Mark::DiskFlippedBit);
        true
    }

    /// Returns the offset to which a write to `at` is misdirected: another sector of the disk.
    pub(super) fn stray(&self, at: usize, chance: u64) -> usize {
        let sectors = (self.view.len() / SECTOR).max(1);
        let by = usize::try_from(chance % (sectors.max(2) as u64 - 1)).unwrap_or(0) + 1;
        (at / SECTOR + by) % sectors * SECTOR + at % SECTOR
    }
}
