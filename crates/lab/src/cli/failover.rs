//! `cargo lab failover`

use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::elections::values::{Sizes, Span, Time};
use crate::matches::failover::{self, Failover, Who, processes};
use crate::matches::{Conditions, Series, World};
use crate::report::output::Output;
use crate::terminal::errln;

/// Maximum number of processes: as many members as node files can name.
const MAX_PROCESSES: u64 = raftian_node::cluster::MAX_MEMBERS as u64;

/// Sizes, repetitions and conditions of the matches that lose a machine.
#[derive(clap::Args, Debug)]
#[command(after_long_help = failover::COLUMNS.help())]
pub struct Arguments {
    /// Numbers of machines: an inclusive range with a step, or a list.
    #[arg(long, value_name = "N..N/STEP|N,N", default_value_t = Sizes((2..=7).collect()))]
    sizes: Sizes,
    /// Real time: N machines, 3 to 9, are processes with disks, over QUIC; one is killed and
    /// restarted on its disk.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=MAX_PROCESSES))]
    #[arg(conflicts_with_all = ["sizes", "delay", "loss", "disk", "patience", "plant"])]
    real_processes: Option<u64>,
    /// Matches of each size; 200 by default, 8 with real processes.
    #[arg(long, value_name = "N")]
    reps: Option<u64>,
    /// RNG seed; determines the whole run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Machine that crashes.
    #[arg(long, value_enum, default_value_t, value_name = "WHO")]
    who: Who,
    /// Time between crash and restart; 3s by default, 1s with real processes.
    #[arg(long, value_name = "TIME")]
    down: Option<Time>,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    output: Output,
}

/// One machine of `--real-processes`, started by the experiment.
#[derive(clap::Args, Debug)]
pub struct NodeArguments {
    file: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    timeout: Span,
    #[arg(long)]
    adaptive: Option<Span>,
    #[arg(long)]
    heartbeat: Time,
}

/// Runs the machine until stdin closes.
pub fn run_node(arguments: &NodeArguments) -> Exit {
    let &NodeArguments {
        ref file,
        seed,
        timeout,
        adaptive,
        heartbeat,
    } = arguments;
    let conditions = Conditions {
        timeout,
        adaptive,
        heartbeat,
        ..Conditions::default()
    }
    .of_processes();
    match processes::live(file, &conditions, seed) {
        Ok(()) => Exit::Success,
        Err(error) => {
            errln!("{}: {error}", file.display());
            Exit::Unexpected
        }
    }
}

impl Arguments {
    fn study(&self) -> Failover {
        let &Arguments {
            ref sizes,
            real_processes,
            reps,
            seed,
            who,
            down,
            ref conditions,
            ..
        } = self;
        let (world, sizes, conditions, usual) = match real_processes {
            Some(size) => (
                World::Processes,
                Sizes(vec![size]),
                conditions.of_processes(),
                (8, 1),
            ),
            None => (World::Virtual, sizes.clone(), conditions.clone(), (200, 3)),
        };
        let series = Series {
            reps: reps.unwrap_or(usual.0),
            seed,
            world,
            conditions,
        };
        Failover {
            sizes,
            who,
            down: down.unwrap_or(Time(Duration::from_secs(usual.1))),
            series,
        }
    }
}

/// Measures failovers and writes the requested outputs.
pub fn run(arguments: &Arguments) -> Exit {
    let study = arguments.study();
    let matches = (study.sizes.0.len() as u64).saturating_mul(study.series.reps);
    super::matches::run(
        &arguments.output,
        ("failover", matches),
        &failover::COLUMNS.quantity_names(),
        study.check(),
        |threads, done| {
            let outcomes = study.run(threads, done)?;
            let steps = outcomes
                .iter()
                .flat_map(|(_, runs)| runs)
                .map(|run| run.steps)
                .sum();
            Ok((failover::findings(&study, outcomes), steps))
        },
    )
}
