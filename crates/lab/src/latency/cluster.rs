//! Measurement of one cell: clicks and frames of a program on a cluster, in real or virtual time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use raftian_node::driver::Committed;
use raftian_raft::{Bytes, ClientId, Command, NodeId, Payload};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::nodes::Nodes;
use super::real::Real;
use super::simulated::Simulated;
use super::spans::{LatencyBreakdown, Timestamps};
use super::{Cell, MeasureError, Origin};
use crate::report::parallel;
use crate::retries::{REFUSED_RETRY, UNANSWERED_RETRY};

/// Orders from each origin before the measurement: the first ones use connections without a
/// round-trip estimate.
const WARM_UP: u64 = 3;
/// Time limit for a cluster to be ready, in addition to its round trips.
const READY: Duration = Duration::from_secs(20);
/// Time limit for the last orders, in addition to their round trips; later ones count as lost.
const DRAIN: Duration = Duration::from_secs(3);
/// Measurements of one origin of one cell.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Measured {
    /// Latency breakdown of each order that was displayed.
    pub orders: Vec<LatencyBreakdown>,
    /// Orders that were never displayed.
    pub lost: u64,
    /// Number of repeated proposals.
    pub again: u64,
    /// Leader changes during the measurement.
    pub elections: u64,
    /// Median write time over all nodes, in milliseconds.
    pub write_ms: f64,
}

/// One order that was not displayed yet.
struct Pending {
    /// Position of the node where it was clicked.
    origin: usize,
    clicked: Instant,
    /// Time of the next proposal.
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

/// Measures one cell in real time, with stores below `directory`, and returns the measurements of
/// each origin.
pub(super) fn measure(
    cell: &Cell,
    seed: u64,
    directory: &Path,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let moments = Timestamps::of(cell.nodes as usize);
    measure_in(
        Real::start(cell, seed, directory, &moments)?,
        &moments,
        cell,
        seed,
    )
}

/// Measures one cell in virtual time, with disks that take `write` for a write.
pub(super) fn simulate(
    cell: &Cell,
    seed: u64,
    write: Duration,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let moments = Timestamps::of(cell.nodes as usize);
    measure_in(
        Simulated::start(cell, seed, write, &moments)?,
        &moments,
        cell,
        seed,
    )
}

fn measure_in(
    nodes: impl Nodes,
    moments: &Timestamps,
    cell: &Cell,
    seed: u64,
) -> Result<Vec<(Origin, Measured)>, MeasureError> {
    let size = cell.nodes as usize;
    let pending = BTreeMap::new();
    let repeats = BTreeMap::new();
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

impl<N: Nodes> Cluster<N> {
    /// Waits until all nodes are connected and follow one leader, and returns its position.
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
                    "has no leader that all nodes follow",
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
        // Repeats of warm-up orders are not part of the measurement.
        self.repeats.clear();
        Ok(())
    }

    /// Runs clicks and frames at their times, until every order is displayed or `deadline`.
    fn play(
        &mut self,
        cell: &Cell,
        clicks: &[(Instant, usize)],
        deadline: Instant,
    ) -> Result<(), MeasureError> {
        let mut clicks = clicks.iter().peekable();
        let mut frame = self.nodes.now() + cell.frame();
        while clicks.peek().is_some() || !self.pending.is_empty() {
            let next = clicks.peek().map_or(frame, |(at, _)| frame.min(*at));
            self.nodes.wait_until(next)?;
            // The order's clock starts at `at`: a late wake-up counts as queueing.
            while let Some((at, place)) = clicks.next_if(|(at, _)| *at <= self.nodes.now()) {
                self.click(*place, *at, true)?;
            }
            let now = self.nodes.now();
            if frame <= now {
                self.frame()?;
                // A late frame skips the frames it missed.
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

    /// A full queue takes the order at the next attempt.
    fn propose(&mut self, number: u64, origin: usize) -> Result<(), MeasureError> {
        let bytes = Bytes::from(b"attack the north".as_slice());
        let command = Command {
            client: ClientId(1),
            sequence: number,
            bytes,
        };
        self.nodes.propose(origin, command)
    }

    /// Runs one frame of every program: takes committed entries, and repeats unanswered proposals.
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
            // An order counts as displayed only at the node where it was clicked.
            for committed in &taken {
                if let Committed::Entry(entry) = committed
                    && let Payload::Command { command, .. } = &entry.payload
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

    /// Newest term of any node.
    fn term(&self) -> u64 {
        (0..self.size)
            .map(|place| self.nodes.term(place).0)
            .max()
            .unwrap_or_default()
    }
}
