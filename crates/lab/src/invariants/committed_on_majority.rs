//! Commitment (section 5.3): "A log entry is committed once the leader that created the entry has replicated it on a
//! majority of the servers". Checked on the disks, not on what nodes say of them.

use std::collections::BTreeMap;

use raftian_raft::{Index, NodeId, RoleKind};

use super::{Observation, Violation, entry_at};

/// The commit index of each run of each leader as last seen.
#[derive(Debug, Default)]
pub struct CommittedOnMajority {
    commits: BTreeMap<(NodeId, u64), Index>,
}

impl CommittedOnMajority {
    /// Checks what a node shows, whenever a leader's commit index has moved.
    ///
    /// # Errors
    /// If what it committed last is not of its own term, or not on the disks of a majority.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let before = self.commits.insert((seen.id, seen.run), seen.commit).unwrap_or_default();
        if seen.role != RoleKind::Leader || seen.commit <= before {
            return Ok(());
        }
        let term = seen.entry(seen.commit).map(|entry| entry.term);
        if term != Some(seen.term) {
            let what = format!(
                "{} leads {} and counted replicas of {}, which is of {term:?}",
                seen.id, seen.term, seen.commit
            );
            return Err(Violation::new("commitment of the own term only (5.4.2)", what));
        }
        let holds = |image: &&&raftian_raft::Restored| {
            entry_at(&image.entries, seen.commit).is_some_and(|entry| entry.term == seen.term)
        };
        let holders = seen.images.iter().filter(holds).count();
        if holders * 2 <= seen.images.len() {
            let what =
                format!("{} committed {}, which is on {holders} of {} disks", seen.id, seen.commit, seen.images.len());
            return Err(Violation::new("commitment", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn a_commitment_that_a_minority_of_the_disks_holds_is_seen() {
        let leader = || Sample::leader(1, 2).log(&[1, 2]).disk(&[1, 2]).commit(2);
        let check = |sample: Sample| sample.show(|seen| CommittedOnMajority::default().check(seen));
        assert!(check(leader().others(&[&[1, 2], &[1]])).is_ok());
        assert!(check(leader().others(&[&[1], &[1, 1]])).is_err());
        assert!(
            check(leader().disk(&[1]).others(&[&[1, 2], &[1]])).is_err(),
            "the leader's own disk counts as any other"
        );
    }

    /// Figure 8: "only log entries from the leader's current term are committed by counting replicas".
    #[test]
    fn counting_replicas_of_an_earlier_term_is_seen() {
        let leader = Sample::leader(1, 4).log(&[1, 2]).disk(&[1, 2]).others(&[&[1, 2], &[1, 2]]).commit(2);
        assert!(leader.show(|seen| CommittedOnMajority::default().check(seen)).is_err());
    }
}
