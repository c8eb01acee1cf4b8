use super::super::checksum::append_checksum;
use super::super::schema::encode_with_checksum;
use super::*;

const CHUNKS: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("snapshot chunks");
const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");

/// A state of slightly more than two chunks.
const SIZE: usize = 2 * CHUNK_BYTES + 100;

/// The history of a follower: it writes, compacts, writes more, and receives a leader's snapshot.
pub(super) fn compacted_history() -> Vec<Write> {
    let own = snapshot(20, 3, Some(state(SIZE, 1)));
    let leaders = snapshot(60, 4, Some(state(CHUNK_BYTES, 2)));
    let kept_from = start(15, 1);
    let overtaken = leaders.start();
    let mut history = history();
    history.extend([
        compaction(5, own, kept_from),
        write(6, Some(vote(4, 3)), (25..=40).map(|index| entry(index, 4))),
        Write {
            start: Some(start(18, 3)),
            ..write(7, None, [])
        },
        Write {
            discard: true,
            entries: (61..=62).map(|index| entry(index, 4)).collect(),
            ..compaction(8, leaders, overtaken)
        },
        write(9, Some(vote(5, 1)), [entry(62, 5), entry(63, 5)]),
    ]);
    history
}

fn after_compacted_history() -> Restored {
    let leaders = snapshot(60, 4, Some(state(CHUNK_BYTES, 2)));
    Restored {
        hard_state: vote(5, 1),
        start: leaders.start(),
        snapshot: Some(leaders),
        entries: vec![entry(61, 4), entry(62, 5), entry(63, 5)],
        ..Restored::default()
    }
}

#[test]
fn every_snapshot_write_is_durable_once_completed() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    let mut model = MemoryStore::new();
    for write in compacted_history() {
        submit(&mut store, write.clone());
        submit(&mut model, write);
        // The store is still open, so this is the disk after a loss of power.
        let (_, restored) = Disk::holding(disk.lock().clone())
            .open()
            .expect("a copy of a sound disk");
        assert_eq!(restored, *model.image());
    }
    assert_eq!(*model.image(), after_compacted_history());
}

#[test]
fn snapshot_of_any_size_replaces_the_previous_one() {
    let disk = Disk::default();
    let sizes = [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
        5 << 20,
        // Much smaller than the one before, so stale chunks would remain visible.
        17,
    ];
    for (number, size) in (1..).zip(sizes.map(Some).into_iter().chain([None])) {
        let (mut store, _) = disk.open().expect("a sound disk");
        let snapshot = snapshot(number, 1, size.map(|size| state(size, number as u8)));
        submit(
            &mut store,
            Write {
                hard_state: Some(vote(1, 1)),
                ..compaction(1, snapshot.clone(), snapshot.start())
            },
        );
        drop(store);
        let (_, restored) = disk.open().expect("the same disk");
        assert_eq!(restored.start, snapshot.start());
        assert!(
            restored.snapshot == Some(snapshot),
            "{size:?} bytes were not restored unchanged"
        );
    }
}

#[test]
fn space_of_replaced_snapshots_is_reused() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    submit(&mut store, write(1, Some(vote(1, 1)), []));
    for number in 2..=20 {
        let snapshot = snapshot(number, 1, Some(state(10 * CHUNK_BYTES, number as u8)));
        submit(
            &mut store,
            compaction(number, snapshot.clone(), snapshot.start()),
        );
    }
    let size = disk.lock().len();
    assert!(
        size < 50 * CHUNK_BYTES,
        "19 snapshots of ten chunks take {size} bytes"
    );
}

#[test]
fn log_begins_only_where_a_snapshot_covers_its_start() {
    let disk = Disk::default();
    let (mut redb, _) = disk.open().expect("a new disk");
    let mut memory = MemoryStore::new();
    for write in compacted_history().into_iter().take(5) {
        submit(&mut redb, write.clone());
        submit(&mut memory, write);
    }
    let gap = |first, start, end| StoreError::Gap {
        number: 6,
        first: Index(first),
        start: Index(start),
        end: Index(end),
    };
    let uncovered = |start, covered| StoreError::Uncovered {
        number: 6,
        start: Index(start),
        earliest: Index(15),
        covered: Index(covered),
    };
    let from = |first| write(6, None, [entry(first, 3)]);
    let starting = |index| Write {
        start: Some(start(index, 3)),
        ..write(6, None, [])
    };
    let refused = [
        (from(33), gap(33, 15, 31)),
        (from(15), gap(15, 15, 31)),
        (from(3), gap(3, 15, 31)),
        (
            Write {
                discard: true,
                ..from(17)
            },
            gap(17, 15, 15),
        ),
        (
            Write {
                entries: vec![entry(18, 3)],
                ..starting(18)
            },
            gap(18, 18, 31),
        ),
        (starting(21), uncovered(21, 20)),
        (starting(14), uncovered(14, 20)),
        (
            Write {
                discard: true,
                ..compaction(6, snapshot(50, 3, None), start(51, 3))
            },
            uncovered(51, 50),
        ),
        (
            Write {
                snapshot: Some(snapshot(14, 1, None)),
                ..write(6, None, [])
            },
            uncovered(15, 14),
        ),
        (
            Write {
                discard: true,
                entries: vec![entry(52, 3)],
                ..compaction(6, snapshot(50, 3, None), start(50, 3))
            },
            gap(52, 50, 50),
        ),
    ];
    for (write, error) in refused {
        assert_eq!(memory.submit(write.clone()), Err(error.clone()));
        assert_eq!(redb.submit(write), Err(error));
    }
    drop(redb);
    assert_eq!(disk.open().expect("the same disk").1, *memory.image());
}

#[test]
fn snapshot_above_the_bound_is_refused() {
    let size = MAX_SNAPSHOT + 1;
    let snapshot = snapshot(1, 1, Some(vec![0; size]));
    let large = compaction(1, snapshot.clone(), snapshot.start());
    assert_eq!(
        MemoryStore::new().submit(large.clone()),
        Err(StoreError::SnapshotTooLarge { number: 1, size })
    );
    let (mut store, _) = Disk::default().open().expect("a new disk");
    assert_eq!(
        store.submit(large),
        Err(StoreError::SnapshotTooLarge { number: 1, size })
    );
    submit(&mut store, write(1, Some(vote(1, 1)), []));
}

#[test]
fn store_keeps_the_incarnation_it_was_created_with() {
    let disk = Disk::default();
    let open = |incarnation| {
        let opened = RedbStore::with_backend(
            disk.clone(),
            Path::new("disk"),
            NodeId(1),
            CLUSTER,
            incarnation,
        );
        opened.expect("a sound disk").1.incarnation
    };
    assert_eq!(open(Incarnation(77)), Incarnation(77));
    assert_eq!(open(Incarnation(78)), Incarnation(77));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("raft.redb");
    for given in [5, 6] {
        let (_, restored) = RedbStore::open(
            &file,
            &mark_of(&file),
            NodeId(1),
            CLUSTER,
            Creation::first(Incarnation(given)),
        )
        .expect("a sound file");
        assert_eq!(restored.incarnation, Incarnation(5));
    }
}

/// Returns the error for a disk with the compacted history that `change` was applied to, with
/// matching database checksums.
fn tampered(change: impl FnOnce(&redb::WriteTransaction)) -> String {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    compacted_history()
        .into_iter()
        .take(6)
        .for_each(|write| submit(&mut store, write));
    drop(store);
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .expect("a sound database");
    let transaction = database.begin_write().expect("a transaction");
    change(&transaction);
    transaction.commit().expect("a commit");
    drop(database);
    let complaint = disk
        .open()
        .map(drop)
        .expect_err("a damaged store")
        .to_string();
    assert!(
        complaint.contains("the store disk is damaged at"),
        "{complaint}"
    );
    complaint
}

fn tampered_chunks(change: impl FnOnce(&mut redb::Table<'_, (u64, u64), &'static [u8]>)) -> String {
    tampered(|transaction| change(&mut transaction.open_table(CHUNKS).expect("the chunks")))
}

fn tampered_state(key: &str, value: &[u8]) -> String {
    tampered(|transaction| {
        let mut state = transaction.open_table(STATE).expect("the state");
        state.insert(key, value).expect("a change");
    })
}

fn chunk(chunks: &redb::Table<'_, (u64, u64), &'static [u8]>, number: u64) -> Vec<u8> {
    chunks
        .get((1, number))
        .expect("readable")
        .expect("a chunk")
        .value()
        .to_vec()
}

#[test]
fn snapshot_damage_missed_by_the_database_is_named_by_chunk() {
    let flipped = tampered_chunks(|chunks| {
        let mut bytes = chunk(chunks, 1);
        bytes[CHUNK_BYTES / 2] ^= 1;
        chunks.insert((1, 1), bytes.as_slice()).expect("a change");
    });
    assert!(
        flipped.contains("snapshot 1, chunk 1") && flipped.contains("checksum"),
        "{flipped}"
    );
    let swapped = tampered_chunks(|chunks| {
        let first = chunk(chunks, 0);
        let second = chunk(chunks, 1);
        chunks.insert((1, 0), second.as_slice()).expect("a change");
        chunks.insert((1, 1), first.as_slice()).expect("a change");
    });
    assert!(
        swapped.contains("snapshot 1, chunk 0") && swapped.contains("checksum"),
        "{swapped}"
    );
    let hole = tampered_chunks(|chunks| drop(chunks.remove((1, 1)).expect("a change")));
    assert!(
        hole.contains("snapshot 1, chunk 1") && hole.contains("missing"),
        "{hole}"
    );
    let shorter = tampered_chunks(|chunks| drop(chunks.remove((1, 2)).expect("a change")));
    assert!(
        shorter.contains("snapshot 1, chunk 2") && shorter.contains("missing"),
        "{shorter}"
    );
    let longer = tampered_chunks(|chunks| {
        chunks
            .insert(
                (1, 3),
                append_checksum("snapshot 1, chunk 3", vec![1]).as_slice(),
            )
            .expect("a change");
    });
    assert!(
        longer.contains("snapshot 1, chunk 3") && longer.contains("does not belong"),
        "{longer}"
    );
    let cut = tampered_chunks(|chunks| {
        chunks
            .insert(
                (1, 1),
                append_checksum("snapshot 1, chunk 1", vec![1]).as_slice(),
            )
            .expect("a change");
    });
    assert!(
        cut.contains("snapshot 1, chunk 1") && cut.contains("1 bytes instead of"),
        "{cut}"
    );
    let older = tampered_chunks(|chunks| {
        let bytes = chunk(chunks, 0);
        chunks.remove((1, 0)).expect("a change");
        chunks.insert((0, 0), bytes.as_slice()).expect("a change");
    });
    assert!(
        older.contains("snapshot 1, chunk 0") && older.contains("missing"),
        "{older}"
    );
}

#[test]
fn inconsistent_parts_are_reported_as_damage() {
    let headless = tampered(|transaction| {
        transaction
            .open_table(STATE)
            .expect("the state")
            .remove("snapshot")
            .expect("a change");
    });
    assert!(headless.contains("snapshot 1, chunk 0"), "{headless}");
    let neither = tampered(|transaction| {
        transaction
            .open_table(STATE)
            .expect("the state")
            .remove("snapshot")
            .expect("a change");
        transaction.delete_table(CHUNKS).expect("a change");
        transaction.open_table(CHUNKS).expect("a change");
    });
    assert!(
        neither.contains("begins after t1#15") && neither.contains("covers only up to t0#0"),
        "{neither}"
    );
    let later = tampered_state(
        "start",
        &encode_with_checksum("start", &start(16, 3)).expect("small"),
    );
    assert!(later.contains("entry #17"), "{later}");
    let elsewhere = tampered_state(
        "start",
        &encode_with_checksum("end", &start(15, 3)).expect("small"),
    );
    assert!(
        elsewhere.contains("\"start\"") && elsewhere.contains("checksum"),
        "{elsewhere}"
    );
    let younger = tampered_state(
        "hard state",
        &encode_with_checksum("hard state", &vote(2, 1)).expect("small"),
    );
    assert!(
        younger.contains("the snapshot") && younger.contains("t3 is later"),
        "{younger}"
    );
    let other = tampered(|transaction| {
        let mut entries = transaction.open_table(ENTRIES).expect("the entries");
        for index in 18..=20 {
            let changed =
                encode_with_checksum(&format!("entry #{index}"), &entry(index, 2)).expect("small");
            entries.insert(index, changed.as_slice()).expect("a change");
        }
    });
    assert!(
        other.contains("the snapshot ends at t3#20, where the log has t2#20"),
        "{other}"
    );
}

#[test]
fn flipped_bit_in_a_snapshot_is_an_error_or_changes_nothing() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    compacted_history()
        .into_iter()
        .for_each(|write| submit(&mut store, write));
    drop(store);
    let sound = disk.lock().clone();
    let mut errors = 0;
    let mut tried = 0;
    for at in (0..sound.len()).step_by(sound.len() / 300) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        tried += 1;
        match Disk::holding(bytes).open() {
            Ok((_, restored)) => assert!(
                restored == after_compacted_history(),
                "bit flipped at byte {at}"
            ),
            Err(error) => errors += usize::from(error.to_string().contains("disk")),
        }
    }
    assert!(
        errors > tried / 10,
        "only {errors} of {tried} flips were detected"
    );
}
