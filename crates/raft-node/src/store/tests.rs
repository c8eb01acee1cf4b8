use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftian_raft::{
    ClientId, Command, Entry, Founding, HardState, Incarnation, LogPosition, LogStart, Membership,
    NodeId, Payload, Restored, Snapshot, Stamp, Standing, Term,
};
use redb::{ReadableTable, StorageBackend, TableDefinition};

use super::file_system::directory_of;
use super::*;

mod damage;
mod directories;
mod layout;
mod marks;
mod model;
mod resealed;
mod snapshots;
mod writer_thread;

const CLUSTER: &str = "test-0123";
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");

/// A disk in memory with injectable flush and write failures.
#[derive(Clone, Debug, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    broken: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Disk {
            bytes: Arc::new(Mutex::new(bytes)),
            ..Disk::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(RedbStore, Restored), StoreError> {
        RedbStore::with_backend(
            self.clone(),
            Path::new("disk"),
            NodeId(1),
            CLUSTER,
            Incarnation::default(),
        )
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.lock();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = start
            .checked_add(out.len())
            .and_then(|end| bytes.get(start..end));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().resize(usize::try_from(len).expect("small"), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            Err(io::Error::other("the disk is on fire"))
        } else {
            Ok(())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let start = usize::try_from(offset).expect("small");
        self.lock()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// Default path of the mark of the store in `file`.
fn mark_of(file: &Path) -> PathBuf {
    file.with_extension("mark")
}

fn open_file(file: &Path) -> Result<(RedbStore, Restored), StoreError> {
    RedbStore::open(
        file,
        &mark_of(file),
        NodeId(1),
        CLUSTER,
        Creation::first(Incarnation::default()),
    )
}

fn entry(index: u64, term: u64) -> Entry {
    let command = Command {
        client: ClientId(7),
        sequence: index,
        bytes: vec![index as u8; 24].into(),
    };
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(index * 10),
        payload: Payload::Command {
            command,
            member: NodeId(1),
        },
    }
}

fn vote(term: u64, vote: u64) -> HardState {
    HardState {
        term: Term(term),
        vote: Some(NodeId(vote)),
    }
}

fn write(
    number: u64,
    hard_state: Option<HardState>,
    entries: impl IntoIterator<Item = Entry>,
) -> Write {
    let entries = entries.into_iter().collect();
    Write {
        number: WriteNumber(number),
        hard_state,
        snapshot: None,
        start: None,
        discard: false,
        incarnation: None,
        founding: None,
        entries,
    }
}

/// Bytes that differ by position, so that a misplaced chunk is detected.
fn state(size: usize, first: u8) -> Vec<u8> {
    (0..size)
        .map(|place| first.wrapping_add((place / 1000) as u8))
        .collect()
}

fn snapshot(index: u64, term: u64, data: Option<Vec<u8>>) -> Snapshot {
    let voters = [1, 2, 3].map(|id| (NodeId(id), Incarnation(id), Standing::Voter));
    let witness = (NodeId(4), Incarnation(0), Standing::Witness);
    Snapshot {
        position: LogPosition {
            term: Term(term),
            index: Index(index),
        },
        stamp: Stamp(index * 10),
        membership: Membership::of(voters.into_iter().chain([witness])).expect("a cluster"),
        data: data.map(Into::into),
    }
}

/// A write that stores `snapshot` and drops the log up to `start`.
fn compaction(number: u64, snapshot: Snapshot, start: LogStart) -> Write {
    Write {
        snapshot: Some(snapshot),
        start: Some(start),
        ..write(number, None, [])
    }
}

fn start(index: u64, term: u64) -> LogStart {
    snapshot(index, term, None).start()
}

fn submit(store: &mut impl Store, write: Write) {
    let number = write.number;
    assert_eq!(store.submit(write), Ok(()));
    assert_eq!(store.completed(), Some(Ok(number)));
}

/// The history in most tests: a vote, entries, and a tail that a later leader replaced.
fn history() -> Vec<Write> {
    vec![
        write(1, Some(vote(1, 2)), []),
        write(2, None, (1..=20).map(|index| entry(index, 1))),
        write(3, Some(vote(3, 1)), (18..=30).map(|index| entry(index, 3))),
        write(4, None, [entry(31, 3)]),
    ]
}

fn after_history() -> Restored {
    let entries = (1..=17)
        .map(|index| entry(index, 1))
        .chain((18..=31).map(|index| entry(index, 3)));
    Restored {
        hard_state: vote(3, 1),
        entries: entries.collect(),
        ..Restored::default()
    }
}

fn write_history(store: &mut impl Store) {
    history().into_iter().for_each(|write| submit(store, write));
}

/// Bytes of a disk after the history and a clean end.
fn written_disk() -> Vec<u8> {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    drop(store);
    disk.lock().clone()
}

#[test]
fn restart_restores_the_written_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("new/below/raft.redb");
    let (mut store, restored) = open_file(&file).expect("a new file");
    assert_eq!(restored, Restored::default());
    write_history(&mut store);
    drop(store);
    for _ in 0..2 {
        let (_, restored) = open_file(&file).expect("the same file");
        assert_eq!(restored, after_history());
    }
}

#[test]
fn every_write_is_durable_once_completed() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    let mut model = MemoryStore::new();
    for write in history() {
        submit(&mut store, write.clone());
        submit(&mut model, write);
        // The store is still open, so this is the disk after a loss of power.
        let (_, restored) = Disk::holding(disk.lock().clone())
            .open()
            .expect("a copy of a sound disk");
        assert_eq!(restored, model.restored());
    }
    assert_eq!(model.restored(), after_history());
}

#[test]
fn vote_without_entries_survives_a_restart() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    submit(&mut store, write(1, Some(vote(5, 3)), []));
    drop(store);
    assert_eq!(
        disk.open().expect("the same disk").1,
        Restored {
            hard_state: vote(5, 3),
            ..Restored::default()
        }
    );
}

#[test]
fn overwrite_from_the_first_entry_replaces_the_whole_log() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    submit(&mut store, write(5, Some(vote(4, 2)), [entry(1, 4)]));
    drop(store);
    assert_eq!(disk.open().expect("the same disk").1.entries, [entry(1, 4)]);
}

#[test]
fn write_with_a_gap_is_refused_and_changes_nothing() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    let gap = |first, end| {
        Err(StoreError::Gap {
            number: 5,
            first: Index(first),
            start: Index(0),
            end: Index(end),
        })
    };
    assert_eq!(store.submit(write(5, None, [entry(33, 3)])), gap(33, 31));
    assert_eq!(
        store.submit(write(5, None, [entry(32, 3), entry(34, 3)])),
        gap(34, 32)
    );
    assert_eq!(store.submit(write(5, None, [entry(0, 3)])), gap(0, 31));
    assert_eq!(
        MemoryStore::new().submit(write(5, None, [entry(2, 1)])),
        gap(2, 0)
    );
    drop(store);
    assert_eq!(disk.open().expect("the same disk").1, after_history());
}

#[test]
fn file_of_another_node_or_cluster_is_refused_by_name() {
    let disk = Disk::holding(written_disk());
    let open = |node, cluster| {
        let error = RedbStore::with_backend(
            disk.clone(),
            Path::new("n1.redb"),
            node,
            cluster,
            Incarnation::default(),
        );
        error.map(drop).expect_err("a foreign file").to_string()
    };
    let node = open(NodeId(2), CLUSTER);
    assert!(
        node.contains("n1.redb") && node.contains("node n1") && node.contains("node n2"),
        "{node}"
    );
    let cluster = open(NodeId(1), "other");
    assert!(
        cluster.contains("cluster test-0123") && cluster.contains("cluster other"),
        "{cluster}"
    );
    assert_eq!(disk.open().expect("its own node").1, after_history());
}

#[test]
fn second_open_of_a_store_reports_it_in_use() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("raft.redb");
    let _store = open_file(&file).expect("a new file");
    let error = open_file(&file).map(drop);
    assert_eq!(error, Err(StoreError::InUse { file }));
}

#[test]
fn path_without_a_store_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = open_file(directory.path())
        .map(drop)
        .expect_err("a directory");
    assert!(
        matches!(error, StoreError::NoAccess { .. }) && error.to_string().contains("directory"),
        "{error}"
    );

    let file = directory.path().join("file");
    for contents in ["", "x", "not a database at all"] {
        std::fs::write(&file, contents).expect("a file");
        let error = open_file(&file).map(drop).expect_err("no store");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
    let below = file.join("raft.redb");
    let error = open_file(&below).map(drop).expect_err("below a file");
    assert!(matches!(error, StoreError::NoAccess { .. }), "{error}");
}

/// The loss of the tables is a loss of the vote.
#[test]
fn database_without_tables_is_damaged_not_new() {
    let disk = Disk::default();
    drop(
        redb::Database::builder()
            .create_with_backend(disk.clone())
            .expect("a new database"),
    );
    let error = disk.open().map(drop).expect_err("no store");
    assert!(
        matches!(&error, StoreError::Damaged { place, .. } if place == "table meta"),
        "{error}"
    );
}

#[test]
fn path_without_a_directory_uses_the_current_one() {
    assert_eq!(directory_of(Path::new("raft.redb")), Path::new("."));
    assert_eq!(directory_of(Path::new("data")), Path::new("."));
    assert_eq!(directory_of(Path::new("/data")), Path::new("/"));
    assert_eq!(directory_of(Path::new("a/b/raft.redb")), Path::new("a/b"));
}

#[test]
fn unfinished_creation_is_restarted() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("raft.redb");
    std::fs::write(directory.path().join("raft.redb.new"), [0; 4096]).expect("a leftover");
    let (_, restored) = open_file(&file).expect("a new file");
    assert_eq!(restored, Restored::default());
}

#[test]
fn failed_flush_is_final() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    disk.broken.store(true, Ordering::SeqCst);
    let failed = store.submit(write(5, None, [entry(32, 3)]));
    assert!(
        matches!(&failed, Err(StoreError::WriteFailed { number: 5, .. })),
        "{failed:?}"
    );
    disk.broken.store(false, Ordering::SeqCst);
    assert_eq!(store.submit(write(6, None, [entry(32, 3)])), failed);
    assert_eq!(store.completed(), None);
}
