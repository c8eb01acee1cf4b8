//! Properties that an input can violate.

use raftian_node::store::StoreError;
use raftian_node::wire::WireError;
use raftian_raft::{ConfigError, Index, Message, NodeId};

use crate::cluster::Unsettled;
use crate::invariants::Violation;
use crate::scenario::ScriptError;

/// Violated property of a fuzz target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The target panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// A second run of the same input succeeded.
    #[error("failed only once; the target is not deterministic")]
    NotDeterministic,
    /// A decoded value does not encode.
    #[error("a decoded value does not encode: {0}")]
    NotEncoded(WireError),
    /// An encoded value does not decode.
    #[error("an encoded value does not decode: {0}")]
    NotDecoded(WireError),
    /// A value grows in a round trip.
    #[error("a value decoded from {from} bytes encodes to {to}")]
    Grew {
        /// Bytes of the input.
        from: usize,
        /// Bytes of the encoded value.
        to: usize,
    },
    /// A value changes in a round trip.
    #[error("{encoded} was encoded, {decoded} was decoded")]
    Changed {
        /// Debug form of the first value.
        encoded: String,
        /// Debug form of the second value.
        decoded: String,
    },
    /// A decoded membership has no electable member.
    #[error("no member could ever lead {0}")]
    NotElectable(String),
    /// A damaged store opened with a state that it must not have.
    #[error("the store restores {}: {restored}", state(*.written))]
    WrongState {
        /// Number of the write with this state, and of the last write; `None` if no write had it.
        written: Option<(usize, usize)>,
        /// Debug form of the state.
        restored: String,
    },
    /// A parsed script prints as text that does not parse.
    #[error("the printed script does not parse: {0}")]
    NotParsed(ScriptError),
    /// A parsed script prints as another script.
    #[error("the printed script is another script:\n{0}")]
    OtherScript(String),
    /// A node does not start.
    #[error("the node cannot start from its disk: {0}")]
    NotStarted(ConfigError),
    /// The store rejects a write of the node.
    #[error("the store rejects a write of the node: {0}")]
    WriteRejected(StoreError),
    /// The actions of the node never end.
    #[error("the node never runs out of actions")]
    EndlessActions,
    /// The node sends a message that cannot be encoded.
    #[error("the node sends a message that does not encode: {0}")]
    NotSendable(WireError),
    /// The node sends a message to itself, or one that changes in a round trip.
    #[error("the message to {to} cannot be received: {message:?}")]
    NotReceivable {
        /// Receiver.
        to: NodeId,
        /// The message.
        message: Box<Message>,
    },
    /// Entries are applied with a gap or twice.
    #[error("{index} is applied after {after}")]
    OutOfOrder {
        /// Index of the entry.
        index: Index,
        /// Index of the entry before it.
        after: Index,
    },
    /// The cluster does not converge once the faults have ended.
    #[error(transparent)]
    NotConverged(Unsettled),
    /// An invariant is violated.
    #[error("{violation}\nlast events:\n{trace}")]
    Violated {
        /// The invariant.
        violation: Violation,
        /// Last events, one per line.
        trace: String,
    },
}

fn state(written: Option<(usize, usize)>) -> String {
    match written {
        Some((at, newest)) => format!("write {at} of {newest}"),
        None => "a state that was never written".to_owned(),
    }
}
