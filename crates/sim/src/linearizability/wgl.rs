//! Checks a history on what clients saw and nothing else: it looks at no index and believes no log.
//!
//! The algorithm is Wing and Gong's search for an order of the operations (1993), with Lowe's
//! memory of where it has been ("Testing for linearizability", 2017), each key for itself because a
//! history is linearizable if it is so on each key (Herlihy and Wing 1990, theorem 1).
//!
//! # What keeps the search small
//! * A read that matches is placed at once: it changes nothing, so that no later place would suit
//!   the rest better.
//! * Lists are told apart only while some read can still tell. Two orders of blind appends are one.
//! * A call of unknown outcome is placed only where a read can still see it. Elsewhere it may as
//!   well never have happened, because no answer would differ.

mod lists;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use super::history::{History, Operation};
use search::{Found, Search};

/// A budget in states, for histories of up to 10,000 operations on a key by 8 clients whose values
/// do not repeat. A check that uses it up holds some 200 MB and takes a second or three.
///
/// What costs states: values that repeat, for they make histories ambiguous; more clients at once
/// on one key; few reads.
pub const STATES_PER_KEY: usize = 250_000;

/// What the search found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// There is an order of the operations that explains every answer.
    Linearizable,
    /// There is none.
    Violated(NoLinearization),
    /// The budget ran out on a key, and no other key is violated: nothing is known. Check a shorter
    /// history, or one with fewer unknown outcomes: calls sent again under their name until they
    /// are answered.
    Undecided {
        /// The first such key.
        key: u32,
    },
}

/// Where the search got furthest. Other attempts placed fewer answered operations or as many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoLinearization {
    /// No order explains what was seen of this key.
    pub key: u32,
    /// How many answered operations of the key were placed.
    pub placed: usize,
    /// The key's list then, if any read can tell; it is meant to help and decides nothing.
    pub list: Option<Vec<u64>>,
    /// The answered operations of which one had to be next.
    pub waiting: Vec<Operation>,
}

impl fmt::Display for NoLinearization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoLinearization {
            key,
            placed,
            list,
            waiting,
        } = self;
        write!(f, "no order explains key {key}: after {placed} operations ")?;
        match list {
            Some(list) => write!(f, "it holds {}", super::history::Tail(list))?,
            None => f.write_str("it holds what nobody saw")?,
        }
        f.write_str(", and none can be next of")?;
        waiting
            .iter()
            .try_for_each(|operation| write!(f, "\n  {operation}"))
    }
}

/// Looks for an order of the operations of each key that explains every answer, in at most
/// `states_per_key` states on each.
///
/// A violated key is found even if another is undecided. The verdict depends on nothing but the
/// arguments.
pub fn check(history: &History, states_per_key: usize) -> Verdict {
    let mut keys: BTreeMap<u32, Vec<&Operation>> = BTreeMap::new();
    for operation in history.operations() {
        keys.entry(operation.key).or_default().push(operation);
    }
    let mut verdict = Verdict::Linearizable;
    for (key, operations) in keys {
        match Search::new(&operations).run(states_per_key) {
            Found::Order => {}
            Found::NoOrder {
                placed,
                list,
                waiting,
            } => {
                let waiting = waiting.into_iter().cloned().collect();
                return Verdict::Violated(NoLinearization {
                    key,
                    placed,
                    list,
                    waiting,
                });
            }
            Found::OutOfBudget if verdict == Verdict::Linearizable => {
                verdict = Verdict::Undecided { key }
            }
            Found::OutOfBudget => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::Call::{Append, Read, Write};
    use crate::linearizability::sample::{Sample, asked, done, history, saw};

    fn verdict<const N: usize>(samples: [Sample; N]) -> Verdict {
        check(&history(samples), STATES_PER_KEY)
    }

    fn is_fine<const N: usize>(samples: [Sample; N]) -> bool {
        verdict(samples) == Verdict::Linearizable
    }

    fn stuck<const N: usize>(samples: [Sample; N]) -> String {
        match verdict(samples) {
            Verdict::Violated(stuck) => stuck.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_history_one_after_the_other_passes() {
        assert!(is_fine([]));
        assert!(is_fine([
            done(Write(1), 0..1),
            done(Append(2), 2..3),
            saw(&[1, 2], 4..5),
            done(Write(3), 6..7)
        ]));
        assert!(is_fine([
            saw(&[], 0..1),
            done(Append(1), 2..3),
            saw(&[1], 4..5)
        ]));
    }

    #[test]
    fn what_overlaps_may_take_effect_in_either_order() {
        assert!(is_fine([
            done(Append(1), 0..5),
            done(Append(2), 1..6),
            saw(&[2, 1], 7..8)
        ]));
        assert!(is_fine([
            done(Append(1), 0..5),
            done(Append(2), 1..6),
            saw(&[1, 2], 7..8)
        ]));
        assert!(is_fine([
            done(Write(1), 0..9),
            saw(&[], 1..2),
            saw(&[1], 3..4)
        ]));
    }

    #[test]
    fn a_stale_read_is_seen() {
        let stuck = stuck([done(Write(1), 0..1), done(Write(2), 2..3), saw(&[1], 4..5)]);
        let text = "no order explains key 0: after 2 operations it holds what nobody saw, and none can be next of\n  \
                    [client 3 #1 read on key 0, invoked 5, returned 6 with [1] at index 0]";
        assert_eq!(stuck, text);
    }

    #[test]
    fn a_lost_write_is_seen() {
        let stuck = stuck([
            done(Append(1), 0..1),
            done(Append(2), 2..3),
            done(Append(3), 4..5),
            saw(&[1, 3], 6..7),
        ]);
        assert!(stuck.contains("after 3 operations"), "{stuck}");
    }

    #[test]
    fn a_doubled_write_is_seen() {
        stuck([done(Append(1), 0..1), saw(&[1, 1], 2..3)]);
        stuck([
            done(Append(1), 0..1),
            asked(Append(2), 2),
            saw(&[1, 2, 2], 3..4),
        ]);
    }

    #[test]
    fn a_value_from_nowhere_is_seen() {
        stuck([done(Append(1), 0..1), saw(&[1, 7], 2..3)]);
        // What is invoked later is not there yet.
        stuck([saw(&[1], 0..1), done(Append(1), 2..3)]);
        stuck([saw(&[1], 0..1), asked(Append(1), 2)]);
    }

    #[test]
    fn a_read_that_goes_back_is_seen() {
        stuck([done(Write(1), 0..9), saw(&[1], 1..2), saw(&[], 3..4)]);
        // So is one after a call of unknown outcome: once seen, it has happened.
        stuck([asked(Write(1), 0), saw(&[1], 1..2), saw(&[], 3..4)]);
    }

    #[test]
    fn two_readers_that_see_two_orders_are_seen() {
        let appends = [done(Append(1), 0..20), done(Append(2), 1..21)];
        let [one, two] = appends;
        stuck([
            one,
            two,
            saw(&[1], 2..9),
            saw(&[2], 3..10),
            saw(&[1, 2], 22..23),
        ]);
    }

    #[test]
    fn an_unknown_outcome_is_at_any_time_or_never_but_once() {
        assert!(is_fine([
            asked(Append(1), 0),
            saw(&[], 1..2),
            saw(&[1], 3..4)
        ]));
        assert!(is_fine([
            asked(Append(1), 0),
            saw(&[], 1..2),
            saw(&[], 3..4)
        ]));
        assert!(is_fine([
            asked(Append(1), 0),
            done(Append(2), 1..2),
            saw(&[2], 3..4),
            saw(&[2, 1], 5..6)
        ]));
        assert!(is_fine([
            asked(Read, 0),
            asked(Write(3), 1),
            done(Append(1), 2..3),
            saw(&[1], 4..5)
        ]));
        // Overwritten unseen, it may have been before the write, and then it is not there after it.
        stuck([
            asked(Append(1), 0),
            saw(&[1], 1..2),
            done(Write(2), 3..4),
            saw(&[2, 1], 5..6),
        ]);
    }

    #[test]
    fn each_key_is_judged_for_itself_and_a_violation_outweighs_doubt() {
        let [write, append, other] = [
            done(Write(1), 0..5),
            done(Append(2), 1..6),
            done(Append(3), 2..7),
        ];
        let on_key_1 = [
            write.on(1),
            append.on(1),
            other.on(1),
            saw(&[1, 3, 2], 8..9).on(1),
        ];
        let [write, append, other, read] = on_key_1.clone();
        assert!(is_fine([
            done(Write(1), 10..11).on(2),
            write,
            append,
            other,
            read,
            saw(&[1], 12..13).on(2)
        ]));
        let [write, append, other, read] = on_key_1;
        let history = history([
            done(Write(1), 10..11).on(2),
            write,
            append,
            other,
            read,
            saw(&[], 12..13).on(2),
        ]);
        let Verdict::Violated(stuck) = check(&history, 2) else {
            panic!("key 2 lost its write")
        };
        assert_eq!((stuck.key, stuck.placed), (2, 1));
    }

    #[test]
    fn a_search_out_of_budget_never_says_fine() {
        let fine = [
            done(Append(1), 0..5),
            done(Append(2), 1..6),
            done(Append(3), 2..7),
            saw(&[3, 2, 1], 8..9),
        ];
        assert_eq!(
            check(&history(fine.clone()), 1),
            Verdict::Undecided { key: 0 }
        );
        assert_eq!(check(&history(fine), STATES_PER_KEY), Verdict::Linearizable);
    }
}
