//! How long it takes from a click until the order is seen, and where that time goes.
//!
//! Real nodes do it: each with its thread, its store on disk and its QUIC links on the loopback interface, which pass a
//! [`proxy`](crate::proxy) that delays each datagram by half a round trip and loses some. A program clicks at times that
//! a seed draws, and a frame loop takes what is committed, sixty times a second unless told otherwise.
//!
//! # The parts of an order's time
//! One clock times all nodes, for they are threads of one process. An order that is clicked at node O and led by L goes
//! through these moments, and each part ends where the next begins, so together they are all of its time:
//!
//! | part | from | until |
//! |---|---|---|
//! | queue | clicked: O's program proposes at once | O took it from its queue |
//! | network | O took it | O let go of it as committed, less the disk part |
//! | disk | the write that the commit waited for was given to the disk | its node learned that it is durable |
//! | apply | O let go of it as committed | O puts it where the program takes it |
//! | frame | there | the frame that took it |
//!
//! The commit waited for the answer that made the majority: of L's own disk, or of a follower whose write lies between
//! L's message and its own answer. So network is both ways between O and L, if they are two, and both between L and that
//! follower, with what the nodes, QUIC and its retransmissions made of them; an order that was proposed again because it
//! was refused or had no answer, or whose leader changed, has that there, too.
//!
//! # What physics asks for
//! At the leader a commit takes one round trip and one write: the message to the followers and the leader's own write
//! begin together, so of the two writes that a majority of two or three needs, one hides behind the network. At a follower
//! it takes one round trip more: half to bring the order to the leader, half to bring the commit index back. Then half a
//! frame, in the mean and in the median. [`Cell::theory_ms`] is that sum, with the median write that was measured in the
//! cell; it knows nothing of loss, of processors that are busy, or of queues, and the column beside it says what is left.
//!
//! # Decisions
//! **The axes cross in one point.** Decision: unless asked for the whole grid, one value varies at a time, around three
//! nodes, 20 ms, no loss and ten orders a second, as far as the lists have these; what was left out is told. Why: each
//! cell is real time, and the whole grid takes a quarter of an hour. Would change if: two axes were known to act together.
//!
//! **Elections get four round trips more.** Decision: timeouts are 150–300 ms and four round trips, heartbeats 50 ms.
//! Why: an election needs two round trips, and this is a study of orders under a leader; where leaders change all the
//! same, the row says so. Would change if: nodes adapted their timeouts by default.
//!
//! **Orders are proposed again as the game does it.** Decision: after 50 ms if refused, after 500 ms without an answer;
//! the order's clock runs on. Why: it is the game's latency. An order counts as lost only if it is never seen. Would
//! change if: the game's retries did.
//!
//! **Evenly many orders.** Decision: each origin clicks once in each of equal slots, anywhere in it. Why: a cell has as
//! many orders as its rate says, at least one, and frames and clicks stay independent. Would change if: bursts were
//! measured.

pub mod charts;
mod cluster;
pub mod lists;
mod moments;
pub mod results;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use cluster::Measured;
use lists::{List, Rate};
pub use moments::Parts;

use crate::elections::ranges::{Share, Sizes, Time};
use crate::report::spread;

/// Fewest and most nodes of a cluster.
pub const NODES: (u64, u64) = (2, 8);

/// Longest round trip: with it an election still ends well within the time a cluster has to be ready.
const LONGEST_RTT: Duration = Duration::from_secs(1);

/// Most orders of one cell at one origin: some hundred bytes each at every node.
const MOST_ORDERS: u64 = 100_000;

/// Where the axes cross: nodes, round trip, lost datagrams, orders a second.
const CENTRE: (u64, Duration, f64, f64) = (3, Duration::from_millis(20), 0.0, 10.0);

/// What is measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Study {
    /// Sizes of clusters, within [`NODES`].
    pub nodes: Sizes,
    /// Round trips between any two nodes.
    pub rtts: List<Time>,
    /// Shares of lost datagrams.
    pub losses: List<Share>,
    /// Orders a second, at each origin.
    pub rates: List<Rate>,
    /// Where orders are clicked.
    pub origins: Vec<Origin>,
    /// How long orders are clicked in each cell.
    pub seconds: f64,
    /// Frames a second.
    pub fps: f64,
    /// From which clicks, losses and election timeouts follow; not what the machine makes of them.
    pub seed: u64,
    /// Every combination, not only those on the axes.
    pub full: bool,
}

/// Where an order is clicked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// At the node that leads.
    Leader,
    /// At the next node after it.
    Follower,
}

/// One combination.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Nodes.
    pub nodes: u64,
    /// Round trip between any two.
    pub rtt: Duration,
    /// Share of datagrams that are lost, each way.
    pub loss: f64,
    /// Orders a second at each origin.
    pub rate: f64,
    /// Where orders are clicked, at all of them at once.
    pub origins: Vec<Origin>,
    /// How long orders are clicked.
    pub seconds: Duration,
    /// Frames a second.
    pub fps: f64,
}

/// Why a cell could not be measured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unmeasured {
    /// It has no leader in time, or commits nothing.
    #[error("{0} {1} in time")]
    NoQuorum(String, &'static str),
    /// The machine does not give what it needs, or a node has stopped.
    #[error("{0}")]
    Machine(String),
}

impl Default for Study {
    fn default() -> Self {
        let ms = |ms| Time(Duration::from_millis(ms));
        let share = |share| Share { from: share, to: share };
        Study {
            nodes: Sizes(vec![2, 3, 5, 8]),
            rtts: List([0, 20, 80, 200].map(ms).into()),
            losses: List([0.0, 0.01, 0.05].map(share).into()),
            rates: List([1.0, 10.0, 100.0].map(Rate).into()),
            origins: vec![Origin::Leader, Origin::Follower],
            seconds: 3.0,
            fps: 60.0,
            seed: 1,
            full: false,
        }
    }
}

impl Origin {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Origin::Leader => "leader",
            Origin::Follower => "follower",
        }
    }
}

impl Cell {
    /// For messages.
    #[must_use]
    pub fn name(&self) -> String {
        let loss = Share { from: self.loss, to: self.loss };
        format!("a cluster of {} nodes, {} and {loss} loss", self.nodes, Time(self.rtt))
    }

    /// Orders at each origin, at least one.
    #[must_use]
    pub fn orders(&self) -> u64 {
        ((self.rate * self.seconds.as_secs_f64()).round() as u64).max(1)
    }

    /// Time of one frame.
    #[must_use]
    pub fn frame(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.fps)
    }

    /// Median time from click to sight by theory, in milliseconds, if a write takes `write_ms`; see the module.
    #[must_use]
    pub fn theory_ms(&self, origin: Origin, write_ms: f64) -> f64 {
        let trips = match origin {
            Origin::Leader => 1.0,
            Origin::Follower => 2.0,
        };
        self.rtt.as_secs_f64() * 1e3 * trips + write_ms + 500.0 / self.fps
    }
}

impl Study {
    /// Says what cannot be measured.
    ///
    /// # Errors
    /// With the option to change.
    pub fn check(&self) -> Result<(), String> {
        let (fewest, most) = NODES;
        if let Some(nodes) = self.nodes.0.iter().find(|nodes| !(fewest..=most).contains(nodes)) {
            return Err(format!("--nodes: a cluster of {nodes} cannot be measured; give {fewest} to {most}"));
        }
        lists::steady(&self.losses)?;
        let rtt = lists::longest(&self.rtts);
        if rtt.0 > LONGEST_RTT {
            return Err(format!("--rtt: {rtt} is too long; give at most {}", Time(LONGEST_RTT)));
        }
        if self.losses.0.iter().any(|loss| loss.to > 0.5) {
            return Err("--loss: with more than 50% hardly anything connects; give less".to_owned());
        }
        if !(1.0..=1_000.0).contains(&self.fps) {
            return Err(format!("--fps: {} frames a second cannot be; give 1 to 1000", self.fps));
        }
        if !(0.1..=3_600.0).contains(&self.seconds) {
            return Err(format!("--seconds: {} is not between 0.1 and 3600", self.seconds));
        }
        match self.grid().iter().map(Cell::orders).max() {
            Some(orders) if orders > MOST_ORDERS => {
                Err(format!("--seconds: {orders} orders in one cell are too many; at most {MOST_ORDERS}"))
            }
            _ => Ok(()),
        }
    }

    /// Every combination.
    #[must_use]
    pub fn grid(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for nodes in &self.nodes.0 {
            for rtt in &self.rtts.0 {
                for loss in &self.losses.0 {
                    cells.extend(self.rates.0.iter().map(|rate| self.cell(*nodes, *rtt, *loss, *rate)));
                }
            }
        }
        cells
    }

    fn cell(&self, nodes: u64, rtt: Time, loss: Share, rate: Rate) -> Cell {
        let (origins, seconds) = (self.origins.clone(), Duration::from_secs_f64(self.seconds));
        Cell { nodes, rtt: rtt.0, loss: loss.to, rate: rate.0, origins, seconds, fps: self.fps }
    }

    /// Where the axes cross: the first of each list, unless it has the usual value.
    #[must_use]
    pub fn centre(&self) -> Cell {
        fn pick<T: Copy>(all: &[T], usual: impl Fn(&T) -> bool) -> T {
            *all.iter().find(|value| usual(value)).unwrap_or(&all[0])
        }
        self.cell(
            pick(&self.nodes.0, |nodes| *nodes == CENTRE.0),
            pick(&self.rtts.0, |rtt| rtt.0 == CENTRE.1),
            pick(&self.losses.0, |loss| loss.to == CENTRE.2),
            pick(&self.rates.0, |rate| rate.0 == CENTRE.3),
        )
    }

    /// What is measured, in this order.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let centre = self.centre();
        let mut cells = self.grid();
        if !self.full {
            cells.retain(|cell| {
                let other = [cell.nodes != centre.nodes, cell.rtt != centre.rtt, cell.loss != centre.loss];
                other.iter().filter(|other| **other).count() + usize::from(cell.rate != centre.rate) <= 1
            });
        }
        cells
    }

    /// Measures one cell, with its stores in a folder of its own below `directory`, which is emptied afterwards.
    ///
    /// # Errors
    /// If it has no leader in time, commits nothing, or the machine has no room.
    pub fn measure(&self, cell: &Cell, directory: &Path) -> Result<Vec<results::Row>, Unmeasured> {
        let which = [cell.nodes, cell.rtt.as_micros() as u64, (cell.loss * 1e6) as u64, (cell.rate * 1e3) as u64];
        let folder = tempfile::tempdir_in(directory)
            .map_err(|error| Unmeasured::Machine(format!("no folder below {}: {error}", directory.display())))?;
        let measured = cluster::measure(cell, spread::seed(self.seed, &which), folder.path())?;
        Ok(measured.into_iter().map(|(origin, measured)| results::Row::new(cell.clone(), origin, measured)).collect())
    }

    /// Everything that decides what is asked of the nodes, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let Study { nodes, rtts, losses, rates, origins, seconds, fps, seed, full } = self;
        json!({
            "nodes": nodes.0, "rtt_ms": rtts.0.iter().map(|rtt| rtt.0.as_secs_f64() * 1e3).collect::<Vec<_>>(),
            "loss": losses.0.iter().map(|loss| loss.to).collect::<Vec<_>>(),
            "rate": rates.0.iter().map(|rate| rate.0).collect::<Vec<_>>(),
            "origins": origins.iter().map(|origin| origin.name()).collect::<Vec<_>>(),
            "seconds": seconds, "fps": fps, "seed": seed, "full": full,
        })
    }

    /// The options that say the same on a command line.
    #[must_use]
    pub fn options(&self) -> String {
        let Study { nodes, rtts, losses, rates, origins, seconds, fps, seed, full } = self;
        let origin = if let [one] = origins[..] { one.name() } else { "both" };
        let full = if *full { " --full" } else { "" };
        format!(
            "--nodes {nodes} --rtt {rtts} --loss {losses} --rate {rates} --origin {origin} --seconds {seconds} \
             --fps {fps} --seed {seed}{full}"
        )
    }
}

#[cfg(test)]
mod tests;
