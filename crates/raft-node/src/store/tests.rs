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

mod directories;
mod layout;
mod marks;
mod model;
mod resealed;
mod snapshots;

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
fn flipped_bit_is_an_error_or_changes_nothing() {
    let sound = written_disk();
    // Every byte of the header, and a sample of all bytes that were ever written.
    let used: Vec<usize> = (0..sound.len())
        .filter(|&at| at < 320 || sound[at] != 0)
        .collect();
    let step = (used.len() / 600).max(1);
    let mut errors = 0;
    let mut tried = 0;
    for &at in used
        .iter()
        .enumerate()
        .filter(|(n, at)| **at < 320 || n % step == 0)
        .map(|(_, at)| at)
    {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        tried += 1;
        match Disk::holding(bytes).open() {
            Ok((_, restored)) => assert_eq!(restored, after_history(), "bit flipped at byte {at}"),
            Err(_) => errors += 1,
        }
    }
    assert!(
        errors > tried / 10,
        "only {errors} of {tried} flips were detected"
    );
}

/// A torn commit is rolled back, and damage to the newest commit after a loss of power cannot be
/// distinguished from one.
#[test]
fn flipped_bit_after_power_loss_costs_at_most_one_write() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    let image = disk.lock().clone();
    let mut model = MemoryStore::new();
    history()
        .into_iter()
        .rev()
        .skip(1)
        .rev()
        .for_each(|write| submit(&mut model, write));
    let without_newest = model.restored();
    let used: Vec<usize> = (0..image.len())
        .filter(|&at| at < 320 || image[at] != 0)
        .collect();
    for &at in used
        .iter()
        .step_by((used.len() / 600).max(1))
        .chain(&used[..320])
    {
        let mut bytes = image.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok((_, restored)) = Disk::holding(bytes).open() {
            assert!(
                restored == after_history() || restored == without_newest,
                "bit flipped at byte {at}"
            );
        }
    }
}

#[test]
fn truncated_file_is_an_error_or_changes_nothing() {
    let sound = written_disk();
    let step = sound.len() / 150;
    for len in (1..sound.len())
        .step_by(step)
        .chain([9, 64, 320, 4096, 8192, sound.len() - 1])
    {
        match Disk::holding(sound[..len].to_vec()).open() {
            Ok((_, restored)) => assert_eq!(restored, after_history(), "cut to {len} bytes"),
            Err(error) => assert!(error.to_string().contains("disk"), "{error}"),
        }
    }
}

#[test]
fn damage_missed_by_the_database_is_named_by_its_entry() {
    let tampered = |change: &dyn Fn(&mut redb::Table<'_, u64, &'static [u8]>)| {
        let disk = Disk::holding(written_disk());
        let database = redb::Database::builder()
            .create_with_backend(disk.clone())
            .expect("a sound database");
        let transaction = database.begin_write().expect("a transaction");
        change(&mut transaction.open_table(ENTRIES).expect("the entries"));
        transaction.commit().expect("a commit");
        drop(database);
        disk.open()
            .map(drop)
            .expect_err("a damaged store")
            .to_string()
    };
    let flipped = tampered(&|entries| {
        let mut value = entries
            .get(5)
            .expect("readable")
            .expect("entry 5")
            .value()
            .to_vec();
        value[3] ^= 1;
        entries.insert(5, value.as_slice()).expect("a change");
    });
    assert!(
        flipped.contains("entry #5") && flipped.contains("checksum"),
        "{flipped}"
    );
    let swapped = tampered(&|entries| {
        let value = entries
            .get(6)
            .expect("readable")
            .expect("entry 6")
            .value()
            .to_vec();
        entries.insert(5, value.as_slice()).expect("a change");
    });
    assert!(
        swapped.contains("entry #5") && swapped.contains("checksum"),
        "{swapped}"
    );
    let hole = tampered(&|entries| drop(entries.remove(9).expect("a change")));
    assert!(
        hole.contains("entry #9") && hole.contains("missing"),
        "{hole}"
    );
    let shorter = tampered(&|entries| drop(entries.remove(31).expect("a change")));
    assert!(shorter.contains("should end at #31"), "{shorter}");
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

/// Calls `probe` until it returns a value; fails after ten seconds.
fn eventually<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "no result within ten seconds");
        std::thread::yield_now();
    }
}

#[test]
fn writer_thread_accepts_more_writes_than_its_queue_holds() {
    let mut thread =
        WriterThread::start(NodeId(1), MemoryStore::new(), Arc::new(|| {})).expect("a thread");
    for number in 1..=WRITE_QUEUE as u64 + 1 {
        assert_eq!(
            thread.submit(write(number, Some(vote(number, 1)), [])),
            Ok(())
        );
        assert_eq!(eventually(|| thread.completed()), Ok(WriteNumber(number)));
    }
}

#[test]
fn writer_thread_completes_in_order_and_closes_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("raft.redb");
    let (store, _) = open_file(&file).expect("a new file");
    let notified = Arc::new(AtomicUsize::new(0));
    let notify = Arc::clone(&notified);
    let count = move || {
        notify.fetch_add(1, Ordering::SeqCst);
    };
    let mut thread = WriterThread::start(NodeId(1), store, Arc::new(count)).expect("a thread");
    for write in history() {
        assert_eq!(thread.submit(write), Ok(()));
    }
    for number in 1..=4 {
        assert_eq!(eventually(|| thread.completed()), Ok(WriteNumber(number)));
    }
    assert_eq!(thread.completed(), None);
    eventually(|| (notified.load(Ordering::SeqCst) == 4).then_some(()));
    assert_eq!(thread.submit(write(5, None, [entry(32, 3)])), Ok(()));
    drop(thread);
    let (_, restored) = open_file(&file).expect("the file is free again");
    assert_eq!(
        restored.entries.len(),
        32,
        "queued writes must be finished first"
    );
}

#[test]
fn writer_thread_reports_a_failed_write_once_and_ends() {
    let disk = Disk::default();
    let (store, _) = disk.open().expect("a new disk");
    disk.broken.store(true, Ordering::SeqCst);
    let mut thread = WriterThread::start(NodeId(1), store, Arc::new(|| {})).expect("a thread");
    assert_eq!(thread.submit(write(1, Some(vote(1, 1)), [])), Ok(()));
    let failed = eventually(|| thread.completed());
    assert!(
        matches!(failed, Err(StoreError::WriteFailed { number: 1, .. })),
        "{failed:?}"
    );
    assert_eq!(thread.completed(), None);
    // The thread ends after its report, so the refusal may take a moment.
    let refused = eventually(|| thread.submit(write(2, None, [])).err());
    assert!(matches!(refused, StoreError::Stopped { .. }), "{refused}");
}

/// A disk that does not answer until it is released.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Store for Stuck {
    fn submit(&mut self, _: Write) -> Result<(), StoreError> {
        let _ = self.0.recv();
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        None
    }
}

#[test]
fn hanging_disk_is_reported_when_the_queue_is_full() {
    let (release, stuck) = std::sync::mpsc::channel();
    let mut thread =
        WriterThread::start(NodeId(1), Stuck(stuck), Arc::new(|| {})).expect("a thread");
    for number in 1..=WRITE_QUEUE as u64 {
        assert_eq!(thread.submit(write(number, None, [])), Ok(()));
        assert_eq!(thread.completed(), None);
    }
    assert_eq!(thread.submit(write(0, None, [])), Err(StoreError::Hanging));
    drop(release);
}

struct Panicking;

impl Store for Panicking {
    fn submit(&mut self, _: Write) -> Result<(), StoreError> {
        panic!("injected");
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        None
    }
}

#[test]
fn panic_on_the_writer_thread_is_reported_to_the_node() {
    let woken = Arc::new(AtomicBool::new(false));
    let wake = Arc::clone(&woken);
    let notify = move || wake.store(true, Ordering::SeqCst);
    let mut thread = WriterThread::start(NodeId(1), Panicking, Arc::new(notify)).expect("a thread");
    assert_eq!(thread.submit(write(1, None, [])), Ok(()));
    eventually(|| woken.load(Ordering::SeqCst).then_some(()));
    assert!(matches!(
        eventually(|| thread.completed()),
        Err(StoreError::Stopped { .. })
    ));
}
