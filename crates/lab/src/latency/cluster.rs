//! One cluster of real nodes behind a proxy, and one cell measured on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use raftian_node::cluster::{EmbeddedNode, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, Replica};
use raftian_raft::{Bytes, ClientId, Command, Config, Incarnation, NodeId, Payload};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::moments::{Moments, Parts};
use super::{Cell, Origin, Unmeasured};
use crate::proxy::{Delay, Proxy, Shape};
use crate::report::spread;

/// Time between two heartbeats of a leader.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Election timeouts are drawn from here, and four round trips later.
const ELECTION: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(300));
/// Orders from each origin before anything is measured: the first ones find connections that know no round trip yet.
const WARM_UP: u64 = 3;
/// How long a cluster may take to be ready, beside its round trips.
const READY: Duration = Duration::from_secs(20);
/// How long the last orders may take, beside their round trips. Then they count as lost.
const DRAIN: Duration = Duration::from_secs(3);
/// As the game does: a refused order is proposed again after this time,
const REFUSED_RETRY: Duration = Duration::from_millis(50);
/// and one without an answer after this.
const UNANSWERED_RETRY: Duration = Duration::from_millis(500);
/// Most of what is committed that a program takes at once.
const MOST_TAKEN: usize = 4096;

/// What was measured at one origin of one cell.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Measured {
    /// The parts of each order that was seen.
    pub orders: Vec<Parts>,
    /// Orders that were never seen.
    pub lost: u64,
    /// Orders that were proposed again, each time counted.
    pub again: u64,
    /// Changes of leaders meanwhile.
    pub elections: u64,
    /// Median of all writes of all nodes, in milliseconds.
    pub write_ms: f64,
}

/// One order that was not seen yet.
struct Pending {
    /// Place of the node where it was clicked.
    origin: usize,
    clicked: Instant,
    /// When to propose it again.
    again: Instant,
    measured: bool,
}

struct Cluster {
    nodes: Vec<NodeHandle>,
    moments: Moments,
    pending: BTreeMap<u64, Pending>,
    orders: u64,
    seen: Vec<(u64, Pending, Instant)>,
    repeats: BTreeMap<usize, u64>,
    // The nodes end before their network does.
    _proxy: Proxy,
}

/// Measures one cell, in real time, with stores below `directory`: for each origin what came of its orders.
pub(super) fn measure(cell: &Cell, seed: u64, directory: &Path) -> Result<Vec<(Origin, Measured)>, Unmeasured> {
    let mut cluster = Cluster::start(cell, seed, directory)?;
    let leader = cluster.ready(cell)?;
    let place = |origin: &Origin| match origin {
        Origin::Leader => leader,
        Origin::Follower => (leader + 1) % cluster.nodes.len(),
    };
    let origins: Vec<_> = cell.origins.iter().map(|origin| (*origin, place(origin))).collect();
    let places: Vec<_> = origins.iter().map(|(_, place)| *place).collect();
    cluster.warm_up(cell, &places)?;
    let before = cluster.term();
    let mut dice = ChaCha8Rng::seed_from_u64(spread::seed(seed, &[2]));
    let start = Instant::now();
    let mut clicks = Vec::new();
    for place in &places {
        clicks.extend(cell.clicks(&mut dice).map(|at| (start + at, *place)));
    }
    clicks.sort_unstable();
    cluster.play(cell, &clicks, start + cell.seconds + DRAIN + cell.rtt * 10)?;
    let elections = cluster.term() - before;
    let mut writes = cluster.moments.writes_ms();
    writes.sort_by(f64::total_cmp);
    let write_ms = writes.get(writes.len() / 2).copied().unwrap_or(f64::NAN);
    let measured = origins.into_iter().map(|(origin, place)| {
        let here = cluster.seen.iter().filter(|(_, order, _)| order.origin == place && order.measured);
        let parts = here.map(|(number, order, seen)| cluster.moments.parts(*number, place, order.clicked, *seen));
        let lost = cluster.pending.values().filter(|order| order.origin == place && order.measured).count() as u64;
        let again = cluster.repeats.get(&place).copied().unwrap_or_default();
        (origin, Measured { orders: parts.collect(), lost, again, elections, write_ms })
    });
    let measured = measured.collect();
    // Nobody needs an orderly farewell.
    cluster.nodes.iter().for_each(|node| node.control().kill());
    Ok(measured)
}

fn machine(error: impl std::fmt::Display) -> Unmeasured {
    Unmeasured::Machine(error.to_string())
}

impl Cell {
    /// Times of an origin's clicks from the start on: one in each of equal slots, anywhere in it.
    fn clicks(&self, dice: &mut ChaCha8Rng) -> impl Iterator<Item = Duration> {
        let count = self.orders();
        let slot = self.seconds.as_secs_f64() / count as f64;
        (0..count).map(move |place| Duration::from_secs_f64(slot * (place as f64 + dice.random_range(0.0..1.0))))
    }
}

impl Cluster {
    fn start(cell: &Cell, seed: u64, directory: &Path) -> Result<Self, Unmeasured> {
        let delay = Delay::Fixed(cell.rtt / 2);
        let shape = Shape { delay, loss: cell.loss, ..Shape::default() };
        let mut members = embedded(cell.nodes as usize, "latency", directory).map_err(machine)?;
        let proxy = Proxy::between(&mut members, shape, spread::seed(seed, &[0])).map_err(machine)?;
        let moments = Moments::of(members.len());
        let mut nodes = Vec::new();
        for (place, EmbeddedNode { config, socket }) in members.into_iter().enumerate() {
            let founding = config.founding().map_err(machine)?;
            let mut raft = Config::new(config.id, founding, spread::seed(seed, &[1, config.id.0]));
            raft.heartbeat = HEARTBEAT;
            raft.election_timeout = (ELECTION.0 + cell.rtt * 4, ELECTION.1 + cell.rtt * 4);
            std::fs::create_dir_all(&config.data)
                .map_err(|error| Unmeasured::Machine(format!("{}: {error}", config.data.display())))?;
            let links = QuicOptions::new(socket, &config);
            let (cluster, store) = (config.cluster, config.data.join("raft.redb"));
            let options = NodeOptions { raft, cluster, store, incarnation: Incarnation::default(), links };
            let node = NodeHandle::start_traced(options, moments.trace(place)).map_err(machine)?;
            nodes.push(node);
        }
        let (pending, repeats) = (BTreeMap::new(), BTreeMap::new());
        Ok(Cluster { nodes, moments, pending, orders: 0, seen: Vec::new(), repeats, _proxy: proxy })
    }

    /// Waits until all are connected and follow one leader, and gives its place.
    fn ready(&mut self, cell: &Cell) -> Result<usize, Unmeasured> {
        let deadline = Instant::now() + READY + cell.rtt * 50;
        loop {
            let leader = self.nodes[0].view().status.leader;
            let connected =
                |node: &NodeHandle| node.control().links().peers().all(|(_, counters)| counters.connected());
            if let Some(NodeId(id)) = leader
                && self.nodes.iter().all(|node| node.view().status.leader == leader && connected(node))
            {
                return Ok(id as usize - 1);
            }
            if Instant::now() > deadline {
                return Err(Unmeasured::NoQuorum(cell.name(), "has no leader that all follow"));
            }
            std::thread::sleep(cell.frame());
        }
    }

    fn warm_up(&mut self, cell: &Cell, places: &[usize]) -> Result<(), Unmeasured> {
        let deadline = Instant::now() + READY + cell.rtt * 50;
        for _ in 0..WARM_UP {
            for place in places {
                self.click(*place, Instant::now(), false)?;
            }
            while !self.pending.is_empty() {
                if Instant::now() > deadline {
                    return Err(Unmeasured::NoQuorum(cell.name(), "commits nothing"));
                }
                std::thread::sleep(cell.frame());
                self.frame()?;
            }
        }
        self.repeats.clear();
        Ok(())
    }

    /// Clicks at their times and frames at theirs, until every order is seen or `deadline`.
    fn play(&mut self, cell: &Cell, clicks: &[(Instant, usize)], deadline: Instant) -> Result<(), Unmeasured> {
        let (mut clicks, mut frame) = (clicks.iter().peekable(), Instant::now() + cell.frame());
        while clicks.peek().is_some() || !self.pending.is_empty() {
            let next = clicks.peek().map_or(frame, |(at, _)| frame.min(*at));
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            while let Some((at, place)) = clicks.next_if(|(at, _)| *at <= Instant::now()) {
                self.click(*place, *at, true)?;
            }
            let now = Instant::now();
            if frame <= now {
                self.frame()?;
                // A frame that took longer than its time leaves out those that it missed.
                while frame <= now {
                    frame += cell.frame();
                }
            }
            if now > deadline {
                break;
            }
        }
        Ok(())
    }

    fn click(&mut self, origin: usize, clicked: Instant, measured: bool) -> Result<(), Unmeasured> {
        self.orders += 1;
        let again = clicked + UNANSWERED_RETRY;
        self.pending.insert(self.orders, Pending { origin, clicked, again, measured });
        self.propose(self.orders, origin)
    }

    /// A queue that is full takes it at the next attempt.
    fn propose(&mut self, number: u64, origin: usize) -> Result<(), Unmeasured> {
        let bytes = Bytes::from(b"attack the north".as_slice());
        let command = Command { client: ClientId(1), sequence: number, bytes };
        match self.nodes[origin].propose(command) {
            Ok(()) | Err(raftian_node::AskError::Busy) => Ok(()),
            Err(raftian_node::AskError::Stopped) => {
                Err(Unmeasured::Machine(format!("node {} has stopped", origin + 1)))
            }
        }
    }

    /// One frame of every program: takes what is committed, and proposes again what has no answer.
    fn frame(&mut self) -> Result<(), Unmeasured> {
        let mut taken = Vec::new();
        for (place, node) in self.nodes.iter_mut().enumerate() {
            taken.clear();
            node.take_committed(MOST_TAKEN, &mut taken);
            let seen = Instant::now();
            for refused in node.take_refused() {
                if let Some(order) = self.pending.get_mut(&refused.sequence) {
                    order.again = seen + REFUSED_RETRY;
                }
            }
            for committed in &taken {
                if let Committed::Entry(entry) = committed
                    && let Payload::Command(command) = &entry.payload
                    && self.pending.get(&command.sequence).is_some_and(|order| order.origin == place)
                    && let Some(order) = self.pending.remove(&command.sequence)
                {
                    self.seen.push((command.sequence, order, seen));
                }
            }
        }
        let now = Instant::now();
        let due: Vec<_> =
            self.pending.iter().filter(|(_, order)| order.again <= now).map(|(number, _)| *number).collect();
        for number in due {
            let Some(order) = self.pending.get_mut(&number) else { continue };
            order.again = now + UNANSWERED_RETRY;
            let origin = order.origin;
            *self.repeats.entry(origin).or_default() += 1;
            self.propose(number, origin)?;
        }
        Ok(())
    }

    /// The newest term that any node knows.
    fn term(&self) -> u64 {
        self.nodes.iter().map(|node| node.view().status.term.0).max().unwrap_or_default()
    }
}
