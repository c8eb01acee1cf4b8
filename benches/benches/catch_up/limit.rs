//! The physical limits: one copy in memory, and the same writes to a file that is already there.

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::timed;

/// One copy of so many bytes into memory that has been used before.
pub(crate) fn copy(bytes: usize) -> Duration {
    let (from, mut to) = (vec![0x5a; bytes], vec![1; bytes]);
    timed(|| black_box(&mut to).copy_from_slice(black_box(&from)))
}

/// A file that does not grow.
pub(crate) struct Raw {
    file: File,
    bytes: Vec<u8>,
}

impl Raw {
    /// A file with room for so many bytes.
    pub(crate) fn new(directory: &Path, bytes: usize) -> Self {
        let mut file = tempfile::tempfile_in(directory).expect("a file beside the store");
        let bytes = vec![0x5a; bytes];
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .expect("the disk works");
        Raw { file, bytes }
    }

    /// Writes of these sizes, each synced, which together fit the file.
    pub(crate) fn write(&mut self, sizes: &[usize]) -> Duration {
        self.file
            .seek(SeekFrom::Start(0))
            .expect("a file has a front");
        timed(|| {
            for size in sizes {
                let part = &self.bytes[..(*size).min(self.bytes.len())];
                self.file
                    .write_all(part)
                    .and_then(|()| self.file.sync_data())
                    .expect("the disk works");
            }
        })
    }
}
