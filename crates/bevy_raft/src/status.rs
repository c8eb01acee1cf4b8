//! The game's view of its node.

use bevy_ecs::prelude::*;
use bevy_state::prelude::*;
use raftian_node::NodeView;
use raftian_raft::{Index, NodeId, RoleKind, Term};

use crate::node::{AppliedLog, RaftNode};
use crate::propose::Outbox;

/// The node as of this frame. Empty while no node is attached.
#[derive(Resource, Clone, Debug, Default)]
pub struct RaftStatus {
    /// The node's own view.
    pub view: Option<NodeView>,
    /// Last index applied in this app.
    pub applied: Index,
    /// Number of this app's proposals without an outcome.
    pub pending: usize,
}

impl RaftStatus {
    /// Id of the node.
    pub fn id(&self) -> Option<NodeId> {
        self.view.as_ref().map(|view| view.status.id)
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.view.as_ref().map_or(Term(0), |view| view.status.term)
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.leader()
            .is_some_and(|leader| Some(leader) == self.id())
    }

    /// The leader known to it, itself included.
    pub fn leader(&self) -> Option<NodeId> {
        self.view
            .as_ref()
            // The last view of a stopped or paused node may name a former leader.
            .filter(|view| view.stopped.is_none() && !view.paused)
            .and_then(|view| view.status.leader)
    }
}

/// The node's role as a Bevy state, for `OnEnter(RaftRole::Leader)` and `in_state`.
#[derive(States, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RaftRole {
    /// No node is attached, or it has stopped.
    #[default]
    Offline,
    /// Follows a leader, or waits for one.
    Follower,
    /// Seeks election; a pre-vote counts as seeking.
    Candidate,
    /// Leads.
    Leader,
}

/// Run condition: this machine's node leads.
pub fn is_leader(status: Res<RaftStatus>) -> bool {
    status.leads()
}

/// Run condition: the node knows a leader that a majority follows, so proposals can be committed.
/// An isolated node detects that within its longest election timeout plus a heartbeat.
pub fn has_quorum(status: Res<RaftStatus>) -> bool {
    status.leader().is_some()
}

pub(crate) fn refresh(
    node: Option<ResMut<RaftNode>>,
    applied: Res<AppliedLog>,
    outbox: Res<Outbox>,
    mut status: ResMut<RaftStatus>,
    role: Res<State<RaftRole>>,
    mut next: ResMut<NextState<RaftRole>>,
) {
    status.view = node.map(|mut node| node.get().view());
    status.applied = applied.index;
    status.pending = outbox.own_pending();
    let seen = match &status.view {
        None => RaftRole::Offline,
        Some(view) if view.stopped.is_some() => RaftRole::Offline,
        Some(view) => match view.status.role {
            RoleKind::Follower => RaftRole::Follower,
            RoleKind::PreCandidate | RoleKind::Candidate => RaftRole::Candidate,
            RoleKind::Leader => RaftRole::Leader,
        },
    };
    // Setting a state counts as a transition, even to the same state.
    if *role.get() != seen {
        next.set(seen);
    }
}
