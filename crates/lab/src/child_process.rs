//! Child processes of an experiment: this program, started once for each real node.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use raftian_node::cluster::{ClusterError, NewCluster, NodeFile, Timing, generate};
use raftian_node::quic::{LinkError, QuicOptions};
use raftian_node::trace::Trace;
use raftian_node::{NodeHandle, NodeOptions, StartError, Stopped};
use raftian_raft::{Config, Membership, MembershipError, NodeId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Ports from which a free range is drawn: below the ephemeral ports of common systems.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Attempts to find a free range of ports.
const ATTEMPTS: usize = 50;

/// Reason why nodes in processes of their own could not be started, or ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No range of ports is free.
    #[error("no {count} consecutive UDP ports are free in {ports:?}", ports = PORTS)]
    NoPorts {
        /// Number of ports.
        count: u16,
    },
    /// No directory can be created for the files of processes.
    #[error("cannot create a temporary directory for {users}: {source}")]
    TemporaryDirectory {
        /// Plural name of the processes.
        users: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// Node files cannot be written or read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node file names an invalid membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The directory of a store cannot be created.
    #[error("cannot create {}: {source}", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A node has no links.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// A node cannot be started in this process.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The system does not report the path of this program.
    #[error("cannot find this program's own path: {0}")]
    OwnPath(#[source] io::Error),
    /// A process cannot be started.
    #[error("cannot start {process}: {source}")]
    Spawn {
        /// Name of the process.
        process: String,
        /// Error of the system.
        source: io::Error,
    },
    /// A process cannot be killed.
    #[error("cannot kill {process}: {source}")]
    Kill {
        /// Name of the process.
        process: String,
        /// Error of the system.
        source: io::Error,
    },
    /// A command cannot be written to a process.
    #[error("cannot write to {process}: {source}")]
    Write {
        /// Name of the process.
        process: String,
        /// Error of the system.
        source: io::Error,
    },
    /// This process cannot write its reports to stdout.
    #[error("cannot write reports to stdout: {0}")]
    Report(#[source] io::Error),
    /// A disk whose power can be cut cannot be made or used.
    #[error("disks for power cuts, which need root on Linux: {what}: {reason}")]
    Disk {
        /// Command or file.
        what: String,
        /// Reason.
        reason: String,
    },
    /// A process exited by itself.
    #[error("machine {machine} exited unexpectedly; its error output is above")]
    Exited {
        /// Number of the machine, from 1.
        machine: usize,
    },
    /// No leader was elected in time.
    #[error(
        "{processes} processes did not agree on a leader within {limit:?}: reduce the machine's load"
    )]
    NoLeader {
        /// Number of processes.
        processes: u64,
        /// Time limit.
        limit: Duration,
    },
}

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
) -> Result<Vec<PathBuf>, ProcessError> {
    let base_port = free_ports(size as u16, rng)?;
    let new = NewCluster {
        nodes: size,
        base_port,
        timing,
        ..NewCluster::default()
    };
    Ok(generate(&directory.join("cluster"), &new)?)
}

/// Returns the first of `count` consecutive UDP ports that are free now.
fn free_ports(count: u16, rng: &mut ChaCha8Rng) -> Result<u16, ProcessError> {
    // Another process may still take a port before its node binds it; the wide range makes that
    // rare.
    let free = |first: &u16| {
        (*first..first + count).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    };
    let mut drawn = (0..ATTEMPTS).map(|_| rng.random_range(PORTS.start..PORTS.end - count));
    drawn.find(free).ok_or(ProcessError::NoPorts { count })
}

/// Builds a command that runs this program again, as its subcommand `subcommand`. The child's
/// stdout is piped, and it may exit when its stdin closes.
///
/// # Errors
/// If the system does not report the path of this program.
pub fn again(subcommand: &str) -> Result<Command, ProcessError> {
    let program = std::env::current_exe().map_err(ProcessError::OwnPath)?;
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
) -> Result<NodeHandle, ProcessError> {
    let config = NodeFile::read(file)?;
    let founding = config.founders()?;
    let raft = settings(config.id, founding);
    std::fs::create_dir_all(&config.data).map_err(|source| ProcessError::DataDirectory {
        path: config.data.clone(),
        source,
    })?;
    let links = QuicOptions::bind(&config)?;
    let options = NodeOptions::new(&config, raft, links);
    Ok(NodeHandle::start_traced(options, trace)?)
}
