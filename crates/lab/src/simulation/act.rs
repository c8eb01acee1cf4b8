//! Stepping a node and performing what it asks for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raftian_raft::{Actions, Input, Message, Moment, Node, NodeId};

use super::Simulation;
use super::host::{Host, Life, Recorded, Recording};
use super::links::Envelope;
use super::trace::Line;
use crate::invariants::{Observation, Violation};

impl Simulation {
    /// Gives a node an input now and performs what follows from it.
    pub(super) fn input(&mut self, id: NodeId, input: Input) {
        assert!(self.is_up(id), "only a running machine takes inputs");
        self.step(id, input);
        self.perform(id);
    }

    /// A message arrives; a machine that is down does not hear it.
    pub(super) fn hand_in(&mut self, envelope: Envelope) {
        if !self.is_up(envelope.to) {
            return self.trace.push(self.now, Line::Lost(envelope));
        }
        let (to, from, message) = (envelope.to, envelope.from, envelope.message.clone());
        self.trace.push(self.now, Line::Delivered(envelope));
        self.input(to, Input::Receive { from, message });
    }

    /// The next timer of any node, in the simulation's time.
    pub(super) fn next_wake(&self) -> Option<(Moment, NodeId)> {
        self.hosts.iter().filter_map(|(id, host)| Some((host.wake_at()?, *id))).min()
    }

    pub(super) fn wake(&mut self, at: Moment, id: NodeId) {
        self.now = self.now.max(at);
        self.input(id, Input::Wake);
        if self.host(id).wake_at().is_some_and(|next| next <= self.now) {
            self.violated(Violation::new("timers", format!("{id} wants to be woken at a moment that is over")));
        }
    }

    /// Starts a machine from its disk.
    pub(super) fn start(&mut self, id: NodeId) {
        let run = self.host(id).run + 1;
        let config = self.setup.config(id, mix(self.setup.seed, id.0, run));
        let (now, recorded) = (self.now, self.setup.recorded);
        let host = self.host_mut(id);
        let (started, restored) = (host.clock(now), host.image().clone());
        if recorded {
            let (config, restored) = (config.clone(), restored.clone());
            host.recordings.push(Recording { config, restored, started, steps: Vec::new() });
        }
        let node = Node::new(config.clone(), restored, started).expect("a simulated disk gives back what was written");
        host.run = run;
        host.config = config;
        host.forget(Life::Up(Box::new(node)));
        self.trace.push(now, Line::Did(id, "starts"));
        self.observe(id, &[]);
    }

    pub(super) fn host_mut(&mut self, id: NodeId) -> &mut Host {
        self.hosts.get_mut(&id).expect("the cluster has this machine")
    }

    /// Steps until the node wants nothing more.
    pub(super) fn perform(&mut self, id: NodeId) {
        while let Some(actions) = self.ask(id) {
            let host = self.host_mut(id);
            let mut answers = Vec::new();
            if let Some(number) = actions.persist.and_then(|write| host.disk.write(write)) {
                answers.push(Input::Persisted(number));
            }
            if let Some(last) = actions.apply.last() {
                answers.push(Input::Applied(last.index));
                host.apply(actions.apply);
            }
            host.refused.extend(actions.refused);
            for event in actions.events {
                self.tally.decided(&event.decision);
                self.trace.push(self.now, Line::Decided(id, event));
            }
            self.observe(id, &actions.send);
            for (to, message) in actions.send {
                self.links.send(id, to, self.now, message);
            }
            if answers.is_empty() {
                return;
            }
            for answer in answers {
                self.step(id, answer);
            }
        }
    }

    /// One step, whatever comes of it.
    pub(super) fn step(&mut self, id: NodeId, input: Input) {
        let (now, recorded) = (self.now, self.setup.recorded);
        let host = self.host_mut(id);
        let now = host.clock(now);
        if recorded && let Some(recording) = host.recordings.last_mut() {
            recording.steps.push(Recorded::Stepped(now, input.clone()));
        }
        let Some(node) = host.node_mut() else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| node.step(now, input))) {
            self.panicked(id, &*panic);
        }
    }

    /// What the node wants done; `None` if nothing.
    fn ask(&mut self, id: NodeId) -> Option<Actions> {
        let recorded = self.setup.recorded;
        let host = self.host_mut(id);
        let node = host.node_mut()?;
        match catch_unwind(AssertUnwindSafe(|| node.take_actions())) {
            Ok(actions) => {
                if recorded && let Some(recording) = host.recordings.last_mut() {
                    recording.steps.push(Recorded::Acted(actions.clone()));
                }
                let nothing = actions.is_empty();
                if nothing {
                    self.observe(id, &[]);
                }
                (!nothing).then_some(actions)
            }
            Err(panic) => {
                self.panicked(id, &*panic);
                None
            }
        }
    }

    fn panicked(&mut self, id: NodeId, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        self.host_mut(id).life = Life::Panicked(text.clone());
        self.violated(Violation::new("nodes stay alive", format!("{id} panicked: {text}")));
    }

    /// Checks every property on what the node shows now.
    pub(super) fn observe(&mut self, id: NodeId, sent: &[(NodeId, Message)]) {
        let images: Vec<_> = self.hosts.values().map(Host::image).collect();
        let host = &self.hosts[&id];
        let Some(node) = host.node() else { return };
        let seen = Observation {
            id,
            run: host.run,
            term: node.term(),
            role: node.role(),
            commit: node.commit(),
            log: node.entries_from(raftian_raft::Index(1)),
            applied: host.applied(),
            effects: host.effects(),
            image: host.image(),
            images: &images,
            sent,
        };
        if let Err(violation) = self.invariants.check(&seen) {
            self.violated(violation);
        }
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        if self.setup.strict && !std::thread::panicking() {
            panic!("{violation}\nseed {}, the last that happened:\n{}", self.setup.seed, self.trace);
        }
        self.violation.get_or_insert(violation);
    }
}

/// A seed for one run of one node: SplitMix64's output function over the three numbers.
fn mix(seed: u64, id: u64, run: u64) -> u64 {
    let mut z = seed.wrapping_add(id << 32).wrapping_add(run).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
