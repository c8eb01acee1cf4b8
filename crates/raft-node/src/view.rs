//! What a running node shows of itself.

use raftian_raft::{Entry, Event, Moment, Status};

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
    pub stopped: Option<String>,
}
