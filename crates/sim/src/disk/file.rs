//! The real store on a simulated disk, and what it owes.

use std::path::Path;

use raftian_node::store::{MemoryStore, RedbStore, Store, StoreError};
use raftian_raft::{Incarnation, NodeId, Restored, Write, WriteNumber};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::crash::CrashStyle;
use super::sim_disk::SimDisk;
use super::store::Unusable;
use crate::invariants::Violation;

/// Name of the cluster in simulated files.
const CLUSTER: &str = "lab";

/// Most operations of a write that a cut of power waits for; a write without a snapshot takes
/// fewer, so that some are done before the cut comes.
const MAX_OPERATIONS: u64 = 24;

/// A store file on a simulated disk, and beside it what the file must hold.
#[derive(Debug)]
pub(super) struct StoreFile {
    id: NodeId,
    disk: SimDisk,
    /// The file beside it with the mark of what was confirmed.
    mark: SimDisk,
    /// `None` while the machine is off.
    store: Option<RedbStore>,
    /// What is durable as far as it was confirmed.
    owed: MemoryStore,
    /// The write that failed, or during which power was lost: it is done or it is not.
    doubted: Option<Write>,
    /// Writes in `owed`, counted here and not by the store.
    writes: u64,
}

impl StoreFile {
    /// A new file that durably holds `image`.
    pub(super) fn new(id: NodeId, image: Restored) -> Self {
        let (disk, mark) = (SimDisk::default(), SimDisk::default());
        let mut file = StoreFile {
            id,
            disk,
            mark,
            store: None,
            owed: MemoryStore::default(),
            doubted: None,
            writes: 0,
        };
        let (mut store, created) = file
            .open(&file.disk, image.incarnation)
            .expect("a new disk without faults");
        file.guard(&mut store, &file.mark)
            .expect("a new mark on a disk without faults");
        file.store = Some(store);
        file.owed = MemoryStore::holding(created);
        let first = Write {
            number: WriteNumber(0),
            hard_state: Some(image.hard_state),
            snapshot: image.snapshot,
            start: Some(image.start),
            discard: false,
            incarnation: None,
            entries: image.entries,
        };
        file.perform(first)
            .expect("an image that a store can hold, on a disk without faults");
        file
    }

    fn open(
        &self,
        disk: &SimDisk,
        incarnation: Incarnation,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let label = format!("disk of {}", self.id);
        RedbStore::with_backend(
            disk.clone(),
            Path::new(&label),
            self.id,
            CLUSTER,
            incarnation,
        )
    }

    fn guard(&self, store: &mut RedbStore, mark: &SimDisk) -> Result<(), StoreError> {
        store.guard(mark.clone(), Path::new(&format!("mark of {}", self.id)))
    }

    pub(super) fn image(&self) -> &Restored {
        self.owed.image()
    }

    pub(super) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// Performs one write. After an error nobody knows whether it is durable.
    pub(super) fn perform(&mut self, write: Write) -> Result<(), StoreError> {
        let store = self
            .store
            .as_mut()
            .expect("a machine that is off writes nothing");
        match store.submit(write.clone()) {
            Ok(()) => {
                store.completed();
                submit(&mut self.owed, write);
                self.writes += 1;
                Ok(())
            }
            // What a store refuses it has not begun.
            Err(error @ StoreError::WriteFailed { .. }) => {
                self.doubted = Some(write);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins `write` and loses power in the middle of it, or right behind it.
    pub(super) fn cut_short(&mut self, write: Write, rng: &mut ChaCha8Rng) {
        self.disk
            .cut_power_after(rng.random_range(0..=MAX_OPERATIONS));
        // It failed or it did not; what was owed or doubted says so.
        let _unheard = self.perform(write).is_err();
    }

    /// Power is lost.
    pub(super) fn crash(&mut self, rng: &mut ChaCha8Rng, style: CrashStyle) {
        self.disk.crash(rng, style);
        self.mark.crash(rng, style);
        self.store = None;
        self.resolve();
    }

    /// Power is lost, or was cut off after an orderly end; whatever was not synced is gone.
    pub(super) fn crash_between_writes(&mut self) {
        self.disk.crash_with(&[]);
        self.mark.crash_with(&[]);
        self.store = None;
        self.resolve();
    }

    /// The process dies, the machine does not.
    pub(super) fn kill(&mut self) {
        self.disk.kill();
        self.mark.kill();
        self.store = None;
    }

    /// The process ends in an orderly way and closes its file.
    pub(super) fn close(&mut self) {
        self.store = None;
        self.crash_between_writes();
    }

    /// Looks whether a doubtful write was done, at a copy, so that [`StoreFile::image`] is right
    /// before the next start.
    fn resolve(&mut self) {
        // If the copy cannot be opened, the start will say what is wrong.
        if self.doubted.is_some()
            && let Ok((_, restored)) =
                self.open(&SimDisk::holding(self.disk.image()), Incarnation::default())
        {
            self.decide(&restored);
        }
    }

    /// Whether the write in doubt was done, seen from what came back.
    fn decide(&mut self, restored: &Restored) {
        if let Some(write) = self.doubted.take() {
            let mut after = self.owed.clone();
            submit(&mut after, write);
            if after.image() == restored {
                self.owed = after;
                self.writes += 1;
            }
        }
    }

    /// How many writes it owes.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Whether the mark confirms more than `writes`, so that a copy with this many must be refused.
    /// Decodes the mark's bytes (incarnation and count, 64 bits each, little-endian) instead of
    /// calling the code under test.
    pub(super) fn confirmed_more_than(&self, writes: u64) -> bool {
        let mark = self.mark.image();
        let count = mark
            .get(8..16)
            .and_then(|count| count.try_into().ok())
            .map(u64::from_le_bytes);
        count.is_some_and(|confirmed| confirmed > writes)
    }

    /// Puts a former image in place of the store, and what was owed then. The mark stays.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>, owed: Restored, writes: u64) {
        self.disk.put_back(bytes);
        self.store = None;
        self.doubted = None;
        self.writes = writes;
        self.owed = MemoryStore::holding(owed);
    }

    /// Puts a former image in place of the mark.
    pub(super) fn put_back_guard(&mut self, bytes: Vec<u8>) {
        self.mark.put_back(bytes);
    }

    /// The bytes of the mark.
    pub(super) fn guard_image(&self) -> Vec<u8> {
        self.mark.image()
    }

    /// Opens the file again. "The store gives back what was durable": all of what it confirmed,
    /// nothing that it was not given, and of the write in doubt all or nothing. It is durable from
    /// then on: a node stands on what it was given.
    pub(super) fn restart(&mut self) -> Result<(), Unusable> {
        assert!(self.store.is_none(), "only a machine that is off can start");
        let (mut store, restored) = self
            .open(&self.disk, Incarnation::default())
            .map_err(Unusable::Refused)?;
        self.guard(&mut store, &self.mark)
            .map_err(Unusable::Refused)?;
        self.decide(&restored);
        self.compare("gives back", &restored)?;
        let (_, durable) = self
            .open(&SimDisk::holding(self.disk.image()), Incarnation::default())
            .map_err(Unusable::Refused)?;
        self.compare(
            "has started and would, if power were lost now, give back",
            &durable,
        )?;
        self.store = Some(store);
        Ok(())
    }

    fn compare(&self, how: &str, found: &Restored) -> Result<(), Unusable> {
        if found == self.owed.image() {
            return Ok(());
        }
        let what = format!("{} {how} {}", self.id, difference(found, self.owed.image()));
        Err(Unusable::Lied(Violation::new(
            "the store gives back what was durable",
            what,
        )))
    }
}

fn submit(model: &mut MemoryStore, write: Write) {
    model
        .submit(write)
        .expect("a write that the real store took or lost, and did not refuse");
    model.completed();
}

/// In which parts what came back differs from what was durable; a log is told by its borders.
fn difference(found: &Restored, owed: &Restored) -> String {
    let borders = |image: &Restored| {
        let last = image
            .entries
            .last()
            .map_or(image.start.position, raftian_raft::Entry::position);
        let covered = image.snapshot.as_ref().map(|snapshot| snapshot.position);
        format!(
            "{:?} of life {}, a snapshot at {covered:?}, entries after {} to {last}",
            image.hard_state, image.incarnation.0, image.start.position
        )
    };
    format!("{} instead of {}", borders(found), borders(owed))
}
