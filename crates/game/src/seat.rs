//! What the program of a member holds, and what moves when the member moves to another program.

use bevy::prelude::*;
use bevy_raft::{AppliedLog, RaftNode};
use raftian_node::NodeHandle;

use crate::projection::ReplicatedRealm;
use crate::realm::Realm;
use crate::replication::CITIES;

/// A member's node with the state that its log was applied to. The three belong together: the node
/// hands out what comes after `log`, and the realm is what `log` made.
pub struct Seat {
    /// The node.
    pub node: RaftNode,
    /// How far its log was applied.
    pub log: AppliedLog,
    /// To what.
    pub realm: ReplicatedRealm,
}

impl Seat {
    /// The seat of a node that just started: nothing is applied, the log will be handed out from
    /// its beginning.
    #[must_use]
    pub fn fresh(node: NodeHandle) -> Self {
        Seat {
            node: RaftNode::new(node),
            log: AppliedLog::default(),
            realm: ReplicatedRealm(Realm::new_classic(CITIES)),
        }
    }

    /// Takes the seat out of an app, which has none afterwards.
    pub fn take(world: &mut World) -> Option<Self> {
        let node = world.remove_resource::<RaftNode>()?;
        let log = world.remove_resource::<AppliedLog>().unwrap_or_default();
        world.insert_resource(AppliedLog::default());
        let realm = world.get_resource::<ReplicatedRealm>().cloned();
        let realm = realm.unwrap_or_else(|| ReplicatedRealm(Realm::new_classic(CITIES)));
        Some(Seat { node, log, realm })
    }

    /// Puts the seat into an app, in place of the one it had.
    pub fn put(self, world: &mut World) {
        world.insert_resource(self.node);
        world.insert_resource(self.log);
        world.insert_resource(self.realm);
    }
}
