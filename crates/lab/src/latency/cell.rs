//! One combination of the varied parameters: its node configuration, its click times, and its
//! theoretical latency.

use std::time::Duration;

use raftian_raft::{Config, Membership, NodeId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::elections::values::{Share, Time};
use crate::report::parallel;

/// Heartbeat interval.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Range of election timeouts, to which four round trips are added.
const ELECTION: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(300));

/// Node at which an order is clicked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// The leader.
    Leader,
    /// The next node after the leader.
    Follower,
}

/// One combination of parameters.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Number of nodes.
    pub nodes: u64,
    /// Round trip between any two nodes.
    pub rtt: Duration,
    /// Share of datagrams lost, each way.
    pub loss: f64,
    /// Orders per second at each origin.
    pub rate: f64,
    /// Origins of orders, all active at once.
    pub origins: Vec<Origin>,
    /// Duration of clicking.
    pub seconds: Duration,
    /// Frames per second.
    pub fps: f64,
}

impl Origin {
    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Leader => "leader",
            Origin::Follower => "follower",
        }
    }
}

impl Cell {
    /// Display name of the cell.
    pub fn name(&self) -> String {
        let loss = Share {
            from: self.loss,
            to: self.loss,
        };
        format!(
            "a cluster of {} nodes, {} and {loss} loss",
            self.nodes,
            Time(self.rtt)
        )
    }

    /// Number of orders at each origin, at least one.
    pub fn orders(&self) -> u64 {
        ((self.rate * self.seconds.as_secs_f64()).round() as u64).max(1)
    }

    /// Duration of one frame.
    pub fn frame(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.fps)
    }

    /// Theoretical median latency in milliseconds if a write takes `write_ms`; see the module.
    pub fn theory_ms(&self, origin: Origin, write_ms: f64) -> f64 {
        let trips = match origin {
            Origin::Leader => 1.0,
            Origin::Follower => 2.0,
        };
        self.rtt.as_secs_f64() * 1e3 * trips + write_ms + 500.0 / self.fps
    }

    /// Configuration of a node; its random draws follow from `seed` and its id.
    pub(super) fn config(&self, id: NodeId, founding: Membership, seed: u64) -> Config {
        Config {
            heartbeat: HEARTBEAT,
            election_timeout: (ELECTION.0 + self.rtt * 4, ELECTION.1 + self.rtt * 4),
            ..Config::new(id, founding, parallel::seed(seed, &[1, id.0]))
        }
    }

    /// Click times of one origin since the start: one at a random point of each of equal slots.
    pub(super) fn clicks(&self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Duration> {
        let count = self.orders();
        let slot = self.seconds.as_secs_f64() / count as f64;
        (0..count).map(move |place| {
            Duration::from_secs_f64(slot * (place as f64 + rng.random_range(0.0..1.0)))
        })
    }
}
