//! The log against a plain vector.

use super::*;
use proptest::prelude::*;

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(index),
        payload: Payload::Empty,
    }
}

fn restore(entries: Vec<Entry>) -> Result<Log, &'static str> {
    let founding = Membership::new([crate::types::NodeId(1)]).unwrap();
    Log::restore(LogStart::default(), (Index(0), founding), entries)
}

fn log(terms: &[u64]) -> Log {
    restore(
        terms
            .iter()
            .zip(1..)
            .map(|(term, index)| entry(index, *term))
            .collect(),
    )
    .unwrap()
}

#[test]
fn log_with_a_gap_or_a_falling_term_or_clock_is_damaged() {
    assert!(restore(alloc::vec![entry(2, 1)]).is_err());
    assert!(restore(alloc::vec![entry(1, 2), entry(2, 1)]).is_err());
    let mut late = entry(1, 1);
    late.stamp = Stamp(9);
    assert!(restore(alloc::vec![late, entry(2, 1)]).is_err());
}

/// Entries that are kept though a snapshot covers them hold older memberships than the snapshot.
#[test]
fn membership_that_a_snapshot_covers_is_not_adopted() {
    let at = |index, payload| Entry {
        payload,
        ..entry(index, 1)
    };
    let changes = [
        Payload::Membership(members(2)),
        Payload::Membership(members(3)),
        Payload::Empty,
    ];
    let entries: Vec<_> = (1..)
        .zip(changes)
        .map(|(index, payload)| at(index, payload))
        .collect();
    for since in [2, 3] {
        let log = Log::restore(
            LogStart::default(),
            (Index(since), members(3)),
            entries.clone(),
        )
        .unwrap();
        assert_eq!(
            (log.membership_index(), log.membership()),
            (Index(since), &members(3))
        );
        assert_eq!(
            log.membership_before(),
            None,
            "the earlier membership is no longer known"
        );
    }
}

#[test]
fn batch_has_at_least_one_entry_for_any_byte_bound() {
    let log = log(&[1, 1, 1]);
    let batch = |from, count, bytes| {
        let (entries, sum) = log.batch(Index(from), count, bytes);
        assert_eq!(sum, entries.iter().map(Entry::size).sum());
        entries.len()
    };
    assert_eq!(batch(1, 10, 1), 1);
    assert_eq!(batch(2, 10, usize::MAX), 2);
    assert_eq!(batch(1, 2, usize::MAX), 2);
    assert_eq!(batch(4, 10, usize::MAX), 0);
    let each = entry(1, 1).size();
    assert_eq!(
        [2 * each - 1, 2 * each, 2 * each + 1].map(|bytes| batch(1, 10, bytes)),
        [1, 2, 2]
    );
}

/// Operation on a log.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push {
        newer: u64,
        later: u64,
        kind: u64,
    },
    /// Truncates at the n-th possible index.
    Truncate(u64),
    Cover(u64),
    Uncover(u64),
    Compact(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let push = (0u64..3, 0u64..3, 0u64..6).prop_map(|(newer, later, kind)| Act::Push {
        newer,
        later,
        kind,
    });
    let place = || 0u64..9;
    let act = prop_oneof![
        5 => push,
        1 => place().prop_map(Act::Truncate),
        1 => place().prop_map(Act::Cover),
        1 => place().prop_map(Act::Uncover),
        1 => place().prop_map(Act::Compact),
    ];
    prop::collection::vec(act, 0..40)
}

fn members(of: u64) -> Membership {
    Membership::new([crate::types::NodeId(1), crate::types::NodeId(of)]).unwrap()
}

/// Everything that was ever pushed and not truncated, and how much of it is covered and compacted.
struct Naive {
    entries: Vec<Entry>,
    covered: usize,
    base: usize,
}

impl Naive {
    fn push(&mut self, newer: u64, later: u64, kind: u64) -> Entry {
        let last = self.entries.last();
        let (term, stamp) = last.map_or((1, 0), |last| (last.term.0, last.stamp.0));
        let index = self.entries.len() as u64 + 1;
        let payload = match kind {
            0 => Payload::Withheld,
            1 => Payload::Membership(members(index + 1)),
            _ => Payload::Empty,
        };
        let entry = Entry {
            term: Term(term + newer),
            index: Index(index),
            stamp: Stamp(stamp + later),
            payload,
        };
        self.entries.push(entry.clone());
        entry
    }

    fn held(&self) -> &[Entry] {
        &self.entries[self.base..]
    }

    /// The entry at `index`, unless it is compacted.
    fn get(&self, index: u64) -> Option<&Entry> {
        self.held().iter().find(|entry| entry.index.0 == index)
    }

    /// Term and clock of the entry at `index`, which may also be the base.
    fn known(&self, index: u64) -> Option<(Term, Stamp)> {
        let at_base = index == self.base as u64;
        match (index, at_base) {
            (0, true) => Some((Term(0), Stamp(0))),
            _ => self
                .entries
                .iter()
                .find(|entry| entry.index.0 == index && index >= self.base as u64)
                .map(|entry| (entry.term, entry.stamp)),
        }
    }

    /// Memberships up to `index`, oldest first: the founding one and all that entries brought.
    fn memberships(&self, index: u64) -> Vec<(u64, Membership)> {
        let brought = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.payload {
                Payload::Membership(membership) => Some((entry.index.0, membership.clone())),
                Payload::Empty | Payload::Withheld | Payload::Command { .. } => None,
            });
        let founding = Membership::new([crate::types::NodeId(1)]).unwrap();
        core::iter::once((0, founding))
            .chain(brought)
            .filter(|(at, _)| *at <= index)
            .collect()
    }
}

fn agrees(log: &Log, naive: &Naive) -> Result<(), TestCaseError> {
    let base = naive.base as u64;
    let last = naive.entries.len() as u64;
    prop_assert_eq!((log.base().index.0, log.last().index.0), (base, last));
    prop_assert_eq!(
        Some((log.start().position.term, log.start().stamp)),
        naive.known(base)
    );
    prop_assert_eq!(Some((log.last().term, log.last_stamp())), naive.known(last));
    let uncovered = &naive.entries[naive.covered..];
    prop_assert_eq!(
        log.uncovered_bytes(),
        uncovered.iter().map(Entry::size).sum::<usize>()
    );
    for index in 0..last + 3 {
        let at = Index(index);
        prop_assert_eq!(log.get(at), naive.get(index));
        prop_assert_eq!(log.term_at(at), naive.known(index).map(|(term, _)| term));
        prop_assert_eq!(log.stamp_at(at), naive.known(index).map(|(_, stamp)| stamp));
        prop_assert_eq!(
            log.position_at(at).map(|position| position.index),
            naive.known(index).map(|_| at)
        );
        for term in 0..last + 3 {
            let position = LogPosition {
                term: Term(term),
                index: at,
            };
            prop_assert_eq!(
                log.matches(position),
                naive.known(index).is_some_and(|(at, _)| at.0 == term)
            );
            let older = naive
                .held()
                .iter()
                .rev()
                .find(|entry| entry.index <= at && entry.term.0 <= term);
            let expected = older.map_or(log.base(), Entry::position);
            prop_assert_eq!(log.last_of_term_at_most(at, Term(term)), expected);
        }
        let whole = !naive
            .entries
            .iter()
            .any(|entry| entry.payload == Payload::Withheld && entry.index > at);
        prop_assert!(index < base || log.is_whole_after(at) == whole);
        if index > base {
            prop_assert_eq!(
                log.from(at),
                &naive.entries[naive.entries.len().min(index as usize - 1)..]
            );
        }
        // Before the base only the membership in force at the base is known.
        if index >= base {
            let expected = naive
                .memberships(index)
                .pop()
                .map(|(_, membership)| membership);
            prop_assert_eq!(Some(log.membership_at(at)), expected.as_ref());
        }
    }
    let all = naive.memberships(last);
    let (at, newest) = all.last().expect("the founding membership");
    prop_assert_eq!((log.membership_index().0, log.membership()), (*at, newest));
    let before = all.len().checked_sub(2).map(|before| &all[before].1);
    prop_assert_eq!(log.membership_before(), before.filter(|_| *at > base));
    Ok(())
}

proptest! {
    #[test]
    fn operations_agree_with_a_plain_vector(acts in acts()) {
        let mut log = log(&[]);
        let mut naive = Naive { entries: Vec::new(), covered: 0, base: 0 };
        for act in acts {
            match act {
                Act::Push { newer, later, kind } => log.push(naive.push(newer, later, kind)),
                Act::Truncate(place) => {
                    let from = (naive.covered as u64 + 1 + place).min(naive.entries.len() as u64 + 1);
                    log.truncate(Index(from));
                    naive.entries.truncate(from as usize - 1);
                }
                Act::Uncover(place) => {
                    naive.covered = naive.covered.min(naive.base + place as usize);
                    log.uncover(Index(naive.covered as u64));
                }
                Act::Cover(place) => {
                    naive.covered = (naive.covered + place as usize).min(naive.entries.len());
                    log.cover(Index(naive.covered as u64));
                }
                Act::Compact(place) => {
                    naive.base = (naive.base + place as usize).min(naive.entries.len());
                    naive.covered = naive.covered.max(naive.base);
                    log.compact(Index(naive.base as u64));
                }
            }
            agrees(&log, &naive)?;
        }
        // Restoring the entries from disk gives the same log.
        let since = naive.memberships(naive.base as u64).pop().expect("the founding membership");
        let restored = Log::restore(log.start(), (Index(since.0), since.1), naive.held().to_vec());
        naive.covered = naive.base;
        agrees(&restored.map_err(TestCaseError::fail)?, &naive)?;
    }

    #[test]
    fn batch_is_the_longest_that_fits(
        sizes in prop::collection::vec(0usize..40, 1..9),
        from in 1u64..9,
        count in 1usize..9,
        bytes in 0usize..300,
    ) {
        let entries = sizes.iter().zip(1..).map(|(size, index)| {
            let command = crate::entry::Command {
                client: crate::types::ClientId(1),
                sequence: index,
                bytes: alloc::vec![7; *size].into(),
            };
            let member = crate::types::NodeId(1);
            Entry { payload: Payload::Command { command, member }, ..entry(index, 1) }
        });
        let log = restore(entries.collect()).unwrap();
        let (batch, sum) = log.batch(Index(from), count, bytes);
        let rest = log.from(Index(from));
        let fits = |len: &usize| *len == 1 || rest[..*len].iter().map(Entry::size).sum::<usize>() <= bytes;
        let longest = (1..=rest.len().min(count)).take_while(fits).last().unwrap_or(0);
        prop_assert_eq!((batch, sum), (&rest[..longest], rest[..longest].iter().map(Entry::size).sum()));
    }
}
