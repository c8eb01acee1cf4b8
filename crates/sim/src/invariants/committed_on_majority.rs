//! Commitment (section 5.3): "A log entry is committed once the leader that created the entry has
//! replicated it on a majority of the servers". Checked on the disks, not on what nodes report
//! about them.

use std::collections::BTreeMap;

use raftian_raft::{Index, Membership, NodeId, RoleKind};

use super::{Observation, Violation, entry_after};

/// Commit index of each run of each node when last observed.
#[derive(Debug, Default)]
pub struct CommittedOnMajority {
    commits: BTreeMap<(NodeId, u64), Index>,
}

impl CommittedOnMajority {
    /// Checks an observation of a node whenever a leader's commit index has moved.
    ///
    /// # Errors
    /// If the last entry it committed is not of its own term, or not on the disks of a majority.
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
                "commitment in the leader's own term only (5.4.2)",
                what,
            ));
        }
        let holds = |id: NodeId| {
            let member = seen.membership.member(id);
            seen.images.of(id).is_some_and(|image| {
                // A disk that was lost may have held it: the acknowledgement may have been in
                // flight at that time.
                if member.is_some_and(|member| member.incarnation != image.incarnation) {
                    return true;
                }
                let start = image.start.position.index;
                // An entry before the start of the log is covered by the disk's snapshot.
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
                "{} committed {}, which is only on the disks of {holders:?}",
                seen.id, seen.commit
            );
            return Err(Violation::new("commitment", what));
        }
        Ok(())
    }
}

/// Returns whether a majority of the voters holds an entry, and in a joint configuration a majority
/// of the outgoing voters too (section 6). Counts one by one, independently of the core.
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
    fn commitment_on_a_minority_of_the_disks_is_detected() {
        let leader = || Sample::leader(1, 2).log(&[1, 2]).disk(&[1, 2]).commit(2);
        let check = |sample: Sample| sample.show(|seen| CommittedOnMajority::default().check(seen));
        assert!(check(leader().others(&[&[1, 2], &[1]])).is_ok());
        assert!(check(leader().others(&[&[1], &[1, 1]])).is_err());
        assert!(
            check(leader().disk(&[1]).others(&[&[1, 2], &[1]])).is_err(),
            "the leader's own disk counts like any other"
        );
    }

    /// Figure 8: "only log entries from the leader's current term are committed by counting
    /// replicas".
    #[test]
    fn counting_replicas_of_an_earlier_term_is_detected() {
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
