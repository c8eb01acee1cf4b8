//! Matches in which machines continuously leave, crash, restart and join.
//!
//! Turns come at a fixed interval: a member leaves for good, a member crashes, that machine
//! restarts from its disk, and a node with an empty disk joins, at first without a vote. Membership
//! changes go through the log as in the game: the leader is asked until the change is done. At
//! least [`FLOOR`] voters run at any time; a turn that would leave fewer is skipped.
//!
//! # What is measured
//! *Latency*: from the click until the order takes effect at the machine of its player. *In bound*:
//! the share of time at which an order would have taken effect within a bound. Orders arrive
//! independently at random, so it equals the share of orders (Wolff, "Poisson arrivals see time
//! averages"); those lost with a machine that crashed or left are excluded. *Stop*: the longest
//! time between two consecutive commits of orders. *Made* and *refused*: leaders' answers to change
//! requests. *Lost* and *doubled* orders must be 0, and all states equal at the end.

mod report;
mod schedule;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::failover::{SETTLE, WARM_UP, led};
use super::play::{Account, ChangeRequests};
use super::{Match, Series, SettingsError};
use crate::elections::values::Time;
use crate::report::parallel;
use crate::report::statistics::quantile;

pub(crate) use report::COLUMNS;
pub use report::findings;
use schedule::Turns;
pub use schedule::{FLOOR, Turn};

/// Interval of checks whether a turn is over.
const SLICE: Duration = Duration::from_millis(20);
/// Time limit of the last turn after the end.
const LATE: Duration = Duration::from_secs(60);

/// A series of matches under churn.
#[derive(Clone, PartialEq, Debug)]
pub struct Churn {
    /// Machines at the start.
    pub machines: u64,
    /// Time between turns; a turn that takes longer delays the next.
    pub every: Time,
    /// Length of each match in minutes.
    pub minutes: f64,
    /// Longest delay that players perceive as immediate.
    pub bound: Time,
    /// Repetitions and conditions.
    pub series: Series,
}

/// Result of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Share of time at which an order would take effect within the bound.
    pub in_bound: f64,
    /// 50th, 95th and 99th percentile of latencies, and the maximum, in milliseconds.
    pub latency: [f64; 4],
    /// Longest time without a commit.
    pub stop: Duration,
    /// Number of turns of each kind, in the order of [`Turn::ALL`].
    pub turns: [u64; 4],
    /// Skipped turns.
    pub passed: u64,
    /// Leaders' answers to change requests.
    pub orders: ChangeRequests,
    /// Turns of the first match of a series, with seconds since the start.
    pub happened: Vec<(f64, Turn)>,
    /// Median and maximum latency of orders given in each second of the first match of a series, in
    /// milliseconds.
    pub seconds: Vec<(f64, f64, f64)>,
    /// Whether every turn finished, every order had taken effect by the end, and no machine lagged
    /// behind.
    pub settled: bool,
    /// Outcome of all orders.
    pub account: Account,
    /// Inputs that nodes processed.
    pub steps: u64,
}

impl Churn {
    /// Validates the study.
    ///
    /// # Errors
    /// Names the invalid option and its bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.series.check(1)?;
        if self.machines < 3 {
            return Err(SettingsError::TooFewMachines {
                option: "--machines",
                with: "with leaves and crashes",
                least: 3,
            });
        }
        if self.every.0 < Duration::from_millis(100) {
            return Err(SettingsError::Every);
        }
        if !(self.minutes > 0.0 && self.minutes <= 600.0) {
            return Err(SettingsError::Minutes);
        }
        self.series
            .conditions
            .check(self.machines, WARM_UP + self.time())
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Plays all matches on `threads` threads (results do not depend on their number) and calls
    /// `done` with the match size after each.
    ///
    /// # Errors
    /// Those of [`Churn::check`].
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Outcome>, SettingsError> {
        self.check()?;
        Ok(parallel::spread(
            threads,
            self.series.reps as usize,
            |rep| {
                let outcome = self.one(rep == 0, parallel::seed(self.series.seed, &[rep as u64]));
                done(self.machines);
                outcome
            },
        ))
    }

    /// Plays one match; the outcome includes the data of the chart if `drawn`.
    pub fn one(&self, drawn: bool, seed: u64) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut game = Match::new(&self.series.conditions, self.machines, rng.random());
        game.run_for(WARM_UP);
        let _leader = led(&mut game);
        let began = game.now();
        game.watch_for_progress(game.all_machines());
        let mut turns = Turns::new(game.size());
        let end = began.after(self.time());
        let mut next = began.after(self.every.0);
        while game.now() < end {
            game.run_for(SLICE);
            turns.go_on(&mut game);
            if game.now() >= next && turns.take(&mut game, &mut rng) {
                // A delayed turn must not cause a burst of turns.
                next = next.after(self.every.0).max(game.now());
            }
        }
        let stop = game.ledger().longest_gap(game.now());
        let finished = turns.finish(&mut game, LATE, SLICE);
        let settled = game.settle(SETTLE).is_some() && finished;
        let given = Given::new(&game, (began, end), self.bound.0);
        let since = |at: Moment| at.since(began).as_secs_f64();
        let happened = if drawn {
            turns
                .happened
                .iter()
                .map(|(at, turn)| (since(*at), *turn))
                .collect()
        } else {
            Vec::new()
        };
        Outcome {
            in_bound: given.in_bound,
            latency: given.quantiles(),
            stop,
            turns: Turn::ALL.map(|turn| {
                turns
                    .happened
                    .iter()
                    .filter(|(_, happened)| *happened == turn)
                    .count() as u64
            }),
            passed: turns.passed,
            orders: game.orders(),
            happened,
            seconds: if drawn { given.seconds() } else { Vec::new() },
            settled,
            account: game.account(),
            steps: game.steps(),
        }
    }
}

/// Orders given within a time span.
struct Given {
    /// Seconds since the start and milliseconds of latency of each order that took effect.
    latencies: Vec<(f64, f64)>,
    in_bound: f64,
}

impl Given {
    fn new(game: &Match, (began, end): (Moment, Moment), bound: Duration) -> Self {
        let mut latencies = Vec::new();
        let mut within = 0u64;
        let mut late = 0u64;
        for client in game.ledger().clients() {
            for order in client
                .orders
                .iter()
                .filter(|order| order.clicked >= began && order.clicked < end)
            {
                let latency = order.applied.map(|at| at.since(order.clicked));
                if let Some(latency) = latency {
                    latencies.push((
                        order.clicked.since(began).as_secs_f64(),
                        latency.as_secs_f64() * 1e3,
                    ));
                }
                let left = client
                    .ended
                    .is_some_and(|ended| ended <= order.clicked.after(bound));
                // An order is excluded if its machine left before the bound elapsed.
                match latency {
                    Some(latency) if latency <= bound => within += 1,
                    None if left => {}
                    Some(_) | None => late += 1,
                }
            }
        }
        Given {
            latencies,
            in_bound: within as f64 / (within + late).max(1) as f64,
        }
    }

    fn quantiles(&self) -> [f64; 4] {
        let mut sorted: Vec<_> = self.latencies.iter().map(|(_, latency)| *latency).collect();
        sorted.sort_by(f64::total_cmp);
        [50, 95, 99, 100].map(|percent| quantile(&sorted, percent).unwrap_or(f64::NAN))
    }

    /// Median and maximum latency of each second in which orders were given.
    fn seconds(&self) -> Vec<(f64, f64, f64)> {
        let mut seconds: std::collections::BTreeMap<u64, Vec<f64>> =
            std::collections::BTreeMap::new();
        for (at, latency) in &self.latencies {
            seconds.entry(*at as u64).or_default().push(*latency);
        }
        let of = |(second, mut latencies): (u64, Vec<f64>)| {
            latencies.sort_by(f64::total_cmp);
            (
                second as f64 + 0.5,
                latencies[latencies.len() / 2],
                latencies[latencies.len() - 1],
            )
        };
        seconds.into_iter().map(of).collect()
    }
}
