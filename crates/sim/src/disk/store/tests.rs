use raftian_raft::{
    ClientId, Command, Entry, Founding, HardState, Incarnation, Index, LogPosition, LogStart,
    Membership, Payload, Snapshot, Stamp, Term,
};
use rand::SeedableRng;

use super::*;

const ID: NodeId = NodeId(3);

fn entry(index: u64, term: u64) -> Entry {
    let command = Command {
        client: ClientId(7),
        sequence: index,
        bytes: vec![index as u8; 24].into(),
    };
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(index),
        payload: Payload::Command {
            command,
            member: NodeId(1),
        },
    }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    Snapshot {
        position: LogPosition {
            term: Term(term),
            index: Index(index),
        },
        stamp: Stamp(index),
        membership: Membership::new([ID]).expect("a cluster"),
        data: Some(vec![index as u8; 3000].into()),
    }
}

/// Returns a write that appends one entry of term `number`; every fifth also compacts.
fn write(number: u64) -> Write {
    let snapshot = number
        .is_multiple_of(5)
        .then(|| snapshot(number - 1, number - 1));
    Write {
        number: WriteNumber(number),
        hard_state: Some(HardState {
            term: Term(number),
            vote: Some(ID),
        }),
        start: snapshot.as_ref().map(Snapshot::start),
        snapshot,
        discard: false,
        incarnation: None,
        founding: None,
        entries: vec![entry(number, number)],
    }
}

/// Returns the durable state after the first `count` writes.
fn after(count: u64) -> Restored {
    let mut model = MemoryStore::new();
    (1..=count).for_each(|number| model.submit(write(number)).expect("a sound write"));
    model.restored()
}

fn both() -> [DiskStore; 2] {
    [
        DiskStore::in_memory(Restored::default()),
        DiskStore::on_disk(ID, Restored::default()),
    ]
}

fn submit(store: &mut DiskStore, numbers: impl IntoIterator<Item = u64>) {
    numbers
        .into_iter()
        .for_each(|number| store.submit(write(number)).expect("a sound store"));
}

fn reports(store: &mut DiskStore) -> Vec<u64> {
    std::iter::from_fn(|| store.completed())
        .map(|report| report.expect("a sound write").0)
        .collect()
}

#[test]
fn writes_are_performed_only_on_completion_and_in_order() {
    for mut store in both() {
        submit(&mut store, 1..=4);
        assert_eq!(
            (store.pending(), reports(&mut store), store.image()),
            (4, vec![], &Restored::default())
        );
        assert_eq!(store.complete(3), 3);
        assert_eq!(
            (store.pending(), reports(&mut store), store.image()),
            (1, vec![1, 2, 3], &after(3))
        );
        assert_eq!(store.complete(usize::MAX), 1);
        assert_eq!((reports(&mut store), store.image()), (vec![4], &after(4)));
    }
}

#[test]
fn crash_keeps_the_given_writes_and_reports_none() {
    for mut store in both() {
        submit(&mut store, 1..=9);
        store.complete(2);
        store.hold(true);
        store.crash(4);
        assert_eq!(
            (store.pending(), store.is_held(), reports(&mut store)),
            (0, false, vec![])
        );
        assert_eq!(
            store.image(),
            &after(6),
            "a machine that is off shows the state that it will restore"
        );
        assert_eq!(store.restart(), Ok(&after(6)));
        submit(&mut store, 7..=8);
        store.complete(2);
        store.crash(0);
        assert_eq!(store.restart(), Ok(&after(8)));
    }
}

#[test]
fn crash_in_the_middle_of_a_write_is_atomic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for make in [
        || DiskStore::in_memory(Restored::default()),
        || DiskStore::on_disk(ID, Restored::default()),
    ] {
        let mut done = 0;
        for round in 0..100 {
            let mut store = make();
            submit(&mut store, 1..=8);
            store.complete(2);
            let style = CrashStyle::ALL[round % CrashStyle::ALL.len()];
            store.crash_midway(2, &mut rng, style);
            let shown = store.image().clone();
            assert!([after(4), after(5)].contains(&shown), "{style:?}");
            assert_eq!(store.restart(), Ok(&shown), "{style:?}");
            done += u64::from(shown == after(5));
        }
        assert!(
            (10..=90).contains(&done),
            "the write in the middle was done {done} times in 100"
        );
    }
}

/// A node relies on its restored state: if a killed process left it in memory only, the start must
/// sync it first.
#[test]
fn state_left_by_a_killed_process_is_durable_after_a_restart() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for make in [
        || DiskStore::in_memory(Restored::default()),
        || DiskStore::on_disk(ID, Restored::default()),
    ] {
        let mut done = 0;
        for _ in 0..100 {
            let mut store = make();
            submit(&mut store, 1..=8);
            store.complete(2);
            store.kill_midway(2, &mut rng);
            let given = store.restart().expect("a sound disk").clone();
            assert!([after(4), after(5)].contains(&given));
            store.crash(0);
            assert_eq!(store.restart(), Ok(&given));
            done += u64::from(given == after(5));
        }
        assert!(
            (10..=90).contains(&done),
            "the write in the middle was done {done} times in 100"
        );
    }
}

#[test]
fn disk_can_start_with_any_image() {
    let image = Restored {
        committed: Index(0),
        hard_state: HardState {
            term: Term(6),
            vote: None,
        },
        incarnation: Incarnation(9),
        founding: Founding::Agreed(Membership::new([ID]).expect("a cluster")),
        snapshot: Some(snapshot(7, 5)),
        start: LogStart {
            position: LogPosition {
                term: Term(5),
                index: Index(6),
            },
            stamp: Stamp(6),
        },
        entries: vec![entry(7, 5), entry(8, 6)],
    };
    for mut store in [
        DiskStore::in_memory(image.clone()),
        DiskStore::on_disk(ID, image.clone()),
    ] {
        assert_eq!(store.image(), &image);
        store.close();
        assert_eq!(store.restart(), Ok(&image));
    }
}

#[test]
fn shutdown_performs_the_waiting_writes() {
    for mut store in both() {
        submit(&mut store, 1..=5);
        store.close();
        assert_eq!(store.restart(), Ok(&after(5)));
    }
}

#[test]
fn machine_starts_from_an_old_image_restored_in_memory() {
    let mut store = DiskStore::in_memory(Restored::default());
    submit(&mut store, 1..=6);
    store.complete(4);
    let backup = store.backup();
    store.complete(2);
    assert!(!store.knows_newer_than(&backup), "there is no mark");
    store.put_back(&backup);
    assert_eq!(store.restart(), Ok(&after(4)));
    submit(&mut store, 5..=5);
    store.complete(1);
    assert_eq!(store.image(), &after(5));
}

#[test]
fn restored_old_image_of_bytes_is_refused() {
    let mut store = DiskStore::on_disk(ID, Restored::default());
    submit(&mut store, 1..=6);
    store.complete(4);
    let backup = store.backup();
    store.complete(2);
    store.close();
    let newest = store.backup();
    assert!(store.knows_newer_than(&backup) && !store.knows_newer_than(&newest));
    store.put_back(&backup);
    // The counts include one extra write, which gave the disk its first image.
    let refusal = store.restart().map(drop);
    let Err(Unusable::Refused(StoreError::Outdated {
        found: 5,
        acknowledged: 7,
        ..
    })) = refusal
    else {
        panic!("{refusal:?}")
    };
    store.put_back(&newest);
    assert_eq!(store.restart(), Ok(&after(6)));
}

/// After any crash, the mark is never ahead of a sound store.
#[test]
fn power_loss_never_puts_the_mark_ahead_of_a_sound_store() {
    let mut unnoticed = 0;
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = DiskStore::on_disk(ID, Restored::default());
        submit(&mut store, 1..=8);
        store.complete(3);
        let backup = store.backup();
        store.complete(2);
        store.crash_midway(
            1,
            &mut rng,
            CrashStyle::ALL[seed as usize % CrashStyle::ALL.len()],
        );
        unnoticed += u64::from(!store.knows_newer_than(&backup));
        assert!(store.restart().is_ok(), "seed {seed}");
    }
    assert!(
        (1..60).contains(&unnoticed),
        "power loss rolled back the mark {unnoticed} times in 60"
    );
}

#[test]
fn failed_write_is_reported_once_and_is_atomic() {
    let mut done = 0;
    for seed in 0..40 {
        let mut store = DiskStore::on_disk(ID, Restored::default());
        submit(&mut store, 1..=4);
        store.complete(2);
        assert_eq!(reports(&mut store), [1, 2]);
        store
            .disk()
            .expect("bytes")
            .fail_next_sync(&mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(store.complete(2), 0);
        assert!(matches!(
            store.completed(),
            Some(Err(StoreError::WriteFailed { number: 3, .. }))
        ));
        assert_eq!((store.completed(), store.pending()), (None, 1));
        assert!(store.submit(write(5)).is_err());
        store.crash(1);
        let shown = store.image().clone();
        assert!([after(2), after(3)].contains(&shown));
        assert_eq!(store.restart(), Ok(&shown));
        done += u64::from(shown == after(3));
    }
    assert!(
        (1..40).contains(&done),
        "the failed write was done {done} times in 40"
    );
}

#[test]
fn full_disk_fails_the_write_and_loses_no_older_one() {
    let mut store = DiskStore::on_disk(ID, Restored::default());
    submit(&mut store, 1..=3);
    store.complete(2);
    store.disk().expect("bytes").fill(true);
    assert_eq!(store.complete(1), 0);
    assert!(matches!(
        reports_error(&mut store),
        StoreError::WriteFailed { number: 3, .. }
    ));
    store.crash(0);
    store.disk().expect("bytes").fill(false);
    assert_eq!(store.restart(), Ok(&after(2)));
}

fn reports_error(store: &mut DiskStore) -> StoreError {
    std::iter::from_fn(|| store.completed())
        .find_map(Result::err)
        .expect("an error")
}

#[test]
fn unreadable_disk_is_refused_but_can_start_later() {
    let mut store = DiskStore::on_disk(ID, Restored::default());
    submit(&mut store, 1..=3);
    store.complete(3);
    store.crash(0);
    store.disk().expect("bytes").fail_reads(1);
    assert!(matches!(
        store.restart(),
        Err(Unusable::Refused(StoreError::NoAccess { .. }))
    ));
    assert_eq!(store.restart(), Ok(&after(3)));
}

#[test]
fn disk_that_lies_about_its_syncs_is_detected() {
    let mut caught = 0;
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = DiskStore::on_disk(ID, Restored::default());
        submit(&mut store, 1..=6);
        store.complete(3);
        store.disk().expect("bytes").set_ignores_syncs(true);
        store.complete(3);
        store.crash_midway(
            0,
            &mut rng,
            CrashStyle::ALL[seed as usize % CrashStyle::ALL.len()],
        );
        caught += u64::from(store.restart().is_err());
    }
    assert!(
        caught >= 8,
        "the skipped syncs were detected {caught} times in 20"
    );
}

#[test]
fn store_that_returns_another_image_is_detected() {
    let mut store = DiskStore::on_disk(ID, Restored::default());
    submit(&mut store, 1..=6);
    store.complete(3);
    // The bytes of an early copy with the obligations of a later one: a disk that lost writes.
    let forgetful = store.backup().owing(&after(6));
    store.put_back(&forgetful);
    let Err(Unusable::Lied(violation)) = store.restart() else {
        panic!("the lost writes were not detected")
    };
    assert!(
        violation
            .to_string()
            .contains("the store returns the durable state is violated"),
        "{violation}"
    );
}

#[test]
fn write_queue_beyond_its_bound_reports_a_hanging_disk() {
    for mut store in both() {
        submit(&mut store, 1..=WRITE_QUEUE as u64);
        assert_eq!(store.submit(write(1)), Err(StoreError::Hanging));
    }
}

/// No store on one disk can survive these faults; it may refuse to start, but must not panic.
#[test]
fn faults_outside_the_model_never_panic_the_store() {
    // For each fault: how often it was harmless, refused, and detected only because the simulation
    // tracks the durable state.
    let mut counts = [[0; 3]; 4];
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = DiskStore::on_disk(ID, Restored::default());
        submit(&mut store, 1..=12);
        store.complete(6);
        let fault = seed as usize % 4;
        let disk = store.disk().expect("bytes");
        match fault {
            0 => disk.misdirect_next_write(&mut rng),
            1 => disk.flip_in_next_read(&mut rng),
            2 => disk.set_ignores_syncs(true),
            _ => {
                let bits = disk.image().len() as u64 * 8;
                (0..64).for_each(|_| assert!(disk.flip_bit(rng.random_range(0..bits))));
            }
        }
        store.complete(rng.random_range(1..=5));
        match rng.random_range(0..3) {
            0 => store.close(),
            1 => store.kill_midway(0, &mut rng),
            _ => store.crash_midway(0, &mut rng, CrashStyle::Torn),
        }
        counts[fault][match store.restart() {
            Ok(_) => 0,
            Err(Unusable::Refused(_)) => 1,
            Err(Unusable::Lied(_)) => 2,
        }] += 1;
    }
    let [_misdirected, _misread, lying, rotten] = counts;
    assert!(
        lying[0] == 0 && lying[2] > 10 && rotten[1] > 10,
        "{counts:?}"
    );
}
