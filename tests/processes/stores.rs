//! Stores that are damaged, lost, old or contradicted.

use std::path::Path;

use redb::{Database, TableDefinition};
use sha2::{Digest, Sha256};

use crate::cluster::{Cluster, eventually, raftian};
use crate::healths;

#[test]
fn damaged_store_is_named_and_refused() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    cluster.order(1, 1);
    cluster.terminate(1);
    let store = cluster.store(1);
    let mut bytes = std::fs::read(&store).expect("the store is a file");
    for byte in bytes.iter_mut().skip(4096) {
        *byte ^= 0x5a;
    }
    std::fs::write(&store, bytes).expect("the store can be written");
    let output = raftian(&["node", "--config", cluster.config(1)]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{words}");
    assert!(
        words.contains("raft.redb") && words.contains("damaged"),
        "{words}"
    );
}

/// Gives a store file another schema, as an earlier build wrote it: one byte and a checksum that
/// covers its key.
fn set_schema(store: &Path, schema: u8) {
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let mut hash = Sha256::new();
    hash.update(("schema".len() as u64).to_le_bytes());
    hash.update("schema");
    hash.update([schema]);
    let value = [&[schema][..], &hash.finalize()[..8]].concat();
    let database = Database::create(store).expect("the store is a database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut meta = transaction.open_table(meta).expect("the table exists");
        meta.insert("schema", &value[..])
            .expect("the table can be written");
    }
    transaction.commit().expect("a commit");
}

#[test]
fn store_of_another_schema_is_refused() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    cluster.order(1, 1);
    cluster.terminate(1);
    let store = cluster.store(1);
    for schema in [3, 4] {
        set_schema(&store, schema);
        let output = raftian(&["node", "--config", cluster.config(1)]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words}");
        assert!(
            words.contains("raft.redb") && words.contains(&format!("has schema {schema},")),
            "{words}"
        );
    }
}

/// A vote or an acknowledged order must not be lost with the disk that stored it: the member
/// refuses to start, and the others continue.
#[test]
fn member_with_a_lost_or_older_store_refuses_to_start() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let stray = leader % 3 + 1;
    cluster.order(leader, 1);
    cluster.kill(stray);
    let store = cluster.store(stray);
    let copy = std::fs::read(&store).expect("the store is a file");
    cluster.start(stray);
    cluster.order(leader, 2);
    let target = cluster.status(leader)["last_index"].as_u64();
    eventually("the member has the order too", || {
        cluster.status(stray)["last_index"].as_u64() >= target
    });
    cluster.kill(stray);
    let newest = std::fs::read(&store).expect("the store is a file");

    let refused = |word: &str| {
        let output = raftian(&["node", "--config", cluster.config(stray)]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{words}");
        assert!(
            words.contains("raft.redb") && words.contains(".mark") && words.contains(word),
            "{words}"
        );
    };
    std::fs::write(&store, copy).expect("the store can be written");
    refused("older");
    std::fs::remove_dir_all(store.parent().expect("it is in a directory"))
        .expect("it can be removed");
    refused("gone");
    cluster.order(leader, 3);

    // With its newest store restored, the member may start again.
    std::fs::create_dir(store.parent().expect("it was in a directory")).expect("it can be created");
    std::fs::write(&store, newest).expect("the store can be written");
    cluster.start(stray);
    cluster.order(stray, 4);
}

/// Standing and incarnation of `member` as seen by the member `by`.
fn standing(cluster: &Cluster, by: u64, member: u64) -> Option<(String, u64)> {
    let members = cluster.status(by)["membership"]["members"].clone();
    let member = members
        .as_array()?
        .iter()
        .find(|other| other["id"] == member)?
        .clone();
    Some((
        member["standing"].as_str()?.to_owned(),
        member["incarnation"].as_u64()?,
    ))
}

/// The machine of a member is set up again with the same file and key. Together with a member that
/// was down meanwhile it must not commit anything: two orders would be lost.
#[test]
fn new_store_under_a_member_does_not_count_until_a_leader_admits_it() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    cluster.order(1, 1);
    let (_, before) = standing(&cluster, 1, 3).expect("it is a member");
    cluster.terminate(1);
    cluster.order(2, 2);
    cluster.order(3, 2);
    cluster.terminate(2);
    cluster.terminate(3);
    cluster.lose_disk(3);
    cluster.start(1);
    cluster.start(3);
    eventually("the new store learns the founding members", || {
        cluster.status(3)["awaited_founders"].as_array() == Some(&Vec::new())
    });
    let refused = raftian(&[
        "order",
        "--config",
        cluster.config(1),
        "attack",
        "5",
        "--timeout",
        "3",
    ]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    cluster.start(2);
    cluster.leader();
    eventually("the new store votes under its own incarnation", || {
        standing(&cluster, 2, 3)
            .is_some_and(|(standing, incarnation)| standing == "voter" && incarnation != before)
    });
    cluster.order(3, 3);
    for id in 1..=3 {
        eventually("all orders are applied", || {
            healths(&cluster.status(id))[..4] == [70, 40, 70, 100]
        });
    }
}

/// The lists of some members are extended by hand. A store founded by three members must not take
/// part in a match of five, and the new ones alone found none.
#[test]
fn store_of_other_founders_than_the_file_lists_is_refused() {
    let mut cluster = Cluster::new(5);
    let five: Vec<_> = (1..=5).map(|id| cluster.file(id)).collect();
    for id in 1..=3 {
        cluster.list_members_before(id, 4);
        cluster.start(id);
    }
    cluster.leader();
    cluster.order(1, 1);
    cluster.terminate(3);
    cluster.write_file(3, &five[2]);
    let output = cluster.run_to_its_end(3);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(
        words.contains("founded by n1, n2, n3, but the configuration lists n1, n2, n3, n4, n5"),
        "{words}"
    );
    cluster.start(4);
    cluster.start(5);
    let refused = raftian(&[
        "order",
        "--config",
        cluster.config(4),
        "attack",
        "5",
        "--timeout",
        "3",
    ]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let text = raftian(&["status", "--config", cluster.config(4)]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("waits for raftian (n1), bob1 (n2), bob2 (n3)"),
        "{text}"
    );
    cluster.order(2, 1);
}

/// The machine itself cannot detect that both store and mark are old, but the leader remembers
/// later acknowledgements of the member.
#[test]
fn member_restored_from_a_backup_joins_again() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let restored = leader % 3 + 1;
    let other = restored % 3 + 1;
    cluster.order(leader, 1);
    let (_, before) = standing(&cluster, leader, restored).expect("it is a member");
    cluster.terminate(restored);
    let backup = cluster.back_up(restored);
    cluster.start(restored);
    for city in [2, 3, 4, 5] {
        cluster.order(leader, city);
    }
    let committed = cluster.status(leader)["commit"].as_u64();
    eventually("the member has acknowledged them", || {
        cluster.status(restored)["last_index"].as_u64() >= committed
    });
    cluster.terminate(restored);
    cluster.put_back(restored, &backup);
    cluster.start(restored);
    eventually("it votes again under another incarnation", || {
        standing(&cluster, leader, restored)
            .is_some_and(|(standing, incarnation)| standing == "voter" && incarnation != before)
    });
    // With `other` down, a commit needs the restored member's acknowledgement.
    cluster.kill(other);
    let order = cluster.order(leader, 1);
    assert_eq!(
        order["effect"].as_str(),
        Some("hit"),
        "two of three are a majority: {order}"
    );
    eventually("the restored member applies the order", || {
        healths(&cluster.status(restored)) == [40, 70, 70, 70, 70]
    });
}

/// Two of three machines are restored from backups and commit another history without the third.
/// The third has committed orders that the others lack, and must not rejoin them.
#[test]
fn node_with_contradicted_committed_orders_stops() {
    let mut cluster = Cluster::new(3);
    // A restart keeps only the snapshot's commit index, so the third member needs a snapshot.
    cluster.snapshot_every(8);
    cluster.start_all();
    for id in 1..=3 {
        cluster.terminate(id);
    }
    let backups = [1, 2].map(|id| cluster.back_up(id));
    cluster.start_all();
    for city in 1..=5 {
        (0..4).for_each(|_| drop(cluster.order(3, city)));
    }
    eventually("a snapshot covers some of them", || {
        cluster.status(3)["snapshot"].as_u64() >= Some(8)
    });
    for id in 1..=3 {
        cluster.terminate(id);
    }
    for (id, backup) in (1..).zip(&backups) {
        cluster.put_back(id, backup);
    }
    // Two restarts, so that the other history is in later terms.
    for _ in 0..2 {
        (1..=2).for_each(|id| cluster.start(id));
        cluster.leader();
        for id in 1..=2 {
            cluster.terminate(id);
        }
    }
    (1..=2).for_each(|id| cluster.start(id));
    cluster.order(1, 1);
    let output = cluster.run_to_its_end(3);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{words}");
    assert!(
        words.contains("is committed here") && words.contains(" leads with t"),
        "{words}"
    );
    cluster.order(2, 2);
}
