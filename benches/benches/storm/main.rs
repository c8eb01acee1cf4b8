//! How many events a second a storm simulates on one core, and what of it grows with the cluster.
//!
//! Every size of cluster meets the same seeds, once with machines whose disks and messages hold
//! values, and once with the real store and the wire. All properties are checked after every step
//! in both. Processor time counts, so that a busy machine tells nearly the same as an idle one.
//!
//! `cargo bench -p raftian-benches --bench storm [-- --json FILE]`

#[path = "../peers/machine.rs"]
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftian_lab::storm::{Machines, Storm};
use serde_json::json;

use machine::Machine;

/// How many events a second a storm simulates on one core.
#[derive(Parser, Debug)]
#[command(name = "storm")]
struct Options {
    /// Writes the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A few seeds only
    #[arg(long)]
    quick: bool,
    /// Passed by `cargo bench`; without it one seed of each runs and nothing is measured
    #[arg(long, hide = true)]
    bench: bool,
}

/// Voters at the beginning.
const NODES: [u64; 5] = [1, 3, 5, 7, 9];

fn main() -> ExitCode {
    let options = Options::parse();
    let machine = Machine::here();
    let seeds = match (options.bench, options.quick) {
        (false, _) => 1,
        (true, true) => 20,
        (true, false) => 200,
    };
    println!(
        "simulated events a second of one core, {seeds} seeds each, {}",
        machine.line()
    );
    println!(
        "{:>5} {:>12} {:>12} {:>12}",
        "nodes", "machines", "events", "events/s"
    );
    let mut rows = Vec::new();
    for (machines, name) in [
        (Machines::Bare, "bare"),
        (Machines::Everything, "everything"),
    ] {
        for nodes in NODES {
            let (mut events, before) = (0, Clock::now());
            for seed in 1..=seeds {
                let storm = Storm {
                    nodes,
                    machines,
                    ..Storm::of(seed)
                };
                match storm.run() {
                    Ok(report) => events += report.steps,
                    Err(wreck) => {
                        eprintln!("storm: {}\nreplay: {}", wreck.what, storm.replay());
                        return ExitCode::FAILURE;
                    }
                }
            }
            let rate = events as f64 / before.elapsed().as_secs_f64();
            println!("{nodes:>5} {name:>12} {events:>12} {rate:>12.0}");
            rows.push(json!({ "nodes": nodes, "machines": name, "events": events, "events_per_s": rate.round() }));
        }
    }
    println!("{}", machine.verdict());
    let Some(file) = options.json else {
        return ExitCode::SUCCESS;
    };
    // Cargo runs a benchmark in its package's folder; a relative path is meant from where cargo was
    // called.
    let file =
        std::env::var_os("PWD").map_or(file.clone(), |caller| PathBuf::from(caller).join(&file));
    let document = json!({ "machine": machine.json(), "rows": rows });
    match std::fs::write(&file, format!("{document:#}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storm: cannot write {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

/// Processor time of this thread where the system tells it, which other programs do not lengthen;
/// else the clock.
struct Clock {
    processor: Option<u64>,
    began: Instant,
}

impl Clock {
    fn now() -> Self {
        Clock {
            processor: processor_nanos(),
            began: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        let passed = self
            .processor
            .and_then(|before| processor_nanos()?.checked_sub(before));
        passed.map_or_else(|| self.began.elapsed(), Duration::from_nanos)
    }
}

fn processor_nanos() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
