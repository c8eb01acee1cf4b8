//! What one seed's storm is made of.

use std::time::Duration;

use raftian_raft::Config;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Settings of the nodes, and how often each fault strikes.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    /// Mean time between two events.
    pub(super) pace: Duration,
    /// Chance that a message overtakes others.
    pub(super) reorder: f64,
    /// Chance that a message is lost.
    pub(super) lose: f64,
    /// Chance that a message arrives again later.
    pub(super) repeat: f64,
    /// Chance that a node crashes right after a message.
    pub(super) crash_after_message: f64,
    /// Chance that a new leader is cut off.
    pub(super) cut_fresh_leader: f64,
    pub(super) election_timeout: (Duration, Duration),
    weights: [(Event, f64); 10],
    pre_vote: bool,
    check_quorum: bool,
    batch: usize,
    inflight: usize,
    inflight_bytes: usize,
    uncommitted: usize,
    apply_window: usize,
}

/// What can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Deliver,
    Propose,
    Cut,
    Heal,
    Crash,
    Restart,
    HoldDisk,
    ReleaseDisk,
    HandOver,
    Campaign,
}

pub(super) fn dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Uniform in the logarithm: small and large values are equally likely to be met.
fn log_uniform(dice: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    (dice.random_range(low.ln()..high.ln())).exp()
}

/// A fault that half of the storms have.
fn sometimes(dice: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    if dice.random_bool(0.5) { log_uniform(dice, low, high) } else { 0.0 }
}

impl Weather {
    pub(super) fn draw(dice: &mut ChaCha8Rng) -> Self {
        let shortest = Duration::from_millis(log_uniform(dice, 20.0, 400.0) as u64);
        let spread = log_uniform(dice, 1.2, 3.0);
        let pace = shortest.div_f64(log_uniform(dice, 10.0, 200.0));
        let cut = sometimes(dice, 0.001, 0.02);
        let crash = sometimes(dice, 0.001, 0.02);
        let crash_after_message = sometimes(dice, 0.001, 0.03);
        let hold = sometimes(dice, 0.001, 0.05);
        let weights = [
            (Event::Propose, log_uniform(dice, 0.01, 0.3)),
            (Event::Cut, cut),
            (Event::Heal, cut * 0.7),
            (Event::Crash, crash),
            (Event::Restart, 0.03),
            (Event::HoldDisk, hold),
            (Event::ReleaseDisk, hold * 2.0),
            (Event::HandOver, sometimes(dice, 0.001, 0.02)),
            (Event::Campaign, sometimes(dice, 0.001, 0.02)),
            (Event::Deliver, 1.0),
        ];
        Weather {
            pace,
            reorder: sometimes(dice, 0.01, 1.0),
            lose: sometimes(dice, 0.005, 0.3),
            repeat: sometimes(dice, 0.005, 0.5),
            crash_after_message,
            cut_fresh_leader: sometimes(dice, 0.01, 0.6),
            election_timeout: (shortest, shortest.mul_f64(spread)),
            weights,
            pre_vote: dice.random_bool(0.75),
            check_quorum: dice.random_bool(0.75),
            batch: log_uniform(dice, 1.0, 64.0) as usize,
            inflight: log_uniform(dice, 1.0, 32.0) as usize,
            inflight_bytes: log_uniform(dice, 100.0, 100_000.0) as usize,
            uncommitted: log_uniform(dice, 4.0, 1000.0) as usize,
            apply_window: log_uniform(dice, 1.0, 1000.0) as usize,
        }
    }

    pub(super) fn configure(&self, config: &mut Config) {
        config.election_timeout = self.election_timeout;
        config.heartbeat = self.election_timeout.0 / 3;
        config.pre_vote = self.pre_vote;
        config.check_quorum = self.check_quorum;
        config.max_append_entries = self.batch;
        config.inflight_messages = self.inflight;
        config.inflight_bytes = self.inflight_bytes;
        config.max_uncommitted_entries = self.uncommitted;
        config.apply_window = self.apply_window;
    }

    /// The event at this place, from 0 to 1, of all events laid side by side.
    pub(super) fn pick(&self, place: f64) -> Event {
        let mut rest = place * self.weights.iter().map(|(_, weight)| weight).sum::<f64>();
        for (event, weight) in self.weights {
            if rest < weight {
                return event;
            }
            rest -= weight;
        }
        Event::Deliver
    }
}
