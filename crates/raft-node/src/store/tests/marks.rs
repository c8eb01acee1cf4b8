//! The mark of a store: detects older copies and lost stores.

use super::*;
use std::fs;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Home(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("raft.redb")
    }

    fn mark(&self) -> PathBuf {
        mark_of(&self.file())
    }

    fn open(&self) -> Result<(RedbStore, Restored), StoreError> {
        open_file(&self.file())
    }

    /// A store after the history, and a copy of its file from after the first `writes` of it.
    fn copy_after(&self, writes: usize) -> Vec<u8> {
        let (mut store, _) = self.open().expect("a new file");
        history()
            .into_iter()
            .take(writes)
            .for_each(|write| submit(&mut store, write));
        drop(store);
        let copy = fs::read(self.file()).expect("a file");
        let (mut store, _) = self.open().expect("the same file");
        history()
            .into_iter()
            .skip(writes)
            .for_each(|write| submit(&mut store, write));
        copy
    }
}

#[test]
fn restored_older_copy_is_refused() {
    for writes in 0..history().len() {
        let home = Home::new();
        let copy = home.copy_after(writes);
        fs::write(home.file(), copy).expect("writable");
        let expected = StoreError::Outdated {
            file: home.file(),
            mark: home.mark(),
            found: writes as u64,
            acknowledged: history().len() as u64,
        };
        for _ in 0..2 {
            assert_eq!(
                home.open().map(drop),
                Err(expected.clone()),
                "a second open must fail as well"
            );
        }
        let text = expected.to_string();
        assert!(
            text.contains("raft.redb is older") && text.contains("raft.mark"),
            "{text}"
        );
    }
}

/// The mark is behind if a loss of power took its newest bytes; the store is then newer than
/// required.
#[test]
fn mark_that_is_behind_or_missing_refuses_nothing() {
    let home = Home::new();
    let (mut store, _) = home.open().expect("a new file");
    let earlier = fs::read(home.mark()).expect("it is created with the store");
    assert_eq!(earlier.len(), GUARD_BYTES);
    write_history(&mut store);
    drop(store);
    let newest = fs::read(home.mark()).expect("a mark");
    assert_ne!(newest, earlier);
    for mark in [
        Some(earlier),
        Some(vec![0; GUARD_BYTES]),
        Some(Vec::new()),
        None,
    ] {
        match mark {
            Some(bytes) => fs::write(home.mark(), bytes).expect("writable"),
            None => fs::remove_file(home.mark()).expect("there is one"),
        }
        assert_eq!(home.open().expect("a sound store").1, after_history());
        assert_eq!(fs::read(home.mark()).expect("a mark"), newest);
    }
}

/// The path of a mark is configured by hand and may name a key, a configuration or the store
/// itself.
#[test]
fn file_that_is_not_a_mark_is_left_unchanged() {
    for has_store in [false, true] {
        let home = Home::new();
        if has_store {
            drop(home.open().expect("a new file"));
        }
        for contents in [vec![7; 3], vec![7; 2 * GUARD_BYTES]] {
            fs::write(home.mark(), &contents).expect("writable");
            let size = contents.len() as u64;
            assert_eq!(
                home.open().map(drop),
                Err(StoreError::NotAMark {
                    file: home.mark(),
                    size
                })
            );
            assert_eq!(fs::read(home.mark()).expect("it is there"), contents);
        }
    }
    let home = Home::new();
    let open = || {
        RedbStore::open(
            &home.file(),
            &home.file(),
            NodeId(1),
            CLUSTER,
            Creation::first(Incarnation::default()),
        )
        .map(drop)
    };
    for _ in 0..2 {
        assert!(matches!(open(), Err(StoreError::NotAMark { file, .. }) if file == home.file()));
    }
    assert!(home.open().is_ok(), "the store must be unchanged");
}

#[test]
fn lost_store_is_not_recreated() {
    let home = Home::new();
    home.copy_after(1);
    fs::remove_file(home.file()).expect("there is one");
    let expected = StoreError::Lost {
        file: home.file(),
        mark: home.mark(),
        acknowledged: history().len() as u64,
    };
    assert_eq!(home.open().map(drop), Err(expected.clone()));
    assert!(!home.file().exists());
    let text = expected.to_string();
    assert!(
        text.contains("raft.redb is gone") && text.contains("raft.mark records 4"),
        "{text}"
    );
    // A fresh incarnation alone does not show that the loss is known.
    let fresh = Creation::first(Incarnation(8));
    let opened = RedbStore::open(&home.file(), &home.mark(), NodeId(1), CLUSTER, fresh);
    assert_eq!(opened.map(drop), Err(expected));
    // A replacement, and another node or cluster, has acknowledged nothing.
    let others = [
        (NodeId(1), CLUSTER, Creation::replacement(Incarnation(8))),
        (NodeId(1), "other", Creation::first(Incarnation::default())),
        (NodeId(2), CLUSTER, Creation::first(Incarnation::default())),
    ];
    for (node, cluster, creation) in others {
        let (mut store, _) = RedbStore::open(&home.file(), &home.mark(), node, cluster, creation)
            .expect("a new store");
        submit(&mut store, write(1, Some(vote(1, 1)), []));
        drop(store);
        let again = RedbStore::open(&home.file(), &home.mark(), node, cluster, creation)
            .expect("the same store")
            .1;
        assert_eq!(again.hard_state, vote(1, 1));
        fs::remove_file(home.file()).expect("there is one");
    }
}

#[test]
fn lost_later_incarnation_does_not_restart_as_the_first() {
    let home = Home::new();
    let (mut store, _) = RedbStore::open(
        &home.file(),
        &home.mark(),
        NodeId(1),
        CLUSTER,
        Creation::first(Incarnation(8)),
    )
    .expect("new");
    submit(&mut store, write(1, Some(vote(1, 1)), []));
    drop(store);
    fs::remove_file(home.file()).expect("there is one");
    assert!(matches!(
        home.open().map(drop),
        Err(StoreError::Lost {
            acknowledged: 1,
            ..
        })
    ));
}

#[test]
fn store_of_an_earlier_incarnation_is_refused() {
    let home = Home::new();
    home.copy_after(1);
    let copy = fs::read(home.file()).expect("a file");
    fs::remove_file(home.file()).expect("there is one");
    drop(
        RedbStore::open(
            &home.file(),
            &home.mark(),
            NodeId(1),
            CLUSTER,
            Creation::replacement(Incarnation(8)),
        )
        .expect("another incarnation"),
    );
    fs::write(home.file(), copy).expect("writable");
    let error = home
        .open()
        .map(drop)
        .expect_err("an earlier incarnation is refused")
        .to_string();
    assert!(
        error.contains("incarnation 0") && error.contains("incarnation 8"),
        "{error}"
    );
}

fn begins(number: u64, incarnation: u64) -> Write {
    Write {
        incarnation: Some(Incarnation(incarnation)),
        ..write(number, None, [])
    }
}

/// Power may be lost between the store's write and the mark's, so the store records the previous
/// incarnation.
#[test]
fn mark_of_the_previous_incarnation_refuses_nothing() {
    let home = Home::new();
    let (mut store, _) = home.open().expect("a new file");
    submit(&mut store, write(1, Some(vote(1, 1)), []));
    let earlier = fs::read(home.mark()).expect("a mark");
    let old_copy = fs::read(home.file()).expect("a file");
    submit(&mut store, begins(2, 8));
    drop(store);
    fs::write(home.mark(), &earlier).expect("writable");
    let (mut store, restored) = home.open().expect("a sound store");
    assert_eq!(
        (restored.incarnation, restored.hard_state),
        (Incarnation(8), vote(1, 1))
    );
    submit(&mut store, begins(3, 9));
    submit(&mut store, begins(4, 10));
    drop(store);
    assert_eq!(
        home.open().expect("a sound store").1.incarnation,
        Incarnation(10)
    );
    let newest = fs::read(home.file()).expect("a file");
    fs::write(home.file(), old_copy).expect("writable");
    let error = home
        .open()
        .map(drop)
        .expect_err("an earlier incarnation")
        .to_string();
    assert!(
        error.contains("incarnation 0") && error.contains("incarnation 10"),
        "{error}"
    );
    fs::write(home.file(), newest).expect("writable");
    fs::write(home.mark(), earlier).expect("writable");
    let error = home
        .open()
        .map(drop)
        .expect_err("only the previous one is accepted")
        .to_string();
    assert!(
        error.contains("incarnation 0") && error.contains("incarnation 10"),
        "{error}"
    );
}

#[test]
fn lost_store_without_acknowledged_writes_is_recreated() {
    let home = Home::new();
    drop(home.open().expect("a new file"));
    fs::remove_file(home.file()).expect("there is one");
    assert_eq!(home.open().expect("a new file").1, Restored::default());
}

#[test]
fn unwritable_mark_stops_the_node() {
    let disk = Disk::default();
    let mark = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    store
        .guard(mark.clone(), Path::new("mark"))
        .expect("a new mark");
    submit(&mut store, write(1, Some(vote(1, 1)), []));
    mark.full.store(true, Ordering::SeqCst);
    let failed = store.submit(write(2, Some(vote(2, 1)), []));
    assert!(
        matches!(&failed, Err(StoreError::WriteFailed { number: 2, .. })),
        "{failed:?}"
    );
    assert_eq!(store.submit(write(3, Some(vote(3, 1)), [])), failed);
}
