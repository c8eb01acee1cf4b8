//! One live Raft node: durable store, wire format, QUIC links, driver and thread.
//!
//! [`Driver::pump`](driver::Driver::pump) is the one loop: inbox, step, persist, send, deliver.
//! [`NodeHandle`] runs it on a thread of its own over a [`RedbStore`](store::RedbStore) and
//! [`QuicLinks`](quic::QuicLinks). A program that pumps its node itself uses [`InlineNode`] over
//! the same store and links, or in tests over a [`MemoryStore`](store::MemoryStore) and
//! [`MemoryLinks`](memory_links::MemoryLinks).
//!
//! # Decisions
//! **Writes have their own thread.** Decision: a [`WriterThread`](store::WriterThread) syncs while
//! the node continues. Why: the node's timers must keep running while a disk is slow, and a
//! leader's messages need not wait for its own disk (thesis 10.2.1). Would change if: the store
//! offered asynchronous submission and completion.
//!
//! **Taking is applying.** Decision: an entry that the program has taken counts as applied; no
//! applied index is kept on disk. Why: the program's state is in memory and is rebuilt from the
//! newest snapshot and the log, so the two cannot disagree. Would change if: a game kept its state
//! on disk.
//!
//! **Reports about program state carry its generation.** Decision: a snapshot that replaces the
//! program's state begins a new generation of it, and the thread drops reports about an earlier
//! one. Why: a diverged state is replaced by an earlier one, so the same index occurs twice, and
//! only the second occurrence is valid. Would change if: repairs were never needed.

pub mod address;
pub mod admission;
pub mod ballot;
pub mod chain;
pub mod checkpoint;
mod clock;
pub mod cluster;
pub mod code;
pub mod contact;
pub mod driver;
mod inline_node;
pub mod lan;
pub mod links;
pub mod match_record;
pub mod match_request;
pub mod memory_links;
mod panics;
pub mod player;
pub mod quic;
pub mod quota;
mod random_ids;
pub mod recover;
mod replica;
pub mod signing;
pub mod store;
mod thread;
pub mod ticket;
pub mod trace;
mod view;
pub mod wire;

pub use clock::{Clock, wall_clock};
pub use inline_node::InlineNode;
pub use panics::panic_message;
pub use random_ids::{fresh_client_id, fresh_incarnation, fresh_secret, fresh_seed};
pub use replica::{Replica, SubmitError};
pub use thread::{
    NodeControl, NodeHandle, NodeOptions, PROGRAM_REQUEST_QUEUE, PROPOSAL_QUEUE, READ_QUEUE,
    Requests, StartError,
};
pub use view::{NodeView, Stopped};
