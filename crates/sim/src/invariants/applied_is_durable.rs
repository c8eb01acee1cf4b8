//! A node applies only what its own disk holds: after a crash it has everything again that anybody
//! has seen of it.

use std::collections::BTreeMap;

use raftian_raft::NodeId;

use super::{Observation, Violation, entry_after};

/// How much each run of each node had applied when last seen.
#[derive(Debug, Default)]
pub struct AppliedIsDurable {
    checked: BTreeMap<(NodeId, u64, u64), usize>,
}

impl AppliedIsDurable {
    /// Checks what a node shows.
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
    fn an_applied_entry_that_is_not_on_disk_or_not_committed_is_seen() {
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
