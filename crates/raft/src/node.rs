//! The node: input in, actions out.

mod election;
mod following;
mod invariants;
mod leading;
mod proposals;

use crate::actions::{Actions, HardState, Restored, WriteNumber};
use crate::config::{Config, ConfigError};
use crate::dice::Dice;
use crate::disk::Disk;
use crate::entry::{Command, Entry};
use crate::event::{Decision, Event};
use crate::log::Log;
use crate::message::{Body, Message};
use crate::role::{Follower, Role};
use crate::status::{PeerStatus, RoleKind, Status};
use crate::types::{Index, LogPosition, Moment, NodeId, Term};
use alloc::vec::Vec;

/// One member of a Raft cluster.
///
/// Feed it with [`Node::step`], then perform what [`Node::take_actions`] gives, and wake it at [`Node::wake_at`].
/// Several steps may be taken before actions are: they share one write and one round of messages. No step fails and
/// none panics on what a peer sent; a broken invariant of the node itself does panic, in release builds too.
#[derive(Clone, Debug)]
pub struct Node {
    config: Config,
    dice: Dice,
    now: Moment,
    hard_state: HardState,
    log: Log,
    disk: Disk,
    commit: Index,
    /// Last index handed out for applying.
    delivered: Index,
    /// Last index reported as applied.
    applied: Index,
    role: Role,
    actions: Actions,
    seen: invariants::Seen,
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
    /// Hand leadership to this node, or to the best follower. Ignored by nodes that do not lead.
    HandOver(Option<NodeId>),
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
        let log = Log::restore(restored.entries).map_err(ConfigError::DamagedLog)?;
        if log.last().term > restored.hard_state.term {
            return Err(ConfigError::DamagedLog("it holds an entry of a later term than the node's own"));
        }
        if restored.hard_state.term > Term::LAST {
            return Err(ConfigError::DamagedLog("its term cannot exist"));
        }
        let dice = Dice::new(config.seed);
        let mut node = Node {
            dice,
            now,
            hard_state: restored.hard_state,
            disk: Disk::new(restored.hard_state, log.last().index),
            commit: log.base().index,
            delivered: log.base().index,
            applied: log.base().index,
            log,
            role: Role::Follower(Follower { leader: None, election_deadline: now }),
            actions: Actions::default(),
            seen: invariants::Seen::default(),
            config,
        };
        let election_deadline = node.draw_election_deadline();
        node.role = Role::Follower(Follower { leader: None, election_deadline });
        Ok(node)
    }

    /// Takes one input at `now`, which counts as the latest known time if the clock went back. Timers that are due fire
    /// too.
    pub fn step(&mut self, now: Moment, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose(commands) => self.propose(commands),
            Input::Wake => {}
            Input::Persisted(number) => self.on_persisted(number),
            Input::Applied(index) => self.on_applied(index),
            Input::HandOver(to) => self.hand_over(to),
            Input::Campaign => self.on_election_timeout(),
        }
        self.fire_timers();
        self.assert_invariants();
    }

    /// Everything to be done since the last call.
    #[must_use]
    pub fn take_actions(&mut self) -> Actions {
        self.replicate_to_all();
        self.actions.persist = self.disk.flush(self.now, self.hard_state, &self.log, &mut self.actions.send);
        self.hand_out_committed();
        self.assert_invariants();
        core::mem::take(&mut self.actions)
    }

    /// When the node must be stepped again if nothing else happens: exact, no polling tick.
    #[must_use]
    pub fn wake_at(&self) -> Moment {
        match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => campaign.election_deadline,
            Role::Leader(leader) => {
                let hand_over = leader.hand_over.as_ref().map(|hand_over| hand_over.deadline);
                hand_over.map_or(leader.heartbeat_due, |deadline| deadline.min(leader.heartbeat_due))
            }
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

    /// What it looks like from outside.
    #[must_use]
    pub fn status(&self) -> Status {
        let peers = match &self.role {
            Role::Leader(leader) => leader.peers.iter().map(|(id, progress)| PeerStatus {
                id: *id,
                matched: progress.matched,
                next: progress.next,
                round_trip: progress.round_trip,
                silent_for: self.now.since(progress.heard),
            }),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => return self.status_with(Vec::new()),
        };
        self.status_with(peers.collect())
    }

    fn status_with(&self, peers: Vec<PeerStatus>) -> Status {
        Status {
            id: self.config.id,
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            role: self.role.kind(),
            leader: self.leader(),
            commit: self.commit,
            applied: self.applied,
            last: self.log.last(),
            durable: self.disk.durable(),
            stamp: self.log.last_stamp(),
            deadline: self.wake_at(),
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
            Role::Follower(follower) => follower.leader.map(|(leader, _)| leader),
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

    /// Takes a message through the gate: the sender must be a member, and terms are compared (section 5.1).
    fn receive(&mut self, from: NodeId, message: Message) {
        if from == self.config.id || !self.config.membership.contains(from) {
            return self.ignore(from, "its sender is not another member");
        }
        let Message { term, body } = message;
        if term > Term::LAST {
            return self.ignore(from, "its term cannot exist");
        }
        if term > self.hard_state.term && !matches!(body, Body::PreVote { .. } | Body::PreVoteReply { granted: true }) {
            if let Body::RequestVote { transfer: false, .. } = body
                && let Some(leader) = self.live_leader_other_than(from)
            {
                // "If a server receives a RequestVote request within the minimum election timeout of hearing from a
                // current leader, it does not update its term or grant its vote" (thesis 4.2.3).
                return self.refuse_vote(from, false, crate::event::VoteRefusal::LeaderAlive(leader));
            }
            self.enter_later_term(term, from);
        }
        match body {
            Body::PreVote { last } => self.on_pre_vote(from, term, last),
            Body::PreVoteReply { granted } => self.on_pre_vote_reply(from, term, granted),
            Body::RequestVote { last, .. } => self.on_request_vote(from, term, last),
            Body::VoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::AppendEntries(append) => self.on_append_entries(from, term, append),
            Body::AppendReply(reply) => self.on_append_reply(from, term, reply),
            Body::TimeoutNow => self.on_timeout_now(from, term),
            Body::Forward { commands } => self.on_forward(commands),
        }
    }

    fn on_persisted(&mut self, number: WriteNumber) {
        self.disk.persisted(self.now, number, &self.log, &mut self.actions.send);
        self.count_own_vote();
        self.advance_commit();
    }

    fn on_applied(&mut self, index: Index) {
        assert!(index <= self.delivered, "an entry was applied that was never handed out");
        self.applied = self.applied.max(index);
    }

    /// Hands out what is committed, on this node's own disk, and within the apply window.
    fn hand_out_committed(&mut self) {
        let window = Index(self.applied.0.saturating_add(self.config.apply_window as u64));
        let end = self.commit.min(self.disk.durable()).min(window);
        if end > self.delivered {
            let count = (end.0 - self.delivered.0) as usize;
            self.actions.apply.extend_from_slice(&self.log.from(self.delivered.next())[..count]);
            self.delivered = end;
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
    }

    /// "Election timeouts are chosen randomly from a fixed interval" (section 5.2), anew each time.
    fn draw_election_deadline(&mut self) -> Moment {
        let timeout = self.dice.duration(self.config.election_timeout);
        self.now.after(timeout)
    }

    fn others(&self) -> Vec<NodeId> {
        self.config.membership.voters().filter(|id| *id != self.config.id).collect()
    }

    /// Sends a message that promises nothing.
    fn send(&mut self, to: NodeId, body: Body) {
        self.actions.send.push((to, Message { term: self.hard_state.term, body }));
    }

    /// Sends a message once everything known now is on disk.
    fn promise(&mut self, to: NodeId, body: Body) {
        self.disk.promise(to, Message { term: self.hard_state.term, body });
    }

    fn note(&mut self, decision: Decision) {
        self.actions.events.push(Event { at: self.now, term: self.hard_state.term, decision });
    }

    fn ignore(&mut self, from: NodeId, what: &'static str) {
        self.note(Decision::IgnoredNonsense { from, what });
    }
}
