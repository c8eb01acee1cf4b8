//! Layout of the store's file: its tables and keys, and the encoding of its values.

use redb::TableDefinition;
use serde::Serialize;

use super::checksum::append_checksum;
use crate::wire;

/// Version of the file's layout. A file of another version is refused, never interpreted or
/// converted.
pub const SCHEMA: u32 = 7;

pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
pub(super) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");

pub(super) const SCHEMA_KEY: &str = "schema";
pub(super) const NODE_KEY: &str = "node";
pub(super) const CLUSTER_KEY: &str = "cluster";
pub(super) const INCARNATION_KEY: &str = "incarnation";
/// Previous incarnation, if the node began another one: the mark may still name it.
pub(super) const PREVIOUS_INCARNATION_KEY: &str = "previous incarnation";
/// State of the founding of the cluster.
pub(super) const FOUNDING_KEY: &str = "founding";
pub(super) const HARD_STATE_KEY: &str = "hard state";
/// Beginning of the log.
pub(super) const START_KEY: &str = "start";
/// Index of the last entry: without it a log that lost its tail would look like a shorter log.
pub(super) const END_KEY: &str = "end";
/// Number of writes since the file was created.
pub(super) const WRITES_KEY: &str = "writes";

/// Counters of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// Generation of the newest snapshot; zero if there is none.
    pub(super) generation: u64,
    /// Writes since the file was created.
    pub(super) writes: u64,
}

/// Error inside one transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("{0}")]
    Database(Box<redb::Error>),
    #[error(transparent)]
    Encoding(#[from] wire::WireError),
}

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        WriteError::Database(Box::new(error.into()))
    }
}

pub(super) fn encode_with_checksum(
    place: &str,
    value: &impl Serialize,
) -> Result<Vec<u8>, wire::WireError> {
    Ok(append_checksum(place, wire::encode_value(value)?))
}

pub(super) fn entry_place(index: u64) -> String {
    format!("entry #{index}")
}
