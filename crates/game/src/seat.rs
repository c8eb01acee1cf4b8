//! A member's node with its applied state, as moved between programs.

use bevy::prelude::*;
use bevy_raft::{AppliedLog, RaftNode, Ticks};
use raftian_node::NodeHandle;

use crate::projection::ReplicatedRealm;
use crate::table::ReplicatedTable;

/// A member's node with the state its log was applied to. They belong together: the node delivers
/// the entries after `log`, and the rest is the result of applying `log`.
pub struct Seat {
    /// The node.
    pub node: RaftNode,
    /// Applied part of its log.
    pub log: AppliedLog,
    /// The state it was applied to.
    pub realm: ReplicatedRealm,
    /// The table it was applied to.
    pub table: ReplicatedTable,
    /// The ticks in it.
    pub ticks: Ticks,
}

impl Seat {
    /// The seat of a node that has just started: nothing is applied, and the node delivers its log
    /// from the beginning.
    pub fn fresh(node: NodeHandle) -> Self {
        Seat {
            node: RaftNode::new(node),
            log: AppliedLog::default(),
            realm: ReplicatedRealm::default(),
            table: ReplicatedTable::default(),
            ticks: Ticks::default(),
        }
    }

    /// Removes the seat from an app; `None` if there is none.
    pub fn take(world: &mut World) -> Option<Self> {
        let node = world.remove_resource::<RaftNode>()?;
        let log = world.remove_resource::<AppliedLog>().unwrap_or_default();
        // The plugin's systems require the resource even without a seat.
        world.insert_resource(AppliedLog::default());
        let realm = world.get_resource::<ReplicatedRealm>().cloned();
        let table = world.get_resource::<ReplicatedTable>().cloned();
        let ticks = world.get_resource::<Ticks>().copied();
        Some(Seat {
            node,
            log,
            realm: realm.unwrap_or_default(),
            table: table.unwrap_or_default(),
            ticks: ticks.unwrap_or_default(),
        })
    }

    /// Inserts the seat into an app, replacing its current one.
    pub fn put(self, world: &mut World) {
        world.insert_resource(self.node);
        world.insert_resource(self.log);
        world.insert_resource(self.realm);
        world.insert_resource(self.table);
        world.insert_resource(self.ticks);
    }
}
