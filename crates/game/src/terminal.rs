//! Lines on standard error. Writing one may fail, on a full disk or when the reader of a pipe has gone; that must not end
//! anything, so it is counted instead.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// Number of lines that could not be written to standard error since the program started.
#[must_use]
pub fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

/// Writes one line to standard error.
pub fn note(line: &str) {
    // One write, so that lines of several processes do not mix.
    let _counted = LogWriter::default().write_all(format!("{line}\n").as_bytes()).is_err();
}

/// A writer of log lines that never fails: what standard error does not take is counted by [`lost_lines`].
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter(());

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().lock().write_all(line).is_err() {
            LOST_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
