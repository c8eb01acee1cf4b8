//! This program started again and again, once for each real node of an experiment.

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

/// Ports from which a free range is drawn: below those that systems give out by themselves.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How often a free range of ports is looked for.
const ATTEMPTS: usize = 50;

/// Processes that are killed when this is dropped.
#[derive(Default, Debug)]
pub(crate) struct Processes(pub(crate) Vec<Child>);

impl Processes {
    /// Takes one more, and lends it.
    pub(crate) fn add(&mut self, process: Child) -> &mut Child {
        let place = self.0.len();
        self.0.push(process);
        &mut self.0[place]
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It may have ended by itself; either way it is waited for.
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

/// Files of `size` nodes on free ports of the loopback interface, below `directory`, in the order
/// of their ids.
///
/// # Errors
/// If there are no ports, or files cannot be written.
pub(crate) fn node_files(
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

/// The first of so many UDP ports in a row that are free at this moment.
fn free_ports(count: u16, rng: &mut ChaCha8Rng) -> Result<u16, String> {
    let free = |first: &u16| {
        (*first..first + count).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    };
    let mut drawn = (0..ATTEMPTS).map(|_| rng.random_range(PORTS.start..PORTS.end - count));
    drawn
        .find(free)
        .ok_or_else(|| format!("no {count} UDP ports in a row are free in {PORTS:?}"))
}

/// This program with `command` in place of `experiment` and all that follows it on its own command
/// line. It is heard on stdout, and may end when its stdin does.
///
/// # Errors
/// If the system does not tell which program this is.
pub(crate) fn again(experiment: &str, command: &str) -> Result<Command, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let mut again = Command::new(program);
    again
        .args(
            std::env::args()
                .skip(1)
                .take_while(|word| word != experiment),
        )
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(again)
}

/// Starts the node of a file, with its store on disk and its QUIC links, as `settings` tell for its
/// id and the founding members.
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
