use super::*;
use crate::coverage::Mark;
use crate::disk::MAX_UNSYNCED;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Creates a disk of eight sectors of ones.
fn disk() -> SimDisk {
    SimDisk::holding(vec![1; 8 * SECTOR])
}

fn write(disk: &SimDisk, sector: usize, value: u8) {
    disk.write((sector * SECTOR) as u64, &[value; SECTOR])
        .expect("a write");
}

/// Returns one byte of each sector, as a read sees it.
fn view(disk: &SimDisk) -> Vec<u8> {
    let mut out = vec![0; usize::try_from(disk.len().expect("power")).expect("small")];
    disk.read(0, &mut out).expect("a read");
    out.chunks(SECTOR).map(|sector| sector[7]).collect()
}

/// Returns one byte of each sector, as a crash would leave it.
fn durable(disk: &SimDisk) -> Vec<u8> {
    disk.image()
        .chunks(SECTOR)
        .map(|sector| sector[7])
        .collect()
}

fn read(disk: &SimDisk, sector: usize) -> io::Result<()> {
    disk.read((sector * SECTOR) as u64, &mut [0; SECTOR])
}

#[test]
fn synced_changes_survive_and_others_may_be_lost() {
    let mut disk = disk();
    write(&disk, 0, 2);
    disk.sync_data().expect("a sync");
    write(&disk, 1, 3);
    disk.set_len(16 * SECTOR as u64).expect("room");
    assert_eq!(
        (view(&disk).len(), view(&disk)[1], disk.unsynced()),
        (16, 3, 2)
    );
    assert_eq!(durable(&disk), [2, 1, 1, 1, 1, 1, 1, 1]);
    disk.crash(&mut rng(1), CrashStyle::Lost);
    assert_eq!(
        (view(&disk), disk.unsynced()),
        (vec![2, 1, 1, 1, 1, 1, 1, 1], 0)
    );
}

#[test]
fn each_unsynced_change_has_its_own_fate() {
    let mut disk = disk();
    disk.set_len(10 * SECTOR as u64).expect("room");
    (0..10).for_each(|sector| write(&disk, sector, 2));
    let fates = [
        Fate::Lost,
        Fate::Lost,
        Fate::Applied,
        Fate::Lost,
        Fate::Applied,
    ];
    disk.crash_with(&[&fates[..], &vec![Fate::Applied; 6]].concat());
    assert_eq!(
        view(&disk),
        [1, 2, 1, 2, 2, 2, 2, 2],
        "the new length and the bytes beyond the old one are lost"
    );
}

#[test]
fn handles_made_before_a_crash_fail() {
    let mut disk = disk();
    let old = disk.clone();
    write(&old, 0, 2);
    disk.crash(&mut rng(1), CrashStyle::Applied);
    assert!(
        old.write(0, &[9]).is_err()
            && old.sync_data().is_err()
            && old.set_len(0).is_err()
            && old.len().is_err()
    );
    assert_eq!(view(&disk), [2, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn changes_of_a_killed_process_stay_pending() {
    let mut disk = disk();
    let old = disk.clone();
    write(&old, 0, 2);
    disk.kill();
    assert!(old.sync_data().is_err());
    assert_eq!(
        (view(&disk)[0], durable(&disk)[0], disk.unsynced()),
        (2, 1, 1)
    );
    disk.sync_data().expect("a sync");
    assert_eq!(
        durable(&disk)[0],
        2,
        "a sync covers earlier processes' writes"
    );
}

#[test]
fn power_is_cut_after_the_given_number_of_operations() {
    let mut disk = disk();
    disk.cut_power_after(2);
    write(&disk, 0, 2);
    disk.sync_data().expect("power for a sync");
    assert!(disk.write(0, &[9]).is_err() && disk.sync_data().is_err() && read(&disk, 0).is_err());
    disk.crash(&mut rng(1), CrashStyle::Applied);
    assert_eq!(view(&disk), [2, 1, 1, 1, 1, 1, 1, 1]);
}

/// A file system that cannot write a page back reports the error once and marks the page clean.
#[test]
fn later_sync_does_not_repair_a_failed_one() {
    let mut kept = 0;
    let mut lost = 0;
    for seed in 0..64 {
        let mut disk = disk();
        disk.fail_next_sync(&mut rng(seed));
        (0..4).for_each(|sector| write(&disk, sector, 2));
        assert!(disk.sync_data().is_err());
        assert_eq!(view(&disk), [2, 2, 2, 2, 1, 1, 1, 1], "memory still has it");
        write(&disk, 7, 3);
        disk.sync_data().expect("only one sync fails");
        disk.crash(&mut rng(seed), CrashStyle::Applied);
        assert_eq!(view(&disk)[4..], [1, 1, 1, 3]);
        kept += view(&disk).iter().filter(|sector| **sector == 2).count();
        lost += view(&disk)[..4]
            .iter()
            .filter(|sector| **sector == 1)
            .count();
    }
    assert!(kept > 40 && lost > 40, "kept {kept} and lost {lost} of 256");
}

#[test]
fn full_disk_cuts_a_write_short_and_does_not_grow() {
    let disk = disk();
    disk.fill(true);
    let error = disk.write(0, &[2; 4 * SECTOR]).expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(view(&disk), [2, 2, 1, 1, 1, 1, 1, 1]);
    assert!(disk.set_len(9 * SECTOR as u64).is_err());
    disk.set_len(4 * SECTOR as u64).expect("less is possible");
    disk.fill(false);
    disk.set_len(9 * SECTOR as u64).expect("room");
    assert_eq!(view(&disk), [2, 2, 1, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn reads_fail_the_given_number_of_times_and_at_bad_sectors() {
    let mut disk = disk();
    disk.fail_reads(2);
    assert!(read(&disk, 0).is_err() && read(&disk, 0).is_err() && read(&disk, 0).is_ok());
    disk.spoil_sector(3 * SECTOR + 9);
    assert!(read(&disk, 2).is_ok() && read(&disk, 3).is_err() && read(&disk, 4).is_ok());
    disk.crash(&mut rng(1), CrashStyle::Lost);
    assert!(read(&disk, 3).is_err(), "a bad sector outlives a crash");
    write(&disk, 3, 2);
    assert!(read(&disk, 3).is_ok(), "a write remaps the sector");
    let beyond = disk
        .read(8 * SECTOR as u64, &mut [0])
        .expect_err("beyond the end");
    assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    assert!(disk.write(8 * SECTOR as u64, &[0]).is_err());
}

#[test]
fn flipped_bit_is_visible_unless_a_pending_change_covers_it() {
    let bit = |sector: usize| ((sector * SECTOR + 7) * 8 + 2) as u64;
    let disk = disk();
    write(&disk, 2, 2);
    assert!(disk.flip_bit(bit(1)) && disk.flip_bit(bit(2)) && !disk.flip_bit(bit(8)));
    assert_eq!(view(&disk), [1, 5, 2, 1, 1, 1, 1, 1]);
    assert_eq!(durable(&disk), [1, 5, 5, 1, 1, 1, 1, 1]);
    disk.sync_data().expect("a sync");
    assert_eq!(durable(&disk), view(&disk));
    disk.flip_in_next_read(&mut rng(1));
    let mut out = [0; SECTOR];
    disk.read(0, &mut out).expect("a read");
    assert_eq!(
        out.iter().map(|byte| (byte ^ 1).count_ones()).sum::<u32>(),
        1
    );
    assert!(view(&disk) == [1, 5, 2, 1, 1, 1, 1, 1]);
}

#[test]
fn misdirected_write_changes_another_sector() {
    for seed in 0..32 {
        let disk = disk();
        disk.misdirect_next_write(&mut rng(seed));
        write(&disk, 3, 2);
        let after = view(&disk);
        assert!(
            after[3] == 1 && after.iter().filter(|sector| **sector == 2).count() == 1,
            "{after:?}"
        );
        write(&disk, 3, 4);
        assert_eq!(view(&disk)[3], 4, "only one write is misdirected");
    }
}

#[test]
fn lying_disk_confirms_syncs_that_it_skips() {
    let mut disk = disk();
    disk.set_ignores_syncs(true);
    write(&disk, 0, 2);
    disk.sync_data().expect("a confirmed sync");
    assert_eq!(durable(&disk), [1; 8]);
    disk.crash(&mut rng(1), CrashStyle::Lost);
    assert_eq!(view(&disk), [1; 8]);
}

#[test]
fn restored_image_replaces_the_whole_disk() {
    let mut disk = disk();
    let old = disk.image();
    write(&disk, 0, 2);
    disk.sync_data().expect("a sync");
    disk.put_back(old);
    assert_eq!((view(&disk), disk.unsynced()), (vec![1; 8], 0));
}

#[test]
fn oldest_change_beyond_the_bound_becomes_durable() {
    let disk = disk();
    disk.set_len(MAX_UNSYNCED as u64 / 2 + 8).expect("room");
    let half = vec![2; MAX_UNSYNCED / 2];
    for _ in 0..2 {
        disk.write(0, &half).expect("a write");
    }
    assert_eq!((disk.unsynced(), disk.image().len()), (3, 8 * SECTOR));
    disk.write(0, &[3]).expect("a write");
    assert_eq!((disk.unsynced(), disk.image()[0]), (2, 2));
}

#[test]
fn recording_holds_every_operation_in_order() {
    let disk = disk();
    disk.write(0, &[9]).expect("a write");
    disk.record();
    disk.write(5, &[2, 3]).expect("a write");
    disk.sync_data().expect("a sync");
    disk.set_len(3).expect("less");
    assert_eq!(disk.recorded(), 3);
    let expected = [
        Operation::Change(Change::Write {
            at: 5,
            bytes: vec![2, 3],
        }),
        Operation::Sync,
        Operation::Change(Change::Resize(3)),
    ];
    assert_eq!(disk.recording(), expected);
    assert!(disk.recording().is_empty());
}

#[test]
fn operations_and_faults_are_counted() {
    let mut disk = disk();
    write(&disk, 0, 2);
    disk.sync_data().expect("a sync");
    write(&disk, 0, 3);
    write(&disk, 0, 4);
    disk.crash_with(&[Fate::Applied]);
    let counters = disk.counters();
    let counted: Vec<_> = counters.iter().collect();
    assert_eq!(
        counted,
        [
            (Mark::DiskKeptChangeThatWasNotSynced, 1),
            (Mark::DiskLostChange, 1),
            (Mark::DiskLostPower, 1),
            (Mark::DiskSynced, 1),
            (Mark::DiskWrote, 3)
        ]
    );
}
