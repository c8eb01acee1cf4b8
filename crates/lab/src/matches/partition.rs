//! What a match does while its links are cut, and after.
//!
//! In each match players give orders; at a random moment links are cut in one of some [`Shape`]s,
//! stay so for a while, and heal.
//!
//! # What is measured
//! *Stop*: from the cut until the first order that was not committed by then has its effect on the
//! side that can go on. *Next leader*: from the cut until an election is won, if one is within the
//! cut. *Minority commits*: orders given on a side without a majority and committed by a machine
//! there, which must be 0. *Minority orders*: those that were given there, and how many of them
//! were committed by anybody while the cut lasted. *Equal*: from healing until every machine has
//! had every effect that there was at healing. *Lost* and *doubled* orders must be 0, and all
//! states equal at the end.

mod report;
mod shape;

use std::time::Duration;

use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::failover::{AFTER, SETTLE, WARM_UP, WINDOW, led};
use super::play::Account;
use super::{Match, Series};
use crate::elections::values::Time;
use crate::report::parallel;

pub use report::{QUANTITIES, SCHEMA, findings};
pub use shape::Shape;
use shape::Sides;

/// Waiting orders are counted so often, from [`BEFORE`] the cut on.
pub const PART: Duration = Duration::from_millis(100);
/// From when before the cut they are counted.
pub const BEFORE: Duration = Duration::from_secs(1);
/// Until when after healing they are counted.
const BEYOND: Duration = Duration::from_secs(2);
/// Longest cut: each match keeps two bytes for each [`PART`].
const LONGEST: Duration = Duration::from_secs(60);

/// Shapes of cuts, and how long they last.
#[derive(Clone, PartialEq, Debug)]
pub struct Partition {
    /// Each is tried in matches of its own.
    pub shapes: Vec<Shape>,
    /// Machines of each match.
    pub machines: u64,
    /// How long links stay cut.
    pub lasts: Time,
    /// How often, and under which conditions.
    pub series: Series,
}

/// What came of one match.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// From the cut to the first effect of an order that was not committed before, where the match
    /// can go on.
    pub stop: Option<Duration>,
    /// That was before links healed.
    pub went_on: bool,
    /// From the cut to the next leader.
    pub leader: Option<Duration>,
    /// Orders that were given on the minority's side while links were cut.
    pub minority_clicked: u64,
    /// Of these, the ones that were committed in that time.
    pub minority_committed: u64,
    /// From healing until machines were equal.
    pub equal_after: Option<Duration>,
    /// Orders that waited for their effect at the end of each [`PART`].
    pub waiting: Vec<u16>,
    /// Players had no order without an effect at the end, and no machine was behind.
    pub settled: bool,
    /// What became of all orders.
    pub account: Account,
    /// Inputs that nodes took.
    pub steps: u64,
}

impl Partition {
    /// Whether it can be run.
    ///
    /// # Errors
    /// What cannot be, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.series.check(self.shapes.len())?;
        if self.machines < 3 {
            return Err(
                "--machines: a match that can be cut in two unequal parts has at least 3"
                    .to_owned(),
            );
        }
        if self.lasts.0 < PART || self.lasts.0 > LONGEST {
            return Err(format!("--for: links stay cut for {PART:?} to {LONGEST:?}"));
        }
        self.series
            .conditions
            .check(self.machines, WARM_UP + WINDOW + self.lasts.0 + AFTER)
    }

    /// Plays all matches on so many threads, on which nothing depends, and tells `done` the size
    /// after each. Gives the outcomes of each shape.
    ///
    /// # Errors
    /// What [`Partition::check`] finds.
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(Shape, Vec<Outcome>)>, String> {
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

    /// One match.
    #[must_use]
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
        game.watch_for_progress(if sides.going_on == 0 {
            game.everybody()
        } else {
            sides.going_on
        });
        game.run_for(self.lasts.0);
        let healed = game.now();
        game.heal();
        game.watch_for_equality(game.everybody());
        game.run_for(AFTER);
        let settled = game.settle(SETTLE).is_some();
        let (minority_clicked, minority_committed) = minority(&game, &sides, (cut, healed));
        let stop = game.progress();
        Outcome {
            stop,
            went_on: stop.is_some_and(|stop| stop < self.lasts.0),
            leader: game
                .won_after(cut, game.everybody())
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

    /// How many orders waited for their effect at the end of each part of the time around the cut.
    fn waiting(&self, game: &Match, cut: Moment) -> Vec<u16> {
        let parts = (BEFORE + self.lasts.0 + BEYOND).as_micros() / PART.as_micros();
        let begin = Moment(cut.0 - BEFORE.as_micros() as u64);
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

/// Orders given on the side that cannot go on while links were cut, and those of them that were
/// committed meanwhile.
fn minority(game: &Match, sides: &Sides, (cut, healed): (Moment, Moment)) -> (u64, u64) {
    let during = |at: Moment| at > cut && at < healed;
    let there = game
        .ledger()
        .clients()
        .iter()
        .filter(|client| sides.cut_off >> client.machine & 1 == 1);
    let (mut clicked, mut committed) = (0, 0);
    for order in there
        .flat_map(|client| &client.orders)
        .filter(|order| during(order.clicked))
    {
        clicked += 1;
        committed += u64::from(order.committed.is_some_and(during));
    }
    (clicked, committed)
}
