//! Commitment (section 5.3): "A log entry is committed once the leader that created the entry has
//! replicated it on a majority of the servers". Checked on the disks, not on what nodes say of
//! them.

use std::collections::BTreeMap;

use raftian_raft::{Index, Membership, NodeId, RoleKind};

use super::{Observation, Violation, entry_after};

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
        let before = self
            .commits
            .insert((seen.id, seen.run), seen.commit)
            .unwrap_or_default();
        if seen.role != RoleKind::Leader || seen.commit <= before {
            return Ok(());
        }
        let term = seen.term_at(seen.commit);
        if term != Some(seen.term) {
            let what = format!(
                "{} leads {} and counted replicas of {}, which is of {term:?}",
                seen.id, seen.term, seen.commit
            );
            return Err(Violation::new(
                "commitment of the own term only (5.4.2)",
                what,
            ));
        }
        let holds = |id: NodeId| {
            let member = seen.membership.member(id);
            seen.images.of(id).is_some_and(|image| {
                // A disk that was lost may have held it: its acknowledgement may have been on its
                // way when it was lost.
                if member.is_some_and(|member| member.incarnation != image.incarnation) {
                    return true;
                }
                let start = image.start.position.index;
                let entry = entry_after(start, &image.entries, seen.commit);
                start >= seen.commit || entry.is_some_and(|entry| entry.term == seen.term)
            })
        };
        if !held_by_majority(seen.membership, holds) {
            let holders: Vec<_> = seen
                .membership
                .members()
                .map(|(id, _)| id)
                .filter(|id| holds(*id))
                .collect();
            let what = format!(
                "{} committed {}, which is on the disks of {holders:?} alone",
                seen.id, seen.commit
            );
            return Err(Violation::new("commitment", what));
        }
        Ok(())
    }
}

/// Whether more than half of the voters hold it, and of the old ones too while they change (section
/// 6): counted one by one, apart from how the core counts.
fn held_by_majority(membership: &Membership, holds: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: Vec<NodeId>| {
        let holders = voters.iter().filter(|id| holds(**id)).count();
        voters.is_empty() || holders * 2 > voters.len()
    };
    majority(membership.voters().collect()) && majority(membership.outgoing().collect())
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

    /// Figure 8: "only log entries from the leader's current term are committed by counting
    /// replicas".
    #[test]
    fn counting_replicas_of_an_earlier_term_is_seen() {
        let leader = Sample::leader(1, 4)
            .log(&[1, 2])
            .disk(&[1, 2])
            .others(&[&[1, 2], &[1, 2]])
            .commit(2);
        assert!(
            leader
                .show(|seen| CommittedOnMajority::default().check(seen))
                .is_err()
        );
    }
}
