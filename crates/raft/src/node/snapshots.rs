//! Taking, sending and installing snapshots: section 7, figure 13.

use super::Node;
use super::leader::answers_this_leader;
use crate::entry::Bytes;
use crate::event::Decision;
use crate::log::Log;
use crate::message::{Body, InstallSnapshot, SnapshotReply, SnapshotResult};
use crate::planted::PlantedBug;
use crate::progress::Flow;
use crate::role::Role;
use crate::snapshot::{Incoming, Snapshot, SnapshotName};
use crate::types::{Index, LogPosition, Moment, NodeId, Term};

/// State of the state machine at one index, as serialized by its program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenSnapshot {
    /// Last entry applied to it, which must have been reported as applied.
    pub index: Index,
    /// Serialized state, which must include the client sessions that ensure each command is applied
    /// once.
    pub data: Bytes,
    /// Compacts the log up to here, at most up to `index`; `None` leaves that to
    /// [`Config::snapshot_keep`](crate::Config::snapshot_keep).
    pub compact_to: Option<Index>,
}

impl Node {
    /// Requests a snapshot from the program when enough was applied since the last one. A witness
    /// takes its own, without a state.
    ///
    /// Members are staggered: the rank of a member determines the indexes at which its snapshots
    /// are due, so that no majority pauses for snapshots at the same entry.
    pub(super) fn ask_for_snapshot(&mut self) {
        let (place, members) = self.rank_among_members();
        let covered = self.covered().index.0;
        let applied = self.apply_state.applied.0;
        let many = self.config.snapshot_entries.is_some_and(|every| {
            // Zero is a valid setting, but no divisor.
            let every = every.max(1);
            // The first member's snapshots are due at `every`, 2 · `every`, …, those of the others
            // in between.
            let offset = every.saturating_mul(place) / members;
            let due_at = applied.saturating_sub(offset) / every * every + offset;
            // The first snapshot is due a whole interval after `offset`.
            due_at > covered && due_at > offset
        });
        let full = self.is_log_full() && applied > covered;
        let large = self.config.snapshot_bytes.is_some_and(|most| {
            // Staggers the byte limit by up to half of it.
            let more = most / 2 * usize::try_from(place).unwrap_or(0)
                / usize::try_from(members).unwrap_or(1).max(1);
            applied > covered && self.apply_state.bytes >= most.saturating_add(more)
        });
        let due = (many || large || full || self.actions.responses.snapshot_due)
            && self.now >= self.apply_state.ask_not_before;
        let witness = self.apply_state.stateless;
        // While a snapshot waits to be restored, the program's state is about to be replaced.
        self.actions.responses.snapshot_due =
            due && !witness && !self.apply_state.restore && !self.apply_state.snapshot_asked;
        self.apply_state.snapshot_asked |= self.actions.responses.snapshot_due;
        if due && witness && !self.apply_state.restore {
            self.cover(self.apply_state.applied, None, None);
        }
    }

    /// Returns this node's rank among the members by id, and their number; `(0, 1)` if it is no
    /// member.
    fn rank_among_members(&self) -> (u64, u64) {
        let members = self.log.membership().members();
        let count = members.len() as u64;
        let place = self
            .log
            .membership()
            .members()
            .position(|(id, _)| id == self.config.id);
        place.map_or((0, 1), |place| (place as u64, count))
    }

    /// Handles the program's failure to take a snapshot.
    pub(super) fn decline_snapshot(&mut self) {
        self.apply_state.snapshot_asked = false;
        self.apply_state.ask_not_before = self.now.after(self.config.snapshot_retry);
    }

    /// Accepts a snapshot that the program took.
    pub(super) fn take_snapshot(&mut self, taken: TakenSnapshot) {
        // Also if the snapshot is discarded below: another one must be requested.
        self.apply_state.snapshot_asked = false;
        // A leader's snapshot that arrived in the meantime supersedes this one.
        if taken.index <= self.apply_state.applied
            && taken.index >= self.covered().index
            && !self.apply_state.restore
        {
            self.cover(taken.index, Some(taken.data), taken.compact_to);
        }
    }

    /// Covers the log up to `index` with a snapshot and compacts the entries that are no longer
    /// needed.
    fn cover(&mut self, index: Index, data: Option<Bytes>, compact_to: Option<Index>) {
        let Some(position) = self
            .log
            .position_at(index)
            // A witness covers what it has applied, which may be nothing yet.
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
        // The program may name an index that is compacted already.
        if log_after > self.log.base().index {
            self.log.compact(log_after);
        }
        self.apply_state.bytes = 0;
        self.disk
            .compacted(Some(snapshot.clone()), self.log.start());
        self.snapshot = Some(snapshot);
        // Followers that need the compacted entries must be sent this snapshot.
        self.work_pending = true;
        self.note(Decision::TookSnapshot {
            index,
            log_after: self.log.base().index,
        });
    }

    /// Returns the index up to which the log may be compacted. A tail stays for followers that are
    /// slightly behind, and up to ten times that for responsive ones further behind, so that they
    /// need no snapshot.
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
        let compacts_under_transfer = self.config.has_planted(PlantedBug::CompactsUnderTransfer);
        let needed = alive.filter_map(|progress| match &progress.flow {
            Flow::Snapshot(_) if compacts_under_transfer => None,
            // This follower continues after the snapshot; without those entries it would need
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

    /// InstallSnapshot (figure 13). Chunks are collected in order; the last one installs the
    /// snapshot.
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
            // down. It echoes no probe: the same node may lead again when the reply arrives.
            let stale = if self.config.has_planted(PlantedBug::EchoesStaleProbes) {
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
            return self.ignore(from, "another node leads its term");
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
        // Committed entries need no snapshot, unless the state built from them has diverged.
        let base = self.log.base().index;
        if position.index <= self.commit {
            if let Some(mine) = self.contradiction(position) {
                return self.ignore_contradiction(from, mine, position);
            }
            if !part.repair {
                // Committed entries are identical on all nodes: there is nothing to install.
                return self.send_after_persist(from, reply(SnapshotResult::Installed));
            }
            if position.index < base {
                // Installing it would leave a gap before the log; acknowledging it without
                // installing would end the repair.
                return self.send(from, reply(SnapshotResult::TooOld { base }));
            }
        }
        let rewinds = position.index <= self.commit;
        let whole = match part.bytes {
            None => None,
            Some(bytes) => match self.gather(part.name, part.offset, &bytes) {
                Ok(whole) => Some(whole),
                // The report does not wait for the disk: chunks are in memory, and after a crash
                // sent again.
                Err(received) => return self.send(from, reply(SnapshotResult::Received(received))),
            },
        };
        let snapshot = Snapshot {
            position,
            stamp: part.stamp,
            membership: part.membership,
            data: whole,
        };
        // A snapshot without data bypasses `gather`, so a partial one may be left.
        self.incoming = None;
        if rewinds {
            self.rewind_to(snapshot);
        } else {
            self.install(from, snapshot);
        }
        if part.repair {
            self.note(Decision::RepairedState {
                leader: from,
                index: position.index,
            });
        }
        self.send_after_persist(from, reply(SnapshotResult::Installed));
    }

    /// Validates the properties that every correct leader's chunk has.
    fn check_part(&self, term: Term, part: &InstallSnapshot) -> Result<(), &'static str> {
        let LogPosition {
            term: last_term,
            index,
        } = part.name.position;
        let length = part.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if last_term > term || last_term == Term(0) || index == Index(0) || index > Index::LAST {
            Err("its snapshot ends with an impossible entry")
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

    /// Appends a chunk to the incoming snapshot. Returns the data once it is complete, otherwise
    /// the number of bytes received as `Err`.
    fn gather(&mut self, name: SnapshotName, offset: u64, chunk: &[u8]) -> Result<Bytes, u64> {
        let incoming = match self.incoming.take() {
            Some(incoming) if incoming.name == name => incoming,
            // One partial snapshot at a time bounds the memory by `max_snapshot_bytes`.
            Some(_) | None => Incoming {
                name,
                bytes: alloc::vec::Vec::new(),
            },
        };
        let incoming = self.incoming.insert(incoming);
        // Any other chunk was repeated or overtook a lost one: the reply names the offset to send
        // from.
        if offset == incoming.bytes.len() as u64 {
            incoming.bytes.extend_from_slice(chunk);
        }
        let received = incoming.bytes.len() as u64;
        if received < name.size {
            return Err(received);
        }
        let bytes = core::mem::take(&mut incoming.bytes);
        self.incoming = None;
        // The checksum differs, so chunks of different data were mixed: start over.
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
        // Entries up to the old commit index are equal on disk, even if the log is discarded.
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
        // Hashes of the replaced state must not be reported any more.
        self.apply_state.hashes.clear();
        self.note(Decision::InstalledSnapshot {
            leader: from,
            index: position.index,
            tail_kept,
        });
    }

    /// Replaces a diverged state with the leader's and applies the entries after it again.
    fn rewind_to(&mut self, snapshot: Snapshot) {
        let index = snapshot.position.index;
        // The snapshot ends before or after the one it replaces, so only one of the two has an
        // effect.
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
            return self.ignore(from, "it echoes a probe that this leader did not send");
        }
        let Some(progress) = leader.peers.get_mut(from) else {
            return;
        };
        let planted = self.config.has_planted(PlantedBug::EchoesStaleProbes);
        progress.on_answer(reply.probe, self.now);
        // A reply without a probe counts as older than any transfer.
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
                let size = transfer.name.size;
                let reported = transfer.refused;
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
                // A newer snapshot follows once one is taken.
                progress.repair_at = progress.repair_at.map(|at| at.max(base));
                progress.flow = Flow::Probe { sent: true };
            }
            (Flow::Snapshot(transfer), SnapshotResult::Installed) => {
                let repair = transfer.repair;
                let _news =
                    progress.on_matched(reply.position.index, Some(reply.position.term), self.now);
                if repair {
                    // Hashes reported before the repair belong to the replaced state. Some may
                    // still be in flight, for indexes up to the end of this log at most.
                    progress.states.clear();
                    progress.replaced = self.log.last().index;
                    progress.repair_at = None;
                }
                progress.end_transfer();
                self.advance_commit();
                self.send_timeout_now();
            }
            // Excluded by the check above.
            (Flow::Snapshot(_), SnapshotResult::Stale) => {}
            // A reply to a transfer that has ended.
            (Flow::Probe { .. } | Flow::Replicate(_), _) => {}
        }
        self.confirm_reads();
    }
}
