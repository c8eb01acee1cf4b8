//! How long it takes from a click until the order is seen, and where that time goes.
//!
//! Real nodes do it, unless a simulation is asked for: each with its thread, its store on disk and
//! its QUIC links on the loopback interface, which pass a [`proxy`](crate::proxy) that delays each
//! datagram by half a round trip and loses some. A program clicks at times that a seed draws, and a
//! frame loop takes what is committed, sixty times a second unless told otherwise.
//!
//! # The parts of an order's time
//! One clock times all nodes, for they are threads of one process. An order that is clicked at node
//! O and led by L goes through these moments, and each part ends where the next begins, so together
//! they are all of its time:
//!
//! | part | from | until |
//! |---|---|---|
//! | queue | clicked: O's program proposes at once | O took it from its queue |
//! | network | O took it | O let go of it as committed, less the disk part |
//! | disk | the write that the commit waited for was given to the disk | its node learned that it is durable |
//! | apply | O let go of it as committed | O puts it where the program takes it |
//! | frame | there | the frame that took it |
//!
//! The commit waited for the answer that made the majority: of L's own disk, or of a follower whose
//! write lies between L's message and its own answer. So network is both ways between O and L, if
//! they are two, and both between L and that follower, with what the nodes, QUIC and its
//! retransmissions made of them; an order that was proposed again because it was refused or had no
//! answer, or whose leader changed, has that there, too.
//!
//! # In virtual time
//! In [`World::Virtual`] the same program clicks on the drivers that ship, and what is around them
//! takes the time that it is told: each message half a round trip, each write a fixed time, one
//! after the other, and everything else none. There is no machine in it, so the same seed gives the
//! same document, and what is left over theory is what the protocol does, such as a write that
//! waits for another. Queue and apply are then zero.
//!
//! Loss means something else there. A real link is a QUIC stream, which sends lost datagrams again
//! after about a round trip and lets nothing overtake them. A simulated link has no transport above
//! it, so a lost message is gone, and only Raft and the program repair it: an entry comes with the
//! next heartbeat's repair, and an order that was lost on its way to the leader is proposed again
//! after 500 ms. So tails under loss are longer in virtual time, and show what the transport is
//! good for; a simulated QUIC would only show what we believe of it.
//!
//! # What physics asks for
//! At the leader a commit takes one round trip and one write: the message to the followers and the
//! leader's own write begin together, so of the two writes that a majority of two or three needs,
//! one hides behind the network. At a follower it takes one round trip more: half to bring the
//! order to the leader, half to bring the commit index back. Then half a frame, in the mean and in
//! the median. [`Cell::theory_ms`] is that sum, with the median write that was measured in the
//! cell; it knows nothing of loss, of processors that are busy, or of queues, and the column beside
//! it says what is left.
//!
//! # Decisions
//! **The axes cross in one point.** Decision: unless asked for the whole grid, one value varies at
//! a time, around three nodes, 20 ms, no loss and ten orders a second, as far as the lists have
//! these; what was left out is told. Why: each cell is real time, and the whole grid takes a
//! quarter of an hour. Would change if: two axes were known to act together.
//!
//! **Elections get four round trips more.** Decision: timeouts are 150–300 ms and four round trips,
//! heartbeats 50 ms. Why: an election needs two round trips, and this is a study of orders under a
//! leader; where leaders change all the same, the row says so. Would change if: nodes adapted their
//! timeouts by default.
//!
//! **Orders are proposed again as the game does it.** Decision: after 50 ms if refused, after 500
//! ms without an answer; the order's clock runs on. Why: it is the game's latency. An order counts
//! as lost only if it is never seen. Would change if: the game's retries did.
//!
//! **Evenly many orders.** Decision: each origin clicks once in each of equal slots, anywhere in
//! it. Why: a cell has as many orders as its rate says, at least one, and frames and clicks stay
//! independent. Would change if: bursts were measured.

mod cell;
pub mod charts;
mod cluster;
mod real;
pub mod results;
mod simulated;
mod spans;
pub mod value_list;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use cell::{Cell, Origin};
pub use cluster::Measured;
pub use spans::LatencyBreakdown;
use value_list::{List, Rate};

use crate::elections::values::{Share, Sizes, Time};
use crate::report::parallel;
use crate::report::statistics::ms;

/// Fewest and most nodes of a cluster.
pub const NODES: (u64, u64) = (2, 8);

/// Longest round trip: with it an election still ends well within the time a cluster has to be
/// ready.
const MAX_RTT: Duration = Duration::from_secs(1);

/// Longest write of a simulated disk.
const MAX_WRITE: Duration = Duration::from_secs(1);

/// Time of a write on a simulated disk unless told otherwise: about what a store takes for it on
/// the disk of a small server, with its sync (median 0.9 to 1.1 ms in this study's own `write_ms`).
pub const WRITE: Time = Time(Duration::from_millis(1));

/// Most orders of one cell at one origin: some hundred bytes each at every node.
const MAX_ORDERS: u64 = 100_000;

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
    /// Where nodes live.
    pub world: World,
}

/// Where nodes live.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum World {
    /// In real time: with stores on disk, over QUIC through a proxy.
    #[default]
    Real,
    /// In virtual time, with disks that take so long for a write.
    Virtual(Time),
}

/// Why a cell could not be measured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MeasureError {
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
    /// Says what cannot be measured.
    ///
    /// # Errors
    /// With the option to change.
    pub fn check(&self) -> Result<(), String> {
        let (fewest, most) = NODES;
        if let Some(nodes) = self
            .nodes
            .0
            .iter()
            .find(|nodes| !(fewest..=most).contains(nodes))
        {
            return Err(format!(
                "--nodes: a cluster of {nodes} cannot be measured; give {fewest} to {most}"
            ));
        }
        value_list::steady(&self.losses)?;
        let rtt = value_list::longest(&self.rtts);
        if rtt.0 > MAX_RTT {
            return Err(format!(
                "--rtt: {rtt} is too long; give at most {}",
                Time(MAX_RTT)
            ));
        }
        if self.losses.0.iter().any(|loss| loss.to > 0.5) {
            return Err(
                "--loss: with more than 50% hardly anything connects; give less".to_owned(),
            );
        }
        if !(1.0..=1_000.0).contains(&self.fps) {
            return Err(format!(
                "--fps: {} frames a second cannot be; give 1 to 1000",
                self.fps
            ));
        }
        if !(0.1..=3_600.0).contains(&self.seconds) {
            return Err(format!(
                "--seconds: {} is not between 0.1 and 3600",
                self.seconds
            ));
        }
        if let World::Virtual(write) = self.world
            && write.0 > MAX_WRITE
        {
            return Err(format!(
                "--write: {write} is too long; give at most {}",
                Time(MAX_WRITE)
            ));
        }
        match self.grid().iter().map(Cell::orders).max() {
            Some(orders) if orders > MAX_ORDERS => Err(format!(
                "--seconds: {orders} orders in one cell are too many; at most {MAX_ORDERS}"
            )),
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
        let (origins, seconds) = (self.origins.clone(), Duration::from_secs_f64(self.seconds));
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

    /// Measures all cells and tells `done` the size after each. Gives the rows, and why some have
    /// none. Virtual ones are measured on so many threads, on which nothing depends; real ones one
    /// after the other: cells that run at once would wait for each other's processors and disk.
    ///
    /// # Errors
    /// If the machine has no room, or a node has stopped.
    pub fn run(
        &self,
        threads: usize,
        directory: &Path,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<(Vec<results::Row>, Vec<String>), String> {
        let cells = self.cells();
        let one = |cell: &Cell| {
            let measured = self.measure(cell, directory);
            done(cell.nodes);
            match measured {
                Ok(rows) => Ok(Ok(rows)),
                // The others may still be measured.
                Err(error @ MeasureError::NoQuorum(..)) => Ok(Err(error.to_string())),
                Err(MeasureError::Machine(reason)) => Err(reason),
            }
        };
        let measured = match self.world {
            World::Real => cells.iter().map(one).collect::<Result<Vec<_>, _>>()?,
            World::Virtual(_) => {
                let measured = parallel::spread(threads, cells.len(), |number| one(&cells[number]));
                measured.into_iter().collect::<Result<Vec<_>, _>>()?
            }
        };
        let (mut rows, mut unmeasured) = (Vec::new(), Vec::new());
        for cell in measured {
            match cell {
                Ok(measured) => rows.extend(measured),
                Err(error) => unmeasured.push(error),
            }
        }
        Ok((rows, unmeasured))
    }

    /// Measures one cell; if it is real, with its stores in a folder of its own below `directory`,
    /// which is emptied afterwards.
    ///
    /// # Errors
    /// If it has no leader in time, commits nothing, or the machine has no room.
    pub fn measure(
        &self,
        cell: &Cell,
        directory: &Path,
    ) -> Result<Vec<results::Row>, MeasureError> {
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
                        "no folder below {}: {error}",
                        directory.display()
                    ))
                })?;
                cluster::measure(cell, seed, folder.path())?
            }
        };
        Ok(measured
            .into_iter()
            .map(|(origin, measured)| results::Row::new(cell.clone(), origin, measured))
            .collect())
    }

    /// Everything that decides what is asked of the nodes, for programs.
    #[must_use]
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

    /// The options that say the same on a command line.
    #[must_use]
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
