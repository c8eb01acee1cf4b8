//! Enumerates the crashes of the start after a crash, in which redb repairs the file.

use raftian_node::store::StoreError;
use raftian_raft::Restored;
use raftian_sim::disk::{Fate, Operation, SimDisk};
use rand::rngs::ChaCha8Rng;

use crate::enumerate::for_each_crash;
use crate::session::open;

/// Record of one start.
pub(crate) struct Repair {
    /// Disk before the start.
    pub(crate) image: Vec<u8>,
    /// Disk operations before the store was open.
    pub(crate) trace: Vec<Operation>,
    /// State of the opened store.
    pub(crate) given: Restored,
}

/// A crash after which a store held another state.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Number of operations of the repair before the crash.
    #[expect(dead_code, reason = "for the reader of a failure")]
    issued: usize,
    /// Fates of its changes since its last sync.
    #[expect(dead_code, reason = "for the reader of a failure")]
    fates: Vec<Fate>,
    pub(crate) found: Result<Restored, StoreError>,
}

impl Repair {
    /// Records the start from `image`.
    pub(crate) fn record(image: Vec<u8>) -> Result<Repair, StoreError> {
        let disk = SimDisk::holding(image.clone());
        disk.record();
        let (store, given) = open(&disk)?;
        let trace = disk.recording();
        drop(store);
        Ok(Repair {
            image,
            trace,
            given,
        })
    }

    /// Tries every crash of the start: the next start must return the same state. Returns the
    /// number of crashes.
    pub(crate) fn check(&self, rng: &mut ChaCha8Rng) -> Result<u64, Box<Mismatch>> {
        let mut crashes = 0;
        let mut wrong = None;
        let end = self.trace.len();
        for_each_crash(
            &self.image,
            &self.trace,
            &|issued| issued == end,
            rng,
            &mut |issued, image, fates, _| {
                crashes += 1;
                let found = open(&SimDisk::holding(image)).map(|(_, restored)| restored);
                if found.as_ref() != Ok(&self.given) {
                    wrong.get_or_insert_with(|| {
                        Box::new(Mismatch {
                            issued,
                            fates: fates.to_vec(),
                            found,
                        })
                    });
                }
            },
        );
        wrong.map_or(Ok(crashes), Err)
    }
}
