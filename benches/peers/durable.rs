//! Cost of one node's durable write, compared with writing the same bytes to a preallocated file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use raftian_node::store::{Creation, RedbStore, Store};
use raftian_node::wire;
use raftian_raft::{
    ClientId, Command, Entry, Incarnation, Index, NodeId, Payload, Stamp, Term, Write, WriteNumber,
};
use serde_json::{Value, json};

use super::machine::Machine;
use super::report::median;
use super::workload::Commands;

/// Entries of one write.
const ENTRIES: [u64; 2] = [1, 64];
/// Bytes of one command.
const BYTES: [usize; 2] = [16, 1024];
/// Size of the raw file: 16 MiB, written before the measurement. Writes wrap around at its end.
const FILE_BYTES: usize = 16 << 20;
/// Pairs of writes for warm-up, and also the minimum number of measured pairs.
const PAIRS: usize = 5;

/// Times of one write size.
pub(crate) struct Row {
    entries: u64,
    bytes: usize,
    ours: Vec<f64>,
    raw: Vec<f64>,
}

impl Row {
    fn ratio(&self) -> f64 {
        median(
            &self
                .ours
                .iter()
                .zip(&self.raw)
                .map(|(ours, raw)| ours / raw)
                .collect::<Vec<_>>(),
        )
    }
}

/// Measures every write size for the time `each`. Our writes and raw ones alternate, so that both
/// see the same disk load.
pub(crate) fn measure(each: Duration) -> Vec<Row> {
    let sizes = BYTES
        .into_iter()
        .flat_map(|bytes| ENTRIES.into_iter().map(move |entries| (bytes, entries)));
    sizes
        .map(|(bytes, entries)| row(bytes, entries, each))
        .collect()
}

fn row(bytes: usize, entries: u64, each: Duration) -> Row {
    // In the target directory, which is on a disk: `/tmp` may be in memory.
    let directory =
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo made the directory");
    let path = directory.path().join("raft.redb");
    let (mut store, _) = RedbStore::open(
        &path,
        &path.with_extension("mark"),
        NodeId(1),
        "peers",
        Creation::first(Incarnation::default()),
    )
    .expect("a new store");
    let mut raw =
        Raw::new(tempfile::tempfile_in(directory.path()).expect("a file next to the store"));
    let mut commands = Commands::new(bytes);
    let mut row = Row {
        entries,
        bytes,
        ours: Vec::new(),
        raw: Vec::new(),
    };
    let start = Instant::now();
    for pair in 0.. {
        let write = write(&mut commands, pair, entries);
        let encode = |entry| wire::encode_value(entry).expect("an entry fits");
        let encoded: Vec<u8> = write.entries.iter().flat_map(encode).collect();
        let ours = timed(|| store.submit(write).expect("the disk works"));
        assert!(
            store.completed().is_some_and(|done| done.is_ok()),
            "a write is durable when it returns"
        );
        let floor = timed(|| raw.write(&encoded));
        if pair as usize >= PAIRS {
            row.ours.push(ours);
            row.raw.push(floor);
        }
        if row.ours.len() >= PAIRS && start.elapsed() >= each {
            break;
        }
    }
    row
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn write(commands: &mut Commands, before: u64, count: u64) -> Write {
    let entry = |index| {
        let command = Command {
            client: ClientId(1),
            sequence: index,
            bytes: commands.numbered(index).into(),
        };
        Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(index),
            payload: Payload::Command {
                command,
                member: NodeId(1),
            },
        }
    };
    let entries = (before * count + 1..=(before + 1) * count)
        .map(entry)
        .collect();
    let number = WriteNumber(before + 1);
    Write {
        number,
        hard_state: None,
        snapshot: None,
        start: None,
        discard: false,
        incarnation: None,
        founding: None,
        entries,
    }
}

/// A preallocated file that is written front to back, so that writes do not change its size.
struct Raw {
    file: File,
    at: usize,
}

impl Raw {
    fn new(mut file: File) -> Self {
        file.write_all(&vec![0; FILE_BYTES])
            .and_then(|()| file.sync_all())
            .expect("the disk works");
        Raw {
            file,
            at: FILE_BYTES,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() > FILE_BYTES {
            self.at = 0;
            self.file
                .seek(SeekFrom::Start(0))
                .expect("a file can be rewound");
        }
        self.file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data())
            .expect("the disk works");
        self.at += bytes.len();
    }
}

/// Formats the results as a table.
pub(crate) fn table(rows: &[Row], machine: &Machine) -> String {
    let mut text = format!(
        "one durable write, median, {}\n{:>8} {:>6} {:>7} {:>12} {:>12} {:>12}\n",
        machine.line(),
        "entries",
        "bytes",
        "writes",
        "our store",
        "raw file",
        "ours/raw"
    );
    for row in rows {
        let micros = |times: &[f64]| format!("{:.0} µs", median(times) * 1e6);
        let ours = micros(&row.ours);
        let raw = micros(&row.raw);
        let Row { entries, bytes, .. } = row;
        let _ = writeln!(
            text,
            "{entries:>8} {bytes:>6} {:>7} {ours:>12} {raw:>12} {:>11.2}x",
            row.ours.len(),
            row.ratio()
        );
    }
    text
}

/// Formats the results as JSON.
pub(crate) fn document(machine: &Machine, rows: &[Row]) -> Value {
    let line = |row: &Row| {
        let micros = |times: &[f64]| (median(times) * 1e7).round() / 10.0;
        json!({
            "entries": row.entries,
            "bytes": row.bytes,
            "writes": row.ours.len(),
            "store_us": micros(&row.ours),
            "raw_us": micros(&row.raw),
            "store_to_raw": (row.ratio() * 100.0).round() / 100.0,
        })
    };
    json!({ "machine": machine.json(), "durable": rows.iter().map(line).collect::<Vec<_>>() })
}
