//! Membership changes (section 6, thesis 4): at most one is uncommitted in any log, and any
//! majority of one membership shares a voter with any majority of the next.

use std::collections::BTreeMap;

use raftian_raft::{Entry, Index, LogPosition, Membership, NodeId, Payload};

use super::{Observation, Violation};

/// End of each node's log and its commit index when last observed.
#[derive(Debug, Default)]
pub struct OneChangeAtATime {
    ends: BTreeMap<NodeId, (LogPosition, Index)>,
}

impl OneChangeAtATime {
    /// Checks an observation of a node whenever the end of its log or its commit index has changed.
    ///
    /// # Errors
    /// If its log holds two uncommitted changes, or one that could leave two majorities without a
    /// common voter.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let Some(last) = seen.log.last() else {
            return Ok(());
        };
        let now = (last.position(), seen.commit);
        if self.ends.insert(seen.id, now) == Some(now) {
            return Ok(());
        }
        let membership = |entry: &'_ Entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.index, membership.clone())),
            Payload::Empty | Payload::Command { .. } | Payload::Withheld => None,
        };
        let place = (seen.commit.0.saturating_sub(seen.start.index.0) as usize).min(seen.log.len());
        let committed = seen.log[..place].iter().filter_map(membership).next_back();
        // A snapshot covers committed entries only.
        let committed = committed.unwrap_or((seen.start.index, seen.base.clone()));
        let mut open = vec![committed];
        open.extend(seen.log[place..].iter().filter_map(membership));
        // Recorded contacts are no change of members.
        open.dedup_by(|(_, next), (_, one)| next.has_members_of(one));
        open.remove(0);
        // Other nodes may not yet know that earlier changes are committed. A leader that has
        // committed an entry of its own term does.
        let knows = seen.role == raftian_raft::RoleKind::Leader
            && seen.term_at(seen.commit) == Some(seen.term);
        if knows && open.len() > 1 {
            let what = format!(
                "{} leads with uncommitted changes at {} and {}",
                seen.id, open[0].0, open[1].0
            );
            return Err(Violation::new("one change at a time", what));
        }
        let all: Vec<_> = seen.log.iter().filter_map(membership).collect();
        for pair in all.windows(2) {
            if !meet(&pair[0].1, &pair[1].1) {
                let what = format!("{} goes from {:?} to {:?}", seen.id, pair[0], pair[1]);
                return Err(Violation::new("one change at a time", what));
            }
        }
        Ok(())
    }
}

/// Returns whether any majorities of the two memberships share a voter: at most one voter differs,
/// or one is the joint form of the other.
fn meet(one: &Membership, next: &Membership) -> bool {
    let sets = |membership: &Membership| -> Vec<Vec<NodeId>> {
        let (new, old): (Vec<_>, Vec<_>) = (
            membership.voters().collect(),
            membership.outgoing().collect(),
        );
        [new, old]
            .into_iter()
            .filter(|set| !set.is_empty())
            .collect()
    };
    let close = |a: &Vec<NodeId>, b: &Vec<NodeId>| {
        let only = |x: &Vec<NodeId>, y: &Vec<NodeId>| x.iter().filter(|id| !y.contains(id)).count();
        only(a, b) + only(b, a) <= 1
    };
    sets(one)
        .iter()
        .any(|a| sets(next).iter().any(|b| close(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    fn members(ids: &[u64]) -> Membership {
        Membership::new(ids.iter().copied().map(NodeId)).unwrap()
    }

    #[test]
    fn leader_with_two_uncommitted_changes_is_detected() {
        let leader = Sample::leader(1, 1).log(&[1, 1, 1, 1]).commit(1);
        let leader = leader
            .membership(2, members(&[1, 2, 3, 4]))
            .membership(3, members(&[1, 2, 3, 4, 5]));
        assert!(
            leader
                .clone()
                .commit(2)
                .show(|seen| OneChangeAtATime::default().check(seen))
                .is_ok()
        );
        assert!(
            leader
                .show(|seen| OneChangeAtATime::default().check(seen))
                .is_err()
        );
    }

    #[test]
    fn recorded_contacts_are_no_change_of_members() {
        let recorded = |membership: Membership, contact: u8| {
            let contacts = vec![(NodeId(1), (&[contact][..]).into())];
            let annex = None;
            let record = raftian_raft::Change::Record { contacts, annex };
            membership.after(&record).unwrap()
        };
        let leader = Sample::leader(1, 1).log(&[1, 1, 1, 1, 1]);
        let leader = leader
            .membership(2, recorded(members(&[1]), 1))
            .membership(3, members(&[1, 2]))
            .membership(4, recorded(members(&[1, 2]), 2));
        let check = |leader: Sample| leader.show(|seen| OneChangeAtATime::default().check(seen));
        assert!(check(leader.clone().commit(1)).is_ok());
        let next = leader.membership(5, members(&[1, 2, 3]));
        assert!(check(next.clone().commit(3)).is_ok());
        assert!(check(next.commit(2)).is_err());
    }

    #[test]
    fn jump_to_a_disjoint_majority_is_detected() {
        let node = Sample::node(1, 1)
            .log(&[1, 1])
            .membership(1, members(&[1, 2, 3]));
        let jump = node.membership(2, members(&[3, 4, 5])).commit(2);
        assert!(
            jump.show(|seen| OneChangeAtATime::default().check(seen))
                .is_err()
        );
    }
}
