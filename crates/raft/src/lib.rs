//! Raft consensus as a value.
//!
//! [`Node`] is a struct: it takes an [`Input`] and the time, and gives back [`Actions`] for
//! somebody else to perform. It holds no socket, file, clock, thread or global, and its only
//! randomness is a ChaCha8 generator seeded from its [`Config`]. A recorded list of inputs replays
//! a node bit for bit.
//!
//! ```
//! use raftian_raft::{Config, Input, Membership, Moment, Node, NodeId, Restored, RoleKind};
//!
//! let membership = Membership::new([NodeId(1)]).unwrap();
//! let mut node = Node::new(Config::new(NodeId(1), membership, 7), Restored::default(), Moment(0)).unwrap();
//! node.step(node.wake_at(), Input::Wake);
//! let write = node.take_actions().persist.expect("it votes for itself");
//! node.step(Moment(400_000), Input::Persisted(write.number));
//! assert_eq!(node.role(), RoleKind::Leader);
//!
//! let write = node.take_actions().persist.expect("it appends the first entry of its term");
//! assert!(node.take_actions().apply.is_empty(), "nothing is committed before it is on a majority's disks");
//! node.step(Moment(500_000), Input::Persisted(write.number));
//! assert_eq!(node.take_actions().apply.len(), 1);
//! ```
//!
//! # Where the paper is
//! Sections and figures without a name are those of Ongaro and Ousterhout, "In Search of an
//! Understandable Consensus Algorithm (Extended Version)"; "thesis" is Ongaro's "Consensus:
//! Bridging Theory and Practice". Names follow them.
//!
//! # Where we deviate
//! * The RPCs are one-way messages, each with its sender's term; an answer is matched by what it
//!   says.
//! * A refused AppendEntries carries a hint (end of section 5.3), so at most one refusal is spent
//!   on each conflicting term.
//! * The commit index is sent as soon as it moves, without waiting for the next command or
//!   heartbeat.
//! * A heartbeat is answered without waiting for the follower's disk; the answer speaks only of
//!   what is on it.
//! * Members have incarnations ([`Incarnation`]): a node that lost its disk is not the member it
//!   was, and joins again.
//! * A membership with one voter more or less is one entry (thesis 4.1); any other change is joint
//!   (section 6), and the leader leaves the joint configuration by itself.
//! * Pre-vote, check-quorum and leader stickiness (thesis 9.6, 6.2, 4.2.3) are on unless switched
//!   off.
//! * A follower applies an entry only when it is on its own disk too.
//! * A leader whose disk hangs steps down.
//!
//! # Decisions
//! **Promises stay inside.** See `actions.rs`: what must not leave before a write is done is not
//! given out before.
//!
//! **The log is in memory.** Decision: all entries after the last snapshot are held in memory and
//! the disk is read once, at start. Why: no storage call inside the algorithm, so no error path in
//! it. Would change if: a game's log between two snapshots outgrew memory.
//!
//! **Time is stepped with every input.** Decision: due timers fire at the end of any step. Why: a
//! node that is busy with messages cannot miss its own deadline. Would change if: profiles showed
//! the check to cost anything.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod actions;
mod config;
mod disk;
mod entry;
mod event;
mod log;
mod membership;
mod message;
mod node;
mod peers;
mod planted;
mod progress;
mod reads;
mod rng;
mod role;
mod sessions;
mod snapshot;
mod status;
mod types;

pub use actions::{
    Actions, HardState, RefusalReason, Refused, RequestError, Restored, Work, Write, WriteNumber,
};
pub use config::{Config, ConfigError};
pub use entry::{Bytes, Command, Entry, Payload};
pub use event::{Decision, Event, StepDown, VoteRefusal};
pub use membership::{Change, Member, Membership, MembershipError, Standing};
pub use message::{
    AppendEntries, AppendReply, AppendResult, Body, InstallSnapshot, Message, Probe, SnapshotReply,
    SnapshotResult, StateHash,
};
pub use node::{Input, Node, TakenSnapshot};
pub use planted::PlantedFault;
pub use reads::{ReadAnswer, ReadId, ReadRefusal};
pub use sessions::{Sessions, Verdict};
pub use snapshot::{LogStart, Snapshot, SnapshotName};
pub use status::{FlowKind, PeerStatus, RoleKind, Status};
pub use types::{ClientId, Incarnation, Index, LogPosition, Moment, NodeId, Stamp, Term};

#[cfg(test)]
mod hashed {
    use core::hash::{Hash, Hasher};

    /// The hash of `value`, the same within one run of the tests.
    pub(crate) fn of(value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
}
