//! The real store on a simulated disk, with a model of the state that it must hold.

use std::path::Path;

use raftian_node::store::{MemoryStore, RedbStore, Store, StoreError};
use raftian_raft::{Founding, Incarnation, NodeId, Restored, Write, WriteNumber};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::crash::CrashStyle;
use super::sim_disk::SimDisk;
use crate::invariants::Violation;

/// Name of the cluster in simulated files.
const CLUSTER: &str = "lab";

/// Maximum number of operations before a power cut in the middle of a write. A write without a
/// snapshot takes fewer, so that some writes finish before the cut.
const MAX_OPERATIONS: u64 = 24;

/// Reason why a machine cannot start from its disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// The store refused its file. Within the model of [`crate::disk`] that is as wrong as a false
    /// state: the machine is lost without need.
    Refused(StoreError),
    /// The store returned a state other than the durable one.
    Lied(Violation),
}

/// A store file on a simulated disk, with a model of the state that it must hold.
#[derive(Debug)]
pub(super) struct StoreFile {
    id: NodeId,
    disk: SimDisk,
    /// Disk of the mark file, which counts acknowledged writes.
    mark: SimDisk,
    /// `None` while the machine is off.
    store: Option<RedbStore>,
    /// State that the acknowledged writes must have made durable.
    owed: MemoryStore,
    /// The write that failed, or during which power was lost: it is durable or absent.
    doubted: Option<Write>,
    /// Number of writes in `owed`, counted independently of the store.
    writes: u64,
}

impl StoreFile {
    /// Creates a file that durably holds `image`.
    pub(super) fn new(id: NodeId, image: Restored) -> Self {
        let disk = SimDisk::default();
        let mark = SimDisk::default();
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
            .expect("a new disk has no faults");
        file.guard(&mut store, &file.mark)
            .expect("a new mark disk has no faults");
        file.store = Some(store);
        file.owed = MemoryStore::holding(created);
        let first = Write {
            number: WriteNumber(0),
            hard_state: Some(image.hard_state),
            snapshot: image.snapshot,
            start: Some(image.start),
            discard: false,
            incarnation: None,
            // A clean disk has none, and writing it would change the bytes of every disk.
            founding: (image.founding != Founding::default()).then_some(image.founding),
            entries: image.entries,
        };
        file.perform(first)
            .expect("the image is valid and the disk has no faults");
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

    /// Performs one write. After an error it is unknown whether the write is durable.
    pub(super) fn perform(&mut self, write: Write) -> Result<(), StoreError> {
        let store = self.store.as_mut().expect("only a running machine writes");
        match store.submit(write.clone()) {
            Ok(()) => {
                store.completed();
                submit(&mut self.owed, write);
                self.writes += 1;
                Ok(())
            }
            // Any other error is a refusal: the store has not begun the write.
            Err(error @ StoreError::WriteFailed { .. }) => {
                self.doubted = Some(write);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins `write` and cuts power in the middle of it, or right after it.
    pub(super) fn cut_short(&mut self, write: Write, rng: &mut ChaCha8Rng) {
        self.disk
            .cut_power_after(rng.random_range(0..=MAX_OPERATIONS));
        // `owed` or `doubted` records whether it succeeded.
        let _may_fail = self.perform(write).is_err();
    }

    /// Cuts power.
    pub(super) fn crash(&mut self, rng: &mut ChaCha8Rng, style: CrashStyle) {
        self.disk.crash(rng, style);
        self.mark.crash(rng, style);
        self.store = None;
        self.resolve();
    }

    /// Cuts power between two writes, or after a shutdown; changes that were not synced are lost.
    pub(super) fn crash_between_writes(&mut self) {
        self.disk.crash_with(&[]);
        self.mark.crash_with(&[]);
        self.store = None;
        self.resolve();
    }

    /// Kills the process but not the machine.
    pub(super) fn kill(&mut self) {
        self.disk.kill();
        self.mark.kill();
        self.store = None;
    }

    /// Shuts the process down in an orderly way and closes its file.
    pub(super) fn close(&mut self) {
        self.store = None;
        self.crash_between_writes();
    }

    /// Determines from a copy whether a doubtful write is durable, so that [`StoreFile::image`] is
    /// correct before the next start.
    fn resolve(&mut self) {
        // If the copy cannot be opened, the next start reports the reason.
        if self.doubted.is_some()
            && let Ok((_, restored)) =
                self.open(&SimDisk::holding(self.disk.image()), Incarnation::default())
        {
            self.decide(&restored);
        }
    }

    /// Determines from the restored state whether the doubtful write is durable.
    fn decide(&mut self, restored: &Restored) {
        if let Some(write) = self.doubted.take() {
            // The write is durable only if the restored state includes it; any third state is
            // left to `compare`, which reports it.
            let mut after = self.owed.clone();
            submit(&mut after, write);
            if after.image() == restored {
                self.owed = after;
                self.writes += 1;
            }
        }
    }

    /// Returns the number of writes that the file must hold.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Returns whether the mark records more than `writes` acknowledged writes, so that a copy with
    /// that many must be refused. Decodes the mark's bytes (incarnation and count, 64 bits each,
    /// little-endian) instead of calling the code under test.
    pub(super) fn confirmed_more_than(&self, writes: u64) -> bool {
        let mark = self.mark.image();
        let count = mark
            .get(8..16)
            .and_then(|count| count.try_into().ok())
            .map(u64::from_le_bytes);
        count.is_some_and(|confirmed| confirmed > writes)
    }

    /// Restores an earlier image of the store and its model. The mark stays.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>, owed: Restored, writes: u64) {
        self.disk.put_back(bytes);
        self.store = None;
        self.doubted = None;
        self.writes = writes;
        self.owed = MemoryStore::holding(owed);
    }

    /// Creates a new store of this incarnation in place of the present one, whose mark stays.
    ///
    /// # Errors
    /// The mark does not belong to the new store.
    pub(super) fn recreate_under_guard(
        &mut self,
        incarnation: Incarnation,
    ) -> Result<(), StoreError> {
        self.disk.put_back(Vec::new());
        let (mut store, _) = self.open(&self.disk, incarnation)?;
        self.guard(&mut store, &self.mark)
    }

    /// Restores an earlier image of the mark.
    pub(super) fn put_back_guard(&mut self, bytes: Vec<u8>) {
        self.mark.put_back(bytes);
    }

    /// Returns the bytes of the mark.
    pub(super) fn guard_image(&self) -> Vec<u8> {
        self.mark.image()
    }

    /// Opens the file again. The store must return the durable state: every acknowledged write,
    /// nothing that was never written, and all or nothing of the doubtful write. The returned state
    /// must be durable from then on, because the node relies on it.
    pub(super) fn restart(&mut self) -> Result<(), Unusable> {
        assert!(self.store.is_none(), "a running machine cannot start");
        let (mut store, restored) = self
            .open(&self.disk, Incarnation::default())
            .map_err(Unusable::Refused)?;
        self.guard(&mut store, &self.mark)
            .map_err(Unusable::Refused)?;
        self.decide(&restored);
        self.compare("returns", &restored)?;
        // A copy of the durable bytes shows whether that state would survive a power loss now.
        let (_, durable) = self
            .open(&SimDisk::holding(self.disk.image()), Incarnation::default())
            .map_err(Unusable::Refused)?;
        self.compare(
            "has started and, after a power loss now, would return",
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
            "the store returns the durable state",
            what,
        )))
    }
}

fn submit(model: &mut MemoryStore, write: Write) {
    model
        .submit(write)
        .expect("the real store did not refuse this write");
    model.completed();
}

/// Describes a restored state and the durable state; logs are described by their borders.
fn difference(found: &Restored, owed: &Restored) -> String {
    let borders = |image: &Restored| {
        let last = image
            .entries
            .last()
            .map_or(image.start.position, raftian_raft::Entry::position);
        let covered = image.snapshot.as_ref().map(|snapshot| snapshot.position);
        format!(
            "{:?} of incarnation {}, a snapshot at {covered:?}, entries after {} to {last}",
            image.hard_state, image.incarnation.0, image.start.position
        )
    };
    format!("{} instead of {}", borders(found), borders(owed))
}
