//! Interface between a node and the network.

use raftian_raft::{Membership, Message, NodeId};

/// Network half of a node. Raft requires little of it: a message may be lost, duplicated, delayed
/// or reordered, but must arrive unchanged and from the member it names as sender.
pub trait Links {
    /// Sends `message` to `to`. Never blocks and never fails: a message that cannot be sent is
    /// dropped.
    fn send(&mut self, to: NodeId, message: Message);

    /// Returns the next message that arrived and its sender, authenticated by the link; `None` if
    /// there is none at this moment.
    fn receive(&mut self) -> Option<(NodeId, Message)>;

    /// Called when the membership in the log changes, and when it is committed. Links between
    /// machines connect to the members that were added, at once because they may be needed to
    /// commit the change, and disconnect from those that are removed by a committed one.
    fn follow(&mut self, _membership: &Membership, _is_committed: bool) {}
}
