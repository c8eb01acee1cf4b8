//! The mark of a store: how many writes the store has confirmed, so that an older copy of it is
//! noticed.
//!
//! A store that is put back from a copy is sound and belongs to this node, and yet it has forgotten
//! votes and acknowledgements, which others count on ("each server will vote for at most one
//! candidate in a given term", section 5.2). So does a store whose disk lost what it had confirmed,
//! and one that was deleted.
//!
//! Decision: a small file of its own, written after every durable write and flushed only at the
//! start, after the first write of a store, when an incarnation begins, and at the end. Why: it may
//! fall behind when power is lost, but it is never ahead of what was confirmed, so a sound store is
//! never refused, and without a flush it costs a fraction of the write that it follows. The flush
//! after the first write is the difference between a store that has confirmed something and one
//! that has not: a store that was lost is never begun again, whenever power was lost. It notices
//! nothing where store and mark are put back together, as with the image of a whole machine, or
//! where lost power took the mark back as far as the copy: nothing on one machine can. Would change
//! if: peers remembered for each other how far each of them was.

use std::io;
use std::path::Path;

use raftian_raft::{Incarnation, NodeId};
use redb::StorageBackend;

use super::StoreError;
use super::checksum::{append_checksum, strip_checksum};
use super::validate::File;

/// Bytes of the file: two numbers of 64 bits, little-endian, and their checksum. They lie in one
/// sector, which a disk writes whole or not at all.
pub const GUARD_BYTES: usize = 24;

/// What a mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Confirmed {
    /// The life of the node whose store it was.
    pub(super) incarnation: Incarnation,
    /// Writes to that store which were confirmed.
    pub(super) writes: u64,
}

/// Whose mark it is; one of another node or cluster counts as none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owner(String);

impl Owner {
    pub(super) fn new(node: NodeId, cluster: &str) -> Self {
        Owner(format!("mark of {node} of {cluster}"))
    }

    /// Refuses a file of another size, which is not a mark. `file` stands for it in the error.
    pub(super) fn check_size(backend: &impl StorageBackend, file: &Path) -> Result<(), StoreError> {
        let size = backend.len().map_err(|error| File(file).no_access(error))?;
        if size == 0 || size == GUARD_BYTES as u64 {
            return Ok(());
        }
        Err(StoreError::NotAMark {
            file: file.to_owned(),
            size,
        })
    }

    /// The mark of this owner on `backend`; `None` if there is none, or one that is not whole.
    pub(super) fn read(&self, backend: &impl StorageBackend) -> io::Result<Option<Confirmed>> {
        if backend.len()? < GUARD_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = [0; GUARD_BYTES];
        backend.read(0, &mut bytes)?;
        let numbers = strip_checksum(&self.0, &bytes)
            .and_then(|numbers| numbers.as_chunks().0.try_into().ok());
        Ok(numbers.map(|numbers: [[u8; 8]; 2]| {
            let [incarnation, writes] = numbers.map(u64::from_le_bytes);
            Confirmed {
                incarnation: Incarnation(incarnation),
                writes,
            }
        }))
    }

    fn encode(&self, confirmed: Confirmed) -> Vec<u8> {
        let numbers = [confirmed.incarnation.0, confirmed.writes].map(u64::to_le_bytes);
        append_checksum(&self.0, numbers.concat())
    }
}

/// A mark that is kept up to date.
#[derive(Debug)]
pub(super) struct RollbackGuard {
    owner: Owner,
    backend: Box<dyn StorageBackend>,
}

impl RollbackGuard {
    /// Marks `confirmed` on `backend`, durably.
    pub(super) fn begin(
        owner: Owner,
        confirmed: Confirmed,
        backend: impl StorageBackend,
    ) -> io::Result<Self> {
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

    /// Marks what is confirmed: durable at once for the first write, and when the system gets to it
    /// for the others.
    pub(super) fn set(&self, confirmed: Confirmed) -> io::Result<()> {
        self.write(confirmed)?;
        if confirmed.writes == 1 {
            self.sync()
        } else {
            Ok(())
        }
    }

    fn write(&self, confirmed: Confirmed) -> io::Result<()> {
        self.backend.write(0, &self.owner.encode(confirmed))
    }

    /// Makes what was marked durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.backend.sync_data()
    }
}

impl Drop for RollbackGuard {
    fn drop(&mut self) {
        // Best effort: a mark that falls behind is weaker, not wrong.
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
    fn a_mark_is_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = || {
            OsFileSystem
                .create(&directory.path().join("mark"))
                .expect("nobody else has it open")
        };
        let owner = Owner::new(NodeId(1), "test");
        let confirmed = |writes| Confirmed {
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
    fn what_is_no_whole_mark_is_none() {
        let owner = Owner::new(NodeId(1), "test");
        let confirmed = Confirmed {
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
