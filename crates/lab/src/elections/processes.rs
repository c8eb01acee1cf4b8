//! The next leader after one was killed, among real processes: the node that ships, on real disks, over QUIC on the
//! loopback interface.
//!
//! This program starts itself once for each node, with the words before `elections` on its command line and then
//! `elections-node`. A node says on stdout when it stands and when it leads, and ends when its stdin does: whatever
//! becomes of the experiment, no node outlives it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use raftian_node::cluster::{NewCluster, NodeFile, generate};
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, Replica};
use raftian_raft::{Decision, Incarnation, Term};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::cluster::split_votes;
use super::{Outcome, Settings};

/// Ports from which a free range is drawn: below those that systems give out by themselves.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How often a free range of ports is looked for.
const ATTEMPTS: usize = 50;

/// How often a node looks at itself if nobody wakes it.
const GLANCE: Duration = Duration::from_millis(20);

/// What a node said, and when it was heard.
struct Said {
    place: usize,
    stands: bool,
    term: Term,
    at: Instant,
}

/// Nodes that are killed when this is dropped.
struct Nodes(Vec<Child>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.0 {
            // It may have ended by itself; either way it is waited for.
            let _ended = node.kill();
            let _status = node.wait();
        }
    }
}

/// Starts one cluster, kills its first leader, and measures until the next leads. The seed decides what nodes draw, but
/// not what machine and network make of it.
///
/// # Errors
/// If nodes cannot be started.
pub(super) fn replace_leader(settings: &Settings, size: u64, seed: u64) -> Result<Outcome, String> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let directory = tempfile::tempdir().map_err(|error| format!("no directory for nodes: {error}"))?;
    let (say, heard) = channel();
    let mut nodes = start(settings, size, &mut dice, directory.path(), &say)?;
    drop(say);
    let limit = |since: Instant| since + settings.limit.0;
    let Some(mut leader) = leads(&heard, limit(Instant::now()), Term(0), &mut Vec::new()) else {
        return Ok(Outcome::default());
    };
    let heartbeat = settings.heartbeat.0;
    let beat = Duration::from_micros(dice.random_range(0..heartbeat.as_micros() as u64));
    let settled = Instant::now() + heartbeat * 2 + beat;
    while let Some(newer) = leads(&heard, settled, leader.term, &mut Vec::new()) {
        leader = newer;
    }
    nodes.0[leader.place].kill().map_err(|error| format!("the leader cannot be killed: {error}"))?;
    let (killed, mut stood) = (Instant::now(), Vec::new());
    let next = leads(&heard, limit(killed), leader.term, &mut stood);
    Ok(Outcome {
        time: next.as_ref().map(|next| next.at.saturating_duration_since(killed)),
        elections: stood.len() as u64,
        split_votes: split_votes(stood, next.map(|next| next.term)),
        ..Outcome::default()
    })
}

/// The next that leads in a term after `after`, and in which such terms somebody stood until then.
fn leads(heard: &Receiver<Said>, until: Instant, after: Term, stood: &mut Vec<Term>) -> Option<Said> {
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(said) if said.term <= after => {}
            Ok(said) if said.stands => stood.push(said.term),
            Ok(said) => return Some(said),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn start(
    settings: &Settings,
    size: u64,
    dice: &mut ChaCha8Rng,
    directory: &Path,
    say: &Sender<Said>,
) -> Result<Nodes, String> {
    let base_port = free_ports(size as u16, dice)?;
    let new = NewCluster { nodes: size as usize, base_port, ..NewCluster::default() };
    let files = generate(&directory.join("cluster"), &new).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let mut nodes = Nodes(Vec::new());
    for (place, file) in files.iter().enumerate() {
        let mut node = Command::new(&program)
            .args(std::env::args().skip(1).take_while(|word| word != "elections"))
            .arg("elections-node")
            .arg(file)
            .args(["--seed", &dice.random::<u64>().to_string()])
            .args(["--timeout", &settings.timeout.to_string(), "--heartbeat", &settings.heartbeat.to_string()])
            .args(["--pre-vote", if settings.pre_vote { "on" } else { "off" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("a node cannot be started: {error}"))?;
        let (said, say) = (node.stdout.take(), say.clone());
        nodes.0.push(node);
        thread::spawn(move || said.map(|said| listen(place, BufReader::new(said), &say)));
    }
    Ok(nodes)
}

/// Hears a node until it ends.
fn listen(place: usize, said: impl BufRead, say: &Sender<Said>) {
    for line in said.lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        let [what, term, ago] = words[..] else { continue };
        let (Ok(term), Ok(ago)) = (term.parse(), ago.parse()) else { continue };
        let at = Instant::now().checked_sub(Duration::from_micros(ago)).unwrap_or_else(Instant::now);
        let said = Said { place, stands: what == "stands", term: Term(term), at };
        if say.send(said).is_err() {
            return;
        }
    }
}

/// The first of so many UDP ports in a row that are free at this moment.
fn free_ports(count: u16, dice: &mut ChaCha8Rng) -> Result<u16, String> {
    let free = |first: &u16| (*first..first + count).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    let mut drawn = (0..ATTEMPTS).map(|_| dice.random_range(PORTS.start..PORTS.end - count));
    drawn.find(free).ok_or_else(|| format!("no {count} UDP ports in a row are free in {PORTS:?}"))
}

/// The life of one node: runs it until stdin ends, and says on stdout in which term it stands or leads, and how many
/// microseconds ago that was: it looks at itself now and then.
///
/// # Errors
/// If it cannot be started, or has stopped.
pub fn live(file: &Path, settings: &Settings, seed: u64) -> Result<(), String> {
    let config = NodeFile::read(file).map_err(|error| error.to_string())?;
    let founding = config.founding().map_err(|error| error.to_string())?;
    let raft = settings.config(config.id, founding, seed);
    std::fs::create_dir_all(&config.data).map_err(|error| format!("{}: {error}", config.data.display()))?;
    let links = QuicOptions::bind(&config).map_err(|error| error.to_string())?;
    let (cluster, store) = (config.cluster.clone(), config.data.join("raft.redb"));
    let options = NodeOptions { raft, cluster, store, incarnation: Incarnation::default(), links };
    let mut node = NodeHandle::start(options).map_err(|error| error.to_string())?;
    let (wake, woken): (SyncSender<()>, _) = sync_channel(1);
    let waker = move || {
        // Full means that it is awake already.
        let _full = wake.try_send(());
    };
    node.control().set_waker(Arc::new(waker));
    thread::spawn(|| {
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let (mut stood, mut led) = (Term(0), Term(0));
    let mut taken = Vec::new();
    loop {
        taken.clear();
        node.take_committed(1024, &mut taken);
        let view = node.view();
        if let Some(reason) = view.stopped {
            return Err(reason);
        }
        let mut out = std::io::stdout().lock();
        for event in &view.events {
            let what = match event.decision {
                Decision::StoodForElection { .. } if event.term > stood => {
                    stood = event.term;
                    "stands"
                }
                Decision::WonElection { .. } if event.term > led => {
                    led = event.term;
                    "leads"
                }
                _ => continue,
            };
            let ago = view.now.since(event.at).as_micros();
            writeln!(out, "{what} {} {ago}", event.term.0)
                .and_then(|()| out.flush())
                .map_err(|error| error.to_string())?;
        }
        drop(out);
        let _woken_or_late = woken.recv_timeout(GLANCE);
    }
}
