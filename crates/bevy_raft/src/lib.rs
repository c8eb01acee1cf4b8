//! A Bevy plugin for games without a host: players' orders are replicated with Raft, and every
//! machine applies them in the same order. If a player leaves, the rest play on.
//!
//! ```
//! use bevy_app::prelude::*;
//! use bevy_ecs::prelude::*;
//! use bevy_raft::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize)]
//! struct Add(u32);
//!
//! impl ReplicatedCommand for Add {
//!     const NAME: &'static str = "example.add/1";
//! }
//!
//! #[derive(Resource, Default, Serialize, Deserialize)]
//! struct Sum(u32);
//!
//! impl ReplicatedState for Sum {
//!     const NAME: &'static str = "example.sum/1";
//! }
//!
//! /// Runs once per committed command, in the same order on every machine.
//! fn add(entry: Res<CommittedEntry>, mut sum: ResMut<Sum>) {
//!     if let Some(Add(n)) = entry.command::<Add>() {
//!         sum.0 += n;
//!     }
//! }
//!
//! let mut cluster = test_app::TestCluster::new(3, |app| {
//!     app.add_replicated_command::<Add>().add_systems(ApplyCommitted, add);
//!     app.add_replicated_state::<Sum>();
//! });
//! cluster.elect();
//! cluster.app(1).world_mut().propose(Add(5));
//! cluster.run_until(|apps| apps.iter().all(|app| app.world().resource::<Sum>().0 == 5));
//! ```
//!
//! # A match
//! [`RaftPlugin::default`] begins without a match. [`MatchExt::start_match`] founds one,
//! [`MatchExt::join_match`] joins one by a ticket or a code, [`MatchExt::resume_match`] continues
//! after the program has ended, and [`MatchExt::leave_match`] leaves. Each returns at once: stores
//! are opened, members asked and nodes stopped on other threads. [`MatchState`] is a Bevy state,
//! [`CurrentMatch`] has the ticket, the progress and the reason of a failure, [`Members`] shows who
//! is there. [`ChangeExt::change_match`] invites, removes, promotes and demotes members and
//! transfers leadership. A program whose registered names differ from those of the match
//! ([`rules`]) is refused with both lists. The example `players` is a whole program.
//!
//! Nothing of one match reaches the next: when a match begins, proposals come from a new client,
//! the applied log is empty, and the registered states are the initial ones. Proposals without an
//! outcome got one when the match before ended.
//!
//! # How a command travels
//! [`propose`](ProposeExt::propose) puts it in the outbox; [`RaftSystems::Propose`] submits it to
//! the node as `(client, sequence)`; the cluster commits it; [`RaftSystems::Apply`] takes it from
//! the node, drops repeats, runs the [`ApplyCommitted`] schedule, and then triggers
//! [`Committed<C>`] and, on the machine that proposed it, [`ProposalOutcome`]. An unanswered
//! command is resubmitted under the same name and applied once. A proposal stays pending until its
//! outcome is certain; only a node that stops for good, and a match that is left, leave it
//! [`Unknown`](Outcome::Unknown). In a match that players join, commands are signed:
//! [`EntryInfo::member`] is the member that a command came from, and [`EntryInfo::key`] its key, to
//! which a game binds the rights of the player. [`FalseCommand`] reports entries without a valid
//! signature, which are skipped. Members also sign checkpoints of what they have applied, and
//! [`HistoryDisputed`] reports those that contradict each other. [`Committed::replayed`] marks
//! commands of the past, which need no sound.
//!
//! # Players
//! [`AppliedLog::roster`] has the names and keys of the players as of the last applied entry,
//! former ones included. [`ApplyCommitted`] runs for an entry in which members join, leave or
//! change their part as it does for a command, with [`CommittedEntry::roster_change`]; then
//! [`RosterChanged`] is triggered. The founders are in the roster before the first entry.
//!
//! A game binds seats to players by a command, with which a player claims one:
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use bevy_ecs::prelude::*;
//! # use bevy_raft::{AppliedLog, CommandKey, CommittedEntry, Part, ReplicatedCommand};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Debug, Serialize, Deserialize)]
//! # struct TakeSeat(u8);
//! # impl ReplicatedCommand for TakeSeat { const NAME: &'static str = "example.seat/1"; }
//! /// Replicated state: who plays each seat.
//! #[derive(Resource, Default)]
//! struct Seats(BTreeMap<u8, CommandKey>);
//!
//! fn take_seat(entry: Res<CommittedEntry>, log: Res<AppliedLog>, mut seats: ResMut<Seats>) {
//!     let (Some(TakeSeat(seat)), Some(info)) = (entry.command(), entry.info()) else {
//!         return;
//!     };
//!     // Spectators may propose as well.
//!     let player = log.roster.get(info.member).filter(|who| who.part == Part::Player);
//!     if let Some(key) = player.and(info.key) {
//!         seats.0.entry(*seat).or_insert(key);
//!     }
//! }
//! ```
//!
//! The key is the same after a player has left and joined again; in a cluster from files there is
//! none, and [`NodeId`] identifies a member. [`CurrentMatch::member`] is this machine's member.
//!
//! # When something fails
//! [`MatchFailed`] is triggered, with a [`FailureKind`] for the program and a sentence for the
//! player. A request that cannot be carried out, such as a second `start_match`, leaves the state
//! as it is; otherwise the state is [`MatchState::Failed`], from which a match is started, joined
//! or resumed as from the beginning. A player who was removed is in [`MatchState::Left`], with
//! [`CurrentMatch::ended`]. [`MatchState::Running`] is entered again after each
//! [`NoQuorum`](MatchState::NoQuorum).
//!
//! # Reads, ticks, random numbers
//! [`ReadExt::read`] reports when the state contains everything that was committed before.
//! [`RaftPlugin::with_ticks`] makes the leader append [`Tick`]s, so that the world goes on without
//! orders and stands still without a quorum; with [`RaftPlugin::with_ticks_on_demand`] it does so
//! only when an event of the game is due. [`CommittedEntry::rng`] is a generator of random
//! numbers that is the same on every machine.
//!
//! # Snapshots
//! State that is registered with [`add_replicated_state`](AddReplicatedState::add_replicated_state)
//! is serialized when the node requests a snapshot, together with the client sessions (which
//! commands were applied); the log before that is dropped. A machine that was away for too long, or
//! restarts, receives the state at the snapshot's position between two entries, and
//! [`StateRestored`] is triggered: everything derived from the state must be derived again. A
//! proposal whose command arrives inside a snapshot also gets its outcome, because it is
//! resubmitted and recognised as a repeat. A snapshot that this build cannot read stops the node,
//! with the reason in `NodeView::stopped`. A system of [`ApplyCommitted`] that panics or returns an
//! error also stops it; other machines are not affected, and after a restart the node stops at the
//! same entry.
//!
//! After every [`STATE_HASH_EVERY`]th entry machines compare hashes of that state. A machine that
//! differs from the others, because of a bug or faulty memory, receives their state.
//!
//! # Decisions
//! **One ordered schedule writes replicated state.** Decision: it is written by systems of
//! [`ApplyCommitted`], which runs once per entry and refuses ambiguous order; events are for
//! presentation. Why: Bevy drops unread messages after two updates and runs the observers of one
//! event in no fixed order. Would change if: Bevy ordered observers.
//!
//! **Entries are pulled within a budget.** Decision: at most [`APPLY_BUDGET`] entries a frame are
//! taken from the node, which delivers no more than are taken. Why: a window that stalled loses
//! nothing and no queue grows. Would change if: the budget were measured to delay a game.
//!
//! **State is registered, not found.** Decision: an app names the resources that snapshots contain,
//! and their serde form is the format. Why: a missing resource shows as a difference between
//! machines at the next restart or hash, and so does a superfluous one; and the same types serve
//! saved games. Would change if: a state became too large to serialize within a frame.
//!
//! **The state of a match has no fields.** Decision: [`MatchState`] names the state, and
//! [`CurrentMatch`] holds progress and reasons. Why: a Bevy state is entered and left as a whole,
//! so progress in it would run `OnExit` and `OnEnter` for every entry. Would change if: Bevy's
//! states could change their data without a transition.
//!
//! **The plugin makes the initial state.** Decision: a replicated state has a
//! [`FromWorld`](bevy_ecs::world::FromWorld), and the plugin inserts and resets it. Why: a state
//! that was never inserted, or kept from another match, made machines differ. Would change if: a
//! state could not be made without data from elsewhere; then that data must be a command.
//!
//! **The node has its own thread.** Decision: matches and [`RaftPlugin::new`] use a node with its
//! own thread; [`RaftPlugin::in_schedule`] pumps one within the frames. Why: frames stop when a
//! window is hidden, elections must not. The second is for tests and for study.

mod apply;
mod command;
mod disputes;
mod matches;
mod members;
mod node;
mod plugin;
mod propose;
mod reads;
mod requests;
mod reset;
mod retry;
mod roster;
mod sessions;
mod state;
mod status;
pub mod test_app;
mod ticks;

pub use apply::{APPLY_BUDGET, ApplyCommitted, CATCHING_UP, CommittedEntry};
pub use command::{
    AddReplicatedCommand, CommandRegistry, Committed, EntryInfo, FalseCommand, ProposalId,
    ReplicatedCommand,
};
pub use disputes::HistoryDisputed;
pub use matches::{
    CurrentMatch, FailureKind, JoinMatch, MatchExt, MatchFailed, MatchState, StartMatch,
    ToolRequests, rules,
};
pub use members::{MemberInfo, Members};
pub use node::{AppliedLog, RaftClock, RaftNode};
pub use plugin::{RaftPlugin, RaftSystems};
pub use propose::{
    MAX_COMMAND, MAX_PENDING, Outbox, Outcome, PendingProposal, ProposalOutcome, ProposeExt,
    Rejection,
};
pub use reads::{MAX_READS, ReadError, ReadExt, ReadOutcome, ReadRequest};
pub use requests::{ChangeDone, ChangeError, ChangeExt, ChangeId, ChangeOutcome, MatchChange};
pub use retry::{MAX_REFUSED_RETRY, MAX_RETRY, MIN_RETRY, REFUSED_RETRY};
pub use roster::{MAX_FORMER, Participant, Roster, RosterChange, RosterChanged};
pub use sessions::{MAX_PLAYER_CLIENTS, PlayerSessions};
pub use state::{AddReplicatedState, ReplicatedState, STATE_HASH_EVERY, StateRestored};
pub use status::{RaftRole, RaftStatus, has_quorum, is_leader};
pub use ticks::{Tick, TickDemand, Ticks};

pub use raftian_node::address::Address;
pub use raftian_node::chain::ChainHead;
pub use raftian_node::checkpoint::{Checkpoint, Dispute, DisputeKind, SignedCheckpoint};
pub use raftian_node::cluster::Fingerprint;
pub use raftian_node::code::Code;
pub use raftian_node::match_request::{Part, Refusal};
pub use raftian_node::player::{Ended, MatchFolders};
pub use raftian_node::signing::{CommandKey, SignatureError};
pub use raftian_node::ticket::{MatchId, Ticket};
pub use raftian_raft::{ClientId, Index, NodeId, Stamp, Standing, Term};
/// The version of [`rand`] whose traits [`CommittedEntry::rng`] implements.
pub use rand;
pub use {raftian_node, raftian_raft};

/// The items that most games need.
pub mod prelude {
    pub use crate::{
        AddReplicatedCommand, AddReplicatedState, AppliedLog, ApplyCommitted, ChangeDone,
        ChangeExt, ChangeOutcome, Committed, CommittedEntry, CurrentMatch, FailureKind, JoinMatch,
        MatchChange, MatchExt, MatchFailed, MatchState, Members, Outcome, Part, ProposalId,
        ProposalOutcome, ProposeExt, RaftPlugin, RaftRole, RaftStatus, RaftSystems, ReadExt,
        ReadOutcome, ReplicatedCommand, ReplicatedState, RosterChanged, StartMatch, StateRestored,
        has_quorum, is_leader, test_app,
    };
}
