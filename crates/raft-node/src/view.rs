//! What a running node shows of itself.

use raftian_raft::{Entry, Event, Moment, Status};

use crate::driver::Contradiction;
use crate::store::StoreError;

/// A picture of one node, made by the node itself. Cheap enough to be made many times a second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Protocol state.
    pub status: Status,
    /// The node's clock when the picture was made.
    pub now: Moment,
    /// The last entries of its log, at most [`TAIL_SHOWN`](crate::driver::TAIL_SHOWN).
    pub tail: Vec<Entry>,
    /// Its last decisions, at most [`EVENTS_KEPT`](crate::driver::EVENTS_KEPT), oldest first.
    pub events: Vec<Event>,
    /// It is paused: it keeps its memory but does nothing.
    pub paused: bool,
    /// Its links are cut.
    pub cut: bool,
    /// It has stopped for good, and why.
    pub stopped: Option<Stopped>,
}

/// Why a node has stopped for good.
///
/// Decision: a node whose committed entry is contradicted stops. Why: some durable entry is lost,
/// and every further command would fork the history; a person must choose. A faulty member can stop
/// the others that way. Would change if: committed heads were signed, so that the evidence
/// identified the faulty side.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Stopped {
    /// A failed write: nothing that waited for it has left, and nothing more will.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A leader has another entry where one is committed here.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// Its program cannot go on.
    #[error("{0}")]
    Program(String),
    /// A bug: its thread, or a task of its links, panicked with this message.
    #[error("it panicked: {0}; please report this")]
    Panicked(String),
    /// It was stopped by its program.
    #[error("it has ended")]
    Ended,
}
