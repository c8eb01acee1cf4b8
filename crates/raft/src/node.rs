//! The Raft node: takes inputs and produces actions.

mod apply;
mod dispatch;
mod divergence;
mod election;
mod follower;
mod founding;
mod incarnations;
mod invariants;
mod leader;
mod membership_change;
mod model_hash;
mod proposals;
mod reads;
mod replication;
mod snapshots;
mod status;
mod timers;

#[cfg(doc)]
use crate::actions::Responses;
use crate::actions::{Actions, Founding, HardState, Restored, Work, WriteNumber};
use crate::config::{Config, ConfigError};
use crate::disk::Disk;
use crate::entry::{Command, Entry};
use crate::event::{Decision, Event};
use crate::log::Log;
use crate::membership::{Change, Membership};
use crate::message::{Message, StateHash};
use crate::planted::PlantedBug;
use crate::reads::{OwnReads, ReadId};
use crate::rng::Rng;
use crate::role::{Follower, Role};
use crate::snapshot::{Incoming, LogStart, Snapshot};
use crate::status::RoleKind;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Term};
use alloc::vec::Vec;

use apply::ApplyState;
use founding::Agreement;
pub use snapshots::TakenSnapshot;

/// One member of a Raft cluster.
///
/// Feed it with [`Node::step`], perform the actions that [`Node::take_actions`] returns, and wake
/// it at [`Node::wake_at`]. Several steps may precede one call of `take_actions`: they share one
/// write and one round of messages. A step never fails, and no message from a peer makes it panic;
/// a broken invariant of the node itself does panic, in release builds too.
#[doc(alias = "RawNode")]
#[doc(alias = "RaftNode")]
#[derive(Clone, Debug)]
pub struct Node {
    config: Config,
    incarnation: Incarnation,
    rng: Rng,
    now: Moment,
    started: Moment,
    hard_state: HardState,
    log: Log,
    disk: Disk,
    /// Agreement of the founders, until the cluster is founded.
    agreement: Option<Agreement>,
    commit: Index,
    /// Progress of the state machine: entries delivered and applied.
    apply_state: ApplyState,
    role: Role,
    /// The last leader to make contact, in any term, and the time of the contact. It outlives the
    /// term: a follower's commitment not to vote does not end when it learns of a later term
    /// (thesis 4.2.3, 6.4.1).
    last_leader: Option<(NodeId, Moment)>,
    /// Failed campaigns since the last contact with a leader.
    failed_campaigns: u32,
    /// First refusal of a candidate for its priority since the last contact with a leader.
    preferred_since: Option<Moment>,
    /// Time of the last change of term or vote.
    hard_state_changed: Moment,
    /// Last time the program applied an entry or had none to apply.
    applied_at: Moment,
    /// Sender of the message being processed, and its incarnation.
    current_sender: Option<(NodeId, Incarnation)>,
    /// The newest snapshot, taken here or received from a leader.
    snapshot: Option<Snapshot>,
    /// A leader's snapshot that is partly received.
    incoming: Option<Incoming>,
    reads: OwnReads,
    /// Round trip to the leader, as measured by the leader, in microseconds; 0 if unknown.
    round_trip: u32,
    actions: Actions,
    /// Whether a step since the last [`Node::work`] may have produced work.
    work_pending: bool,
    last_observed: invariants::LastObserved,
}

/// Input of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A message arrived. `from` is the sender as identified by the link.
    Receive {
        /// Sender.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// Commands to replicate, in this order. Refused ones are returned in [`Responses::refused`].
    Propose(Vec<Command>),
    /// Passage of time only.
    Wake,
    /// The write of this number, and every one before it, is on disk.
    Persisted(WriteNumber),
    /// Every delivered entry up to this index has been applied. After [`Actions::restore`] only
    /// entries applied to the restored state count.
    Applied(Index),
    /// Transfer leadership to this node, or to the best follower. The result is returned in
    /// [`Responses::request_results`].
    TransferLeadership(Option<NodeId>),
    /// Change the membership (section 6). The result is returned in [`Responses::request_results`];
    /// the change takes effect when it is appended and becomes permanent when it is committed.
    ChangeMembership(Change),
    /// A read that must see every command committed before now, without going through the log
    /// (thesis 6.4). The result is returned in [`Responses::reads`].
    Read {
        /// Identifies the answer.
        id: ReadId,
        /// Allows a lease read, by the leader's clock, if [`Config::lease_reads`] is on.
        lease: bool,
    },
    /// A snapshot of the state machine, requested by [`Responses::snapshot_due`] or unsolicited.
    /// The program must discard one that it began before a newer [`Actions::restore`]: it holds the
    /// replaced state.
    TakeSnapshot(TakenSnapshot),
    /// The program cannot take the snapshot that [`Responses::snapshot_due`] requested; the request
    /// is repeated after [`Config::snapshot_retry`].
    DeclineSnapshot,
    /// Hash of the state machine after one entry, at indexes common to all nodes, such as every
    /// 256th. It must not be the hash of a state that was replaced since.
    StateHash(StateHash),
    /// The election timer fires now.
    Campaign,
}

impl Node {
    /// Restores a node from its disk, at `now` on its clock. It starts as a follower.
    ///
    /// # Errors
    /// Returns an error if the settings are invalid or no node could have written the restored log.
    pub fn new(mut config: Config, restored: Restored, now: Moment) -> Result<Self, ConfigError> {
        config.validate()?;
        let damaged = ConfigError::DamagedLog;
        let agreement = match restored.founding {
            Founding::Agreed(membership) => {
                config.membership = membership;
                None
            }
            Founding::Pending(_) if !config.founders_agree => None,
            Founding::Pending(recorded) => {
                let has_acted = restored.hard_state != HardState::default()
                    || restored.snapshot.is_some()
                    || restored.start != LogStart::default()
                    || !restored.entries.is_empty();
                if has_acted {
                    return Err(damaged(
                        "it has a term, a snapshot or entries, but no founding membership",
                    ));
                }
                let own = (config.id, restored.incarnation);
                Some(Agreement::new(own, &config.membership, recorded, now)?)
            }
        };
        let covered = restored
            .snapshot
            .as_ref()
            .map_or(LogPosition::default(), |snapshot| snapshot.position);
        // The entries between snapshot and log would be missing, so no state could be rebuilt.
        if restored.start.position > covered {
            return Err(damaged("it starts after the end of its snapshot"));
        }
        // The snapshot's membership takes precedence: the entry that set it may be compacted.
        let founding = restored
            .snapshot
            .as_ref()
            .map_or(&config.membership, |snapshot| &snapshot.membership)
            .clone();
        let log = Log::restore(restored.start, (covered.index, founding), restored.entries)
            .map_err(damaged)?;
        // Snapshot and log are written atomically, so a mismatch is damage and not a crash between
        // two writes.
        if log.last() < covered || log.term_at(covered.index) != Some(covered.term) {
            return Err(damaged("it does not match its snapshot"));
        }
        // A node enters a term before it appends an entry of that term (section 5.1).
        if log.last().term > restored.hard_state.term {
            return Err(damaged(
                "it contains an entry of a later term than the node's own",
            ));
        }
        // No node enters a later term: a pre-vote must still be able to name the next one.
        if restored.hard_state.term > Term::LAST {
            return Err(damaged("its term is out of range"));
        }
        let mut rng = Rng::new(config.seed);
        let token = rng.counter_start();
        let mut disk = Disk::new(restored.hard_state, log.last().index, covered.index);
        disk.loses_truncation = config.has_planted(PlantedBug::LosesTruncation);
        let mut node = Node {
            rng,
            incarnation: restored.incarnation,
            now,
            started: now,
            hard_state: restored.hard_state,
            disk,
            agreement,
            // A snapshot covers only committed entries. The restored index is a hint, bounded by
            // the log.
            commit: covered.index.max(restored.committed.min(log.last().index)),
            // The snapshot must be restored before any entry is applied.
            apply_state: ApplyState {
                restore: restored.snapshot.is_some(),
                ..ApplyState::default()
            },
            log,
            // A placeholder: `wait_for_leader` below draws the timeout, for which it needs the
            // whole node.
            role: Role::Follower(Follower::waiting(now)),
            last_leader: None,
            failed_campaigns: 0,
            preferred_since: None,
            hard_state_changed: now,
            applied_at: now,
            current_sender: None,
            snapshot: restored.snapshot,
            incoming: None,
            // Replies to an earlier run may still be in flight, so tokens start at a random value.
            reads: OwnReads {
                token,
                ..OwnReads::default()
            },
            round_trip: 0,
            actions: Actions::default(),
            // The snapshot and the entries known to be committed can be delivered at once.
            work_pending: true,
            last_observed: invariants::LastObserved::default(),
            config,
        };
        node.wait_for_leader();
        node.begin_founding();
        Ok(node)
    }

    /// Processes one input at time `now`, then fires the timers that are due. If the clock went
    /// back, the latest known time is used instead.
    pub fn step(&mut self, now: Moment, input: Input) {
        self.now = self.now.max(now);
        // Outside of `receive` no message may be addressed to the incarnation of an earlier sender.
        self.current_sender = None;
        self.work_pending |= self.may_cause_work(&input);
        match input {
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose(commands) => self.propose(commands),
            // Timers fire after every input, so nothing is left to do.
            Input::Wake => {}
            Input::Persisted(number) => self.on_persisted(number),
            Input::Applied(index) => self.on_applied(index),
            Input::TransferLeadership(to) => {
                let begun = self.transfer_leadership(to);
                self.actions.responses.request_results.push(begun);
            }
            Input::ChangeMembership(change) => {
                let begun = self.change_membership(&change);
                self.actions.responses.request_results.push(begun);
            }
            Input::Read { id, lease } => self.read(id, lease),
            Input::TakeSnapshot(taken) => self.take_snapshot(taken),
            Input::DeclineSnapshot => self.decline_snapshot(),
            Input::StateHash(state) => self.on_state_hash(state),
            Input::Campaign => self.on_election_timeout(),
        }
        // Timers come last: a heartbeat that has just arrived must prevent a due election.
        self.fire_timers();
        self.assert_invariants();
    }

    /// Returns the actions produced since the last call, which the caller must perform.
    #[must_use = "messages and writes are lost unless they are performed"]
    pub fn take_actions(&mut self) -> Actions {
        let Work {
            persist,
            apply,
            others,
        } = self.work();
        Actions {
            persist: persist.map(|write| write.map(<[Entry]>::to_vec)),
            apply: apply.to_vec(),
            ..core::mem::take(others)
        }
    }

    /// Whether [`Node::take_actions`] may return work: an input arrived since the last call, or the
    /// caller left actions untaken.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.work_pending || !self.actions.is_empty()
    }

    /// Borrowed form of [`Node::take_actions`], which copies no entries.
    #[must_use]
    pub fn work(&mut self) -> Work<'_> {
        self.work_pending = false;
        // Replication may request a snapshot and confirm reads, and delivery advances a witness's
        // applied index. So both precede the steps that depend on them, and the flush comes last.
        self.replicate_to_all();
        let (first, count) = self.deliver_committed();
        self.ask_for_snapshot();
        self.answer_reads();
        // The flush below only advances the end of the written log, so the invariants hold after it
        // too.
        self.assert_invariants();
        let persist = self
            .disk
            .flush(self.now, self.hard_state, &self.log, &mut self.actions.send);
        // The entries are still in the log: of the steps above only a witness's snapshot compacts,
        // and a witness delivers nothing.
        let apply = &self.log.from(first)[..count];
        Work {
            persist,
            apply,
            others: &mut self.actions,
        }
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Configuration of this node.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Current role.
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }

    /// Current term.
    pub fn term(&self) -> Term {
        self.hard_state.term
    }

    /// The known leader of the current term, which may be this node.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.config.id),
            Role::Follower(follower) => follower.leader.map(|leader| leader.id),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Commit index.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Position of the last log entry.
    pub fn last(&self) -> LogPosition {
        self.log.last()
    }

    /// Log entries from `from` on: the whole log if it starts later, none if it ends earlier.
    pub fn entries_from(&self, from: Index) -> &[Entry] {
        self.log.from(from.max(self.log.base().index.next()))
    }

    /// Membership by the newest membership entry of the log (section 6).
    pub fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// Index of the newest membership entry; 0 for the founding members.
    pub fn membership_index(&self) -> Index {
        self.log.membership_index()
    }

    /// Incarnation of this node.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Start of the log.
    pub fn log_start(&self) -> crate::snapshot::LogStart {
        self.log.start()
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The last index reported as applied.
    pub fn applied(&self) -> Index {
        self.apply_state.applied
    }

    /// Whether the log accepts no more entries until a snapshot covers some. Uncommitted entries do
    /// not count: a leader bounds them by [`Config::max_uncommitted_bytes`], and a later leader may
    /// have to append an entry before it can commit any of them (section 5.4.2).
    fn is_log_full(&self) -> bool {
        let uncovered = self.log.uncovered_bytes();
        self.config.max_log_bytes.is_some_and(|most| {
            // The first comparison usually fails, so the walk over the uncommitted entries is rare.
            uncovered >= most
                && uncovered
                    - self
                        .log
                        .from(self.commit.next())
                        .iter()
                        .map(Entry::size)
                        .sum::<usize>()
                    >= most
        })
    }

    fn is_hard_state_durable(&self) -> bool {
        self.disk.durable_hard_state() == self.hard_state
    }

    /// Position of the last entry covered by the newest snapshot.
    fn covered(&self) -> LogPosition {
        self.snapshot
            .as_ref()
            .map_or(LogPosition::default(), |snapshot| snapshot.position)
    }

    fn on_persisted(&mut self, number: WriteNumber) {
        let hard_state_was_durable = self.is_hard_state_durable();
        let founding_was_durable = self.disk.is_founding_durable();
        if let Some(incarnation) =
            self.disk
                .persisted(self.now, number, &self.log, &mut self.actions.send)
        {
            // Not before the write is durable: a crash would bring the old incarnation back.
            self.incarnation = incarnation;
        }
        if !hard_state_was_durable && self.is_hard_state_durable() {
            // The disk took part of the election timeout, so it must not count against this
            // election.
            self.extend_election_deadline();
        }
        if !founding_was_durable && self.disk.is_founding_durable() {
            self.send_record();
        }
        // Both count only durable state of this node: its vote for itself and its own entries.
        self.count_own_vote();
        self.advance_commit();
    }

    /// Every other node that counts towards a majority.
    fn other_voters(&self) -> Vec<NodeId> {
        let voters = self
            .log
            .membership()
            .members()
            .filter(|(id, member)| *id != self.config.id && member.votes());
        voters.map(|(id, _)| id).collect()
    }

    fn note(&mut self, decision: Decision) {
        self.actions.events.push(Event {
            at: self.now,
            term: self.hard_state.term,
            decision,
        });
    }

    fn ignore(&mut self, from: NodeId, what: &'static str) {
        self.note(Decision::IgnoredInvalidMessage { from, what });
    }
}

#[cfg(test)]
mod tests;
