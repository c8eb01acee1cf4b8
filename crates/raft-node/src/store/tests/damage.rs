//! Damaged files: an error or no difference, never another state.

use super::*;

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
