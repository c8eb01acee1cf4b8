//! One machine of the model: the shipping node on a disk, and the state machine above it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use raftian_node::store::{MemoryStore, Store};
use raftian_raft::{
    Actions, Config, Decision, Entry, Index, Input, LogPosition, Message, Moment, Node, NodeId,
    Payload, ReadAnswer, RequestError, Restored, RoleKind, Snapshot, TakenSnapshot, Term, Write,
};

use crate::key::{Folding, key};

/// When a write is on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disk {
    /// As soon as it is asked for: a node's step and its write are one event.
    Prompt,
    /// When an event of its own says so; a crash may come before.
    Slow,
    /// Planted: the node is told at once, the disk is as slow.
    Lying,
}

/// What one entry says, short enough to be kept for every state.
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
            Payload::Command(command) => command.sequence,
            Payload::Membership(membership) => key(membership) | 1 << 32,
            Payload::Withheld => Self::FORGOTTEN,
        };
        Mark {
            term: entry.term,
            what,
        }
    }

    /// Whether two nodes mean the same entry; a witness remembers no more than its term.
    pub(crate) fn agrees(self, other: Mark) -> bool {
        let forgotten = [self.what, other.what].contains(&Self::FORGOTTEN);
        self.term == other.term && (forgotten || self.what == other.what)
    }
}

/// One machine. It is shared between all states in which it is the same.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) node: Node,
    disk: MemoryStore,
    /// Writes that the disk has been asked for and has not done.
    pending: VecDeque<Write>,
    /// Counted up with every start.
    pub(crate) run: u64,
    /// What was applied, from index 1.
    pub(crate) state: Vec<Mark>,
    pub(crate) clock: Clock,
    /// Nothing has happened to it yet.
    pub(crate) idle: bool,
    /// Hash of everything above, time left out where it stands still.
    pub(crate) key: u64,
}

/// The machine's time.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Moment,
    /// When the node wants to be woken, and when it chose that: when its election timer began,
    /// unless it leads.
    chosen: (Moment, Moment),
}

/// What came of one input.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<(NodeId, Message)>,
    pub(crate) reads: Vec<ReadAnswer>,
    pub(crate) request_results: Vec<Result<(), RequestError>>,
    pub(crate) decisions: Vec<Decision>,
}

impl Host {
    /// Starts a machine from what its disk holds.
    pub(crate) fn start(config: Config, image: Restored, run: u64, now: Moment) -> Self {
        let node = Node::new(config, image.clone(), now)
            .expect("the disk of a model holds what a node wrote");
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

    /// What a crash now would leave.
    pub(crate) fn image(&self) -> &Restored {
        self.disk.image()
    }

    pub(crate) fn writes_pending(&self) -> usize {
        self.pending.len()
    }

    /// What a crash now leaves if the oldest `kept` writes under way were done unnoticed.
    pub(crate) fn crash(&self, kept: usize) -> Restored {
        let mut disk = self.disk.clone();
        for write in self.pending.iter().take(kept) {
            perform(&mut disk, write.clone());
        }
        disk.restored()
    }

    /// The oldest write under way is done, and the node is told.
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

    /// Takes one input and does everything the node asks for.
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
        let Actions {
            persist,
            send,
            apply,
            restore,
            snapshot_due: _,
            reads,
            request_results,
            refused: _,
            events,
        } = actions;
        outcome.sent.extend(send);
        outcome.reads.extend(reads);
        outcome.request_results.extend(request_results);
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

    /// The program writes its state down and the log behind it is dropped. Planted, the state lacks
    /// what was applied last.
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

    /// Says what the machine is, for states to be told apart. With ticks of so many microseconds,
    /// how old things are matters.
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
        for Write {
            number: _,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            entries,
        } in &self.pending
        {
            (hard_state, snapshot, start, discard, incarnation, entries).hash(&mut hasher);
        }
        if let Some(tick) = tick {
            let left = self.node.wake_at().since(self.clock.now).as_micros();
            let fresh = self.clock.waited().is_zero() && self.node.role() != RoleKind::Leader;
            assert!(
                !fresh || left != 2 * tick,
                "the rng must not decide what happens"
            );
            self.node.hash_ages(&mut hasher);
            // What it sent says when that was, on its clock.
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
    /// How long the election timer has run.
    pub(crate) fn waited(&self) -> Duration {
        self.now.since(self.chosen.1)
    }
}

fn perform(disk: &mut MemoryStore, write: Write) {
    disk.submit(write).expect("a node asks for writes that fit");
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

/// Where the log on a disk says so, the position at `index`.
pub(crate) fn on_disk(image: &Restored, index: Index) -> Option<LogPosition> {
    let place = index.0.checked_sub(image.start.position.index.0 + 1)?;
    image
        .entries
        .get(usize::try_from(place).ok()?)
        .map(Entry::position)
}
