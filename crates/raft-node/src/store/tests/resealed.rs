//! Damage that the database cannot detect: rows changed through redb, with matching redb checksums,
//! so that only the store's own checks remain.

use std::collections::BTreeSet;
use std::mem::discriminant;

use redb::{ReadableDatabase, TableHandle};

use super::super::checksum::{append_checksum, strip_checksum};
use super::super::schema::encode_with_checksum;
use super::snapshots::compacted_history;
use super::*;

const TEXT_TABLES: [&str; 2] = ["meta", "state"];
const CHUNKS: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("snapshot chunks");

/// Writes of the history before the damage: the store then has entries of three terms and a
/// snapshot of three chunks.
const WRITES: usize = 6;

/// Maximum number of changed bytes per value, spread over the value.
const MAX_BYTES: usize = 12;

/// Key of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Row {
    Text(&'static str, String),
    Entry(u64),
    Chunk(u64, u64),
}

impl Row {
    /// Location of the row in errors.
    fn place(&self) -> String {
        match self {
            Row::Text(table, key) => format!("table {table}, key {key:?}"),
            Row::Entry(..) | Row::Chunk(..) => self.sealed_for(),
        }
    }

    /// Place that the checksum of the row covers.
    fn sealed_for(&self) -> String {
        match self {
            Row::Text(_, key) => key.clone(),
            Row::Entry(index) => format!("entry #{index}"),
            Row::Chunk(generation, number) => format!("snapshot {generation}, chunk {number}"),
        }
    }
}

/// Returns the bytes of a closed store after `writes` of the history, and all its rows.
fn store_after(writes: usize) -> (Vec<u8>, Vec<(Row, Vec<u8>)>) {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    compacted_history()
        .into_iter()
        .take(writes)
        .for_each(|write| submit(&mut store, write));
    drop(store);
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .expect("a sound database");
    let read = database.begin_read().expect("a transaction");
    let mut names: Vec<_> = read
        .list_tables()
        .expect("readable")
        .map(|table| table.name().to_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["entries", "meta", "snapshot chunks", "state"],
        "each table has its rows below"
    );
    let mut rows = Vec::new();
    for name in TEXT_TABLES {
        let table = read.open_table(text_table(name)).expect("a table");
        for row in table.iter().expect("readable") {
            let (key, value) = row.expect("readable");
            rows.push((
                Row::Text(name, key.value().to_owned()),
                value.value().to_vec(),
            ));
        }
    }
    for row in read
        .open_table(ENTRIES)
        .expect("a table")
        .iter()
        .expect("readable")
    {
        let (key, value) = row.expect("readable");
        rows.push((Row::Entry(key.value()), value.value().to_vec()));
    }
    for row in read
        .open_table(CHUNKS)
        .expect("a table")
        .iter()
        .expect("readable")
    {
        let (key, value) = row.expect("readable");
        rows.push((
            Row::Chunk(key.value().0, key.value().1),
            value.value().to_vec(),
        ));
    }
    drop(read);
    drop(database);
    let bytes = disk.lock().clone();
    (bytes, rows)
}

fn text_table(name: &'static str) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(name)
}

/// A disk with `bytes`, on which `change` was committed.
fn changed(bytes: &[u8], change: impl FnOnce(&redb::WriteTransaction)) -> Disk {
    let disk = Disk::holding(bytes.to_vec());
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .expect("a sound database");
    let transaction = database.begin_write().expect("a transaction");
    change(&transaction);
    transaction.commit().expect("a commit");
    drop(database);
    disk
}

/// A disk with `bytes`, on which `row` has `value`, or is gone.
fn with_row(bytes: &[u8], row: &Row, value: Option<&[u8]>) -> Disk {
    changed(bytes, |transaction| match row {
        Row::Text(table, key) => {
            let mut table = transaction.open_table(text_table(table)).expect("a table");
            match value {
                Some(value) => drop(table.insert(key.as_str(), value).expect("a change")),
                None => drop(table.remove(key.as_str()).expect("a change")),
            }
        }
        Row::Entry(index) => {
            let mut table = transaction.open_table(ENTRIES).expect("a table");
            match value {
                Some(value) => drop(table.insert(index, value).expect("a change")),
                None => drop(table.remove(index).expect("a change")),
            }
        }
        Row::Chunk(generation, number) => {
            let mut table = transaction.open_table(CHUNKS).expect("a table");
            match value {
                Some(value) => drop(
                    table
                        .insert((*generation, *number), value)
                        .expect("a change"),
                ),
                None => drop(table.remove((*generation, *number)).expect("a change")),
            }
        }
    })
}

/// Asserts that `disk` is refused as damaged, with `reason`, at `row`.
fn refused_at(row: &Row, disk: &Disk, expected: &str) {
    match disk.open().map(drop) {
        Err(StoreError::Damaged { place, reason, .. })
            if place == row.place() && reason == expected => {}
        other => panic!("{row:?}: {other:?}"),
    }
}

/// Returns at most [`MAX_BYTES`] places in `0..len`, including the first and the last.
fn spread(len: usize) -> BTreeSet<usize> {
    (0..MAX_BYTES)
        .map(|part| part * (len - 1) / (MAX_BYTES - 1))
        .collect()
}

#[test]
fn changed_value_is_refused_by_its_checksum() {
    let (bytes, rows) = store_after(WRITES);
    let kinds: Vec<_> = rows.iter().map(|(row, _)| discriminant(row)).collect();
    assert!(
        kinds.len() > 30
            && rows
                .iter()
                .filter(|(row, _)| matches!(row, Row::Chunk(..)))
                .count()
                == 3,
        "{rows:?}"
    );
    for (row, value) in &rows {
        for at in spread(value.len()) {
            let mut flipped = value.clone();
            flipped[at] ^= 1 << (at % 8);
            refused_at(
                row,
                &with_row(&bytes, row, Some(&flipped)),
                "its checksum does not match",
            );
        }
        let longer = [value.as_slice(), &[0]].concat();
        for length in [&[], &value[1..], &value[..value.len() - 1], &longer] {
            refused_at(
                row,
                &with_row(&bytes, row, Some(length)),
                "its checksum does not match",
            );
        }
    }
}

#[test]
fn misplaced_value_is_refused_by_its_checksum() {
    let (bytes, rows) = store_after(WRITES);
    for pair in rows.windows(2) {
        let [(row, value), (next, other)] = pair else {
            unreachable!("windows of two")
        };
        if discriminant(row) == discriminant(next) {
            refused_at(
                row,
                &with_row(&bytes, row, Some(other)),
                "its checksum does not match",
            );
            refused_at(
                next,
                &with_row(&bytes, next, Some(value)),
                "its checksum does not match",
            );
        }
    }
}

#[test]
fn missing_row_or_table_is_refused() {
    let (bytes, rows) = store_after(WRITES);
    for (row, _) in &rows {
        let found = with_row(&bytes, row, None).open().map(drop);
        assert!(
            matches!(found, Err(StoreError::Damaged { .. })),
            "{row:?}: {found:?}"
        );
    }
    for name in ["meta", "state", "entries", "snapshot chunks"] {
        let disk = changed(&bytes, |transaction| {
            let table: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(name);
            assert!(
                transaction
                    .delete_table(table)
                    .is_ok_and(|was_there| was_there)
                    || delete(transaction, name)
            );
        });
        let found = disk.open().map(drop);
        let is_named = matches!(&found, Err(StoreError::Damaged { place, .. }) if *place == format!("table {name}"));
        assert!(is_named, "{name}: {found:?}");
    }
}

/// Deletes a table with keys other than text.
fn delete(transaction: &redb::WriteTransaction, name: &str) -> bool {
    let deleted = match name {
        "entries" => transaction.delete_table(ENTRIES),
        _ => transaction.delete_table(CHUNKS),
    };
    deleted.expect("a table of this type")
}

#[test]
fn entry_after_the_end_is_refused() {
    let (bytes, _) = store_after(WRITES);
    let value = encode_with_checksum("entry #41", &entry(41, 4)).expect("small");
    let error = with_row(&bytes, &Row::Entry(41), Some(&value))
        .open()
        .map(drop)
        .expect_err("a longer log");
    assert!(
        error
            .to_string()
            .contains("should end at #40, but it ends at #41"),
        "{error}"
    );
}

/// Returns whether `found` equals `expected` except for the part that `row` belongs to.
fn differs_only_in(row: &Row, found: &Restored, expected: &Restored) -> bool {
    let mut repaired = found.clone();
    match row {
        Row::Text("meta", _) => repaired.incarnation = expected.incarnation,
        Row::Text(_, key) if key == "hard state" => repaired.hard_state = expected.hard_state,
        Row::Text(_, key) if key == "start" => repaired.start = expected.start,
        Row::Text(..) | Row::Chunk(..) => repaired.snapshot.clone_from(&expected.snapshot),
        Row::Entry(_) => repaired.entries.clone_from(&expected.entries),
    }
    repaired == *expected
}

/// No store wrote such a value, and its checksum is valid. Parsing it must not panic.
#[test]
fn forged_value_is_an_error_or_changes_only_its_part() {
    let (bytes, rows) = store_after(WRITES);
    let expected = Disk::holding(bytes.clone()).open().expect("a sound disk").1;
    let mut refused = 0;
    let mut taken = 0;
    // A few entries stand for all, which keeps the test short.
    let is_typical =
        |row: &Row| !matches!(row, Row::Entry(index) if ![16, 20, 30, 40].contains(index));
    for (row, value) in rows.iter().filter(|(row, _)| is_typical(row)) {
        let payload = strip_checksum(&row.sealed_for(), value).expect("a sound value");
        let mut changes: BTreeSet<_> = spread(payload.len())
            .into_iter()
            .flat_map(|at| [payload[at] ^ 1 << (at % 8), 0, u8::MAX].map(|byte| (at, byte)))
            .map(|(at, byte)| [&payload[..at], &[byte], &payload[at + 1..]].concat())
            .collect();
        changes.extend([
            vec![],
            payload[1..].to_vec(),
            [payload, &[0]].concat(),
            vec![u8::MAX; payload.len()],
        ]);
        // The original value is no forgery.
        changes.remove(payload);
        for changed in changes {
            match with_row(
                &bytes,
                row,
                Some(&append_checksum(&row.sealed_for(), changed.clone())),
            )
            .open()
            {
                Err(StoreError::Damaged { .. } | StoreError::Foreign { .. }) => refused += 1,
                Err(other) => panic!("{row:?} with {changed:?}: {other}"),
                Ok((mut store, found)) => {
                    taken += 1;
                    assert!(
                        differs_only_in(row, &found, &expected),
                        "{row:?} with {changed:?}: {found:?}"
                    );
                    let next = found
                        .entries
                        .last()
                        .map_or(found.start.position, Entry::position)
                        .index
                        .next();
                    // A write on top of a forged value must not panic either.
                    let _refused_or_not = store.submit(write(7, None, [entry(next.0, 9)]));
                }
            }
        }
    }
    assert!(
        refused > 100 && taken > 100,
        "{refused} refused, {taken} taken"
    );
}

#[test]
fn counter_at_its_maximum_is_refused() {
    let (bytes, rows) = store_after(WRITES);
    let row = Row::Text("state", "writes".to_owned());
    let disk = with_row(
        &bytes,
        &row,
        Some(&encode_with_checksum("writes", &u64::MAX).expect("small")),
    );
    refused_at(
        &row,
        &disk,
        "it counts 18446744073709551615 writes, more than any store can have",
    );
    // The generation is the first field of the head, a varint of one byte, 1.
    let row = Row::Text("state", "snapshot".to_owned());
    let value = &rows
        .iter()
        .find(|(found, _)| *found == row)
        .expect("there is a snapshot")
        .1;
    let head = strip_checksum("snapshot", value).expect("a sound value");
    assert_eq!(head[0], 1);
    let number = crate::wire::encode_value(&u64::MAX).expect("small");
    let head = append_checksum("snapshot", [number.as_slice(), &head[1..]].concat());
    let error = with_row(&bytes, &row, Some(&head))
        .open()
        .map(drop)
        .expect_err("no such snapshot")
        .to_string();
    assert!(
        error.contains("snapshot 18446744073709551615: it has a number that no snapshot can have"),
        "{error}"
    );
}

/// The limit of checksums per value, see the decision in [`crate::store`].
#[test]
fn older_value_passes_where_no_other_part_contradicts_it() {
    let (bytes, rows) = store_after(WRITES);
    let mut passed = BTreeSet::new();
    for writes in 0..WRITES {
        let (_, older) = store_after(writes);
        for (row, value) in older {
            let newest = rows.iter().find(|(newest, _)| *newest == row);
            if newest.is_none_or(|(_, newest)| *newest == value) {
                continue;
            }
            match with_row(&bytes, &row, Some(&value)).open() {
                Err(StoreError::Damaged { .. }) => {}
                Err(other) => panic!("{row:?} after write {writes}: {other}"),
                Ok(_) => drop(passed.insert(row.place())),
            }
        }
    }
    let passed: Vec<_> = passed.iter().map(String::as_str).collect();
    assert_eq!(
        passed,
        ["entry #18", "entry #25", "table state, key \"writes\""]
    );
}

/// A store with a lower count of writes is not damaged, but its mark detects the difference.
#[test]
fn older_count_of_writes_is_refused_by_the_mark() {
    let (bytes, _) = store_after(WRITES);
    let mark = Disk::default();
    let (mut store, _) = Disk::holding(bytes.clone()).open().expect("a sound disk");
    store
        .guard(mark.clone(), Path::new("mark"))
        .expect("a new mark");
    let row = Row::Text("state", "writes".to_owned());
    let disk = with_row(
        &bytes,
        &row,
        Some(&encode_with_checksum("writes", &5_u64).expect("small")),
    );
    let (mut store, _) = disk.open().expect("undetectable without the mark");
    let found = store.guard(mark, Path::new("mark"));
    assert!(
        matches!(
            found,
            Err(StoreError::Outdated {
                found: 5,
                acknowledged: 6,
                ..
            })
        ),
        "{found:?}"
    );
}
