//! One cluster until it has a leader: the shipping core on instant disks, in virtual time.

use std::time::Duration;

use raftian_raft::{
    Config, Decision, Input, Membership, Message, Moment, Node, NodeId, Restored, RoleKind, Term,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Settings;
use raftian_sim::timed::{EventQueue, Next};

/// What it took to elect one leader.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// From the beginning, or the crash of the leader, to the next leader; `None` if there was none
    /// in time.
    pub time: Option<Duration>,
    /// How often a node stood for election.
    pub elections: u64,
    /// Terms in which somebody stood and nobody won.
    pub split_votes: u64,
    /// Messages sent before the leader was elected, the lost ones included.
    pub messages: u64,
    /// Inputs that nodes took before the leader was elected: messages, finished writes and timers.
    pub steps: u64,
}

/// Elects a leader of so many nodes, and another if the settings let the first crash. Everything
/// follows from `seed`.
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

/// A message between two nodes, by their places in the cluster.
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
    /// When each node looks at its timers next, so that earlier plans are known to be stale.
    looks: Vec<Moment>,
    /// Where in the interval of polling each node began to look.
    phases: Vec<u64>,
    queue: EventQueue<Envelope>,
    now: Moment,
    rng: ChaCha8Rng,
    loss: f64,
    /// The leader that crashed, and the term it led.
    crashed: Option<(u32, Term)>,
    /// Terms in which somebody stood, since counting began.
    stood: Vec<Term>,
    count: Outcome,
}

impl<'a> Cluster<'a> {
    /// So many nodes that know of no leader, at the beginning of time.
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
            looks: vec![Moment(u64::MAX); nodes.len()],
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
            queue: EventQueue::default(),
            now: Moment(0),
            rng,
            loss,
            crashed: None,
            stood: Vec::new(),
            count: Outcome::default(),
        };
        (0..size as u32).for_each(|place| cluster.plan(place));
        cluster
    }

    /// Runs until there is a leader, and gives what that took.
    fn elect(&mut self) -> Outcome {
        let (began, limit) = (self.now, self.now.after(self.settings.limit.0));
        (self.count, self.stood) = (Outcome::default(), Vec::new());
        let leader = self.run(limit, |cluster, place| cluster.leads(place));
        let mut count = self.count;
        count.time = leader.map(|_| self.now.since(began));
        let won = leader.map(|place| self.nodes[place as usize].term());
        count.split_votes = split_votes(std::mem::take(&mut self.stood), won);
        count
    }

    /// Lets the leader settle and crashes it, at any point of its heartbeat. False if there is no
    /// leader to crash.
    fn crash_leader(&mut self) -> bool {
        for place in 0..self.nodes.len() as u32 {
            // A leader is elected in the middle of a step, with everything still to be done.
            self.perform(place);
            self.plan(place);
        }
        let (heartbeat, delay) = (self.settings.heartbeat.0, self.settings.delay.to);
        let settled = self.now.after(heartbeat * 2 + delay * 4);
        let beat = self.rng.random_range(0..heartbeat.as_micros() as u64);
        self.run(settled.after(Duration::from_micros(beat)), |_, _| false);
        let leaders = (0..self.nodes.len() as u32).filter(|place| self.leads(*place));
        self.crashed = leaders
            .map(|place| (place, self.nodes[place as usize].term()))
            .max_by_key(|(_, term)| *term);
        self.crashed.is_some()
    }

    /// Whether it leads, in a later term than the leader that crashed: one that was deposed before
    /// and has not heard of it is no news.
    fn leads(&self, place: u32) -> bool {
        let node = &self.nodes[place as usize];
        node.role() == RoleKind::Leader && self.crashed.is_none_or(|(_, term)| node.term() > term)
    }

    /// Lets things happen until `limit`, or until `over` says so of the node to which one just did.
    fn run(&mut self, limit: Moment, over: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        while let Some((at, next)) = self.queue.next_until(limit) {
            self.now = at;
            let (place, input) = match next {
                Next::Wake(place) if self.looks[place as usize] != at => continue,
                Next::Wake(place) => (place, Input::Wake),
                Next::Delivery(Envelope { from, to, message }) => (
                    to,
                    Input::Receive {
                        from: NodeId(u64::from(from) + 1),
                        message,
                    },
                ),
            };
            if self.crashed.is_some_and(|(crashed, _)| crashed == place) {
                continue;
            }
            self.step(place, input);
            if over(self, place) {
                return Some(place);
            }
            self.perform(place);
            if over(self, place) {
                return Some(place);
            }
            self.plan(place);
        }
        self.now = self.now.max(limit);
        None
    }

    fn step(&mut self, place: u32, input: Input) {
        self.count.steps += 1;
        self.nodes[place as usize].step(self.now, input);
    }

    /// Does what a node wants done, at once, until it wants nothing or leads.
    fn perform(&mut self, place: u32) {
        let mut envelopes = Vec::new();
        while self.nodes[place as usize].has_work() {
            let work = self.nodes[place as usize].work();
            let (written, applied) = (
                work.persist.map(|write| write.number),
                work.apply.last().map(|entry| entry.index),
            );
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
        self.queue.send(
            self.now.after(delay),
            Envelope {
                from,
                to: (to.0 - 1) as u32,
                message,
            },
        );
    }

    /// Plans when a node looks at its timers next: when the first is due, or a leader's heartbeat
    /// is; a node that polls looks at its election timer at the first poll after that.
    fn plan(&mut self, place: u32) {
        let node = &self.nodes[place as usize];
        let due = node.wake_at().max(self.now);
        let poll = self.settings.poll.0.as_micros() as u64;
        let leads = node.role() == RoleKind::Leader;
        let at = if leads {
            due
        } else {
            polled(due, (poll, self.phases[place as usize]))
        };
        if self.looks[place as usize] != at {
            self.looks[place as usize] = at;
            self.queue.wake(at, place);
        }
    }
}

/// The first look at a timer that is due, of a node that looks so often and began in this phase of
/// the interval; without an interval it looks at once.
pub(super) fn polled(due: Moment, (poll, phase): (u64, u64)) -> Moment {
    if poll == 0 {
        due
    } else {
        Moment(phase.saturating_add(due.0.saturating_sub(phase).div_ceil(poll) * poll))
    }
}

/// Of the terms in which somebody stood, those that are not the one that was won.
pub(super) fn split_votes(mut stood: Vec<Term>, won: Option<Term>) -> u64 {
    stood.sort_unstable();
    stood.dedup();
    stood.iter().filter(|term| Some(**term) != won).count() as u64
}

impl Settings {
    /// What each node of a study is told; `seed` is the node's own.
    pub(super) fn config(&self, id: NodeId, membership: Membership, seed: u64) -> Config {
        Config {
            election_timeout: (self.timeout.from, self.timeout.to),
            heartbeat: self.heartbeat.0,
            pre_vote: self.pre_vote,
            ..Config::new(id, membership, seed)
        }
    }
}
