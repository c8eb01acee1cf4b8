//! One machine of the model: the shipping node, its disk and its state machine.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use raftian_node::store::{MemoryStore, Store};
use raftian_raft::{
    Actions, Config, Decision, Entry, Index, Input, LogPosition, Message, Moment, Node, NodeId,
    Payload, ReadAnswer, RequestError, Restored, RoleKind, Snapshot, TakenSnapshot, Term, Write,
};

use crate::key::{Folding, key};

/// When a write becomes durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disk {
    /// At once: a node's step and its write are one event.
    Prompt,
    /// By a separate event; a crash may come before it.
    Slow,
    /// Planted bug: acknowledged at once, although durable only later.
    Lying,
}

/// Digest of one entry, short enough to be kept for every state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Mark {
    pub(crate) term: Term,
    /// 0 for the empty entry, a command's sequence, or a hash of the members.
    what: u64,
}

impl Mark {
    const FORGOTTEN: u64 = u64::MAX;

    pub(crate) fn of(entry: &Entry) -> Self {
        let what = match &entry.payload {
            Payload::Empty => 0,
            Payload::Command { command, .. } => command.sequence,
            Payload::Membership(membership) => key(membership) | 1 << 32,
            Payload::Withheld => Self::FORGOTTEN,
        };
        Mark {
            term: entry.term,
            what,
        }
    }

    /// Whether both marks belong to the same entry; a witness stores only its term.
    pub(crate) fn agrees(self, other: Mark) -> bool {
        let forgotten = [self.what, other.what].contains(&Self::FORGOTTEN);
        self.term == other.term && (forgotten || self.what == other.what)
    }
}

/// One machine. All states in which it is unchanged share it.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) node: Node,
    disk: MemoryStore,
    /// Writes submitted to the disk and not completed yet.
    pending: VecDeque<Write>,
    /// Number of the run, incremented with every start.
    pub(crate) run: u64,
    /// Marks of the applied entries, from index 1.
    pub(crate) state: Vec<Mark>,
    pub(crate) clock: Clock,
    /// Whether no event has happened to it yet.
    pub(crate) idle: bool,
    /// Hash of everything above, without time if time is not modelled.
    pub(crate) key: u64,
}

/// The machine's time.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Moment,
    /// Next wake-up of the node, and when the node set it: the start of its election timer, unless
    /// it leads.
    chosen: (Moment, Moment),
}

/// Outputs of one input.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<(NodeId, Message)>,
    pub(crate) reads: Vec<ReadAnswer>,
    pub(crate) request_results: Vec<Result<(), RequestError>>,
    pub(crate) decisions: Vec<Decision>,
}

impl Host {
    /// Starts a machine from the contents of its disk.
    pub(crate) fn start(config: Config, image: Restored, run: u64, now: Moment) -> Self {
        let node = Node::new(config, image.clone(), now)
            .expect("the disk holds a state written by a node");
        let disk = MemoryStore::holding(image);
        let clock = Clock {
            now,
            chosen: (node.wake_at(), now),
        };
        Host {
            node,
            disk,
            pending: VecDeque::new(),
            run,
            state: Vec::new(),
            clock,
            idle: true,
            key: 0,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.node.id()
    }

    /// Whether it keeps no state.
    pub(crate) fn is_witness(&self) -> bool {
        self.node
            .membership()
            .member(self.id())
            .is_some_and(|member| member.is_witness())
    }

    /// Contents of the disk: the state that a crash now would leave.
    pub(crate) fn image(&self) -> &Restored {
        self.disk.image()
    }

    pub(crate) fn writes_pending(&self) -> usize {
        self.pending.len()
    }

    /// State left by a crash now, if the oldest `kept` pending writes reached the disk without an
    /// acknowledgement.
    pub(crate) fn crash(&self, kept: usize) -> Restored {
        let mut disk = self.disk.clone();
        for write in self.pending.iter().take(kept) {
            perform(&mut disk, write.clone());
        }
        disk.restored()
    }

    /// Completes the oldest pending write, and acknowledges it to the node.
    pub(crate) fn write(&mut self, disk: Disk, outcome: &mut Outcome) {
        if let Some(write) = self.pending.pop_front() {
            let number = write.number;
            perform(&mut self.disk, write);
            match disk {
                Disk::Lying => {}
                Disk::Prompt | Disk::Slow => self.input(Input::Persisted(number), disk, outcome),
            }
        }
    }

    /// Passes one input to the node and performs all resulting actions.
    pub(crate) fn input(&mut self, input: Input, disk: Disk, outcome: &mut Outcome) {
        self.node.step(self.clock.now, input);
        loop {
            let actions = self.node.take_actions();
            if actions.is_empty() {
                break;
            }
            self.perform(actions, disk, outcome);
        }
        if self.clock.chosen.0 != self.node.wake_at() {
            self.clock.chosen = (self.node.wake_at(), self.clock.now);
        }
    }

    fn perform(&mut self, actions: Actions, disk: Disk, outcome: &mut Outcome) {
        // Snapshots are separate events of the model, and refused commands are not retried.
        let Actions {
            persist,
            send,
            apply,
            restore,
            responses,
            events,
        } = actions;
        outcome.sent.extend(send);
        outcome.reads.extend(responses.reads);
        outcome.request_results.extend(responses.request_results);
        outcome
            .decisions
            .extend(events.into_iter().map(|event| event.decision));
        if let Some(Snapshot { position, data, .. }) = restore {
            self.state = data.as_deref().map(load).unwrap_or_default();
            self.node
                .step(self.clock.now, Input::Applied(position.index));
        }
        if let Some(last) = apply.last().map(|entry| entry.index) {
            self.state.extend(apply.iter().map(Mark::of));
            self.node.step(self.clock.now, Input::Applied(last));
        }
        if let Some(write) = persist {
            let number = write.number;
            match disk {
                Disk::Prompt => perform(&mut self.disk, write),
                Disk::Slow | Disk::Lying => self.pending.push_back(write),
            }
            match disk {
                Disk::Prompt | Disk::Lying => {
                    self.node.step(self.clock.now, Input::Persisted(number))
                }
                Disk::Slow => {}
            }
        }
    }

    /// Snapshot of the state machine that lets the node drop the log behind it. With `planted`, the
    /// state lacks the last applied entry.
    pub(crate) fn snapshot(&self, planted: bool) -> Option<Input> {
        let index = self.node.applied();
        let kept = self.state.len() - usize::from(planted);
        let data = save(&self.state[..kept]).into();
        let taken = TakenSnapshot {
            index,
            data,
            compact_to: Some(index),
        };
        (index > self.node.log_start().position.index).then_some(Input::TakeSnapshot(taken))
    }

    /// Computes the hash by which states are distinguished. With `tick`, the length of a tick in
    /// microseconds, the hash includes ages.
    pub(crate) fn seal(mut self, tick: Option<u128>) -> Self {
        let mut hasher = Folding::default();
        self.node.hash_state(&mut hasher);
        (
            self.disk.image(),
            self.run,
            &self.state,
            self.idle,
            self.pending.len(),
        )
            .hash(&mut hasher);
        // Write numbers only count up and must not distinguish states.
        for Write {
            number: _,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            founding,
            entries,
        } in &self.pending
        {
            (
                hard_state,
                snapshot,
                start,
                discard,
                incarnation,
                founding,
                entries,
            )
                .hash(&mut hasher);
        }
        if let Some(tick) = tick {
            let left = self.node.wake_at().since(self.clock.now).as_micros();
            let fresh = self.clock.waited().is_zero() && self.node.role() != RoleKind::Leader;
            assert!(
                !fresh || left != 2 * tick,
                "no behaviour may depend on the RNG"
            );
            self.node.hash_ages(&mut hasher);
            // Its messages carry the time on its clock.
            (self.clock.now, self.clock.waited(), left.div_ceil(tick)).hash(&mut hasher);
        }
        self.key = hasher.finish();
        self
    }

    /// The mark of the entry at `index` in the node's log, if the log has it.
    pub(crate) fn mark(&self, index: Index) -> Option<Mark> {
        let entry = self.node.entries_from(index).first();
        entry.filter(|entry| entry.index == index).map(Mark::of)
    }
}

impl Clock {
    /// Time since the election timer was set.
    pub(crate) fn waited(&self) -> Duration {
        self.now.since(self.chosen.1)
    }
}

fn perform(disk: &mut MemoryStore, write: Write) {
    disk.submit(write).expect("the write continues the log");
    let _done = disk.completed();
}

fn save(state: &[Mark]) -> Vec<u8> {
    state
        .iter()
        .flat_map(|mark| [mark.term.0, mark.what])
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn load(bytes: &[u8]) -> Vec<Mark> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    bytes
        .chunks_exact(16)
        .map(|mark| Mark {
            term: Term(number(&mark[..8])),
            what: number(&mark[8..]),
        })
        .collect()
}

/// Position of the entry at `index` in the log on a disk, if the log has it.
pub(crate) fn on_disk(image: &Restored, index: Index) -> Option<LogPosition> {
    let place = index.0.checked_sub(image.start.position.index.0 + 1)?;
    image
        .entries
        .get(usize::try_from(place).ok()?)
        .map(Entry::position)
}
