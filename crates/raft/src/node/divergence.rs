//! State hashes: equal logs make equal states, so a node with another one at the same index is
//! broken.

use alloc::vec::Vec;

use super::Node;
use crate::event::{Decision, StepDown};
use crate::message::StateHash;
use crate::planted::PlantedFault;
use crate::progress::{push_state, state_at};
use crate::role::Role;
use crate::types::NodeId;

impl Node {
    /// The program reports the hash of its state. While a snapshot is to replace that state, its
    /// hash counts for nothing.
    pub(super) fn on_state_hash(&mut self, state: StateHash) {
        if !self.apply_state.restore {
            push_state(&mut self.apply_state.hashes, state);
        }
    }

    /// What a follower tells its leader.
    pub(super) fn newest_state(&self) -> Option<StateHash> {
        self.apply_state.hashes.back().copied()
    }

    /// A follower in another state gets a snapshot, once a majority shares this leader's; if a
    /// majority shares another, it is the leader that went astray, and one of that majority takes
    /// over. Without a majority for either state nothing is replaced: two differing states alone do
    /// not show which one is correct, and witnesses have no state.
    ///
    /// Members may be far apart, so a follower agrees at every index up to the last at which it was
    /// seen to agree.
    pub(super) fn compare_state(&mut self, from: NodeId, theirs: StateHash) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.peers.get_mut(from) else {
            return;
        };
        if theirs.index <= progress.replaced {
            return;
        }
        push_state(&mut progress.states, theirs);
        let index = theirs.index;
        let Some(mine) = state_at(&self.apply_state.hashes, index) else {
            return;
        };
        if theirs == mine {
            progress.agreed = progress.agreed.max(index);
        }
        let state = |id: NodeId| {
            leader
                .peers
                .get(id)
                .and_then(|progress| state_at(&progress.states, index))
        };
        let differing: Vec<_> = leader
            .peers
            .iter()
            .filter_map(|(id, _)| Some((id, state(id).filter(|state| *state != mine)?)))
            .collect();
        let known = |id: NodeId| {
            leader
                .peers
                .get(id)
                .is_some_and(|progress| progress.repair_at.is_some())
        };
        if differing.iter().all(|(id, _)| known(*id)) {
            return;
        }
        let membership = self.log.membership();
        let is_shared = |other: StateHash| membership.is_quorum(|id| state(id) == Some(other));
        if let Some((_, shared)) = differing
            .iter()
            .find(|(_, other)| is_shared(*other))
            .copied()
        {
            let majority = differing
                .iter()
                .filter(|(_, other)| *other == shared)
                .map(|(id, _)| *id)
                .collect();
            return self.transfer_to_one_of(majority);
        }
        let own = self.config.id;
        let agrees = |id: NodeId| {
            let agreed = leader
                .peers
                .get(id)
                .is_some_and(|progress| progress.agreed >= index);
            id == own || agreed || state(id) == Some(mine)
        };
        if !membership.is_quorum(agrees) {
            return;
        }
        let diverged: Vec<_> = differing
            .into_iter()
            .map(|(id, _)| id)
            .filter(|id| !known(*id))
            .collect();
        for follower in &diverged {
            if let Some(progress) = leader.peers.get_mut(*follower) {
                progress.repair_at = Some(index);
            }
        }
        for follower in diverged {
            self.note(Decision::StateDiverged { follower, index });
        }
    }

    /// This leader's state is wrong and `majority` shares the right one: transfers leadership to
    /// one of them (thesis 3.10). Stepping down at once could end in the same leader again and
    /// again, because only a member that holds the whole log can win, and replication pauses with
    /// every election.
    fn transfer_to_one_of(&mut self, majority: Vec<NodeId>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        if leader.transfer.is_some() {
            return;
        }
        let matched = |id: &NodeId| leader.peers.get(*id).map(|progress| progress.matched);
        // A successor that needs a snapshot would get the wrong state with it.
        let base = self.log.base().index;
        let mut able: Vec<_> = majority
            .into_iter()
            .filter(|id| matched(id) >= Some(base))
            .collect();
        able.sort_by_key(|id| core::cmp::Reverse(matched(id)));
        let planted = self.config.has_planted(PlantedFault::StepsDownDiverged);
        if planted
            || !able
                .into_iter()
                .any(|id| self.transfer_leadership(Some(id)).is_ok())
        {
            self.step_down(StepDown::Diverged);
        }
    }
}
