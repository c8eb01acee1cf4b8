//! The store of a simulated machine: writes wait until the simulation has them done.

use std::collections::VecDeque;

use raftian_node::store::{MemoryStore, Store, StoreError, WRITE_QUEUE};
use raftian_raft::{Index, NodeId, Restored, Write, WriteNumber};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::crash::CrashStyle;
use super::file::StoreFile;
use super::sim_disk::SimDisk;
use crate::invariants::Violation;

/// A store whose writes take as long as the simulation likes.
///
/// A submitted write waits; [`DiskStore::complete`] performs the oldest, and only then
/// [`Store::completed`] tells of them. [`DiskStore::image`] is what a crash at this moment would
/// leave. At most [`WRITE_QUEUE`] writes wait, as with a real node's disk; one more is
/// [`StoreError::Hanging`].
#[derive(Debug)]
pub struct DiskStore {
    inner: Inner,
    waiting: VecDeque<Write>,
    /// Performed and not yet told; no more than were submitted since `completed` was last asked.
    reports: VecDeque<Result<WriteNumber, StoreError>>,
    failed: Option<StoreError>,
    held: bool,
}

/// Where the writes go.
#[derive(Debug)]
enum Inner {
    /// To memory that survives crashes: fast, and without faults of its own.
    Image(MemoryStore),
    /// To the real store on a disk of bytes.
    File(Box<StoreFile>),
}

/// A copy of everything on a disk, to be put back later.
#[derive(Clone, Debug)]
pub struct Backup {
    owed: Restored,
    /// The bytes, if it is a disk of bytes, and how many writes they hold.
    bytes: Option<(Vec<u8>, u64)>,
    /// The bytes of the rollback guard beside it.
    guard: Option<Vec<u8>>,
}

impl Backup {
    /// The last entry in it, or covered by its snapshot.
    #[must_use]
    pub fn last(&self) -> Index {
        self.owed
            .entries
            .last()
            .map_or(self.owed.start.position.index, |entry| entry.index)
    }

    /// The same bytes, of a disk that owes `owed`: what the machine confirmed since the copy was
    /// made stays confirmed.
    #[must_use]
    pub fn owing(&self, owed: &Restored) -> Backup {
        Backup {
            owed: owed.clone(),
            ..self.clone()
        }
    }
}

/// Why a machine cannot start from its disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// The store says so. Within the model of [`crate::disk`] that is as wrong as a contradiction: the
    /// machine is lost for no reason.
    Refused(StoreError),
    /// The store gave back something else than what was durable.
    Lied(Violation),
}

impl DiskStore {
    /// A store that keeps `image` in memory, and nothing can happen to it but crashes between
    /// writes.
    #[must_use]
    pub fn in_memory(image: Restored) -> Self {
        Self::with(Inner::Image(MemoryStore::holding(image)))
    }

    /// The real store of node `id` on a new simulated disk, holding `image`.
    ///
    /// # Panics
    /// If no store could hold `image`, because its parts contradict each other.
    #[must_use]
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

    /// What is durable: what a crash now would leave. After a failed write it may be that write
    /// too; the next crash decides it.
    #[must_use]
    pub fn image(&self) -> &Restored {
        match &self.inner {
            Inner::Image(store) => store.image(),
            Inner::File(file) => file.image(),
        }
    }

    /// The disk below, to make it fail; `None` if there are no bytes.
    #[must_use]
    pub fn disk(&self) -> Option<&SimDisk> {
        match &self.inner {
            Inner::Image(_) => None,
            Inner::File(file) => Some(file.disk()),
        }
    }

    /// How many writes wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// The writes that wait, oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Write> {
        self.waiting.iter()
    }

    /// Whether [`Store::completed`] has something to tell.
    #[must_use]
    pub(crate) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Marks the disk as one that does not answer, or one that does again. Nothing else happens:
    /// who drives the store asks [`DiskStore::is_held`] before it completes anything.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether the disk does not answer.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Performs the oldest `count` of the waiting writes, or all if there are fewer. Tells how many
    /// became durable; after one that failed none is performed any more.
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

    /// A crash between two writes: the oldest `kept` of the waiting writes were done without
    /// anybody hearing of it, the others are lost. The machine is off until [`DiskStore::restart`].
    pub fn crash(&mut self, kept: usize) {
        self.complete(kept);
        if let Inner::File(file) = &mut self.inner {
            file.crash_between_writes();
        }
        self.forget();
    }

    /// A crash in the middle of a write: as [`DiskStore::crash`], but something of the oldest write
    /// that is not kept may have reached the disk. `rng` and `style` decide what; after the next
    /// start it is done or it is not.
    pub fn crash_midway(&mut self, kept: usize, rng: &mut ChaCha8Rng, style: CrashStyle) {
        self.begin(kept, rng);
        if let Inner::File(file) = &mut self.inner {
            file.crash(rng, style);
        }
        self.forget();
    }

    /// The process dies in the middle of a write, as in [`DiskStore::crash_midway`], but the
    /// machine does not: what the write left in its memory is what the next process reads. Whether
    /// that write is done is open until [`DiskStore::restart`], or until [`DiskStore::crash`] takes
    /// the power too. After a failed sync it is open even then, because memory and disk differ and
    /// nobody can tell: such a machine must crash instead.
    pub fn kill_midway(&mut self, kept: usize, rng: &mut ChaCha8Rng) {
        self.begin(kept, rng);
        if let Inner::File(file) = &mut self.inner {
            file.kill();
        }
        self.forget();
    }

    /// Performs the oldest `kept` of the waiting writes, and of the next one as much as `rng` say.
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
                    store
                        .submit(write)
                        .expect("a write that the core asked for");
                    store.completed();
                }
            }
        }
    }

    /// The process ends in an orderly way: waiting writes are done, and the file is closed. The
    /// machine is off until [`DiskStore::restart`].
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

    /// Starts from the disk again, after a crash, an orderly end, or a [`DiskStore::put_back`].
    /// Gives what a node is given.
    ///
    /// # Errors
    /// If the store refuses its file, or gives back anything but what was durable.
    pub fn restart(&mut self) -> Result<&Restored, Unusable> {
        if let Inner::File(file) = &mut self.inner {
            file.restart()?;
        }
        Ok(self.image())
    }

    /// A copy of what is durable now.
    #[must_use]
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

    /// Whether a machine that is off would notice that this copy was put back: its mark, which is
    /// no part of the copy, tells of newer writes. Without bytes there is no mark.
    #[must_use]
    pub fn knows_newer_than(&self, backup: &Backup) -> bool {
        match (&self.inner, &backup.bytes) {
            (Inner::File(file), Some((_, writes))) => file.confirmed_more_than(*writes),
            (Inner::Image(_) | Inner::File(_), _) => false,
        }
    }

    /// Puts a copy back, as somebody who restores a store does: whatever the node promised since
    /// then is forgotten, by the store and not by the mark beside it. The machine is off until
    /// [`DiskStore::restart`].
    ///
    /// # Panics
    /// If it is a copy of the other kind of disk.
    pub fn put_back(&mut self, backup: &Backup) {
        match (&mut self.inner, &backup.bytes) {
            (Inner::Image(store), None) => *store = MemoryStore::holding(backup.owed.clone()),
            (Inner::File(file), Some((bytes, writes))) => {
                file.put_back(bytes.clone(), backup.owed.clone(), *writes)
            }
            (Inner::Image(_), Some(_)) | (Inner::File(_), None) => {
                panic!("a backup fits the kind of disk it is of")
            }
        }
        self.forget();
    }

    /// As [`DiskStore::put_back`], with the rollback guard beside the store.
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
