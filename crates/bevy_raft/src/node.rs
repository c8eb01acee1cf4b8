//! The node as a resource of the app: its replica, its clock and its progress.

use std::sync::{Mutex, PoisonError};

use bevy_ecs::prelude::*;
use raftian_node::chain::ChainHead;
use raftian_node::{Clock, Replica};
use raftian_raft::{Index, Moment, Responses};

use crate::roster::Roster;
use crate::sessions::PlayerSessions;

/// The node attached to this app. [`MatchExt`](crate::MatchExt) attaches and detaches it. An app
/// that does so itself removes or inserts this resource. A node that has delivered entries to one
/// app and goes on in another must be moved together with [`AppliedLog`] and the registered states;
/// for a node that has just started, the plugin resets them.
#[derive(Resource)]
pub struct RaftNode {
    replica: Mutex<Box<dyn Replica>>,
    /// Responses of the node that no system has taken yet.
    responses: Responses,
    /// Whether entries were taken from the node. One that has delivered nothing yet begins with the
    /// first entry, or with a snapshot.
    pub(crate) has_delivered: bool,
}

impl RaftNode {
    /// Wraps a node to attach.
    pub fn new(node: impl Replica + 'static) -> Self {
        RaftNode {
            replica: Mutex::new(Box::new(node)),
            responses: Responses::default(),
            has_delivered: false,
        }
    }

    /// Stops the node for good, because its program cannot continue. `reason` is reported in
    /// [`NodeView::stopped`](raftian_node::NodeView::stopped).
    pub fn stop(&mut self, reason: String) {
        self.get().give_up(reason);
    }

    /// Returns the responses of the node that no system has taken yet.
    pub(crate) fn responses(&mut self) -> &mut Responses {
        let mut newer = self.get().take_responses();
        self.responses.append(&mut newer);
        &mut self.responses
    }

    pub(crate) fn get(&mut self) -> &mut dyn Replica {
        self.replica
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
    }
}

/// Clock with which the app pumps its node.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub enum RaftClock {
    /// The app does not pump it: the node has its own thread and clock.
    #[default]
    Elsewhere,
    /// Real time.
    Real(Clock),
    /// Time set by hand, for tests.
    Manual(Moment),
}

/// Applied part of the log: the client sessions that detect repeated commands, and the members.
#[derive(Resource, Clone, Debug, Default)]
pub struct AppliedLog {
    /// Last index applied.
    pub index: Index,
    /// The commands applied, by client.
    pub sessions: PlayerSessions,
    /// The members as of that index.
    pub roster: Roster,
    /// Hash of the whole history up to that index.
    pub head: ChainHead,
    /// Highest index ever applied. An entry that is reapplied after a repair is not announced
    /// again.
    pub(crate) announced: Index,
    /// The leader's commit index when this app first knew a leader: entries up to it are the past.
    pub(crate) past: Option<Index>,
}

impl AppliedLog {
    /// Whether everything is applied that was committed before this app took part, as far as it
    /// knows a leader.
    pub fn is_current(&self) -> bool {
        self.past.is_some_and(|past| self.index >= past)
    }

    /// Whether the last applied entry was committed before this app took part.
    pub fn is_past(&self) -> bool {
        self.past.is_none_or(|past| self.index <= past)
    }
}
