//! The commit index (figure 2): "index of highest log entry known to be committed (initialized to
//! 0, increases monotonically)".

use std::collections::BTreeMap;

use raftian_raft::{Index, NodeId};

use super::{Observation, Violation};

/// Run, commit index and number of applied entries of each node when last observed.
#[derive(Debug, Default)]
pub struct CommitGoesForward {
    seen: BTreeMap<NodeId, ((u64, u64), Index, usize)>,
}

impl CommitGoesForward {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If the commit index or the number of applied entries decreased within a run, or if the
    /// commit index is beyond the log or the applied index beyond the commit index.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let now = ((seen.run, seen.restores), seen.commit, seen.applied.len());
        let before = self.seen.insert(seen.id, now).unwrap_or(now);
        let back =
            before.0.0 == now.0.0 && now.1 < before.1 || before.0 == now.0 && now.2 < before.2;
        let ahead = now.2 as u64 > now.1.0 || now.1 > seen.last();
        if back || ahead {
            let what = format!(
                "{} has entries up to {}, committed {} and applied {}; before, {} and {}",
                seen.id,
                seen.last(),
                now.1,
                now.2,
                before.1,
                before.2
            );
            return Err(Violation::new("commit goes forward", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn commit_index_that_decreases_within_a_run_is_detected() {
        let mut property = CommitGoesForward::default();
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .commit(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .commit(0)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .commit(2)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .commit(1)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }

    #[test]
    fn commit_beyond_the_log_and_apply_beyond_commit_are_detected() {
        let check = |sample: Sample| sample.show(|seen| CommitGoesForward::default().check(seen));
        assert!(check(Sample::node(1, 2).log(&[1]).commit(2)).is_err());
        assert!(check(Sample::node(1, 2).log(&[1, 2]).commit(1).applied(2)).is_err());
    }
}
