//! Compares the production store with a model that is too simple to be wrong, over random sessions
//! with restarts between them.

use proptest::prelude::*;

use super::*;

/// One step of a session.
#[derive(Clone, Debug)]
enum Step {
    /// Term and vote change.
    Vote,
    /// Entries are appended after the last one, or replace up to `back` of the last.
    Append { back: u64, count: u64 },
    /// The node takes a snapshot of `covered` sixteenths of the log and drops all but `kept`
    /// entries of that part.
    Compact {
        covered: u64,
        kept: u64,
        size: Option<usize>,
    },
    /// A snapshot of a leader that is `ahead` replaces everything, followed by `count` entries.
    Install {
        ahead: u64,
        count: u64,
        size: Option<usize>,
    },
    /// The node begins another incarnation.
    Begin,
    /// The node learns more about the founding.
    Found,
    /// The store is closed and opened again.
    Reopen,
}

fn any_size() -> impl Strategy<Value = Option<usize>> {
    let border = (0..3usize, 0..3usize)
        .prop_map(|(chunks, off)| (chunks * CHUNK_BYTES + off).saturating_sub(1));
    prop::option::weighted(0.8, prop_oneof![0..2000usize, border])
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Vote),
        6 => (0..6u64, 0..12u64).prop_map(|(back, count)| Step::Append { back, count }),
        2 => (0..=16u64, 0..8u64, any_size()).prop_map(|(covered, kept, size)| Step::Compact { covered, kept, size }),
        1 => (1..9u64, 0..4u64, any_size()).prop_map(|(ahead, count, size)| Step::Install { ahead, count, size }),
        1 => Just(Step::Begin),
        1 => Just(Step::Found),
        2 => Just(Step::Reopen),
    ]
}

/// Every entry ever written, as one vector of terms, with the beginning of the log.
#[derive(Debug, Default)]
struct Model {
    term: u64,
    incarnation: u64,
    founding: Founding,
    voted: bool,
    /// Term of each entry from index 1 on; those that a leader's snapshot skipped have the term of
    /// its last one.
    terms: Vec<u64>,
    start: usize,
    snapshot: Option<Snapshot>,
}

impl Model {
    fn entries(&self, after: usize) -> Vec<Entry> {
        (1..)
            .zip(&self.terms)
            .skip(after)
            .map(|(index, term)| entry(index, *term))
            .collect()
    }

    fn start_at(&self, index: usize) -> LogStart {
        index.checked_sub(1).map_or(LogStart::default(), |place| {
            start(index as u64, self.terms[place])
        })
    }

    fn restored(&self) -> Restored {
        Restored {
            committed: Index(0),
            hard_state: if self.voted {
                vote(self.term, 1)
            } else {
                HardState::default()
            },
            incarnation: Incarnation(self.incarnation),
            founding: self.founding.clone(),
            snapshot: self.snapshot.clone(),
            start: self.start_at(self.start),
            entries: self.entries(self.start),
        }
    }

    /// Applies `step` to the model and returns the equivalent write for a store.
    fn perform(&mut self, number: u64, step: &Step) -> Write {
        let mut write = write(number, None, []);
        self.term += 1;
        match *step {
            Step::Vote | Step::Reopen => {}
            Step::Begin => {
                self.incarnation = number;
                write.incarnation = Some(Incarnation(number));
            }
            Step::Found => {
                let incarnation = Incarnation(number);
                self.founding = match &self.founding {
                    Founding::Pending(known) if known.is_empty() => {
                        Founding::Pending([(NodeId(2), Some(incarnation))].into())
                    }
                    Founding::Pending(_) | Founding::Agreed(_) => {
                        let founder = (NodeId(2), incarnation, Standing::Voter);
                        Founding::Agreed(Membership::of([founder]).expect("a founder"))
                    }
                };
                write.founding = Some(self.founding.clone());
            }
            Step::Append { back, count } => {
                let covered = self
                    .snapshot
                    .as_ref()
                    .map_or(0, |snapshot| snapshot.position.index.0 as usize);
                // Entries that the snapshot covers are committed and never replaced.
                let kept = self.terms.len().saturating_sub(back as usize).max(covered);
                // A write without entries truncates nothing.
                if count > 0 {
                    self.terms.truncate(kept);
                    self.terms.extend((0..count).map(|_| self.term));
                    write.entries = self.entries(kept);
                }
            }
            Step::Compact {
                covered,
                kept,
                size,
            } => {
                let covered = (self.terms.len() * covered as usize / 16).max(self.start);
                self.start = self.start.max(covered.saturating_sub(kept as usize));
                if covered > 0 {
                    let data = size.map(|size| state(size, number as u8));
                    self.snapshot = Some(snapshot(covered as u64, self.terms[covered - 1], data));
                    write.snapshot = self.snapshot.clone();
                    write.start = Some(self.start_at(self.start));
                }
            }
            Step::Install { ahead, count, size } => {
                self.terms.extend((0..ahead).map(|_| self.term));
                self.start = self.terms.len();
                self.snapshot = Some(snapshot(
                    self.start as u64,
                    self.term,
                    size.map(|size| state(size, number as u8)),
                ));
                self.terms.extend((0..count).map(|_| self.term));
                write.snapshot = self.snapshot.clone();
                write.start = Some(self.start_at(self.start));
                write.discard = true;
                write.entries = self.entries(self.start);
            }
        }
        self.voted = true;
        write.hard_state = Some(vote(self.term, 1));
        write
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_agree_with_a_plain_vector_over_restarts(steps in prop::collection::vec(any_step(), 1..24)) {
        let disk = Disk::default();
        let (mut redb, _) = disk.open().expect("a new disk");
        let mut memory = MemoryStore::new();
        let mut model = Model::default();
        for (number, step) in (1..).zip(&steps) {
            if let Step::Reopen = step {
                drop(redb);
                let (opened, restored) = disk.open().expect("a sound disk");
                prop_assert!(restored == model.restored(), "before write {number}");
                redb = opened;
            } else {
                let write = model.perform(number, step);
                submit(&mut redb, write.clone());
                submit(&mut memory, write);
                prop_assert!(*memory.image() == model.restored(), "after write {number}");
            }
        }
        drop(redb);
        prop_assert!(disk.open().expect("a sound disk").1 == model.restored(), "at the end");
    }
}
