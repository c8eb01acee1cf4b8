//! The physical limits: one copy in memory, and the same writes to a preallocated file.

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::timed;

/// Time of one copy of `bytes` bytes into memory that is already mapped.
pub(crate) fn copy(bytes: usize) -> Duration {
    let from = vec![0x5a; bytes];
    let mut to = vec![1; bytes];
    timed(|| black_box(&mut to).copy_from_slice(black_box(&from)))
}

/// A preallocated file, so that writes do not change its size.
pub(crate) struct Raw {
    file: File,
    bytes: Vec<u8>,
}

impl Raw {
    /// Creates a file of `bytes` bytes.
    pub(crate) fn new(directory: &Path, bytes: usize) -> Self {
        let mut file = tempfile::tempfile_in(directory).expect("a file next to the store");
        let bytes = vec![0x5a; bytes];
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .expect("the disk works");
        Raw { file, bytes }
    }

    /// Time of writes of these sizes, each synced. Together they must fit into the file.
    pub(crate) fn write(&mut self, sizes: &[usize]) -> Duration {
        self.file
            .seek(SeekFrom::Start(0))
            .expect("a file can be rewound");
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
