//! The log in memory: every entry after the last snapshot, and some before it for peers that lag
//! slightly.

use alloc::vec::Vec;

use crate::entry::{Entry, Payload};
use crate::membership::Membership;
use crate::snapshot::LogStart;
use crate::types::{Index, LogPosition, Stamp, Term};

/// Entries without gaps after `start`, and the memberships in them.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Log {
    start: LogStart,
    entries: Vec<Entry>,
    /// The memberships in the log with their indexes, after the one that was in force before it.
    /// Never empty.
    memberships: Vec<(Index, Membership)>,
    /// Index of the last entry whose contents this node, a witness, does not store.
    withheld: Option<Index>,
    /// Last index that the newest snapshot covers.
    covered: Index,
    /// Bytes of the entries after `covered`.
    uncovered_bytes: usize,
}

impl Log {
    /// Restores a log from disk, or returns why no node could have written it. `founding` is the
    /// membership as of `since`: the snapshot's, or the cluster's first.
    pub(crate) fn restore(
        start: LogStart,
        (since, founding): (Index, Membership),
        entries: Vec<Entry>,
    ) -> Result<Self, &'static str> {
        let mut previous = (start.position, start.stamp);
        let mut log = Log {
            start,
            entries: Vec::new(),
            memberships: alloc::vec![(since, founding)],
            withheld: None,
            covered: since.max(start.position.index),
            uncovered_bytes: entries
                .iter()
                .filter(|entry| entry.index > since)
                .map(Entry::size)
                .sum(),
        };
        for entry in &entries {
            // `next` saturates, so the largest index would count as its own successor.
            if entry.index != previous.0.index.next() || entry.index == previous.0.index {
                return Err("its indexes have a gap");
            }
            if entry.term < previous.0.term || entry.term == Term(0) {
                return Err("its terms go back");
            }
            if entry.stamp < previous.1 {
                return Err("its game clock goes back");
            }
            previous = (entry.position(), entry.stamp);
            log.look_at(entry, since);
        }
        log.entries = entries;
        Ok(log)
    }

    /// Creates an empty log that begins after a snapshot.
    pub(crate) fn after(start: LogStart, membership: Membership) -> Self {
        let memberships = alloc::vec![(start.position.index, membership)];
        let covered = start.position.index;
        Log {
            start,
            entries: Vec::new(),
            memberships,
            withheld: None,
            covered,
            uncovered_bytes: 0,
        }
    }

    /// Bytes of the entries that no snapshot covers.
    pub(crate) fn uncovered_bytes(&self) -> usize {
        self.uncovered_bytes
    }

    /// Records that a snapshot covers the entries up to `index`, which must be in the log.
    pub(crate) fn cover(&mut self, index: Index) {
        if index > self.covered {
            let count = usize::try_from(index.0 - self.covered.0).expect("the log fits in memory");
            let bytes: usize = self.from(self.covered.next())[..count]
                .iter()
                .map(Entry::size)
                .sum();
            self.uncovered_bytes -= bytes;
            self.covered = index;
        }
    }

    #[inline]
    fn look_at(&mut self, entry: &Entry, since: Index) {
        match &entry.payload {
            // Up to `since` the snapshot's own membership applies, which is the first in the list.
            Payload::Membership(membership) if entry.index > since => {
                self.adopt(entry.index, membership)
            }
            Payload::Withheld => self.withheld = Some(entry.index),
            Payload::Membership(_) | Payload::Empty | Payload::Command { .. } => {}
        }
    }

    /// Separate from its caller, which runs for every entry.
    #[cold]
    fn adopt(&mut self, index: Index, membership: &Membership) {
        self.memberships.push((index, membership.clone()));
    }

    /// Records that the newest snapshot covers only the entries up to `index`, which must be in the
    /// log.
    pub(crate) fn uncover(&mut self, index: Index) {
        if index < self.covered {
            let count = usize::try_from(self.covered.0 - index.0).expect("the log fits in memory");
            let bytes: usize = self.from(index.next())[..count]
                .iter()
                .map(Entry::size)
                .sum();
            self.uncovered_bytes += bytes;
            self.covered = index;
        }
    }

    /// Position before the first entry held.
    pub(crate) fn base(&self) -> LogPosition {
        self.start.position
    }

    /// Start of the log.
    pub(crate) fn start(&self) -> LogStart {
        self.start
    }

    /// Position of the last entry.
    pub(crate) fn last(&self) -> LogPosition {
        self.entries
            .last()
            .map_or(self.start.position, Entry::position)
    }

    /// Game clock of the last entry.
    pub(crate) fn last_stamp(&self) -> Stamp {
        self.entries
            .last()
            .map_or(self.start.stamp, |entry| entry.stamp)
    }

    /// The newest membership in the log: "a server always uses the latest configuration in its log,
    /// regardless of whether the entry is committed" (section 6).
    pub(crate) fn membership(&self) -> &Membership {
        &self.newest_membership().1
    }

    /// Index of the entry with the newest membership.
    pub(crate) fn membership_index(&self) -> Index {
        self.newest_membership().0
    }

    fn newest_membership(&self) -> &(Index, Membership) {
        self.memberships
            .last()
            .expect("the log always has a membership")
    }

    /// Index of the newest change of members. Entries after it may have recorded other contacts.
    pub(crate) fn members_index(&self) -> Index {
        self.memberships[self.newest_change()].0
    }

    /// The membership before the newest change of members, if the log still holds it.
    pub(crate) fn membership_before(&self) -> Option<&Membership> {
        let before = self.newest_change().checked_sub(1)?;
        self.memberships
            .get(before)
            .map(|(_, membership)| membership)
    }

    /// Place of the first membership with the present members.
    fn newest_change(&self) -> usize {
        let newest = self.membership();
        let others = self
            .memberships
            .iter()
            .rposition(|(_, membership)| !membership.has_members_of(newest));
        others.map_or(0, |place| place + 1)
    }

    /// The membership as of `index`, which must not be before the log's first membership.
    pub(crate) fn membership_at(&self, index: Index) -> &Membership {
        let newer = self.memberships.partition_point(|(at, _)| *at <= index);
        &self.memberships[newer.saturating_sub(1)].1
    }

    /// Whether every entry after `index` has its contents, which a witness does not store.
    pub(crate) fn is_whole_after(&self, index: Index) -> bool {
        self.withheld.is_none_or(|withheld| withheld <= index)
    }

    /// Term of the entry at `index`; `None` outside the log. The base counts as part of it.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        let base = self.start.position;
        if index == base.index {
            Some(base.term)
        } else {
            self.get(index).map(|entry| entry.term)
        }
    }

    /// Game clock of the entry at `index`; `None` outside the log.
    pub(crate) fn stamp_at(&self, index: Index) -> Option<Stamp> {
        if index == self.start.position.index {
            Some(self.start.stamp)
        } else {
            self.get(index).map(|e| e.stamp)
        }
    }

    /// Position at `index`; `None` outside the log.
    pub(crate) fn position_at(&self, index: Index) -> Option<LogPosition> {
        self.term_at(index).map(|term| LogPosition { term, index })
    }

    /// Whether the entry at `position.index` has `position.term` (the consistency check of section
    /// 5.3). Below the base nothing matches: those terms are no longer known.
    pub(crate) fn matches(&self, position: LogPosition) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        // The base has a position but no entry.
        let place = index.0.checked_sub(self.start.position.index.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    /// Entries from `from` to the end; empty if `from` is after the end. `from` must be after the
    /// base.
    pub(crate) fn from(&self, from: Index) -> &[Entry] {
        let offset = usize::try_from(from.0.saturating_sub(self.start.position.index.0 + 1))
            .unwrap_or(usize::MAX);
        self.entries.get(offset..).unwrap_or(&[])
    }

    /// Entries from `from`, at most `count` of them and at most `bytes` in sum, but at least one if
    /// there is one. Returns the sum too.
    pub(crate) fn batch(&self, from: Index, count: usize, bytes: usize) -> (&[Entry], usize) {
        let rest = self.from(from);
        let mut len = 0;
        let mut sum = 0;
        for size in rest.iter().take(count).map(Entry::size) {
            if len > 0 && sum + size > bytes {
                break;
            }
            (len, sum) = (len + 1, sum + size);
        }
        (&rest[..len], sum)
    }

    /// Appends the next entry, whose index must follow the last one's.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(
            entry.index,
            self.last().index.next(),
            "an appended entry must follow the last one"
        );
        self.look_at(&entry, Index(0));
        self.uncovered_bytes += entry.size();
        self.entries.push(entry);
    }

    /// Appends entries, each following the one before it.
    pub(crate) fn extend(&mut self, mut entries: Vec<Entry>) {
        let mut next = self.last().index.next();
        for entry in &entries {
            assert_eq!(
                entry.index, next,
                "an appended entry must follow the last one"
            );
            self.look_at(entry, Index(0));
            self.uncovered_bytes += entry.size();
            next = next.next();
        }
        self.entries.append(&mut entries);
    }

    /// Drops every entry at and after `from`, which no snapshot may cover. The memberships in them
    /// are undone.
    pub(crate) fn truncate(&mut self, from: Index) {
        assert!(
            from > self.covered,
            "entries that a snapshot covers are never truncated"
        );
        let bytes: usize = self.from(from).iter().map(Entry::size).sum();
        self.uncovered_bytes -= bytes;
        let keep = usize::try_from(from.0 - self.start.position.index.0 - 1).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
        // The first one stays: it is of a covered index or the founding one, and so before `from`.
        self.memberships.retain(|(at, _)| *at < from);
        // Only the last one is recorded, so the one before it has to be searched; this is rare.
        if self.withheld.is_some_and(|at| at >= from) {
            let last = self
                .entries
                .iter()
                .rev()
                .find(|entry| entry.payload == Payload::Withheld);
            self.withheld = last.map(|entry| entry.index);
        }
    }

    /// Drops the entries up to `up_to`, which must be in the log and covered by a snapshot (section
    /// 7).
    pub(crate) fn compact(&mut self, up_to: Index) {
        self.cover(up_to);
        let position = self
            .position_at(up_to)
            .expect("only entries in the log are compacted");
        let stamp = self
            .stamp_at(up_to)
            .expect("only entries in the log are compacted");
        let count =
            usize::try_from(up_to.0 - self.start.position.index.0).expect("the log fits in memory");
        self.entries.drain(..count);
        self.start = LogStart { position, stamp };
        // The membership in force at the new base stays, as the one before the log.
        let newer = self.memberships.partition_point(|(at, _)| *at <= up_to);
        self.memberships.drain(..newer.saturating_sub(1));
    }

    /// The last position at or before `index` whose term is not later than `term`: where the logs
    /// of two nodes may still be equal (end of section 5.3). Terms never decrease along a log, so
    /// it is found by binary search.
    pub(crate) fn last_of_term_at_most(&self, index: Index, term: Term) -> LogPosition {
        let behind = usize::try_from(index.0.saturating_sub(self.start.position.index.0))
            .unwrap_or(usize::MAX);
        let end = behind.min(self.entries.len());
        let count = self.entries[..end].partition_point(|entry| entry.term <= term);
        // Earlier terms are compacted, so the base is the only candidate left.
        if count == 0 {
            self.start.position
        } else {
            self.entries[count - 1].position()
        }
    }
}

#[cfg(test)]
mod tests;
