//! What can go wrong: lost, repeated and held messages, cuts, held disks, crashes.

use raftian_raft::NodeId;
use rand::rngs::ChaCha8Rng;

use super::Simulation;
use super::host::Life;
use super::links::Envelope;
use super::trace::Line;
use crate::disk::{Backup, CrashStyle, SimDisk};
use crate::invariants::Violation;

impl Simulation {
    /// Loses everything on its way that matches. Gives back how much.
    pub fn drop_messages(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let lost = self.links.take(matches);
        let count = lost.len();
        for envelope in lost {
            self.trace.push(self.now, Line::Lost(envelope));
        }
        count
    }

    /// Puts a copy of everything that matches behind all others; the originals stay. Gives back how
    /// many.
    pub fn duplicate(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let copies = self.copies(matches);
        let count = copies.len();
        self.inject(copies);
        count
    }

    /// Copies of everything on its way that matches, to be put back later with
    /// [`Simulation::inject`].
    #[must_use]
    pub fn copies(&self, matches: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        self.queued()
            .filter(|envelope| matches(envelope))
            .cloned()
            .collect()
    }

    /// Sends messages again, or messages that nobody sent: they are queued behind all others.
    pub fn inject(&mut self, messages: impl IntoIterator<Item = Envelope>) {
        for envelope in messages {
            self.links
                .send(envelope.from, envelope.to, self.now, envelope.message);
        }
    }

    /// Cuts one direction of a link; what is under way there is lost.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.links.cut(from, to);
        self.trace
            .push(self.now, Line::Links("cut", Some((from, to))));
    }

    /// Cuts a node off, both ways.
    pub fn isolate(&mut self, id: NodeId) {
        for other in self.ids().filter(|other| *other != id) {
            self.cut(id, other);
            self.cut(other, id);
        }
    }

    /// Cuts every link between nodes of different groups; a node in no group is a group of its own.
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

    /// From now on writes of this machine wait.
    pub fn hold_disk(&mut self, id: NodeId) {
        self.host_mut(id).disk_mut().hold(true);
        self.trace
            .push(self.now, Line::Did(id, "has its disk held"));
    }

    /// Whether writes of this machine wait.
    #[must_use]
    pub fn is_disk_held(&self, id: NodeId) -> bool {
        self.host(id).disk().is_held()
    }

    /// Performs the oldest `count` writes that wait; later ones wait on.
    pub fn complete_writes(&mut self, id: NodeId, count: usize) {
        let disk = self.host_mut(id).disk_mut();
        let any = disk.pending() > 0;
        disk.complete(count);
        if any && self.is_up(id) {
            self.trace.push(self.now, Line::Did(id, "has writes done"));
            self.input(id, |_| {});
        }
    }

    /// Performs all writes that wait, and later ones at once.
    pub fn release_disk(&mut self, id: NodeId) {
        self.host_mut(id).disk_mut().hold(false);
        self.complete_writes(id, usize::MAX);
    }

    /// The machine stops: memory is lost, and with it every promise not yet sent; so are the writes
    /// its disk has not done. What it sent before is still on its way.
    pub fn crash(&mut self, id: NodeId) {
        self.crash_keeping(id, 0);
    }

    /// A crash between two writes: the oldest `kept` that waited were done, but nobody was told.
    pub fn crash_keeping(&mut self, id: NodeId, kept: usize) {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        disk.crash(kept);
        host.forget(Life::Down(disk));
        self.trace.push(self.now, Line::Did(id, "crashes"));
    }

    /// A crash in the middle of a write: the oldest `kept` that waited were done, of the next
    /// something may have reached the disk.
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
        host.forget(Life::Down(disk));
        self.trace
            .push(self.now, Line::Did(id, "crashes in the middle of a write"));
    }

    /// The machine ends in an orderly way: the writes that wait are done, but nobody is told any
    /// more.
    pub fn stop(&mut self, id: NodeId) {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        disk.close();
        host.forget(Life::Down(disk));
        self.trace.push(self.now, Line::Did(id, "ends"));
    }

    /// The machine stands still: what arrives waits, and its timers do not fire.
    pub fn pause(&mut self, id: NodeId) {
        self.host_mut(id).paused = true;
        self.trace.push(self.now, Line::Did(id, "is paused"));
    }

    /// A paused machine goes on, with everything that arrived meanwhile.
    pub fn resume(&mut self, id: NodeId) {
        let host = self.host_mut(id);
        host.paused = false;
        let mailbox = std::mem::take(&mut host.mailbox);
        self.trace.push(self.now, Line::Did(id, "goes on"));
        if self.is_up(id) {
            self.input(id, |driver| driver.links_mut().inbox.extend(mailbox));
        }
    }

    /// Whether the machine stands still.
    #[must_use]
    pub fn is_paused(&self, id: NodeId) -> bool {
        self.host(id).paused
    }

    /// The machine's clock jumps, forwards or backwards. Backwards is beyond the model: nodes count
    /// it as standing still.
    pub fn jump_clock(&mut self, id: NodeId, micros: i64) {
        let host = self.host_mut(id);
        host.ahead = host.ahead.saturating_add_signed(micros);
    }

    /// From now on the machine's clock runs at `percent` of the true rate.
    pub fn set_clock_rate(&mut self, id: NodeId, percent: u64) {
        let now = self.now;
        self.host_mut(id).set_clock_rate(now, percent);
    }

    /// The next write of this machine fails, if its disk has bytes.
    pub fn fail_disk(&mut self, id: NodeId, rng: &mut ChaCha8Rng) {
        if let Some(disk) = self.host(id).disk().disk() {
            disk.fail_next_sync(rng);
            self.trace
                .push(self.now, Line::Did(id, "has a sync that will fail"));
        }
    }

    /// The machine's disk is full, or has room again, if it has bytes.
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

    /// A bit on the disk of a machine that is down changes, if the disk has bytes: at this part of
    /// its length, from 0 to 1.
    pub fn flip_bit(&mut self, id: NodeId, place: f64) {
        let host = self.host_mut(id);
        let flip = |disk: &SimDisk| disk.flip_bit((disk.image().len() as f64 * 8.0 * place) as u64);
        if host.disk().disk().is_some_and(flip) {
            host.damaged = true;
            self.trace
                .push(self.now, Line::Did(id, "has a rotten bit on its disk"));
        }
    }

    /// A copy of the disk of a machine as it is now.
    #[must_use]
    pub fn copy_disk(&self, id: NodeId) -> Backup {
        self.host(id).disk().backup()
    }

    /// Puts an old copy of the store on the disk of a machine that is down, and starts the machine,
    /// which must notice. False, and nothing happens, if its mark cannot tell: Raft does not
    /// survive that.
    pub fn put_back(&mut self, id: NodeId, copy: &Backup) -> bool {
        let host = self.host_mut(id);
        if host.node().is_some() || !host.disk().knows_newer_than(copy) {
            return false;
        }
        // Whatever it confirmed since may be on its way, and counts.
        let forgetful = copy.owing(host.image());
        host.disk_mut().put_back(&forgetful);
        host.damaged = true;
        self.trace
            .push(self.now, Line::Did(id, "has an old store put back"));
        self.start(id);
        if self.is_up(id) {
            self.violated(Violation::new(
                "an old store is refused",
                format!("{id} started from it"),
            ));
        }
        true
    }

    /// Everything on the disk of a machine, its rollback guard included, becomes what it was when
    /// `copy` was made, and the machine starts from it. Raft does not allow for that, and nothing
    /// on this machine can notice: what the cluster promised may break, but no node may. The
    /// properties that span runs forget this node.
    pub fn put_back_whole(&mut self, id: NodeId, copy: &Backup) {
        if self.is_up(id) {
            self.crash(id);
        }
        self.host_mut(id).disk_mut().put_back_whole(copy);
        self.invariants.forget(id);
        self.trace.push(
            self.now,
            Line::Did(id, "has its whole disk put back from a copy"),
        );
        self.start(id);
    }

    /// The state of a machine's program becomes something that does not follow from the log, as by
    /// a bug or a bit that flipped in memory. From then on snapshots may differ.
    pub fn go_astray(&mut self, id: NodeId) {
        self.host_mut(id).go_astray();
        self.invariants.snapshots_agree.states_may_differ();
        self.trace
            .push(self.now, Line::Did(id, "has a state that went astray"));
    }

    /// Starts a machine that is down, from its disk.
    pub fn restart(&mut self, id: NodeId) {
        assert!(!self.is_up(id), "only a machine that is down can start");
        self.start(id);
    }

    /// A machine comes back under its old id with an empty disk. Raft does not allow for that: what
    /// the cluster promised may break, but no node may. The properties that span runs forget this
    /// node.
    pub fn wipe(&mut self, id: NodeId) {
        self.crash(id);
        self.host_mut(id).wipe();
        self.invariants.forget(id);
        self.start(id);
    }
}
