//! `cargo lab failover`

use super::Exit;
use super::output::Output;
use crate::elections::ranges::{Sizes, Time};
use crate::matches::failover::{self, Failover, Who};
use crate::matches::{Conditions, Series};
use std::time::Duration;

/// Which matches lose a machine, how often, and under which conditions.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Numbers of machines: a range with both ends and a step, or a list.
    #[arg(long, value_name = "N..N/STEP|N,N", default_value_t = Sizes((2..=7).collect()))]
    sizes: Sizes,
    /// Matches of each size.
    #[arg(long, value_name = "N", default_value_t = 200)]
    reps: u64,
    /// From which everything follows.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Who crashes.
    #[arg(long, value_enum, default_value_t, value_name = "WHO")]
    who: Who,
    /// How long the machine is away.
    #[arg(long, value_name = "TIME", default_value_t = Time(Duration::from_secs(3)))]
    down: Time,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    output: Output,
}

/// Measures failovers, and gives what came out to everybody who asked for it.
pub fn run(arguments: &Arguments) -> Exit {
    let Arguments { sizes, reps, seed, who, down, conditions, output } = arguments;
    let series = Series { reps: *reps, seed: *seed, conditions: conditions.clone() };
    let study = Failover { sizes: sizes.clone(), who: *who, down: *down, series };
    let matches = sizes.0.len() as u64 * reps;
    super::matches::run(output, ("failover", matches), &failover::QUANTITIES, study.check(), |threads, done| {
        let outcomes = study.run(threads, done)?;
        let steps = outcomes.iter().flat_map(|(_, runs)| runs).map(|run| run.steps).sum();
        Ok((failover::findings(&study, &outcomes), steps))
    })
}
