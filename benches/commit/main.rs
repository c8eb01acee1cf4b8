//! Latency from proposal to commit over real QUIC and real disks, compared with one echo, the
//! fsyncs of the same number of nodes, and the writes of their stores alone.
//!
//! `cargo bench -p raftian-benches --bench commit`

mod floor;

use std::time::{Duration, Instant};

use raftian_lab::report::statistics::{ms, quantile};
use raftian_node::cluster::embedded;
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, Replica, fresh_seed};
use raftian_raft::{Bytes, ClientId, Command, Config, Payload};

/// Measured proposals per round.
const SAMPLES: usize = 400;

/// Cluster sizes.
const SIZES: [usize; 3] = [1, 3, 5];

/// Rounds per row. The rows take turns, so that load on the machine affects all rows alike.
const ROUNDS: usize = 3;

struct Cluster {
    nodes: Vec<NodeHandle>,
    sequence: u64,
    _directory: tempfile::TempDir,
}

impl Cluster {
    fn new(size: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory for stores");
        let members = embedded(size, "bench", directory.path()).expect("keys and ports");
        let nodes = members.into_iter().map(|member| {
            let links = QuicOptions::new(member.socket, &member.config);
            let raft = Config::new(
                member.config.id,
                member.config.founders().expect("a cluster"),
                fresh_seed(),
            );
            let node =
                NodeHandle::start(NodeOptions::new(&member.config, raft, links)).expect("a node");
            // The node wakes this thread when it has committed entries.
            let bench = std::thread::current();
            node.control()
                .set_waker(std::sync::Arc::new(move || bench.unpark()));
            node
        });
        let mut cluster = Cluster {
            nodes: nodes.collect(),
            sequence: 0,
            _directory: directory,
        };
        cluster.leader();
        cluster
    }

    fn leader(&mut self) -> usize {
        loop {
            let leaders: Vec<_> = self
                .nodes
                .iter()
                .map(|node| node.view().status.leader)
                .collect();
            if let Some(leader) = leaders[0]
                && leaders.iter().all(|other| *other == Some(leader))
            {
                return leader.0 as usize - 1;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Time until the proposer itself takes the committed command. It sleeps until its node wakes
    /// it, like an application.
    fn commit(&mut self, proposer: usize) -> Duration {
        self.sequence += 1;
        let bytes = Bytes::from([7u8; 16].as_slice());
        let command = Command {
            client: ClientId(1),
            sequence: self.sequence,
            bytes,
        };
        let start = Instant::now();
        self.nodes[proposer]
            .propose(command)
            .expect("an idle node has room");
        let mut taken = Vec::new();
        loop {
            self.nodes[proposer].take_committed(64, &mut taken);
            let mine = |payload: &Payload| matches!(payload, Payload::Command { command: c, .. } if c.sequence == self.sequence);
            if taken
                .iter()
                .any(|taken| matches!(taken, Committed::Entry(entry) if mine(&entry.payload)))
            {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let took = start.elapsed();
        // Outside the measured time: a node that is never read would fill its apply window.
        for (_, node) in self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(id, _)| *id != proposer)
        {
            node.take_committed(64, &mut Vec::new());
        }
        took
    }
}

/// Quantiles in milliseconds: 50, 95 and 99 %.
fn quantiles(times: &[Duration]) -> [f64; 3] {
    let mut sorted: Vec<_> = times.iter().copied().map(ms).collect();
    sorted.sort_by(f64::total_cmp);
    [50, 95, 99].map(|percent| quantile(&sorted, percent).unwrap_or(f64::NAN))
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut floor = floor::Floor::new(SIZES.into_iter().max().unwrap_or(0));
    let mut clusters: Vec<_> = SIZES.map(Cluster::new).into();
    // Name, index of the cluster size if the row has a floor, and times.
    let mut rows: Vec<(String, Option<usize>, Vec<Duration>)> =
        vec![("one QUIC echo, 64 bytes".into(), None, vec![])];
    rows.extend(SIZES.map(|size| {
        (
            format!("{size} fdatasyncs at once, 64 bytes each"),
            None,
            vec![],
        )
    }));
    rows.extend(SIZES.map(|size| {
        (
            format!("{size} stores at once, one entry each"),
            None,
            vec![],
        )
    }));
    for (place, size) in SIZES.into_iter().enumerate() {
        rows.push((
            format!("commit, {size} nodes, proposed at the leader"),
            Some(place),
            vec![],
        ));
        if size > 1 {
            rows.push((
                format!("commit, {size} nodes, proposed at a follower"),
                Some(place),
                vec![],
            ));
        }
    }
    for _ in 0..ROUNDS {
        let mut row = 0;
        let mut measure = |one: &mut dyn FnMut() -> Duration| {
            rows[row].2.extend((0..SAMPLES).map(|_| one()));
            row += 1;
        };
        measure(&mut || floor.echo());
        SIZES
            .into_iter()
            .for_each(|size| measure(&mut || floor.sync(size)));
        SIZES
            .into_iter()
            .for_each(|size| measure(&mut || floor.append(size)));
        for cluster in &mut clusters {
            let leader = cluster.leader();
            measure(&mut || cluster.commit(leader));
            let size = cluster.nodes.len();
            if size > 1 {
                measure(&mut || cluster.commit((leader + 1) % size));
            }
        }
    }
    let table: Vec<_> = rows
        .into_iter()
        .map(|(name, place, times)| (name, place, quantiles(&times)))
        .collect();
    // A cluster of one sends nothing, so its floor has no echo.
    let floors: Vec<_> = (0..SIZES.len())
        .map(|place| table[1 + place].2[0] + if SIZES[place] > 1 { table[0].2[0] } else { 0.0 })
        .collect();
    println!(
        "{:<44}{:>9}{:>9}{:>9}{:>16}",
        "milliseconds", "p50", "p95", "p99", "p50 / floor"
    );
    for (name, place, [p50, p95, p99]) in &table {
        let ratio = place.map_or(String::new(), |place| format!("{:.2}", p50 / floors[place]));
        println!("{name:<44}{p50:>9.3}{p95:>9.3}{p99:>9.3}{ratio:>16}");
    }
    println!(
        "floor: concurrent syncs of all nodes, plus one echo with peers; {} samples per row",
        SAMPLES * ROUNDS
    );
}
