//! Checks a history by the answers of clients alone: it uses no index and trusts no log.
//!
//! The algorithm is Wing and Gong's search for an order of the operations (1993), with Lowe's
//! cache of visited states ("Testing for linearizability", 2017). Each key is checked separately,
//! because a history is linearizable if it is so on each key (Herlihy and Wing 1990, theorem 1).
//!
//! # Pruning
//! * A read that matches is placed at once: it changes nothing, so no later position would suit the
//!   other operations better.
//! * Lists are distinguished only while a later read can still distinguish them. Two orders of
//!   appends that no read sees are one state.
//! * A call of unknown outcome is placed only where a later read can still see it. Elsewhere it may
//!   as well never have happened, because no answer would differ.

mod lists;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use super::history::{History, Operation};
use search::{Found, Search};

/// Budget in states per key, for histories of up to 10,000 operations on a key by 8 clients with
/// distinct values. A check that exhausts it uses some 200 MB and takes one to three seconds.
///
/// Repeated values, which make histories ambiguous, more concurrent clients on one key and few
/// reads all cost more states.
pub const STATES_PER_KEY: usize = 250_000;

/// Result of the search.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// Some order of the operations explains every answer.
    Linearizable,
    /// No order explains every answer.
    Violated(NoLinearization),
    /// The budget ran out on a key, and no other key is violated: the result is unknown. Check a
    /// shorter history, or one with fewer unknown outcomes: retry calls under the same sequence
    /// number until they are answered.
    Undecided {
        /// The first such key.
        key: u32,
    },
}

/// The furthest state of a failed search: no other state placed more answered operations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoLinearization {
    /// Key with answers that no order explains.
    pub key: u32,
    /// Number of answered operations of the key that were placed.
    pub placed: usize,
    /// The key's list in that state, if a later read sees it; for diagnosis only.
    pub list: Option<Vec<u64>>,
    /// The answered operations, one of which had to be next.
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
            None => f.write_str("it holds a list that no later read saw")?,
        }
        f.write_str(", and none of these can be next:")?;
        waiting
            .iter()
            .try_for_each(|operation| write!(f, "\n  {operation}"))
    }
}

/// Searches for an order of each key's operations that explains every answer, in at most
/// `states_per_key` states per key.
///
/// A violated key is found even if another is undecided. The verdict depends only on the arguments.
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
    fn sequential_history_passes() {
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
    fn concurrent_operations_may_take_effect_in_either_order() {
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
    fn stale_read_is_detected() {
        let stuck = stuck([done(Write(1), 0..1), done(Write(2), 2..3), saw(&[1], 4..5)]);
        let text = "no order explains key 0: after 2 operations it holds a list that no later read \
                    saw, and none of these can be next:\n  \
                    [client 3 #1 read on key 0, invoked 5, returned 6 with [1] at index 0]";
        assert_eq!(stuck, text);
    }

    #[test]
    fn lost_write_is_detected() {
        let stuck = stuck([
            done(Append(1), 0..1),
            done(Append(2), 2..3),
            done(Append(3), 4..5),
            saw(&[1, 3], 6..7),
        ]);
        assert!(stuck.contains("after 3 operations"), "{stuck}");
    }

    #[test]
    fn duplicated_write_is_detected() {
        stuck([done(Append(1), 0..1), saw(&[1, 1], 2..3)]);
        stuck([
            done(Append(1), 0..1),
            asked(Append(2), 2),
            saw(&[1, 2, 2], 3..4),
        ]);
    }

    #[test]
    fn value_from_nowhere_is_detected() {
        stuck([done(Append(1), 0..1), saw(&[1, 7], 2..3)]);
        // An operation that is invoked later is not visible yet.
        stuck([saw(&[1], 0..1), done(Append(1), 2..3)]);
        stuck([saw(&[1], 0..1), asked(Append(1), 2)]);
    }

    #[test]
    fn read_of_an_older_state_is_detected() {
        stuck([done(Write(1), 0..9), saw(&[1], 1..2), saw(&[], 3..4)]);
        // A call of unknown outcome that a read has seen took effect, too.
        stuck([asked(Write(1), 0), saw(&[1], 1..2), saw(&[], 3..4)]);
    }

    #[test]
    fn two_readers_that_see_different_orders_are_detected() {
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
    fn call_of_unknown_outcome_takes_effect_at_most_once() {
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
        // The read at 1..2 places the append before the write, which overwrites it.
        stuck([
            asked(Append(1), 0),
            saw(&[1], 1..2),
            done(Write(2), 3..4),
            saw(&[2, 1], 5..6),
        ]);
    }

    #[test]
    fn keys_are_judged_separately_and_a_violation_wins() {
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
            panic!("the lost write on key 2 was not found")
        };
        assert_eq!((stuck.key, stuck.placed), (2, 1));
    }

    #[test]
    fn search_out_of_budget_is_undecided() {
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
