//! Messages from the leader to its followers: entries, heartbeats, the commit index and snapshots.

use alloc::vec::Vec;
use core::time::Duration;

use super::Node;
use crate::config::Config;
use crate::entry::{Entry, Payload};
use crate::event::{Decision, Event};
use crate::log::Log;
use crate::message::{AppendEntries, Body, InstallSnapshot, Message, Probe};
use crate::planted::PlantedBug;
use crate::progress::{Flow, Progress, SnapshotTransfer};
use crate::role::{Leader, Role};
use crate::snapshot::Snapshot;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Term};

impl Node {
    pub(super) fn send_heartbeats(&mut self) {
        let (Role::Leader(leader), mut sender) = self.sender() else {
            return;
        };
        for (id, progress) in leader.peers.iter_mut() {
            match &mut progress.flow {
                // The probe leaves with entries when the actions are taken.
                Flow::Probe { sent: false } => {}
                // A lost probe is repeated without its entries: a follower that is down must not
                // receive them with every heartbeat.
                Flow::Probe { sent: true } => sender.append(id, progress, &[], true),
                Flow::Replicate(_) => {
                    sender.heartbeat(id, progress);
                    // A second one names the last entry sent, so a follower that missed some
                    // refuses it even with the window full.
                    if progress.next > progress.matched.next() {
                        sender.append(id, progress, &[], true);
                    }
                }
                Flow::Snapshot(transfer) => {
                    // A round trip longer than a heartbeat must not count as a loss.
                    let measured = progress
                        .round_trip
                        .last
                        .map(|_| Duration::from_micros(u64::from(progress.round_trip.bound())));
                    let timeout = measured.unwrap_or_else(|| sender.config.max_election_timeout());
                    transfer.resend_after(timeout.max(sender.config.heartbeat * 2), sender.now);
                    sender.append(id, progress, &[], true);
                }
            }
        }
    }

    /// Sends every follower the entries it lacks, within its window, the commit index as soon as it
    /// moved, and a new heartbeat round if reads wait for one (thesis 6.4).
    pub(super) fn replicate_to_all(&mut self) {
        if !matches!(self.role, Role::Leader(_)) {
            return;
        }
        let (Role::Leader(leader), mut sender) = self.sender() else {
            return;
        };
        let ask = leader.reads.wants_round();
        if ask {
            leader.reads.round += 1;
            sender.round = leader.reads.round;
        }
        let Leader { peers, .. } = leader;
        for (id, progress) in peers.iter_mut() {
            sender.replicate(id, progress);
            // Also to a follower with a full window or a snapshot under way: reads must not wait
            // for those.
            if ask {
                sender.heartbeat(id, progress);
            }
        }
        if ask {
            // A cluster of one has its majority without any reply.
            self.confirm_reads();
        }
    }

    fn sender(&mut self) -> (&mut Role, Sender<'_>) {
        let round = match &self.role {
            Role::Leader(leader) => leader.reads.round,
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => 0,
        };
        let sender = Sender {
            config: &self.config,
            log: &self.log,
            snapshot: self.snapshot.as_ref(),
            incarnation: self.incarnation,
            term: self.hard_state.term,
            commit: self.commit,
            applied: self.apply_state.applied,
            now: self.now,
            round,
            send: &mut self.actions.send,
            events: &mut self.actions.events,
            snapshot_due: &mut self.actions.responses.snapshot_due,
            durable: self.disk.durable(),
            batch: None,
        };
        (&mut self.role, sender)
    }
}

/// Builds messages to followers from parts of the node borrowed separately from the leader's
/// progress table.
struct Sender<'a> {
    config: &'a Config,
    log: &'a Log,
    snapshot: Option<&'a Snapshot>,
    incarnation: Incarnation,
    term: Term,
    commit: Index,
    /// Last applied entry, up to which a snapshot taken now would reach.
    applied: Index,
    now: Moment,
    round: u64,
    send: &'a mut Vec<(NodeId, Message)>,
    /// Last index on the leader's own disk.
    durable: Index,
    events: &'a mut Vec<Event>,
    snapshot_due: &'a mut bool,
    /// First index, entries and byte count of the latest batch, which followers that keep up share.
    batch: Option<(Index, &'a [Entry], usize)>,
}

impl<'a> Sender<'a> {
    fn replicate(&mut self, to: NodeId, progress: &mut Progress) {
        let mut last = self.log.last().index;
        if progress.witness {
            // Only durable entries: a witness with an entry that a crash took from all other
            // members would refuse them its vote for ever, and has no contents to restore them.
            last = last.min(self.durable);
        }
        // Compacted entries exist only in the snapshot (section 7), and a diverged state needs one
        // even if no entry is missing.
        if progress.repair_at.is_some() || progress.next <= self.log.base().index {
            self.begin_snapshot(to, progress);
        }
        // No snapshot may be new enough for a repair yet. Until then the follower gets heartbeats:
        // entries after the log's start would leave a gap.
        let is_compacted = progress.next <= self.log.base().index;
        loop {
            match &mut progress.flow {
                Flow::Probe { sent: true } => return,
                Flow::Probe { sent } => {
                    *sent = true;
                    let batch = if is_compacted {
                        &[]
                    } else {
                        self.batch(progress.next, last).0
                    };
                    return self.append(to, progress, batch, true);
                }
                Flow::Snapshot(_) => return self.send_chunks(to, progress),
                Flow::Replicate(window) => {
                    if is_compacted
                        || progress.next > last
                        || !window
                            .has_room(self.config.inflight_messages, self.config.inflight_bytes)
                    {
                        break;
                    }
                    let (batch, bytes) = self.batch(progress.next, last);
                    let end = Index(progress.next.0 + batch.len() as u64 - 1);
                    window.push(end, bytes);
                    self.append(to, progress, batch, true);
                    // Assumes that the message arrives; the next heartbeat detects a loss by its
                    // `previous`.
                    progress.next = end.next();
                }
            }
        }
        // Needed only if no entries carried the commit index above. A follower before the log's
        // start learns it from heartbeats: this message names an earlier entry and would be
        // repeated for ever.
        if !is_compacted && self.commit.min(progress.next.previous()) > progress.commit_sent {
            self.append(to, progress, &[], false);
        }
    }

    /// Starts a transfer of the newest snapshot to a follower that needs compacted entries or has a
    /// diverged state; in the second case the snapshot must be at or after the divergence.
    fn begin_snapshot(&mut self, to: NodeId, progress: &mut Progress) {
        match &progress.flow {
            // Switch to the newest snapshot if this one was refused as too large, or if the
            // follower stopped replying and the entries after this snapshot have been compacted.
            Flow::Snapshot(transfer)
                if (transfer.refused
                    || (!transfer.answers
                        && transfer.name.position.index < self.log.base().index))
                    && self
                        .snapshot
                        .is_some_and(|newest| newest.position > transfer.name.position) => {}
            // A newer snapshot does not interrupt a transfer: a slow follower would never finish
            // one.
            Flow::Snapshot(_) => return,
            Flow::Probe { .. } | Flow::Replicate(_) => {}
        }
        let repair = progress.repair_at.is_some();
        match self.snapshot.filter(|snapshot| {
            progress
                .repair_at
                .is_none_or(|at| snapshot.position.index >= at)
        }) {
            Some(snapshot) => {
                let decision = Decision::SendsSnapshot {
                    follower: to,
                    index: snapshot.position.index,
                };
                self.events.push(Event {
                    at: self.now,
                    term: self.term,
                    decision,
                });
                progress.flow = Flow::Snapshot(SnapshotTransfer::new(
                    snapshot.clone(),
                    progress.witness,
                    repair,
                    self.now,
                ));
            }
            // Requested earlier, the snapshot would again be too old for the repair.
            None if progress.repair_at.is_none_or(|at| at <= self.applied) => {
                *self.snapshot_due = true
            }
            None => {}
        }
    }

    fn send_chunks(&mut self, to: NodeId, progress: &mut Progress) {
        let chunk = self.config.snapshot_chunk as u64;
        let sender = self.incarnation;
        let receiver = progress.incarnation;
        let Flow::Snapshot(transfer) = &mut progress.flow else {
            return;
        };
        // It would be refused again; `begin_snapshot` replaces it once there is a newer one.
        if transfer.refused {
            return;
        }
        // A follower that does not reply gets one chunk at a time: it may be down.
        let window = if transfer.answers {
            self.config.snapshot_inflight.saturating_mul(chunk)
        } else {
            chunk
        };
        let SnapshotTransfer {
            snapshot,
            name,
            repair,
            ..
        } = transfer;
        while (transfer.sent < name.size || !transfer.begun)
            && transfer.sent - transfer.received < window
        {
            let end = name.size.min(transfer.sent + chunk);
            let part = snapshot
                .data
                .as_ref()
                .map(|data| data[transfer.sent as usize..end as usize].into());
            let message = InstallSnapshot {
                name: *name,
                stamp: snapshot.stamp,
                membership: snapshot.membership.clone(),
                offset: transfer.sent,
                bytes: part,
                repair: *repair,
                probe: self.probe(),
            };
            let body = Body::InstallSnapshot(message.into());
            self.send.push((
                to,
                Message {
                    term: self.term,
                    sender,
                    receiver,
                    body,
                },
            ));
            (transfer.sent, transfer.begun) = (end, true);
        }
    }

    /// Sends a heartbeat. To a follower that receives entries it names the last entry that the
    /// follower acknowledged: so it may overtake the entries in flight, and a follower that lost an
    /// acknowledged entry refuses it.
    fn heartbeat(&mut self, to: NodeId, progress: &mut Progress) {
        let acknowledged = match &progress.flow {
            Flow::Replicate(_) => progress.acknowledged(),
            Flow::Probe { .. } | Flow::Snapshot(_) => None,
        };
        let previous = acknowledged.unwrap_or_else(|| self.previous(progress));
        self.append_after(to, progress, previous, &[], true);
    }

    fn append(&mut self, to: NodeId, progress: &mut Progress, entries: &[Entry], probe: bool) {
        let previous = self.previous(progress);
        self.append_after(to, progress, previous, entries, probe);
    }

    fn append_after(
        &mut self,
        to: NodeId,
        progress: &mut Progress,
        previous: LogPosition,
        entries: &[Entry],
        probe: bool,
    ) {
        let end = Index(previous.index.0 + entries.len() as u64);
        // The follower adopts the commit index at most up to the last entry of the message (figure
        // 2).
        progress.commit_sent = progress.commit_sent.max(self.commit.min(end));
        let append = AppendEntries {
            previous,
            commit: self.commit,
            probe: probe.then(|| self.probe()),
            round_trip: progress.round_trip.bound(),
            entries: if progress.witness {
                entries.iter().map(withheld).collect()
            } else {
                entries.to_vec()
            },
        };
        let sender = self.incarnation;
        let receiver = progress.incarnation;
        self.send.push((
            to,
            Message {
                term: self.term,
                sender,
                receiver,
                body: Body::AppendEntries(append),
            },
        ));
    }

    fn probe(&self) -> Probe {
        Probe {
            term: self.term,
            sent: self.now,
            round: self.round,
        }
    }

    /// Returns the entries of one message from `from` on, none after `last`, and their size in
    /// bytes.
    fn batch(&mut self, from: Index, last: Index) -> (&'a [Entry], usize) {
        let (entries, bytes) = self.widest_batch(from);
        let fits = usize::try_from(last.next().0.saturating_sub(from.0)).unwrap_or(usize::MAX);
        // Only a witness's `last` may lie within the shared batch.
        match entries.get(..fits) {
            Some(fitting) if fits < entries.len() => {
                (fitting, fitting.iter().map(Entry::size).sum())
            }
            Some(_) | None => (entries, bytes),
        }
    }

    fn widest_batch(&mut self, from: Index) -> (&'a [Entry], usize) {
        match self.batch {
            Some((first, entries, bytes)) if first == from => (entries, bytes),
            Some(_) | None => {
                let (entries, bytes) = self.log.batch(
                    from,
                    self.config.max_append_entries,
                    self.config.max_append_bytes,
                );
                self.batch = Some((from, entries, bytes));
                (entries, bytes)
            }
        }
    }

    /// Returns the position before the next entry to send. If that is compacted, the message is a
    /// heartbeat and names the last entry that the follower acknowledged, so that a follower that
    /// lost it refuses; without an acknowledgement, the start of the log.
    fn previous(&self, progress: &Progress) -> LogPosition {
        let asks_nothing = self
            .config
            .has_planted(PlantedBug::AsksNothingUnderTransfer);
        let acknowledged = progress.acknowledged().filter(|_| !asks_nothing);
        self.log
            .position_at(progress.next.previous())
            .or(acknowledged)
            .unwrap_or_default()
    }
}

/// Returns the entry as a witness stores it, without its command.
fn withheld(entry: &Entry) -> Entry {
    let payload = match &entry.payload {
        Payload::Command { .. } | Payload::Withheld => Payload::Withheld,
        Payload::Empty => Payload::Empty,
        // A witness votes and counts majorities, so it needs every membership.
        Payload::Membership(membership) => Payload::Membership(membership.clone()),
    };
    Entry { payload, ..*entry }
}
