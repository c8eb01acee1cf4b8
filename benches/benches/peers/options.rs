//! The command line. What it does not know is an error with exit code 2.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::workload::{Cell, System};
use super::{Effort, SYSTEMS};

const NODES: [u64; 2] = [3, 5];
const BYTES: [u64; 2] = [16, 1024];
const LOADS: [u64; 4] = [1, 64, 1024, 4096];

/// Commits per second of the consensus core beside other implementations of Raft.
#[derive(Parser, Debug)]
#[command(name = "peers")]
pub(crate) struct Options {
    /// Writes the results to FILE, and a chart beside it that ends in .svg
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// A look of twenty seconds instead of a measurement of four minutes
    #[arg(long)]
    quick: bool,
    /// Measures durable writes of one node instead of clusters in memory
    #[arg(long)]
    pub(crate) durable: bool,
    /// Only systems whose name starts like this
    #[arg(long, value_name = "NAME", value_parser = known)]
    system: Option<String>,
    /// Only clusters of this size
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=9))]
    nodes: Option<u64>,
    /// Only commands of this size
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(8..=1024))]
    bytes: Option<u64>,
    /// Only this many commands in a batch, or clients
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=8192))]
    load: Option<u64>,
    /// Rounds to take the median of
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Leaves openraft out, which takes a minute or two to build
    #[arg(long)]
    without_openraft: bool,
    /// Passed by `cargo bench`; without it everything runs once and nothing is measured
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// What the command line says; ends the process if that makes no sense.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        // Cargo runs a benchmark in its package's folder; a relative path is meant from where cargo
        // was called.
        if let (Some(file), Some(caller)) = (&options.json, std::env::var_os("PWD")) {
            options.json = Some(PathBuf::from(caller).join(file));
        }
        options
    }

    /// Whether openraft is to be measured too.
    #[cfg(not(feature = "openraft"))]
    pub(crate) fn wants_openraft(&self) -> bool {
        let named = self
            .system
            .as_ref()
            .is_none_or(|start| "openraft 0.9".starts_with(start.as_str()));
        self.measures() && !self.durable && !self.without_openraft && named
    }

    /// Whether anything is measured, and not only tried.
    pub(crate) fn measures(&self) -> bool {
        self.bench
    }

    pub(crate) fn wants(&self, system: &System) -> bool {
        self.system
            .as_ref()
            .is_none_or(|start| system.name.starts_with(start))
    }

    /// What is asked of every system: each size of cluster and of commands under each load, or only
    /// what the command line names, which may be a size that is not among the usual ones.
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
    if "openraft 0.9".starts_with(start) || start.starts_with("openraft") {
        return Ok(start.to_owned());
    }
    Err(format!(
        "there is no such system; there are {} and openraft",
        names.join(", ")
    ))
}
