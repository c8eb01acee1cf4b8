//! Simulated storm events per second on one core, by cluster size.
//!
//! Every cluster size runs the same seeds, once with machines whose disks and messages hold values,
//! and once with the real store and encoded messages. Both check all properties after every step.
//! CPU time is measured, so that a busy machine gives nearly the same result as an idle one.
//!
//! `cargo bench -p raftian-benches --bench storm [-- --json FILE]`

#[path = "../peers/machine.rs"]
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftian_sim::storm::{Machines, Storm};
use serde_json::json;

use machine::Machine;

/// Measures how many storm events per second one core simulates.
#[derive(Parser, Debug)]
#[command(name = "storm")]
struct Options {
    /// Writes the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs only a few seeds
    #[arg(long)]
    quick: bool,
    /// Passed by `cargo bench`; without it, one seed per row runs and the rate is not meaningful
    #[arg(long, hide = true)]
    bench: bool,
}

/// Initial numbers of voters.
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
        "simulated events per second on one core, {seeds} seeds each, {}",
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
            let mut events = 0;
            let before = Clock::now();
            for seed in 1..=seeds {
                let storm = Storm {
                    nodes,
                    machines,
                    ..Storm::of(seed)
                };
                match storm.run() {
                    Ok(report) => events += report.steps,
                    Err(failure) => {
                        eprintln!("storm: {failure}\nreplay: {}", storm.replay());
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
    // Cargo runs benchmarks in the package folder, but the user means a path relative to the shell.
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

/// CPU time of this thread where the system reports it, because other processes do not affect it;
/// otherwise wall-clock time.
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
    // The first field is the CPU time in nanoseconds.
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
