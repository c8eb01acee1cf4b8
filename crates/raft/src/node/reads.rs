//! ReadIndex (thesis 6.4) and lease reads (thesis 6.4.1).

use core::time::Duration;

use super::Node;
use crate::config::Config;
use crate::event::Decision;
use crate::message::Body;
use crate::reads::{Asker, ReadAnswer, ReadId, ReadRefusal};
use crate::role::Role;
use crate::types::{Index, Moment, NodeId, Term};

impl Node {
    /// Starts a read for this node's own program.
    pub(super) fn read(&mut self, id: ReadId, lease: bool) {
        let witness = self
            .log
            .membership()
            .member(self.config.id)
            .is_some_and(|member| member.is_witness());
        if witness || self.apply_state.stateless {
            return self.refuse_read(id, ReadRefusal::Witness);
        }
        let waiting = self.reads.len()
            + if let Role::Leader(leader) = &self.role {
                leader.reads.len()
            } else {
                0
            };
        if waiting >= self.config.max_reads {
            return self.refuse_read(id, ReadRefusal::Busy);
        }
        match (&self.role, self.leader()) {
            // While the lease lasts, no other leader can have committed more than this commit
            // index.
            (Role::Leader(_), _) if lease && self.holds_lease() => {
                self.note(Decision::ReadByLease);
                self.reads.confirmed.push_back((id, self.commit));
            }
            (Role::Leader(_), _) => self.ask_majority(Asker::Own(id)),
            (_, Some(leader)) => {
                let token = self.reads.token;
                self.reads.token = token.wrapping_add(1);
                // The request or its reply may be lost, and the leader does not repeat it.
                let deadline = self.now.after(self.config.max_election_timeout());
                self.reads.asked.insert(token, (id, deadline));
                self.send(leader, Body::Read { token });
            }
            (_, None) => self.refuse_read(id, ReadRefusal::NoLeader),
        }
    }

    /// Handles a read request from a follower.
    pub(super) fn on_read(&mut self, from: NodeId, token: u64) {
        match &self.role {
            Role::Leader(leader) if leader.reads.len() < self.config.max_reads => {
                self.ask_majority(Asker::Peer(from, token));
            }
            // Refused at once, so that the follower's program need not wait for its deadline.
            Role::Leader(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                self.send(from, Body::ReadReply { token, index: None });
            }
        }
    }

    /// "The leader … saves its current commit index in a local variable readIndex … issues a new
    /// round of heartbeats and waits for their acknowledgments from a majority" (thesis 6.4).
    /// Before the first commitment of its term the leader's commit index may be too low, so the
    /// read waits for it.
    fn ask_majority(&mut self, asker: Asker) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if self.commit < leader.first_of_term {
            leader.reads.early.push_back(asker);
        } else {
            leader.reads.ask(asker, self.commit);
        }
    }

    /// Starts the reads that waited for the first commitment of the leader's own term.
    pub(super) fn ask_early_reads(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        for asker in core::mem::take(&mut leader.reads.early) {
            leader.reads.ask(asker, self.commit);
        }
    }

    /// Completes the reads of every round that a majority has confirmed. A reply to an earlier
    /// round confirms no later one.
    pub(super) fn confirm_reads(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.reads.waiting.is_empty() {
            return;
        }
        let own = self.config.id;
        let newest = leader.reads.round;
        let confirmed = self.log.membership().reached_by_majority(|id| {
            if id == own {
                newest
            } else {
                leader
                    .peers
                    .counted(id)
                    .map_or(0, |progress| progress.round)
            }
        });
        let count = leader
            .reads
            .waiting
            .iter()
            // Rounds ascend along the queue.
            .take_while(|(_, _, round)| *round <= confirmed)
            .count();
        if count == 0 {
            return;
        }
        let answered: alloc::vec::Vec<_> = leader.reads.waiting.drain(..count).collect();
        self.note(Decision::ConfirmedReads {
            round: confirmed,
            count,
        });
        for (asker, index, _) in answered {
            match asker {
                Asker::Own(id) => self.reads.confirmed.push_back((id, index)),
                Asker::Peer(peer, token) => self.send(
                    peer,
                    Body::ReadReply {
                        token,
                        index: Some(index),
                    },
                ),
            }
        }
    }

    pub(super) fn on_read_reply(&mut self, term: Term, token: u64, index: Option<Index>) {
        // A deposed leader may still reply. It confirmed the read while it led, but the read may
        // have been requested after that.
        if term < self.hard_state.term {
            return;
        }
        // An unknown token belongs to a read that was refused or abandoned in the meantime.
        if let Some((id, _)) = self.reads.asked.remove(&token) {
            match index {
                Some(index) => self.reads.confirmed.push_back((id, index)),
                None => self.refuse_read(id, ReadRefusal::NoLeader),
            }
        }
    }

    /// Returns the result of every confirmed read with an applied index.
    pub(super) fn answer_reads(&mut self) {
        if self.reads.confirmed.is_empty() {
            return;
        }
        // A state that is about to be replaced must not serve reads.
        let applied = if self.apply_state.restore {
            Index(0)
        } else {
            self.apply_state.applied
        };
        let answers = &mut self.actions.responses.reads;
        let waiting = &mut self.reads.confirmed;
        waiting.retain(|(id, index)| {
            if *index <= applied {
                answers.push(ReadAnswer {
                    id: *id,
                    result: Ok(*index),
                });
            }
            *index > applied
        });
    }

    /// Refuses all pending reads, because the leader is lost or this node leads no longer.
    pub(super) fn refuse_reads(&mut self) {
        // Confirmed reads stay: their index remains valid under any later leader.
        for (id, _) in core::mem::take(&mut self.reads.asked).into_values() {
            self.refuse_read(id, ReadRefusal::NoLeader);
        }
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let reads = core::mem::take(&mut leader.reads);
        for asker in reads
            .early
            .into_iter()
            .chain(reads.waiting.into_iter().map(|(asker, _, _)| asker))
        {
            match asker {
                Asker::Own(id) => self.refuse_read(id, ReadRefusal::NoLeader),
                Asker::Peer(peer, token) => self.send(peer, Body::ReadReply { token, index: None }),
            }
        }
    }

    /// Refuses reads that the leader did not answer in time.
    pub(super) fn expire_reads(&mut self) {
        while let Some(first) = self.reads.asked.first_entry()
            && first.get().1 <= self.now
        {
            let (id, _) = first.remove();
            self.refuse_read(id, ReadRefusal::NoLeader);
        }
    }

    fn refuse_read(&mut self, id: ReadId, refusal: ReadRefusal) {
        self.actions.responses.reads.push(ReadAnswer {
            id,
            result: Err(refusal),
        });
    }

    /// Whether no other node can lead yet: a majority had contact with this leader so recently that
    /// it still refuses other candidates (thesis 6.4.1). Measured from when the heartbeats were
    /// sent, and shortened to allow for clock drift.
    fn holds_lease(&self) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        // Before its first commitment the leader's commit index may be behind its predecessor's.
        if !self.config.lease_reads || leader.lease_broken || self.commit < leader.first_of_term {
            return false;
        }
        let own = (self.config.id, self.now);
        let last_contact = self.log.membership().reached_by_majority(|id| {
            if id == own.0 {
                own.1
            } else {
                leader
                    .peers
                    .counted(id)
                    .map_or(Moment(0), |progress| progress.confirmed)
            }
        });
        // `Moment(0)` means no contact, even if the clock is still near 0.
        self.now.since(last_contact) < lease(&self.config) && last_contact > Moment(0)
    }
}

/// Lease duration, shortened by the clock drift allowed for.
fn lease(config: &Config) -> Duration {
    let whole = config.stickiness();
    whole - whole / Config::LEASE_DRIFT
}
