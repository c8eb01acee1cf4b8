//! How a node talks to the others.

use raftian_raft::{Message, NodeId};

/// The network half of a node. Raft needs little of it: a message may be lost, doubled, late or
/// overtaken, but what arrives is what was sent, by the member it is said to be from.
pub trait Links {
    /// Takes `message` for `to`. Never blocks and never fails: what cannot be sent is dropped.
    fn send(&mut self, to: NodeId, message: Message);

    /// The next message that arrived and the member who sent it, as vouched for by the link; `None`
    /// if there is none at this moment.
    fn receive(&mut self) -> Option<(NodeId, Message)>;
}
