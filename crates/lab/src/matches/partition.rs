//! Matches with a network partition that heals.
//!
//! In each match players give orders; at a random time links are cut in one of several [`Shape`]s,
//! stay cut for a while, and heal.
//!
//! # What is measured
//! *Stop*: from the cut until the first order that was not committed by then takes effect on the
//! side that can make progress. *Next leader*: from the cut until an election is won, if one is
//! within the cut. *Minority commits*: orders given on a side without a majority and committed by a
//! machine there, which must be 0. *Minority orders*: orders given there, and the number of them
//! committed by any machine during the cut. *Equal*: from healing until every machine has applied
//! every effect that existed at healing. *Lost* and *doubled* orders must be 0, and all states
//! equal at the end.

mod report;
mod shape;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::failover::{AFTER, SETTLE, WARM_UP, WINDOW, led};
use super::play::Account;
use super::{Match, Series, SettingsError};
use crate::elections::values::Time;
use crate::report::parallel;

pub(crate) use report::COLUMNS;
pub use report::findings;
pub use shape::Shape;
use shape::Sides;

/// Interval of counting pending orders, starting [`BEFORE`] the cut.
pub const PART: Duration = Duration::from_millis(100);
/// Start of counting before the cut.
pub const BEFORE: Duration = Duration::from_secs(1);
/// End of counting after healing.
const BEYOND: Duration = Duration::from_secs(2);
/// Longest cut: each match keeps two bytes for each [`PART`].
const LONGEST: Duration = Duration::from_secs(60);

/// Shapes of partitions, and their duration.
#[derive(Clone, PartialEq, Debug)]
pub struct Partition {
    /// Shapes, each tried in matches of its own.
    pub shapes: Vec<Shape>,
    /// Machines of each match.
    pub machines: u64,
    /// Duration of the cut.
    pub lasts: Time,
    /// Repetitions and conditions.
    pub series: Series,
}

/// Result of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// From the cut to the first effect of an order that was not committed before, on the side that
    /// can make progress.
    pub stop: Option<Duration>,
    /// Whether that was before links healed.
    pub went_on: bool,
    /// From the cut to the next leader.
    pub leader: Option<Duration>,
    /// Orders that were given on the minority's side while links were cut.
    pub minority_clicked: u64,
    /// Minority orders that were committed in that time.
    pub minority_committed: u64,
    /// From healing until machines had converged.
    pub equal_after: Option<Duration>,
    /// Pending orders at the end of each [`PART`].
    pub waiting: Vec<u16>,
    /// Whether every order had taken effect by the end, and no machine lagged behind.
    pub settled: bool,
    /// Outcome of all orders.
    pub account: Account,
    /// Inputs that nodes processed.
    pub steps: u64,
}

impl Partition {
    /// Validates the study.
    ///
    /// # Errors
    /// Names the invalid option and its bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.series.check(self.shapes.len())?;
        if self.machines < 3 {
            return Err(SettingsError::TooFewMachines {
                option: "--machines",
                with: "that can be cut in two unequal parts",
                least: 3,
            });
        }
        if self.lasts.0 < PART || self.lasts.0 > LONGEST {
            return Err(SettingsError::Cut {
                least: PART,
                most: LONGEST,
            });
        }
        self.series
            .conditions
            .check(self.machines, WARM_UP + WINDOW + self.lasts.0 + AFTER)
    }

    /// Plays all matches on `threads` threads (results do not depend on their number) and calls
    /// `done` with the match size after each. Returns the outcomes of each shape.
    ///
    /// # Errors
    /// Those of [`Partition::check`].
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(Shape, Vec<Outcome>)>, SettingsError> {
        self.check()?;
        let reps = self.series.reps as usize;
        let outcomes = parallel::spread(threads, self.shapes.len() * reps, |number| {
            let shape = self.shapes[number / reps];
            let outcome = self.one(
                shape,
                parallel::seed(self.series.seed, &[shape as u64, (number % reps) as u64]),
            );
            done(self.machines);
            outcome
        });
        Ok(self
            .shapes
            .iter()
            .copied()
            .zip(outcomes.chunks(reps).map(<[Outcome]>::to_vec))
            .collect())
    }

    /// Plays one match.
    pub fn one(&self, shape: Shape, seed: u64) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut game = Match::new(&self.series.conditions, self.machines, rng.random());
        game.run_for(
            WARM_UP + Duration::from_micros(rng.random_range(0..WINDOW.as_micros() as u64)),
        );
        let leader = led(&mut game).unwrap_or_default();
        let sides = shape.sides(game.size(), leader);
        let cut = game.now();
        sides
            .cuts
            .iter()
            .for_each(|(from, to)| game.cut(*from, *to));
        game.isolate(sides.without_majority);
        // Without a majority on any side, progress resumes after healing, on any machine.
        game.watch_for_progress(if sides.going_on == 0 {
            game.all_machines()
        } else {
            sides.going_on
        });
        game.run_for(self.lasts.0);
        let healed = game.now();
        game.heal();
        game.watch_for_equality(game.all_machines());
        game.run_for(AFTER);
        let settled = game.settle(SETTLE).is_some();
        let (minority_clicked, minority_committed) = minority(&game, &sides, (cut, healed));
        let stop = game.progress();
        Outcome {
            stop,
            went_on: stop.is_some_and(|stop| stop < self.lasts.0),
            leader: game
                .won_after(cut, game.all_machines())
                .filter(|at| *at < healed)
                .map(|at| at.since(cut)),
            minority_clicked,
            minority_committed,
            equal_after: game.equality().map(|at| at.since(healed)),
            waiting: self.waiting(&game, cut),
            settled,
            account: game.account(),
            steps: game.steps(),
        }
    }

    /// Counts the pending orders at the end of each part of the time around the cut.
    fn waiting(&self, game: &Match, cut: Moment) -> Vec<u16> {
        let parts = (BEFORE + self.lasts.0 + BEYOND).as_micros() / PART.as_micros();
        let begin = Moment(cut.0 - BEFORE.as_micros() as u64);
        // The running sum of the changes is the number of pending orders.
        let mut changes = vec![0i32; parts as usize];
        let mut change = |at: Moment, by: i32| {
            if let Some(part) =
                changes.get_mut((at.since(begin).as_micros() / PART.as_micros()) as usize)
            {
                *part += by;
            }
        };
        for order in game.ledger().orders() {
            change(order.clicked, 1);
            order.applied.into_iter().for_each(|at| change(at, -1));
        }
        let mut waiting = 0;
        let sum = |change: i32| {
            waiting += change;
            waiting.clamp(0, i32::from(u16::MAX)) as u16
        };
        changes.into_iter().map(sum).collect()
    }
}

/// Counts the orders given on the side without progress while links were cut, and those of them
/// that were committed meanwhile.
fn minority(game: &Match, sides: &Sides, (cut, healed): (Moment, Moment)) -> (u64, u64) {
    let during = |at: Moment| at > cut && at < healed;
    let there = game
        .ledger()
        .clients()
        .iter()
        .filter(|client| sides.cut_off >> client.machine & 1 == 1);
    let mut clicked = 0;
    let mut committed = 0;
    for order in there
        .flat_map(|client| &client.orders)
        .filter(|order| during(order.clicked))
    {
        clicked += 1;
        committed += u64::from(order.committed.is_some_and(during));
    }
    (clicked, committed)
}
