//! Polls a node and performs the actions that it requests.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raftian_node::driver::{Committed, Driver};
use raftian_node::store::StoreError;
use raftian_node::wire;
use raftian_raft::{Index, Message, Moment, Node, NodeId, ReadAnswer, Responses, TakenSnapshot};

use super::Simulation;
use super::host::{Host, Process, SimDriver};
use super::links::{Envelope, SimLinks};
use super::trace::Line;
use crate::coverage::Mark;
use crate::disk::Unusable;
use crate::invariants::{Images, Observation, Violation};
use crate::splitmix::mix;

impl Simulation {
    /// Passes an input to a node now and performs the resulting actions.
    pub(super) fn input(&mut self, id: NodeId, input: impl FnOnce(&mut SimDriver)) {
        self.steps += 1;
        let now = self.now;
        let host = self.host_mut(id);
        let clock = host.clock(now);
        let driver = host
            .driver_mut()
            .expect("only a running machine takes inputs");
        driver.set_now(clock);
        // A panic of the node is a violation; the simulation must survive to report it.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| input(driver))) {
            self.panicked(id, &*panic);
        }
        self.perform(id);
    }

    /// Delivers a message. A machine that is down loses it; a paused one receives it later.
    pub(super) fn hand_in(&mut self, envelope: Envelope) {
        self.happened(envelope.serial);
        if !self.is_up(envelope.to) {
            return self.trace.push(self.now, Line::Lost(envelope));
        }
        if self.trace.is_kept() {
            self.trace.push(self.now, Line::Delivered(envelope.clone()));
        }
        self.observe_address(envelope.to, envelope.from, envelope.sent);
        let Envelope {
            from, to, message, ..
        } = envelope;
        let message = if self.setup.codec {
            self.through_the_wire(message)
        } else {
            message
        };
        if self.host(to).paused {
            return self.host_mut(to).mailbox.push((from, message));
        }
        self.input(to, |driver| {
            driver.links_mut().inbox.push_back((from, message))
        });
    }

    /// Encodes and decodes a message; the result must equal the original.
    fn through_the_wire(&mut self, message: Message) -> Message {
        let decoded = wire::encode_message(&message)
            .and_then(|frame| wire::decode_message(&frame[wire::LENGTH_BYTES..]));
        match decoded {
            Ok(decoded) if decoded == message => decoded,
            Ok(decoded) => {
                let what = format!("{message:?} decodes to {decoded:?}");
                self.violated(Violation::new("the codec preserves messages", what));
                message
            }
            Err(error) => {
                self.violated(Violation::new(
                    "the codec accepts every message",
                    format!("{error}: {message:?}"),
                ));
                message
            }
        }
    }

    /// Adds an event to the digest that equal runs share.
    pub(super) fn happened(&mut self, what: u64) {
        self.digest = mix(self.digest, self.now.0, what);
    }

    /// Returns the next timer of any node, in the simulation's time.
    pub(super) fn next_wake(&self) -> Option<(Moment, NodeId)> {
        let awake = self.hosts.iter().filter(|(_, host)| !host.paused);
        awake
            .filter_map(|(id, host)| Some((host.wake_at()?, *id)))
            .min()
    }

    pub(super) fn wake(&mut self, at: Moment, id: NodeId) {
        self.now = self.now.max(at);
        self.input(id, |_| {});
        if self.host(id).wake_at().is_some_and(|next| next <= self.now) {
            self.violated(Violation::new(
                "timers",
                format!("{id} requests a wake-up in the past"),
            ));
        }
    }

    /// Starts a machine from its disk.
    pub(super) fn start(&mut self, id: NodeId) {
        let run = self.host(id).run + 1;
        // One seed per run, so that a restarted node does not repeat its random choices.
        let config = self.setup.config(id, mix(self.setup.seed, id.0, run));
        let now = self.now;
        let recorded = self.setup.recorded;
        let host = self.host_mut(id);
        let started = host.clock(now);
        let mut disk = host.take_disk();
        // The store of a fresh disk is open already; only later starts reopen it.
        if !std::mem::take(&mut host.fresh_disk)
            && let Err(unusable) = disk.restart()
        {
            let old = matches!(
                unusable,
                Unusable::Refused(StoreError::Outdated { .. } | StoreError::Foreign { .. })
            );
            host.process = Process::Stopped(disk, format!("{unusable:?}"));
            if host.full {
                return self.counters.count(Mark::CouldNotStartFromFullDisk);
            }
            if host.damaged {
                // Bytes were changed without the store's knowledge, so a refusal is correct.
                let what = if old {
                    Mark::RefusedOldStore
                } else {
                    Mark::RefusedDamagedStore
                };
                return self.counters.count(what);
            }
            let what = format!("{id} cannot start from its disk: {unusable:?}");
            return self.violated(Violation::new("the store returns the durable state", what));
        }
        let restored = disk.image().clone();
        let restored_copy = restored.clone();
        if let Err(error) = Node::new(config.clone(), restored.clone(), started) {
            let why = format!("{id} cannot start from its own writes: {error}");
            host.process = Process::Stopped(disk, why.clone());
            return self.violated(Violation::new("a node starts from its own writes", why));
        }
        let mut driver = Driver::new(config.clone(), restored, disk, SimLinks::default(), started)
            .expect("`Node::new` accepted the same arguments above");
        if recorded {
            driver.record();
        }
        host.run = run;
        host.began_with = (started, restored_copy);
        host.config = config;
        host.forget(Process::Up(Box::new(driver)));
        self.trace.push(now, Line::Did(id, "starts"));
        self.perform(id);
    }

    pub(super) fn host_mut(&mut self, id: NodeId) -> &mut Host {
        self.hosts
            .get_mut(&id)
            .expect("the cluster has this machine")
    }

    /// Polls the node and performs its actions until it requests no more.
    pub(super) fn perform(&mut self, id: NodeId) {
        while self.pump(id) && self.wants_more(id) {}
    }

    /// Returns whether another poll could have an effect. If not, there is nothing new to observe
    /// either.
    fn wants_more(&self, id: NodeId) -> bool {
        let host = self.host(id);
        let now = self.now;
        host.driver().is_some_and(|driver| {
            let has_input = driver.store().has_reports() || !driver.links().inbox.is_empty();
            has_input || driver.node().has_work() || driver.node().wake_at() <= host.clock(now)
        })
    }

    /// Polls the node once and performs its actions. Returns whether there is more to do.
    fn pump(&mut self, id: NodeId) -> bool {
        let now = self.now;
        let hash_every = self.setup.hash_every;
        let host = self.host_mut(id);
        let clock = host.clock(now);
        let Some(driver) = host.driver_mut() else {
            return false;
        };
        let mut again = match catch_unwind(AssertUnwindSafe(|| driver.pump(|| clock))) {
            Ok(Ok(wake_at)) => wake_at <= clock && driver.node().wake_at() > clock,
            Ok(Err(error)) => return self.stopped(id, error.to_string()),
            Err(panic) => return self.panicked(id, &*panic),
        };
        let mut committed = Vec::new();
        driver.deliver(&mut committed);
        let Responses {
            refused,
            reads,
            request_results,
            snapshot_due,
        } = driver.take_responses();
        let events = driver.take_events();
        let sent = std::mem::take(&mut driver.links_mut().outbox);
        if let Some(last) = committed.last().map(Committed::index) {
            driver.applied(last);
            again = true;
        }
        // A restored snapshot replaces the whole state, which is how divergence is repaired.
        let was_astray = host.is_diverged();
        let hashes = host.apply(committed, hash_every);
        let repaired = was_astray && !host.is_diverged();
        host.refused.extend(refused);
        host.request_results.extend(request_results);
        host.reads
            .extend(reads.iter().map(|answer| (answer.id, answer.result)));
        if repaired {
            self.counters.count(Mark::RepairedDivergedState);
        }
        for event in events {
            self.counters.decided(&event.decision);
            self.happened(id.0 << 32 | event.term.0);
            self.trace.push(self.now, Line::Decided(id, event));
        }
        // Before the disk performs later writes, or these could hide a message sent too early.
        self.observe(id, &sent);
        self.record_committed(id);
        if let Some(driver) = self.host_mut(id).driver_mut() {
            hashes.into_iter().for_each(|hash| driver.state_hash(hash));
        }
        for answer in reads {
            self.read_answered(answer);
        }
        for (to, message) in sent {
            // Neither side knows where the other is.
            if self.is_connected(id, to) {
                self.links.send(id, to, self.now, message);
            }
        }
        if snapshot_due {
            self.take_snapshot(id, None);
            again = true;
        }
        let disk = self.host_mut(id).disk_mut();
        let writes = disk.pending() > 0 && !disk.is_held();
        if writes {
            disk.complete(usize::MAX);
        }
        again || writes
    }

    /// Makes the machine's program take a snapshot of its state.
    pub(super) fn take_snapshot(&mut self, id: NodeId, compact_to: Option<Index>) {
        let (index, data) = self.host(id).save();
        let taken = TakenSnapshot {
            index,
            data,
            compact_to,
        };
        let Some(driver) = self.host_mut(id).driver_mut() else {
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| driver.take_snapshot(taken))) {
            self.panicked(id, &*panic);
        }
    }

    fn read_answered(&mut self, answer: ReadAnswer) {
        let reads = &mut self.invariants.reads_see_commits;
        match answer.result {
            Ok(index) => {
                if let Err(violation) = reads.answered(answer.id, index) {
                    self.violated(violation);
                }
            }
            Err(_) => reads.refused(answer.id),
        }
    }

    /// Stops the node, as it must stop when its disk fails. Returns false: no work is left.
    fn stopped(&mut self, id: NodeId, why: String) -> bool {
        let host = self.host_mut(id);
        let mut disk = host.take_disk();
        // The process is gone; only the next start shows whether the failed write is on disk.
        disk.crash(0);
        host.process = Process::Stopped(disk, why);
        self.trace
            .push(self.now, Line::Did(id, "stops: its disk failed"));
        false
    }

    fn panicked(&mut self, id: NodeId, panic: &(dyn Any + Send)) -> bool {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        self.stopped(id, text.clone());
        self.violated(Violation::new(
            "nodes stay alive",
            format!("{id} panicked: {text}"),
        ));
        false
    }

    /// Checks every property against the node's present state.
    pub(super) fn observe(&mut self, id: NodeId, sent: &[(NodeId, Message)]) {
        let look = |id| self.hosts.get(&id).map(Host::image);
        let host = &self.hosts[&id];
        let Some(node) = host.node() else { return };
        let log = node.entries_from(Index(1));
        let seen = Observation {
            id,
            run: host.run,
            term: node.term(),
            role: node.role(),
            commit: node.commit(),
            start: node.log_start().position,
            log,
            membership: node.membership(),
            base: node
                .snapshot()
                .map_or(&node.config().membership, |snapshot| &snapshot.membership),
            restores: host.restores,
            applied: host.applied(),
            effects: host.effects(),
            image: host.image(),
            images: Images::new(&look),
            sent,
        };
        if let Err(violation) = self.invariants.check(&seen) {
            self.violated(violation);
        }
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        let violation = self.violation.get_or_insert(violation);
        // A second panic during unwinding would abort the process and hide the first.
        if self.setup.strict && !std::thread::panicking() {
            panic!(
                "{violation}\nseed {}, last events:\n{}",
                self.setup.seed, self.trace
            );
        }
    }
}
