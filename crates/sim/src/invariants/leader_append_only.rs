//! Leader append-only (figure 3): "A leader never overwrites or deletes entries in its log; it only
//! appends new entries" (section 5.3).

use std::collections::BTreeMap;

use raftian_raft::{LogPosition, NodeId, RoleKind, Term};

use super::{Observation, Violation};

/// End of each leader's log when last observed.
#[derive(Debug, Default)]
pub struct LeaderAppendOnly {
    ends: BTreeMap<NodeId, (Term, LogPosition)>,
}

impl LeaderAppendOnly {
    /// Checks an observation of a node. By log matching, an entry that is still in place implies
    /// that all before it are.
    ///
    /// # Errors
    /// If a leader lost an entry that it had in the same term.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let Some(last) = seen.log.last().filter(|_| seen.role == RoleKind::Leader) else {
            return Ok(());
        };
        // A compacted entry can no longer be compared.
        let before = self.ends.insert(seen.id, (seen.term, last.position()));
        match before {
            Some((term, end))
                if term == seen.term
                    && end.index >= seen.start.index
                    && seen.term_at(end.index) != Some(end.term) =>
            {
                let what = format!(
                    "{} leads {term} and had {end}, but its log now ends with {}",
                    seen.id,
                    last.position()
                );
                Err(Violation::new("leader append-only", what))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn leader_that_deletes_or_overwrites_is_detected() {
        for shorter in [&[1, 2][..], &[1, 1, 2]] {
            let mut property = LeaderAppendOnly::default();
            assert!(
                Sample::leader(1, 3)
                    .log(&[1, 2, 3])
                    .show(|seen| property.check(seen))
                    .is_ok()
            );
            assert!(
                Sample::leader(1, 3)
                    .log(&[1, 2, 3, 3])
                    .show(|seen| property.check(seen))
                    .is_ok()
            );
            assert!(
                Sample::leader(1, 3)
                    .log(shorter)
                    .show(|seen| property.check(seen))
                    .is_err()
            );
        }
    }
}
