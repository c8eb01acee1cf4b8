//! Election safety (figure 3): "At most one leader can be elected in a given term" (section 5.2).

use std::collections::BTreeMap;

use raftian_raft::{NodeId, RoleKind, Term};

use super::{Observation, Violation};

/// Leader of each term, and its run.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<Term, (NodeId, u64)>,
}

impl ElectionSafety {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If a term has two leaders, or one leader in two of its runs: a restarted leader must win
    /// another election, in a later term.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        if seen.role != RoleKind::Leader {
            return Ok(());
        }
        let (leader, run) = *self.leaders.entry(seen.term).or_insert((seen.id, seen.run));
        if (leader, run) == (seen.id, seen.run) {
            return Ok(());
        }
        let what = format!(
            "{} (run {}) leads {}, as {leader} (run {run}) did",
            seen.id, seen.run, seen.term
        );
        Err(Violation::new("election safety", what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn two_leaders_of_one_term_are_detected() {
        let mut property = ElectionSafety::default();
        assert!(
            Sample::leader(1, 3)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(1, 3)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(2, 4)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(2, 3)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }

    #[test]
    fn leader_that_keeps_its_term_after_a_restart_is_detected() {
        let mut property = ElectionSafety::default();
        assert!(
            Sample::leader(1, 3)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(1, 3)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
