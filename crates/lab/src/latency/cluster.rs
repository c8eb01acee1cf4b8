//! One cell measured on a cluster: clicks and frames of a program, in whatever world the cluster
//! is.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use raftian_node::driver::Committed;
use raftian_raft::{Bytes, ClientId, Command, NodeId, Payload, Refused, Term};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::real::Real;
use super::simulated::Simulated;
use super::spans::{LatencyBreakdown, Spans};
use super::{Cell, MeasureError, Origin};
use crate::report::parallel;
use crate::retries::{REFUSED_RETRY, UNANSWERED_RETRY};

/// Orders from each origin before anything is measured: the first ones find connections that know
/// no round trip yet.
const WARM_UP: u64 = 3;
/// How long a cluster may take to be ready, beside its round trips.
const READY: Duration = Duration::from_secs(20);
/// How long the last orders may take, beside their round trips. Then they count as lost.
const DRAIN: Duration = Duration::from_secs(3);
/// Most of what is committed that a program takes at once.
pub(super) const MAX_TAKEN: usize = 4096;

/// The nodes of a cell and the world they live in, where everything goes by one clock.
pub(super) trait Nodes {
    /// What time it is.
    fn now(&self) -> Instant;

    /// Lets time pass until then.
    fn wait_until(&mut self, then: Instant) -> Result<(), MeasureError>;

    /// Gives a command to the node at a place. If the node is too busy it is given again later.
    fn propose(&mut self, place: usize, command: Command) -> Result<(), MeasureError>;

    /// Moves up to [`MAX_TAKEN`] of what is committed to `into`, which is empty, and gives what
    /// was refused.
    fn take(
        &mut self,
        place: usize,
        into: &mut Vec<Committed>,
    ) -> Result<Vec<Refused>, MeasureError>;

    /// Whom the node at a place follows, if it is connected to all others.
    fn leader(&self, place: usize) -> Option<NodeId>;

    /// The term of the node at a place.
    fn term(&self, place: usize) -> Term;

    /// SimLinks all nodes.
    fn end(self);
}

/// What was measured at one origin of one cell.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Measured {
    /// The parts of each order that was seen.
    pub orders: Vec<LatencyBreakdown>,
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

struct Cluster<N> {
    nodes: N,
    size: usize,
    pending: BTreeMap<u64, Pending>,
    orders: u64,
    seen: Vec<(u64, Pending, Instant)>,
    repeats: BTreeMap<usize, u64>,
}

/// Measures one cell in real time, with stores below `directory`: for each origin what came of its
/// orders.
pub(super) fn measure(
    cell: &Cell,
    seed: u64,
    directory: &Path,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let moments = Spans::of(cell.nodes as usize);
    measure_in(
        Real::start(cell, seed, directory, &moments)?,
        &moments,
        cell,
        seed,
    )
}

/// The same in virtual time, with disks that take so long for a write.
pub(super) fn simulate(
    cell: &Cell,
    seed: u64,
    write: Duration,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let moments = Spans::of(cell.nodes as usize);
    measure_in(
        Simulated::start(cell, seed, write, &moments)?,
        &moments,
        cell,
        seed,
    )
}

fn measure_in(
    nodes: impl Nodes,
    moments: &Spans,
    cell: &Cell,
    seed: u64,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let (size, pending, repeats) = (cell.nodes as usize, BTreeMap::new(), BTreeMap::new());
    let mut cluster = Cluster {
        nodes,
        size,
        pending,
        orders: 0,
        seen: Vec::new(),
        repeats,
    };
    let leader = cluster.ready(cell)?;
    let place = |origin: &Origin| match origin {
        Origin::Leader => leader,
        Origin::Follower => (leader + 1) % cluster.size,
    };
    let origins: Vec<_> = cell
        .origins
        .iter()
        .map(|origin| (*origin, place(origin)))
        .collect();
    let places: Vec<_> = origins.iter().map(|(_, place)| *place).collect();
    cluster.warm_up(cell, &places)?;
    let before = cluster.term();
    let mut rng = ChaCha8Rng::seed_from_u64(parallel::seed(seed, &[2]));
    let start = cluster.nodes.now();
    let mut clicks = Vec::new();
    for place in &places {
        clicks.extend(cell.clicks(&mut rng).map(|at| (start + at, *place)));
    }
    clicks.sort_unstable();
    cluster.play(cell, &clicks, start + cell.seconds + DRAIN + cell.rtt * 10)?;
    let elections = cluster.term() - before;
    let mut writes = moments.writes_ms();
    writes.sort_by(f64::total_cmp);
    let write_ms = writes.get(writes.len() / 2).copied().unwrap_or(f64::NAN);
    let measured = origins.into_iter().map(|(origin, place)| {
        let here = cluster
            .seen
            .iter()
            .filter(|(_, order, _)| order.origin == place && order.measured);
        let parts =
            here.map(|(number, order, seen)| moments.parts(*number, place, order.clicked, *seen));
        let lost = cluster
            .pending
            .values()
            .filter(|order| order.origin == place && order.measured)
            .count() as u64;
        let again = cluster.repeats.get(&place).copied().unwrap_or_default();
        (
            origin,
            Measured {
                orders: parts.collect(),
                lost,
                again,
                elections,
                write_ms,
            },
        )
    });
    let measured = measured.collect();
    cluster.nodes.end();
    Ok(measured)
}

/// What the machine does not give, or a node cannot do.
pub(super) fn machine(error: impl std::fmt::Display) -> MeasureError {
    MeasureError::Machine(error.to_string())
}

impl<N: Nodes> Cluster<N> {
    /// Waits until all are connected and follow one leader, and gives its place.
    fn ready(&mut self, cell: &Cell) -> Result<usize, MeasureError> {
        let deadline = self.nodes.now() + READY + cell.rtt * 50;
        loop {
            let leader = self.nodes.leader(0);
            if let Some(NodeId(id)) = leader
                && (0..self.size).all(|place| self.nodes.leader(place) == leader)
            {
                return Ok(id as usize - 1);
            }
            if self.nodes.now() > deadline {
                return Err(MeasureError::NoQuorum(
                    cell.name(),
                    "has no leader that all follow",
                ));
            }
            self.wait_a_frame(cell)?;
        }
    }

    fn wait_a_frame(&mut self, cell: &Cell) -> Result<(), MeasureError> {
        self.nodes.wait_until(self.nodes.now() + cell.frame())
    }

    fn warm_up(&mut self, cell: &Cell, places: &[usize]) -> Result<(), MeasureError> {
        let deadline = self.nodes.now() + READY + cell.rtt * 50;
        for _ in 0..WARM_UP {
            for place in places {
                let now = self.nodes.now();
                self.click(*place, now, false)?;
            }
            while !self.pending.is_empty() {
                if self.nodes.now() > deadline {
                    return Err(MeasureError::NoQuorum(cell.name(), "commits nothing"));
                }
                self.wait_a_frame(cell)?;
                self.frame()?;
            }
        }
        self.repeats.clear();
        Ok(())
    }

    /// Clicks at their times and frames at theirs, until every order is seen or `deadline`.
    fn play(
        &mut self,
        cell: &Cell,
        clicks: &[(Instant, usize)],
        deadline: Instant,
    ) -> Result<(), MeasureError> {
        let (mut clicks, mut frame) = (clicks.iter().peekable(), self.nodes.now() + cell.frame());
        while clicks.peek().is_some() || !self.pending.is_empty() {
            let next = clicks.peek().map_or(frame, |(at, _)| frame.min(*at));
            self.nodes.wait_until(next)?;
            while let Some((at, place)) = clicks.next_if(|(at, _)| *at <= self.nodes.now()) {
                self.click(*place, *at, true)?;
            }
            let now = self.nodes.now();
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

    fn click(
        &mut self,
        origin: usize,
        clicked: Instant,
        measured: bool,
    ) -> Result<(), MeasureError> {
        self.orders += 1;
        let again = clicked + UNANSWERED_RETRY;
        self.pending.insert(
            self.orders,
            Pending {
                origin,
                clicked,
                again,
                measured,
            },
        );
        self.propose(self.orders, origin)
    }

    /// A queue that is full takes it at the next attempt.
    fn propose(&mut self, number: u64, origin: usize) -> Result<(), MeasureError> {
        let bytes = Bytes::from(b"attack the north".as_slice());
        let command = Command {
            client: ClientId(1),
            sequence: number,
            bytes,
        };
        self.nodes.propose(origin, command)
    }

    /// One frame of every program: takes what is committed, and proposes again what has no answer.
    fn frame(&mut self) -> Result<(), MeasureError> {
        let mut taken = Vec::new();
        for place in 0..self.size {
            taken.clear();
            let refused = self.nodes.take(place, &mut taken)?;
            let seen = self.nodes.now();
            for refused in refused {
                if let Some(order) = self.pending.get_mut(&refused.sequence) {
                    order.again = seen + REFUSED_RETRY;
                }
            }
            for committed in &taken {
                if let Committed::Entry(entry) = committed
                    && let Payload::Command(command) = &entry.payload
                    && self
                        .pending
                        .get(&command.sequence)
                        .is_some_and(|order| order.origin == place)
                    && let Some(order) = self.pending.remove(&command.sequence)
                {
                    self.seen.push((command.sequence, order, seen));
                }
            }
        }
        let now = self.nodes.now();
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, order)| order.again <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(order) = self.pending.get_mut(&number) else {
                continue;
            };
            order.again = now + UNANSWERED_RETRY;
            let origin = order.origin;
            *self.repeats.entry(origin).or_default() += 1;
            self.propose(number, origin)?;
        }
        Ok(())
    }

    /// The newest term that any node knows.
    fn term(&self) -> u64 {
        (0..self.size)
            .map(|place| self.nodes.term(place).0)
            .max()
            .unwrap_or_default()
    }
}
