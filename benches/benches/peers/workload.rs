//! What every system is asked to do, and how it is known to have done it.

use std::time::{Duration, Instant};

/// Most bytes of commands in one run: 128 MiB, so that it fits any machine even with systems whose
/// logs keep all.
const LOG_BYTES: usize = 128 << 20;
/// Most commands in one run, for the same reason: each costs about a hundred bytes on every node.
const LOG_COMMANDS: usize = 1 << 19;

/// One question: how fast is a cluster of this size with commands of this size under this load?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    /// Nodes of the cluster.
    pub(crate) nodes: u64,
    /// Bytes of one command, at least the 8 of its number.
    pub(crate) bytes: usize,
    /// Commands under way at a time: one batch of so many, or so many clients with one each.
    pub(crate) load: usize,
}

impl Cell {
    /// How many commands take about `slice` at `rate` commands a second: whole loads, and no more
    /// than a run may hold.
    pub(crate) fn commands(self, rate: f64, slice: Duration) -> u64 {
        let fits = (LOG_BYTES / self.bytes).min(LOG_COMMANDS);
        let wanted = ((rate * slice.as_secs_f64()) as usize).clamp(1, fits);
        (wanted.div_ceil(self.load) * self.load) as u64
    }
}

/// How a system is loaded, which is also what its rows call the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// One proposer hands over whole batches, each when the one before is applied everywhere.
    Batch,
    /// Many clients, each with one command under way.
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
    /// How it is loaded.
    pub(crate) load: Load,
    /// Elects a leader in a fresh cluster, then commits so many commands against the clock and
    /// applies them on every node.
    pub(crate) run: fn(Cell, u64) -> Outcome,
}

/// What a run came to.
pub(crate) struct Outcome {
    /// From the first proposal until every node has applied everything.
    pub(crate) took: Duration,
    /// What each node applied.
    pub(crate) tallies: Vec<Tally>,
}

impl System {
    /// Commands a second of one fresh cluster after another, until `slice` is measured.
    pub(crate) fn rate(&self, cell: Cell, commands: u64, slice: Duration) -> f64 {
        let (mut took, mut done) = (Duration::ZERO, 0);
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
            "{}: every node reports",
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
            "{} did other work",
            self.name
        );
    }
}

/// What one node applied. Applying a command is adding it here, in every system.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// How many commands.
    pub(crate) applied: u64,
    /// Depends on their order, which must be the same on every node.
    chain: u64,
    /// Does not depend on their order, so that it can be told beforehand what concurrent clients
    /// amount to.
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
    // Not all of the bytes: reading a kilobyte on every node takes longer than agreeing on it.
    // Every system would pay it alike, so it would only hide how they differ.
    let number = bytes
        .first_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word));
    let end = bytes
        .last_chunk()
        .map_or(0, |word| u64::from_le_bytes(*word));
    number.wrapping_add(end ^ bytes.len() as u64)
}

/// The sum of a node that applied the commands from 0 to `commands`.
fn expected(cell: Cell, commands: u64) -> u64 {
    let mut commands_of_this_size = Commands::new(cell.bytes);
    (0..commands).fold(0, |sum, number| {
        sum.wrapping_add(hash(commands_of_this_size.numbered(number)))
    })
}

/// Makes the commands of one proposer, which copies each into whatever its system carries.
pub(crate) struct Commands(Vec<u8>);

impl Commands {
    /// Commands of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Commands(vec![0x5a; bytes])
    }

    /// The command of this number.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
        &self.0
    }
}

/// Commands that are made ahead, at least one batch of them: few enough to stay in the caches, and
/// enough for the clock to be read rarely.
const PREPARED: u64 = 1024;

/// Entries after which every node drops from its log what it has applied: a few times as many as a
/// node keeps behind a snapshot unless told otherwise. A log that grew for ever would be measured
/// by how fast the kernel hands out zeroed pages, and by memory that no cache holds, which every
/// system pays alike.
pub(crate) const LOG_ENTRIES: u64 = 1 << 12;

/// A cluster on one thread that commits batches.
pub(crate) trait Batched {
    /// One batch as the system takes it.
    type Batch;
    /// A fresh one with a leader.
    fn elected(cell: Cell) -> Self;
    /// Makes a batch of so many commands, numbered from `first`.
    fn batch(commands: &mut Commands, first: u64, count: usize) -> Self::Batch;
    /// Commits a batch, and applies it on every node.
    fn commit(&mut self, batch: Self::Batch);
    /// What each node applied.
    fn tallies(&self) -> Vec<Tally>;
}

/// Runs a cluster that commits batches; the [`System::run`] of such systems.
pub(crate) fn batches<C: Batched>(cell: Cell, commands: u64) -> Outcome {
    let mut cluster = C::elected(cell);
    let mut maker = Commands::new(cell.bytes);
    let (mut took, mut ready) = (Duration::ZERO, Vec::new());
    let step = PREPARED.next_multiple_of(cell.load as u64);
    for begin in (0..commands).step_by(step as usize) {
        // Where commands come from, and what it costs to write them down, is not the cluster's
        // affair.
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
