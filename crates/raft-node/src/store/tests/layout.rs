//! Conversion of the earlier layout, which has no state of the founding.

use super::*;
use crate::store::checksum::append_checksum;
use crate::wire;

/// Gives a closed store the earlier layout.
fn make_earlier(disk: &Disk, schema: u32) {
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .expect("a sound database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let meta: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
        let mut meta = transaction.open_table(meta).expect("a table");
        meta.remove("founding").expect("writable");
        let value = wire::encode_value(&schema).expect("a number");
        meta.insert("schema", append_checksum("schema", value).as_slice())
            .expect("writable");
    }
    transaction.commit().expect("a commit");
}

#[test]
fn store_of_the_earlier_layout_is_converted_once() {
    let disk = Disk::default();
    let (mut store, _) = disk.open().expect("a new disk");
    write_history(&mut store);
    drop(store);
    make_earlier(&disk, SCHEMA - 1);
    let (mut store, restored) = disk.open().expect("the earlier layout");
    assert_eq!(restored, after_history());
    assert!(store.has_earlier_layout());
    let founders = Membership::new([NodeId(1), NodeId(2)]).expect("two founders");
    let founding = Founding::Agreed(founders);
    store.convert(&founding).expect("writable");
    assert!(!store.has_earlier_layout());
    drop(store);
    let (store, restored) = disk.open().expect("the present layout");
    assert!(!store.has_earlier_layout());
    let expected = Restored {
        founding,
        ..after_history()
    };
    assert_eq!(restored, expected);
}

#[test]
fn store_of_any_other_layout_is_refused() {
    for schema in [0, SCHEMA - 2, SCHEMA + 1] {
        let disk = Disk::default();
        drop(disk.open().expect("a new disk"));
        make_earlier(&disk, schema);
        assert!(matches!(
            disk.open().map(drop),
            Err(StoreError::Foreign { what: "schema", .. })
        ));
    }
}

/// In the present layout a missing founding would let a node found its match again.
#[test]
fn present_layout_without_a_founding_is_damaged() {
    let disk = Disk::default();
    drop(disk.open().expect("a new disk"));
    make_earlier(&disk, SCHEMA);
    assert!(matches!(
        disk.open().map(drop),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn incarnation_begun_before_the_first_write_is_kept() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("raft.redb");
    let (mut store, _) = open_file(&file).expect("a new file");
    store
        .begin_incarnation(Incarnation(8))
        .expect("the disk works");
    submit(&mut store, write(1, Some(vote(1, 1)), []));
    drop(store);
    let (_, restored) = open_file(&file).expect("the same file and its mark");
    assert_eq!(
        (restored.incarnation, restored.hard_state),
        (Incarnation(8), vote(1, 1))
    );
}
