//! What is told of the disk, and when.

use super::*;
use crate::entry::Payload;
use crate::message::Body;
use crate::types::{Stamp, Term};

fn entry(index: u64, term: u64) -> Entry {
    Entry { term: Term(term), index: Index(index), stamp: Stamp(0), payload: Payload::Empty }
}

fn empty_log() -> Log {
    Log::after(LogStart::default(), crate::membership::Membership::new([NodeId(1)]).unwrap())
}

fn promise() -> (NodeId, Message) {
    (NodeId(2), Message::new(Term(1), Body::VoteReply { granted: true }))
}

fn flush<'a>(disk: &mut Disk, log: &'a Log) -> (Option<Write<&'a [Entry]>>, usize) {
    let mut send = Vec::new();
    let write = disk.flush(Moment(0), HardState::default(), log, &mut send);
    (write, send.len())
}

/// Figure 2: "Updated on stable storage before responding to RPCs".
#[test]
fn a_promise_waits_for_the_newest_write_under_way() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    assert_eq!(flush(&mut disk, &log).0.unwrap().entries.len(), 1);
    disk.promise(1, promise().0, promise().1);
    assert_eq!(flush(&mut disk, &log), (None, 0));
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!(sent, [promise()]);
    disk.promise(1, promise().0, promise().1);
    assert_eq!(flush(&mut disk, &log), (None, 1), "with nothing under way it may leave at once");
}

#[test]
fn a_disk_that_lags_gets_larger_writes_and_not_more_of_them() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    for index in 1..=10 {
        log.push(entry(index, 1));
        disk.promise(1, promise().0, promise().1);
        let (write, sent) = flush(&mut disk, &log);
        assert_eq!((write.is_some(), sent), (index <= MOST_UNDER_WAY as u64, 0));
    }
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!((sent.len(), disk.durable()), (1, Index(1)));
    let write = flush(&mut disk, &log).0.unwrap();
    assert_eq!((write.entries.first().map(|e| e.index), write.entries.len()), (Some(Index(3)), 8));
    disk.persisted(Moment(0), write.number, &log, &mut sent);
    assert_eq!((sent.len(), disk.durable()), (10, Index(10)), "every promise left with the write it stands on");
}

#[test]
fn a_write_that_waited_behind_another_did_not_hang() {
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
fn a_log_that_begins_later_is_written_with_and_without_a_snapshot() {
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    let mut log = empty_log();
    log.push(entry(1, 1));
    assert!(flush(&mut disk, &log).0.is_some());
    log.compact(Index(1));
    disk.compacted(None, log.start());
    let write = flush(&mut disk, &log).0.expect("where it begins is news");
    assert_eq!((write.start, write.snapshot, write.discard), (Some(log.start()), None, false));
    disk.persisted(Moment(0), WriteNumber(2), &log, &mut Vec::new());
    assert_eq!(flush(&mut disk, &log).0, None);
}

#[test]
fn disks_are_told_apart_by_what_is_under_way_and_not_by_its_numbers() {
    let hash = |disk: &Disk| crate::hashed::of(disk);
    // So many writes are done, and then so many under way.
    let disk = |done: u64, under_way: u64| {
        let (mut disk, mut log) = (Disk::new(HardState::default(), Index(0), Index(0)), empty_log());
        let last = 9;
        for index in 1..=last {
            log.push(entry(index, 1));
            if index <= done || index > last - under_way {
                let number = flush(&mut disk, &log).0.expect("an entry is news").number;
                if index <= done {
                    disk.persisted(Moment(0), number, &log, &mut Vec::new());
                }
            }
        }
        disk
    };
    assert_eq!(hash(&disk(3, 0)), hash(&disk(3, 0)));
    assert_ne!(hash(&disk(3, 0)), hash(&disk(4, 0)), "more is durable");
    assert_ne!(hash(&disk(3, 1)), hash(&disk(3, 2)), "more is under way");
    let (mut fewer, mut more) = (disk(0, 1), disk(0, 1));
    // The same place by one write and by three.
    let log = full(&empty_log());
    for (disk, terms) in [(&mut fewer, &[5][..]), (&mut more, &[5, 0, 5])] {
        for term in terms {
            disk.persisted(Moment(0), disk.last_number, &log, &mut Vec::new());
            let state = HardState { term: Term(*term), ..HardState::default() };
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
fn a_large_snapshot_may_take_its_time() {
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
    assert_eq!(disk.waiting_since(), Some(Moment(2_000)), "20 kB at 10 MB a second");
}

#[test]
fn promises_that_wait_for_a_hanging_disk_are_bounded() {
    let mut log = empty_log();
    let mut disk = Disk::new(HardState::default(), Index(0), Index(0));
    log.push(entry(1, 1));
    for _ in 0..3 {
        flush(&mut disk, &log);
        (0..MOST_PROMISES).for_each(|_| disk.promise(1, promise().0, promise().1));
    }
    let mut sent = Vec::new();
    disk.persisted(Moment(0), WriteNumber(1), &log, &mut sent);
    assert_eq!(sent.len() + disk.promises.len(), MOST_PROMISES);
}

#[test]
fn the_completion_of_a_write_whose_entries_were_cut_off_and_came_back_is_not_believed() {
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
        assert_eq!(disk.durable(), Index(0), "the disk holds the entry of term {}, the log that of {term}", term - 1);
    }
    disk.persisted(Moment(0), WriteNumber(3), &log, &mut sent);
    assert_eq!(disk.durable(), Index(1));
}
