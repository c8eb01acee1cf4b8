//! State machine safety (figure 3): "If a server has applied a log entry at a given index to its
//! state machine, no other server will ever apply a different log entry for the same index"
//! (section 5.4.3).

use std::collections::BTreeMap;

use raftian_raft::{Entry, NodeId};

use super::{Observation, Violation};

/// First entry applied at each index by any node, and how far each run of each node is checked.
#[derive(Debug, Default)]
pub struct StateMachineSafety {
    applied: Vec<Entry>,
    checked: BTreeMap<(NodeId, u64, u64), usize>,
}

impl StateMachineSafety {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If it applied a different entry than another node at the same index, skipped an entry, or
    /// applied one twice.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let checked = self
            .checked
            .entry((seen.id, seen.run, seen.restores))
            .or_default();
        for (place, entry) in seen.applied.iter().enumerate().skip(*checked) {
            if place == self.applied.len() {
                self.applied.push(entry.clone());
            }
            let first = &self.applied[place];
            if entry != first || entry.index.0 != place as u64 + 1 {
                let what = format!(
                    "{} applied {entry:?} as number {}, but another node applied {first:?}",
                    seen.id,
                    place + 1
                );
                return Err(Violation::new("state machine safety", what));
            }
        }
        *checked = seen.applied.len().max(*checked);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn different_entries_applied_at_one_index_are_detected() {
        let mut property = StateMachineSafety::default();
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .applied(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(2, 2)
                .log(&[1, 2])
                .applied(1)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(2, 2)
                .log(&[1, 1])
                .applied(2)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }

    #[test]
    fn entry_skipped_by_the_first_node_to_apply_is_detected() {
        let mut property = StateMachineSafety::default();
        let mut skipping = Sample::node(1, 2).log(&[1, 2]).applied(2);
        skipping.applied.remove(0);
        assert!(skipping.show(|seen| property.check(seen)).is_err());
    }
}
