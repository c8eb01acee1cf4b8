//! The workload of every system, and the check that each system did it.

use std::time::{Duration, Instant};

/// Limit of command bytes in one run: 128 MiB, so that a run fits into memory even with systems
/// that keep the whole log.
const LOG_BYTES: usize = 128 << 20;
/// Limit of commands in one run, for the same reason: each costs about 100 bytes on every node.
const LOG_COMMANDS: usize = 1 << 19;

/// One measured combination of cluster size, command size and load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    /// Nodes of the cluster.
    pub(crate) nodes: u64,
    /// Bytes of one command, at least the 8 of its number.
    pub(crate) bytes: usize,
    /// Concurrent commands: the size of a batch, or the number of clients with one command each.
    pub(crate) load: usize,
}

impl Cell {
    /// Number of commands that take about `slice` at `rate` commands per second: a multiple of the
    /// load, within the limits of a run.
    pub(crate) fn commands(self, rate: f64, slice: Duration) -> u64 {
        let fits = (LOG_BYTES / self.bytes).min(LOG_COMMANDS);
        let wanted = ((rate * slice.as_secs_f64()) as usize).clamp(1, fits);
        (wanted.div_ceil(self.load) * self.load) as u64
    }
}

/// Kind of load. Its name also labels the load in results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// One proposer submits batches, each after the one before is applied everywhere.
    Batch,
    /// Many clients, each with one command in flight.
    Clients,
}

impl Load {
    /// Name in tables and documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Batch => "batch",
            Load::Clients => "clients",
        }
    }
}

/// One of the measured implementations.
pub(crate) struct System {
    /// Name in tables and documents.
    pub(crate) name: &'static str,
    /// Kind of load the system is measured under.
    pub(crate) load: Load,
    /// Elects a leader in a fresh cluster, then measures the time to commit the given number of
    /// commands and apply them on every node.
    pub(crate) run: fn(Cell, u64) -> Outcome,
}

/// Result of a run.
pub(crate) struct Outcome {
    /// Time from the first proposal until every node has applied everything.
    pub(crate) took: Duration,
    /// Tally of each node.
    pub(crate) tallies: Vec<Tally>,
}

impl System {
    /// Commands per second over consecutive fresh clusters, until `slice` is measured.
    pub(crate) fn rate(&self, cell: Cell, commands: u64, slice: Duration) -> f64 {
        let mut took = Duration::ZERO;
        let mut done = 0;
        // A run was sized to last a slice; one that fell a little short must not double the work.
        while took < slice * 3 / 4 {
            let outcome = (self.run)(cell, commands);
            self.verify(cell, commands, &outcome);
            took += outcome.took;
            done += commands;
        }
        done as f64 / took.as_secs_f64()
    }

    fn verify(&self, cell: Cell, commands: u64, outcome: &Outcome) {
        let Outcome { tallies, .. } = outcome;
        let first = tallies[0];
        assert_eq!(
            tallies.len() as u64,
            cell.nodes,
            "{}: a node did not report",
            self.name
        );
        assert!(
            tallies.iter().all(|tally| *tally == first),
            "{}: nodes applied different logs",
            self.name
        );
        assert_eq!(
            (first.applied, first.sum),
            (commands, expected(cell, commands)),
            "{} applied other commands",
            self.name
        );
    }
}

/// State machine of every system: a tally of the commands one node applied.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Number of commands.
    pub(crate) applied: u64,
    /// Order-dependent hash, which must be the same on every node.
    chain: u64,
    /// Order-independent hash, so that the result of concurrent clients can be computed beforehand.
    sum: u64,
}

impl Tally {
    /// Applies one command: reads its number, its end and its length.
    pub(crate) fn apply(&mut self, bytes: &[u8]) {
        let hash = hash(bytes);
        self.applied += 1;
        self.chain = self.chain.wrapping_mul(31).wrapping_add(hash);
        self.sum = self.sum.wrapping_add(hash);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    // Not all of the bytes: hashing a kilobyte on every node takes longer than replicating it, and
    // that equal cost would hide the differences between systems.
    let number = bytes
        .first_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word));
    let end = bytes
        .last_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word));
    number.wrapping_add(end ^ bytes.len() as u64)
}

/// Sum of a node that applied the commands from 0 up to, but not including, `commands`.
fn expected(cell: Cell, commands: u64) -> u64 {
    let mut commands_of_this_size = Commands::new(cell.bytes);
    (0..commands).fold(0, |sum, number| {
        sum.wrapping_add(hash(commands_of_this_size.numbered(number)))
    })
}

/// Generator of one proposer's commands; the proposer copies each into its system's type.
pub(crate) struct Commands(Vec<u8>);

impl Commands {
    /// Creates a generator of commands of `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Commands(vec![0x5a; bytes])
    }

    /// Bytes of the command with this number.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
        &self.0
    }
}

/// Commands prepared at a time, at least one batch: few enough to stay in the caches, and enough
/// that the clock is read rarely.
const PREPARED: u64 = 1024;

/// Entries after which every node drops applied entries from its log: a few times the default that
/// a node keeps behind a snapshot. With an unbounded log the benchmark would measure page
/// allocation and cache misses, which cost every system the same.
pub(crate) const LOG_ENTRIES: u64 = 1 << 12;

/// A cluster on one thread that commits batches.
pub(crate) trait Batched {
    /// One batch in the system's own type.
    type Batch;
    /// Creates a cluster and elects a leader.
    fn elected(cell: Cell) -> Self;
    /// Creates a batch of `count` commands, numbered from `first`.
    fn batch(commands: &mut Commands, first: u64, count: usize) -> Self::Batch;
    /// Commits a batch, and applies it on every node.
    fn commit(&mut self, batch: Self::Batch);
    /// Tally of each node.
    fn tallies(&self) -> Vec<Tally>;
}

/// Runs a cluster that commits batches; used as [`System::run`] of such systems.
pub(crate) fn batches<C: Batched>(cell: Cell, commands: u64) -> Outcome {
    let mut cluster = C::elected(cell);
    let mut maker = Commands::new(cell.bytes);
    let mut took = Duration::ZERO;
    let mut ready = Vec::new();
    let step = PREPARED.next_multiple_of(cell.load as u64);
    for begin in (0..commands).step_by(step as usize) {
        // Commands are prepared outside the measured time: their cost is not the cluster's.
        let firsts = (begin..commands.min(begin + step)).step_by(cell.load);
        ready.extend(firsts.map(|first| C::batch(&mut maker, first, cell.load)));
        let start = Instant::now();
        for batch in ready.drain(..) {
            cluster.commit(batch);
        }
        took += start.elapsed();
    }
    Outcome {
        took,
        tallies: cluster.tallies(),
    }
}
