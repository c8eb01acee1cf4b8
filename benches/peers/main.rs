//! Commits per second of the consensus core, compared with other Raft implementations in Rust in
//! the same run.
//!
//! Clusters are in memory and in one process. Every node applies every command, no clock ticks and
//! no message is lost. Ours and raft-rs are values: one thread proposes prepared batches and
//! delivers every message. A batch ends when every node has applied it, a node steps all queued
//! messages before its actions are performed, and it drops applied entries from its log. openraft
//! is a set of tasks: two threads, and one client with one command for each command that the others
//! have in a batch. Rounds of the systems alternate under the same machine load; only ratios within
//! one run are meaningful. `--durable` measures the cost of a durable write instead, compared with
//! the same bytes without a store.
//!
//! `cargo bench -p raftian-benches --bench peers [-- --json FILE]`, or `cargo peers [-- --json
//! FILE]`.

mod chart;
mod durable;
mod machine;
#[cfg(feature = "openraft")]
mod openraft;
mod options;
mod raft_rs;
mod raftian;
mod report;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use machine::Machine;
use options::Options;
use report::Row;
use workload::{Cell, Load, System, batches};

/// Measured systems. Ours is first: ratios are relative to it.
const SYSTEMS: &[System] = &[
    System {
        name: "raftian",
        load: Load::Batch,
        run: batches::<raftian::Cluster>,
    },
    System {
        name: "raft-rs 0.7",
        load: Load::Batch,
        run: batches::<raft_rs::Cluster>,
    },
    #[cfg(feature = "openraft")]
    System {
        name: "openraft 0.9",
        load: Load::Clients,
        run: openraft::v0_9::run,
    },
    #[cfg(feature = "openraft")]
    System {
        name: "openraft 0.10",
        load: Load::Clients,
        run: openraft::v0_10::run,
    },
];

/// Number and length of the measurements.
pub(crate) struct Effort {
    /// Measured rounds per system and cell; the median counts.
    pub(crate) rounds: usize,
    /// Measured time of one round.
    pub(crate) slice: Duration,
}

fn main() -> ExitCode {
    let options = Options::read();
    #[cfg(not(feature = "openraft"))]
    if options.wants_openraft() {
        return with_openraft();
    }
    let done = if !options.measures() {
        check(&options);
        Ok(())
    } else if options.durable {
        weigh_durable(&options)
    } else {
        compare(&options)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Rebuilds and runs this benchmark with openraft. openraft enables features of shared crates that
/// would make every workspace build compile Bevy again, so only this build has it.
#[cfg(not(feature = "openraft"))]
fn with_openraft() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let package = [
        "bench",
        "--package",
        "raftian-benches",
        "--features",
        "openraft",
        "--bench",
        "peers",
        "--",
    ];
    let arguments = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench");
    match std::process::Command::new(cargo)
        .args(package)
        .args(arguments)
        .status()
    {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(error) => {
            eprintln!(
                "peers: cannot run cargo to build openraft: {error}; --without-openraft skips it"
            );
            ExitCode::FAILURE
        }
    }
}

/// Runs everything once as a smoke test, for `cargo test --benches`.
fn check(options: &Options) {
    for cell in options.cells() {
        for system in SYSTEMS.iter().filter(|system| options.wants(system)) {
            system.rate(cell, cell.load as u64, Duration::from_nanos(1));
        }
    }
    durable::measure(Duration::ZERO);
    println!("every system works; `cargo bench` measures them");
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let effort = options.effort();
    let machine = Machine::here();
    print!("{}", report::heading(&effort, &machine));
    let mut rows = Vec::new();
    for cell in options.cells() {
        let measured = measure(cell, options, &effort);
        print!("{}", report::lines(&measured));
        rows.extend(measured);
    }
    println!("{}", machine.verdict());
    if let Some(path) = &options.json {
        write(path, &report::document(&machine, &effort, &rows))?;
        chart::draw(&path.with_extension("svg"), &rows, &machine)?;
    }
    Ok(())
}

fn weigh_durable(options: &Options) -> Result<(), Box<dyn Error>> {
    let machine = Machine::here();
    let rows = durable::measure(options.effort().slice * 10);
    print!("{}", durable::table(&rows, &machine));
    println!("{}", machine.verdict());
    match &options.json {
        Some(path) => write(path, &durable::document(&machine, &rows)),
        None => Ok(()),
    }
}

/// Measures all systems in one cell, in turns.
fn measure(cell: Cell, options: &Options, effort: &Effort) -> Vec<Row> {
    let prepare = |system: &'static System| {
        // The first run is cold and only finds the order of magnitude; the second finds how many
        // commands fill a slice.
        // A run consists of whole batches, or of the same number of commands for each client.
        let few = (cell.load as u64 * 2).max(64);
        let cold = system.rate(
            cell,
            few.next_multiple_of(cell.load as u64),
            Duration::from_nanos(1),
        );
        let guess = cell.commands(cold, effort.slice / 4);
        let commands = cell.commands(system.rate(cell, guess, effort.slice / 4), effort.slice);
        (
            commands,
            Row {
                system,
                cell,
                rates: Vec::new(),
                ratio: None,
            },
        )
    };
    let mut rows: Vec<_> = SYSTEMS
        .iter()
        .filter(|system| options.wants(system))
        .map(prepare)
        .collect();
    for _ in 0..effort.rounds {
        for (commands, row) in &mut rows {
            row.rates
                .push(row.system.rate(cell, *commands, effort.slice));
        }
    }
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    report::compare(&mut rows, SYSTEMS[0].name);
    rows
}

fn write(path: &Path, document: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    std::fs::write(path, format!("{document:#}\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
