//! One cluster until it has a leader: the shipping core on instant disks, in virtual time.

use std::time::Duration;

use raftian_raft::{
    Config, Decision, Input, Membership, Message, Moment, Node, NodeId, Restored, RoleKind, Term,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Settings;
use raftian_sim::timed::{EventQueue, Next};

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
    /// Next timer wake-up of each node; a plan for another time is stale.
    looks: Vec<Moment>,
    /// Phase of each node within the polling interval.
    phases: Vec<u64>,
    queue: EventQueue<Envelope>,
    now: Moment,
    rng: ChaCha8Rng,
    loss: f64,
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

    /// Runs until there is a leader, and returns what that took.
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

    /// Lets the leader settle and crashes it at a random point of its heartbeat interval. Returns
    /// false if there is no leader.
    fn crash_leader(&mut self) -> bool {
        for place in 0..self.nodes.len() as u32 {
            // The election ended mid-step: actions of this step are still pending.
            self.perform(place);
            self.plan(place);
        }
        let (heartbeat, delay) = (self.settings.heartbeat.0, self.settings.delay.to);
        // Long enough for every node to follow the new leader.
        let settled = self.now.after(heartbeat * 2 + delay * 4);
        // A crash at a fixed phase would bias the time since the last heartbeat.
        let beat = self.rng.random_range(0..heartbeat.as_micros() as u64);
        self.run(settled.after(Duration::from_micros(beat)), |_, _| false);
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

    /// Processes events until `limit`, or until `over` holds for the node that processed the last
    /// one.
    fn run(&mut self, limit: Moment, over: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        while let Some((at, next)) = self.queue.next_until(limit) {
            self.now = at;
            let (place, input) = match next {
                // Stale: another wake-up was planned since.
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
            // Checked before the actions are performed, so that the leader's first broadcast is not
            // counted.
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

    /// Performs a node's actions until none are left or it leads.
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

    /// Plans a node's next wake-up: its next deadline. A polling follower or candidate wakes at the
    /// first poll after its election timer is due.
    fn plan(&mut self, place: u32) {
        let node = &self.nodes[place as usize];
        let due = node.wake_at().max(self.now);
        let poll = self.settings.poll.0.as_micros() as u64;
        let leads = node.role() == RoleKind::Leader;
        // Only election timers are polled; heartbeats are sent on time.
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
