//! Leader completeness (figure 3): "If a log entry is committed in a given term, then that entry
//! will be present in the logs of the leaders for all higher-numbered terms" (section 5.4).

use raftian_raft::{Index, LogPosition, RoleKind, Term};

use super::{Observation, Violation};

/// Committed entries with the term of the node that first committed them.
#[derive(Debug, Default)]
pub struct LeaderCompleteness {
    committed: Vec<(LogPosition, Term)>,
    leads: std::collections::BTreeMap<raftian_raft::NodeId, (u64, Term)>,
}

impl LeaderCompleteness {
    /// Checks an observation of a node: its whole log when it is first observed as leader, and its
    /// newly committed entries.
    ///
    /// # Errors
    /// If a leader lacks an entry that was committed in an earlier term, or two nodes commit
    /// different entries.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let new_leader = seen.role == RoleKind::Leader
            && self.leads.insert(seen.id, (seen.run, seen.term)) != Some((seen.run, seen.term));
        if new_leader {
            // An old candidate may learn late that it won: it must hold only entries that were
            // committed before its own term.
            for (position, _) in self.committed.iter().filter(|(_, term)| *term < seen.term) {
                if position.index >= seen.start.index
                    && seen.term_at(position.index) != Some(position.term)
                {
                    let what = format!(
                        "{} leads {} without the committed {position}",
                        seen.id, seen.term
                    );
                    return Err(Violation::new("leader completeness", what));
                }
            }
        }
        let known = Index(self.committed.len() as u64);
        let last_known = seen.commit.min(known);
        if let Some((position, _)) = last_known
            .0
            .checked_sub(1)
            .and_then(|place| self.committed.get(place as usize))
            && last_known >= seen.start.index
            && seen.term_at(last_known) != Some(position.term)
        {
            let what = format!(
                "{} committed up to {} without {position}",
                seen.id, seen.commit
            );
            return Err(Violation::new("leader completeness", what));
        }
        for index in known.0..seen.commit.0 {
            let Some(entry) = seen.entry(Index(index + 1)) else {
                let what = format!("{} committed {} beyond its log", seen.id, seen.commit);
                return Err(Violation::new("leader completeness", what));
            };
            self.committed.push((entry.position(), seen.term));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn leader_without_a_committed_entry_is_detected() {
        let mut property = LeaderCompleteness::default();
        assert!(
            Sample::leader(1, 2)
                .log(&[1, 2])
                .commit(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(2, 3)
                .log(&[1, 2, 3])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(3, 4)
                .log(&[1, 1, 4])
                .show(|seen| property.check(seen))
                .is_err()
        );
    }

    #[test]
    fn late_winner_of_an_earlier_term_is_accepted() {
        let mut property = LeaderCompleteness::default();
        assert!(
            Sample::leader(1, 3)
                .log(&[1, 3])
                .commit(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::leader(2, 2)
                .log(&[1, 2])
                .show(|seen| property.check(seen))
                .is_ok()
        );
    }

    #[test]
    fn two_nodes_that_commit_different_entries_are_detected() {
        let mut property = LeaderCompleteness::default();
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .commit(2)
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(2, 2)
                .log(&[1, 1])
                .commit(2)
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
