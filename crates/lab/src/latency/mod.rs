//! Latency of an order from the click until it is displayed, and its breakdown.
//!
//! Real nodes serve the orders, unless a simulation is requested: each with its thread, its store
//! on disk and its QUIC links on the loopback interface, which pass a [`proxy`](crate::proxy) that
//! delays each datagram by half a round trip and loses some. A program clicks at random times drawn
//! from a seed, and a frame loop takes committed entries, by default sixty times per second.
//!
//! # The parts of an order's time
//! One clock times all nodes, because they are threads of one process. An order that is clicked at
//! node O and led by L passes the points below. Each part ends where the next begins, so together
//! they make up the whole latency:
//!
//! | part | from | until |
//! |---|---|---|
//! | queue | clicked: O's program proposes at once | O took it from its queue |
//! | network | O took it | O released it as committed, less the disk part |
//! | disk | the write that the commit waited for was submitted to the disk | its node received the completion |
//! | apply | O released it as committed | O queued it for the program |
//! | frame | O queued it for the program | the frame that took it |
//!
//! The commit waited for the reply that completed the majority: that of L's own disk, or of a
//! follower with a write between L's message and its own reply. So network covers both ways between
//! O and L, if they differ, and both between L and that follower, including the time of the nodes,
//! QUIC and its retransmissions. For an order that was proposed again because it was refused or
//! unanswered, or during a change of leaders, network includes that too.
//!
//! # In virtual time
//! In [`World::Virtual`] the same program clicks on the shipping drivers, and their environment
//! takes exactly the configured time: half a round trip for each message, a fixed time for each
//! write, one after another, and none for everything else. Machine timing plays no part, so the
//! same seed gives the same document, and the difference from theory is caused by the protocol,
//! such as a write that waits for another. Queue and apply are then zero.
//!
//! Loss has another meaning there. A real link is a QUIC stream, which retransmits lost datagrams
//! after about a round trip and delivers in order. A simulated link has no transport above it, so a
//! lost message is gone, and only Raft and the program recover it: an entry is repaired after the
//! next heartbeat, and an order that was lost on its way to the leader is proposed again after 500
//! ms. So tails under loss are longer in virtual time, and show the value of the transport; a
//! simulated QUIC would only show our model of it.
//!
//! # Lower bound
//! At the leader a commit takes one round trip and one write: the message to the followers and the
//! leader's own write begin together, so of the two writes that a majority of two or three needs,
//! one overlaps with the network. At a follower it takes one round trip more: half to forward the
//! order to the leader, half to return the commit index. Then half a frame, as mean and as median.
//! [`Cell::theory_ms`] is that sum, with the median write time measured in the cell; it does not
//! model loss, busy processors or queues, and the next column shows the difference.
//!
//! # Decisions
//! **The axes cross in one point.** Decision: unless the whole grid is requested, one value varies
//! at a time, around three nodes, 20 ms, no loss and ten orders per second, as far as the lists
//! contain these; a remark names the omitted part. Why: each cell takes real time, and the whole
//! grid a quarter of an hour. Would change if: two axes were known to interact.
//!
//! **Elections get four round trips more.** Decision: timeouts are 150–300 ms plus four round
//! trips, heartbeats 50 ms. Why: an election needs two round trips, and this study measures orders
//! under a stable leader; a leader change is reported in the row. Would change if: nodes adapted
//! their timeouts by default.
//!
//! **Orders are proposed again as the game does it.** Decision: after 50 ms if refused, after 500
//! ms without an answer; the order's clock keeps running. Why: it is the game's latency. An order
//! counts as lost only if it is never displayed. Would change if: the game's retries did.
//!
//! **Stratified clicks.** Decision: each origin clicks once in each of equal slots, at a random
//! point in it. Why: a cell has exactly as many orders as its rate implies, at least one, and
//! frames and clicks stay independent. Would change if: bursts were measured.

mod cell;
pub mod charts;
mod cluster;
mod error;
mod nodes;
mod real;
pub mod results;
mod row;
mod simulated;
mod spans;
pub mod value_list;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use cell::{Cell, Origin};
pub use cluster::Measured;
pub use error::{MeasureError, SettingsError};
pub use spans::LatencyBreakdown;
use value_list::{List, Rate};

use crate::elections::values::{Share, Sizes, Time};
use crate::report::parallel;
use crate::report::statistics::ms;

/// Minimum and maximum cluster size.
pub const NODES: (u64, u64) = (2, 8);

/// Longest round trip; an election still ends well within the time limit for readiness.
const MAX_RTT: Duration = Duration::from_secs(1);

/// Longest write of a simulated disk.
const MAX_WRITE: Duration = Duration::from_secs(1);

/// Default write time of a simulated disk: about that of a store with sync on the disk of a small
/// server (median 0.9 to 1.1 ms in this study's own `write_ms`).
pub const WRITE: Time = Time(Duration::from_millis(1));

/// Maximum number of orders of one cell at one origin, some hundred bytes each at every node.
const MAX_ORDERS: u64 = 100_000;

/// Centre of the axes: nodes, round trip, lost datagrams, orders per second.
const CENTRE: (u64, Duration, f64, f64) = (3, Duration::from_millis(20), 0.0, 10.0);

/// Parameters of the study.
#[derive(Clone, PartialEq, Debug)]
pub struct Study {
    /// Cluster sizes, within [`NODES`].
    pub nodes: Sizes,
    /// Round trips between any two nodes.
    pub rtts: List<Time>,
    /// Shares of lost datagrams.
    pub losses: List<Share>,
    /// Orders per second, at each origin.
    pub rates: List<Rate>,
    /// Nodes at which orders are clicked.
    pub origins: Vec<Origin>,
    /// Duration of clicking in each cell, in seconds.
    pub seconds: f64,
    /// Frames per second.
    pub fps: f64,
    /// RNG seed of clicks, losses and election timeouts; the machine's own timing varies.
    pub seed: u64,
    /// Whether every combination is measured, not only those on the axes.
    pub full: bool,
    /// Execution environment of the nodes.
    pub world: World,
}

/// Execution environment of the nodes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum World {
    /// Real time: stores on disk, QUIC through a proxy.
    #[default]
    Real,
    /// Virtual time: each write on a simulated disk takes the given time.
    Virtual(Time),
}

impl Default for Study {
    fn default() -> Self {
        let ms = |ms| Time(Duration::from_millis(ms));
        let share = |share| Share {
            from: share,
            to: share,
        };
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
            world: World::Real,
        }
    }
}

impl Study {
    /// Validates the study.
    ///
    /// # Errors
    /// Names the option to change.
    pub fn check(&self) -> Result<(), SettingsError> {
        let (fewest, most) = NODES;
        if let Some(nodes) = self
            .nodes
            .0
            .iter()
            .find(|nodes| !(fewest..=most).contains(nodes))
        {
            return Err(SettingsError::Nodes { nodes: *nodes });
        }
        value_list::steady(&self.losses)?;
        let rtt = value_list::longest(&self.rtts);
        if rtt.0 > MAX_RTT {
            return Err(SettingsError::RoundTrip { rtt });
        }
        if self.losses.0.iter().any(|loss| loss.to > 0.5) {
            return Err(SettingsError::Loss);
        }
        if !(1.0..=1_000.0).contains(&self.fps) {
            return Err(SettingsError::FrameRate { fps: self.fps });
        }
        if !(0.1..=3_600.0).contains(&self.seconds) {
            return Err(SettingsError::Seconds {
                seconds: self.seconds,
            });
        }
        if let World::Virtual(write) = self.world
            && write.0 > MAX_WRITE
        {
            return Err(SettingsError::Write { write });
        }
        match self.grid().iter().map(Cell::orders).max() {
            Some(orders) if orders > MAX_ORDERS => Err(SettingsError::TooManyOrders { orders }),
            _ => Ok(()),
        }
    }

    /// Every combination.
    pub fn grid(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for nodes in &self.nodes.0 {
            for rtt in &self.rtts.0 {
                for loss in &self.losses.0 {
                    cells.extend(
                        self.rates
                            .0
                            .iter()
                            .map(|rate| self.cell(*nodes, *rtt, *loss, *rate)),
                    );
                }
            }
        }
        cells
    }

    fn cell(&self, nodes: u64, rtt: Time, loss: Share, rate: Rate) -> Cell {
        let origins = self.origins.clone();
        let seconds = Duration::from_secs_f64(self.seconds);
        Cell {
            nodes,
            rtt: rtt.0,
            loss: loss.to,
            rate: rate.0,
            origins,
            seconds,
            fps: self.fps,
        }
    }

    /// Centre of the axes: the first value of each list, unless it contains the usual one.
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

    /// Cells to measure, in order.
    pub fn cells(&self) -> Vec<Cell> {
        let centre = self.centre();
        let mut cells = self.grid();
        if !self.full {
            cells.retain(|cell| {
                let other = [
                    cell.nodes != centre.nodes,
                    cell.rtt != centre.rtt,
                    cell.loss != centre.loss,
                ];
                other.iter().filter(|other| **other).count() + usize::from(cell.rate != centre.rate)
                    <= 1
            });
        }
        cells
    }

    /// Measures all cells and calls `done` with the cluster size after each. Returns the rows, and
    /// a reason for each cell without one. Virtual cells run on `threads` threads (results do not
    /// depend on their number); real ones run one at a time, because concurrent cells would compete
    /// for processors and disk.
    ///
    /// # Errors
    /// If the machine lacks a resource, or a node has stopped.
    pub fn run(
        &self,
        threads: usize,
        directory: &Path,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<(Vec<row::Row>, Vec<String>), MeasureError> {
        let cells = self.cells();
        let one = |cell: &Cell| {
            let measured = self.measure(cell, directory);
            done(cell.nodes);
            match measured {
                Ok(rows) => Ok(Ok(rows)),
                // Other cells can still be measured.
                Err(error @ MeasureError::NoQuorum(..)) => Ok(Err(error.to_string())),
                Err(error @ MeasureError::Machine(_)) => Err(error),
            }
        };
        let measured = match self.world {
            World::Real => cells.iter().map(one).collect::<Result<Vec<_>, _>>()?,
            World::Virtual(_) => {
                let measured = parallel::spread(threads, cells.len(), |number| one(&cells[number]));
                measured.into_iter().collect::<Result<Vec<_>, _>>()?
            }
        };
        let mut rows = Vec::new();
        let mut unmeasured = Vec::new();
        for cell in measured {
            match cell {
                Ok(measured) => rows.extend(measured),
                Err(error) => unmeasured.push(error),
            }
        }
        Ok((rows, unmeasured))
    }

    /// Measures one cell; a real one keeps its stores in a directory of its own below `directory`,
    /// which is removed afterwards.
    ///
    /// # Errors
    /// If the cluster has no leader in time or commits nothing, or the machine lacks a resource.
    pub fn measure(&self, cell: &Cell, directory: &Path) -> Result<Vec<row::Row>, MeasureError> {
        let which = [
            cell.nodes,
            cell.rtt.as_micros() as u64,
            (cell.loss * 1e6) as u64,
            (cell.rate * 1e3) as u64,
        ];
        let seed = parallel::seed(self.seed, &which);
        let measured = match self.world {
            World::Virtual(write) => cluster::simulate(cell, seed, write.0)?,
            World::Real => {
                let folder = tempfile::tempdir_in(directory).map_err(|error| {
                    MeasureError::Machine(format!(
                        "cannot create a directory below {}: {error}",
                        directory.display()
                    ))
                })?;
                cluster::measure(cell, seed, folder.path())?
            }
        };
        Ok(measured
            .into_iter()
            .map(|(origin, measured)| row::Row::new(cell.clone(), origin, measured))
            .collect())
    }

    /// Parameters of the study, as JSON.
    pub fn json(&self) -> Value {
        let Study {
            nodes,
            rtts,
            losses,
            rates,
            origins,
            seconds,
            fps,
            seed,
            full,
            world,
        } = self;
        let (world, write) = match world {
            World::Real => ("real", None),
            World::Virtual(write) => ("virtual", Some(ms(write.0))),
        };
        json!({
            "world": world, "write_ms": write,
            "nodes": nodes.0, "rtt_ms": rtts.0.iter().map(|rtt| ms(rtt.0)).collect::<Vec<_>>(),
            "loss": losses.0.iter().map(|loss| loss.to).collect::<Vec<_>>(),
            "rate": rates.0.iter().map(|rate| rate.0).collect::<Vec<_>>(),
            "origins": origins.iter().map(|origin| origin.name()).collect::<Vec<_>>(),
            "seconds": seconds, "fps": fps, "seed": seed, "full": full,
        })
    }

    /// Equivalent command line options.
    pub fn options(&self) -> String {
        let Study {
            nodes,
            rtts,
            losses,
            rates,
            origins,
            seconds,
            fps,
            seed,
            full,
            world,
        } = self;
        let origin = if let [one] = origins[..] {
            one.name()
        } else {
            "both"
        };
        let full = if *full { " --full" } else { "" };
        let world = match world {
            World::Real => String::new(),
            World::Virtual(write) => format!(" --simulated --write {write}"),
        };
        format!(
            "--nodes {nodes} --rtt {rtts} --loss {losses} --rate {rates} --origin {origin} --seconds {seconds} \
             --fps {fps} --seed {seed}{full}{world}"
        )
    }
}

#[cfg(test)]
mod tests;
