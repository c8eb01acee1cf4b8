//! A member joins a match that is far ahead, while the others play: how long it takes, compared with
//! the time that its line needs for the same bytes, and how much slower orders become meanwhile.
//!
//! Three nodes with real stores over QUIC, behind a proxy that gives each direction between two of
//! them a delay and a rate. Two play; then the third is added, and receives all entries or the
//! newest snapshot. Orders are clicked at the leader at a constant rate.
//!
//! `cargo bench -p raftian-benches --bench join`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftian_lab::proxy::{Delay, Proxy, Shape};
use raftian_node::cluster::{EmbeddedNode, FirstStart, Founders, Timing, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::store::Creation;
use raftian_node::{NodeHandle, NodeOptions, Replica, fresh_incarnation};
use raftian_raft::{
    Bytes, Change, ClientId, Command, Incarnation, Index, Membership, NodeId, Payload, Standing,
    TakenSnapshot,
};

/// Measures how a member joins.
#[derive(Parser, Debug)]
#[command(name = "join")]
struct Options {
    /// Round trip between any two nodes, in milliseconds
    #[arg(long, default_value_t = 40)]
    rtt: u64,
    /// Rate of each line and direction, in Mbit/s
    #[arg(long, default_value_t = 20)]
    rate: u64,
    /// Entries that the joining member lacks
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    /// Bytes of the snapshot
    #[arg(long, default_value_t = 4 << 20)]
    state: usize,
    /// Passed by `cargo bench`; without it, small sizes run once, as a smoke test
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bytes of a command.
const COMMAND: usize = 48;

/// Time between two orders.
const CLICK: Duration = Duration::from_millis(50);

/// Orders measured before the join.
const BEFORE: usize = 200;

/// Longest time for each part of a run.
const PATIENCE: Duration = Duration::from_secs(300);

/// How the joining member gets what it lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Entries,
    Snapshot,
}

/// A node, and its program.
struct Machine {
    node: NodeHandle,
    applied: Index,
    taken: Vec<Committed>,
    state: Bytes,
}

/// Result of one run.
struct Row {
    by: By,
    /// Bytes that had to be sent, in seconds of the line.
    limit: f64,
    /// Time until everything of the moment of the join was applied, in seconds.
    caught_up: f64,
    /// Time until the member had a vote, in seconds.
    votes: f64,
    /// Latencies of orders in milliseconds, before the join and during it.
    latencies: [Vec<f64>; 2],
    /// Terms that began during the join.
    elections: u64,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        (options.entries, options.state, options.rtt) = (2_000, 64 << 10, 4);
    }
    println!(
        "a member joins {} entries behind, {} Mbit/s, {} ms, {CLICK:?} between orders",
        options.entries, options.rate, options.rtt
    );
    println!(
        "{:<10} {:>9} {:>11} {:>9} {:>11} {:>11} {:>11} {:>11} {:>7} {:>10}",
        "by",
        "line s",
        "caught up s",
        "votes s",
        "p50 before",
        "p50 during",
        "p99 before",
        "p99 during",
        "p99",
        "elections"
    );
    for by in [By::Entries, By::Snapshot] {
        let row = match measure(&options, by) {
            Ok(row) => row,
            Err(error) => {
                eprintln!("{by:?}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let [before, during] = &row.latencies;
        let (p99_before, p99_during) = (quantile(before, 0.99), quantile(during, 0.99));
        println!(
            "{:<10} {:>9.2} {:>11.2} {:>9.2} {:>8.1} ms {:>8.1} ms {:>8.1} ms {:>8.1} ms {:>6.2}x {:>10}",
            format!("{:?}", row.by),
            row.limit,
            row.caught_up,
            row.votes,
            quantile(before, 0.5),
            quantile(during, 0.5),
            p99_before,
            p99_during,
            p99_during / p99_before,
            row.elections
        );
    }
    ExitCode::SUCCESS
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1)) as f64 * share;
    sorted
        .get(place.round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

type Failure = Box<dyn std::error::Error>;

fn measure(options: &Options, by: By) -> Result<Row, Failure> {
    let directory = tempfile::tempdir()?;
    let mut members = embedded(3, "join", directory.path())?;
    let shape = Shape {
        delay: Delay::Fixed(Duration::from_millis(options.rtt) / 2),
        rate: Some(options.rate * 1_000_000 / 8),
        queue: 128 * 1024,
        ..Shape::default()
    };
    let _proxy = Proxy::between(&mut members, shape, 1)?;
    let founders = [1, 2].map(|id| (NodeId(id), fresh_incarnation(), Standing::Voter));
    let founding = Membership::of(founders)?;
    let joining = fresh_incarnation();
    let mut members = members.into_iter();
    let mut start = |creation: Option<Incarnation>| -> Result<Machine, Failure> {
        let EmbeddedNode { mut config, socket } = members.next().ok_or("three members")?;
        config.timing = Timing::of_players();
        config.founding = match creation {
            None => Founders::Together(founding.clone()),
            Some(incarnation) => Founders::Recorded {
                first_start: Some(FirstStart {
                    founding: founding.clone(),
                    creation: Creation::first(incarnation),
                }),
            },
        };
        let mut raft = config.raft_config()?;
        raft.snapshot_entries = (by == By::Snapshot).then_some(config.snapshot_entries);
        let links = QuicOptions::new(socket, &config);
        Ok(Machine {
            node: NodeHandle::start(NodeOptions::new(&config, raft, links))?,
            applied: Index(0),
            taken: Vec::new(),
            state: vec![7; options.state].into(),
        })
    };
    let mut machines = vec![start(None)?, start(None)?];
    let leader = wait(&mut machines, |machines| {
        let leader = machines[0].node.view().status.leader;
        leader.filter(|leader| machines[1].node.view().status.leader == Some(*leader))
    })?;
    let leader = leader.0 as usize - 1;
    let mut sequence = fill(&mut machines, leader, options.entries)?;
    let mut latencies = [Vec::new(), Vec::new()];
    let mut clicks = Clicks::new();
    while latencies[0].len() < BEFORE {
        clicks.step(&mut machines, leader, &mut sequence, &mut latencies[0])?;
    }
    let term = machines[leader].node.view().status.term;
    let target = machines[leader].node.view().status.commit;
    let began = Instant::now();
    machines.push(start(Some(joining))?);
    let change = Change::Set(NodeId(3), joining, Standing::Joining);
    machines[leader].node.change_membership(change)?;
    let mut caught_up = None;
    let votes = loop {
        clicks.step(&mut machines, leader, &mut sequence, &mut latencies[1])?;
        if caught_up.is_none() && machines[2].applied >= target {
            caught_up = Some(began.elapsed().as_secs_f64());
        }
        let status = machines[leader].node.view().status;
        let standing = status.membership.member(NodeId(3)).and_then(|m| m.standing);
        if standing == Some(Standing::Voter) && status.commit >= status.membership_index {
            break began.elapsed().as_secs_f64();
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("not promoted within {PATIENCE:?}").into());
        }
    };
    let bytes = match by {
        // Term, index, stamp, names and lengths take about twenty bytes.
        By::Entries => options.entries as usize * (COMMAND + 20),
        By::Snapshot => options.state,
    };
    Ok(Row {
        by,
        limit: bytes as f64 * 8.0 / (options.rate as f64 * 1e6),
        caught_up: caught_up.unwrap_or(f64::NAN),
        votes,
        latencies,
        elections: machines[leader].node.view().status.term.0 - term.0,
    })
}

impl Machine {
    /// Applies what is committed, and takes a snapshot if one is due. Calls `seen` for each command.
    fn frame(&mut self, mut seen: impl FnMut(u64)) -> Result<(), Failure> {
        self.node.take_committed(usize::MAX, &mut self.taken);
        for committed in self.taken.drain(..) {
            self.applied = committed.index();
            if let Committed::Entry(entry) = &committed
                && let Payload::Command { command, .. } = &entry.payload
            {
                seen(command.sequence);
            }
        }
        let responses = self.node.take_responses();
        if responses.snapshot_due && self.applied > Index(0) {
            self.node.take_snapshot(TakenSnapshot {
                index: self.applied,
                data: self.state.clone(),
                compact_to: None,
            })?;
        }
        if let Some(stopped) = self.node.view().stopped {
            return Err(stopped.into());
        }
        Ok(())
    }
}

/// Runs frames until `done` returns a value.
fn wait<T>(
    machines: &mut [Machine],
    mut done: impl FnMut(&[Machine]) -> Option<T>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done(machines) {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(format!("nothing within {PATIENCE:?}").into());
        }
        for machine in machines.iter_mut() {
            machine.frame(|_| {})?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn command(sequence: u64) -> Command {
    Command {
        client: ClientId(1),
        sequence,
        bytes: vec![sequence as u8; COMMAND].into(),
    }
}

/// Commits `count` commands, and returns the last sequence number.
fn fill(machines: &mut [Machine], leader: usize, count: u64) -> Result<u64, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let (mut proposed, mut seen) = (0, 0);
    while seen < count {
        // Well below the limits of queues and uncommitted entries.
        while proposed < count && proposed - seen < 8_000 {
            if machines[leader]
                .node
                .propose(command(proposed + 1))
                .is_err()
            {
                break;
            }
            proposed += 1;
        }
        for (place, machine) in machines.iter_mut().enumerate() {
            machine.frame(|sequence| {
                if place == leader {
                    seen = seen.max(sequence);
                }
            })?;
        }
        if Instant::now() > deadline {
            return Err(format!("{seen} of {count} commands within {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(count)
}

/// Orders at a constant rate. Each is measured from the moment at which it was due.
struct Clicks {
    next: Instant,
    pending: std::collections::BTreeMap<u64, Instant>,
}

impl Clicks {
    fn new() -> Self {
        Clicks {
            next: Instant::now(),
            pending: std::collections::BTreeMap::new(),
        }
    }

    /// Waits a millisecond, clicks what is due, and adds the latencies of orders that took effect.
    fn step(
        &mut self,
        machines: &mut [Machine],
        leader: usize,
        sequence: &mut u64,
        latencies: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        std::thread::sleep(Duration::from_millis(1));
        while self.next <= Instant::now() {
            *sequence += 1;
            self.pending.insert(*sequence, self.next);
            machines[leader].node.propose(command(*sequence))?;
            self.next += CLICK;
        }
        for (place, machine) in machines.iter_mut().enumerate() {
            machine.frame(|sequence| {
                if place == leader
                    && let Some(clicked) = self.pending.remove(&sequence)
                {
                    latencies.push(clicked.elapsed().as_secs_f64() * 1e3);
                }
            })?;
        }
        Ok(())
    }
}
