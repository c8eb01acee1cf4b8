//! Receiver of AppendEntries (figure 2 and section 5.3).

use alloc::vec::Vec;

use super::Node;
use crate::entry::Entry;
use crate::event::Decision;
use crate::message::{AppendEntries, AppendReply, AppendResult, Body, Probe};
use crate::planted::PlantedBug;
use crate::role::{Follower, KnownLeader, Role};
use crate::types::{Index, LogPosition, NodeId, Stamp, Term};

impl Node {
    pub(super) fn on_append_entries(&mut self, from: NodeId, term: Term, append: AppendEntries) {
        let AppendEntries {
            previous,
            commit,
            probe,
            round_trip,
            entries,
        } = append;
        if term < self.hard_state.term {
            // "Reply false if term < currentTerm" (figure 2); the reply's term makes the old leader
            // step down. It echoes no probe: the same node may lead again when the reply arrives.
            if self.config.has_planted(PlantedBug::EchoesStaleProbes) {
                return self.reply_conflict(from, previous, probe);
            }
            return self.reply_stale(from, None);
        }
        // Before `follow`: a malformed message must not reset the election timer.
        if let Err(what) = check_shape(term, previous, &entries) {
            return self.ignore(from, what);
        }
        // A term has at most one leader (election safety, figure 3), so one of the two is faulty.
        if !self.follow(from) {
            return self.ignore(from, "another node leads its term");
        }
        self.round_trip = round_trip;
        if let Role::Follower(Follower {
            leader: Some(leader),
            ..
        }) = &mut self.role
        {
            leader.commit = leader.commit.max(commit);
        }
        if let Some(mine) = self.contradiction(previous) {
            return self.ignore_contradiction(from, mine, previous);
        }
        // At and below the base every entry is committed, and a contradiction was excluded above.
        if !self.log.matches(previous) && previous.index > self.log.base().index {
            // "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
            // prevLogTerm" (figure 2).
            return self.reply_conflict(from, previous, probe);
        }
        if let Some((mine, theirs)) = entries
            .iter()
            .find_map(|entry| Some((self.contradiction(entry.position())?, entry.position())))
        {
            return self.ignore_contradiction(from, mine, theirs);
        }
        let is_heartbeat = probe.is_some() && entries.is_empty();
        // A bare commit index needs no answer: the leader waits for none, and heartbeats repeat it.
        let answer_wanted = is_heartbeat || !entries.is_empty();
        let up_to = match self.append(from, previous.index, entries) {
            // A snapshot covers the entries up to the base, so they match too.
            Ok(up_to) => up_to.max(self.log.base().index),
            Err(what) => return self.ignore(from, what),
        };
        // "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new
        // entry)" (figure 2).
        self.commit = self.commit.max(commit.min(up_to));
        if is_heartbeat && self.is_hard_state_durable() {
            // A heartbeat need not wait for a slow disk: the reply acknowledges only durable
            // entries.
            let result = self.acknowledgement(up_to.min(self.disk.durable()));
            self.send(
                from,
                Body::AppendReply(AppendReply {
                    probe,
                    result,
                    state: self.newest_state(),
                }),
            );
        } else if answer_wanted {
            // The follower's entries are "updated on stable storage before responding to RPCs"
            // (figure 2).
            let result = self.acknowledgement(up_to);
            let state = self.newest_state();
            self.send_after_persist(
                from,
                Body::AppendReply(AppendReply {
                    probe,
                    result,
                    state,
                }),
            );
        }
    }

    fn acknowledgement(&self, up_to: Index) -> AppendResult {
        if self.is_log_full() {
            AppendResult::Full { up_to }
        } else {
            AppendResult::Matched { up_to }
        }
    }

    /// Accepts `from` as the leader of this term and resets the election timer. Returns false if
    /// the term has another leader.
    pub(super) fn follow(&mut self, from: NodeId) -> bool {
        let known = match &self.role {
            // This node leads the term itself.
            Role::Leader(_) => return false,
            Role::Follower(Follower {
                leader: Some(leader),
                ..
            }) if leader.id != from => return false,
            Role::Follower(Follower {
                leader: Some(_), ..
            }) => true,
            // "If the leader's term is at least as large as the candidate's current term, then the
            // candidate recognizes the leader as legitimate and returns to follower state" (section
            // 5.2).
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => false,
        };
        // Must precede the draw: the adaptive timeout depends on the number of failed campaigns.
        self.end_campaigning();
        let election_deadline = self.draw_election_deadline();
        let commit = match &self.role {
            Role::Follower(Follower {
                leader: Some(leader),
                ..
            }) => leader.commit,
            _ => Index(0),
        };
        let leader = KnownLeader {
            id: from,
            incarnation: self.incarnation_of(from),
            last_contact: self.now,
            commit,
        };
        self.role = Role::Follower(Follower {
            leader: Some(leader),
            election_deadline,
        });
        self.last_leader = Some((from, self.now));
        if !known {
            self.note(Decision::FollowsLeader { leader: from });
        }
        true
    }

    /// "If an existing entry conflicts with a new one (same index but different terms), delete the
    /// existing entry and all that follow it. Append any new entries not already in the log"
    /// (figure 2). A suffix that does not conflict stays, since an old message may arrive twice. A
    /// full log accepts no new entries. Returns the last index up to which the logs match.
    fn append(
        &mut self,
        from: NodeId,
        previous: Index,
        mut entries: Vec<Entry>,
    ) -> Result<Index, &'static str> {
        let all = Index(previous.0 + entries.len() as u64);
        let known = entries
            .iter()
            .take_while(|entry| self.holds(entry.position()))
            .count();
        let Some(Entry {
            index: first,
            stamp,
            ..
        }) = entries.get(known)
        else {
            return Ok(all);
        };
        let first = *first;
        let stamp = *stamp;
        assert!(
            first > self.commit,
            "an entry that contradicts a committed one must have been ignored before"
        );
        // Within a message `check_shape` has compared the clocks; this one precedes the message.
        if self
            .log
            .stamp_at(first.previous())
            .is_some_and(|before| stamp < before)
        {
            return Err("its game clock goes back");
        }
        if self.is_log_full() {
            return Ok(first.previous());
        }
        let to = self.log.last().index;
        if first <= to {
            // An uncommitted membership is already in force, so truncation reverts it (thesis 4.1).
            let members = self.log.membership_index();
            if members >= first {
                self.note(Decision::RolledBackMembers { index: members });
            }
            self.log.truncate(first);
            self.disk.truncated(first);
            self.note(Decision::Truncated {
                from: first,
                to,
                leader: from,
            });
        }
        entries.drain(..known);
        self.log.extend(entries);
        Ok(all)
    }

    /// Whether the entry at `position` is in the log, or below the base and thus covered by a
    /// snapshot.
    fn holds(&self, position: LogPosition) -> bool {
        position.index < self.log.base().index || self.log.matches(position)
    }

    /// Returns this node's committed entry at the index of `theirs` if it has another term. Below
    /// the base only the order of terms is still known.
    pub(super) fn contradiction(&self, theirs: LogPosition) -> Option<LogPosition> {
        let base = self.log.base();
        if theirs.index < base.index {
            // Terms never decrease along a log, so no entry before the base has a later term.
            return (theirs.term > base.term).then_some(base);
        }
        let mine = self
            .log
            .position_at(theirs.index)
            // A conflict with an uncommitted entry is ordinary: the leader's entry replaces it
            // (section 5.3).
            .filter(|mine| mine.index <= self.commit)?;
        (mine.term != theirs.term).then_some(mine)
    }

    /// Reports a leader with a log that differs from this one at a committed index. Leader
    /// completeness rules that out: "if a log entry is committed in a given term, then that entry
    /// will be present in the logs of the leaders for all higher-numbered terms" (figure 3). One of
    /// the two nodes has lost durable entries.
    pub(super) fn ignore_contradiction(
        &mut self,
        from: NodeId,
        mine: LogPosition,
        theirs: LogPosition,
    ) {
        self.note(Decision::ContradictsCommitted { from, mine, theirs });
    }

    /// Replies to a request that was not processed.
    pub(super) fn reply_stale(&mut self, to: NodeId, probe: Option<Probe>) {
        self.send(
            to,
            Body::AppendReply(AppendReply {
                probe,
                result: AppendResult::Stale,
                state: None,
            }),
        );
    }

    fn reply_conflict(&mut self, to: NodeId, previous: LogPosition, probe: Option<Probe>) {
        // The reply acknowledges nothing, so it does not wait for the disk.
        let hint = self.log.last_of_term_at_most(previous.index, previous.term);
        let result = AppendResult::Conflict {
            refused: previous.index,
            hint,
        };
        self.send(
            to,
            Body::AppendReply(AppendReply {
                probe,
                result,
                state: None,
            }),
        );
    }
}

/// Validates the properties that every correct leader's message has, before any of it is used.
fn check_shape(term: Term, previous: LogPosition, entries: &[Entry]) -> Result<(), &'static str> {
    // Index 0 and term 0 stand for the start of the log, so each implies the other.
    if previous.term > term || (previous.index == Index(0)) != (previous.term == Term(0)) {
        return Err("its previous entry is impossible");
    }
    let mut last = (previous, Stamp(0));
    for entry in entries {
        if entry.index != last.0.index.next() || entry.index > Index::LAST {
            return Err("its entries have a gap");
        }
        if entry.term < last.0.term || entry.term > term || entry.term == Term(0) {
            return Err("the terms of its entries are not in order");
        }
        if entry.stamp < last.1 {
            return Err("its game clock goes back");
        }
        last = (entry.position(), entry.stamp);
    }
    Ok(())
}
