//! Snapshots (section 7): all snapshots at one position are equal on every disk.

use std::collections::BTreeMap;

use raftian_raft::{LogPosition, NodeId, Snapshot};

use super::{Observation, Violation};

/// Every snapshot observed on a disk, and the newest of each node.
#[derive(Debug, Default)]
pub struct SnapshotsAgree {
    snapshots: BTreeMap<LogPosition, Snapshot>,
    newest: BTreeMap<NodeId, LogPosition>,
    states_may_differ: bool,
}

impl SnapshotsAgree {
    /// Excludes the states from comparison from now on, because one was made to diverge.
    pub fn states_may_differ(&mut self) {
        self.states_may_differ = true;
    }

    /// Checks the snapshot on a node's disk.
    ///
    /// # Errors
    /// If two snapshots at one position differ, or one covers entries that are not committed.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let Some(snapshot) = &seen.image.snapshot else {
            return Ok(());
        };
        // A snapshot is compared only when it first appears, because that compares whole states.
        if self.newest.insert(seen.id, snapshot.position) == Some(snapshot.position) {
            return Ok(());
        }
        if snapshot.position.index > seen.commit {
            let what = format!(
                "{} has a snapshot at {} but committed only {}",
                seen.id, snapshot.position, seen.commit
            );
            return Err(Violation::new("snapshots agree", what));
        }
        let first = self
            .snapshots
            .entry(snapshot.position)
            .or_insert_with(|| snapshot.clone());
        // The snapshot of a witness has no state, so the first real one fills it in.
        if first.data.is_none() {
            first.data.clone_from(&snapshot.data);
        }
        let same_state =
            self.states_may_differ || snapshot.data.is_none() || first.data == snapshot.data;
        if !same_state || first.membership != snapshot.membership || first.stamp != snapshot.stamp {
            let what = format!(
                "{} has a snapshot at {} that differs from another node's",
                seen.id, snapshot.position
            );
            return Err(Violation::new("snapshots agree", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn two_snapshots_that_differ_at_one_position_are_detected() {
        let mut property = SnapshotsAgree::default();
        let node = |id| Sample::node(id, 2).log(&[1, 2]).commit(2);
        assert!(
            node(1)
                .snapshot(2, 2, b"abc")
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            node(2)
                .snapshot(2, 2, b"abc")
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            node(3)
                .snapshot(2, 2, b"abd")
                .show(|seen| property.check(seen))
                .is_err()
        );
    }

    #[test]
    fn snapshot_of_uncommitted_entries_is_detected() {
        let node = Sample::node(1, 2)
            .log(&[1, 2])
            .commit(1)
            .snapshot(2, 2, b"abc");
        assert!(
            node.show(|seen| SnapshotsAgree::default().check(seen))
                .is_err()
        );
    }
}
