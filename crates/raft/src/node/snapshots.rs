//! Snapshots taken, sent and installed: section 7, figure 13.

use super::Node;
use super::leader::answers_this_leader;
use crate::entry::Bytes;
use crate::event::Decision;
use crate::log::Log;
use crate::message::{Body, InstallSnapshot, SnapshotReply, SnapshotResult};
use crate::planted::PlantedFault;
use crate::progress::Flow;
use crate::role::Role;
use crate::snapshot::{Incoming, Snapshot, SnapshotName};
use crate::types::{Index, LogPosition, Moment, NodeId, Term};

/// The state machine's state at one index, as its program wrote it down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenSnapshot {
    /// The last entry applied to it. Must have been reported as applied.
    pub index: Index,
    /// The state, with what it needs to apply each command once.
    pub data: Bytes,
    /// The log is dropped up to here, at most up to `index`; `None` leaves that to
    /// [`Config::snapshot_keep`](crate::Config::snapshot_keep).
    pub compact_to: Option<Index>,
}

impl Node {
    /// Asks for a snapshot when enough was applied since the last one. A witness takes its own,
    /// without a state.
    ///
    /// Members are staggered: each has its own place among them, and with it its own indexes at
    /// which a snapshot is due, so that no majority pauses over its snapshots at the same entry.
    pub(super) fn ask_for_snapshot(&mut self) {
        let (place, members) = self.place_among_members();
        let (covered, applied) = (self.covered().index.0, self.apply_state.applied.0);
        let many = self.config.snapshot_entries.is_some_and(|every| {
            let every = every.max(1);
            // The indexes `every`, 2 · `every`, … of the first member, and those between them of
            // the others.
            let offset = every.saturating_mul(place) / members;
            let due_at = applied.saturating_sub(offset) / every * every + offset;
            due_at > covered && due_at > offset
        });
        let full = self.is_log_full() && applied > covered;
        let large = self.config.snapshot_bytes.is_some_and(|most| {
            let more = most / 2 * usize::try_from(place).unwrap_or(0)
                / usize::try_from(members).unwrap_or(1).max(1);
            applied > covered && self.apply_state.bytes >= most.saturating_add(more)
        });
        let due = (many || large || full || self.actions.snapshot_due)
            && self.now >= self.apply_state.ask_not_before;
        let witness = self.apply_state.stateless;
        self.actions.snapshot_due =
            due && !witness && !self.apply_state.restore && !self.apply_state.snapshot_asked;
        self.apply_state.snapshot_asked |= self.actions.snapshot_due;
        if due && witness && !self.apply_state.restore {
            self.cover(self.apply_state.applied, None, None);
        }
    }

    /// This node's place in the order of the members' ids, and how many there are; the first of
    /// one, if it is none.
    fn place_among_members(&self) -> (u64, u64) {
        let members = self.log.membership().members();
        let count = members.len() as u64;
        let place = self
            .log
            .membership()
            .members()
            .position(|(id, _)| id == self.config.id);
        place.map_or((0, 1), |place| (place as u64, count))
    }

    /// The program could not write its state down.
    pub(super) fn decline_snapshot(&mut self) {
        self.apply_state.snapshot_asked = false;
        self.apply_state.ask_not_before = self.now.after(self.config.snapshot_retry);
    }

    /// The program wrote its state down.
    pub(super) fn take_snapshot(&mut self, taken: TakenSnapshot) {
        self.apply_state.snapshot_asked = false;
        // A leader's snapshot may have come in between; then this one is of no use.
        if taken.index <= self.apply_state.applied
            && taken.index >= self.covered().index
            && !self.apply_state.restore
        {
            self.cover(taken.index, Some(taken.data), taken.compact_to);
        }
    }

    /// From now on a snapshot covers the log up to `index`; what is not needed any more leaves it.
    fn cover(&mut self, index: Index, data: Option<Bytes>, compact_to: Option<Index>) {
        let Some(position) = self
            .log
            .position_at(index)
            .filter(|position| position.index > Index(0))
        else {
            return;
        };
        let stamp = self.log.stamp_at(index).unwrap_or_default();
        let membership = self.log.membership_at(index).clone();
        let snapshot = Snapshot {
            position,
            stamp,
            membership,
            data,
        };
        self.log.cover(index);
        let log_after = compact_to
            .unwrap_or_else(|| self.compaction_target(index))
            .min(index);
        if log_after > self.log.base().index {
            self.log.compact(log_after);
        }
        self.apply_state.bytes = 0;
        self.disk
            .compacted(Some(snapshot.clone()), self.log.start());
        self.snapshot = Some(snapshot);
        // Who needs what has just left the log must be sent this.
        self.work_pending = true;
        self.note(Decision::TookSnapshot {
            index,
            log_after: self.log.base().index,
        });
    }

    /// Up to where the log may be dropped: a tail stays for followers that are a little behind, and
    /// a longer one for those that answer and are further behind, so that they need no snapshot.
    fn compaction_target(&self, covered: Index) -> Index {
        let keep = self.config.snapshot_keep;
        let target = covered.0.saturating_sub(keep);
        let Role::Leader(leader) = &self.role else {
            return Index(target);
        };
        let alive = leader
            .peers
            .iter()
            .map(|(_, progress)| progress)
            .filter(|progress| {
                progress.answered
                    && self.now.since(progress.last_contact) < self.config.max_election_timeout()
            });
        let compacts_under_transfer = self.config.has_planted(PlantedFault::CompactsUnderTransfer);
        let needed = alive.filter_map(|progress| match &progress.flow {
            Flow::Snapshot(_) if compacts_under_transfer => None,
            // It goes on after what the snapshot covers; without those entries it would need
            // another one, for ever.
            Flow::Snapshot(transfer) => {
                Some(transfer.name.position.index.0.max(progress.matched.0))
            }
            Flow::Probe { .. } | Flow::Replicate(_) => Some(progress.matched.0),
        });
        let slowest = needed.min().unwrap_or(target);
        Index(
            target
                .min(slowest)
                .max(covered.0.saturating_sub(keep.saturating_mul(10))),
        )
    }

    /// InstallSnapshot (figure 13). Chunks are gathered in order; the last one puts the snapshot in
    /// force.
    pub(super) fn on_install_snapshot(&mut self, from: NodeId, term: Term, part: InstallSnapshot) {
        let position = part.name.position;
        let reply = |result| {
            Body::SnapshotReply(SnapshotReply {
                probe: Some(part.probe),
                position,
                result,
            })
        };
        if term < self.hard_state.term {
            // "Reply immediately if term < currentTerm"; the reply's term makes the old leader step
            // down. It echoes nothing: the same node may lead again when it arrives.
            let stale = if self.config.has_planted(PlantedFault::EchoesStaleProbes) {
                reply(SnapshotResult::Received(0))
            } else {
                Body::SnapshotReply(SnapshotReply {
                    probe: None,
                    position,
                    result: SnapshotResult::Stale,
                })
            };
            return self.send(from, stale);
        }
        if let Err(what) = self.check_part(term, &part) {
            return self.ignore(from, what);
        }
        if !self.follow(from) {
            return self.ignore(
                from,
                "it sends a snapshot in a term that another node leads",
            );
        }
        if part.name.size > self.config.max_snapshot_bytes {
            let limit = self.config.max_snapshot_bytes;
            self.note(Decision::RefusedLargeSnapshot {
                leader: from,
                size: part.name.size,
                limit,
            });
            return self.send(from, reply(SnapshotResult::TooLarge { limit }));
        }
        let base = self.log.base().index;
        if position.index <= self.commit {
            if let Some(mine) = self.contradiction(position) {
                return self.ignore_contradiction(from, mine, position);
            }
            if !part.repair {
                // Committed here too, so equal: there is nothing to install.
                return self.send_after_persist(from, reply(SnapshotResult::Installed));
            }
            if position.index < base {
                // Installed, it would leave a gap before the log; acknowledged without that, the
                // repair would count as done.
                return self.send(from, reply(SnapshotResult::TooOld { base }));
            }
        }
        let rewinds = position.index <= self.commit;
        let whole = match part.bytes {
            None => None,
            Some(bytes) => match self.gather(part.name, part.offset, &bytes) {
                Ok(whole) => Some(whole),
                Err(received) => return self.send(from, reply(SnapshotResult::Received(received))),
            },
        };
        let snapshot = Snapshot {
            position,
            stamp: part.stamp,
            membership: part.membership,
            data: whole,
        };
        self.incoming = None;
        if rewinds {
            self.rewind_to(snapshot);
        } else {
            self.install(from, snapshot);
        }
        self.send_after_persist(from, reply(SnapshotResult::Installed));
    }

    /// What every correct leader's part satisfies.
    fn check_part(&self, term: Term, part: &InstallSnapshot) -> Result<(), &'static str> {
        let LogPosition {
            term: last_term,
            index,
        } = part.name.position;
        let length = part.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if last_term > term || last_term == Term(0) || index == Index(0) || index > Index::LAST {
            Err("its snapshot covers an entry that cannot exist")
        } else if part
            .offset
            .checked_add(length)
            .is_none_or(|end| end > part.name.size)
        {
            Err("its chunk lies outside its snapshot")
        } else {
            Ok(())
        }
    }

    /// Adds a chunk to what has arrived of this snapshot. Gives it back when it is whole, else how
    /// much there is of it.
    fn gather(&mut self, name: SnapshotName, offset: u64, chunk: &[u8]) -> Result<Bytes, u64> {
        let incoming = match self.incoming.take() {
            Some(incoming) if incoming.name == name => incoming,
            Some(_) | None => Incoming {
                name,
                bytes: alloc::vec::Vec::new(),
            },
        };
        let incoming = self.incoming.insert(incoming);
        if offset == incoming.bytes.len() as u64 {
            incoming.bytes.extend_from_slice(chunk);
        }
        let received = incoming.bytes.len() as u64;
        if received < name.size {
            return Err(received);
        }
        let bytes = core::mem::take(&mut incoming.bytes);
        self.incoming = None;
        // Two snapshots of one name that are mixed up: begin again.
        if SnapshotName::of(name.position, &bytes) == name {
            Ok(bytes.into())
        } else {
            Err(0)
        }
    }

    /// "If existing log entry has same index and term as snapshot's last included entry, retain log
    /// entries following it … discard the entire log" otherwise (figure 13).
    fn install(&mut self, from: NodeId, snapshot: Snapshot) {
        let position = snapshot.position;
        let tail_kept = self.log.matches(position);
        let commit = self.commit;
        if tail_kept {
            self.log.cover(position.index);
            self.log.compact(position.index);
        } else {
            self.log = Log::after(snapshot.start(), snapshot.membership.clone());
        }
        self.disk
            .installed(snapshot.clone(), self.log.start(), !tail_kept, commit);
        self.commit = position.index;
        self.snapshot = Some(snapshot);
        self.apply_state.restore = true;
        self.apply_state.hashes.clear();
        self.note(Decision::InstalledSnapshot {
            leader: from,
            index: position.index,
            tail_kept,
        });
    }

    /// The state went astray: the leader's takes its place, and what follows in the log is applied
    /// again.
    fn rewind_to(&mut self, snapshot: Snapshot) {
        let index = snapshot.position.index;
        self.log.uncover(index);
        self.log.cover(index);
        self.disk
            .compacted(Some(snapshot.clone()), self.log.start());
        self.snapshot = Some(snapshot);
        self.apply_state.restore = true;
        self.apply_state.applied = self.apply_state.applied.min(index);
        self.apply_state.delivered = self
            .apply_state
            .delivered
            .min(index)
            .max(self.apply_state.applied);
        self.apply_state.hashes.clear();
    }

    pub(super) fn on_snapshot_reply(&mut self, from: NodeId, term: Term, reply: SnapshotReply) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if term < self.hard_state.term || reply.result == SnapshotResult::Stale {
            return;
        }
        if !answers_this_leader(&self.config, self.hard_state.term, self.now, reply.probe) {
            return self.ignore(from, "it answers what this leader has not sent");
        }
        let Some(progress) = leader.peers.get_mut(from) else {
            return;
        };
        let planted = self.config.has_planted(PlantedFault::EchoesStaleProbes);
        progress.on_answer(reply.probe, self.now);
        let sent = reply.probe.map_or(Moment(0), |probe| probe.sent);
        match (&mut progress.flow, reply.result) {
            // The reply belongs to an earlier transfer of the same snapshot.
            (Flow::Snapshot(transfer), _)
                if transfer.name.position != reply.position
                    || (sent < transfer.began && !planted) => {}
            (Flow::Snapshot(transfer), SnapshotResult::Received(bytes)) => {
                transfer.on_received(bytes, self.now)
            }
            (Flow::Snapshot(transfer), SnapshotResult::TooLarge { limit }) => {
                let (size, reported) = (transfer.name.size, transfer.refused);
                transfer.refused = true;
                if !reported {
                    self.note(Decision::SnapshotTooLarge {
                        follower: from,
                        size,
                        limit,
                    });
                }
            }
            (Flow::Snapshot(_), SnapshotResult::TooOld { base }) => {
                // A newer one follows as soon as there is one.
                progress.repair_at = progress.repair_at.map(|at| at.max(base));
                progress.flow = Flow::Probe { sent: true };
            }
            (Flow::Snapshot(transfer), SnapshotResult::Installed) => {
                let repair = transfer.repair;
                let _news =
                    progress.on_matched(reply.position.index, Some(reply.position.term), self.now);
                if repair {
                    // What it told before it was repaired is of a state that is gone. Some of it
                    // may still be on its way; that reaches no further than this log.
                    progress.states.clear();
                    progress.replaced = self.log.last().index;
                    progress.repair_at = None;
                }
                progress.end_transfer();
                self.advance_commit();
                self.send_timeout_now();
            }
            (Flow::Snapshot(_), SnapshotResult::Stale) => {}
            // An answer to a snapshot that is not being sent any more.
            (Flow::Probe { .. } | Flow::Replicate(_), _) => {}
        }
        self.confirm_reads();
    }
}
