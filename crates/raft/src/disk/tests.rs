//! Writes, their completion and deferred messages.

use super::*;
use crate::entry::Payload;
use crate::message::Body;
use crate::types::{Stamp, Term};

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    }
}

fn empty_log() -> Log {
    Log::after(
        LogStart::default(),
        crate::membership::Membership::new([NodeId(1)]).unwrap(),
    )
}

fn vote_reply() -> (NodeId, Message) {
    (
        NodeId(2),
        Message::new(Term(1), Body::VoteReply { granted: true }),
    )
}

fn flush<'a>(disk: &mut Disk, log: &'a Log) -> (Option<Write<&'a [Entry]>>, usize) {
    let mut send = Vec::new();
    let write = disk.flush(Moment(0), HardState::default(), log, &mut send);
    (write, send.len())
}

/// Figure 2: "Updated on stable storage before responding to RPCs".
#[test]
fn deferred_message_waits_for_the_newest_write() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    assert_eq!(flush(&mut disk, &log).0.unwrap().entries.len(), 1);
    disk.send_after_persist(1, vote_reply().0, vote_reply().1);
    assert_eq!(flush(&mut disk, &log), (None, 0));
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!(sent, [vote_reply()]);
    disk.send_after_persist(1, vote_reply().0, vote_reply().1);
    assert_eq!(
        flush(&mut disk, &log),
        (None, 1),
        "with no write in flight it leaves at once"
    );
}

#[test]
fn lagging_disk_gets_larger_writes_instead_of_more() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    for index in 1..=10 {
        log.push(entry(index, 1));
        disk.send_after_persist(1, vote_reply().0, vote_reply().1);
        let (write, sent) = flush(&mut disk, &log);
        assert_eq!(
            (write.is_some(), sent),
            (index <= MAX_WRITES_IN_FLIGHT as u64, 0)
        );
    }
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!((sent.len(), disk.durable()), (1, Index(1)));
    let write = flush(&mut disk, &log).0.unwrap();
    assert_eq!(
        (write.entries.first().map(|e| e.index), write.entries.len()),
        (Some(Index(3)), 8)
    );
    disk.persisted(Moment(0), write.number, &log, &mut sent);
    assert_eq!(
        (sent.len(), disk.durable()),
        (10, Index(10)),
        "every message left with the write it depends on"
    );
}

#[test]
fn write_queued_behind_another_does_not_count_as_hung() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    for index in 1..=2 {
        log.push(entry(index, 1));
        flush(&mut disk, &log);
    }
    assert_eq!(disk.waiting_since(), Some(Moment(0)));
    disk.persisted(Moment(200), WriteNumber(1), &log, &mut Vec::new());
    assert_eq!(disk.waiting_since(), Some(Moment(200)));
    disk.persisted(Moment(400), WriteNumber(2), &log, &mut Vec::new());
    assert_eq!(disk.waiting_since(), None);
}

#[test]
fn compaction_without_a_snapshot_is_written() {
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    let mut log = empty_log();
    log.push(entry(1, 1));
    assert!(flush(&mut disk, &log).0.is_some());
    log.compact(Index(1));
    disk.compacted(None, log.start());
    let write = flush(&mut disk, &log)
        .0
        .expect("the new start must be written");
    assert_eq!(
        (write.start, write.snapshot, write.discard),
        (Some(log.start()), None, false)
    );
    disk.persisted(Moment(0), WriteNumber(2), &log, &mut Vec::new());
    assert_eq!(flush(&mut disk, &log).0, None);
}

#[test]
fn disk_hash_depends_on_writes_but_not_on_their_numbers() {
    let hash = |disk: &Disk| crate::hashed::of(disk);
    // `done` writes are complete, then `in_flight` more are not.
    let disk = |done: u64, in_flight: u64| {
        let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
        let mut log = empty_log();
        let last = 9;
        for index in 1..=last {
            log.push(entry(index, 1));
            if index <= done || index > last - in_flight {
                let number = flush(&mut disk, &log)
                    .0
                    .expect("a new entry must be written")
                    .number;
                if index <= done {
                    disk.persisted(Moment(0), number, &log, &mut Vec::new());
                }
            }
        }
        disk
    };
    assert_eq!(hash(&disk(3, 0)), hash(&disk(3, 0)));
    assert_ne!(hash(&disk(3, 0)), hash(&disk(4, 0)), "more is durable");
    assert_ne!(hash(&disk(3, 1)), hash(&disk(3, 2)), "more is in flight");
    let mut fewer = disk(0, 1);
    let mut more = disk(0, 1);
    // The same state, reached by one write and by three.
    let log = full(&empty_log());
    for (disk, terms) in [(&mut fewer, &[5][..]), (&mut more, &[5, 0, 5])] {
        for term in terms {
            disk.persisted(Moment(0), disk.last_number, &log, &mut Vec::new());
            let state = HardState {
                term: Term(*term),
                ..HardState::default()
            };
            let _write = disk.flush(Moment(0), state, &log, &mut Vec::new());
        }
    }
    assert_eq!(hash(&fewer), hash(&more), "only the age of a write counts");
}

/// A log of nine entries.
fn full(log: &Log) -> Log {
    let mut log = log.clone();
    (1..=9).for_each(|index| log.push(entry(index, 1)));
    log
}

#[test]
fn write_of_a_large_snapshot_is_given_more_time() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    let snapshot = Snapshot {
        position: log.last(),
        stamp: Stamp(0),
        membership: log.membership().clone(),
        data: Some(alloc::vec![0; 20_000].into()),
    };
    disk.compacted(Some(snapshot), LogStart::default());
    flush(&mut disk, &log);
    assert_eq!(
        disk.waiting_since(),
        Some(Moment(2_000)),
        "20 kB at 10 MB/s"
    );
}

#[test]
fn messages_deferred_by_a_hanging_disk_are_bounded() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    for _ in 0..3 {
        flush(&mut disk, &log);
        (0..MAX_DEFERRED_MESSAGES)
            .for_each(|_| disk.send_after_persist(1, vote_reply().0, vote_reply().1));
    }
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!(sent.len() + disk.deferred.len(), MAX_DEFERRED_MESSAGES);
}

#[test]
fn completion_of_a_truncated_write_does_not_count() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    flush(&mut disk, &log);
    let mut sent = Vec::new();
    for term in [2, 3] {
        log.truncate(Index(1));
        disk.truncated(Index(1));
        log.push(entry(1, term));
        assert!(flush(&mut disk, &log).0.is_some());
        disk.persisted(Moment(0), WriteNumber(term - 1), &log, &mut sent);
        assert_eq!(
            disk.durable(),
            Index(0),
            "the disk holds the entry of term {}, the log that of {term}",
            term - 1
        );
    }
    disk.persisted(Moment(0), WriteNumber(3), &log, &mut sent);
    assert_eq!(disk.durable(), Index(1));
}

/// Disk image that performs each write exactly.
#[derive(Default)]
struct Image {
    start: LogPosition,
    entries: Vec<Entry>,
}

impl Image {
    fn perform(&mut self, write: &Write) {
        if write.discard {
            self.entries.clear();
        }
        if let Some(start) = write.start {
            self.start = start.position;
            self.entries
                .retain(|entry| entry.index > start.position.index);
        }
        if let Some(first) = write.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
        }
        self.entries.extend(write.entries.iter().cloned());
    }

    /// Asserts that a node could start from it: no gap, and terms never fall.
    fn check(&self) {
        let mut before = self.start;
        for entry in &self.entries {
            let position = entry.position();
            assert_eq!(
                position.index,
                before.index.next(),
                "no gap behind {before}"
            );
            assert!(position.term >= before.term, "{position} behind {before}");
            before = position;
        }
    }
}

/// Operation on the log or the disk.
#[derive(Clone, Copy, Debug)]
enum Change {
    Append(u64),
    /// Replaces the last entries by those of a later leader: how many go, how many come.
    Replace(u64, u64),
    /// Commits everything on disk.
    Commit,
    /// Takes an own snapshot of the committed entries.
    Compact,
    /// Installs a leader's snapshot whose last entry is this many entries before the last one; the
    /// entries after it are kept.
    InstallBefore(u64),
    /// Installs a leader's snapshot that replaces the log.
    InstallInstead(u64),
    Flush,
    Complete(usize),
}

fn any_change() -> impl proptest::strategy::Strategy<Value = Change> {
    use proptest::prelude::*;
    prop_oneof![
        3 => (1u64..4).prop_map(Change::Append),
        3 => (1u64..5, 1u64..4).prop_map(|(back, new)| Change::Replace(back, new)),
        1 => Just(Change::Commit),
        1 => Just(Change::Compact),
        2 => (0u64..3).prop_map(Change::InstallBefore),
        1 => (1u64..4).prop_map(Change::InstallInstead),
        4 => Just(Change::Flush),
        3 => (1usize..3).prop_map(Change::Complete),
    ]
}

struct Session {
    log: Log,
    disk: Disk,
    image: Image,
    commit: Index,
    term: u64,
    in_flight: VecDeque<Write>,
}

impl Session {
    fn new() -> Self {
        Session {
            log: empty_log(),
            disk: Disk::new(HardState::default(), Index(0), Index(0)),
            image: Image::default(),
            commit: Index(0),
            term: 1,
            in_flight: VecDeque::new(),
        }
    }

    fn snapshot(&self, position: LogPosition) -> Snapshot {
        let membership = crate::membership::Membership::new([NodeId(1)]).unwrap();
        Snapshot {
            position,
            stamp: Stamp(0),
            membership,
            data: Some([][..].into()),
        }
    }

    fn push(&mut self, count: u64) {
        for _ in 0..count {
            let next = self.log.last().index.next();
            self.log.push(entry(next.0, self.term));
        }
    }

    fn flush(&mut self) {
        let mut send = Vec::new();
        let write = self
            .disk
            .flush(Moment(0), HardState::default(), &self.log, &mut send);
        self.in_flight
            .extend(write.map(|write| write.map(<[Entry]>::to_vec)));
    }

    fn complete(&mut self, count: usize) {
        for _ in 0..count {
            let Some(write) = self.in_flight.pop_front() else {
                return;
            };
            self.image.perform(&write);
            self.image.check();
            self.disk
                .persisted(Moment(0), write.number, &self.log, &mut Vec::new());
        }
    }

    fn change(&mut self, change: Change) {
        let base = self.log.base().index;
        let last = self.log.last();
        match change {
            Change::Append(count) => self.push(count),
            Change::Replace(back, count) => {
                let from = Index(
                    (last.index.0 + 1)
                        .saturating_sub(back)
                        .max(self.commit.0 + 1)
                        .max(base.0 + 1),
                );
                self.term += 1;
                if from <= last.index {
                    self.log.truncate(from);
                    self.disk.truncated(from);
                }
                self.push(count);
            }
            Change::Commit => self.commit = self.commit.max(self.disk.durable()),
            Change::Compact if self.commit > base => {
                let position = self.log.position_at(self.commit).unwrap();
                self.log.compact(self.commit);
                let snapshot = self.snapshot(position);
                self.disk.compacted(Some(snapshot), self.log.start());
            }
            Change::InstallBefore(back) if last.index.0.saturating_sub(back) > self.commit.0 => {
                let position = self.log.position_at(Index(last.index.0 - back)).unwrap();
                self.log.compact(position.index);
                let snapshot = self.snapshot(position);
                self.disk
                    .installed(snapshot, self.log.start(), false, self.commit);
                self.commit = position.index;
            }
            Change::InstallInstead(ahead) => {
                self.term += 1;
                let position = LogPosition {
                    term: Term(self.term),
                    index: Index(last.index.0 + ahead),
                };
                let snapshot = self.snapshot(position);
                self.log = Log::after(snapshot.start(), snapshot.membership.clone());
                self.disk
                    .installed(snapshot, self.log.start(), true, self.commit);
                self.commit = position.index;
            }
            Change::Compact | Change::InstallBefore(_) => {}
            Change::Flush => self.flush(),
            Change::Complete(count) => self.complete(count),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]

    /// No change merged into a write is lost: a crash between any two writes leaves a log that a
    /// node can start from, and once all is written the disk holds the log.
    #[test]
    fn disk_follows_the_log_however_writes_are_merged(
        changes in proptest::collection::vec(any_change(), 1..60),
    ) {
        let mut session = Session::new();
        for change in changes {
            session.change(change);
        }
        for _ in 0..4 {
            session.complete(usize::MAX);
            session.flush();
        }
        let held: Vec<_> = session.log.from(session.log.base().index.next()).to_vec();
        proptest::prop_assert_eq!(session.image.start, session.log.base());
        proptest::prop_assert_eq!(&session.image.entries, &held);
        proptest::prop_assert_eq!(session.disk.durable().max(session.log.base().index), session.log.last().index);
    }
}

/// The property above, with the fault planted that it once found.
#[test]
#[should_panic(expected = "behind")]
fn lost_truncation_leaves_an_entry_of_an_earlier_term() {
    let mut session = Session::new();
    session.disk.loses_truncation = true;
    let in_flight = [
        Change::Append(1),
        Change::Flush,
        Change::Append(1),
        Change::Flush,
    ];
    let superseded = [
        Change::Replace(2, 1),
        Change::InstallBefore(0),
        Change::Complete(2),
        Change::Flush,
    ];
    for change in in_flight
        .into_iter()
        .chain(superseded)
        .chain([Change::Complete(1)])
    {
        session.change(change);
    }
}
