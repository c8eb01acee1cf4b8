//! How a match goes on while machines leave, crash, come back and join, all the time.
//!
//! Turn by turn, every so often: a member leaves for good, a member crashes, that machine starts
//! again from its disk, and a newcomer with an empty disk joins, at first without a vote. Members
//! are changed through the log as the game does: the leader is asked until it is done. At least
//! [`FLOOR`] voters run at any time; a turn that would leave fewer is passed.
//!
//! # What is measured
//! *Latency*: from the click until the order has its effect where it was given. *In bound*: the
//! share of time at which an order would have had its effect within a bound. Orders come at moments
//! that depend on nothing, so it is the share of orders (Wolff, "Poisson arrivals see time
//! averages"); those whose machine crashed or left meanwhile count for nothing. *Stop*: the longest
//! time between two orders that were committed one after the other. *Made* and *refused*: what
//! leaders answered when they were asked for a change. *Lost* and *doubled* orders must be 0, and
//! all states equal at the end.

mod report;
mod schedule;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::failover::{SETTLE, WARM_UP, led};
use super::play::{Account, Orders};
use super::{Match, Series};
use crate::elections::values::Time;
use crate::report::parallel;
use crate::report::statistics::quantile;

pub use report::{QUANTITIES, SCHEMA, findings};
use schedule::Turns;
pub use schedule::{FLOOR, Turn};

/// How often it is looked whether a turn is over.
const SLICE: Duration = Duration::from_millis(20);
/// How long the last turn may take after the end.
const LATE: Duration = Duration::from_secs(60);

/// One match after the other in which nobody stays.
#[derive(Clone, PartialEq, Debug)]
pub struct Churn {
    /// Machines at the beginning.
    pub machines: u64,
    /// Time between turns; one that takes longer lets the next wait.
    pub every: Time,
    /// Minutes of each match.
    pub minutes: f64,
    /// What players take for at once.
    pub bound: Time,
    /// How often, and under which conditions.
    pub series: Series,
}

/// What came of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Share of time at which an order has its effect within the bound.
    pub in_bound: f64,
    /// Latencies in milliseconds that 50, 95 and 99 of 100 orders do not exceed, and the longest.
    pub latency: [f64; 4],
    /// Longest time without a commit.
    pub stop: Duration,
    /// Turns by their kinds, in the order of [`Turn::ALL`].
    pub turns: [u64; 4],
    /// Turns that were passed.
    pub passed: u64,
    /// What leaders answered.
    pub orders: Orders,
    /// Turns of the first match of a series, with seconds since the beginning.
    pub happened: Vec<(f64, Turn)>,
    /// Median and longest latency of orders given in each second of the first match of a series, in
    /// milliseconds.
    pub seconds: Vec<(f64, f64, f64)>,
    /// Every turn was finished, players had no order without an effect at the end, and no machine
    /// was behind.
    pub settled: bool,
    /// What became of all orders.
    pub account: Account,
    /// Inputs that nodes took.
    pub steps: u64,
}

impl Churn {
    /// Whether it can be run.
    ///
    /// # Errors
    /// What cannot be, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.series.check(1)?;
        if self.machines < 3 {
            return Err(
                "--machines: a match that some leave and in which some crash has at least 3"
                    .to_owned(),
            );
        }
        if self.every.0 < Duration::from_millis(100) {
            return Err(
                "--every is at least 100ms: a change of the members takes some time".to_owned(),
            );
        }
        if !(self.minutes > 0.0 && self.minutes <= 600.0) {
            return Err("--minutes: a match takes more than none and at most 600".to_owned());
        }
        self.series
            .conditions
            .check(self.machines, WARM_UP + self.time())
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Plays all matches on so many threads, on which nothing depends, and tells `done` the size
    /// after each.
    ///
    /// # Errors
    /// What [`Churn::check`] finds.
    pub fn run(&self, threads: usize, done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Outcome>, String> {
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

    /// One match; with what is drawn if `drawn`.
    #[must_use]
    pub fn one(&self, drawn: bool, seed: u64) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut game = Match::new(&self.series.conditions, self.machines, rng.random());
        game.run_for(WARM_UP);
        let _leader = led(&mut game);
        let began = game.now();
        game.watch_for_progress(game.everybody());
        let mut turns = Turns::new(game.size());
        let (end, mut next) = (began.after(self.time()), began.after(self.every.0));
        while game.now() < end {
            game.run_for(SLICE);
            turns.go_on(&mut game);
            if game.now() >= next && turns.take(&mut game, &mut rng) {
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

/// Orders that were given in some time.
struct Given {
    /// Seconds since the beginning and milliseconds of latency of each that had its effect.
    latencies: Vec<(f64, f64)>,
    in_bound: f64,
}

impl Given {
    fn new(game: &Match, (began, end): (Moment, Moment), bound: Duration) -> Self {
        let (mut latencies, mut within, mut late) = (Vec::new(), 0u64, 0u64);
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

    /// Each second in which orders were given, with their median and longest latency.
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
