//! Terms (section 5.1): a "current term number, which increases monotonically over time", in memory
//! within a run and on disk across runs.

use std::collections::BTreeMap;

use raftian_raft::{NodeId, Term};

use super::{Observation, Violation};

/// Run, term and term on disk of each node when last observed.
#[derive(Debug, Default)]
pub struct TermsGoForward {
    terms: BTreeMap<NodeId, (u64, Term, Term)>,
}

impl TermsGoForward {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If a term decreased.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let now = (seen.run, seen.term, seen.image.hard_state.term);
        let (run, term, on_disk) = self.terms.insert(seen.id, now).unwrap_or(now);
        if now.2 < on_disk || (run == seen.run && now.1 < term) {
            let what = format!(
                "{} was in {term} ({on_disk} on disk), now {} ({} on disk)",
                seen.id, now.1, now.2
            );
            return Err(Violation::new("terms go forward", what));
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: NodeId) {
        self.terms.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn term_that_goes_back_is_detected() {
        let mut property = TermsGoForward::default();
        assert!(
            Sample::node(1, 5)
                .on_disk(4, None)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 4)
                .on_disk(4, None)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 3)
                .on_disk(4, None)
                .in_run(2)
                .show(|seen| property.check(seen))
                .is_err()
        );
        assert!(
            Sample::node(1, 9)
                .on_disk(3, None)
                .in_run(3)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
