//! Catch-up speed of an empty follower, by snapshot chunks or by entries, compared with the
//! physical limit.
//!
//! Leader and follower share one process and one thread, no clock ticks and no message is lost. In
//! memory the limit is one copy of the same bytes, which long commands beat because both logs share
//! them. On disk, where the follower has the real store and the leader none, it is the same writes
//! to a preallocated file. Ours and the limit alternate under the same machine load; only their
//! ratio is meaningful.
//!
//! `cargo bench -p raftian-benches --bench catch_up [-- --json FILE]`

mod limit;
#[path = "../peers/machine.rs"]
mod machine;
mod pair;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use raftian_node::store::{Creation, RedbStore};
use raftian_raft::{Incarnation, NodeId};
use serde_json::{Value, json};

use limit::Raw;
use machine::Machine;
use pair::{Disk, Lack, Pair};

/// Measures how fast an empty follower catches up.
#[derive(Parser, Debug)]
#[command(name = "catch_up")]
struct Options {
    /// Writes the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs only small states and short logs
    #[arg(long)]
    quick: bool,
    /// Passed by `cargo bench`; without it, the smallest of each runs once, as a smoke test
    #[arg(long, hide = true)]
    bench: bool,
}

/// Rounds per row; the median counts.
const ROUNDS: usize = 5;
/// Sizes of the state, in bytes; the largest is a node's default limit.
const STATES: [usize; 3] = [1 << 20, 8 << 20, 64 << 20];
/// Bytes of the state in one message; the middle one is the default.
const CHUNKS: [usize; 3] = [16 << 10, 64 << 10, 256 << 10];
/// Lengths of the log that the follower lacks.
const ENTRIES: [u64; 2] = [10_000, 100_000];
/// Bytes of a command.
const COMMANDS: [usize; 2] = [16, 1024];

/// Times of one kind of catch-up: seconds for ours and for the limit, one pair per round.
struct Row {
    lack: Lack,
    durable: bool,
    times: Vec<(f64, f64)>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let machine = Machine::here();
    let (rounds, sizes) = if options.bench {
        (ROUNDS, if options.quick { 1 } else { usize::MAX })
    } else {
        (1, 1)
    };
    let states = STATES.into_iter().take(sizes);
    let states = states.flat_map(|bytes| {
        CHUNKS
            .into_iter()
            .map(move |chunk| Lack::State { bytes, chunk })
    });
    let logs = ENTRIES.into_iter().take(sizes);
    let logs = logs.flat_map(|entries| {
        COMMANDS
            .into_iter()
            .map(move |bytes| Lack::Entries { entries, bytes })
    });
    let lacks: Vec<Lack> = states.chain(logs).collect();
    println!(
        "catching up, median of {rounds} rounds, {}\n{}",
        machine.line(),
        heading()
    );
    let mut rows = Vec::new();
    for durable in [false, true] {
        for lack in &lacks {
            let row = Row::measured(*lack, durable, rounds);
            println!("{}", row.line());
            rows.push(row);
        }
    }
    println!("{}", machine.verdict());
    let Some(file) = options.json else {
        return ExitCode::SUCCESS;
    };
    // Cargo runs benchmarks in the package folder, but the user means a path relative to the shell.
    let file =
        std::env::var_os("PWD").map_or(file.clone(), |caller| PathBuf::from(caller).join(&file));
    let document = json!({ "machine": machine.json(), "rows": rows.iter().map(Row::json).collect::<Vec<_>>() });
    match std::fs::write(&file, format!("{document:#}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("catch_up: cannot write {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

impl Row {
    fn measured(lack: Lack, durable: bool, rounds: usize) -> Self {
        // In the target directory, which is on a disk: `/tmp` may be in memory.
        let directory = durable
            .then(|| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder"));
        let mut raw = directory
            .as_ref()
            .map(|directory| Raw::new(directory.path(), lack.bytes()));
        let mut times = Vec::new();
        for round in 0..rounds {
            let mut disk = Disk::new(directory.as_ref().map(|directory| {
                let path = directory.path().join(format!("{round}.redb"));
                RedbStore::open(
                    &path,
                    &path.with_extension("mark"),
                    NodeId(2),
                    "catch_up",
                    Creation::first(Incarnation::default()),
                )
                .expect("a new store")
                .0
            }));
            let took = Pair::new(lack).catch_up(&mut disk);
            let floor = match &mut raw {
                Some(raw) => raw.write(&disk.written),
                None => limit::copy(lack.bytes()),
            };
            times.push((took.as_secs_f64(), floor.as_secs_f64()));
        }
        Row {
            lack,
            durable,
            times,
        }
    }

    /// Median seconds for ours and for the limit, and their median ratio.
    fn medians(&self) -> (f64, f64, f64) {
        let of = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = self.times.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        (
            of(|(ours, _)| *ours),
            of(|(_, limit)| *limit),
            of(|(ours, limit)| ours / limit),
        )
    }

    /// Amount per second, and its unit.
    fn rate(&self, seconds: f64) -> (f64, &'static str) {
        match self.lack {
            Lack::State { bytes, .. } => (bytes as f64 / seconds / 1e6, "MB/s"),
            Lack::Entries { entries, .. } => (entries as f64 / seconds, "entries/s"),
        }
    }

    fn line(&self) -> String {
        let (ours, limit, ratio) = self.medians();
        let rate = |seconds| {
            let (rate, unit) = self.rate(seconds);
            format!("{rate:.0} {unit}")
        };
        let (what, size, part) = match self.lack {
            Lack::State { bytes, chunk } => (
                "snapshot",
                format!("{} MiB", bytes >> 20),
                format!("{} KiB", chunk >> 10),
            ),
            Lack::Entries { entries, bytes } => {
                ("entries", entries.to_string(), format!("{bytes} B"))
            }
        };
        let on = if self.durable { "disk" } else { "memory" };
        format!(
            "{what:<9} {on:<7} {size:>8} {part:>8} {:>20} {:>22} {ratio:>11.1}x",
            rate(ours),
            rate(limit)
        )
    }

    fn json(&self) -> Value {
        let (ours, limit, ratio) = self.medians();
        let (size, part) = match self.lack {
            Lack::State { bytes, chunk } => (bytes as u64, chunk),
            Lack::Entries { entries, bytes } => (entries, bytes),
        };
        let (rate, unit) = self.rate(ours);
        let (limit, _) = self.rate(limit);
        json!({
            "what": if unit == "MB/s" { "snapshot" } else { "entries" },
            "durable": self.durable,
            "size": size,
            "part_bytes": part,
            "unit": unit,
            "rate": rate.round(),
            "limit": limit.round(),
            "times_as_long": (ratio * 100.0).round() / 100.0,
        })
    }
}

fn heading() -> String {
    format!(
        "{:<9} {:<7} {:>8} {:>8} {:>20} {:>22} {:>12}",
        "what", "on", "lacks", "part", "ours", "limit", "ours/limit"
    )
}

impl Lack {
    /// Total bytes, as counted against bounds.
    fn bytes(self) -> usize {
        match self {
            Lack::State { bytes, .. } => bytes,
            Lack::Entries { entries, bytes } => {
                entries as usize * (raftian_raft::Entry::OVERHEAD + bytes)
            }
        }
    }
}

/// Measures the time of `work`.
fn timed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}
