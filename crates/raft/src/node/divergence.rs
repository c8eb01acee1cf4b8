//! Detection of diverged states by hash: equal logs produce equal states, so a node with a
//! different state at the same index is faulty.

use alloc::vec::Vec;

use super::Node;
use crate::event::{Decision, StepDown};
use crate::message::StateHash;
use crate::planted::PlantedBug;
use crate::progress::{push_state, state_at};
use crate::role::Role;
use crate::types::NodeId;

impl Node {
    /// Records the state hash that the program reports. While a snapshot is about to replace that
    /// state, the hash is ignored.
    pub(super) fn on_state_hash(&mut self, state: StateHash) {
        if !self.apply_state.restore {
            push_state(&mut self.apply_state.hashes, state);
        }
    }

    /// Newest state hash, which a follower reports to its leader.
    pub(super) fn newest_state(&self) -> Option<StateHash> {
        self.apply_state.hashes.back().copied()
    }

    /// Compares a follower's state hash with this leader's. If a majority shares the leader's
    /// state, a follower with a different one gets a snapshot; if a majority shares another state,
    /// the leader has diverged and transfers leadership to one of that majority. Without a majority
    /// for either state nothing is replaced: two differing states alone do not show which one is
    /// correct, and witnesses have no state.
    ///
    /// Members may report hashes of different indexes, so a follower counts as agreeing at every
    /// index up to the last at which it agreed.
    pub(super) fn compare_state(&mut self, from: NodeId, theirs: StateHash) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.peers.get_mut(from) else {
            return;
        };
        // The hash may belong to the state that a repair has replaced.
        if theirs.index <= progress.replaced {
            return;
        }
        // Kept even if this node has not applied the index yet: later reports are compared with it.
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
        // Their repairs are under way already.
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

    /// Transfers leadership from this diverged leader to one of `majority`, which shares the
    /// correct state (thesis 3.10). Stepping down at once could elect the same leader repeatedly,
    /// because only a member with the whole log can win, and replication pauses during every
    /// election.
    fn transfer_to_one_of(&mut self, majority: Vec<NodeId>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        // It ends this leadership, or it is aborted and the next report leads here again.
        if leader.transfer.is_some() {
            return;
        }
        let matched = |id: &NodeId| leader.peers.get(*id).map(|progress| progress.matched);
        // A successor that needs a snapshot would receive the wrong state in it.
        let base = self.log.base().index;
        let mut able: Vec<_> = majority
            .into_iter()
            .filter(|id| matched(id) >= Some(base))
            .collect();
        // The most up-to-date successor needs the fewest entries before it can stand.
        able.sort_by_key(|id| core::cmp::Reverse(matched(id)));
        let planted = self.config.has_planted(PlantedBug::StepsDownDiverged);
        if planted
            || !able
                .into_iter()
                .any(|id| self.transfer_leadership(Some(id)).is_ok())
        {
            self.step_down(StepDown::Diverged);
        }
    }
}
