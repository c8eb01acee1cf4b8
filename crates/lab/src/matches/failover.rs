//! How long a match stands still when a machine crashes, and whether anything is lost.
//!
//! In each match players give orders; at a random moment one machine crashes, comes back some time
//! later, and catches up.
//!
//! # What is measured
//! *Stop*: from the crash until the first order that was not committed by then has its effect at a
//! survivor. *Next leader*: from the crash until an election is won. *Gap*: the longest time
//! between two orders that were committed one after the other, from the crash to the end.
//! *Catch-up*: from its return until the machine has had every effect that there was at its return.
//! *Lost* and *doubled* orders must be 0, and all states equal at the end.
//!
//! # Virtual and real time
//! In [`World::Processes`] each machine is a process of its own, which is killed without a word and
//! started again on its disk; see [`processes`]. The same is measured there, in the same columns.
//! The seed decides who crashes, what nodes draw and when players click, but not what the machine
//! makes of it, so no two runs are quite equal. How long a match goes on before the crash and after
//! the return is shorter there, because it is real time.

pub mod processes;
mod report;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::play::Account;
use super::{MAX_ORDERS, Match, Series, World};
use crate::elections::values::{Sizes, Time};
use crate::report::parallel;

pub use report::{QUANTITIES, SCHEMA, findings};

/// Time before the crash: a leader is elected in it.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// The crash comes at any moment within this time after that.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// How long a first leader is waited for.
const LATE: Duration = Duration::from_secs(30);
/// Time after the return.
pub(super) const AFTER: Duration = Duration::from_secs(3);
/// How long states may take to be equal at the end.
pub(super) const SETTLE: Duration = Duration::from_secs(60);

/// Who crashes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Who {
    /// The machine that leads.
    #[default]
    Leader,
    /// One that does not lead.
    Follower,
    /// Any of them.
    Any,
}

/// Sizes of matches, and what happens in each.
#[derive(Clone, PartialEq, Debug)]
pub struct Failover {
    /// Numbers of machines.
    pub sizes: Sizes,
    /// Who crashes.
    pub who: Who,
    /// How long it is away.
    pub down: Time,
    /// How often, and under which conditions.
    pub series: Series,
}

/// What came of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// From the crash to the first effect of an order that was not committed before.
    pub stop: Option<Duration>,
    /// From the crash to the next leader, if the leader crashed.
    pub leader: Option<Duration>,
    /// Longest time without a commit.
    pub gap: Duration,
    /// From the return until the machine had what it had missed.
    pub caught_up: Option<Duration>,
    /// Players had no order without an effect at the end, and no machine was behind.
    pub settled: bool,
    /// What became of all orders.
    pub account: Account,
    /// Inputs that nodes took; 0 of processes, which do not count them.
    pub steps: u64,
}

impl Who {
    /// The machine that crashes of so many, one of which may lead.
    fn among(self, size: usize, leader: Option<usize>, rng: &mut ChaCha8Rng) -> usize {
        match (self, leader) {
            (Who::Leader, Some(leader)) => leader,
            (Who::Follower, Some(leader)) => (leader + rng.random_range(1..size)) % size,
            (Who::Any, _) | (_, None) => rng.random_range(0..size),
        }
    }
}

impl Failover {
    /// Whether it can be run.
    ///
    /// # Errors
    /// What cannot be, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.series.check(self.sizes.0.len())?;
        if self.sizes.0.first().is_some_and(|smallest| *smallest < 2) {
            return Err(
                "--sizes: a match that goes on without one machine has at least 2".to_owned(),
            );
        }
        let largest = self.sizes.0.last().copied().unwrap_or_default();
        let (time, conditions) = (
            WARM_UP + WINDOW + self.down.0 + AFTER,
            &self.series.conditions,
        );
        conditions.check(largest, time)?;
        // Each process tells of each order.
        let told = conditions.rate * (largest * largest) as f64 * time.as_secs_f64();
        if self.series.world == World::Processes && told > MAX_ORDERS {
            return Err(format!(
                "{largest} processes would tell of {told:.0} effects, and at most {MAX_ORDERS} are kept: \
                                lower --rate, or let the machine be away for a shorter time"
            ));
        }
        Ok(())
    }

    /// Plays all matches on so many threads, on which nothing depends, and tells `done` the size
    /// after each. Gives the outcomes of each size. In real time it is one match after the other,
    /// or they would wait for each other's cores.
    ///
    /// # Errors
    /// What [`Failover::check`] finds, or why processes cannot go on.
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(u64, Vec<Outcome>)>, String> {
        self.check()?;
        let reps = self.series.reps as usize;
        let one = |number: usize| {
            let size = self.sizes.0[number / reps];
            let seed = parallel::seed(self.series.seed, &[size, (number % reps) as u64]);
            let outcome = match self.series.world {
                World::Virtual => Ok(self.one(size, seed)),
                World::Processes => processes::play(self, size, seed),
            };
            done(size);
            outcome
        };
        let count = self.sizes.0.len() * reps;
        let outcomes = match self.series.world {
            World::Virtual => parallel::spread(threads, count, one)
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?,
            World::Processes => (0..count).map(one).collect::<Result<Vec<_>, _>>()?,
        };
        Ok(self
            .sizes
            .0
            .iter()
            .copied()
            .zip(outcomes.chunks(reps).map(<[Outcome]>::to_vec))
            .collect())
    }

    /// One match in virtual time.
    #[must_use]
    pub fn one(&self, size: u64, seed: u64) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut game = Match::new(&self.series.conditions, size, rng.random());
        game.run_for(
            WARM_UP + Duration::from_micros(rng.random_range(0..WINDOW.as_micros() as u64)),
        );
        let leader = led(&mut game);
        let victim = self.who.among(game.size(), leader, &mut rng);
        let crashed = game.now();
        game.crash(victim);
        game.watch_for_progress(game.everybody() & !(1 << victim));
        game.run_for(self.down.0);
        let back = game.now();
        game.restart(victim);
        game.watch_for_equality(1 << victim);
        game.run_for(AFTER);
        let gap = game.ledger().longest_gap(game.now());
        let settled = game.settle(SETTLE).is_some();
        let since = |then: Moment, since: Moment| then.since(since);
        Outcome {
            stop: game.progress(),
            leader: game
                .won_after(crashed, game.everybody())
                .filter(|_| leader == Some(victim))
                .map(|at| since(at, crashed)),
            gap,
            caught_up: game.equality().map(|at| since(at, back)),
            settled,
            account: game.account(),
            steps: game.steps(),
        }
    }
}

/// The leader, waited for if there is none yet.
pub(super) fn led(game: &mut Match) -> Option<usize> {
    let limit = game.now().after(LATE);
    while game.leader().is_none() && game.now() < limit {
        game.run_for(Duration::from_millis(10));
    }
    game.leader()
}
