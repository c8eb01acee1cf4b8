//! Child processes of an experiment: this program, started once for each real node.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use raftian_node::cluster::{NewCluster, NodeFile, Timing, generate};
use raftian_node::quic::QuicOptions;
use raftian_node::trace::Trace;
use raftian_node::{NodeHandle, NodeOptions};
use raftian_raft::{Config, Membership, NodeId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Ports from which a free range is drawn: below the ephemeral ports of common systems.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Attempts to find a free range of ports.
const ATTEMPTS: usize = 50;

/// Child processes, killed on drop.
#[derive(Default, Debug)]
pub struct Processes(pub(crate) Vec<Child>);

impl Processes {
    /// Adds a process and returns a reference to it.
    pub fn add(&mut self, process: Child) -> &mut Child {
        let place = self.0.len();
        self.0.push(process);
        &mut self.0[place]
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It may already have exited; `wait` reaps it either way.
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

/// Writes the files of `size` nodes on free loopback ports below `directory`, and returns them in
/// the order of their ids.
///
/// # Errors
/// If no ports are free, or files cannot be written.
pub fn node_files(
    directory: &Path,
    size: usize,
    timing: Timing,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<PathBuf>, String> {
    let base_port = free_ports(size as u16, rng)?;
    let new = NewCluster {
        nodes: size,
        base_port,
        timing,
        ..NewCluster::default()
    };
    generate(&directory.join("cluster"), &new).map_err(|error| error.to_string())
}

/// Returns the first of `count` consecutive UDP ports that are free now.
fn free_ports(count: u16, rng: &mut ChaCha8Rng) -> Result<u16, String> {
    // Another process may still take a port before its node binds it; the wide range makes that
    // rare.
    let free = |first: &u16| {
        (*first..first + count).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    };
    let mut drawn = (0..ATTEMPTS).map(|_| rng.random_range(PORTS.start..PORTS.end - count));
    drawn
        .find(free)
        .ok_or_else(|| format!("no {count} consecutive UDP ports are free in {PORTS:?}"))
}

/// Builds a command that runs this program again, as its subcommand `subcommand`. The child's
/// stdout is piped, and it may exit when its stdin closes.
///
/// # Errors
/// If the system does not report the path of this program.
pub fn again(subcommand: &str) -> Result<Command, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot find this program's own path: {error}"))?;
    let mut again = Command::new(program);
    again
        .arg(subcommand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(again)
}

/// Starts the node of a file, with its store on disk and its QUIC links. `settings` builds its
/// configuration from its id and the founding members.
///
/// # Errors
/// If the file cannot be read, or the node cannot be started.
pub(crate) fn start_node(
    file: &Path,
    settings: impl FnOnce(NodeId, Membership) -> Config,
    trace: Trace,
) -> Result<NodeHandle, String> {
    let config = NodeFile::read(file).map_err(|error| error.to_string())?;
    let founding = config.founding().map_err(|error| error.to_string())?;
    let raft = settings(config.id, founding);
    std::fs::create_dir_all(&config.data)
        .map_err(|error| format!("{}: {error}", config.data.display()))?;
    let links = QuicOptions::bind(&config).map_err(|error| error.to_string())?;
    NodeHandle::start_traced(NodeOptions::new(&config, raft, links), trace)
        .map_err(|error| error.to_string())
}
