//! `cargo lab partition`

use std::time::Duration;

use clap::ValueEnum;

use super::Exit;
use crate::elections::values::Time;
use crate::matches::partition::{self, Partition, Shape};
use crate::matches::{Conditions, Series, World};
use crate::report::output::Output;
use crate::terminal::errln;

/// Shapes, repetitions and conditions of the partitions.
#[derive(clap::Args, Debug)]
#[command(after_long_help = partition::COLUMNS.help())]
pub struct Arguments {
    /// leader-alone, leader-minority, halves, one-way-out, one-way-in, bridge, a comma-separated
    /// list of these, or all.
    #[arg(long, value_name = "SHAPE,SHAPE|all", default_value = "all")]
    shape: String,
    /// Machines of each match.
    #[arg(long, value_name = "N", default_value_t = 5)]
    machines: u64,
    /// Duration of the partition.
    #[arg(long = "for", value_name = "TIME", default_value_t = Time(Duration::from_secs(5)))]
    lasts: Time,
    /// Matches of each shape.
    #[arg(long, value_name = "N", default_value_t = 50)]
    reps: u64,
    /// RNG seed; determines the whole run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    output: Output,
}

/// A name that is not one of a shape.
#[derive(Debug, thiserror::Error)]
#[error("--shape: `{name}` is not one of {}, or all", Shape::ALL.map(Shape::name).join(", "))]
struct UnknownShape {
    name: String,
}

fn shapes(text: &str) -> Result<Vec<Shape>, UnknownShape> {
    if text == "all" {
        return Ok(Shape::ALL.to_vec());
    }
    let mut shapes = text.split(',').map(shape).collect::<Result<Vec<_>, _>>()?;
    shapes.sort_unstable();
    shapes.dedup();
    Ok(shapes)
}

fn shape(name: &str) -> Result<Shape, UnknownShape> {
    Shape::from_str(name.trim(), false).map_err(|_| UnknownShape {
        name: name.to_owned(),
    })
}

/// Measures partitions and writes the requested outputs.
pub fn run(arguments: &Arguments) -> Exit {
    let Arguments {
        shape,
        machines,
        lasts,
        reps,
        seed,
        conditions,
        output,
    } = arguments;
    let shapes = match shapes(shape) {
        Ok(shapes) => shapes,
        Err(error) => {
            errln!("{error}");
            return Exit::Usage;
        }
    };
    let matches = shapes.len() as u64 * reps;
    let series = Series {
        reps: *reps,
        seed: *seed,
        world: World::Virtual,
        conditions: conditions.clone(),
    };
    let study = Partition {
        shapes,
        machines: *machines,
        lasts: *lasts,
        series,
    };
    super::matches::run(
        output,
        ("partition", matches),
        &partition::COLUMNS.quantity_names(),
        study.check(),
        |threads, done| {
            let outcomes = study.run(threads, done)?;
            let steps = outcomes
                .iter()
                .flat_map(|(_, runs)| runs)
                .map(|run| run.steps)
                .sum();
            Ok((partition::findings(&study, outcomes), steps))
        },
    )
}
