//! The store of a real node: one redb file.
//!
//! Decision: term, vote and entries of one write share one redb transaction with one flush. Why: a vote and an entry
//! cannot be reordered, and a crash leaves the file as it was before or after the write, never between. redb's
//! two-phase commit would flush twice; what it buys is against an attacker who steers crashes, not against crashes.
//! Would change if: damage to the very newest commit of a node that lost power had to be told from a torn commit; redb
//! then falls back to the commit before, as it must for a torn one.
//!
//! Decision: every open checks the whole file. Why: redb may panic over a damaged file that was closed cleanly unless
//! it is asked to look first, and a log of a match is read whole at start anyway.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use raftian_raft::{Entry, HardState, Index, NodeId, Restored, Term, Write, WriteNumber};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::seal::{seal, unseal};
use super::{Store, StoreError, refuse_gap};
use crate::wire;

/// Version of the file's layout. A file of another version is refused, never guessed at.
pub const SCHEMA: u32 = 1;

/// Memory for redb's page cache: 16 MiB. The log is read once, at start, and then only appended to, so more would be
/// idle.
pub const CACHE_BYTES: usize = 16 * 1024 * 1024;

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");

const SCHEMA_KEY: &str = "schema";
const NODE_KEY: &str = "node";
const CLUSTER_KEY: &str = "cluster";
const HARD_STATE_KEY: &str = "hard state";
/// Index of the last entry: without it a log that lost its tail would look like a shorter log.
const END_KEY: &str = "end";

/// A node's durable state in one redb file. A write is durable when [`Store::submit`] returns.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    file: PathBuf,
    end: Index,
    /// Holds no more than the submissions since the last call of `completed`.
    completed: VecDeque<WriteNumber>,
    failed: Option<StoreError>,
}

impl RedbStore {
    /// The store of `node` of `cluster` in the file at `path`, and what it held. Creates the file, and the directories
    /// above it, if there is none; refuses a file of another node, cluster or schema, and one that is damaged.
    pub fn open(path: &Path, node: NodeId, cluster: &str) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(path);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(place.no_access("it is a directory")),
            // redb would take an empty file for a new one, and this node would forget its vote.
            Ok(found) if found.len() == 0 => return Err(place.damaged("the file", "it is empty")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, node, cluster)?,
            Err(error) => return Err(place.no_access(error)),
        }
        let database = settings().open(path).map_err(|error| place.not_opened(error))?;
        Self::restore(database, path, node, cluster)
    }

    /// The same store over any storage, such as a simulated disk; an empty one is initialised. `label` stands for the
    /// file in errors.
    pub fn with_backend(
        backend: impl StorageBackend,
        label: &Path,
        node: NodeId,
        cluster: &str,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(label);
        let empty = backend.len().map_err(|error| place.no_access(error))? == 0;
        let database = settings().create_with_backend(backend).map_err(|error| place.not_opened(error))?;
        // A crash during the first initialisation leaves a database without tables, which is as good as new.
        if empty || has_no_tables(&database).map_err(|error| place.database("the file", error))? {
            initialise(&database, node, cluster).map_err(|reason| place.no_access(reason))?;
        }
        Self::restore(database, label, node, cluster)
    }

    fn restore(
        database: Database,
        file: &Path,
        node: NodeId,
        cluster: &str,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(file);
        place.identify(&database, node, cluster)?;
        let restored = place.restored(&database)?;
        let end = restored.entries.last().map_or(Index(0), |entry| entry.index);
        let store = RedbStore { database, file: file.to_owned(), end, completed: VecDeque::new(), failed: None };
        Ok((store, restored))
    }

    fn commit(&self, write: &Write) -> Result<Index, WriteError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut end = self.end;
        {
            let mut state = transaction.open_table(STATE)?;
            if let Some(hard_state) = &write.hard_state {
                state.insert(HARD_STATE_KEY, sealed(HARD_STATE_KEY, hard_state)?.as_slice())?;
            }
            if let (Some(first), Some(last)) = (write.entries.first(), write.entries.last()) {
                let mut entries = transaction.open_table(ENTRIES)?;
                if first.index <= end {
                    entries.retain_in(first.index.0..=end.0, |_, _| false)?;
                }
                for entry in &write.entries {
                    entries.insert(entry.index.0, sealed(&entry_place(entry.index.0), entry)?.as_slice())?;
                }
                end = last.index;
                state.insert(END_KEY, sealed(END_KEY, &end)?.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(end)
    }
}

impl Store for RedbStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        refuse_gap(&write, self.end)?;
        match self.commit(&write) {
            Ok(end) => {
                self.end = end;
                self.completed.push_back(write.number);
                Ok(())
            }
            Err(error) => {
                let error = StoreError::WriteFailed {
                    file: self.file.clone(),
                    number: write.number.0,
                    reason: error.to_string(),
                };
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.completed.pop_front().map(Ok)
    }
}

/// What can go wrong inside one transaction.
#[derive(Debug, thiserror::Error)]
enum WriteError {
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

fn settings() -> redb::Builder {
    let mut settings = Database::builder();
    settings.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    settings
}

/// Writes a fresh store beside `path` and moves it there when it is whole, so that a crash never leaves half a file
/// under the final name.
fn create(path: &Path, node: NodeId, cluster: &str) -> Result<(), StoreError> {
    let place = File(path);
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory).map_err(|error| place.no_access(error))?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(place.no_access(error)),
        _ => {}
    }
    let database = settings().create(&unfinished).map_err(|error| place.not_opened(error))?;
    initialise(&database, node, cluster).map_err(|error| place.no_access(error))?;
    database.close().map_err(|error| place.no_access(error))?;
    fs::rename(&unfinished, path).map_err(|error| place.no_access(error))?;
    sync_directory(directory).map_err(|error| place.no_access(error))
}

/// Makes the names in `directory` durable; a file whose name is lost in a crash is lost.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Other systems cannot open a directory to flush it.
#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn initialise(database: &Database, node: NodeId, cluster: &str) -> Result<(), WriteError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(SCHEMA_KEY, sealed(SCHEMA_KEY, &SCHEMA)?.as_slice())?;
        meta.insert(NODE_KEY, sealed(NODE_KEY, &node)?.as_slice())?;
        meta.insert(CLUSTER_KEY, sealed(CLUSTER_KEY, &cluster)?.as_slice())?;
        let mut state = transaction.open_table(STATE)?;
        state.insert(HARD_STATE_KEY, sealed(HARD_STATE_KEY, &HardState::default())?.as_slice())?;
        state.insert(END_KEY, sealed(END_KEY, &Index(0))?.as_slice())?;
        transaction.open_table(ENTRIES)?;
    }
    transaction.commit()?;
    Ok(())
}

fn has_no_tables(database: &Database) -> Result<bool, redb::Error> {
    Ok(database.begin_read()?.list_tables()?.next().is_none())
}

fn sealed(place: &str, value: &impl Serialize) -> Result<Vec<u8>, wire::WireError> {
    Ok(seal(place, wire::encode_value(value)?))
}

fn entry_place(index: u64) -> String {
    format!("entry #{index}")
}

/// The file under examination, so that each complaint names it.
#[derive(Clone, Copy)]
struct File<'a>(&'a Path);

impl File<'_> {
    fn identify(self, database: &Database, node: NodeId, cluster: &str) -> Result<(), StoreError> {
        let read = database.begin_read().map_err(|error| self.database("the file", error))?;
        let meta = read.open_table(META).map_err(|error| self.no_table("meta", error))?;
        let schema: u32 = self.value(&meta, "meta", SCHEMA_KEY)?;
        if schema != SCHEMA {
            return Err(self.foreign("schema", schema.to_string(), SCHEMA.to_string()));
        }
        let found: String = self.value(&meta, "meta", CLUSTER_KEY)?;
        if found != cluster {
            return Err(self.foreign("cluster", found, cluster.to_owned()));
        }
        let found: NodeId = self.value(&meta, "meta", NODE_KEY)?;
        if found != node { Err(self.foreign("node", found.to_string(), node.to_string())) } else { Ok(()) }
    }

    fn restored(self, database: &Database) -> Result<Restored, StoreError> {
        let read = database.begin_read().map_err(|error| self.database("the file", error))?;
        let state = read.open_table(STATE).map_err(|error| self.no_table("state", error))?;
        let hard_state: HardState = self.value(&state, "state", HARD_STATE_KEY)?;
        let end: Index = self.value(&state, "state", END_KEY)?;
        let table = read.open_table(ENTRIES).map_err(|error| self.no_table("entries", error))?;
        let mut entries: Vec<Entry> = Vec::new();
        for row in table.iter().map_err(|error| self.database("table entries", error))? {
            let (key, value) = row.map_err(|error| self.database("table entries", error))?;
            let expected = entries.last().map_or(Index(1), |last| last.index.next());
            let newest = entries.last().map_or(Term(0), |last| last.term);
            let entry = self.entry(key.value(), value.value(), expected, newest)?;
            entries.push(entry);
        }
        let last = entries.last().map_or(Index(0), |entry| entry.index);
        if last != end {
            return Err(self.damaged("table entries", format!("the log should end at {end}, but it ends at {last}")));
        }
        if let Some(entry) = entries.last().filter(|entry| entry.term > hard_state.term) {
            let reason = format!("its term {} is later than the node's own {}", entry.term, hard_state.term);
            return Err(self.damaged(&entry_place(entry.index.0), reason));
        }
        Ok(Restored { hard_state, entries })
    }

    /// One entry, which must be the one after its predecessor: `expected`, of no earlier term than `newest`.
    fn entry(self, key: u64, sealed: &[u8], expected: Index, newest: Term) -> Result<Entry, StoreError> {
        let place = entry_place(key);
        if key != expected.0 {
            return Err(self.damaged(&entry_place(expected.0), format!("it is missing; the next one is #{key}")));
        }
        let entry: Entry = self.open_seal(&place, &place, sealed)?;
        if entry.index != expected {
            return Err(self.damaged(&place, format!("it says that it is {}", entry.index)));
        }
        if entry.term < newest {
            return Err(self.damaged(&place, format!("its term {} is earlier than {newest} before it", entry.term)));
        }
        Ok(entry)
    }

    fn value<T: DeserializeOwned>(
        self,
        table: &redb::ReadOnlyTable<&'static str, &'static [u8]>,
        name: &str,
        key: &str,
    ) -> Result<T, StoreError> {
        let place = format!("table {name}, key {key:?}");
        match table.get(key).map_err(|error| self.database(&place, error))? {
            Some(sealed) => self.open_seal(&place, key, sealed.value()),
            None => Err(self.damaged(&place, "it is missing")),
        }
    }

    fn open_seal<T: DeserializeOwned>(self, place: &str, sealed_for: &str, sealed: &[u8]) -> Result<T, StoreError> {
        let value = unseal(sealed_for, sealed).ok_or_else(|| self.damaged(place, "its checksum does not match"))?;
        wire::decode_value(value).map_err(|error| self.damaged(place, error))
    }

    fn no_table(self, name: &str, error: TableError) -> StoreError {
        match error {
            TableError::TableDoesNotExist(_) => {
                self.damaged(&format!("table {name}"), "it is missing, so this is no store of a node")
            }
            error => self.database(&format!("table {name}"), error),
        }
    }

    /// What redb says when it cannot open the file.
    fn not_opened(self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { file: self.0.to_owned() },
            error => self.database("the file", error),
        }
    }

    /// What redb says about the bytes at `place`: the fault of the disk's contents, or of the way to them.
    fn database(self, place: &str, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Io(error)
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                self.no_access(error)
            }
            error => self.damaged(place, error),
        }
    }

    fn no_access(self, reason: impl ToString) -> StoreError {
        StoreError::NoAccess { file: self.0.to_owned(), reason: reason.to_string() }
    }

    fn damaged(self, place: &str, reason: impl ToString) -> StoreError {
        StoreError::Damaged { file: self.0.to_owned(), place: place.to_owned(), reason: reason.to_string() }
    }

    fn foreign(self, what: &'static str, found: String, expected: String) -> StoreError {
        StoreError::Foreign { file: self.0.to_owned(), what, found, expected }
    }
}
