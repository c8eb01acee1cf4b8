//! A node applies only entries that are on its own disk: after a crash it still has every entry
//! with a visible effect.

use std::collections::BTreeMap;

use raftian_raft::NodeId;

use super::{Observation, Violation, entry_after};

/// Number of entries that each run of each node had applied when last observed.
#[derive(Debug, Default)]
pub struct AppliedIsDurable {
    checked: BTreeMap<(NodeId, u64, u64), usize>,
}

impl AppliedIsDurable {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If it applied an entry that is not on its disk, or beyond its commit index.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let checked = self
            .checked
            .entry((seen.id, seen.run, seen.restores))
            .or_default();
        let covered = seen
            .image
            .snapshot
            .as_ref()
            .map_or_else(Default::default, |snapshot| snapshot.position.index);
        let start = seen.image.start.position.index;
        for entry in seen.applied.iter().skip(*checked) {
            let held = entry.index <= covered
                || entry_after(start, &seen.image.entries, entry.index) == Some(entry);
            if !held || entry.index > seen.commit {
                let what = format!(
                    "{} applied {} (commit {})",
                    seen.id,
                    entry.position(),
                    seen.commit
                );
                return Err(Violation::new("applied is durable", what));
            }
        }
        *checked = seen.applied.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn applied_entry_not_on_disk_or_not_committed_is_detected() {
        let node = |disk: &[u64], commit| {
            let sample = Sample::node(1, 2)
                .log(&[1, 2])
                .disk(disk)
                .commit(commit)
                .applied(2);
            sample.show(|seen| AppliedIsDurable::default().check(seen))
        };
        assert!(node(&[1, 2], 2).is_ok());
        assert!(node(&[1], 2).is_err());
        assert!(node(&[1, 1], 2).is_err());
        assert!(node(&[1, 2], 1).is_err());
    }
}
