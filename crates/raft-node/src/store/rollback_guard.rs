//! The mark of a store: a file that records how many writes the store has acknowledged, so that an
//! older copy of it is detected.
//!
//! A store restored from a copy is intact and belongs to this node, and yet it has lost votes and
//! acknowledgements that other members rely on ("each server will vote for at most one candidate in
//! a given term", section 5.2). The same holds for a store on a disk that lost acknowledged writes,
//! and for one that was deleted.
//!
//! Decision: a small file of its own, written after every durable write and flushed only at the
//! start, after the first write of a store, when an incarnation begins, and at the end. Why: it may
//! fall behind when power is lost, but it is never ahead of the acknowledged writes, so an intact
//! store is never refused, and without a flush it costs a fraction of the write that it follows.
//! The flush after the first write separates a store that has acknowledged something from one that
//! has not: a lost store is never recreated, whenever power was lost. The guard detects nothing
//! where store and mark are restored together, as with the image of a whole machine, or where a
//! loss of power took the mark back as far as the copy: nothing on one machine can. Would change
//! if: peers recorded each other's progress.

use std::io;
use std::path::Path;

use raftian_raft::{Incarnation, NodeId};
use redb::StorageBackend;

use super::StoreError;
use super::checksum::{append_checksum, strip_checksum};
use super::reader::File;

/// Size of the file: two numbers of 64 bits, little-endian, and their checksum. They fit one
/// sector, which a disk writes atomically.
pub const GUARD_BYTES: usize = 24;

/// Contents of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Acknowledged {
    /// Incarnation of the node that the store belongs to.
    pub(super) incarnation: Incarnation,
    /// Number of acknowledged writes to that store.
    pub(super) writes: u64,
}

/// Owner of a mark; the mark of another node or cluster counts as none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owner(String);

impl Owner {
    pub(super) fn new(node: NodeId, cluster: &str) -> Self {
        Owner(format!("mark of {node} of {cluster}"))
    }

    /// Refuses a file of another size, which is not a mark. `file` names it in the error.
    pub(super) fn check_size(backend: &impl StorageBackend, file: &Path) -> Result<(), StoreError> {
        let size = backend.len().map_err(|error| File(file).no_access(error))?;
        // A new file is empty until the first mark is written.
        if size == 0 || size == GUARD_BYTES as u64 {
            return Ok(());
        }
        Err(StoreError::NotAMark {
            file: file.to_owned(),
            size,
        })
    }

    /// Reads the mark of this owner on `backend`; `None` if there is none, or a damaged one.
    pub(super) fn read(&self, backend: &impl StorageBackend) -> io::Result<Option<Acknowledged>> {
        // A new file is empty until the first mark is written.
        if backend.len()? < GUARD_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = [0; GUARD_BYTES];
        backend.read(0, &mut bytes)?;
        let numbers = strip_checksum(&self.0, &bytes)
            .and_then(|numbers| numbers.as_chunks().0.try_into().ok());
        Ok(numbers.map(|numbers: [[u8; 8]; 2]| {
            let [incarnation, writes] = numbers.map(u64::from_le_bytes);
            Acknowledged {
                incarnation: Incarnation(incarnation),
                writes,
            }
        }))
    }

    fn encode(&self, confirmed: Acknowledged) -> Vec<u8> {
        let numbers = [confirmed.incarnation.0, confirmed.writes].map(u64::to_le_bytes);
        let mark = append_checksum(&self.0, numbers.concat());
        assert_eq!(mark.len(), GUARD_BYTES, "every mark has the same size");
        mark
    }
}

/// Writer of a mark.
#[derive(Debug)]
pub(super) struct RollbackGuard {
    owner: Owner,
    backend: Box<dyn StorageBackend>,
}

impl RollbackGuard {
    /// Records `confirmed` on `backend`, durably.
    pub(super) fn begin(
        owner: Owner,
        confirmed: Acknowledged,
        backend: impl StorageBackend,
    ) -> io::Result<Self> {
        // A backend need not accept writes beyond its end.
        if backend.len()? != GUARD_BYTES as u64 {
            backend.set_len(GUARD_BYTES as u64)?;
        }
        let mark = RollbackGuard {
            owner,
            backend: Box::new(backend),
        };
        mark.write(confirmed)?;
        mark.sync()?;
        Ok(mark)
    }

    /// Records `confirmed`: durably for the first write, and for later ones when the operating
    /// system flushes them.
    pub(super) fn set(&self, confirmed: Acknowledged) -> io::Result<()> {
        assert!(confirmed.writes > 0, "the mark is set only after a write");
        self.write(confirmed)?;
        if confirmed.writes == 1 {
            self.sync()
        } else {
            Ok(())
        }
    }

    fn write(&self, confirmed: Acknowledged) -> io::Result<()> {
        self.backend.write(0, &self.owner.encode(confirmed))
    }

    /// Makes the recorded mark durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.backend.sync_data()
    }
}

impl Drop for RollbackGuard {
    fn drop(&mut self) {
        // Best effort: a mark that falls behind protects less, but refuses no intact store.
        let _ = self.backend.sync_data();
        let _ = self.backend.close();
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::file_system::{FileSystem, OsFileSystem};

    #[test]
    fn mark_is_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = || {
            OsFileSystem
                .create(&directory.path().join("mark"))
                .expect("not open elsewhere")
        };
        let owner = Owner::new(NodeId(1), "test");
        let confirmed = |writes| Acknowledged {
            incarnation: Incarnation(7),
            writes,
        };
        assert_eq!(owner.read(&file()).expect("readable"), None);
        let mark = RollbackGuard::begin(owner.clone(), confirmed(3), file()).expect("writable");
        mark.set(confirmed(5)).expect("writable");
        drop(mark);
        assert_eq!(owner.read(&file()).expect("readable"), Some(confirmed(5)));
        for other in [Owner::new(NodeId(2), "test"), Owner::new(NodeId(1), "best")] {
            assert_eq!(other.read(&file()).expect("readable"), None, "{other:?}");
        }
    }

    #[test]
    fn damaged_mark_counts_as_none() {
        let owner = Owner::new(NodeId(1), "test");
        let confirmed = Acknowledged {
            incarnation: Incarnation(2),
            writes: 9,
        };
        let encoded = owner.encode(confirmed);
        for flipped in 0..=GUARD_BYTES {
            let disk = InMemoryBackend::new();
            let mut bytes = encoded.clone();
            if let Some(byte) = bytes.get_mut(flipped) {
                *byte ^= 1;
            }
            disk.set_len(GUARD_BYTES as u64).expect("room");
            disk.write(0, &bytes).expect("room");
            let expected = (flipped == GUARD_BYTES).then_some(confirmed);
            assert_eq!(
                owner.read(&disk).expect("readable"),
                expected,
                "byte {flipped}"
            );
            disk.set_len(GUARD_BYTES as u64 - 1).expect("room");
            assert_eq!(owner.read(&disk).expect("readable"), None);
        }
    }
}
