//! The node: input in, actions out.

mod apply;
mod dispatch;
mod divergence;
mod election;
mod follower;
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

use crate::actions::{Actions, HardState, Restored, Work, WriteNumber};
use crate::config::{Config, ConfigError};
use crate::disk::Disk;
use crate::entry::{Command, Entry};
use crate::event::{Decision, Event};
use crate::log::Log;
use crate::membership::{Change, Membership};
use crate::message::{Message, StateHash};
use crate::planted::PlantedFault;
use crate::reads::{OwnReads, ReadId};
use crate::rng::Rng;
use crate::role::{Follower, Role};
use crate::snapshot::{Incoming, Snapshot};
use crate::status::RoleKind;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Term};
use alloc::vec::Vec;

use apply::ApplyState;
pub use snapshots::TakenSnapshot;

/// One member of a Raft cluster.
///
/// Feed it with [`Node::step`], then perform what [`Node::take_actions`] gives, and wake it at
/// [`Node::wake_at`]. Several steps may be taken before actions are: they share one write and one
/// round of messages. No step fails and none panics on what a peer sent; a broken invariant of the
/// node itself does panic, in release builds too.
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
    commit: Index,
    /// The state machine's side: what was handed out and what came of it.
    apply_state: ApplyState,
    role: Role,
    /// The last leader heard in any term, and when. It outlives the term: what a follower promised
    /// that leader does not end when a later term is learned of (thesis 4.2.3, 6.4.1).
    last_leader: Option<(NodeId, Moment)>,
    /// Campaigns that came to nothing since a leader was heard.
    failed_campaigns: u32,
    /// When a candidate was first refused for its priority since a leader was heard.
    preferred_since: Option<Moment>,
    /// When term or vote changed last.
    hard_state_changed: Moment,
    /// When the program last applied something, or had nothing to apply.
    applied_at: Moment,
    /// Who sent the message in hand, and which life of it.
    current_sender: Option<(NodeId, Incarnation)>,
    /// The newest snapshot, its own or a leader's.
    snapshot: Option<Snapshot>,
    /// A leader's snapshot that is still arriving.
    incoming: Option<Incoming>,
    reads: OwnReads,
    /// Round trip to the leader as it measured it, in microseconds; 0 if unknown.
    round_trip: u32,
    actions: Actions,
    /// Something happened since it was last asked what it wants done.
    work_pending: bool,
    last_observed: invariants::LastObserved,
}

/// What can happen to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A message came in. `from` is what the link knows about its sender.
    Receive {
        /// Sender.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// Commands to be replicated, in this order. Those that cannot be taken come back in
    /// [`Actions::refused`].
    Propose(Vec<Command>),
    /// Nothing but the time.
    Wake,
    /// The write of this number, and every one before it, is on disk.
    Persisted(WriteNumber),
    /// Every handed-out entry up to here has been applied. After [`Actions::restore`] only entries
    /// count that were applied to the restored state.
    Applied(Index),
    /// Hand leadership to this node, or to the best follower. Answered in
    /// [`Actions::request_results`].
    TransferLeadership(Option<NodeId>),
    /// Change the members (section 6). Answered in [`Actions::request_results`]; it is in force as
    /// soon as it is appended, and stays if it is committed.
    ChangeMembership(Change),
    /// A read that must see every command committed before now, without going through the log
    /// (thesis 6.4). Answered in [`Actions::reads`].
    Read {
        /// Names the answer.
        id: ReadId,
        /// The leader's clock may answer, if [`Config::lease_reads`] is on.
        lease: bool,
    },
    /// The state machine's state, in answer to [`Actions::snapshot_due`] or on its own account. A
    /// snapshot that was begun before the program performed a newer [`Actions::restore`] must be
    /// discarded: it is of the replaced state.
    TakeSnapshot(TakenSnapshot),
    /// The program cannot take the snapshot that [`Actions::snapshot_due`] asked for; it is asked
    /// again after [`Config::snapshot_retry`].
    DeclineSnapshot,
    /// Hash of the state machine's state after one entry, not of a state that was replaced since,
    /// at indexes that all nodes agree on, such as each 256th.
    StateHash(StateHash),
    /// The election timer fires now.
    Campaign,
}

impl Node {
    /// A node as its disk left it, at `now` on its clock. It starts as a follower.
    ///
    /// # Errors
    /// If the settings cannot work, or the restored log is not one that a node could have written.
    pub fn new(config: Config, restored: Restored, now: Moment) -> Result<Self, ConfigError> {
        config.validate()?;
        let damaged = ConfigError::DamagedLog;
        let covered = restored
            .snapshot
            .as_ref()
            .map_or(LogPosition::default(), |snapshot| snapshot.position);
        if restored.start.position > covered {
            return Err(damaged("it begins after its snapshot"));
        }
        let founding = restored
            .snapshot
            .as_ref()
            .map_or(&config.membership, |snapshot| &snapshot.membership)
            .clone();
        let log = Log::restore(restored.start, (covered.index, founding), restored.entries)
            .map_err(damaged)?;
        if log.last() < covered || log.term_at(covered.index) != Some(covered.term) {
            return Err(damaged("it does not reach its snapshot"));
        }
        if log.last().term > restored.hard_state.term {
            return Err(damaged(
                "it holds an entry of a later term than the node's own",
            ));
        }
        if restored.hard_state.term > Term::LAST {
            return Err(damaged("its term cannot exist"));
        }
        let mut rng = Rng::new(config.seed);
        let token = rng.counter_start();
        let mut disk = Disk::new(restored.hard_state, log.last().index, covered.index);
        disk.loses_truncation = config.has_planted(PlantedFault::LosesTruncation);
        let mut node = Node {
            rng,
            incarnation: restored.incarnation,
            now,
            started: now,
            hard_state: restored.hard_state,
            disk,
            commit: covered.index.max(restored.committed.min(log.last().index)),
            // The state of a snapshot is handed out before anything else.
            apply_state: ApplyState {
                restore: restored.snapshot.is_some(),
                ..ApplyState::default()
            },
            log,
            role: Role::Follower(Follower::waiting(now)),
            last_leader: None,
            failed_campaigns: 0,
            preferred_since: None,
            hard_state_changed: now,
            applied_at: now,
            current_sender: None,
            snapshot: restored.snapshot,
            incoming: None,
            // Tokens of an earlier run may still be on their way: a new run begins elsewhere.
            reads: OwnReads {
                token,
                ..OwnReads::default()
            },
            round_trip: 0,
            actions: Actions::default(),
            // A restored node hands out at once what its disk knows.
            work_pending: true,
            last_observed: invariants::LastObserved::default(),
            config,
        };
        node.wait_for_leader();
        Ok(node)
    }

    /// Takes one input at `now`, which counts as the latest known time if the clock went back.
    /// Timers that are due fire too.
    pub fn step(&mut self, now: Moment, input: Input) {
        self.now = self.now.max(now);
        self.current_sender = None;
        self.work_pending |= self.may_cause_work(&input);
        match input {
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose(commands) => self.propose(commands),
            Input::Wake => {}
            Input::Persisted(number) => self.on_persisted(number),
            Input::Applied(index) => self.on_applied(index),
            Input::TransferLeadership(to) => {
                let begun = self.transfer_leadership(to);
                self.actions.request_results.push(begun);
            }
            Input::ChangeMembership(change) => {
                let begun = self.change_membership(&change);
                self.actions.request_results.push(begun);
            }
            Input::Read { id, lease } => self.read(id, lease),
            Input::TakeSnapshot(taken) => self.take_snapshot(taken),
            Input::DeclineSnapshot => self.decline_snapshot(),
            Input::StateHash(state) => self.on_state_hash(state),
            Input::Campaign => self.on_election_timeout(),
        }
        self.fire_timers();
        self.assert_invariants();
    }

    /// Everything to be done since the last call.
    #[must_use]
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

    /// Whether there may be anything to be done: something happened since the last call, or the
    /// caller left something.
    #[must_use]
    #[inline]
    pub fn has_work(&self) -> bool {
        self.work_pending || !self.actions.is_empty()
    }

    /// The same as [`Node::take_actions`], without copies of entries.
    #[must_use]
    pub fn work(&mut self) -> Work<'_> {
        self.work_pending = false;
        self.replicate_to_all();
        let (first, count) = self.hand_out_committed();
        self.ask_for_snapshot();
        self.answer_reads();
        // What follows makes the end of the log what was written, and changes nothing else that is
        // asserted.
        self.assert_invariants();
        let persist = self
            .disk
            .flush(self.now, self.hard_state, &self.log, &mut self.actions.send);
        let apply = &self.log.from(first)[..count];
        Work {
            persist,
            apply,
            others: &mut self.actions,
        }
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Settings it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }

    /// Its term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.hard_state.term
    }

    /// The leader it knows of in its term, itself included.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Leader(_) => Some(self.config.id),
            Role::Follower(follower) => follower.leader.map(|leader| leader.id),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Its commit index.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Its last entry.
    #[must_use]
    pub fn last(&self) -> LogPosition {
        self.log.last()
    }

    /// Entries from `from` on, to look at. Empty outside the log.
    #[must_use]
    pub fn entries_from(&self, from: Index) -> &[Entry] {
        self.log.from(from.max(self.log.base().index.next()))
    }

    /// The members by the newest entry of its log that says so (section 6).
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// Which life of the node this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Where its log starts.
    #[must_use]
    pub fn log_start(&self) -> crate::snapshot::LogStart {
        self.log.start()
    }

    /// Its newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The last index reported as applied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.apply_state.applied
    }

    /// Whether the log takes no more entries until a snapshot covers some. Uncommitted ones do not
    /// count: a leader bounds them by [`Config::max_uncommitted_bytes`], and a later one may need
    /// to add an entry before any of them is committed (section 5.4.2).
    fn is_log_full(&self) -> bool {
        let uncovered = self.log.uncovered_bytes();
        self.config.max_log_bytes.is_some_and(|most| {
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

    /// The last entry that its newest snapshot covers.
    fn covered(&self) -> LogPosition {
        self.snapshot
            .as_ref()
            .map_or(LogPosition::default(), |snapshot| snapshot.position)
    }

    fn on_persisted(&mut self, number: WriteNumber) {
        let hard_state_was_durable = self.is_hard_state_durable();
        if let Some(incarnation) =
            self.disk
                .persisted(self.now, number, &self.log, &mut self.actions.send)
        {
            self.incarnation = incarnation;
        }
        if !hard_state_was_durable && self.is_hard_state_durable() {
            self.extend_election_deadline();
        }
        self.count_own_vote();
        self.advance_commit();
    }

    /// Every other node that counts in majorities.
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
