//! Leader: replication (section 5.3), commitment (5.4.2), heartbeats, check-quorum (thesis 6.2) and
//! leadership transfer (thesis 3.10).

use super::Node;
use super::proposals::newest_of_clients;
use crate::actions::RequestError;
use crate::config::Config;
use crate::entry::{Entry, Payload};
use crate::event::{Decision, StepDown};
use crate::message::{AppendReply, AppendResult, Body, Probe};
use crate::peers::Peers;
use crate::planted::PlantedBug;
use crate::reads::LeaderReads;
use crate::role::{Leader, LeadershipTransfer, Role};
use crate::types::{Index, Moment, NodeId, Term};

impl Node {
    /// Becomes leader with votes of a majority and appends an empty entry: a leader may commit only
    /// entries of its own term by counting replicas, which commits all earlier ones too (sections
    /// 5.4.2 and 8).
    pub(super) fn become_leader(&mut self, votes: usize) {
        // Entries of earlier leaders count against the limits too: this leader has to commit them.
        let uncommitted = self.log.from(self.commit.next());
        let uncommitted_bytes = uncommitted.iter().map(Entry::size).sum();
        let newest = newest_of_clients(uncommitted);
        self.role = Role::Leader(Leader {
            peers: Peers::default(),
            heartbeat_due: self.now.after(self.config.heartbeat),
            first_of_term: self.log.last().index.next(),
            // Continues from the last entry, so that stamps never decrease along the log.
            clock: (self.log.last_stamp(), self.now),
            uncommitted_bytes,
            newest,
            transfer: None,
            leaving: false,
            lease_broken: false,
            reads: LeaderReads::default(),
        });
        self.end_campaigning();
        // Before the append: nextIndex is "initialized to leader last log index + 1" (figure 2),
        // the index of the entry below.
        self.sync_peers();
        self.note(Decision::WonElection { votes });
        self.append_own(Payload::Empty);
    }

    /// Appends an entry to the leader's own log.
    pub(super) fn append_own(&mut self, payload: Payload) {
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader appends to its own log")
        };
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
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        // An acknowledgement of an earlier term may cover entries that were replaced since.
        if term < self.hard_state.term || reply.result == AppendResult::Stale {
            return;
        }
        if !answers_this_leader(&self.config, self.hard_state.term, self.now, reply.probe) {
            return self.ignore(from, "it echoes a probe that this leader did not send");
        }
        let Some(progress) = leader.peers.get_mut(from) else {
            return;
        };
        progress.on_answer(reply.probe, self.now);
        match reply.result {
            AppendResult::Stale => {}
            AppendResult::Matched { up_to } | AppendResult::Full { up_to }
                if up_to > self.log.last().index =>
            {
                self.ignore(from, "it acknowledges entries that were never sent");
            }
            AppendResult::Matched { up_to } | AppendResult::Full { up_to } => {
                let news = progress.on_matched(up_to, self.log.term_at(up_to), self.now);
                // A full log drops new entries, so sending more would only cost bandwidth.
                if matches!(reply.result, AppendResult::Full { .. }) {
                    progress.pause();
                }
                if news {
                    self.advance_commit();
                    // The successor may have the whole log now.
                    self.send_timeout_now();
                }
            }
            AppendResult::Conflict { refused, hint } => {
                // Skips all conflicting entries of a term at once (end of section 5.3). If the log
                // is compacted beyond the hint, this is the base, hence `min` with the hint below.
                let candidate = self.log.last_of_term_at_most(hint.index, hint.term).index;
                let planted = self.config.has_planted(PlantedBug::OverlooksShortHints);
                let shortest = if planted {
                    progress.matched
                } else {
                    hint.index
                };
                if progress.proves_loss(refused, shortest, reply.probe) {
                    let acknowledged = progress.matched;
                    progress.lose(candidate.min(hint.index), self.now);
                    let witness = progress.witness;
                    let transfers = leader
                        .transfer
                        .take_if(|transfer| transfer.to == from)
                        .is_some();
                    self.note(Decision::LostAcknowledged {
                        follower: from,
                        acknowledged,
                        refused,
                        witness,
                    });
                    if transfers {
                        self.note(Decision::LeadershipTransferFailed { to: from });
                    }
                } else if progress.on_conflict(refused, candidate.min(hint.index)) {
                    let next = progress.next;
                    self.note(Decision::LogsDiffer {
                        follower: from,
                        next,
                    });
                }
            }
        }
        if let Some(state) = reply.state {
            self.compare_state(from, state);
        }
        // Also after a conflict: a follower that refuses entries still confirms that this node
        // leads.
        self.confirm_reads();
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and
    /// log[N].term == currentTerm: set commitIndex = N" (figure 2). The leader counts itself only
    /// up to the last entry on its own disk.
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let own = (self.config.id, self.disk.durable());
        let reached = self.log.membership().reached_by_majority(|id| {
            if id == own.0 {
                own.1
            } else {
                leader
                    .peers
                    .counted(id)
                    .map_or(Index(0), |progress| progress.matched)
            }
        });
        // Entries of earlier terms are never committed by counting replicas (section 5.4.2).
        if reached < leader.first_of_term || reached <= self.commit {
            return;
        }
        let before = self.commit;
        let first = self.commit < leader.first_of_term;
        let leader_is_leaving = leader.leaving;
        let count = (reached.0 - self.commit.0) as usize;
        let committed: usize = self.log.from(self.commit.next())[..count]
            .iter()
            .map(Entry::size)
            .sum();
        leader.uncommitted_bytes -= committed;
        self.commit = reached;
        if first {
            self.note(Decision::CommittedOwnTerm { index: reached });
            self.ask_early_reads();
        }
        // A new leader may find a membership change that an earlier leader committed, so the first
        // commitment checks too.
        let news = first || self.log.membership_index() > before || leader_is_leaving;
        if news && self.log.members_index() <= reached {
            self.members_committed();
        }
    }

    pub(super) fn fire_leader_timers(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if let Some(transfer) = &leader.transfer
            && transfer.deadline <= self.now
        {
            let to = transfer.to;
            // "If leadership transfer does not complete after about an election timeout, the prior
            // leader aborts the transfer" (thesis 3.10).
            leader.transfer = None;
            self.note(Decision::LeadershipTransferFailed { to });
        }
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.heartbeat_due > self.now {
            return;
        }
        // From now, not from the time it was due: a resumed node must not send a burst of
        // heartbeats.
        leader.heartbeat_due = self.now.after(self.config.heartbeat);
        let longest = self.config.max_election_timeout();
        // A write exceeds the disk timeout: this node cannot commit, so it must not block a leader
        // that can.
        if self
            .disk
            .waiting_since()
            .is_some_and(|since| self.now.since(since) > self.config.disk_timeout)
        {
            return self.step_down(StepDown::DiskHangs);
        }
        // "A leader steps down if an election timeout elapses without a successful round of
        // heartbeats to a majority" (thesis 6.2).
        let own = (self.config.id, self.now);
        let contact = self.log.membership().reached_by_majority(|id| {
            if id == own.0 {
                own.1
            } else {
                leader
                    .peers
                    .counted(id)
                    .map_or(Moment(0), |progress| progress.last_contact)
            }
        });
        // Followers that lost entries count for nothing under this leader. If only they are missing
        // for a majority, a new leadership must begin.
        let with_lost = self.log.membership().reached_by_majority(|id| {
            if id == own.0 {
                own.1
            } else {
                leader
                    .peers
                    .get(id)
                    .map_or(Moment(0), |progress| progress.last_contact)
            }
        });
        let blocked = contact < with_lost && self.now.since(with_lost) <= longest;
        if (self.config.check_quorum || blocked) && self.now.since(contact) > longest {
            return self.step_down(StepDown::LostQuorum);
        }
        let transfers = leader.transfer.is_some();
        if !transfers && self.is_log_full() && self.is_program_stalled() {
            // The program does not apply entries, so no snapshot can free the log. The program of
            // another member may still work.
            let _no_successor = self.transfer_leadership(None).is_err();
        }
        self.promote_learners();
        self.demote_silent_voter();
        self.send_heartbeats();
        self.send_lost_entries();
    }

    /// Starts a leadership transfer to `to`, or else to the most up-to-date voter with recent
    /// contact.
    pub(super) fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(), RequestError> {
        let known = self.leader();
        let Role::Leader(leader) = &mut self.role else {
            return Err(RequestError::NotLeader(known));
        };
        let timeout = self.config.max_election_timeout();
        let may_lead = |id: NodeId| {
            let lost = leader.peers.counted(id).is_none();
            !lost
                && self
                    .log
                    .membership()
                    .member(id)
                    .is_some_and(|member| member.may_lead())
        };
        let silent = |to: NodeId| {
            leader
                .peers
                .get(to)
                .is_some_and(|peer| self.now.since(peer.last_contact) >= timeout)
        };
        // Separate from `NoSuccessor`, because waiting for this member is a remedy.
        if let Some(to) = to.filter(|to| may_lead(*to) && silent(*to)) {
            return Err(RequestError::Silent(to));
        }
        let able = leader.peers.iter().filter(|(id, _)| may_lead(*id));
        let to = match to {
            Some(to) => able.map(|(id, _)| id).find(|id| *id == to),
            None => able
                // A successor that is down would cost the cluster a whole transfer timeout.
                .filter(|(_, progress)| {
                    let recently = self.config.longest_silence(progress.round_trip.bound());
                    progress.answered && self.now.since(progress.last_contact) < recently
                })
                .max_by_key(|(_, progress)| progress.matched)
                .map(|(id, _)| id),
        };
        let to = to.ok_or(RequestError::NoSuccessor)?;
        leader.transfer = Some(LeadershipTransfer {
            to,
            deadline: self.now.after(self.config.max_election_timeout()),
            timeout_now_sent: false,
        });
        self.note(Decision::TransfersLeadership { to });
        self.send_timeout_now();
        Ok(())
    }

    /// Sends TimeoutNow to the successor once it has the whole log (thesis 3.10).
    pub(super) fn send_timeout_now(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(transfer) = leader
            .transfer
            .as_mut()
            .filter(|transfer| !transfer.timeout_now_sent)
        else {
            return;
        };
        if leader
            .peers
            .counted(transfer.to)
            .is_some_and(|progress| progress.matched == self.log.last().index)
        {
            // The successor may be elected despite leader stickiness, on which the lease relies.
            transfer.timeout_now_sent = true;
            leader.lease_broken = true;
            let to = transfer.to;
            self.send(to, Body::TimeoutNow);
        }
    }
}

/// Whether an echoed probe was sent by the leader of `term`, at or before `now`. A probe from
/// before this leadership proves nothing about it.
pub(super) fn answers_this_leader(
    config: &Config,
    term: Term,
    now: Moment,
    probe: Option<Probe>,
) -> bool {
    let sent_here = |probe: Probe| probe.term == term && probe.sent <= now;
    // A reply without a probe answers a message without one; its term has been compared already.
    config.has_planted(PlantedBug::EchoesStaleProbes) || probe.is_none_or(sent_here)
}
