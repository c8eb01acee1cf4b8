//! One cluster until it has a leader: the shipping core on instant disks, in virtual time.

use std::ops::ControlFlow;
use std::time::Duration;

use raftian_raft::{
    Config, Decision, Input, Membership, Message, Moment, Node, NodeId, Restored, RoleKind, Term,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Settings;
use raftian_sim::timed::{Timed, Timeline};

/// Result of electing one leader.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// Time from the start, or the leader's crash, to the next leader; `None` on a timeout.
    pub time: Option<Duration>,
    /// Number of candidacies.
    pub elections: u64,
    /// Terms with a candidate and no winner.
    pub split_votes: u64,
    /// Messages sent before the leader was elected, including lost ones.
    pub messages: u64,
    /// Inputs processed before the leader was elected: messages, completed writes and timers.
    pub steps: u64,
}

/// Elects a leader among `size` nodes, and another if the settings crash the first. `seed`
/// determines everything.
pub(super) fn run(settings: &Settings, size: u64, seed: u64) -> Outcome {
    let mut cluster = Cluster::new(settings, size, seed);
    let first = cluster.elect();
    if !settings.crash_leader || first.time.is_none() {
        return first;
    }
    if cluster.crash_leader() {
        cluster.elect()
    } else {
        Outcome {
            time: None,
            ..first
        }
    }
}

/// Message between two nodes, identified by their positions in the cluster.
#[derive(Debug)]
struct Envelope {
    from: u32,
    to: u32,
    message: Message,
}

/// Nodes, links and time.
struct Cluster<'a> {
    settings: &'a Settings,
    nodes: Vec<Node>,
    /// Phase of each node within the polling interval.
    phases: Vec<u64>,
    timeline: Timeline<Envelope>,
    rng: ChaCha8Rng,
    loss: f64,
    /// Whether a run ends at the election of a leader.
    ends_with_leader: bool,
    /// The crashed leader and its term.
    crashed: Option<(u32, Term)>,
    /// Terms with a candidate since counting began.
    stood: Vec<Term>,
    count: Outcome,
}

impl<'a> Cluster<'a> {
    /// Creates `size` nodes without a leader, at time zero.
    fn new(settings: &'a Settings, size: u64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let membership =
            Membership::crowd((1..=size).map(NodeId)).expect("a study has no empty cluster");
        let loss = settings.loss.draw(&mut rng);
        let start = |id| {
            let config = settings.config(NodeId(id), membership.clone(), rng.random());
            Node::new(config, Restored::default(), Moment(0)).expect("the settings were checked")
        };
        let nodes: Vec<Node> = (1..=size).map(start).collect();
        let poll = settings.poll.0.as_micros() as u64;
        let mut cluster = Cluster {
            settings,
            timeline: Timeline::new(nodes.len()),
            phases: nodes
                .iter()
                .map(|_| {
                    if poll == 0 {
                        0
                    } else {
                        rng.random_range(0..poll)
                    }
                })
                .collect(),
            nodes,
            rng,
            loss,
            ends_with_leader: false,
            crashed: None,
            stood: Vec::new(),
            count: Outcome::default(),
        };
        (0..size as u32).for_each(|place| cluster.plan(place));
        cluster
    }

    /// Runs until there is a leader, and returns what that took.
    fn elect(&mut self) -> Outcome {
        let began = self.timeline.now();
        (self.count, self.stood) = (Outcome::default(), Vec::new());
        self.ends_with_leader = true;
        let leader = self
            .run_until(began.after(self.settings.limit.0))
            .break_value();
        let mut count = self.count;
        count.time = leader.map(|_| self.timeline.now().since(began));
        let won = leader.map(|place| self.nodes[place as usize].term());
        count.split_votes = split_votes(std::mem::take(&mut self.stood), won);
        count
    }

    /// Lets the leader settle and crashes it at a random point of its heartbeat interval. Returns
    /// false if there is no leader.
    fn crash_leader(&mut self) -> bool {
        for place in 0..self.nodes.len() as u32 {
            // The election ended mid-step: actions of this step are still pending.
            self.perform(place);
            self.plan(place);
        }
        let heartbeat = self.settings.heartbeat.0;
        let delay = self.settings.delay.to;
        // Long enough for every node to follow the new leader.
        let settled = self.timeline.now().after(heartbeat * 2 + delay * 4);
        // A crash at a fixed phase would bias the time since the last heartbeat.
        let beat = self.rng.random_range(0..heartbeat.as_micros() as u64);
        self.ends_with_leader = false;
        let _no_end = self.run_until(settled.after(Duration::from_micros(beat)));
        // A deposed leader may not have stepped down yet: the newest term is the current one.
        let leaders = (0..self.nodes.len() as u32).filter(|place| self.leads(*place));
        self.crashed = leaders
            .map(|place| (place, self.nodes[place as usize].term()))
            .max_by_key(|(_, term)| *term);
        self.crashed.is_some()
    }

    /// Whether the node leads in a later term than the crashed leader; a stale leader that was
    /// deposed earlier does not count.
    fn leads(&self, place: u32) -> bool {
        let node = &self.nodes[place as usize];
        node.role() == RoleKind::Leader && self.crashed.is_none_or(|(_, term)| node.term() > term)
    }

    /// Steps a node, performs its actions and plans its wake-up. The node ends the run if it then
    /// leads.
    fn input(&mut self, place: u32, input: Input) -> ControlFlow<u32> {
        // Checked before the actions are performed too, so that the leader's first broadcast is not
        // counted.
        self.step(place, input);
        self.check_end(place)?;
        self.perform(place);
        self.check_end(place)?;
        self.plan(place);
        ControlFlow::Continue(())
    }

    fn check_end(&self, place: u32) -> ControlFlow<u32> {
        if self.ends_with_leader && self.leads(place) {
            ControlFlow::Break(place)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn is_crashed(&self, place: u32) -> bool {
        self.crashed.is_some_and(|(crashed, _)| crashed == place)
    }

    fn step(&mut self, place: u32, input: Input) {
        self.count.steps += 1;
        self.nodes[place as usize].step(self.timeline.now(), input);
    }

    /// Performs a node's actions until none are left or it leads.
    fn perform(&mut self, place: u32) {
        let mut envelopes = Vec::new();
        while self.nodes[place as usize].has_work() {
            let work = self.nodes[place as usize].work();
            let written = work.persist.map(|write| write.number);
            let applied = work.apply.last().map(|entry| entry.index);
            for event in work.others.events.drain(..) {
                if let Decision::StoodForElection { .. } = event.decision {
                    self.count.elections += 1;
                    self.stood.push(event.term);
                }
            }
            envelopes.append(&mut work.others.send);
            for (to, message) in envelopes.drain(..) {
                self.send(place, to, message);
            }
            if let Some(number) = written {
                self.step(place, Input::Persisted(number));
            }
            if let Some(index) = applied {
                self.step(place, Input::Applied(index));
            }
        }
    }

    fn send(&mut self, from: u32, to: NodeId, message: Message) {
        self.count.messages += 1;
        if self.loss > 0.0 && self.rng.random_bool(self.loss) {
            return;
        }
        let delay = self.settings.delay.draw(&mut self.rng);
        // Beyond the queue's bound a message is lost like any other.
        self.timeline.schedule(
            delay,
            Envelope {
                from,
                to: (to.0 - 1) as u32,
                message,
            },
        );
    }

    fn plan(&mut self, place: u32) {
        let due = self.due(place);
        self.timeline.plan(place as usize, due);
    }

    /// Time at which a node acts on its next deadline. A polling follower or candidate acts at the
    /// first poll after its election timer is due.
    fn due(&self, place: u32) -> Moment {
        let node = &self.nodes[place as usize];
        let due = node.wake_at().max(self.timeline.now());
        let poll = self.settings.poll.0.as_micros() as u64;
        // Only election timers are polled; heartbeats are sent on time.
        if node.role() == RoleKind::Leader {
            due
        } else {
            polled(due, (poll, self.phases[place as usize]))
        }
    }
}

impl Timed for Cluster<'_> {
    type Event = Envelope;
    type Break = u32;

    fn timeline(&mut self) -> &mut Timeline<Envelope> {
        &mut self.timeline
    }

    fn wake(&mut self, node: usize) -> ControlFlow<u32> {
        let place = node as u32;
        if self.is_crashed(place) {
            return ControlFlow::Continue(());
        }
        if self.due(place) > self.timeline.now() {
            self.plan(place);
            return ControlFlow::Continue(());
        }
        self.input(place, Input::Wake)
    }

    fn handle(&mut self, Envelope { from, to, message }: Envelope) -> ControlFlow<u32> {
        if self.is_crashed(to) {
            return ControlFlow::Continue(());
        }
        let from = NodeId(u64::from(from) + 1);
        self.input(to, Input::Receive { from, message })
    }
}

/// First poll at or after `due` of a node with polling interval `poll` and phase `phase`; `due`
/// itself without polling.
pub(super) fn polled(due: Moment, (poll, phase): (u64, u64)) -> Moment {
    if poll == 0 {
        due
    } else {
        Moment(phase.saturating_add(due.0.saturating_sub(phase).div_ceil(poll) * poll))
    }
}

/// Number of terms with a candidate other than the term that was won.
pub(super) fn split_votes(mut stood: Vec<Term>, won: Option<Term>) -> u64 {
    stood.sort_unstable();
    stood.dedup();
    stood.iter().filter(|term| Some(**term) != won).count() as u64
}

impl Settings {
    /// Configuration of a node; `seed` is the node's own.
    pub(super) fn config(&self, id: NodeId, membership: Membership, seed: u64) -> Config {
        Config {
            election_timeout: (self.timeout.from, self.timeout.to),
            heartbeat: self.heartbeat.0,
            pre_vote: self.pre_vote,
            ..Config::new(id, membership, seed)
        }
    }
}
