//! `cargo lab chaos`

use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::matches::Conditions;
use crate::matches::failover::processes::chaos;
use crate::terminal::{errln, write_out};

/// A match of real processes under random faults.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Length in minutes.
    #[arg(long, value_name = "M", default_value_t = 1.0)]
    minutes: f64,
    /// RNG seed of the faults and orders.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Number of machines.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(3..=7))]
    machines: u64,
    /// Puts each machine's files on a disk image of its own, and cuts the power of all machines at
    /// once now and then. Needs root on Linux.
    #[arg(long)]
    power_cuts: bool,
    /// File that receives the outcome as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Plays the match and reports the outcome.
pub fn run(arguments: &Arguments) -> Exit {
    if !(0.05..=24.0 * 60.0).contains(&arguments.minutes) {
        errln!("--minutes is from 0.05 to 1440");
        return Exit::Usage;
    }
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let conditions = Conditions::default().of_processes();
    let machines = arguments.machines as usize;
    let report = match chaos::play(
        &conditions,
        machines,
        length,
        arguments.seed,
        arguments.power_cuts,
    ) {
        Ok(report) => report,
        Err(error) => {
            errln!("{error}");
            return Exit::Unexpected;
        }
    };
    write_out(format_args!("{report}"));
    if let Some(file) = &arguments.json {
        let text = format!("{:#}\n", report.to_json());
        if let Err(error) = std::fs::write(file, text) {
            errln!("cannot write {}: {error}", file.display());
            return Exit::Unexpected;
        }
    }
    if report.is_violated() {
        errln!(
            "a promise was broken: run it again with --seed {}",
            arguments.seed
        );
        return Exit::Violated;
    }
    if !report.is_valid() {
        errln!("too few orders took effect, or the machines did not agree: no result");
        return Exit::Failed;
    }
    Exit::Success
}
