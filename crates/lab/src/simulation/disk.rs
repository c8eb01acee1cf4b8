//! A machine's disk: what is on it, and the writes that are not yet.

use std::collections::VecDeque;

use raftian_node::store::{Store, StoreError};
use raftian_raft::{Restored, Write, WriteNumber};

/// A disk that performs writes in order, when told to.
#[derive(Debug, Default)]
pub(crate) struct SimDisk {
    image: Restored,
    pending: VecDeque<Write>,
    done: VecDeque<WriteNumber>,
    held: bool,
}

impl SimDisk {
    pub(crate) fn new(image: Restored) -> Self {
        SimDisk { image, ..SimDisk::default() }
    }

    /// What a crash now would leave.
    pub(crate) fn image(&self) -> &Restored {
        &self.image
    }

    /// How many writes wait.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Performs the oldest `count` of the waiting writes. Tells whether there were any.
    pub(crate) fn complete(&mut self, count: usize) -> bool {
        let count = count.min(self.pending.len());
        for write in self.pending.drain(..count) {
            self.done.push_back(write.number);
            perform(&mut self.image, write);
        }
        count > 0
    }

    /// A crash: the oldest `kept` of the waiting writes were done without anybody hearing of it, the others are lost.
    pub(crate) fn crash(&mut self, kept: usize) {
        self.complete(kept);
        self.pending.clear();
        self.done.clear();
        self.held = false;
    }
}

impl Store for SimDisk {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        self.pending.push_back(write);
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.done.pop_front().map(Ok)
    }
}

/// One atomic write, as [`Write`] says.
fn perform(image: &mut Restored, write: Write) {
    image.hard_state = write.hard_state.unwrap_or(image.hard_state);
    if let Some(snapshot) = write.snapshot {
        image.snapshot = Some(snapshot);
    }
    if write.discard {
        image.entries.clear();
    }
    if let Some(start) = write.start {
        image.entries.retain(|entry| entry.index > start.position.index);
        image.start = start;
    }
    if let Some(first) = write.entries.first() {
        let keep = usize::try_from(first.index.0 - image.start.position.index.0 - 1).expect("a log fits in memory");
        assert!(keep <= image.entries.len(), "a write must not leave a gap in the log on disk");
        image.entries.truncate(keep);
        image.entries.extend(write.entries);
    }
}
