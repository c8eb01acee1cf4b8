//! Read-only view of a running node.

use std::sync::Arc;

use raftian_raft::{Entry, Event, LogPosition, Membership, Moment, NodeId, Status};

use crate::checkpoint::Checkpoints;
use crate::store::StoreError;

/// Snapshot of one node's visible state, made by the node itself; cheap enough to make many times a
/// second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Protocol state.
    pub status: Status,
    /// The membership in force before any in the log.
    pub founding: Membership,
    /// The node's clock when the view was made.
    pub now: Moment,
    /// The last entries of its log, at most [`TAIL_SHOWN`](crate::driver::TAIL_SHOWN).
    pub tail: Vec<Entry>,
    /// Its last decisions, at most [`EVENTS_KEPT`](crate::driver::EVENTS_KEPT), oldest first.
    pub events: Vec<Event>,
    /// Whether the node is paused: it keeps its memory but does nothing.
    pub paused: bool,
    /// Whether the node's links are cut.
    pub cut: bool,
    /// Why the node has stopped for good; `None` while it runs.
    pub stopped: Option<Stopped>,
    /// Signed checkpoints of the members, in a match that players join.
    pub checkpoints: Arc<Checkpoints>,
}

/// Why a node has stopped for good.
///
/// Decision: a node whose committed entry is contradicted stops. Why: a durable entry is lost, and
/// every further command would fork the history; an operator must choose. A faulty member can stop
/// the others that way. Would change if: committed heads were signed, so that the evidence
/// identified the faulty side.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Stopped {
    /// A write failed: no message that waited for it has left, and none will.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A leader has a different entry at an index that is committed here.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// The program cannot continue.
    #[error("{0}")]
    Program(String),
    /// A bug: the node's thread, or a task of its links, panicked with this message.
    #[error("the node panicked: {0}; please report this")]
    Panicked(String),
    /// The program stopped the node.
    #[error("the node has stopped")]
    Ended,
}

/// Evidence that a durable entry was lost: a leader has another entry than this node at an index
/// that is committed here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{from} leads with {theirs} where {mine} is committed here: this node or a majority of \
     the others has lost entries that were on disk. Find out which disk was replaced by an older \
     copy before starting this node again"
)]
pub struct Contradiction {
    /// The leader.
    pub from: NodeId,
    /// The committed entry here.
    pub mine: LogPosition,
    /// The entry there.
    pub theirs: LogPosition,
}
