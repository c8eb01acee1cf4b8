//! What this program sees of every member, for the footer, the overlay and the tools.

use bevy::prelude::*;
use raftian_node::NodeView;
use raftian_raft::{Index, NodeId};

/// Every member of the cluster as far as it can be seen from here. In an embedded match all of them
/// run in this process and show everything; otherwise only our own does, and the others are known
/// by what our node knows of them.
#[derive(Resource, Clone, Debug, Default)]
pub struct ClusterView {
    /// All members, in order of their ids.
    pub members: Vec<MemberView>,
    /// The member whose state this window shows and through which it orders.
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
    /// Its node's picture of itself, if it runs here.
    pub node: Option<NodeView>,
    /// It is running, as far as known here; for a member elsewhere: our link to it stands.
    pub up: bool,
    /// How far the program above it has applied the log, and the hash of its state there, if it
    /// runs here.
    pub state: Option<AppliedState>,
}

/// The hash of replicated state, and where in the log it holds. Equal indexes have equal hashes, or
/// the machines have diverged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppliedState {
    /// Last index applied.
    pub index: Index,
    /// Hash of the state after it.
    pub hash: u64,
}

impl ClusterView {
    /// The name of a member; its id in words for one that is not on the list.
    #[must_use]
    pub fn name(&self, id: NodeId) -> String {
        self.member(id)
            .map_or_else(|| id.to_string(), |member| member.name.clone())
    }

    /// The member `id`.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&MemberView> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether all states that are known at the same index are equal. Two machines at different
    /// indexes say nothing about each other.
    #[must_use]
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

/// An order to an embedded member, from a button or a key of the overlay.
#[derive(Event, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Whom it concerns.
    pub member: NodeId,
    /// What is to be done.
    pub kind: FaultKind,
}

/// What can be done to an embedded member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Stop it at once, without a word to the others.
    Kill,
    /// Start it again from its disk.
    Restart,
    /// Freeze it, or let it go on.
    Pause(bool),
    /// Cut it off from all others, or mend that.
    Cut(bool),
    /// Let it hand over leadership.
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
