//! `cargo lab churn`

use std::time::Duration;

use super::Exit;
use crate::elections::values::Time;
use crate::matches::churn::{self, Churn};
use crate::matches::{Conditions, Series, World};
use crate::report::output::Output;

/// Churn rate, duration, and conditions of the matches.
#[derive(clap::Args, Debug)]
#[command(after_long_help = churn::COLUMNS.help())]
pub struct Arguments {
    /// Machines at the start.
    #[arg(long, value_name = "N", default_value_t = 5)]
    machines: u64,
    /// Time between churn steps: leave, crash, restart, join, and again.
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_secs(5)))]
    every: Time,
    /// Length of each match in minutes of its own time.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Longest delay that players perceive as immediate.
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_millis(100)))]
    bound: Time,
    /// Number of matches.
    #[arg(long, value_name = "N", default_value_t = 10)]
    reps: u64,
    /// RNG seed; determines the whole run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    output: Output,
}

/// Measures churn and writes the requested outputs.
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
        &churn::COLUMNS.quantity_names(),
        study.check(),
        |threads, done| {
            let runs = study.run(threads, done)?;
            let steps = runs.iter().map(|run| run.steps).sum();
            Ok((churn::findings(&study, runs), steps))
        },
    )
}
