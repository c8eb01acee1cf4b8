//! The leader's side: replication (section 5.3), commitment (5.4.2), heartbeats, check-quorum (thesis 6.2) and
//! hand-over (thesis 3.10).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Node;
use crate::config::Config;
use crate::entry::{Entry, Payload};
use crate::event::{Decision, StepDown};
use crate::log::Log;
use crate::message::{AppendEntries, AppendReply, AppendResult, Body, Message};
use crate::progress::{Flow, Progress};
use crate::role::{HandOver, Leader, Role};
use crate::types::{Index, LogPosition, Moment, NodeId, Term};

impl Node {
    /// A majority voted for this node. It appends an empty entry: only an entry of its own term may be counted, and
    /// with it all earlier ones become committed (section 5.4.2, and 8).
    pub(super) fn become_leader(&mut self, votes: usize) {
        let last = self.log.last().index;
        let peers: BTreeMap<_, _> = self.others().into_iter().map(|id| (id, Progress::new(last, self.now))).collect();
        let uncommitted_bytes = self.log.from(self.commit.next()).iter().map(Entry::size).sum();
        self.role = Role::Leader(Leader {
            peers,
            heartbeat_due: self.now.after(self.config.heartbeat),
            first_of_term: last.next(),
            clock: (self.log.last_stamp(), self.now),
            uncommitted_bytes,
            hand_over: None,
        });
        self.note(Decision::WonElection { votes });
        self.append_own(Payload::Empty);
    }

    /// Appends an entry to the leader's own log.
    pub(super) fn append_own(&mut self, payload: Payload) {
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader appends on its own") };
        let entry = Entry {
            term: self.hard_state.term,
            index: self.log.last().index.next(),
            stamp: leader.stamp(self.now),
            payload,
        };
        leader.uncommitted_bytes += entry.size();
        self.log.push(entry);
    }

    pub(super) fn on_append_reply(&mut self, from: NodeId, term: Term, reply: AppendReply) {
        let Role::Leader(leader) = &mut self.role else { return };
        if term < self.hard_state.term {
            return;
        }
        let Some(progress) = leader.peers.get_mut(&from) else { return };
        progress.heard = self.now;
        if let Some(sent) = reply.probe {
            progress.round_trip = Some(self.now.since(sent));
        }
        match reply.result {
            AppendResult::Matched { up_to } if up_to > self.log.last().index => {
                self.ignore(from, "it acknowledges entries that were never sent");
            }
            AppendResult::Matched { up_to } => {
                if progress.on_matched(up_to) {
                    self.advance_commit();
                    self.tell_successor();
                }
            }
            AppendResult::Conflict { refused, hint } => {
                let candidate = self.log.last_of_term_at_most(hint.index, hint.term).index;
                if progress.on_conflict(refused, candidate) {
                    let next = progress.next;
                    self.note(Decision::LogsDiffer { follower: from, next });
                }
            }
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
    /// currentTerm: set commitIndex = N" (figure 2). The leader counts itself only up to what is on its own disk.
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let own = (self.config.id, self.disk.durable());
        let reached = self.config.membership.reached_by_majority(|id| {
            if id == own.0 { own.1 } else { leader.peers.get(&id).map_or(Index(0), |progress| progress.matched) }
        });
        if reached < leader.first_of_term || reached <= self.commit {
            return;
        }
        let first = self.commit < leader.first_of_term;
        let count = (reached.0 - self.commit.0) as usize;
        let committed: usize = self.log.from(self.commit.next())[..count].iter().map(Entry::size).sum();
        leader.uncommitted_bytes -= committed;
        self.commit = reached;
        if first {
            self.note(Decision::CommittedOwnTerm { index: reached });
        }
    }

    pub(super) fn fire_leader_timers(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(hand_over) = &leader.hand_over
            && hand_over.deadline <= self.now
        {
            let to = hand_over.to;
            leader.hand_over = None;
            self.note(Decision::HandOverFailed { to });
        }
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.heartbeat_due > self.now {
            return;
        }
        leader.heartbeat_due = self.now.after(self.config.heartbeat);
        let longest = self.config.election_timeout.1;
        // A write that was handed out long ago and is not on disk yet: this node cannot commit, so it must not keep
        // others from it.
        if self.disk.waiting_since().is_some_and(|since| self.now.since(since) > longest) {
            return self.step_down(StepDown::DiskHangs);
        }
        // "A leader steps down if an election timeout elapses without a successful round of heartbeats to a majority"
        // (thesis 6.2).
        let own = (self.config.id, self.now);
        let contact = self.config.membership.reached_by_majority(|id| {
            if id == own.0 { own.1 } else { leader.peers.get(&id).map_or(Moment(0), |progress| progress.heard) }
        });
        if self.config.check_quorum && self.now.since(contact) > longest {
            return self.step_down(StepDown::LostQuorum);
        }
        self.send_heartbeats();
    }

    fn send_heartbeats(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let mut sender = Sender {
            config: &self.config,
            log: &self.log,
            term: self.hard_state.term,
            commit: self.commit,
            now: self.now,
            send: &mut self.actions.send,
        };
        for (id, progress) in &mut leader.peers {
            match progress.flow {
                // It leaves with entries when actions are taken.
                Flow::Probe { sent: false } => {}
                // A lost probe is asked again, without the entries: a follower that is down must not be sent them with
                // every heartbeat.
                Flow::Probe { sent: true } => sender.append(*id, progress, &[], true),
                // The heartbeat speaks of the last entry sent, so a follower that missed some says so even with the
                // window full.
                Flow::Replicate(_) => sender.append(*id, progress, &[], true),
            }
        }
    }

    /// Sends every follower what it lacks and may be sent, and the commit index as soon as it moved.
    pub(super) fn replicate_to_all(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let mut sender = Sender {
            config: &self.config,
            log: &self.log,
            term: self.hard_state.term,
            commit: self.commit,
            now: self.now,
            send: &mut self.actions.send,
        };
        for (id, progress) in &mut leader.peers {
            sender.replicate(*id, progress);
        }
    }

    /// Starts handing leadership over, to `to` or to the follower that has most and answered lately.
    pub(super) fn hand_over(&mut self, to: Option<NodeId>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let (shortest, longest) = self.config.election_timeout;
        let live = leader.peers.iter().filter(|(_, progress)| self.now.since(progress.heard) < shortest);
        let best = live.max_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id);
        let Some(to) = to.or(best).filter(|to| leader.peers.contains_key(to)) else { return };
        leader.hand_over = Some(HandOver { to, deadline: self.now.after(longest), told: false });
        self.note(Decision::HandsOver { to });
        self.tell_successor();
    }

    /// Tells the successor to stand once it has the whole log (thesis 3.10).
    fn tell_successor(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(hand_over) = leader.hand_over.as_mut().filter(|hand_over| !hand_over.told) else { return };
        if leader.peers.get(&hand_over.to).is_some_and(|progress| progress.matched == self.log.last().index) {
            hand_over.told = true;
            let to = hand_over.to;
            self.send(to, Body::TimeoutNow);
        }
    }
}

/// What is needed to build AppendEntries, borrowed apart from the leader's view of the followers.
struct Sender<'a> {
    config: &'a Config,
    log: &'a Log,
    term: Term,
    commit: Index,
    now: Moment,
    send: &'a mut Vec<(NodeId, Message)>,
}

impl<'a> Sender<'a> {
    fn replicate(&mut self, to: NodeId, progress: &mut Progress) {
        let last = self.log.last().index;
        loop {
            match &mut progress.flow {
                Flow::Probe { sent: true } => return,
                Flow::Probe { sent } => {
                    *sent = true;
                    let batch = self.batch(progress.next);
                    return self.append(to, progress, batch, true);
                }
                Flow::Replicate(window) => {
                    if progress.next > last
                        || !window.has_room(self.config.inflight_messages, self.config.inflight_bytes)
                    {
                        break;
                    }
                    let batch = self.batch(progress.next);
                    let end = Index(progress.next.0 + batch.len() as u64 - 1);
                    window.push(end, batch.iter().map(Entry::size).sum());
                    self.append(to, progress, batch, true);
                    progress.next = end.next();
                }
            }
        }
        if self.commit.min(progress.next.previous()) > progress.commit_sent {
            self.append(to, progress, &[], false);
        }
    }

    fn append(&mut self, to: NodeId, progress: &mut Progress, entries: &[Entry], probe: bool) {
        let previous = self.position(progress.next.previous());
        let end = Index(previous.index.0 + entries.len() as u64);
        progress.commit_sent = progress.commit_sent.max(self.commit.min(end));
        let append = AppendEntries {
            previous,
            commit: self.commit,
            probe: probe.then_some(self.now),
            entries: entries.to_vec(),
        };
        self.send.push((to, Message { term: self.term, body: Body::AppendEntries(append) }));
    }

    fn batch(&self, from: Index) -> &'a [Entry] {
        self.log.batch(from, self.config.max_append_entries, self.config.max_append_bytes)
    }

    fn position(&self, index: Index) -> LogPosition {
        self.log.position_at(index).expect("a leader never sends from outside its own log")
    }
}
