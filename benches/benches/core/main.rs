//! Commits per second of the consensus core alone, beside TiKV's raft-rs, in the same run.
//!
//! Three nodes in memory on one thread. A batch of 16-byte commands is proposed to the leader and everything is
//! delivered until every node has applied all of them; then the next batch. Both keep their whole log in memory, once,
//! and no clock ticks. A node steps all that is queued for it before it is asked what it wants done, on both sides.
//! Rounds of the two alternate, so both see the same machine. Only ratios within one run mean anything.
//!
//! `cargo bench -p raftian-benches --bench core [-- --json FILE]`

mod peer;
mod raftian;

use std::fmt::Write as _;
use std::time::Instant;

/// Nodes of each cluster.
const NODES: u64 = 3;
/// Bytes of one command.
const BYTES: usize = 16;
/// Measured rounds of each system; the median counts.
const ROUNDS: usize = 9;
/// Batch sizes, with the number of commands in one round: about a tenth of a second each.
const BATCHES: [(usize, usize); 3] = [(1, 40_000), (64, 128_000), (1024, 256 * 1024)];

/// A cluster with a leader, ready to commit.
trait Cluster {
    /// Name in the table.
    const NAME: &'static str;
    /// A fresh one.
    fn elected() -> Self;
    /// Commits `count` commands, numbered from `first`, and applies them on every node.
    fn commit(&mut self, first: u64, count: usize);
    /// Commands applied, over all nodes, and a checksum of their bytes.
    fn applied(&self) -> (u64, u64);
}

/// The command of this number.
fn command(number: u64) -> [u8; BYTES] {
    let mut bytes = [0x5a; BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// What applying a command does in both systems.
fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes.chunks(8).fold(sum, |sum, chunk| sum.wrapping_mul(31).wrapping_add(word(chunk)))
}

/// Commits per second of one round.
fn round<C: Cluster>(batch: usize, commands: usize) -> f64 {
    let mut cluster = C::elected();
    let start = Instant::now();
    for first in (0..commands).step_by(batch) {
        cluster.commit(first as u64, batch);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let rounded = commands.div_ceil(batch) * batch;
    let expected = (0..rounded as u64).fold(0, |sum, number| checksum(sum, &command(number)));
    assert_eq!(cluster.applied(), (rounded as u64 * NODES, expected), "{} did all of the work", C::NAME);
    rounded as f64 / elapsed
}

struct Row {
    batch: usize,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn measure((batch, commands): (usize, usize), rounds: usize) -> Row {
    let mut row = Row { batch, ours: Vec::new(), theirs: Vec::new() };
    // One round each to warm up.
    round::<raftian::Cluster>(batch, commands);
    round::<peer::Cluster>(batch, commands);
    for _ in 0..rounds {
        row.ours.push(round::<raftian::Cluster>(batch, commands));
        row.theirs.push(round::<peer::Cluster>(batch, commands));
    }
    row
}

/// Median of the ratios of neighbouring rounds: what slows the machine down slows both.
fn ratio(row: &Row) -> f64 {
    median(&row.ours.iter().zip(&row.theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
}

fn table(rows: &[Row]) -> String {
    let mut text =
        format!("commits/s, {NODES} nodes in memory on one thread, {BYTES}-byte commands, median of {ROUNDS} rounds\n");
    let (ours, theirs) = (<raftian::Cluster as Cluster>::NAME, <peer::Cluster as Cluster>::NAME);
    let _ = writeln!(text, "{:>7} {ours:>14} {theirs:>14} {:>7}", "batch", "ratio");
    for row in rows {
        let (ours, theirs) = (median(&row.ours), median(&row.theirs));
        let _ = writeln!(text, "{:>7} {ours:>14.0} {theirs:>14.0} {:>6.2}x", row.batch, ratio(row));
    }
    text
}

fn json(rows: &[Row]) -> String {
    let line = |name: &str, batch: usize, values: &[f64]| {
        let commits = median(values);
        format!(
            "{{\"system\":\"{name}\",\"nodes\":{NODES},\"bytes\":{BYTES},\"batch\":{batch},\"commits_per_s\":{commits:.0}}}"
        )
    };
    let lines = rows.iter().flat_map(|row| {
        let ours = line(<raftian::Cluster as Cluster>::NAME, row.batch, &row.ours);
        [ours, line(<peer::Cluster as Cluster>::NAME, row.batch, &row.theirs)]
    });
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

fn profile<C: Cluster>(batch: usize) -> std::io::Result<()> {
    for _ in 0..ROUNDS {
        println!("{:.0}", round::<C>(batch, 256 * 1024));
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name);
    // For a profiler: one side alone, one batch size.
    let profiled = |name| after(name).and_then(|place| arguments.get(place + 1)?.parse().ok());
    if let Some(batch) = profiled("--profile") {
        return profile::<raftian::Cluster>(batch);
    }
    if let Some(batch) = profiled("--profile-peer") {
        return profile::<peer::Cluster>(batch);
    }
    let rows: Vec<Row> = BATCHES.into_iter().map(|batch| measure(batch, ROUNDS)).collect();
    print!("{}", table(&rows));
    match after("--json").and_then(|place| arguments.get(place + 1)) {
        Some(path) => std::fs::write(path, json(&rows)),
        None => Ok(()),
    }
}
