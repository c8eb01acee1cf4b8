//! State hashes: equal logs make equal states, so a node with another one at the same index is broken.

use alloc::vec::Vec;

use super::Node;
use crate::event::{Decision, StepDown};
use crate::message::StateHash;
use crate::progress::Progress;
use crate::role::Role;
use crate::types::NodeId;

/// Newest state hashes that a node keeps to compare with. A follower that is further behind is compared later.
const HASHES_KEPT: usize = 16;

impl Node {
    /// The state machine told its hash.
    pub(super) fn on_state_hash(&mut self, state: StateHash) {
        let hashes = &mut self.machine.hashes;
        if hashes.back().is_none_or(|newest| newest.index < state.index) {
            hashes.push_back(state);
            if hashes.len() > HASHES_KEPT {
                hashes.pop_front();
            }
        }
    }

    /// What a follower tells its leader.
    pub(super) fn newest_state(&self) -> Option<StateHash> {
        self.machine.hashes.back().copied()
    }

    /// A follower in another state gets a snapshot, once a majority shares this leader's; if a majority shares another,
    /// it is the leader that went astray. As long as neither is known nothing is replaced: two nodes alone cannot tell
    /// who is right, and witnesses have no state to ask for.
    ///
    /// Each answer may be the last that is missing, so all that is known of its index is compared.
    pub(super) fn compare_state(&mut self, from: NodeId, theirs: StateHash) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.peers.get_mut(from) else { return };
        if theirs.index <= progress.replaced {
            return;
        }
        progress.state = Some(theirs);
        let index = theirs.index;
        let Some(mine) = self.machine.hashes.iter().copied().find(|mine| mine.index == index) else { return };
        let differs = |progress: &Progress| progress.state.is_some_and(|state| state.index == index && state != mine);
        let differing: Vec<_> = leader.peers.iter().filter(|(_, progress)| differs(progress)).collect();
        if differing.iter().all(|(_, progress)| progress.diverged.is_some()) {
            return;
        }
        let has = |id: NodeId, state| leader.peers.get(id).is_some_and(|progress| progress.state == state);
        let membership = self.log.membership();
        if differing.iter().any(|(_, progress)| membership.is_quorum(|id| has(id, progress.state))) {
            return self.step_down(StepDown::Diverged);
        }
        let own = self.config.id;
        if !membership.is_quorum(|id| id == own || has(id, Some(mine))) {
            return;
        }
        let fresh = |(id, progress): &(NodeId, &Progress)| progress.diverged.is_none().then_some(*id);
        let strays: Vec<_> = differing.iter().filter_map(fresh).collect();
        for follower in &strays {
            if let Some(progress) = leader.peers.get_mut(*follower) {
                progress.diverged = Some(index);
            }
        }
        for follower in strays {
            self.note(Decision::StateDiverged { follower, index });
        }
    }
}
