//! Who votes, and what a majority of them is.

use alloc::collections::BTreeSet;

use crate::types::NodeId;

/// The voters of a cluster. One set today; a joint configuration (section 6) will be two sets behind the same
/// questions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    voters: BTreeSet<NodeId>,
}

impl Membership {
    /// Most voters a cluster may have. Every node keeps state for every other, and a message to each leaves per
    /// heartbeat.
    pub const MAX_VOTERS: usize = 256;

    /// A cluster of these voters; `None` if there are none or more than [`Membership::MAX_VOTERS`].
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Option<Self> {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        (1..=Self::MAX_VOTERS).contains(&voters.len()).then_some(Membership { voters })
    }

    /// Whether `id` votes.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.voters.contains(&id)
    }

    /// The voters in order of their ids.
    pub fn voters(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.voters.iter().copied()
    }

    /// The smallest number of voters that any two sets of that size share a voter.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether the voters for which `agrees` holds are a majority.
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.voters.iter().filter(|id| agrees(**id)).count() >= self.majority()
    }

    /// The largest value that a majority has reached: the value at the majority's place when all are sorted downwards
    /// (the rule for commitment in figure 2). Sorted in a fixed array, so it allocates nothing; a small one for the
    /// clusters there are, because this runs with every acknowledgement.
    pub fn reached_by_majority<T: Copy + Ord + Default>(&self, value: impl Fn(NodeId) -> T) -> T {
        if self.voters.len() <= 9 { self.sorted::<T, 9>(value) } else { self.sorted::<T, { Self::MAX_VOTERS }>(value) }
    }

    fn sorted<T: Copy + Ord + Default, const ROOM: usize>(&self, value: impl Fn(NodeId) -> T) -> T {
        let mut values = [T::default(); ROOM];
        let values = &mut values[..self.voters.len()];
        for (slot, id) in values.iter_mut().zip(&self.voters) {
            *slot = value(*id);
        }
        let place = values.len() - self.majority();
        *values.select_nth_unstable(place).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_cluster_without_voters_or_with_too_many_cannot_be_made() {
        assert_eq!(Membership::new([]), None);
        assert_eq!(Membership::new((0..=Membership::MAX_VOTERS as u64).map(NodeId)), None);
    }

    #[test]
    fn a_majority_is_more_than_half() {
        for (voters, majority) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            assert_eq!(Membership::new((1..=voters).map(NodeId)).unwrap().majority(), majority);
        }
    }

    proptest! {
        /// Naive model: try every value and count who reached it.
        #[test]
        fn the_majority_value_is_the_largest_that_enough_voters_reached(values in prop::collection::vec(0u64..20, 1..12)) {
            let membership = Membership::new((0..values.len() as u64).map(NodeId)).unwrap();
            let naive = (0..20)
                .filter(|v| values.iter().filter(|x| *x >= v).count() * 2 > values.len())
                .max()
                .unwrap();
            prop_assert_eq!(membership.reached_by_majority(|id| values[id.0 as usize]), naive);
        }

        #[test]
        fn two_quorums_always_share_a_voter(count in 1u64..10, a: u16, b: u16) {
            let membership = Membership::new((0..count).map(NodeId)).unwrap();
            let chosen = |mask: u16| move |id: NodeId| mask & (1 << id.0) != 0;
            if membership.is_quorum(chosen(a)) && membership.is_quorum(chosen(b)) {
                let shared: Vec<_> = membership.voters().filter(|id| a & b & (1 << id.0) != 0).collect();
                prop_assert!(!shared.is_empty());
            }
        }
    }
}
