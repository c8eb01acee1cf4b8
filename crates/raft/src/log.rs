//! The log in memory: every entry after the last snapshot.

use alloc::vec::Vec;

use crate::entry::Entry;
use crate::types::{Index, LogPosition, Stamp, Term};

/// Entries without gaps after `base`. The base is the position that a snapshot covers; without one it is zero.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    base: LogPosition,
    base_stamp: Stamp,
    entries: Vec<Entry>,
}

impl Log {
    /// A log restored from disk, or why no node could have written it.
    pub(crate) fn restore(entries: Vec<Entry>) -> Result<Self, &'static str> {
        let mut previous = (LogPosition::default(), Stamp::default());
        for entry in &entries {
            if entry.index != previous.0.index.next() {
                return Err("its indexes have a gap");
            }
            if entry.term < previous.0.term || entry.term == Term(0) {
                return Err("its terms go back");
            }
            if entry.stamp < previous.1 {
                return Err("its game clock goes back");
            }
            previous = (entry.position(), entry.stamp);
        }
        Ok(Log { base: LogPosition::default(), base_stamp: Stamp::default(), entries })
    }

    /// Position before the first entry held.
    pub(crate) fn base(&self) -> LogPosition {
        self.base
    }

    /// Position of the last entry.
    pub(crate) fn last(&self) -> LogPosition {
        self.entries.last().map_or(self.base, Entry::position)
    }

    /// Game clock of the last entry.
    pub(crate) fn last_stamp(&self) -> Stamp {
        self.entries.last().map_or(self.base_stamp, |entry| entry.stamp)
    }

    /// Term of the entry at `index`; `None` outside the log. The base counts as part of it.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// Game clock of the entry at `index`; `None` outside the log.
    pub(crate) fn stamp_at(&self, index: Index) -> Option<Stamp> {
        if index == self.base.index { Some(self.base_stamp) } else { self.get(index).map(|entry| entry.stamp) }
    }

    /// Position at `index`; `None` outside the log.
    pub(crate) fn position_at(&self, index: Index) -> Option<LogPosition> {
        self.term_at(index).map(|term| LogPosition { term, index })
    }

    /// Whether the entry at `position.index` has `position.term` (the consistency check of section 5.3).
    pub(crate) fn matches(&self, position: LogPosition) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        index.0.checked_sub(self.base.index.0 + 1).and_then(|offset| self.entries.get(usize::try_from(offset).ok()?))
    }

    /// Entries from `from` to the end; empty if `from` is after the end. `from` must be after the base.
    pub(crate) fn from(&self, from: Index) -> &[Entry] {
        let offset = usize::try_from(from.0.saturating_sub(self.base.index.0 + 1)).unwrap_or(usize::MAX);
        self.entries.get(offset..).unwrap_or(&[])
    }

    /// Entries from `from`, at most `count` of them and at most `bytes` in sum, but at least one if there is one.
    pub(crate) fn batch(&self, from: Index, count: usize, bytes: usize) -> &[Entry] {
        let rest = self.from(from);
        let mut sum = 0;
        let fits = rest.iter().take(count).take_while(|entry| {
            sum += entry.size();
            sum <= bytes
        });
        let len = fits.count().max(1).min(rest.len());
        &rest[..len]
    }

    /// Appends the next entry. Its index must follow the last one's: callers build it so.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last().index.next(), "an appended entry must follow the last one");
        self.entries.push(entry);
    }

    /// Appends entries, each following the one before it.
    pub(crate) fn extend(&mut self, entries: impl ExactSizeIterator<Item = Entry>) {
        self.entries.reserve(entries.len());
        for entry in entries {
            self.push(entry);
        }
    }

    /// Drops every entry at and after `from`, which must be after the base.
    pub(crate) fn truncate(&mut self, from: Index) {
        assert!(from > self.base.index, "a snapshot is never truncated");
        let keep = usize::try_from(from.0 - self.base.index.0 - 1).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
    }

    /// The last position at or before `index` whose term is not later than `term`: where logs of two nodes may still be
    /// equal (end of section 5.3). Terms never go back along a log, so it is found by bisection.
    pub(crate) fn last_of_term_at_most(&self, index: Index, term: Term) -> LogPosition {
        let end =
            usize::try_from(index.0.saturating_sub(self.base.index.0)).unwrap_or(usize::MAX).min(self.entries.len());
        let count = self.entries[..end].partition_point(|entry| entry.term <= term);
        if count == 0 { self.base } else { self.entries[count - 1].position() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Payload;
    use proptest::prelude::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { term: Term(term), index: Index(index), stamp: Stamp(index), payload: Payload::Empty }
    }

    fn log(terms: &[u64]) -> Log {
        Log::restore(terms.iter().zip(1..).map(|(term, index)| entry(index, *term)).collect()).unwrap()
    }

    #[test]
    fn a_gap_or_a_falling_term_or_clock_is_a_damaged_log() {
        assert!(Log::restore(alloc::vec![entry(2, 1)]).is_err());
        assert!(Log::restore(alloc::vec![entry(1, 2), entry(2, 1)]).is_err());
        let mut late = entry(1, 1);
        late.stamp = Stamp(9);
        assert!(Log::restore(alloc::vec![late, entry(2, 1)]).is_err());
    }

    #[test]
    fn a_batch_has_at_least_one_entry_however_small_the_byte_bound() {
        let log = log(&[1, 1, 1]);
        assert_eq!(log.batch(Index(1), 10, 1).len(), 1);
        assert_eq!(log.batch(Index(2), 10, usize::MAX).len(), 2);
        assert_eq!(log.batch(Index(1), 2, usize::MAX).len(), 2);
        assert_eq!(log.batch(Index(4), 10, usize::MAX).len(), 0);
    }

    proptest! {
        /// Naive model: a plain vector of terms.
        #[test]
        fn operations_agree_with_a_plain_vector(
            mut steps in prop::collection::vec(0u64..3, 0..12),
            cut in 1u64..12,
            at in 0u64..14,
            term in 0u64..8,
        ) {
            let mut running = 1;
            for step in &mut steps {
                running += *step;
                *step = running;
            }
            let mut log = log(&steps);
            prop_assert_eq!(log.last().index.0, steps.len() as u64);
            let found = log.last_of_term_at_most(Index(at), Term(term));
            let naive = (1..=at.min(steps.len() as u64)).rev().find(|i| steps[*i as usize - 1] <= term).unwrap_or(0);
            prop_assert_eq!(found.index.0, naive);
            log.truncate(Index(cut));
            steps.truncate(cut as usize - 1);
            prop_assert_eq!(log.from(Index(1)).iter().map(|e| e.term.0).collect::<alloc::vec::Vec<_>>(), steps.clone());
            let next = log.last().index.next();
            log.push(Entry { stamp: Stamp(99), ..entry(next.0, 99) });
            prop_assert_eq!(log.term_at(next), Some(Term(99)));
            prop_assert_eq!(log.term_at(next.next()), None);
        }
    }
}
