//! Interface between a measurement and the nodes of a cell, in real or virtual time.

use std::time::Instant;

use raftian_node::driver::Committed;
use raftian_raft::{Command, NodeId, Refused, Term};

use super::MeasureError;

/// Maximum number of committed entries that a program takes at once.
pub(super) const MAX_TAKEN: usize = 4096;

/// The nodes of a cell and their world, with one clock for everything.
pub(super) trait Nodes {
    /// Current time.
    fn now(&self) -> Instant;

    /// Lets time pass until `then`.
    fn wait_until(&mut self, then: Instant) -> Result<(), MeasureError>;

    /// Proposes a command at the node at `place`. If the node is too busy it is proposed again
    /// later.
    fn propose(&mut self, place: usize, command: Command) -> Result<(), MeasureError>;

    /// Moves up to [`MAX_TAKEN`] committed entries to `into`, which is empty, and returns the
    /// refused commands.
    fn take(
        &mut self,
        place: usize,
        into: &mut Vec<Committed>,
    ) -> Result<Vec<Refused>, MeasureError>;

    /// Leader that the node at `place` follows, if it is connected to all others.
    fn leader(&self, place: usize) -> Option<NodeId>;

    /// Term of the node at `place`.
    fn term(&self, place: usize) -> Term;

    /// Stops all nodes.
    fn end(self);
}

/// Wraps a failure of the machine or of a node.
pub(super) fn machine(error: impl std::fmt::Display) -> MeasureError {
    MeasureError::Machine(error.to_string())
}
