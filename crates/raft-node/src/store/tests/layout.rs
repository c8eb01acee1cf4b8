//! Files of another layout.

use super::*;
use crate::store::checksum::append_checksum;
use crate::wire;

/// Gives a closed store another layout: no state of the founding, and this schema.
fn change_layout(disk: &Disk, schema: u32) {
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
fn store_of_another_layout_is_refused_by_its_number() {
    for schema in [0, 3, 4, 5, SCHEMA + 1] {
        let disk = Disk::holding(written_disk());
        change_layout(&disk, schema);
        let error = disk.open().map(drop).expect_err("another layout");
        let text = error.to_string();
        assert!(
            matches!(&error, StoreError::Foreign { what: "schema", found, .. }
                if *found == schema.to_string()),
            "{text}"
        );
        for part in [
            format!("has schema {schema},"),
            format!("reads schema {SCHEMA};"),
            "use the build that wrote it".to_owned(),
        ] {
            assert!(text.contains(&part), "{text}");
        }
    }
}

/// In the present layout a missing founding would let a node found its match again.
#[test]
fn present_layout_without_a_founding_is_damaged() {
    let disk = Disk::default();
    drop(disk.open().expect("a new disk"));
    change_layout(&disk, SCHEMA);
    assert!(matches!(
        disk.open().map(drop),
        Err(StoreError::Damaged { .. })
    ));
}
