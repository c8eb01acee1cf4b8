//! Snapshots taken, sent and installed: section 7, figure 13.

use super::Node;
use crate::entry::Bytes;
use crate::event::Decision;
use crate::log::Log;
use crate::message::{Body, InstallSnapshot, SnapshotReply, SnapshotResult};
use crate::progress::Flow;
use crate::role::Role;
use crate::snapshot::{Incoming, Snapshot, SnapshotName};
use crate::types::{Index, LogPosition, NodeId, Term};

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
    /// Asks for a snapshot when so much was applied since the last one. A witness takes its own, without a state.
    pub(super) fn ask_for_snapshot(&mut self) {
        let covered = self.covered().index;
        let entries = self.machine.applied.0.saturating_sub(covered.0);
        let many = self.config.snapshot_entries.is_some_and(|most| entries >= most.max(1));
        let large = self.config.snapshot_bytes.is_some_and(|most| entries > 0 && self.machine.bytes >= most);
        let due = many || large || self.actions.snapshot_due;
        let witness = self.machine.stateless;
        self.actions.snapshot_due = due && !witness && !self.machine.restore && !self.machine.snapshot_asked;
        self.machine.snapshot_asked |= self.actions.snapshot_due;
        if due && witness && !self.machine.restore {
            self.cover(self.machine.applied, None, None);
        }
    }

    /// The program wrote its state down.
    pub(super) fn take_snapshot(&mut self, taken: TakenSnapshot) {
        self.machine.snapshot_asked = false;
        // A leader's snapshot may have come in between; then this one is of no use.
        if taken.index <= self.machine.applied && taken.index >= self.covered().index && !self.machine.restore {
            self.cover(taken.index, Some(taken.data), taken.compact_to);
        }
    }

    /// From now on a snapshot covers the log up to `index`; what is not needed any more leaves it.
    fn cover(&mut self, index: Index, data: Option<Bytes>, compact_to: Option<Index>) {
        let Some(position) = self.log.position_at(index).filter(|position| position.index > Index(0)) else { return };
        let stamp = self.log.stamp_at(index).unwrap_or_default();
        let membership = self.log.membership_at(index).clone();
        let snapshot = Snapshot { position, stamp, membership, data };
        let log_after = compact_to.unwrap_or_else(|| self.compaction_target(index)).min(index);
        if log_after > self.log.base().index {
            self.log.compact(log_after);
        }
        self.machine.bytes = 0;
        self.disk.compacted(Some(snapshot.clone()), self.log.start());
        self.snapshot = Some(snapshot);
        // Who needs what has just left the log must be sent this.
        self.stirred = true;
        self.note(Decision::TookSnapshot { index, log_after: self.log.base().index });
    }

    /// Up to where the log may be dropped: a tail stays for followers that are a little behind, and a longer one for
    /// those that answer and are further behind, so that they need no snapshot.
    fn compaction_target(&self, covered: Index) -> Index {
        let keep = self.config.snapshot_keep;
        let target = covered.0.saturating_sub(keep);
        let Role::Leader(leader) = &self.role else { return Index(target) };
        let waits_for = leader.peers.iter().map(|(_, progress)| progress).filter(|progress| {
            let alive = progress.answered && self.now.since(progress.heard) < self.config.patience();
            alive && !matches!(progress.flow, Flow::Snapshot(_))
        });
        let slowest = waits_for.map(|progress| progress.matched.0).min().unwrap_or(target);
        Index(target.min(slowest).max(covered.0.saturating_sub(keep.saturating_mul(10))))
    }

    /// InstallSnapshot (figure 13). Chunks are gathered in order; the last one puts the snapshot in force.
    pub(super) fn on_install_snapshot(&mut self, from: NodeId, term: Term, part: InstallSnapshot) {
        let position = part.name.position;
        let reply = |result| Body::SnapshotReply(SnapshotReply { probe: part.probe, position, result });
        if term < self.hard_state.term {
            // "Reply immediately if term < currentTerm"; the reply's term makes the old leader step down.
            return self.send(from, reply(SnapshotResult::Received(0)));
        }
        if let Err(what) = self.check_part(term, &part) {
            return self.ignore(from, what);
        }
        if !self.follow(from) {
            return self.ignore(from, "it sends a snapshot in a term that another node leads");
        }
        let rewinds = part.repair && position.index <= self.commit && self.log.matches(position);
        if position.index <= self.commit && !rewinds {
            // Committed here too, so equal: there is nothing to install.
            return self.promise(from, reply(SnapshotResult::Installed));
        }
        let whole = match part.bytes {
            None => None,
            Some(bytes) => match self.gather(part.name, part.offset, &bytes) {
                Ok(whole) => Some(whole),
                Err(received) => return self.send(from, reply(SnapshotResult::Received(received))),
            },
        };
        let snapshot = Snapshot { position, stamp: part.stamp, membership: part.membership, data: whole };
        self.incoming = None;
        if rewinds {
            self.rewind_to(snapshot);
        } else {
            self.install(from, snapshot);
        }
        self.promise(from, reply(SnapshotResult::Installed));
    }

    /// What every correct leader's part satisfies.
    fn check_part(&self, term: Term, part: &InstallSnapshot) -> Result<(), &'static str> {
        let LogPosition { term: last_term, index } = part.name.position;
        let length = part.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if last_term > term || last_term == Term(0) || index == Index(0) || index > Index::LAST {
            Err("its snapshot covers an entry that cannot exist")
        } else if part.name.size > self.config.max_snapshot_bytes {
            Err("its snapshot is larger than this node takes")
        } else if part.offset.checked_add(length).is_none_or(|end| end > part.name.size) {
            Err("its chunk lies outside its snapshot")
        } else {
            Ok(())
        }
    }

    /// Adds a chunk to what has arrived of this snapshot. Gives it back when it is whole, else how much there is of it.
    fn gather(&mut self, name: SnapshotName, offset: u64, chunk: &[u8]) -> Result<Bytes, u64> {
        let incoming = match self.incoming.take() {
            Some(incoming) if incoming.name == name => incoming,
            Some(_) | None => Incoming { name, bytes: alloc::vec::Vec::new() },
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
        if SnapshotName::of(name.position, &bytes) == name { Ok(bytes.into()) } else { Err(0) }
    }

    /// "If existing log entry has same index and term as snapshot's last included entry, retain log entries following it
    /// … discard the entire log" otherwise (figure 13).
    fn install(&mut self, from: NodeId, snapshot: Snapshot) {
        let position = snapshot.position;
        let tail_kept = self.log.matches(position);
        let commit = self.commit;
        if tail_kept {
            self.log.compact(position.index);
        } else {
            self.log = Log::after(snapshot.start(), snapshot.membership.clone());
        }
        self.disk.installed(snapshot.clone(), self.log.start(), !tail_kept, commit);
        self.commit = position.index;
        self.snapshot = Some(snapshot);
        self.machine.restore = true;
        self.machine.hashes.clear();
        self.note(Decision::InstalledSnapshot { leader: from, index: position.index, tail_kept });
    }

    /// The state went astray: the leader's takes its place, and what follows in the log is applied again.
    fn rewind_to(&mut self, snapshot: Snapshot) {
        let index = snapshot.position.index;
        self.disk.compacted(Some(snapshot.clone()), self.log.start());
        self.snapshot = Some(snapshot);
        self.machine.restore = true;
        self.machine.applied = self.machine.applied.min(index);
        self.machine.delivered = self.machine.delivered.min(index).max(self.machine.applied);
        self.machine.hashes.clear();
    }

    pub(super) fn on_snapshot_reply(&mut self, from: NodeId, term: Term, reply: SnapshotReply) {
        let Role::Leader(leader) = &mut self.role else { return };
        if term < self.hard_state.term {
            return;
        }
        let Some(progress) = leader.peers.get_mut(from) else { return };
        progress.on_answer(Some(reply.probe), self.now);
        match (&mut progress.flow, reply.result) {
            (Flow::Snapshot(transfer), SnapshotResult::Received(bytes)) if transfer.name.position == reply.position => {
                transfer.on_received(bytes);
            }
            (Flow::Snapshot(transfer), SnapshotResult::Installed) if transfer.name.position == reply.position => {
                progress.matched = progress.matched.max(reply.position.index);
                if transfer.repair {
                    // What it told before it was repaired is of a state that is gone. Some of it may still be on its way;
                    // that reaches no further than this log.
                    progress.state = None;
                    progress.replaced = self.log.last().index;
                }
                progress.installed();
                self.advance_commit();
                self.tell_successor();
            }
            // An answer to a snapshot that is not being sent any more.
            (Flow::Probe { .. } | Flow::Replicate(_) | Flow::Snapshot(_), _) => {}
        }
        self.confirm_reads();
    }
}
