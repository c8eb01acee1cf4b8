//! State hashes: equal logs make equal states, so a node with another one at the same index is broken.

use super::Node;
use crate::event::{Decision, StepDown};
use crate::message::StateHash;
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

    /// A follower in another state gets a snapshot, once a majority shares this leader's; if a majority shares the
    /// follower's, it is the leader that went astray. As long as neither is known nothing is replaced: two nodes alone
    /// cannot tell who is right, and witnesses have no state to ask for.
    pub(super) fn compare_state(&mut self, from: NodeId, theirs: StateHash) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.peers.get_mut(from) else { return };
        progress.state = Some(theirs);
        let same_place = |mine: &&StateHash| mine.index == theirs.index;
        let Some(mine) = self.machine.hashes.iter().find(same_place) else { return };
        if mine.hash == theirs.hash || progress.diverged.is_some() {
            return;
        }
        let agrees = |id: NodeId| leader.peers.get(id).is_some_and(|progress| progress.state == Some(theirs));
        if self.log.membership().is_quorum(agrees) {
            return self.step_down(StepDown::Diverged);
        }
        let (own, mine) = (self.config.id, *mine);
        let shares =
            |id: NodeId| id == own || leader.peers.get(id).is_some_and(|progress| progress.state == Some(mine));
        if !self.log.membership().is_quorum(shares) {
            return;
        }
        if let Some(progress) = leader.peers.get_mut(from) {
            progress.diverged = Some(theirs.index);
        }
        self.note(Decision::StateDiverged { follower: from, index: theirs.index });
    }
}
