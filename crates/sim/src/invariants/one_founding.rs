//! Founding: no disk takes part in two different founding memberships.

use std::collections::BTreeMap;

use raftian_raft::{Founding, Membership, NodeId};

use super::{Observation, Violation};

/// Every founding membership seen on a disk, with the node that had it first.
#[derive(Debug, Default)]
pub struct OneFounding {
    founded: Vec<(NodeId, Membership)>,
    /// Founding membership on each disk when last observed.
    on_disk: BTreeMap<NodeId, Membership>,
}

impl OneFounding {
    /// Checks an observation of a node whenever the founding membership on its disk has changed.
    ///
    /// # Errors
    /// If two different founding memberships have a founder with the same incarnation.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let Founding::Agreed(membership) = &seen.image.founding else {
            return Ok(());
        };
        if self.on_disk.get(&seen.id) == Some(membership) {
            return Ok(());
        }
        self.on_disk.insert(seen.id, membership.clone());
        for (first, other) in &self.founded {
            if other != membership
                && let Some(id) = common_disk(other, membership)
            {
                let what = format!(
                    "{} has {membership:?} and {first} had {other:?}, both with the same disk of {id}",
                    seen.id
                );
                return Err(Violation::new("one founding", what));
            }
        }
        self.founded.push((seen.id, membership.clone()));
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: NodeId) {
        self.on_disk.remove(&id);
    }
}

fn common_disk(one: &Membership, other: &Membership) -> Option<NodeId> {
    let in_other = |id| other.member(id).map(|member| member.incarnation);
    one.members()
        .find(|(id, member)| in_other(*id) == Some(member.incarnation))
        .map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;
    use raftian_raft::{Incarnation, Standing};

    fn founded(node: u64, incarnations: [u64; 2]) -> Sample {
        let founders = (1..).map(NodeId).zip(incarnations);
        let founders = founders.map(|(id, number)| (id, Incarnation(number), Standing::Voter));
        Sample::node(node, 1).founded(Membership::of(founders).expect("two founders"))
    }

    #[test]
    fn disk_in_two_foundings_is_detected() {
        let mut property = OneFounding::default();
        for sample in [founded(1, [7, 8]), founded(2, [7, 8]), founded(1, [5, 6])] {
            assert!(sample.show(|seen| property.check(seen)).is_ok());
        }
        assert!(
            founded(2, [7, 9])
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
