//! A simulated disk of bytes with injected faults.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

use super::change::{Change, Fate, SECTOR};
use super::crash::CrashStyle;
use super::media::{Faults, Media, Operation};
use crate::coverage::{Counters, Mark};

/// A handle to a simulated disk; clones share the disk. The only randomness is the RNG that the
/// caller passes.
///
/// A crash or a kill invalidates every clone made before it: they fail from then on. The handle on
/// which it was called stays valid.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    media: Arc<Mutex<Media>>,
    /// Generation of the process for which this handle was made.
    generation: u64,
}

impl SimDisk {
    /// Creates a disk that durably holds `image`.
    pub fn holding(image: Vec<u8>) -> Self {
        let media = Media {
            view: image.clone(),
            image,
            ..Media::default()
        };
        SimDisk {
            media: Arc::new(Mutex::new(media)),
            generation: 0,
        }
    }

    /// Returns the durable bytes: a crash that loses everything else leaves exactly these.
    pub fn image(&self) -> Vec<u8> {
        self.media().image.clone()
    }

    /// Replaces the whole contents of the disk by `image`, like an operator who restores an old
    /// copy while the machine is off.
    pub fn put_back(&mut self, image: Vec<u8>) {
        self.cut_power();
        let mut media = self.media();
        media.view.clone_from(&image);
        media.image = image;
        media.faults.bad_sectors.clear();
        media.counters.count(Mark::DiskPutOldImageBack);
    }

    /// Returns the counts of operations and faults on this disk.
    pub fn counters(&self) -> Counters {
        self.media().counters.clone()
    }

    /// Returns the number of changes that no sync has made durable.
    pub fn unsynced(&self) -> usize {
        self.media().changes.len()
    }

    /// Starts recording operations.
    pub fn record(&self) {
        self.media().recording = Some(Vec::new());
    }

    /// Stops recording and returns the operations since [`SimDisk::record`].
    pub fn recording(&self) -> Vec<Operation> {
        self.media().recording.take().unwrap_or_default()
    }

    /// Returns the number of recorded operations.
    pub fn recorded(&self) -> usize {
        self.media().recording.as_ref().map_or(0, Vec::len)
    }

    /// Cuts power; `style` and `rng` determine the fate of the changes that no sync made durable.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng, style: CrashStyle) {
        let fates = style.fates(&self.media().changes, rng);
        self.crash_with(&fates);
    }

    /// Cuts power and applies `fates` to the changes that no sync made durable; changes without one
    /// are lost.
    pub fn crash_with(&mut self, fates: &[Fate]) {
        self.media().settle(fates);
        self.cut_power();
    }

    /// Kills the process but not the machine: unsynced changes stay pending, and the next process
    /// reads them.
    pub fn kill(&mut self) {
        self.end_run();
        self.media().counters.count(Mark::DiskLostItsProcess);
    }

    fn cut_power(&mut self) {
        self.end_run();
        let mut media = self.media();
        media.changes.clear();
        media.unsynced = 0;
        media.view = media.image.clone();
        media.counters.count(Mark::DiskLostPower);
    }

    fn end_run(&mut self) {
        let mut media = self.media();
        media.generation += 1;
        // Faults of the disk itself survive; faults armed for a later operation do not.
        let Faults {
            syncs_lie,
            full,
            ref mut bad_sectors,
            ..
        } = media.faults;
        let bad_sectors = std::mem::take(bad_sectors);
        media.faults = Faults {
            syncs_lie,
            full,
            bad_sectors,
            ..Faults::default()
        };
        let generation = media.generation;
        drop(media);
        self.generation = generation;
    }

    /// Cuts power after `operations` more writes, syncs and changes of the length: every later
    /// operation fails. A following [`SimDisk::crash`] determines what is left.
    pub fn cut_power_after(&self, operations: u64) {
        self.media().faults.power_cut_in = Some(operations);
    }

    /// Makes the next sync fail. As in a crash, `rng` determines which of its changes are durable,
    /// lost or torn; reads still see all of them, and no later sync retries them.
    pub fn fail_next_sync(&self, rng: &mut ChaCha8Rng) {
        self.media().faults.next_sync_fails = Some(rng.random());
    }

    /// Returns whether a sync is set up to fail.
    pub fn will_fail(&self) -> bool {
        self.media().faults.next_sync_fails.is_some()
    }

    /// Cancels the failure of the next sync.
    pub fn spare_next_sync(&self) {
        self.media().faults.next_sync_fails = None;
    }

    /// Fills the disk or makes room. On a full disk a write is cut short and fails, and the disk
    /// cannot grow.
    pub fn fill(&self, full: bool) {
        self.media().faults.full = full;
    }

    /// Makes the next `count` reads fail.
    pub fn fail_reads(&self, count: u64) {
        self.media().faults.failing_reads = count;
    }

    /// Makes the sector with the byte `at` unreadable until it is written again.
    pub fn spoil_sector(&self, at: usize) {
        self.media().faults.bad_sectors.insert(at / SECTOR);
    }

    /// Flips one bit, drawn from `rng`, in the result of the next read; the disk itself is intact.
    /// Outside the model.
    pub fn flip_in_next_read(&self, rng: &mut ChaCha8Rng) {
        self.media().faults.next_read_flips = Some(rng.random());
    }

    /// Flips one bit of the disk permanently; `bit` counts from its start. Returns false if the
    /// disk is shorter. Outside the model.
    pub fn flip_bit(&self, bit: u64) -> bool {
        self.media().flip(bit)
    }

    /// Redirects the next write to another sector, drawn from `rng`. Outside the model.
    pub fn misdirect_next_write(&self, rng: &mut ChaCha8Rng) {
        self.media().faults.next_write_strays = Some(rng.random());
    }

    /// Makes the disk confirm syncs without performing them while `lies` is true. Outside the
    /// model.
    pub fn set_ignores_syncs(&self, lies: bool) {
        self.media().faults.syncs_lie = lies;
    }

    fn media(&self) -> MutexGuard<'_, Media> {
        self.media.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the disk, if this handle is of the present generation and there is power.
    fn powered(&self) -> io::Result<MutexGuard<'_, Media>> {
        let media = self.media();
        if media.generation != self.generation || media.faults.power_cut_in == Some(0) {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the power is off",
            ));
        }
        Ok(media)
    }

    /// Returns the disk, if there is power for one more operation.
    fn operate(&self) -> io::Result<MutexGuard<'_, Media>> {
        let mut media = self.powered()?;
        media.faults.power_cut_in = media.faults.power_cut_in.map(|left| left - 1);
        Ok(media)
    }
}

impl StorageBackend for SimDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered()?.view.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut media = self.powered()?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let Some(found) = at
            .checked_add(out.len())
            .and_then(|end| media.view.get(at..end))
        else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(found);
        let sectors = at / SECTOR..(at + out.len()).div_ceil(SECTOR);
        if media.faults.failing_reads > 0
            || media.faults.bad_sectors.range(sectors).next().is_some()
        {
            media.faults.failing_reads = media.faults.failing_reads.saturating_sub(1);
            media.counters.count(Mark::DiskFailedRead);
            return Err(io::Error::other("unreadable sector"));
        }
        if !out.is_empty()
            && let Some(chance) = media.faults.next_read_flips.take()
        {
            let bit = usize::try_from(chance % (out.len() as u64 * 8)).unwrap_or(0);
            out[bit / 8] ^= 1 << (bit % 8);
            media.counters.count(Mark::DiskFlippedBitInRead);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut media = self.operate()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        media.ask(|| Operation::Change(Change::Resize(len)));
        if media.faults.full && len > media.view.len() {
            media.counters.count(Mark::DiskWasFull);
            return Err(io::ErrorKind::StorageFull.into());
        }
        media.counters.count(Mark::DiskChangedLength);
        media.change(Change::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut media = self.operate()?;
        media.ask(|| Operation::Sync);
        if let Some(seed) = media.faults.next_sync_fails.take() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // As in a crash, some changes reach the disk; no later sync retries the others.
            let fates = CrashStyle::any(&mut rng).fates(&media.changes, &mut rng);
            media.settle(&fates);
            media.counters.count(Mark::DiskFailedSync);
            return Err(io::Error::other("the disk could not flush its cache"));
        }
        if media.faults.syncs_lie {
            media.counters.count(Mark::DiskConfirmedSyncItDidNotDo);
            return Ok(());
        }
        media.counters.count(Mark::DiskSynced);
        let Media {
            image,
            changes,
            unsynced,
            ..
        } = &mut *media;
        changes
            .drain(..)
            .for_each(|change| change.apply(image, &Fate::Applied));
        *unsynced = 0;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut media = self.operate()?;
        let mut at = usize::try_from(offset).map_err(io::Error::other)?;
        media.ask(|| {
            Operation::Change(Change::Write {
                at,
                bytes: data.to_vec(),
            })
        });
        if at
            .checked_add(data.len())
            .is_none_or(|end| end > media.view.len())
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "write beyond the end of the disk",
            ));
        }
        if media.faults.full {
            // A real disk may take part of the data before it reports that it is full.
            let sectors = data.len() / SECTOR / 2;
            media.change(Change::Write {
                at,
                bytes: data[..sectors * SECTOR].to_vec(),
            });
            media.counters.count(Mark::DiskWasFull);
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(chance) = media.faults.next_write_strays.take() {
            at = media.stray(at, chance);
            media.counters.count(Mark::DiskMisdirectedWrite);
        }
        media.counters.count(Mark::DiskWrote);
        media.change(Change::Write {
            at,
            bytes: data.to_vec(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
