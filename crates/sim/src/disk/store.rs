//! The store of a simulated machine: writes wait until the simulation completes them.

use std::collections::VecDeque;

use raftian_node::store::{MemoryStore, Store, StoreError, WRITE_QUEUE};
use raftian_raft::{Incarnation, Index, NodeId, Restored, Write, WriteNumber};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::crash::CrashStyle;
use super::file::{StoreFile, Unusable};
use super::sim_disk::SimDisk;

/// A store with write latency that the simulation controls.
///
/// A submitted write waits; [`DiskStore::complete`] performs the oldest, and only then
/// [`Store::completed`] reports them. [`DiskStore::image`] is the state that a crash now would
/// leave. At most [`WRITE_QUEUE`] writes wait, as on a real node's disk; one more fails with
/// [`StoreError::Hanging`].
#[derive(Debug)]
pub struct DiskStore {
    inner: Inner,
    waiting: VecDeque<Write>,
    /// Performed but not yet reported; at most those submitted since the last `completed` call.
    reports: VecDeque<Result<WriteNumber, StoreError>>,
    failed: Option<StoreError>,
    held: bool,
}

/// Target of the writes.
#[derive(Debug)]
enum Inner {
    /// Memory that survives crashes: fast and without faults of its own.
    Image(Box<MemoryStore>),
    /// The real store on a disk of bytes.
    File(Box<StoreFile>),
}

/// A copy of a whole disk, to be restored later.
#[derive(Clone, Debug)]
pub struct Backup {
    owed: Restored,
    /// The bytes and the number of writes in them, if it is a disk of bytes.
    bytes: Option<(Vec<u8>, u64)>,
    /// The bytes of the rollback guard.
    guard: Option<Vec<u8>>,
}

impl Backup {
    /// Returns the index of the last entry in it, or the last that its snapshot covers.
    pub fn last(&self) -> Index {
        self.owed
            .entries
            .last()
            .map_or(self.owed.start.position.index, |entry| entry.index)
    }

    /// Returns the same bytes for a disk that must hold `owed`: writes acknowledged since the copy
    /// was made stay acknowledged.
    pub fn owing(&self, owed: &Restored) -> Backup {
        Backup {
            owed: owed.clone(),
            ..self.clone()
        }
    }
}

impl DiskStore {
    /// Creates a store that keeps `image` in memory and has no faults except crashes.
    pub fn in_memory(image: Restored) -> Self {
        Self::with(Inner::Image(Box::new(MemoryStore::holding(image))))
    }

    /// Creates the real store of node `id` on a new simulated disk, holding `image`.
    ///
    /// # Panics
    /// If no store could hold `image` because its parts contradict each other.
    pub fn on_disk(id: NodeId, image: Restored) -> Self {
        Self::with(Inner::File(Box::new(StoreFile::new(id, image))))
    }

    fn with(inner: Inner) -> Self {
        DiskStore {
            inner,
            waiting: VecDeque::new(),
            reports: VecDeque::new(),
            failed: None,
            held: false,
        }
    }

    /// Returns the durable state, which a crash now would leave. After a failed write that write
    /// may be durable too; the next crash determines it.
    pub fn image(&self) -> &Restored {
        match &self.inner {
            Inner::Image(store) => store.image(),
            Inner::File(file) => file.image(),
        }
    }

    /// Returns the underlying disk for fault injection, or `None` if the store is in memory.
    pub fn disk(&self) -> Option<&SimDisk> {
        match &self.inner {
            Inner::Image(_) => None,
            Inner::File(file) => Some(file.disk()),
        }
    }

    /// Returns the number of waiting writes.
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the waiting writes, oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Write> {
        self.waiting.iter()
    }

    /// Returns whether [`Store::completed`] has something to report.
    pub(crate) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Marks the disk as held or released. This is only a flag: the caller must check
    /// [`DiskStore::is_held`] before it completes writes.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Returns whether the disk is held.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Performs the oldest `count` waiting writes, or all if there are fewer. Returns how many
    /// became durable; after a failed write no more are performed.
    pub fn complete(&mut self, count: usize) -> usize {
        let mut done = 0;
        while done < count
            && self.failed.is_none()
            && let Some(write) = self.waiting.pop_front()
        {
            let number = write.number;
            match self.perform(write) {
                Ok(()) => {
                    self.reports.push_back(Ok(number));
                    done += 1;
                }
                Err(error) => {
                    // The state of the disk is unknown now, so no later write may be performed.
                    self.failed = Some(error.clone());
                    self.reports.push_back(Err(error));
                }
            }
        }
        done
    }

    fn perform(&mut self, write: Write) -> Result<(), StoreError> {
        match &mut self.inner {
            Inner::Image(store) => store.submit(write).map(|()| drop(store.completed())),
            Inner::File(file) => file.perform(write),
        }
    }

    /// Crashes between two writes: the oldest `kept` waiting writes were performed but not
    /// reported, the others are lost. The machine is off until [`DiskStore::restart`].
    pub fn crash(&mut self, kept: usize) {
        self.complete(kept);
        if let Inner::File(file) = &mut self.inner {
            file.crash_between_writes();
        }
        self.forget();
    }

    /// Crashes in the middle of a write: like [`DiskStore::crash`], but part of the oldest write
    /// that is not kept may have reached the disk, as `rng` and `style` determine. After the next
    /// start that write is durable or absent.
    pub fn crash_midway(&mut self, kept: usize, rng: &mut ChaCha8Rng, style: CrashStyle) {
        self.begin(kept, rng);
        if let Inner::File(file) = &mut self.inner {
            file.crash(rng, style);
        }
        self.forget();
    }

    /// Kills the process in the middle of a write, like [`DiskStore::crash_midway`], but not the
    /// machine: the next process reads the data that the write left in its memory. The outcome of
    /// the write is open until [`DiskStore::restart`], or until [`DiskStore::crash`] cuts power
    /// too. After a failed sync it stays open even then, because memory and disk differ
    /// undetectably: such a machine must crash instead.
    pub fn kill_midway(&mut self, kept: usize, rng: &mut ChaCha8Rng) {
        self.begin(kept, rng);
        if let Inner::File(file) = &mut self.inner {
            file.kill();
        }
        self.forget();
    }

    /// Performs the oldest `kept` waiting writes and a part of the next, drawn from `rng`.
    fn begin(&mut self, kept: usize, rng: &mut ChaCha8Rng) {
        self.complete(kept);
        let next = if self.failed.is_none() {
            self.waiting.pop_front()
        } else {
            None
        };
        match (&mut self.inner, next) {
            (_, None) => {}
            (Inner::File(file), Some(write)) => file.cut_short(write, rng),
            (Inner::Image(store), Some(write)) => {
                if rng.random() {
                    store.submit(write).expect("a write of the core is valid");
                    store.completed();
                }
            }
        }
    }

    /// Shuts the process down in an orderly way: performs the waiting writes and closes the file.
    /// The machine is off until [`DiskStore::restart`].
    pub fn close(&mut self) {
        self.complete(usize::MAX);
        if let Inner::File(file) = &mut self.inner {
            file.close();
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.reports.clear();
        self.failed = None;
        self.held = false;
    }

    /// Starts from the disk again after a crash, a shutdown or a [`DiskStore::put_back`]. Returns
    /// the state from which a node starts.
    ///
    /// # Errors
    /// If the store refuses its file, or returns anything but the durable state.
    pub fn restart(&mut self) -> Result<&Restored, Unusable> {
        if let Inner::File(file) = &mut self.inner {
            file.restart()?;
        }
        Ok(self.image())
    }

    /// Returns a copy of the durable state.
    pub fn backup(&self) -> Backup {
        let (bytes, guard) = match &self.inner {
            Inner::Image(_) => (None, None),
            Inner::File(file) => (
                Some((file.disk().image(), file.writes())),
                Some(file.guard_image()),
            ),
        };
        Backup {
            owed: self.image().clone(),
            bytes,
            guard,
        }
    }

    /// Returns whether the store has a rollback guard that counts a write.
    pub(crate) fn is_guarded(&self) -> bool {
        match &self.inner {
            Inner::File(file) => file.confirmed_more_than(0),
            Inner::Image(_) => false,
        }
    }

    /// Creates a new store of this incarnation on the disk of a machine that is off, under the
    /// rollback guard of the store before. Returns the error with which it is refused.
    pub(crate) fn recreate_under_guard(&mut self, incarnation: Incarnation) -> Option<StoreError> {
        match &mut self.inner {
            Inner::File(file) => file.recreate_under_guard(incarnation).err(),
            Inner::Image(_) => None,
        }
    }

    /// Returns whether a machine that is off would detect that this copy was restored: its mark,
    /// which is not restored, records newer writes. A store in memory has no mark.
    pub fn knows_newer_than(&self, backup: &Backup) -> bool {
        match (&self.inner, &backup.bytes) {
            (Inner::File(file), Some((_, writes))) => file.confirmed_more_than(*writes),
            (Inner::Image(_) | Inner::File(_), _) => false,
        }
    }

    /// Restores a copy of the store but not of its mark, like an operator who restores a backup:
    /// the store loses every later acknowledged write. The machine is off until
    /// [`DiskStore::restart`].
    ///
    /// # Panics
    /// If it is a copy of the other kind of disk.
    pub fn put_back(&mut self, backup: &Backup) {
        match (&mut self.inner, &backup.bytes) {
            (Inner::Image(store), None) => **store = MemoryStore::holding(backup.owed.clone()),
            (Inner::File(file), Some((bytes, writes))) => {
                file.put_back(bytes.clone(), backup.owed.clone(), *writes)
            }
            (Inner::Image(_), Some(_)) | (Inner::File(_), None) => {
                panic!("the backup is of another kind of disk")
            }
        }
        self.forget();
    }

    /// Like [`DiskStore::put_back`], but restores the rollback guard too.
    ///
    /// # Panics
    /// If it is a copy of the other kind of disk.
    pub fn put_back_whole(&mut self, backup: &Backup) {
        self.put_back(backup);
        if let (Inner::File(file), Some(guard)) = (&mut self.inner, &backup.guard) {
            file.put_back_guard(guard.clone());
        }
    }
}

impl Store for DiskStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.waiting.len() >= WRITE_QUEUE {
            return Err(StoreError::Hanging);
        }
        self.waiting.push_back(write);
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.reports.pop_front()
    }
}

#[cfg(test)]
mod tests;
