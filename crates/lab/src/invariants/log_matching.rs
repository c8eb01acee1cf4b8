//! Log matching (figure 3): "If two logs contain an entry with the same index and term, then the logs are identical in
//! all entries up through the given index" (section 5.3).
//!
//! Checked as the paper proves it: an index and a term name one entry, and that entry has one predecessor.

use std::collections::BTreeMap;

use raftian_raft::{Entry, LogPosition, NodeId, Term};

use super::{Observation, Violation};

/// Every entry ever seen, with the term of the entry before it, and each node's log as last seen.
#[derive(Debug, Default)]
pub struct LogMatching {
    entries: BTreeMap<LogPosition, (Entry, Term)>,
    logs: BTreeMap<NodeId, Vec<Term>>,
}

impl LogMatching {
    /// Checks what a node shows; only what changed since it was last seen costs more than a glance.
    ///
    /// # Errors
    /// If one position names two entries, or one entry has two predecessors.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let known = self.logs.entry(seen.id).or_default();
        let same = known.iter().zip(seen.log).take_while(|(term, entry)| **term == entry.term).count();
        known.truncate(same);
        for entry in &seen.log[same..] {
            let before = known.last().copied().unwrap_or_default();
            if entry.index.0 != known.len() as u64 + 1 {
                let what = format!("{} has {} at place {}", seen.id, entry.position(), known.len() + 1);
                return Err(Violation::new("log matching", what));
            }
            let (first, first_before) = self.entries.entry(entry.position()).or_insert_with(|| (entry.clone(), before));
            if first != entry || *first_before != before {
                let position = entry.position();
                let what = format!(
                    "{} has {position} = {entry:?} after {before}, another node {first:?} after {first_before}",
                    seen.id
                );
                return Err(Violation::new("log matching", what));
            }
            known.push(entry.term);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn one_position_with_two_entries_is_seen() {
        let mut property = LogMatching::default();
        let mut other = Sample::node(2, 2).log(&[1, 2]);
        assert!(Sample::node(1, 2).log(&[1, 2]).show(|seen| property.check(seen)).is_ok());
        assert!(other.show(|seen| property.check(seen)).is_ok());
        other = Sample::node(3, 2).log(&[1, 2]).command(2, 1, 1, "other");
        assert!(other.show(|seen| property.check(seen)).is_err());
    }

    #[test]
    fn one_entry_with_two_predecessors_is_seen() {
        let mut property = LogMatching::default();
        assert!(Sample::node(1, 3).log(&[1, 1, 3]).show(|seen| property.check(seen)).is_ok());
        assert!(Sample::node(2, 3).log(&[1, 2]).show(|seen| property.check(seen)).is_ok(), "logs may differ");
        assert!(Sample::node(2, 3).log(&[1, 2, 3]).show(|seen| property.check(seen)).is_err());
    }
}
