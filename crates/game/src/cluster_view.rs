//! This program's view of every member, for the footer, the overlay and the tools.

use bevy::prelude::*;
use raftian_node::NodeView;
use raftian_raft::{Index, NodeId};

/// Every member of the cluster, as far as visible from this program. In an embedded match all of
/// them run in this process and are fully visible; otherwise only our own is, and the others are
/// known through our node.
#[derive(Resource, Clone, Debug, Default)]
pub struct ClusterView {
    /// All members, in order of their ids.
    pub members: Vec<MemberView>,
    /// The member whose state this window shows and through which its orders are proposed.
    pub seat: Option<NodeId>,
    /// The members run in this process, so they can be killed, paused, cut off and restarted from
    /// here.
    pub embedded: bool,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its node's own view, if it runs here.
    pub node: Option<NodeView>,
    /// It is running, as far as known here; for a member elsewhere: our link to it is up.
    pub up: bool,
    /// Its applied index and the hash of its state there, if it runs here.
    pub state: Option<AppliedState>,
}

/// A hash of replicated state with its log index. Machines with equal indexes but different hashes
/// have diverged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppliedState {
    /// Last index applied.
    pub index: Index,
    /// Hash of the state after it.
    pub hash: u64,
}

impl ClusterView {
    /// The name of a member; its id for one that is not on the list.
    pub fn name(&self, id: NodeId) -> String {
        self.member(id)
            .map_or_else(|| id.to_string(), |member| member.name.clone())
    }

    /// The member `id`.
    pub fn member(&self, id: NodeId) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Returns whether all states known at the same index are equal. States at different indexes
    /// are not comparable.
    pub fn states_agree(&self) -> bool {
        let states: Vec<_> = self
            .members
            .iter()
            .filter_map(|member| member.state)
            .collect();
        states.iter().all(|a| {
            states
                .iter()
                .all(|b| a.index != b.index || a.hash == b.hash)
        })
    }
}

/// An operation on an embedded member, triggered by a button or key of the overlay.
#[derive(Event, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The member concerned.
    pub member: NodeId,
    /// The operation.
    pub kind: FaultKind,
}

/// Operations on an embedded member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Stop it immediately, without notice to the others.
    Kill,
    /// Restart it from its disk.
    Restart,
    /// Freeze it, or resume it.
    Pause(bool),
    /// Cut it off from all others, or mend its links.
    Cut(bool),
    /// Make it transfer leadership.
    TransferLeadership,
    /// Show its state in this window and order through it.
    TakeSeat,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, index: u64, hash: u64) -> MemberView {
        let state = Some(AppliedState {
            index: Index(index),
            hash,
        });
        MemberView {
            id: NodeId(id),
            name: format!("m{id}"),
            node: None,
            up: true,
            state,
        }
    }

    #[test]
    fn only_states_at_the_same_index_can_disagree() {
        let view = |members| ClusterView {
            members,
            ..default()
        };
        assert!(view(vec![member(1, 5, 7), member(2, 6, 8)]).states_agree());
        assert!(view(vec![member(1, 5, 7), member(2, 5, 7)]).states_agree());
        assert!(!view(vec![member(1, 5, 7), member(2, 6, 8), member(3, 5, 9)]).states_agree());
    }
}
