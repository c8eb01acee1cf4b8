//! Raft consensus as a value.
//!
//! [`Node`] is a struct: it takes an [`Input`] and the time, and returns [`Actions`] for its caller
//! to perform. It holds no socket, file, clock, thread or global, and its only randomness is a
//! ChaCha8 generator seeded from its [`Config`]. A recorded list of inputs replays a node bit for
//! bit.
//!
//! ```
//! use raftian_raft::{Config, Input, Membership, Moment, Node, NodeId, Restored, RoleKind};
//!
//! let membership = Membership::new([NodeId(1)]).unwrap();
//! let config = Config::new(NodeId(1), membership, 7);
//! let mut node = Node::new(config, Restored::default(), Moment(0)).unwrap();
//! node.step(node.wake_at(), Input::Wake);
//! let write = node.take_actions().persist.expect("it votes for itself");
//! node.step(Moment(400_000), Input::Persisted(write.number));
//! assert_eq!(node.role(), RoleKind::Leader);
//!
//! let write = node.take_actions().persist.expect("it appends the first entry of its term");
//! assert!(node.take_actions().apply.is_empty(), "an entry commits once it is durable");
//! node.step(Moment(500_000), Input::Persisted(write.number));
//! assert_eq!(node.take_actions().apply.len(), 1);
//! ```
//!
//! # References
//! Sections and figures without a name are those of Ongaro and Ousterhout, "In Search of an
//! Understandable Consensus Algorithm (Extended Version)"; "thesis" is Ongaro's "Consensus:
//! Bridging Theory and Practice". Names follow them.
//!
//! # From the paper to the code
//! Files are relative to `crates/raft/src/`. Each test is a transcript: `NAME` in the table is
//! `tests/scenarios/NAME.scenario`. AE stands for AppendEntries, RV for RequestVote.
//!
//! | Rule of figure 2 | File | Test |
//! |---|---|---|
//! | Persistent state | `disk.rs` | `durability_restarted_node_keeps_term_vote_and_log` |
//! | Volatile state | `node.rs`, `node/apply.rs` | `bug_17_no_entry_is_skipped_after_a_restart` |
//! | Volatile state on leaders | `progress.rs` | `replication_follower_that_was_down_catches_up` |
//! | AE 1: stale term | `node/follower.rs` | `election_candidate_rejects_an_older_leader` |
//! | AE 2: consistency check | `node/follower.rs` | `figure_7_a` |
//! | AE 3: conflicting entries | `node/follower.rs` | `figure_7_f` |
//! | AE 4: new entries | `node/follower.rs` | `replication_appends_out_of_order` |
//! | AE 5: commit | `node/follower.rs` | `replication_follower_commits_only_what_it_was_told_of` |
//! | RV 1: stale term | `node/election.rs` | `election_stale_request_is_rejected_with_the_term` |
//! | RV 2: granting a vote | `node/election.rs` | `election_one_vote_per_term` |
//! | All servers 1: apply | `node/apply.rs` | `replication_commands_reach_everyone_in_order` |
//! | All servers 2: later term | `node/dispatch.rs` | `election_old_leader_steps_down` |
//! | Followers 1: respond | `node/dispatch.rs` | `election_same_candidate_asks_twice` |
//! | Followers 2: election timeout | `node/timers.rs` | `election_by_timeout` |
//! | Candidates 1: start election | `node/election.rs` | `election_by_timeout` |
//! | Candidates 2: majority | `node/election.rs` | `election_first_leader` |
//! | Candidates 3: AE | `node/follower.rs` | `election_candidate_follows_the_leader_of_its_term` |
//! | Candidates 4: timeout | `node/timers.rs` | `election_split_vote` |
//! | Leaders 1: heartbeats | `node/replication.rs` | `seed_heartbeat_harms_no_follower` |
//! | Leaders 2: command | `node/proposals.rs` | `replication_commands_reach_everyone_in_order` |
//! | Leaders 3: nextIndex | `node/leader.rs` | `replication_one_refusal_per_conflicting_term` |
//! | Leaders 4: commit (5.3, 5.4.2) | `node/leader.rs` | `figure_8_overwritten` |
//!
//! | Section | File | Test |
//! |---|---|---|
//! | 5.2 leader election | `node/election.rs` | `election_minority_elects_nobody` |
//! | 5.3 log replication | `node/replication.rs` | `replication_lost_messages_are_sent_again` |
//! | 5.4.1 election restriction | `node/election.rs` | `election_later_last_term_wins` |
//! | 5.4.2 commitment | `node/leader.rs` | `figure_8_committed_by_an_entry_of_the_own_term` |
//! | 5.4.3 safety | `node/follower.rs` | `election_restricted_to_those_with_committed_entries` |
//! | 6 membership changes | `node/membership_change.rs` | `membership_joint_consensus` |
//! | 7 snapshots | `node/snapshots.rs` | `snapshot_in_chunks` |
//! | 8 exactly once | `sessions.rs` | `clients_repeat_takes_effect_once` |
//! | 8 leader's no-op | `node/leader.rs` | `commitment_new_leader_commits_what_it_inherits` |
//! | Thesis 3.10 leadership transfer | `node/leader.rs` | `transfer_to_a_named_follower` |
//! | Thesis 4.1 one server at a time | `node/membership_change.rs` | `membership_add_voter` |
//! | Thesis 4.2.1 catch-up | `node/membership_change.rs` | `membership_joining_node_is_promoted` |
//! | Thesis 4.2.3 refusal | `node/election.rs` | `timing_follower_of_a_live_leader_refuses_votes` |
//! | Thesis 6.2 check-quorum | `node/leader.rs` | `timing_leader_without_quorum_steps_down` |
//! | Thesis 6.3 sessions | `sessions.rs` | `clients_repeat_after_a_leader_change` |
//! | Thesis 6.4 ReadIndex | `node/reads.rs` | `read_at_the_leader_waits_for_a_majority` |
//! | Thesis 6.4.1 leases | `node/reads.rs` | `lease_read_needs_no_message` |
//! | Thesis 9.6 pre-vote | `node/election.rs` | `prevote_asking_enters_no_term` |
//!
//! # Deviations from the paper
//! * The RPCs are one-way messages, each with its sender's term; an answer is matched by its
//!   contents.
//! * A refused AppendEntries carries a hint (end of section 5.3), so at most one refusal is spent
//!   on each conflicting term.
//! * The commit index is sent as soon as it moves, without waiting for the next command or
//!   heartbeat.
//! * A heartbeat is answered without waiting for the follower's disk; the answer covers only
//!   entries that are already durable.
//! * Members have incarnations ([`Incarnation`]): a node that lost its disk is no longer the same
//!   member, and must join again. Founders that do not know each other's incarnations agree on them
//!   before the first term ([`Config::founders_agree`], `node/founding.rs`).
//! * A membership with one voter more or less is one entry (thesis 4.1); any other change is joint
//!   (section 6), and the leader leaves the joint configuration by itself.
//! * Pre-vote, check-quorum and leader stickiness (thesis 9.6, 6.2, 4.2.3) are on by default.
//! * A follower applies an entry only once it is on its own disk too.
//! * A leader whose disk hangs steps down.
//!
//! # Decisions
//! **Replies are deferred.** See `actions.rs`: a message that must not leave before a write is
//! durable is not returned before.
//!
//! **The log is in memory.** Decision: all entries after the last snapshot are held in memory and
//! the disk is read once, at start. Why: no storage call inside the algorithm, so no error path in
//! it. Would change if: a game's log between two snapshots outgrew memory.
//!
//! **Time advances with every input.** Decision: due timers fire at the end of any step. Why: a
//! node that is busy with messages cannot miss its own deadline. Would change if: profiles showed
//! that the check costs anything.
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
    Actions, Founding, HardState, RefusalReason, Refused, RequestError, Responses, Restored, Work,
    Write, WriteNumber,
};
pub use config::{Config, ConfigError};
pub use entry::{Bytes, Command, Entry, Payload};
pub use event::{Decision, Event, OwnDisk, StepDown, VoteRefusal};
pub use membership::{Change, Member, Membership, MembershipError, Standing};
pub use message::{
    AppendEntries, AppendReply, AppendResult, Body, InstallSnapshot, Message, Probe, SnapshotReply,
    SnapshotResult, StateHash,
};
pub use node::{Input, Node, TakenSnapshot};
pub use planted::PlantedBug;
pub use reads::{ReadAnswer, ReadId, ReadRefusal};
pub use sessions::{Sessions, Verdict};
pub use snapshot::{LogStart, Snapshot, SnapshotName};
pub use status::{FlowKind, PeerStatus, RoleKind, Status};
pub use types::{ClientId, Incarnation, Index, LogPosition, Moment, NodeId, Stamp, Term};

#[cfg(test)]
mod hashed {
    use core::hash::{Hash, Hasher};

    /// Returns a hash of `value` that is stable within one test run.
    pub(crate) fn of(value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
}
