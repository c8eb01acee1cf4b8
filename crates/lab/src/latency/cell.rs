//! One combination of what is varied: what its nodes are told, when its orders are clicked, and
//! what theory says of it.

use std::time::Duration;

use raftian_raft::{Config, Membership, NodeId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::elections::values::{Share, Time};
use crate::report::parallel;

/// Time between two heartbeats of a leader.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Election timeouts are drawn from here, and four round trips later.
const ELECTION: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(300));

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

    /// Median time from click to sight by theory, in milliseconds, if a write takes `write_ms`; see
    /// the module.
    #[must_use]
    pub fn theory_ms(&self, origin: Origin, write_ms: f64) -> f64 {
        let trips = match origin {
            Origin::Leader => 1.0,
            Origin::Follower => 2.0,
        };
        self.rtt.as_secs_f64() * 1e3 * trips + write_ms + 500.0 / self.fps
    }

    /// What each node of the cell is told; what it draws follows from `seed` and its id.
    pub(super) fn config(&self, id: NodeId, founding: Membership, seed: u64) -> Config {
        Config {
            heartbeat: HEARTBEAT,
            election_timeout: (ELECTION.0 + self.rtt * 4, ELECTION.1 + self.rtt * 4),
            ..Config::new(id, founding, parallel::seed(seed, &[1, id.0]))
        }
    }

    /// Times of an origin's clicks from the start on: one in each of equal slots, anywhere in it.
    pub(super) fn clicks(&self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Duration> {
        let count = self.orders();
        let slot = self.seconds.as_secs_f64() / count as f64;
        (0..count).map(move |place| {
            Duration::from_secs_f64(slot * (place as f64 + rng.random_range(0.0..1.0)))
        })
    }
}
