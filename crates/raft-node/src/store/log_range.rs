//! Range of log entries in a store, and the check of writes against it.

use raftian_raft::{Index, Restored, Write};

use super::StoreError;

/// Largest state in a snapshot, in bytes: 256 MiB. The node that makes a snapshot and the one that
/// receives it hold it in memory as a whole, which a machine with a gigabyte must be able to do. A
/// larger one is an error.
pub const MAX_SNAPSHOT: usize = 256 * 1024 * 1024;

/// Bounds of the entries in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LogRange {
    /// The last entry that is not kept; zero if none was ever dropped.
    pub(super) start: Index,
    /// The last entry; `start` if there is none after it.
    pub(super) end: Index,
    /// The last entry that the snapshot covers; zero without one.
    covered: Index,
}

impl LogRange {
    pub(super) fn of(restored: &Restored) -> Self {
        let start = restored.start.position.index;
        LogRange {
            start,
            end: restored.entries.last().map_or(start, |entry| entry.index),
            covered: restored
                .snapshot
                .as_ref()
                .map_or(Index(0), |snapshot| snapshot.position.index),
        }
    }

    /// Returns the bounds after `write`, or why it must be refused.
    pub(super) fn after(self, write: &Write) -> Result<LogRange, StoreError> {
        let number = write.number.0;
        let mut after = self;
        if let Some(snapshot) = &write.snapshot {
            if snapshot.len() > MAX_SNAPSHOT {
                return Err(StoreError::SnapshotTooLarge {
                    number,
                    size: snapshot.len(),
                });
            }
            // Not the maximum: a repair may replace a snapshot by an earlier one.
            after.covered = snapshot.position.index;
        }
        if let Some(start) = write.start {
            after.start = start.position.index;
        }
        if after.start < self.start || after.start > after.covered {
            let start = after.start;
            let covered = after.covered;
            return Err(StoreError::Uncovered {
                number,
                start,
                earliest: self.start,
                covered,
            });
        }
        after.end = if write.discard {
            after.start
        } else {
            // A leader's snapshot may end after the log, which is then empty.
            self.end.max(after.start)
        };
        // Entries replace the tail from their first index on (section 5.3). An index at or before
        // the start is refused below.
        if let Some(first) = write.entries.first()
            && first.index > after.start
        {
            after.end = after.end.min(first.index.previous());
        }
        for entry in &write.entries {
            if entry.index != after.end.next() {
                let LogRange { start, end, .. } = after;
                return Err(StoreError::Gap {
                    number,
                    first: entry.index,
                    start,
                    end,
                });
            }
            after.end = entry.index;
        }
        assert!(after.start <= after.end, "the log begins before it ends");
        assert!(
            self.start <= after.start,
            "the start of the log never goes back"
        );
        Ok(after)
    }
}
