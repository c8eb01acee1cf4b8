//! The node: input in, actions out.

mod changes;
mod election;
mod following;
mod invariants;
mod leading;
mod proposals;
mod reads;
mod sending;
mod snapshots;
mod states;

use crate::actions::{Actions, HardState, Restored, WriteNumber};
use crate::config::{Config, ConfigError};
use crate::dice::Dice;
use crate::disk::Disk;
use crate::entry::{Command, Entry};
use crate::event::{Decision, Event};
use crate::log::Log;
use crate::membership::{Change, Membership};
use crate::message::{Body, Message, StateHash};
use crate::progress::{Flow, Progress};
use crate::reads::{OwnReads, ReadId};
use crate::role::{Follower, KnownLeader, Role};
use crate::snapshot::{Incoming, Snapshot};
use crate::status::{FlowKind, PeerStatus, RoleKind, Status};
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Term};
use alloc::vec::Vec;

pub use snapshots::TakenSnapshot;

/// One member of a Raft cluster.
///
/// Feed it with [`Node::step`], then perform what [`Node::take_actions`] gives, and wake it at [`Node::wake_at`].
/// Several steps may be taken before actions are: they share one write and one round of messages. No step fails and
/// none panics on what a peer sent; a broken invariant of the node itself does panic, in release builds too.
#[derive(Clone, Debug)]
pub struct Node {
    config: Config,
    incarnation: Incarnation,
    dice: Dice,
    now: Moment,
    started: Moment,
    hard_state: HardState,
    log: Log,
    disk: Disk,
    commit: Index,
    /// The state machine's side: what was handed out and what came of it.
    machine: Machine,
    role: Role,
    /// Who sent the message in hand, and which life of it.
    speaker: Option<(NodeId, Incarnation)>,
    /// The newest snapshot, its own or a leader's.
    snapshot: Option<Snapshot>,
    /// A leader's snapshot that is still arriving.
    incoming: Option<Incoming>,
    reads: OwnReads,
    /// Round trip to the leader as it measured it, in microseconds; 0 if unknown.
    round_trip: u32,
    actions: Actions,
    seen: invariants::Seen,
}

/// What the state machine above was given, and what it said.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// Last index handed out for applying.
    delivered: Index,
    /// Last index reported as applied.
    applied: Index,
    /// Highest index ever handed out in this run; a repair takes `delivered` back.
    highest: Index,
    /// The newest snapshot must be handed out before any more entries.
    restore: bool,
    /// A snapshot was asked for and has not come.
    snapshot_asked: bool,
    /// Bytes of entries handed out since the newest snapshot.
    bytes: usize,
    /// Its newest state hashes, oldest first.
    hashes: alloc::collections::VecDeque<StateHash>,
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
    /// Commands to be replicated, in this order. Those that cannot be taken come back in [`Actions::refused`].
    Propose(Vec<Command>),
    /// Nothing but the time.
    Wake,
    /// The write of this number, and every one before it, is on disk.
    Persisted(WriteNumber),
    /// Every handed-out entry up to here has been applied.
    Applied(Index),
    /// Hand leadership to this node, or to the best follower. Answered in [`Actions::orders`].
    HandOver(Option<NodeId>),
    /// Change the members (section 6). Answered in [`Actions::orders`]; it is in force as soon as it is appended, and
    /// stays if it is committed.
    ChangeMembership(Change),
    /// A read that must see every command committed before now, without going through the log (thesis 6.4). Answered in
    /// [`Actions::reads`].
    Read {
        /// Names the answer.
        id: ReadId,
        /// The leader's clock may answer, if [`Config::lease_reads`] is on.
        lease: bool,
    },
    /// The state machine's state, in answer to [`Actions::snapshot_due`] or on its own account.
    TakeSnapshot(TakenSnapshot),
    /// Hash of the state machine's state after one entry, at indexes that all nodes agree on, such as each 256th.
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
        let covered = restored.snapshot.as_ref().map_or(LogPosition::default(), |snapshot| snapshot.position);
        if restored.start.position > covered {
            return Err(damaged("it begins after its snapshot"));
        }
        let founding = restored.snapshot.as_ref().map_or(&config.membership, |snapshot| &snapshot.membership).clone();
        let log = Log::restore(restored.start, (covered.index, founding), restored.entries).map_err(damaged)?;
        if log.last() < covered || log.term_at(covered.index) != Some(covered.term) {
            return Err(damaged("it does not reach its snapshot"));
        }
        if log.last().term > restored.hard_state.term {
            return Err(damaged("it holds an entry of a later term than the node's own"));
        }
        if restored.hard_state.term > Term::LAST {
            return Err(damaged("its term cannot exist"));
        }
        let mut dice = Dice::new(config.seed);
        let token = dice.number();
        let mut node = Node {
            dice,
            incarnation: restored.incarnation,
            now,
            started: now,
            hard_state: restored.hard_state,
            disk: Disk::new(restored.hard_state, log.last().index, covered.index),
            commit: covered.index,
            // The state of a snapshot is handed out before anything else.
            machine: Machine { restore: restored.snapshot.is_some(), ..Machine::default() },
            log,
            role: Role::Follower(Follower::waiting(now)),
            speaker: None,
            snapshot: restored.snapshot,
            incoming: None,
            // Tokens of an earlier run may still be on their way: a new run begins elsewhere.
            reads: OwnReads { token, ..OwnReads::default() },
            round_trip: 0,
            actions: Actions::default(),
            seen: invariants::Seen::default(),
            config,
        };
        node.wait_for_leader();
        Ok(node)
    }

    /// Takes one input at `now`, which counts as the latest known time if the clock went back. Timers that are due fire
    /// too.
    pub fn step(&mut self, now: Moment, input: Input) {
        self.now = self.now.max(now);
        self.speaker = None;
        match input {
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose(commands) => self.propose(commands),
            Input::Wake => {}
            Input::Persisted(number) => self.on_persisted(number),
            Input::Applied(index) => self.on_applied(index),
            Input::HandOver(to) => {
                let begun = self.hand_over(to);
                self.actions.orders.push(begun);
            }
            Input::ChangeMembership(change) => {
                let begun = self.change_membership(&change);
                self.actions.orders.push(begun);
            }
            Input::Read { id, lease } => self.read(id, lease),
            Input::TakeSnapshot(taken) => self.take_snapshot(taken),
            Input::StateHash(state) => self.on_state_hash(state),
            Input::Campaign => self.on_election_timeout(),
        }
        self.fire_timers();
        self.assert_invariants();
    }

    /// Everything to be done since the last call.
    #[must_use]
    pub fn take_actions(&mut self) -> Actions {
        self.replicate_to_all();
        self.hand_out_committed();
        self.ask_for_snapshot();
        self.answer_reads();
        self.actions.persist = self.disk.flush(self.now, self.hard_state, &self.log, &mut self.actions.send);
        self.assert_invariants();
        core::mem::take(&mut self.actions)
    }

    /// When the node must be stepped again if nothing else happens: exact, no polling tick.
    #[must_use]
    pub fn wake_at(&self) -> Moment {
        let timer = match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => campaign.election_deadline,
            Role::Leader(leader) => {
                let hand_over = leader.hand_over.as_ref().map(|hand_over| hand_over.deadline);
                hand_over.map_or(leader.heartbeat_due, |deadline| deadline.min(leader.heartbeat_due))
            }
        };
        self.reads.deadline().map_or(timer, |deadline| deadline.min(timer))
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

    /// What it looks like from outside.
    #[must_use]
    pub fn status(&self) -> Status {
        let peer = |(id, progress): (&NodeId, &Progress)| PeerStatus {
            id: *id,
            matched: progress.matched,
            next: progress.next,
            round_trip: progress.round_trip.last,
            silent_for: self.now.since(progress.heard),
            flow: match &progress.flow {
                Flow::Probe { .. } => FlowKind::Probe,
                Flow::Replicate(_) => FlowKind::Replicate,
                Flow::Snapshot(transfer) => {
                    FlowKind::Snapshot { received: transfer.received, size: transfer.name.size }
                }
            },
        };
        let peers = match &self.role {
            Role::Leader(leader) => leader.peers.iter().map(peer).collect(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => Vec::new(),
        };
        Status {
            id: self.config.id,
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            role: self.role.kind(),
            leader: self.leader(),
            commit: self.commit,
            applied: self.machine.applied,
            last: self.log.last(),
            durable: self.disk.durable(),
            stamp: self.log.last_stamp(),
            deadline: self.wake_at(),
            membership: self.log.membership().clone(),
            membership_index: self.log.membership_index(),
            snapshot: self.covered().index,
            log_after: self.log.base().index,
            incarnation: self.incarnation,
            peers,
        }
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
        self.machine.applied
    }

    /// The last entry that its newest snapshot covers.
    fn covered(&self) -> LogPosition {
        self.snapshot.as_ref().map_or(LogPosition::default(), |snapshot| snapshot.position)
    }

    /// Takes a message through the gate: it must be for this life of this node, an answer must come from a member, and
    /// terms are compared (section 5.1). A request may come from a node this one does not know as a member yet, or not
    /// any more: "servers process incoming RPC requests without consulting their current configurations" (thesis 4.1).
    fn receive(&mut self, from: NodeId, message: Message) {
        if from == self.config.id {
            return self.ignore(from, "its sender is not another node");
        }
        self.speaker = Some((from, message.sender));
        if message.receiver != self.incarnation {
            return self.on_misaddressed(from, &message);
        }
        let Message { term, sender, body, .. } = message;
        if !body.is_request() {
            match self.log.membership().member(from) {
                Some(member) if member.incarnation == sender => {}
                Some(_) => return self.note(Decision::MetStranger { peer: from, incarnation: sender }),
                None => return self.ignore(from, "its sender is no member"),
            }
        }
        if term > Term::LAST {
            return self.ignore(from, "its term cannot exist");
        }
        if term > self.hard_state.term && !matches!(body, Body::PreVote { .. } | Body::PreVoteReply { granted: true }) {
            if let Body::RequestVote { transfer: false, .. } = body
                && let Some(because) = self.leader_hindrance(from)
            {
                // "If a server receives a RequestVote request within the minimum election timeout of hearing from a
                // current leader, it does not update its term or grant its vote" (thesis 4.2.3).
                return self.refuse_vote(from, false, because);
            }
            self.enter_later_term(term, from);
        }
        match body {
            Body::PreVote { last, priority } => self.on_pre_vote(from, term, last, priority),
            Body::PreVoteReply { granted } => self.on_pre_vote_reply(from, term, granted),
            Body::RequestVote { last, transfer, priority } => {
                self.on_request_vote(from, term, last, (!transfer).then_some(priority));
            }
            Body::VoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::AppendEntries(append) => self.on_append_entries(from, term, append),
            Body::AppendReply(reply) => self.on_append_reply(from, term, reply),
            Body::InstallSnapshot(part) => self.on_install_snapshot(from, term, part),
            Body::SnapshotReply(reply) => self.on_snapshot_reply(from, term, reply),
            Body::TimeoutNow => self.on_timeout_now(from, term),
            Body::Forward { commands } => self.on_forward(commands),
            Body::Read { token } => self.on_read(from, token),
            Body::ReadReply { token, index } => self.on_read_reply(term, token, index),
        }
    }

    /// Somebody means an earlier life of this node, or a later one. Its disk is not the one that life promised on, so it
    /// must not answer for it; a leader is told who is there instead.
    fn on_misaddressed(&mut self, from: NodeId, message: &Message) {
        if let Body::AppendEntries(append) = &message.body
            && append.probe.is_some()
        {
            self.note(Decision::IsStranger { peer: from });
            self.reply_conflict(from, append.previous, None);
        }
    }

    fn on_persisted(&mut self, number: WriteNumber) {
        self.disk.persisted(self.now, number, &self.log, &mut self.actions.send);
        self.count_own_vote();
        self.advance_commit();
    }

    fn on_applied(&mut self, index: Index) {
        let machine = &mut self.machine;
        assert!(index <= machine.highest, "an entry was applied that was never handed out");
        // What was handed out before a repair may be reported after it.
        machine.applied = machine.applied.max(index.min(machine.delivered));
    }

    /// Hands out what is committed, on this node's own disk, and within the apply window; a snapshot first.
    fn hand_out_committed(&mut self) {
        if self.machine.restore {
            let Some(snapshot) = &self.snapshot else { unreachable!("a snapshot is restored only if there is one") };
            let covered = snapshot.position.index;
            if self.disk.durable_snapshot() < covered {
                return;
            }
            self.machine.restore = false;
            self.machine.delivered = covered;
            self.machine.highest = self.machine.highest.max(covered);
            self.machine.bytes = 0;
            if snapshot.data.is_some() {
                self.actions.restore = Some(snapshot.clone());
            } else {
                self.machine.applied = covered;
            }
        }
        let machine = &mut self.machine;
        let window = Index(machine.applied.0.saturating_add(self.config.apply_window as u64));
        let keeps_state = self.log.membership().member(self.config.id).is_none_or(|member| !member.is_witness())
            && self.log.is_whole_after(machine.delivered);
        let durable = self.commit.min(self.disk.durable());
        let end = if keeps_state { durable.min(window) } else { durable };
        if end <= machine.delivered {
            return;
        }
        let count = (end.0 - machine.delivered.0) as usize;
        let entries = &self.log.from(machine.delivered.next())[..count];
        if self.config.snapshot_bytes.is_some() {
            machine.bytes += entries.iter().map(Entry::size).sum::<usize>();
        }
        machine.delivered = end;
        machine.highest = machine.highest.max(end);
        if keeps_state {
            self.actions.apply.extend_from_slice(entries);
        } else {
            // A witness has nothing to apply.
            machine.applied = end;
        }
    }

    fn fire_timers(&mut self) {
        match &self.role {
            Role::Follower(Follower { election_deadline, .. }) if *election_deadline <= self.now => {
                self.on_election_timeout();
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) if campaign.election_deadline <= self.now => {
                self.on_election_timeout();
            }
            Role::Leader(_) => self.fire_leader_timers(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
        self.give_up_reads();
    }

    /// "Election timeouts are chosen randomly from a fixed interval" (section 5.2), anew each time; from one that follows
    /// the measured round trips if the settings say so.
    fn draw_election_deadline(&mut self) -> Moment {
        let range = match self.config.adaptive_timeout {
            Some((floor, ceiling)) if self.round_trip > 0 => {
                let round_trip = core::time::Duration::from_micros(u64::from(self.round_trip));
                let shortest = ((self.config.heartbeat + round_trip) * 2).clamp(floor, ceiling);
                (shortest, shortest * 2)
            }
            Some(_) | None => self.config.election_timeout,
        };
        let timeout = self.dice.duration(range);
        self.now.after(timeout)
    }

    /// Becomes a follower that knows no leader and waits for one.
    fn wait_for_leader(&mut self) {
        let election_deadline = self.draw_election_deadline();
        self.role = Role::Follower(Follower::waiting(election_deadline));
    }

    /// Every other node that counts in majorities.
    fn other_voters(&self) -> Vec<NodeId> {
        let voters = self.log.membership().members().filter(|(id, member)| *id != self.config.id && member.votes());
        voters.map(|(id, _)| id).collect()
    }

    /// Which life of another node a message to it means: the one it was last heard as in this matter, or the one the
    /// members know.
    fn life_of(&self, id: NodeId) -> Incarnation {
        match (&self.role, self.speaker) {
            (_, Some((speaker, incarnation))) if speaker == id => incarnation,
            (Role::Follower(Follower { leader: Some(KnownLeader { id: leader, incarnation, .. }), .. }), _)
                if *leader == id =>
            {
                *incarnation
            }
            _ => self.log.membership().member(id).map_or(Incarnation::default(), |member| member.incarnation),
        }
    }

    fn message(&self, to: NodeId, term: Term, body: Body) -> Message {
        Message { term, sender: self.incarnation, receiver: self.life_of(to), body }
    }

    /// Sends a message that promises nothing.
    fn send(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, self.hard_state.term, body);
        self.actions.send.push((to, message));
    }

    /// Sends a message once everything known now is on disk.
    fn promise(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, self.hard_state.term, body);
        self.disk.promise(to, message);
    }

    fn note(&mut self, decision: Decision) {
        self.actions.events.push(Event { at: self.now, term: self.hard_state.term, decision });
    }

    fn ignore(&mut self, from: NodeId, what: &'static str) {
        self.note(Decision::IgnoredNonsense { from, what });
    }
}
