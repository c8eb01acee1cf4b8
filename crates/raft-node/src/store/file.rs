//! Production store of a node: one redb file.
//!
//! Decision: all parts of one write share one redb transaction with one flush. Why: a vote, an
//! entry and a snapshot cannot be reordered, and a crash leaves the file as it was before or after
//! the write, never between. redb's two-phase commit would flush twice; it protects against an
//! attacker who controls crashes, not against crashes. Would change if: damage to the newest commit
//! of a node that lost power had to be distinguished from a torn commit; redb then falls back to
//! the commit before, as it must for a torn one, and only the rollback guard ([`RedbStore::guard`])
//! can detect that.
//!
//! Decision: every open checks the whole file. Why: without an integrity check redb may panic on a
//! damaged file that was closed cleanly, and the log of a match is read whole at start anyway.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use raftian_raft::{
    Founding, HardState, Incarnation, Index, LogStart, NodeId, Restored, Write, WriteNumber,
};
use redb::{Database, Durability, StorageBackend, WriteTransaction};

use super::file_system::{FileSystem, Found, OsFileSystem, create_directories, directory_of};
use super::log_range::LogRange;
use super::reader::File;
use super::rollback_guard::{Acknowledged, Owner, RollbackGuard};
use super::schema::{
    CLUSTER_KEY, Counts, END_KEY, ENTRIES, FOUNDING_KEY, HARD_STATE_KEY, INCARNATION_KEY, META,
    NODE_KEY, PREVIOUS_INCARNATION_KEY, SCHEMA, SCHEMA_KEY, START_KEY, STATE, WRITES_KEY,
    WriteError, encode_with_checksum, entry_place,
};
use super::{Store, StoreError, snapshot};

/// Size of redb's page cache: 16 MiB. Log and snapshot are read once, at start, and then only
/// written, so more would be unused.
pub const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A node's durable state in one redb file. A write is durable when [`Store::submit`] returns.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    file: PathBuf,
    owner: Owner,
    incarnation: Incarnation,
    previous_incarnation: Option<Incarnation>,
    log_range: LogRange,
    counts: Counts,
    /// Rollback guard, raised after every write, if there is one.
    mark: Option<RollbackGuard>,
    /// Holds no more than the submissions since the last call of `completed`.
    completed: VecDeque<WriteNumber>,
    failed: Option<StoreError>,
}

/// Parameters of a new store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Creation {
    /// Incarnation of the new store, which no store of this node had before. Members identify each
    /// other's disks by it.
    pub incarnation: Incarnation,
    /// Whether the new store replaces one that was lost. Otherwise none is created where the mark
    /// shows that there was one.
    pub replaces_lost: bool,
}

impl Creation {
    /// Creates the first store of a node.
    pub fn first(incarnation: Incarnation) -> Self {
        Creation {
            incarnation,
            replaces_lost: false,
        }
    }

    /// Creates a store that replaces a lost one.
    pub fn replacement(incarnation: Incarnation) -> Self {
        Creation {
            incarnation,
            replaces_lost: true,
        }
    }
}

impl RedbStore {
    /// Opens the store of `node` of `cluster` in the file at `path`, and returns it with its
    /// contents. Creates the file, and the directories above it, if there is none; refuses a file
    /// of another node, cluster or schema, and a damaged one. `creation` determines the incarnation
    /// of a new file; an existing one keeps its own, which is part of the contents.
    ///
    /// `marked` is the file of its mark, of [`GUARD_BYTES`](super::GUARD_BYTES): see
    /// [`RedbStore::guard`]. If there is a mark and no store, the store was lost, and none is
    /// created unless `creation` replaces it. The mark should be in a directory that is not lost or
    /// copied together with the store's.
    pub fn open(
        path: &Path,
        marked: &Path,
        node: NodeId,
        cluster: &str,
        creation: Creation,
    ) -> Result<(RedbStore, Restored), StoreError> {
        Self::open_on(&OsFileSystem, path, marked, node, cluster, creation)
    }

    /// [`RedbStore::open`] on any file system, such as a simulated one.
    pub fn open_on(
        files: &impl FileSystem,
        path: &Path,
        marked: &Path,
        node: NodeId,
        cluster: &str,
        creation: Creation,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(path);
        match files.find(path).map_err(|error| place.no_access(error))? {
            Some(Found::Directory) => return Err(place.no_access("it is a directory")),
            Some(Found::File) => {}
            None => {
                // The mark is checked first: an empty store must not replace a lost one.
                refuse_lost(files, path, marked, &Owner::new(node, cluster), creation)?;
                create(files, path, node, cluster, creation.incarnation)?;
            }
        }
        let backend = files.open(path).map_err(|error| place.no_access(error))?;
        // redb would initialise an empty file as a new one, and this node would lose its vote.
        if backend.len().map_err(|error| place.no_access(error))? == 0 {
            return Err(place.damaged("the file", "it is empty"));
        }
        // The process that created it may have been killed between the rename and the sync.
        files
            .sync_directory(directory_of(path))
            .map_err(|error| place.no_access(error))?;
        let database = settings()
            .create_with_backend(backend)
            .map_err(|error| place.not_opened(error))?;
        let (mut store, restored) = Self::restore(database, path, node, cluster)?;
        // The mark must exist durably before the first write is acknowledged.
        let no_mark = |error: io::Error| File(marked).no_access(error);
        create_directories(files, directory_of(marked)).map_err(no_mark)?;
        store.guard(files.create(marked).map_err(no_mark)?, marked)?;
        files
            .sync_directory(directory_of(marked))
            .map_err(no_mark)?;
        Ok((store, restored))
    }

    /// Opens the store over any storage, such as a simulated disk; one of length zero is
    /// initialised, which is not safe against a crash. `label` names the file in errors.
    pub fn with_backend(
        backend: impl StorageBackend,
        label: &Path,
        node: NodeId,
        cluster: &str,
        incarnation: Incarnation,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(label);
        // Checked before redb opens the backend, which then is no longer empty.
        let empty = backend.len().map_err(|error| place.no_access(error))? == 0;
        let database = settings()
            .create_with_backend(backend)
            .map_err(|error| place.not_opened(error))?;
        if empty {
            initialise(&database, node, cluster, incarnation)
                .map_err(|reason| place.no_access(reason))?;
        }
        Self::restore(database, label, node, cluster)
    }

    /// Keeps a mark on `backend`, of [`GUARD_BYTES`](super::GUARD_BYTES), from now on: the number
    /// of writes that this store has acknowledged. The first write is recorded durably; later ones
    /// may be missing from the mark after a loss of power. A mark that is behind, of another node
    /// or cluster, or damaged is replaced. `label` names its file in errors.
    ///
    /// # Errors
    /// [`StoreError::Outdated`] if the mark records more writes than this store contains,
    /// [`StoreError::Foreign`] if it is of another incarnation of this node, unless that is the
    /// previous one.
    pub fn guard(&mut self, backend: impl StorageBackend, label: &Path) -> Result<(), StoreError> {
        let file = self.file.clone();
        let mark = label.to_owned();
        let no_access = |error: io::Error| File(label).no_access(error);
        // Before anything is written: the path may name a file that is no mark.
        Owner::check_size(&backend, label)?;
        let own = Acknowledged {
            incarnation: self.incarnation,
            writes: self.counts.writes,
        };
        if let Some(known) = self.owner.read(&backend).map_err(no_access)? {
            if known.incarnation != own.incarnation
                && Some(known.incarnation) != self.previous_incarnation
            {
                let found = own.incarnation.0.to_string();
                let expected = known.incarnation.0.to_string();
                return Err(StoreError::Foreign {
                    file,
                    what: "incarnation",
                    found,
                    expected,
                });
            }
            // Fewer are normal: without a flush the mark falls behind when power is lost.
            if known.writes > own.writes {
                return Err(StoreError::Outdated {
                    file,
                    mark,
                    found: own.writes,
                    acknowledged: known.writes,
                });
            }
        }
        self.mark =
            Some(RollbackGuard::begin(self.owner.clone(), own, backend).map_err(no_access)?);
        Ok(())
    }

    /// Records the founding of the cluster, durably. Call it before the first [`Store::submit`].
    ///
    /// # Errors
    /// Those of [`Store::submit`].
    pub fn record_founding(&mut self, founding: &Founding) -> Result<(), StoreError> {
        assert!(self.completed.is_empty(), "no write was submitted before");
        self.submit(Write {
            number: WriteNumber(0),
            hard_state: None,
            snapshot: None,
            start: None,
            discard: false,
            incarnation: None,
            founding: Some(founding.clone()),
            entries: Vec::new(),
        })?;
        self.completed.clear();
        Ok(())
    }

    fn restore(
        database: Database,
        file: &Path,
        node: NodeId,
        cluster: &str,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let place = File(file);
        place.identify(&database, node, cluster)?;
        let (restored, counts) = place.restored(&database)?;
        let previous_incarnation = place.previous_incarnation(&database)?;
        let store = RedbStore {
            database,
            file: file.to_owned(),
            owner: Owner::new(node, cluster),
            incarnation: restored.incarnation,
            previous_incarnation,
            log_range: LogRange::of(&restored),
            counts,
            mark: None,
            completed: VecDeque::new(),
            failed: None,
        };
        Ok((store, restored))
    }

    fn commit(&self, write: &Write, after: LogRange, counts: Counts) -> Result<(), WriteError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        if let Some(snapshot) = &write.snapshot {
            snapshot::put(&transaction, snapshot, counts.generation)?;
        }
        {
            let mut state = transaction.open_table(STATE)?;
            // Part of every transaction, so that the mark can be compared with the file.
            state.insert(
                WRITES_KEY,
                encode_with_checksum(WRITES_KEY, &counts.writes)?.as_slice(),
            )?;
            if let Some(hard_state) = &write.hard_state {
                state.insert(
                    HARD_STATE_KEY,
                    encode_with_checksum(HARD_STATE_KEY, hard_state)?.as_slice(),
                )?;
            }
            if let Some(start) = &write.start {
                state.insert(
                    START_KEY,
                    encode_with_checksum(START_KEY, start)?.as_slice(),
                )?;
            }
            if after.end != self.log_range.end {
                state.insert(
                    END_KEY,
                    encode_with_checksum(END_KEY, &after.end)?.as_slice(),
                )?;
            }
        }
        if let Some(founding) = &write.founding {
            let mut meta = transaction.open_table(META)?;
            meta.insert(
                FOUNDING_KEY,
                encode_with_checksum(FOUNDING_KEY, founding)?.as_slice(),
            )?;
        }
        if let Some(incarnation) = &write.incarnation {
            let mut meta = transaction.open_table(META)?;
            // After a crash the mark may still name the previous incarnation.
            let previous = encode_with_checksum(PREVIOUS_INCARNATION_KEY, &self.incarnation)?;
            meta.insert(PREVIOUS_INCARNATION_KEY, previous.as_slice())?;
            meta.insert(
                INCARNATION_KEY,
                encode_with_checksum(INCARNATION_KEY, incarnation)?.as_slice(),
            )?;
        }
        self.commit_entries(&transaction, write, after)?;
        transaction.commit()?;
        // The mark must never be ahead of the store: an intact store would then be refused.
        let confirmed = Acknowledged {
            incarnation: write.incarnation.unwrap_or(self.incarnation),
            writes: counts.writes,
        };
        if let Some(mark) = &self.mark {
            mark.set(confirmed)?;
            if write.incarnation.is_some() {
                // After a crash the mark has this incarnation or the previous one, and the store
                // records both.
                mark.sync()?;
            }
        }
        Ok(())
    }

    fn commit_entries(
        &self,
        transaction: &WriteTransaction,
        write: &Write,
        after: LogRange,
    ) -> Result<(), WriteError> {
        let LogRange { start, end, .. } = self.log_range;
        let replaced = write
            .entries
            .first()
            // A write without entries replaces none.
            .map_or(Index(u64::MAX), |first| first.index);
        let mut entries = transaction.open_table(ENTRIES)?;
        // All removals precede the inserts, which they would otherwise delete.
        if write.discard {
            entries.retain(|_, _| false)?;
        }
        if after.start > start {
            entries.retain_in(..=after.start.0, |_, _| false)?;
        }
        // Most writes append after the end, where a search for old entries would find none.
        if replaced <= end {
            entries.retain_in(replaced.0.., |_, _| false)?;
        }
        for entry in &write.entries {
            entries.insert(
                entry.index.0,
                encode_with_checksum(&entry_place(entry.index.0), entry)?.as_slice(),
            )?;
        }
        Ok(())
    }
}

impl Store for RedbStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // Before the transaction: a refused write leaves the file unchanged and the store usable.
        let after = self.log_range.after(&write)?;
        assert_ne!(
            write.incarnation,
            Some(self.incarnation),
            "an incarnation that begins differs from the one that ends"
        );
        let counts = Counts {
            generation: self.counts.generation + u64::from(write.snapshot.is_some()),
            writes: self.counts.writes + 1,
        };
        match self.commit(&write, after, counts) {
            Ok(()) => {
                self.log_range = after;
                self.counts = counts;
                if let Some(incarnation) = write.incarnation {
                    self.previous_incarnation = Some(self.incarnation);
                    self.incarnation = incarnation;
                }
                self.completed.push_back(write.number);
                Ok(())
            }
            Err(error) => {
                let error = StoreError::WriteFailed {
                    file: self.file.clone(),
                    number: write.number.0,
                    reason: error.to_string(),
                };
                // The contents of the file are unknown from here on, so no later write may succeed.
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.completed.pop_front().map(Ok)
    }
}

fn settings() -> redb::Builder {
    let mut settings = Database::builder();
    settings
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    settings
}

/// Refuses to create an empty store where this node lost one. A store that replaces the lost one is
/// of another incarnation; the mark of the earlier one is then removed, durably.
fn refuse_lost(
    files: &impl FileSystem,
    path: &Path,
    marked: &Path,
    owner: &Owner,
    creation: Creation,
) -> Result<(), StoreError> {
    let no_access = |error: io::Error| File(marked).no_access(error);
    let directory = directory_of(marked);
    // Without the directory there is no mark, and no removal to make durable.
    if files.find(directory).map_err(no_access)?.is_none() {
        return Ok(());
    }
    if files.find(marked).map_err(no_access)?.is_some() {
        let backend = files.open(marked).map_err(no_access)?;
        Owner::check_size(&backend, marked)?;
        let guarded = owner.read(&backend).map_err(no_access)?;
        // Some systems do not remove a file that is open.
        drop(backend);
        match guarded {
            // No member relies on a store that has acknowledged nothing, so one without
            // acknowledged writes may be created again.
            Some(Acknowledged {
                incarnation: guarded,
                writes: acknowledged,
            }) if acknowledged > 0
                && (guarded == creation.incarnation || !creation.replaces_lost) =>
            {
                return Err(StoreError::Lost {
                    file: path.to_owned(),
                    mark: marked.to_owned(),
                    acknowledged,
                });
            }
            Some(_) | None => files.remove(marked).map_err(no_access)?,
        }
    }
    // The sync is also needed if a killed process removed the mark: a mark that reappeared after a
    // loss of power would refuse the store that is about to be created.
    files.sync_directory(directory).map_err(no_access)
}

/// Writes a new store next to `path` and moves it there when it is complete, so that a crash never
/// leaves a partial file under the final name.
fn create(
    files: &impl FileSystem,
    path: &Path,
    node: NodeId,
    cluster: &str,
    incarnation: Incarnation,
) -> Result<(), StoreError> {
    let place = File(path);
    let no_access = |error: io::Error| place.no_access(error);
    let directory = directory_of(path);
    create_directories(files, directory).map_err(no_access)?;
    let mut unfinished = path.as_os_str().to_owned();
    // In the same directory: a rename across file systems would not be atomic.
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    // An earlier creation may have been interrupted by a crash.
    match files.remove(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(place.no_access(error)),
        _ => {}
    }
    let backend = files.create(unfinished).map_err(no_access)?;
    let database = settings()
        .create_with_backend(backend)
        .map_err(|error| place.not_opened(error))?;
    initialise(&database, node, cluster, incarnation).map_err(|error| place.no_access(error))?;
    database.close().map_err(|error| place.no_access(error))?;
    // The name becomes durable with the sync of the directory, which follows at every opening.
    files.rename(unfinished, path).map_err(no_access)
}

fn initialise(
    database: &Database,
    node: NodeId,
    cluster: &str,
    incarnation: Incarnation,
) -> Result<(), WriteError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(
            SCHEMA_KEY,
            encode_with_checksum(SCHEMA_KEY, &SCHEMA)?.as_slice(),
        )?;
        meta.insert(NODE_KEY, encode_with_checksum(NODE_KEY, &node)?.as_slice())?;
        meta.insert(
            CLUSTER_KEY,
            encode_with_checksum(CLUSTER_KEY, &cluster)?.as_slice(),
        )?;
        meta.insert(
            INCARNATION_KEY,
            encode_with_checksum(INCARNATION_KEY, &incarnation)?.as_slice(),
        )?;
        meta.insert(
            FOUNDING_KEY,
            encode_with_checksum(FOUNDING_KEY, &Founding::default())?.as_slice(),
        )?;
        let mut state = transaction.open_table(STATE)?;
        state.insert(
            HARD_STATE_KEY,
            encode_with_checksum(HARD_STATE_KEY, &HardState::default())?.as_slice(),
        )?;
        state.insert(
            START_KEY,
            encode_with_checksum(START_KEY, &LogStart::default())?.as_slice(),
        )?;
        state.insert(
            END_KEY,
            encode_with_checksum(END_KEY, &Index(0))?.as_slice(),
        )?;
        state.insert(
            WRITES_KEY,
            encode_with_checksum(WRITES_KEY, &0_u64)?.as_slice(),
        )?;
        // Creates the table: a file without it counts as damaged.
        transaction.open_table(ENTRIES)?;
    }
    snapshot::initialise(&transaction)?;
    transaction.commit()?;
    Ok(())
}
