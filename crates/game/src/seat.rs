//! A member's node with its applied state, as moved between programs.

use bevy::prelude::*;
use bevy_raft::{AppliedLog, RaftNode};
use raftian_node::NodeHandle;

use crate::projection::ReplicatedRealm;

/// A member's node with the state its log was applied to. The three belong together: the node
/// delivers the entries after `log`, and `realm` is the result of applying `log`.
pub struct Seat {
    /// The node.
    pub node: RaftNode,
    /// Applied part of its log.
    pub log: AppliedLog,
    /// The state it was applied to.
    pub realm: ReplicatedRealm,
}

impl Seat {
    /// The seat of a node that has just started: nothing is applied, and the node delivers its log
    /// from the beginning.
    pub fn fresh(node: NodeHandle) -> Self {
        Seat {
            node: RaftNode::new(node),
            log: AppliedLog::default(),
            realm: ReplicatedRealm::default(),
        }
    }

    /// Removes the seat from an app; `None` if there is none.
    pub fn take(world: &mut World) -> Option<Self> {
        let node = world.remove_resource::<RaftNode>()?;
        let log = world.remove_resource::<AppliedLog>().unwrap_or_default();
        // The plugin's systems require the resource even without a seat.
        world.insert_resource(AppliedLog::default());
        let realm = world.get_resource::<ReplicatedRealm>().cloned();
        Some(Seat {
            node,
            log,
            realm: realm.unwrap_or_default(),
        })
    }

    /// Inserts the seat into an app, replacing its current one.
    pub fn put(self, world: &mut World) {
        world.insert_resource(self.node);
        world.insert_resource(self.log);
        world.insert_resource(self.realm);
    }
}
