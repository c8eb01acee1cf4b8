//! Log matching (figure 3): "If two logs contain an entry with the same index and term, then the
//! logs are identical in all entries up through the given index" (section 5.3).
//!
//! Checked as the paper proves it: an index and a term identify one entry, and that entry has one
//! predecessor.

use std::collections::{BTreeMap, VecDeque};

use raftian_raft::{Entry, LogPosition, NodeId, Payload, Term};

use super::{Observation, Violation};

/// Every entry observed so far, with the term of its predecessor, and each node's last log.
#[derive(Debug, Default)]
pub struct LogMatching {
    entries: BTreeMap<LogPosition, (Entry, Term)>,
    logs: BTreeMap<NodeId, Known>,
}

/// The terms of a log after its start.
#[derive(Debug, Default)]
struct Known {
    start: LogPosition,
    terms: VecDeque<Term>,
}

impl Known {
    /// Drops entries that are no longer in `seen`, at either end.
    fn keep(&mut self, seen: &Observation<'_>) {
        let dropped = seen
            .start
            .index
            .0
            .checked_sub(self.start.index.0)
            .and_then(|count| usize::try_from(count).ok());
        match dropped.filter(|count| *count <= self.terms.len()) {
            Some(count) => drop(self.terms.drain(..count)),
            None => self.terms.clear(),
        }
        self.start = seen.start;
        let same = match self.terms.back() {
            // By log matching, an entry that is still in place implies that all before it are.
            Some(last)
                if seen
                    .log
                    .get(self.terms.len() - 1)
                    .is_some_and(|entry| entry.term == *last) =>
            {
                self.terms.len()
            }
            Some(_) | None => self
                .terms
                .iter()
                .zip(seen.log)
                .take_while(|(term, entry)| **term == entry.term)
                .count(),
        };
        self.terms.truncate(same);
    }
}

impl LogMatching {
    /// Checks an observation of a node. The cost is proportional to the change since the last one.
    ///
    /// # Errors
    /// If one position names two entries, or one entry has two predecessors.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let known = self.logs.entry(seen.id).or_default();
        known.keep(seen);
        for entry in &seen.log[known.terms.len()..] {
            let before = known.terms.back().copied().unwrap_or(seen.start.term);
            let place = seen.start.index.0 + known.terms.len() as u64 + 1;
            if entry.index.0 != place {
                let what = format!("{} has {} at index {place}", seen.id, entry.position());
                return Err(Violation::new("log matching", what));
            }
            let (first, first_before) = self
                .entries
                .entry(entry.position())
                .or_insert_with(|| (entry.clone(), before));
            if !same(first, entry) || *first_before != before {
                let position = entry.position();
                let what = format!(
                    "{} has {position} = {entry:?} after {before}, but another node has {first:?} \
                     after {first_before}",
                    seen.id
                );
                return Err(Violation::new("log matching", what));
            }
            known.terms.push_back(entry.term);
        }
        Ok(())
    }
}

/// Returns whether two entries are the same. A witness withholds the bytes of a command.
fn same(one: &Entry, other: &Entry) -> bool {
    let forgotten = |a: &Entry, b: &Entry| {
        a.payload == Payload::Withheld
            && matches!(b.payload, Payload::Command { .. })
            && a.stamp == b.stamp
    };
    one == other
        || (one.position() == other.position() && (forgotten(one, other) || forgotten(other, one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn one_position_with_two_entries_is_detected() {
        let mut property = LogMatching::default();
        let mut other = Sample::node(2, 2).log(&[1, 2]);
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(other.show(|seen| property.check(seen)).is_ok());
        other = Sample::node(3, 2).log(&[1, 2]).command(2, 1, 1, "other");
        assert!(other.show(|seen| property.check(seen)).is_err());
    }

    #[test]
    fn one_entry_with_two_predecessors_is_detected() {
        let mut property = LogMatching::default();
        assert!(
            Sample::node(1, 3)
                .log(&[1, 1, 3])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(2, 3)
                .log(&[1, 2])
                .show(|seen| property.check(seen))
                .is_ok(),
            "logs may differ"
        );
        assert!(
            Sample::node(2, 3)
                .log(&[1, 2, 3])
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
