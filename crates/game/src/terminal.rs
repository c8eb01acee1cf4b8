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
        if write_to_terminal(line).is_err() {
            LOST_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(unix, feature = "client"))]
pub(crate) use self::capture::{hold_back_libraries, release_libraries};

#[cfg(all(unix, feature = "client"))]
fn write_to_terminal(line: &[u8]) -> io::Result<()> {
    capture::write_to_terminal(line)
}

#[cfg(not(all(unix, feature = "client")))]
fn write_to_terminal(line: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(line)
}

#[cfg(all(not(unix), feature = "client"))]
pub(crate) fn hold_back_libraries() {}

#[cfg(all(not(unix), feature = "client"))]
pub(crate) fn release_libraries(_show: bool) {}

/// Libraries in C print to standard error what concerns their developers while a renderer starts.
#[cfg(all(unix, feature = "client"))]
mod capture {
    use std::fs::File;
    use std::io::{self, Read, Seek, Write};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// While libraries are held back: standard error as it was, and what they print instead.
    struct Capture {
        terminal: File,
        held_back: File,
    }

    static CAPTURE: Mutex<Option<Capture>> = Mutex::new(None);

    fn lock() -> MutexGuard<'static, Option<Capture>> {
        CAPTURE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, what is printed to standard error is kept in a file, except the lines of this module.
    pub(crate) fn hold_back_libraries() {
        let capture = || -> io::Result<Capture> {
            let terminal = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?);
            let held_back = tempfile::tempfile()?;
            rustix::stdio::dup2_stderr(&held_back)?;
            Ok(Capture { terminal, held_back })
        };
        match capture() {
            Ok(capture) => *lock() = Some(capture),
            Err(error) => tracing::debug!(%error, "messages of libraries cannot be held back"),
        }
    }

    /// Ends that, if it was begun. What was held back is printed if `show`.
    pub(crate) fn release_libraries(show: bool) {
        let Some(mut capture) = lock().take() else { return };
        let _closed = rustix::stdio::dup2_stderr(&capture.terminal).is_err();
        let mut text = Vec::new();
        if show && capture.held_back.rewind().and_then(|()| capture.held_back.read_to_end(&mut text)).is_ok() {
            let _unread = capture.terminal.write_all(&text).is_err();
        }
    }

    pub(super) fn write_to_terminal(line: &[u8]) -> io::Result<()> {
        match &mut *lock() {
            Some(capture) => capture.terminal.write_all(line),
            None => io::stderr().lock().write_all(line),
        }
    }
}
