//! Failover: how long orders stall when a machine crashes, and whether any are lost.
//!
//! In each match players give orders; at a random time one machine crashes, restarts some time
//! later, and catches up.
//!
//! # What is measured
//! *Stop*: from the crash until the first order that was not committed by then takes effect at a
//! survivor. *Next leader*: from the crash until an election is won. *Gap*: the longest time
//! between two consecutive commits of orders, from the crash to the end. *Catch-up*: from the
//! restart until the machine has applied every effect that existed at its restart. *Lost* and
//! *doubled* orders must be 0, and all states equal at the end.
//!
//! # Virtual and real time
//! In [`World::Processes`] each machine is a process of its own, which is killed without warning
//! and restarted on its disk; see [`processes`]. The same quantities are measured there, in the
//! same columns. The seed determines the machine that crashes, the nodes' random draws and the
//! players' clicks, but not the timing of the machine, so no two runs are quite equal. The times
//! before the crash and after the restart are shorter there, because they pass in real time.

pub mod processes;
mod report;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::play::Account;
use super::{MAX_ORDERS, Match, Series, SettingsError, StudyError, World};
use crate::elections::values::{Sizes, Time};
use crate::report::parallel;

pub(crate) use report::COLUMNS;
pub use report::findings;

/// Time before the crash, in which a leader is elected.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// Window after the warm-up in which the crash happens at a random time.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// Time limit of the first election.
const LATE: Duration = Duration::from_secs(30);
/// Time after the restart.
pub(super) const AFTER: Duration = Duration::from_secs(3);
/// Time limit for states to converge at the end.
pub(super) const SETTLE: Duration = Duration::from_secs(60);

/// Machine that crashes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Who {
    /// The leader.
    #[default]
    Leader,
    /// A machine other than the leader.
    Follower,
    /// Any machine.
    Any,
}

/// Sizes of matches, and the failure of each.
#[derive(Clone, PartialEq, Debug)]
pub struct Failover {
    /// Numbers of machines.
    pub sizes: Sizes,
    /// Machine that crashes.
    pub who: Who,
    /// Time between crash and restart.
    pub down: Time,
    /// Repetitions and conditions.
    pub series: Series,
}

/// Result of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// From the crash to the first effect of an order that was not committed before.
    pub stop: Option<Duration>,
    /// From the crash to the next leader, if the leader crashed.
    pub leader: Option<Duration>,
    /// Longest time without a commit.
    pub gap: Duration,
    /// From the restart until the machine had applied what it had missed.
    pub caught_up: Option<Duration>,
    /// Whether every order had taken effect by the end, and no machine lagged behind.
    pub settled: bool,
    /// Outcome of all orders.
    pub account: Account,
    /// Inputs that nodes processed; 0 for processes, which do not count them.
    pub steps: u64,
}

impl Who {
    /// Picks the machine that crashes among `size`, given the current leader.
    fn among(self, size: usize, leader: Option<usize>, rng: &mut ChaCha8Rng) -> usize {
        match (self, leader) {
            (Who::Leader, Some(leader)) => leader,
            (Who::Follower, Some(leader)) => (leader + rng.random_range(1..size)) % size,
            (Who::Any, _) | (_, None) => rng.random_range(0..size),
        }
    }
}

impl Failover {
    /// Validates the study.
    ///
    /// # Errors
    /// Names the invalid option and its bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.series.check(self.sizes.0.len())?;
        if self.sizes.0.first().is_some_and(|smallest| *smallest < 2) {
            return Err(SettingsError::TooFewMachines {
                option: "--sizes",
                with: "that survives the loss of one machine",
                least: 2,
            });
        }
        let largest = self.sizes.0.last().copied().unwrap_or_default();
        let time = WARM_UP + WINDOW + self.down.0 + AFTER;
        let conditions = &self.series.conditions;
        conditions.check(largest, time)?;
        // Each process reports each order.
        let effects = conditions.rate * (largest * largest) as f64 * time.as_secs_f64();
        if self.series.world == World::Processes && effects > MAX_ORDERS {
            return Err(SettingsError::TooManyEffects {
                machines: largest,
                effects,
            });
        }
        Ok(())
    }

    /// Plays all matches on `threads` threads (results do not depend on their number) and calls
    /// `done` with the match size after each. Returns the outcomes of each size. Real-time matches
    /// run one at a time so that they do not compete for cores.
    ///
    /// # Errors
    /// Those of [`Failover::check`], or if processes fail.
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(u64, Vec<Outcome>)>, StudyError> {
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

    /// Plays one match in virtual time.
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
        // The victim is down: only survivors can make progress.
        game.watch_for_progress(game.all_machines() & !(1 << victim));
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
                .won_after(crashed, game.all_machines())
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

/// Returns the leader, after waiting for one if necessary.
pub(super) fn led(game: &mut Match) -> Option<usize> {
    let limit = game.now().after(LATE);
    while game.leader().is_none() && game.now() < limit {
        game.run_for(Duration::from_millis(10));
    }
    game.leader()
}
