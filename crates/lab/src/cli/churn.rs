//! `cargo lab churn`

use std::time::Duration;

use super::Exit;
use super::output::Output;
use crate::elections::values::Time;
use crate::matches::churn::{self, Churn};
use crate::matches::{Conditions, Series, World};

/// How often somebody comes or goes, how long, and under which conditions.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Machines at the beginning.
    #[arg(long, value_name = "N", default_value_t = 5)]
    machines: u64,
    /// Time between turns: leave, crash, restart, join, and again.
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_secs(5)))]
    every: Time,
    /// Minutes of each match, in its own time.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// What players take for at once.
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_millis(100)))]
    bound: Time,
    /// Matches.
    #[arg(long, value_name = "N", default_value_t = 10)]
    reps: u64,
    /// From which everything follows.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    output: Output,
}

/// Measures coming and going, and gives what came out to everybody who asked for it.
pub fn run(arguments: &Arguments) -> Exit {
    let &Arguments {
        machines,
        every,
        minutes,
        bound,
        reps,
        seed,
        ref conditions,
        ref output,
    } = arguments;
    let series = Series {
        reps,
        seed,
        world: World::Virtual,
        conditions: conditions.clone(),
    };
    let study = Churn {
        machines,
        every,
        minutes,
        bound,
        series,
    };
    super::matches::run(
        output,
        ("churn", reps),
        &churn::QUANTITIES,
        study.check(),
        |threads, done| {
            let runs = study.run(threads, done)?;
            let steps = runs.iter().map(|run| run.steps).sum();
            Ok((churn::findings(&study, &runs), steps))
        },
    )
}
