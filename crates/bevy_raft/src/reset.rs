//! Boundaries between matches: nothing of one reaches the next.

use bevy_ecs::prelude::*;
use raftian_node::fresh_client_id;
use raftian_raft::{Index, Stamp};

use crate::apply::CommittedEntry;
use crate::node::{AppliedLog, RaftNode};
use crate::propose::{Outbox, ProposalOutcome};
use crate::reads::Reads;
use crate::requests::Requests;
use crate::state::{StateRegistry, StateRestored};
use crate::ticks::Ticker;

/// Attaches the node of another match: proposals come from a new client, and the replicated state
/// is the initial one.
pub(crate) fn begin(world: &mut World, node: RaftNode) {
    *world.resource_mut::<Outbox>() = Outbox::new(fresh_client_id());
    *world.resource_mut::<CommittedEntry>() = CommittedEntry::default();
    let before = init_state(world);
    world.insert_resource(node);
    announce(world, before);
}

/// Ends a match: everything without an outcome gets one. The replicated state stays, to be shown.
pub(crate) fn end(world: &mut World, reason: &str) {
    let abandoned = world.resource_mut::<Outbox>().abandon(reason);
    for (id, outcome) in abandoned {
        world.trigger(ProposalOutcome { id, outcome });
    }
    Reads::abandon(world);
    Requests::abandon(world);
}

/// Sets everything that follows from the log to its initial state, for a node that delivers its log
/// from the beginning.
pub(crate) fn reset_state(world: &mut World) {
    let before = init_state(world);
    announce(world, before);
}

/// Returns the last index applied before.
fn init_state(world: &mut World) -> Index {
    let before = std::mem::take(&mut *world.resource_mut::<AppliedLog>()).index;
    if let Some(mut ticker) = world.get_resource_mut::<Ticker>() {
        ticker.reset();
    }
    for init in world.resource::<StateRegistry>().initializers() {
        init(world);
    }
    before
}

fn announce(world: &mut World, before: Index) {
    if before > Index(0) {
        world.trigger(StateRestored {
            index: Index(0),
            stamp: Stamp(0),
            before,
            hash_before: None,
            hash: None,
        });
    }
}
