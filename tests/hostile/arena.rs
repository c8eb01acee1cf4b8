//! The members under attack, and the client whose orders they commit.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use raftian_node::cluster::{EmbeddedNode, NodeConfig, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeControl, NodeHandle, NodeOptions, Replica, fresh_seed};
use raftian_raft::{Bytes, ClientId, Command, Config, Incarnation, NodeId, Payload, Term};

use super::COMMITS;
use super::attacker::{Attacker, Target};

/// Members at the founding.
const FOUNDERS: usize = 5;

/// Members that go on; the keys of the others belong to the attacker.
const HONEST: usize = 3;

/// Longest wait for the members.
const WAIT: Duration = Duration::from_secs(60);

/// Time after which an order without an outcome is given to the next member.
const RETRY: Duration = Duration::from_millis(500);

/// Time between two orders.
const PAUSE: Duration = Duration::from_millis(2);

/// Cost of a case.
#[derive(Debug)]
pub(super) struct Cost {
    pub(super) outcome: String,
    /// Resident memory that was added, in MiB.
    pub(super) memory: f64,
    pub(super) cpu: Duration,
    pub(super) commits: usize,
    /// Time to commit of 99 % of the orders.
    pub(super) latency: Duration,
    /// Terms that were begun.
    pub(super) elections: u64,
}

pub(super) struct Arena {
    configs: Vec<NodeConfig>,
    controls: Vec<NodeControl>,
    incarnations: Vec<Incarnation>,
    samples: Arc<Mutex<Vec<Duration>>>,
    is_over: Arc<AtomicBool>,
    client: Option<JoinHandle<Client>>,
    _directory: tempfile::TempDir,
}

impl Arena {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let members = embedded(FOUNDERS, "hostile", directory.path()).expect("free ports");
        let mut configs = Vec::new();
        let mut nodes = Vec::new();
        for EmbeddedNode { config, socket } in members {
            let founders = config.founders().expect("the config lists members");
            let raft = Config::new(config.id, founders, fresh_seed());
            let links = QuicOptions::new(socket, &config);
            let options = NodeOptions::new(&config, raft, links);
            nodes.push(NodeHandle::start(options).expect("the node starts"));
            configs.push(config);
        }
        eventually("a leader that all know", || {
            let mut leaders = nodes.iter().map(|node| node.view().status.leader);
            let first = leaders.next().flatten();
            first.is_some() && leaders.all(|leader| leader == first)
        });
        let incarnations: Vec<_> = nodes
            .iter()
            .map(|node| node.view().status.incarnation)
            .collect();
        for node in nodes.drain(HONEST..) {
            // The attacker has stolen its key.
            node.control().kill();
            drop(node);
        }
        eventually("the others have a leader", || {
            let terms: Vec<_> = nodes.iter().map(|node| node.view().status.term).collect();
            let leaders = nodes.iter().map(|node| node.view().status.leader);
            let is_honest =
                |leader: Option<NodeId>| leader.is_some_and(|leader| leader.0 <= HONEST as u64);
            leaders.clone().all(is_honest) && terms.iter().all(|term| *term == terms[0])
        });
        let controls = nodes.iter().map(NodeHandle::control).collect();
        let samples = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let client = Client {
            nodes,
            applied: vec![Vec::new(); HONEST],
            next: 1,
        };
        let client = std::thread::spawn({
            let samples = Arc::clone(&samples);
            let is_over = Arc::clone(&is_over);
            move || client.run(&samples, &is_over)
        });
        Arena {
            configs,
            controls,
            incarnations,
            samples,
            is_over,
            client: Some(client),
            _directory: directory,
        }
    }

    /// The attacker, with the keys of the members that are gone.
    pub(super) fn attacker(&self) -> Attacker {
        let members = self.configs.iter().zip(&self.incarnations);
        let mut members = members.map(|(config, incarnation)| Target {
            config: config.clone(),
            incarnation: *incarnation,
        });
        let honest = members.by_ref().take(HONEST).collect();
        Attacker::new(honest, self.controls.clone(), members.collect())
    }

    /// Measures an attack, and goes on until enough orders are committed.
    pub(super) fn measure(&mut self, attack: impl FnOnce() -> String) -> Cost {
        let term = self.term();
        self.samples.lock().expect("no panic").clear();
        let memory = resident();
        let cpu = processor();
        let outcome = attack();
        eventually("orders are committed", || {
            self.samples.lock().expect("no panic").len() >= COMMITS
        });
        let mut samples = self.samples.lock().expect("no panic").clone();
        samples.sort_unstable();
        for control in &self.controls {
            let stopped = control.view().stopped;
            assert_eq!(stopped, None, "a member has stopped");
        }
        Cost {
            outcome,
            memory: resident() - memory,
            cpu: processor().saturating_sub(cpu),
            commits: samples.len(),
            latency: samples[(samples.len() - 1) * 99 / 100],
            elections: self.term().0.saturating_sub(term.0),
        }
    }

    fn term(&self) -> Term {
        let terms = self
            .controls
            .iter()
            .map(|control| control.view().status.term);
        terms.max().unwrap_or_default()
    }

    /// Checks that every member has applied every order once, in the same order.
    pub(super) fn finish(mut self) {
        self.is_over.store(true, Ordering::Release);
        let client = self.client.take().expect("it runs");
        let mut client = client.join().expect("no panic");
        let given: Vec<_> = (1..client.next).collect();
        eventually("all have applied all orders", || {
            client.take_committed();
            client
                .applied
                .iter()
                .all(|applied| applied.len() >= given.len())
        });
        for applied in &client.applied {
            assert_eq!(applied[..given.len()], given, "exactly once and in order");
        }
    }
}

/// Gives one order after the other to the members in turn.
struct Client {
    nodes: Vec<NodeHandle>,
    applied: Vec<Vec<u64>>,
    next: u64,
}

impl Client {
    fn run(mut self, samples: &Mutex<Vec<Duration>>, is_over: &AtomicBool) -> Self {
        while !is_over.load(Ordering::Acquire) {
            let given = Instant::now();
            let mut member = self.next as usize % HONEST;
            let mut asked: Option<Instant> = None;
            while self.applied[member].last() != Some(&self.next) {
                if asked.is_none_or(|asked| asked.elapsed() > RETRY) {
                    member = (member + usize::from(asked.is_some())) % HONEST;
                    asked = Some(Instant::now());
                    // A member without room is asked again.
                    let _busy = self.nodes[member].propose(command(self.next)).is_err();
                }
                std::thread::sleep(Duration::from_micros(300));
                self.take_committed();
                if is_over.load(Ordering::Acquire) {
                    return self;
                }
            }
            samples.lock().expect("no panic").push(given.elapsed());
            self.next += 1;
            std::thread::sleep(PAUSE);
        }
        self
    }

    fn take_committed(&mut self) {
        for (node, applied) in self.nodes.iter_mut().zip(&mut self.applied) {
            let mut committed = Vec::new();
            node.take_committed(1_000, &mut committed);
            applied.extend(
                committed
                    .into_iter()
                    .filter_map(|committed| match committed {
                        Committed::Entry(entry) => match entry.payload {
                            Payload::Command { command, .. } if command.client == CLIENT => {
                                Some(command.sequence)
                            }
                            _ => None,
                        },
                        Committed::Snapshot(_) => panic!("this cluster takes no snapshots"),
                    }),
            );
        }
    }
}

const CLIENT: ClientId = ClientId(1);

fn command(sequence: u64) -> Command {
    Command {
        client: CLIENT,
        sequence,
        bytes: Bytes::from(b"order".as_slice()),
    }
}

fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !probe() {
        assert!(Instant::now() < deadline, "not within {WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Resident memory of this process in MiB; 0 where it cannot be read.
fn resident() -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Processor time of this process; zero where it cannot be read.
fn processor() -> Duration {
    let stat = std::fs::read_to_string(Path::new("/proc/self/stat")).unwrap_or_default();
    // Fields 14 and 15, in hundredths of a second; the name before them may contain spaces.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
