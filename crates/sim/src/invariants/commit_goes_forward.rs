//! The commit index (figure 2): "index of highest log entry known to be committed (initialized to
//! 0, increases monotonically)".

use std::collections::BTreeMap;

use raftian_raft::{Index, NodeId};

use super::{Observation, Violation};

/// Each node's run, and its commit index and number of applied entries in it, as last seen.
#[derive(Debug, Default)]
pub struct CommitGoesForward {
    seen: BTreeMap<NodeId, ((u64, u64), Index, usize)>,
}

impl CommitGoesForward {
    /// Checks what a node shows.
    ///
    /// # Errors
    /// If the commit index or the number of applied entries went back within a run, or if either is
    /// ahead of what it rests on.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let now = ((seen.run, seen.restores), seen.commit, seen.applied.len());
        let before = self.seen.insert(seen.id, now).unwrap_or(now);
        let back =
            before.0.0 == now.0.0 && now.1 < before.1 || before.0 == now.0 && now.2 < before.2;
        let ahead = now.2 as u64 > now.1.0 || now.1 > seen.last();
        if back || ahead {
            let what = format!(
                "{} has entries to {}, committed {} and applied {}, before {} and {}",
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
    fn a_commit_index_that_goes_back_within_a_run_is_seen() {
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
    fn a_commit_index_beyond_the_log_or_an_applied_index_beyond_it_is_seen() {
        let check = |sample: Sample| sample.show(|seen| CommitGoesForward::default().check(seen));
        assert!(check(Sample::node(1, 2).log(&[1]).commit(2)).is_err());
        assert!(check(Sample::node(1, 2).log(&[1, 2]).commit(1).applied(2)).is_err());
    }
}
