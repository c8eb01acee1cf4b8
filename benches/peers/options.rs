//! The command line. Unknown arguments are an error with exit code 2.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::workload::{Cell, System};
use super::{Effort, SYSTEMS};

const NODES: [u64; 2] = [3, 5];
const BYTES: [u64; 2] = [16, 1024];
const LOADS: [u64; 4] = [1, 64, 1024, 4096];

/// Compares commits per second of the consensus core with other Raft implementations.
#[derive(Parser, Debug)]
#[command(name = "peers")]
pub(crate) struct Options {
    /// Writes the results to FILE, and a chart to the same name with the extension .svg
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Runs for twenty seconds instead of four minutes
    #[arg(long)]
    quick: bool,
    /// Measures durable writes of one node instead of in-memory clusters
    #[arg(long)]
    pub(crate) durable: bool,
    /// Measures only systems whose name starts with NAME
    #[arg(long, value_name = "NAME", value_parser = known)]
    system: Option<String>,
    /// Measures only clusters of COUNT nodes
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=9))]
    nodes: Option<u64>,
    /// Measures only commands of COUNT bytes
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(8..=1024))]
    bytes: Option<u64>,
    /// Measures only batches of COUNT commands, or COUNT clients
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=8192))]
    load: Option<u64>,
    /// Number of rounds; the median counts
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Skips openraft, which takes a minute or two to build
    #[arg(long)]
    without_openraft: bool,
    /// Passed by `cargo bench`; without it, everything runs once and nothing is measured
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Parses the command line; exits the process if it is invalid.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        // Cargo runs benchmarks in the package folder, but the user means a path relative to the
        // shell.
        if let (Some(file), Some(caller)) = (&options.json, std::env::var_os("PWD")) {
            options.json = Some(PathBuf::from(caller).join(file));
        }
        options
    }

    /// Whether the options include openraft.
    #[cfg(not(feature = "openraft"))]
    pub(crate) fn wants_openraft(&self) -> bool {
        let named = self
            .system
            .as_ref()
            .is_none_or(|start| "openraft 0.9".starts_with(start.as_str()));
        self.measures() && !self.durable && !self.without_openraft && named
    }

    /// Whether to measure, instead of running everything once.
    pub(crate) fn measures(&self) -> bool {
        self.bench
    }

    pub(crate) fn wants(&self, system: &System) -> bool {
        self.system
            .as_ref()
            .is_none_or(|start| system.name.starts_with(start))
    }

    /// Cells to measure: every combination of cluster size, command size and load. Each dimension
    /// that the command line sets has only that value, which may be none of the default ones.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let usual = |named: Option<u64>, usual: &[u64]| {
            named.map_or_else(|| usual.to_vec(), |named| vec![named])
        };
        let mut cells = Vec::new();
        for nodes in usual(self.nodes, &NODES) {
            for bytes in usual(self.bytes, &BYTES) {
                for load in usual(self.load, &LOADS) {
                    cells.push(Cell {
                        nodes,
                        bytes: bytes as usize,
                        load: load as usize,
                    });
                }
            }
        }
        cells
    }

    pub(crate) fn effort(&self) -> Effort {
        let (rounds, millis) = if self.quick { (3, 50) } else { (7, 300) };
        Effort {
            rounds: self.rounds.map_or(rounds, usize::from),
            slice: Duration::from_millis(millis),
        }
    }
}

fn known(start: &str) -> Result<String, String> {
    if SYSTEMS.iter().any(|system| system.name.starts_with(start)) {
        return Ok(start.to_owned());
    }
    let names: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
    // This build may lack openraft; the benchmark then rebuilds itself with it.
    if "openraft 0.9".starts_with(start) || start.starts_with("openraft") {
        return Ok(start.to_owned());
    }
    Err(format!(
        "unknown system; use one of {}, openraft",
        names.join(", ")
    ))
}
