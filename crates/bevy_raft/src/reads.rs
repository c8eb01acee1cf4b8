//! Linearizable reads: the moment from which this machine's state contains everything that was
//! committed before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bevy_ecs::prelude::*;
use raftian_raft::{Index, Moment, ReadId};

use crate::matches;
use crate::node::{AppliedLog, RaftNode};

/// Maximum number of reads of one app without an outcome.
pub const MAX_READS: usize = 512;

/// Time until a read that was refused or not answered is requested again.
const RETRY: Duration = Duration::from_millis(500);

/// Requests for one read whose answers are still accepted.
const MAX_REQUESTS: usize = 16;

/// Identifier of a read within this program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadRequest(u64);

/// Outcome of a read. Triggered once for each.
#[derive(Event, Clone, PartialEq, Eq, Debug)]
pub struct ReadOutcome {
    /// The read.
    pub id: ReadRequest,
    /// The read index: the replicated state contains every entry up to it, and so every command
    /// that was committed before the read was requested. Observers may read the state at once.
    pub result: Result<Index, ReadError>,
}

/// Why a read has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// [`MAX_READS`] reads have no outcome yet.
    #[error("{MAX_READS} reads have no outcome yet; retry when some of them have one")]
    Busy,
    /// The app takes part in no match, or left it before the read was answered.
    #[error("there is no match; start or join one")]
    NoMatch,
}

/// Requests linearizable reads (thesis 6.4), from `Commands` or from the `World`.
pub trait ReadExt {
    /// Requests a read; [`ReadOutcome`] reports when the replicated state is recent enough. Without
    /// a quorum it waits for one.
    fn read(&mut self) -> ReadRequest;
}

impl ReadExt for Commands<'_, '_> {
    fn read(&mut self) -> ReadRequest {
        let id = next_id();
        self.queue(move |world: &mut World| accept(world, id));
        id
    }
}

impl ReadExt for World {
    fn read(&mut self) -> ReadRequest {
        let id = next_id();
        accept(self, id);
        id
    }
}

fn next_id() -> ReadRequest {
    // Shared by all apps of the process, and unique for each node.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ReadRequest(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn accept(world: &mut World, id: ReadRequest) {
    let error = if !matches::takes_part(world) {
        Some(ReadError::NoMatch)
    } else if world.resource::<Reads>().waiting.len() >= MAX_READS {
        Some(ReadError::Busy)
    } else {
        None
    };
    match error {
        Some(error) => world.trigger(ReadOutcome {
            id,
            result: Err(error),
        }),
        None => {
            let mut reads = world.resource_mut::<Reads>();
            reads.waiting.insert(id, Requested::default());
        }
    }
}

/// Requests to the node for one read. An answer to any of them is recent enough.
#[derive(Debug, Default)]
struct Requested {
    /// Ids of the last requests, at most [`MAX_REQUESTS`].
    ids: Vec<ReadId>,
    /// Time of the last one.
    at: Option<Moment>,
}

/// This app's reads without an outcome.
#[derive(Resource, Debug, Default)]
pub(crate) struct Reads {
    waiting: BTreeMap<ReadRequest, Requested>,
    /// The node had already stopped in the last frame.
    node_stopped: bool,
}

impl Reads {
    /// Ends all reads, because the match has ended.
    pub(crate) fn abandon(world: &mut World) {
        let waiting = std::mem::take(&mut world.resource_mut::<Reads>().waiting);
        for id in waiting.into_keys() {
            let result = Err(ReadError::NoMatch);
            world.trigger(ReadOutcome { id, result });
        }
    }
}

/// Run condition: a read has no outcome yet.
pub(crate) fn has_reads(reads: Res<Reads>) -> bool {
    !reads.waiting.is_empty()
}

/// Requests new reads, and those that were refused or not answered. Ends those of a node that has
/// stopped, one frame late, because the app may attach another node in the frame after.
pub(crate) fn submit_reads(
    mut commands: Commands,
    mut reads: ResMut<Reads>,
    node: Option<ResMut<RaftNode>>,
) {
    let Some(mut node) = node else { return };
    let node = node.get();
    let view = node.view();
    let was_stopped = std::mem::replace(&mut reads.node_stopped, view.stopped.is_some());
    if view.stopped.is_some() {
        if was_stopped {
            commands.queue(Reads::abandon);
        }
        return;
    }
    let now = view.now;
    for requested in reads.waiting.values_mut() {
        let is_due = requested
            .at
            .is_none_or(|at| now < at || now.since(at) >= RETRY);
        if is_due {
            let ReadRequest(number) = next_id();
            // A full queue is retried in the next frame.
            if node.read(now, ReadId(number), false).is_err() {
                return;
            }
            if requested.ids.len() == MAX_REQUESTS {
                requested.ids.remove(0);
            }
            requested.ids.push(ReadId(number));
            requested.at = Some(now);
        }
    }
}

/// Reports answered reads. The node answers a read once everything before it was taken, so this
/// runs after all of that is applied.
pub(crate) fn report_reads(world: &mut World) {
    let Some(mut node) = world.get_resource_mut::<RaftNode>() else {
        return;
    };
    let answers = std::mem::take(&mut node.responses().reads);
    for answer in answers {
        // A refusal is retried after a while.
        let Ok(index) = answer.result else { continue };
        // An entry that was taken and not applied counts as applied by the node.
        if index > world.resource::<AppliedLog>().index {
            continue;
        }
        let mut reads = world.resource_mut::<Reads>();
        let mut waiting = reads.waiting.iter();
        let answered = waiting.find(|(_, requested)| requested.ids.contains(&answer.id));
        if let Some(id) = answered.map(|(id, _)| *id) {
            reads.waiting.remove(&id);
            world.trigger(ReadOutcome {
                id,
                result: Ok(index),
            });
        }
    }
}
