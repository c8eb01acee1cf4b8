//! The thread that writes for a node.

use super::*;

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
