//! Thread that waits for the disk, so that the node does not have to.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use raftian_raft::{NodeId, Write, WriteNumber};

use super::{Store, StoreError};

/// Maximum number of writes that wait for the disk. The core's windows keep it far lower; a disk
/// this far behind counts as failed and the node stops ([`StoreError::Hanging`]).
pub const WRITE_QUEUE: usize = 1024;

/// Longest time without an answer of the disk that dropping a [`WriterThread`] waits for: 5
/// seconds. A disk that hangs longer keeps its thread and file, so that the process can end.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A store on its own thread, named "raft-disk-" and the node's id. One submission is one durable
/// write there; a failed one ends the thread. Dropping the value finishes the queued writes and
/// closes the store.
#[derive(Debug)]
pub struct WriterThread {
    /// `None` only while dropping.
    queue: Option<Sender<Write>>,
    results: Receiver<Result<WriteNumber, StoreError>>,
    thread: Option<JoinHandle<()>>,
    /// Submitted and not yet reported; bounds both channels.
    outstanding: usize,
}

impl WriterThread {
    /// Moves `store`, which must complete each write within `submit`, to a new thread. `notify` is
    /// called on that thread after each completion or failure, so that the node's driver can poll.
    pub fn start(
        id: NodeId,
        store: impl Store + 'static,
        notify: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, StoreError> {
        // Unbounded, because a full channel would block the node; `outstanding` bounds both.
        let (queue, writes) = channel();
        let (report, results) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("raft-disk-{}", id.0))
            .spawn(move || {
                // Dropped last, even by a panic: a node that waits for a completion must be
                // notified that none will come.
                let _notify_at_end = NotifyAtEnd(Arc::clone(&notify));
                run(store, &writes, report, &*notify);
            })
            .map_err(|error| StoreError::Stopped {
                reason: format!("it could not be started: {error}"),
            })?;
        Ok(WriterThread {
            queue: Some(queue),
            results,
            thread: Some(thread),
            outstanding: 0,
        })
    }
}

impl Store for WriterThread {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        assert!(self.queue.is_some(), "only dropping closes the queue");
        if self.outstanding >= WRITE_QUEUE {
            return Err(StoreError::Hanging);
        }
        if self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.send(write).is_ok())
        {
            self.outstanding += 1;
            return Ok(());
        }
        // The thread has ended: return its error unless it was returned before.
        Err(match self.results.try_iter().find_map(Result::err) {
            Some(error) => error,
            None => StoreError::Stopped {
                reason: "an earlier write failed".to_owned(),
            },
        })
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        // Zero after an error as well, since the error was returned already.
        if self.outstanding == 0 {
            return None;
        }
        assert!(
            self.outstanding <= WRITE_QUEUE,
            "no more writes wait than the queue admits"
        );
        let result = match self.results.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(StoreError::Stopped {
                reason: "it ended with writes unfinished".to_owned(),
            }),
        };
        // After an error nothing more will come, and the error is returned once.
        self.outstanding = if result.is_ok() {
            self.outstanding - 1
        } else {
            0
        };
        Some(result)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        // The thread ends once it has written everything that waits in the closed queue.
        self.queue = None;
        loop {
            match self.results.recv_timeout(CLOSE_WAIT) {
                // Each answer starts the wait again: a slow disk is given time, a hanging one is
                // not.
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    tracing::warn!("the disk does not answer; its thread is left running");
                    return;
                }
            }
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes to disk panicked");
        }
    }
}

fn run(
    mut store: impl Store,
    writes: &Receiver<Write>,
    report: Sender<Result<WriteNumber, StoreError>>,
    notify: &dyn Fn(),
) {
    while let Ok(write) = writes.recv() {
        let number = write.number;
        let mut alive = true;
        if let Err(error) = store.submit(write) {
            alive = false;
            // A failed send means that the node is gone.
            let _ = report.send(Err(error));
        }
        while alive && let Some(result) = store.completed() {
            if let Ok(completed) = &result {
                assert_eq!(
                    *completed, number,
                    "each write is completed within its submission"
                );
            }
            alive = result.is_ok();
            alive &= report.send(result).is_ok();
        }
        // After the report, which the driver takes as soon as it is notified.
        notify();
        if !alive {
            break;
        }
    }
    // The file must be closed before the report channel: the receiver may open the same file again
    // as soon as it sees the channel closed.
    drop(store);
    drop(report);
}

struct NotifyAtEnd(Arc<dyn Fn() + Send + Sync>);

impl Drop for NotifyAtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}
