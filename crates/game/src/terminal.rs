//! Lines on standard error. A write may fail, on a full disk or after the reader of a pipe has
//! gone, or block, when the reader stalls. Neither may delay the program, so a separate thread
//! writes, and lines it cannot take are counted.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Maximum number of queued lines. Beyond it lines are lost.
const QUEUE: usize = 1024;

/// Longest wait for the last lines at the end of the program.
const FLUSH_WAIT: Duration = Duration::from_millis(200);

static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// The queue of the writing thread.
static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();

enum Message {
    Text(Vec<u8>),
    /// Acknowledged when all lines before it are written.
    Flush(SyncSender<()>),
}

/// Number of lines that could not be written to standard error since the program started.
pub fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

/// Writes one line to standard error.
pub fn note(line: &str) {
    send(format!("{line}\n").into_bytes());
}

/// Waits briefly until all lines are written. Must be called before the program ends.
pub fn flush() {
    let (written, wait) = sync_channel(1);
    if writer().try_send(Message::Flush(written)).is_ok() {
        let _blocked = wait.recv_timeout(FLUSH_WAIT).is_err();
    }
}

/// A writer of log lines that never fails and never blocks: lines that standard error does not take
/// are counted by [`lost_lines`].
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter(());

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(text: Vec<u8>) {
    // A full queue must not block the caller.
    if writer().try_send(Message::Text(text)).is_err() {
        LOST_LINES.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the queue of the writing thread, which starts with the first line. If the thread cannot
/// be started, the queue is closed.
fn writer() -> &'static SyncSender<Message> {
    WRITER.get_or_init(|| {
        let (queue, messages) = sync_channel(QUEUE);
        // Duplicated with the first line, before standard error can be redirected.
        let terminal = terminal();
        let started = std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || write(terminal, &messages));
        if let Err(error) = started {
            let _unread = writeln!(
                io::stderr(),
                "raftian: cannot start the log thread: {error}"
            )
            .is_err();
        }
        queue
    })
}

fn write(mut terminal: impl Write, messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Text(text) => {
                if terminal.write_all(&text).is_err() {
                    LOST_LINES.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(written) => {
                let _no_longer_waits = written.try_send(()).is_err();
            }
        }
    }
}

/// Returns a duplicate of the current standard error, separate from the standard library's, whose
/// lock a blocked write would hold.
#[cfg(unix)]
fn terminal() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd;
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(std::fs::File::from(own)),
        Err(_) => Box::new(io::stderr()),
    }
}

#[cfg(not(unix))]
fn terminal() -> Box<dyn Write + Send> {
    Box::new(io::stderr())
}

#[cfg(all(unix, feature = "client"))]
pub(crate) use self::capture::{hold_back_libraries, release_libraries};

#[cfg(all(not(unix), feature = "client"))]
pub(crate) fn hold_back_libraries() {}

#[cfg(all(not(unix), feature = "client"))]
pub(crate) fn release_libraries(_show: bool) {}

/// While a renderer starts, C libraries print messages for their own developers to standard error.
#[cfg(all(unix, feature = "client"))]
mod capture {
    use std::fs::File;
    use std::io::{self, Read, Seek};
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::{Mutex, PoisonError};

    /// State while libraries are held back: the original standard error, and a file that receives
    /// their output.
    struct Capture {
        standard_error: OwnedFd,
        held_back: File,
    }

    static CAPTURE: Mutex<Option<Capture>> = Mutex::new(None);

    /// From now on, output to standard error is kept in a file, except the lines of this module.
    pub(crate) fn hold_back_libraries() {
        // The writing thread must have its own handle to the terminal before standard error is
        // redirected.
        super::writer();
        let capture = || -> io::Result<Capture> {
            let standard_error = io::stderr().as_fd().try_clone_to_owned()?;
            // A file never blocks a library, unlike a full pipe.
            let held_back = tempfile::tempfile()?;
            rustix::stdio::dup2_stderr(&held_back)?;
            Ok(Capture {
                standard_error,
                held_back,
            })
        };
        match capture() {
            Ok(capture) => *CAPTURE.lock().unwrap_or_else(PoisonError::into_inner) = Some(capture),
            Err(error) => tracing::debug!(%error, "cannot withhold messages of libraries"),
        }
    }

    /// Restores standard error, if it was redirected. The withheld output is printed if `show`.
    pub(crate) fn release_libraries(show: bool) {
        let Some(mut capture) = CAPTURE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        let _closed = rustix::stdio::dup2_stderr(&capture.standard_error).is_err();
        let mut text = Vec::new();
        if show
            && capture
                .held_back
                .rewind()
                .and_then(|()| capture.held_back.read_to_end(&mut text))
                .is_ok()
        {
            super::send(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal whose reader stalls.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn blocked_terminal_does_not_block_senders() {
        let (go_on, blocked) = sync_channel(0);
        let (queue, messages) = sync_channel(2);
        let thread = std::thread::spawn(move || write(Blocked(blocked), &messages));
        let text = || Message::Text(b"line\n".to_vec());
        let mut refused = 0;
        for _ in 0..10 {
            refused += u32::from(queue.try_send(text()).is_err());
        }
        assert!(refused >= 7, "the queue is bounded: {refused}");
        drop(go_on);
        let (written, wait) = sync_channel(1);
        while queue.try_send(Message::Flush(written.clone())).is_err() {
            std::thread::yield_now();
        }
        wait.recv().expect("failed lines must be skipped");
        assert!(lost_lines() > 0);
        drop(queue);
        thread.join().expect("the writing thread must not panic");
    }
}
