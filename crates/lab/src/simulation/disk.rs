//! A machine's disk: what is on it, and the writes that are not yet.

use std::collections::VecDeque;

use raftian_raft::{Restored, Write, WriteNumber};

/// A disk that performs writes in order, at once or when told to.
#[derive(Debug, Default)]
pub(crate) struct SimDisk {
    image: Restored,
    pending: VecDeque<Write>,
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

    /// Takes a write; performs it at once unless the disk is held. Gives the number to report.
    pub(crate) fn write(&mut self, write: Write) -> Option<WriteNumber> {
        self.pending.push_back(write);
        if self.held { None } else { self.complete(usize::MAX) }
    }

    /// Performs the oldest `count` of the waiting writes. Gives the number to report.
    pub(crate) fn complete(&mut self, count: usize) -> Option<WriteNumber> {
        let count = count.min(self.pending.len());
        let mut newest = None;
        for write in self.pending.drain(..count) {
            newest = Some(write.number);
            perform(&mut self.image, write);
        }
        newest
    }

    /// A crash: the oldest `kept` of the waiting writes were done without anybody hearing of it, the others are lost.
    pub(crate) fn crash(&mut self, kept: usize) {
        let _unreported = self.complete(kept);
        self.pending.clear();
        self.held = false;
    }
}

/// One atomic write: "whatever the disk holds at or after the first of the entries is replaced".
fn perform(image: &mut Restored, write: Write) {
    if let Some(hard_state) = write.hard_state {
        image.hard_state = hard_state;
    }
    if let Some(first) = write.entries.first() {
        let keep = usize::try_from(first.index.0 - 1).expect("a simulated log fits in memory");
        assert!(keep <= image.entries.len(), "a write must not leave a gap in the log on disk");
        image.entries.truncate(keep);
        image.entries.extend(write.entries);
    }
}
