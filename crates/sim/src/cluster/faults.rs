//! Faults: lost, duplicated and held messages, cut links, held disks, crashes.

use raftian_node::store::StoreError;
use raftian_raft::{Incarnation, NodeId};
use rand::rngs::ChaCha8Rng;

use super::Simulation;
use super::host::Process;
use super::links::Envelope;
use super::trace::Line;
use crate::coverage::Mark;
use crate::disk::{Backup, CrashStyle, SimDisk};
use crate::invariants::Violation;

impl Simulation {
    /// Drops every message in flight that matches. Returns how many were dropped.
    pub fn drop_messages(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let lost = self.links.take(matches);
        let count = lost.len();
        for envelope in lost {
            self.trace.push(self.now, Line::Lost(envelope));
        }
        count
    }

    /// Queues a copy of every message that matches behind all others; the originals stay. Returns
    /// how many were copied.
    pub fn duplicate(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let copies = self.copies(matches);
        let count = copies.len();
        self.inject(copies);
        count
    }

    /// Copies every message in flight that matches, for a later [`Simulation::inject`].
    pub fn copies(&self, matches: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        self.queued()
            .filter(|envelope| matches(envelope))
            .cloned()
            .collect()
    }

    /// Queues messages behind all others: repeated ones, or ones that no node sent.
    pub fn inject(&mut self, messages: impl IntoIterator<Item = Envelope>) {
        for envelope in messages {
            self.links
                .send(envelope.from, envelope.to, self.now, envelope.message);
        }
    }

    /// Cuts one direction of a link; messages in flight there are lost.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.links.cut(from, to);
        self.trace
            .push(self.now, Line::Links("cut", Some((from, to))));
    }

    /// Cuts all links of a node in both directions.
    pub fn isolate(&mut self, id: NodeId) {
        for other in self.ids().filter(|other| *other != id) {
            self.cut(id, other);
            self.cut(other, id);
        }
    }

    /// Cuts every link between nodes of different groups; a node in no group forms its own group.
    pub fn partition(&mut self, groups: &[&[NodeId]]) {
        let together = |a: NodeId, b: NodeId| {
            groups
                .iter()
                .any(|group| group.contains(&a) && group.contains(&b))
        };
        for from in self.ids() {
            for to in self.ids().filter(|to| *to != from && !together(from, *to)) {
                self.cut(from, to);
            }
        }
    }

    /// Mends one direction of a link.
    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        self.links.mend(from, to);
        self.trace
            .push(self.now, Line::Links("mend", Some((from, to))));
    }

    /// Mends every link.
    pub fn heal(&mut self) {
        self.links.heal();
        self.trace.push(self.now, Line::Links("heal", None));
    }

    /// Holds the machine's disk: its writes wait from now on.
    pub fn hold_disk(&mut self, id: NodeId) {
        self.host_mut(id).disk_mut().hold(true);
        self.trace
            .push(self.now, Line::Did(id, "has its disk held"));
    }

    /// Returns whether the machine's disk is held.
    pub fn is_disk_held(&self, id: NodeId) -> bool {
        self.host(id).disk().is_held()
    }

    /// Performs the oldest `count` waiting writes; later ones keep waiting.
    pub fn complete_writes(&mut self, id: NodeId, count: usize) {
        let disk = self.host_mut(id).disk_mut();
        let any = disk.pending() > 0;
        disk.complete(count);
        if any && self.is_up(id) {
            self.trace.push(self.now, Line::Did(id, "writes to disk"));
            self.input(id, |_| {});
        }
    }

    /// Releases the machine's disk: performs all waiting writes, and later ones at once.
    pub fn release_disk(&mut self, id: NodeId) {
        self.host_mut(id).disk_mut().hold(false);
        self.complete_writes(id, usize::MAX);
    }

    /// Crashes the machine: it loses its memory, every deferred message and the writes that its
    /// disk has not performed. Messages already sent stay in flight.
    pub fn crash(&mut self, id: NodeId) {
        self.crash_keeping(id, 0);
    }

    /// Crashes the machine between two writes: the oldest `kept` waiting writes were performed but
    /// not reported.
    pub fn crash_keeping(&mut self, id: NodeId, kept: usize) {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        disk.crash(kept);
        host.forget(Process::Down(disk));
        self.trace.push(self.now, Line::Did(id, "crashes"));
    }

    /// Crashes the machine in the middle of a write: the oldest `kept` waiting writes were
    /// performed, and part of the next one may have reached the disk.
    pub fn crash_midway(
        &mut self,
        id: NodeId,
        kept: usize,
        rng: &mut ChaCha8Rng,
        style: CrashStyle,
    ) {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        disk.crash_midway(kept, rng, style);
        host.forget(Process::Down(disk));
        self.trace
            .push(self.now, Line::Did(id, "crashes in the middle of a write"));
    }

    /// Shuts the machine down in an orderly way: waiting writes are performed but no longer
    /// reported.
    pub fn stop(&mut self, id: NodeId) {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        disk.close();
        host.forget(Process::Down(disk));
        self.trace.push(self.now, Line::Did(id, "shuts down"));
    }

    /// Pauses the machine: messages that arrive wait, and its timers do not fire.
    pub fn pause(&mut self, id: NodeId) {
        self.host_mut(id).paused = true;
        self.trace.push(self.now, Line::Did(id, "is paused"));
    }

    /// Resumes a paused machine, which receives every message that arrived meanwhile.
    pub fn resume(&mut self, id: NodeId) {
        let host = self.host_mut(id);
        host.paused = false;
        let mailbox = std::mem::take(&mut host.mailbox);
        self.trace.push(self.now, Line::Did(id, "resumes"));
        if self.is_up(id) {
            self.input(id, |driver| driver.links_mut().inbox.extend(mailbox));
        }
    }

    /// Returns whether the machine is paused.
    pub fn is_paused(&self, id: NodeId) -> bool {
        self.host(id).paused
    }

    /// Makes the machine's clock jump, forwards or backwards. A backward jump is outside the model:
    /// nodes treat it as a stopped clock.
    pub fn jump_clock(&mut self, id: NodeId, micros: i64) {
        let host = self.host_mut(id);
        host.ahead = host.ahead.saturating_add_signed(micros);
    }

    /// Runs the machine's clock at `percent` of the true rate from now on.
    pub fn set_clock_rate(&mut self, id: NodeId, percent: u64) {
        let now = self.now;
        self.host_mut(id).set_clock_rate(now, percent);
    }

    /// Makes the machine's next sync fail, if its disk stores bytes.
    pub fn fail_disk(&mut self, id: NodeId, rng: &mut ChaCha8Rng) {
        if let Some(disk) = self.host(id).disk().disk() {
            disk.fail_next_sync(rng);
            self.trace
                .push(self.now, Line::Did(id, "has a sync that will fail"));
        }
    }

    /// Cancels the failure of the machine's next sync.
    pub fn spare_disk(&mut self, id: NodeId) {
        if let Some(disk) = self.host(id).disk().disk() {
            disk.spare_next_sync();
        }
    }

    /// Fills the machine's disk or makes room on it, if it stores bytes.
    pub fn fill_disk(&mut self, id: NodeId, full: bool) {
        if let Some(disk) = self.host(id).disk().disk() {
            disk.fill(full);
            self.host_mut(id).full = full;
            self.trace.push(
                self.now,
                Line::Did(
                    id,
                    if full {
                        "has a full disk"
                    } else {
                        "has room on its disk"
                    },
                ),
            );
        }
    }

    /// Flips a bit on the disk of a machine that is down, if the disk stores bytes. `place` is the
    /// fraction of the disk's length, from 0 to 1.
    pub fn flip_bit(&mut self, id: NodeId, place: f64) {
        let host = self.host_mut(id);
        let flip = |disk: &SimDisk| disk.flip_bit((disk.image().len() as f64 * 8.0 * place) as u64);
        if host.disk().disk().is_some_and(flip) {
            host.damaged = true;
            self.trace
                .push(self.now, Line::Did(id, "has a flipped bit on its disk"));
        }
    }

    /// Returns a copy of a machine's disk in its present state.
    pub fn copy_disk(&self, id: NodeId) -> Backup {
        self.host(id).disk().backup()
    }

    /// Puts an old copy of the store on the disk of a machine that is down, and starts the machine,
    /// which must refuse the copy. Returns false and does nothing if the mark cannot detect the
    /// rollback: Raft does not survive that.
    pub fn put_back(&mut self, id: NodeId, copy: &Backup) -> bool {
        let host = self.host_mut(id);
        if host.node().is_some() || !host.disk().knows_newer_than(copy) {
            return false;
        }
        // Acknowledgements sent since the copy may still be in flight, so they stay owed.
        let forgetful = copy.owing(host.image());
        host.disk_mut().put_back(&forgetful);
        host.damaged = true;
        self.trace
            .push(self.now, Line::Did(id, "has an old store restored"));
        self.start(id);
        if self.is_up(id) {
            self.violated(Violation::new(
                "an old store is refused",
                format!("{id} started from an old store"),
            ));
        }
        true
    }

    /// Restores the whole disk of a machine from `copy`, rollback guard included, and starts the
    /// machine from it. Raft does not tolerate this, and nothing on the machine can detect it: the
    /// cluster's guarantees may break, but no node may panic. The properties that span runs forget
    /// this node.
    pub fn put_back_whole(&mut self, id: NodeId, copy: &Backup) {
        if self.is_up(id) {
            self.crash(id);
        }
        self.host_mut(id).disk_mut().put_back_whole(copy);
        self.invariants.forget(id);
        self.trace.push(
            self.now,
            Line::Did(id, "has its whole disk restored from a copy"),
        );
        self.start(id);
    }

    /// Makes the state of a machine's program diverge from the log, as a bug or a bit flip in
    /// memory would. From then on snapshots may differ.
    pub fn diverge(&mut self, id: NodeId) {
        self.host_mut(id).diverge();
        self.invariants.snapshots_agree.states_may_differ();
        self.trace
            .push(self.now, Line::Did(id, "has a diverged state"));
    }

    /// Starts a machine that is down, from its disk.
    pub fn restart(&mut self, id: NodeId) {
        assert!(!self.is_up(id), "only a machine that is down can start");
        self.start(id);
    }

    /// Corrects the file of a machine that lists other members than the rest, and starts it with an
    /// empty disk: its own holds the wrong list. Returns false if its file is right.
    pub fn correct_file(&mut self, id: NodeId) -> bool {
        let is_wrong = self.setup.differing.remove(&id).is_some();
        if is_wrong {
            self.wipe(id);
        }
        is_wrong
    }

    /// Creates a new store under the rollback guard of the store before, as someone does who
    /// deletes a store or copies a directory. Returns false and does nothing if the guard counts no
    /// write of the store before, or the disk may fail. The store must be refused; the machine is
    /// down then.
    pub fn recreate_under_guard(&mut self, id: NodeId) -> bool {
        let host = self.host(id);
        if !host.disk().is_guarded() || host.disk_may_fail() {
            return false;
        }
        self.crash(id);
        let host = self.host_mut(id);
        let fresh = Incarnation(host.incarnation().0 + 1);
        let refused = host.disk_mut().recreate_under_guard(fresh);
        host.damaged = true;
        self.trace.push(
            self.now,
            Line::Did(id, "has a new store under an old guard"),
        );
        match refused {
            Some(StoreError::Foreign { .. }) => {
                self.counters.count(Mark::RefusedNewStoreUnderGuard)
            }
            other => self.violated(Violation::new(
                "a new store under the guard of another is refused",
                format!("{id}: {other:?}"),
            )),
        }
        true
    }

    /// Restarts a machine under its old id with an empty disk. Raft does not tolerate this: the
    /// cluster's guarantees may break, but no node may panic. The properties that span runs forget
    /// this node.
    pub fn wipe(&mut self, id: NodeId) {
        self.crash(id);
        self.host_mut(id).wipe();
        self.invariants.forget(id);
        self.start(id);
    }
}
