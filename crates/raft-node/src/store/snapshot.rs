//! Snapshots in the file: a head with the metadata, and the state in chunks.
//!
//! Decision: the state is split into chunks, each with a checksum of its own that covers its
//! snapshot and its place in it. Why: a snapshot may be larger than any value this build writes or
//! reads in one piece, an error names the place of the damage, and a chunk of an older snapshot or
//! of another place cannot pass for the expected one. Would change if: snapshots were sent from the
//! file instead of from memory; the chunks would then be those of the transfer.

use raftian_raft::{LogPosition, Membership, Snapshot, Stamp};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::checksum::{append_checksum, strip_checksum};
use super::log_range::MAX_SNAPSHOT;
use super::reader::File;
use super::schema::{STATE, WriteError, encode_with_checksum};

/// Bytes of the state in one chunk: 127 KiB. redb allocates in powers of two, so key, checksum and
/// page header take the rest of 128 KiB, and a chunk is small enough to be moved through any cache.
pub const CHUNK_BYTES: usize = 127 * 1024;

/// Chunks by the generation of their snapshot and their place in it.
const CHUNKS: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("snapshot chunks");

const HEAD_KEY: &str = "snapshot";

/// Metadata of the kept snapshot: everything but its state.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Generation of the snapshot, counted from 1; part of the key of its chunks.
    generation: u64,
    position: LogPosition,
    stamp: Stamp,
    membership: Membership,
    /// Bytes of the state; `None` if there is none, which is not the same as an empty one.
    size: Option<u64>,
}

/// Snapshot in the file, and its generation: zero if there is none.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) generation: u64,
    pub(super) snapshot: Option<Snapshot>,
}

/// Stores `snapshot` as that of `generation`, in place of the one before.
pub(super) fn put(
    transaction: &WriteTransaction,
    snapshot: &Snapshot,
    generation: u64,
) -> Result<(), WriteError> {
    let Snapshot {
        position,
        stamp,
        membership,
        data,
    } = snapshot;
    assert!(generation > 0, "generation 0 stands for no snapshot");
    // A start would refuse a larger one as damaged.
    assert!(
        snapshot.len() <= MAX_SNAPSHOT,
        "a snapshot above the limit is refused before it is written"
    );
    let size = data.as_ref().map(|data| data.len() as u64);
    let head = Head {
        generation,
        position: *position,
        stamp: *stamp,
        membership: membership.clone(),
        size,
    };
    transaction
        .open_table(STATE)?
        .insert(HEAD_KEY, encode_with_checksum(HEAD_KEY, &head)?.as_slice())?;
    // The store keeps one snapshot only.
    transaction.delete_table(CHUNKS)?;
    let mut chunks = transaction.open_table(CHUNKS)?;
    for (number, chunk) in (0..).zip(data.iter().flat_map(|data| data.chunks(CHUNK_BYTES))) {
        // The place includes the generation, so a chunk of an earlier snapshot cannot pass for this
        // one.
        let sealed = append_checksum(&chunk_place(generation, number), chunk.to_vec());
        chunks.insert((generation, number), sealed.as_slice())?;
    }
    Ok(())
}

/// Prepares a new file for snapshots.
pub(super) fn initialise(transaction: &WriteTransaction) -> Result<(), WriteError> {
    transaction.open_table(CHUNKS)?;
    Ok(())
}

/// Reads the snapshot in the file.
pub(super) fn get(
    file: File<'_>,
    read: &ReadTransaction,
    state: &ReadOnlyTable<&'static str, &'static [u8]>,
) -> Result<Kept, StoreError> {
    let head: Option<Head> = file.value_if_any(state, "state", HEAD_KEY)?;
    let chunks = read
        .open_table(CHUNKS)
        .map_err(|error| file.no_table("snapshot chunks", error))?;
    let generation = head.as_ref().map_or(0, |head| head.generation);
    // The next snapshot would overflow the generation.
    if generation == u64::MAX {
        return Err(file.damaged(
            &snapshot_place(generation),
            "it has a number that no snapshot can have",
        ));
    }
    let size = head.as_ref().and_then(|head| head.size).unwrap_or(0);
    let bytes = bytes(file, &chunks, generation, size)?;
    // The size distinguishes an empty state from none: neither has any chunk.
    let snapshot = head.map(
        |Head {
             position,
             stamp,
             membership,
             size,
             ..
         }| Snapshot {
            position,
            stamp,
            membership,
            data: size.map(|_| bytes.into()),
        },
    );
    Ok(Kept {
        generation,
        snapshot,
    })
}

/// Reads the `size` bytes in the chunks of `generation`. Any other chunk is damage.
fn bytes(
    file: File<'_>,
    chunks: &ReadOnlyTable<(u64, u64), &'static [u8]>,
    generation: u64,
    size: u64,
) -> Result<Vec<u8>, StoreError> {
    let size =
        usize::try_from(size)
            .ok()
            .filter(|size| *size <= MAX_SNAPSHOT)
            .ok_or_else(|| {
                file.damaged(
            &snapshot_place(generation),
            format!("it claims {size} bytes, more than the {MAX_SNAPSHOT} of the largest snapshot"),
        )
            })?;
    // A damaged size was refused above, so it cannot exhaust the memory.
    let mut bytes = Vec::with_capacity(size);
    let mut number = 0;
    for row in chunks
        .iter()
        .map_err(|error| file.database("table snapshot chunks", error))?
    {
        let (key, value) = row.map_err(|error| file.database("table snapshot chunks", error))?;
        let found = chunk_place(key.value().0, key.value().1);
        let place = chunk_place(generation, number);
        let expected = CHUNK_BYTES.min(size - bytes.len());
        // All bytes are read, so any further chunk is damage.
        if expected == 0 {
            let reason = format!(
                "it does not belong to {}, which is whole without it",
                snapshot_place(generation)
            );
            return Err(file.damaged(&found, reason));
        }
        if key.value() != (generation, number) {
            return Err(file.damaged(
                &place,
                format!("it is missing; there is {found} in its place"),
            ));
        }
        let chunk = strip_checksum(&place, value.value())
            .ok_or_else(|| file.damaged(&place, "its checksum does not match"))?;
        if chunk.len() != expected {
            return Err(file.damaged(
                &place,
                format!("it has {} bytes instead of {expected}", chunk.len()),
            ));
        }
        bytes.extend_from_slice(chunk);
        assert!(bytes.len() <= size, "no chunk exceeds the bytes expected");
        number += 1;
    }
    if bytes.len() != size {
        let reason = format!(
            "it is missing; {} of {size} bytes come before it",
            bytes.len()
        );
        return Err(file.damaged(&chunk_place(generation, number), reason));
    }
    Ok(bytes)
}

fn snapshot_place(generation: u64) -> String {
    format!("snapshot {generation}")
}

fn chunk_place(generation: u64, number: u64) -> String {
    format!("snapshot {generation}, chunk {number}")
}
