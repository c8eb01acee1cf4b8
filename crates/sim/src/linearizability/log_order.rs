//! Checks a history against the log that produced it, in O(n log n).
//!
//! Every answer carries the index at which its operation took effect, and with the committed log
//! that is a complete linearization: no search is needed. The check finds nearly every violation
//! and never runs out of budget, but it trusts the given log: [`crate::invariants`] must check that
//! all nodes have the same one.

use std::collections::BTreeMap;
use std::fmt;

use super::history::{Call, History, Operation, Tail};

/// One command of the committed log that took effect; duplicates are dropped before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Its log index. Indexes increase but may have gaps, as not every entry is a command.
    pub index: u64,
    /// The calling client.
    pub client: u64,
    /// Sequence number of the client's update.
    pub sequence: u64,
    /// The key.
    pub key: u32,
    /// The call. A read that went through the log changes nothing and is skipped.
    pub call: Call,
}

impl fmt::Display for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Committed {
            index,
            client,
            sequence,
            key,
            call,
        } = self;
        write!(
            f,
            "[entry {index}: client {client} #{sequence} {call} on key {key}]"
        )
    }
}

/// A contradiction between a history and its log. `Display` names both sides.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Contradiction {
    /// Real time is not respected.
    #[error("{earlier} returned before {later} was invoked, which took effect at index {index}")]
    BackInTime {
        /// The operation that had returned.
        earlier: Box<Operation>,
        /// The operation that did not see `earlier`, or took effect at its index.
        later: Box<Operation>,
        /// Index at which `later` took effect, from its answer or else from the log.
        index: u64,
    },
    /// A read did not return the key's list at its index of the log.
    #[error(
        "{read} should have returned {}: the key's newest update is {}",
        Tail(shown),
        newest.map_or("none".into(), |entry| entry.to_string())
    )]
    WrongValue {
        /// The read with its answer.
        read: Box<Operation>,
        /// The key's list in the replay at the read's index.
        shown: Vec<u64>,
        /// The last update of that key in the replay.
        newest: Option<Committed>,
    },
    /// An update that was answered is not in the log.
    #[error("{update} is not in the log")]
    Lost {
        /// The update with its answer.
        update: Box<Operation>,
    },
    /// An update was answered with another index than its index in the log.
    #[error("{update} is in the log as {entry}")]
    Elsewhere {
        /// The update with its answer.
        update: Box<Operation>,
        /// Its entry in the log.
        entry: Committed,
    },
    /// A command takes effect twice.
    #[error("{second} repeats {first}")]
    Twice {
        /// The first occurrence.
        first: Committed,
        /// The second occurrence.
        second: Committed,
    },
    /// A command in the log differs from the client's call, or the client made no such call.
    #[error(
        "{entry} was never called: its client called {}",
        called
            .as_ref()
            .map_or("nothing with this sequence number".into(), |called| called.to_string())
    )]
    FromNowhere {
        /// The entry in the log.
        entry: Committed,
        /// The client's call with this sequence number.
        called: Option<Box<Operation>>,
    },
    /// The indexes of the log do not increase.
    #[error("{second} follows {first} in the log")]
    LogOutOfOrder {
        /// The preceding command.
        first: Committed,
        /// The following command.
        second: Committed,
    },
}

/// Checks that `log` explains `history`: real time is respected, every read returns its key's list
/// at its index of the log, every answered update is in the log exactly once and at its index, and
/// every other update at most once.
///
/// # Errors
/// The first contradiction found. The result depends only on the arguments.
pub fn check(history: &History, log: &[Committed]) -> Result<(), Contradiction> {
    let effects = effects(history, log)?;
    real_time(history, &effects)?;
    replay(history, log)
}

/// Returns the indexes at which the operations took effect, in order of invocation: none for a read
/// of unknown outcome, and for an unanswered update that is not in the log.
fn effects(history: &History, log: &[Committed]) -> Result<Vec<Option<u64>>, Contradiction> {
    if let Some(pair) = log.windows(2).find(|pair| pair[0].index >= pair[1].index) {
        return Err(Contradiction::LogOutOfOrder {
            first: pair[0],
            second: pair[1],
        });
    }
    let updates = history
        .operations()
        .iter()
        .filter(|operation| operation.call.is_update());
    let called: BTreeMap<_, _> = updates
        .map(|update| ((update.client, update.sequence), update))
        .collect();
    let mut places = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.call.is_update()) {
        let name = (entry.client, entry.sequence);
        let update = called.get(&name).copied();
        if update.is_none_or(|update| (update.key, update.call) != (entry.key, entry.call)) {
            return Err(Contradiction::FromNowhere {
                entry: *entry,
                called: update.cloned().map(Box::new),
            });
        }
        if let Some(first) = places.insert(name, *entry) {
            return Err(Contradiction::Twice {
                first,
                second: *entry,
            });
        }
    }
    let effect = |operation: &Operation| {
        let answered = operation.answer().map(super::Answer::index);
        if !operation.call.is_update() {
            return Ok(answered);
        }
        let update = || Box::new(operation.clone());
        match (
            answered,
            places.get(&(operation.client, operation.sequence)),
        ) {
            (Some(index), Some(entry)) if entry.index == index => Ok(Some(index)),
            (Some(_), Some(entry)) => Err(Contradiction::Elsewhere {
                update: update(),
                entry: *entry,
            }),
            (Some(_), None) => Err(Contradiction::Lost { update: update() }),
            (None, entry) => Ok(entry.map(|entry| entry.index)),
        }
    };
    history.operations().iter().map(effect).collect()
}

/// Checks that an operation invoked after another returned takes effect after it. Only reads may
/// share an index, with each other and with the update that they see.
fn real_time(history: &History, effects: &[Option<u64>]) -> Result<(), Contradiction> {
    let effective = || {
        history
            .operations()
            .iter()
            .zip(effects)
            .filter_map(|(op, index)| Some((op, (*index)?)))
    };
    let mut returns: Vec<_> = effective()
        .filter_map(|(op, index)| Some((op.returned()?, index, op)))
        .collect();
    returns.sort_unstable_by_key(|(returned, ..)| *returned);
    let mut returns = returns.into_iter().peekable();
    // Of all that returned so far, the one that took effect last is the hardest to come after.
    let mut last: Option<(u64, &Operation)> = None;
    for (operation, index) in effective() {
        while let Some((_, other, earlier)) =
            returns.next_if(|(returned, ..)| *returned < operation.invoked)
        {
            if last.is_none_or(|(index, _)| index < other) {
                last = Some((other, earlier));
            }
        }
        if let Some((other, earlier)) = last
            && (other > index || other == index && operation.call.is_update())
        {
            let earlier = Box::new(earlier.clone());
            let later = Box::new(operation.clone());
            return Err(Contradiction::BackInTime {
                earlier,
                later,
                index,
            });
        }
    }
    Ok(())
}

/// Applies the log to empty lists and compares each read with the list of its key at its index.
fn replay(history: &History, log: &[Committed]) -> Result<(), Contradiction> {
    let reads = history.operations().iter();
    let mut reads: Vec<_> = reads
        .filter_map(|op| Some((op.answer()?.index(), op.list()?, op)))
        .collect();
    reads.sort_by_key(|(index, ..)| *index);
    let mut lists: BTreeMap<u32, (Vec<u64>, Committed)> = BTreeMap::new();
    let mut rest = log.iter().filter(|entry| entry.call.is_update()).peekable();
    for (index, seen, read) in reads {
        while let Some(entry) = rest.next_if(|entry| entry.index <= index) {
            let (list, newest) = lists
                .entry(entry.key)
                .or_insert_with(|| (Vec::new(), *entry));
            entry.call.apply(list);
            *newest = *entry;
        }
        let (shown, newest) = lists
            .get(&read.key)
            .map_or((&[][..], None), |(list, entry)| (list, Some(*entry)));
        if shown != seen {
            return Err(Contradiction::WrongValue {
                read: Box::new(read.clone()),
                shown: shown.to_vec(),
                newest,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::Call::{Append, Read, Write};
    use crate::linearizability::sample::{Sample, asked, done, history, saw};

    /// Returns the log entry of the call that the sample gives this client.
    fn entry(index: u64, client: u64, call: Call) -> Committed {
        Committed {
            index,
            client,
            sequence: 1,
            key: 0,
            call,
        }
    }

    fn contradiction<const N: usize>(samples: [Sample; N], log: &[Committed]) -> Contradiction {
        check(&history(samples), log).expect_err("there is a contradiction")
    }

    #[test]
    fn answers_explained_by_the_log_pass() {
        let samples = [
            done(Append(1), 0..5).at(3),
            done(Append(2), 1..6).at(2),
            saw(&[2], 2..7).at(2),
            saw(&[2, 1], 8..9).at(6),
            asked(Append(4), 3),
            asked(Append(5), 4),
        ];
        let log = [
            entry(2, 2, Append(2)),
            entry(3, 1, Append(1)),
            entry(5, 3, Read),
            entry(9, 6, Append(5)),
        ];
        assert_eq!(check(&history(samples), &log), Ok(()));
    }

    #[test]
    fn index_back_in_time_is_reported_with_both_operations() {
        let samples = [done(Write(1), 0..1).at(5), saw(&[], 2..3).at(4)];
        let contradiction = contradiction(samples, &[entry(5, 1, Write(1))]);
        let text = "[client 1 #1 write 1 on key 0, invoked 1, returned 2 with index 5] returned \
                    before [client 2 #1 read on key 0, invoked 3, returned 4 with [] at index 4] \
                    was invoked, which took effect at index 4";
        assert_eq!(contradiction.to_string(), text);
    }

    #[test]
    fn update_cannot_share_the_index_of_an_earlier_operation() {
        let read_at = |index| [saw(&[], 0..1).at(index), done(Write(1), 2..3).at(4)];
        assert_eq!(
            check(&history(read_at(3)), &[entry(4, 2, Write(1))]),
            Ok(())
        );
        assert!(matches!(
            contradiction(read_at(4), &[entry(4, 2, Write(1))]),
            Contradiction::BackInTime { .. }
        ));
    }

    #[test]
    fn contradiction_names_the_operation_that_took_effect_last() {
        let samples = [
            done(Write(1), 0..3).at(9),
            done(Write(2), 1..4).at(8),
            saw(&[2], 5..6).at(8),
        ];
        let Contradiction::BackInTime {
            earlier,
            later,
            index: 8,
        } = contradiction(samples, &[entry(8, 2, Write(2)), entry(9, 1, Write(1))])
        else {
            panic!("the read is back in time");
        };
        assert_eq!((earlier.client, later.client), (1, 3));
    }

    #[test]
    fn call_of_unknown_outcome_takes_effect_after_its_invocation() {
        let samples = [done(Write(1), 0..1).at(5), asked(Append(2), 2)];
        assert!(matches!(
            contradiction(samples, &[entry(4, 2, Append(2)), entry(5, 1, Write(1))]),
            Contradiction::BackInTime { index: 4, .. }
        ));
    }

    #[test]
    fn wrong_read_is_reported_with_the_newest_update() {
        let log = [entry(1, 1, Write(1)), entry(2, 2, Write(2))];
        let stale = [
            done(Write(1), 0..1).at(1),
            done(Write(2), 2..3).at(2),
            saw(&[1], 4..5).at(2),
        ];
        let contradiction = contradiction(stale, &log);
        let text = "[client 3 #1 read on key 0, invoked 5, returned 6 with [1] at index 2] \
                    should have returned [2]: the key's newest update is \
                    [entry 2: client 2 #1 write 2 on key 0]";
        assert_eq!(contradiction.to_string(), text);
    }

    #[test]
    fn answered_update_must_be_in_the_log_once_at_its_index() {
        let answered = || [done(Append(1), 0..1).at(2)];
        assert!(matches!(
            contradiction(answered(), &[]),
            Contradiction::Lost { .. }
        ));
        assert!(matches!(
            contradiction(answered(), &[entry(3, 1, Append(1))]),
            Contradiction::Elsewhere { .. }
        ));
        let log = [entry(2, 1, Append(1)), entry(3, 1, Append(1))];
        assert_eq!(
            contradiction(answered(), &log),
            Contradiction::Twice {
                first: log[0],
                second: log[1]
            }
        );
    }

    #[test]
    fn call_of_unknown_outcome_is_in_the_log_at_most_once() {
        let log = [entry(2, 1, Append(1)), entry(3, 1, Append(1))];
        assert_eq!(check(&history([asked(Append(1), 0)]), &log[..0]), Ok(()));
        assert_eq!(check(&history([asked(Append(1), 0)]), &log[..1]), Ok(()));
        assert_eq!(
            contradiction([asked(Append(1), 0)], &log),
            Contradiction::Twice {
                first: log[0],
                second: log[1]
            }
        );
    }

    #[test]
    fn entry_without_a_call_is_detected() {
        let uncalled = contradiction([], &[entry(1, 1, Append(1))]);
        assert_eq!(
            uncalled.to_string(),
            "[entry 1: client 1 #1 append 1 on key 0] was never called: \
             its client called nothing with this sequence number"
        );
        let other = contradiction([asked(Append(1), 0)], &[entry(1, 1, Append(2))]);
        assert!(matches!(
            other,
            Contradiction::FromNowhere {
                called: Some(_),
                ..
            }
        ));
        let on_other_key = contradiction([asked(Append(1), 0).on(3)], &[entry(1, 1, Append(1))]);
        assert!(matches!(
            on_other_key,
            Contradiction::FromNowhere {
                called: Some(_),
                ..
            }
        ));
    }

    #[test]
    fn log_with_decreasing_indexes_is_detected() {
        let log = [entry(2, 1, Read), entry(2, 2, Read)];
        assert_eq!(
            contradiction([], &log),
            Contradiction::LogOutOfOrder {
                first: log[0],
                second: log[1]
            }
        );
    }
}
