//! History of client calls and answers, in real-time order.

use std::collections::BTreeSet;
use std::fmt;

/// A client's call on one key. A key holds a list of numbers, initially empty.
///
/// The values are lists because a read of the whole list exposes a lost, duplicated or reordered
/// command long after it happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Call {
    /// Replaces the list by this one value.
    Write(u64),
    /// Appends this value to the list.
    Append(u64),
    /// Reads the whole list.
    Read,
}

impl Call {
    /// Returns whether it may change the list.
    pub fn is_update(self) -> bool {
        match self {
            Call::Write(_) | Call::Append(_) => true,
            Call::Read => false,
        }
    }

    /// Applies the call to a list: the sequential model that a cluster must implement.
    pub fn apply(self, list: &mut Vec<u64>) {
        match self {
            Call::Write(value) => *list = vec![value],
            Call::Append(value) => list.push(value),
            Call::Read => {}
        }
    }
}

/// Answer to a client. Only [`log_order`](super::log_order) uses the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The update took effect.
    Written {
        /// Log index at which it took effect.
        index: u64,
    },
    /// The list that the read returned.
    Value {
        /// From the first value to the last.
        list: Vec<u64>,
        /// Log index of the last effect that the read saw.
        index: u64,
    },
}

impl Answer {
    /// Returns the log index at which the operation took effect, or the last one that it saw.
    pub fn index(&self) -> u64 {
        match self {
            Answer::Written { index } | Answer::Value { index, .. } => *index,
        }
    }
}

/// Outcome of an operation for its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The client received no answer: the operation may take effect at any time after its
    /// invocation, or never.
    Unknown,
    /// The client received an answer.
    Answered {
        /// Time of the answer, on the clock of [`Operation::invoked`].
        returned: u64,
        /// The answer.
        answer: Answer,
    },
}

/// One call of one client, including its retries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// The calling client.
    pub client: u64,
    /// Identifies an update in the log, together with its client. Ignored for reads.
    pub sequence: u64,
    /// Time of the invocation. The history counts invocations and returns, so that no two times
    /// are equal.
    pub invoked: u64,
    /// The key.
    pub key: u32,
    /// The call.
    pub call: Call,
    /// Its outcome.
    pub outcome: Outcome,
}

impl Operation {
    /// Returns the time of the answer, if there is one.
    pub fn returned(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Unknown => None,
            Outcome::Answered { returned, .. } => Some(returned),
        }
    }

    /// Returns the answer, if there is one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Unknown => None,
            Outcome::Answered { answer, .. } => Some(answer),
        }
    }

    /// Returns the list that a read returned, if this is an answered read.
    pub fn list(&self) -> Option<&[u64]> {
        match self.answer() {
            Some(Answer::Value { list, .. }) => Some(list),
            Some(Answer::Written { .. }) | None => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Write(value) => write!(f, "write {value}"),
            Call::Append(value) => write!(f, "append {value}"),
            Call::Read => f.write_str("read"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation {
            client,
            sequence,
            invoked,
            key,
            call,
            outcome,
        } = self;
        write!(
            f,
            "[client {client} #{sequence} {call} on key {key}, invoked {invoked}, "
        )?;
        match outcome {
            Outcome::Unknown => f.write_str("never answered]"),
            Outcome::Answered {
                returned,
                answer: Answer::Written { index },
            } => {
                write!(f, "returned {returned} with index {index}]")
            }
            Outcome::Answered {
                returned,
                answer: Answer::Value { list, index },
            } => {
                write!(
                    f,
                    "returned {returned} with {} at index {index}]",
                    Tail(list)
                )
            }
        }
    }
}

/// Formats a list for a message: its length and its last few values, where lists usually differ.
pub(super) struct Tail<'a>(pub(super) &'a [u64]);

impl Tail<'_> {
    /// Maximum number of values shown, so that a message stays on one line.
    const SHOWN: usize = 8;
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len().checked_sub(Self::SHOWN) {
            None | Some(0) => write!(f, "{:?}", self.0),
            Some(hidden) => write!(f, "{hidden} more and {:?}", &self.0[hidden..]),
        }
    }
}

/// Identifies an operation of the history that issued it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(usize);

/// Operations in order of invocation. An operation without an answer has an unknown outcome.
///
/// The order of recording defines time. Record an invocation before the first message leaves and an
/// answer after the client has it; otherwise the checkers assume a stricter cluster than the real
/// one.
#[derive(Clone, Default, Debug)]
pub struct History {
    operations: Vec<Operation>,
    time: u64,
    names: BTreeSet<(u64, u64)>,
}

impl History {
    /// Records that a client calls now. A retry, to any node, belongs to the same operation and is
    /// not recorded.
    ///
    /// # Panics
    /// If `client` used `sequence` for another update: the history would be ambiguous.
    pub fn invoke(&mut self, client: u64, sequence: u64, key: u32, call: Call) -> Ticket {
        let fresh = !call.is_update() || self.names.insert((client, sequence));
        assert!(
            fresh,
            "client {client} has two updates with sequence {sequence}"
        );
        let invoked = self.tick();
        self.operations.push(Operation {
            client,
            sequence,
            invoked,
            key,
            call,
            outcome: Outcome::Unknown,
        });
        Ticket(self.operations.len() - 1)
    }

    /// Records that the client receives the answer now.
    ///
    /// # Panics
    /// If the operation was already answered, if the answer does not fit the call, or if the ticket
    /// is of another history.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        let returned = self.tick();
        let operation = &mut self.operations[ticket.0];
        assert_eq!(
            operation.outcome,
            Outcome::Unknown,
            "an operation is answered once"
        );
        assert!(
            operation.call.is_update() == matches!(answer, Answer::Written { .. }),
            "{answer:?} does not answer {operation}"
        );
        operation.outcome = Outcome::Answered { returned, answer };
    }

    /// Returns the operations in order of invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }
}

#[cfg(test)]
impl History {
    /// Changes the answer of an answered operation, at the same time.
    pub(super) fn change(&mut self, place: usize, change: impl FnOnce(&mut Answer)) {
        match &mut self.operations[place].outcome {
            Outcome::Answered { answer, .. } => change(answer),
            Outcome::Unknown => panic!("the operation has no answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_recording_order_and_no_answer_is_unknown_outcome() {
        let mut history = History::default();
        let write = history.invoke(1, 1, 0, Call::Write(5));
        history.invoke(2, 1, 0, Call::Append(6));
        history.answer(write, Answer::Written { index: 1 });
        let [write, append] = history.operations() else {
            panic!("two operations")
        };
        assert_eq!(
            (write.invoked, append.invoked, write.returned()),
            (1, 2, Some(3))
        );
        assert_eq!((append.returned(), append.answer()), (None, None));
    }

    #[test]
    #[should_panic(expected = "has two updates with sequence")]
    fn two_updates_with_one_sequence_number_panic() {
        let mut history = History::default();
        history.invoke(1, 1, 0, Call::Write(5));
        history.invoke(1, 1, 0, Call::Write(6));
    }

    #[test]
    #[should_panic(expected = "client 1 #0 read on key 4")]
    fn answer_that_does_not_fit_its_call_panics() {
        let mut history = History::default();
        let read = history.invoke(1, 0, 4, Call::Read);
        history.answer(read, Answer::Written { index: 1 });
    }

    #[test]
    fn long_list_shows_its_last_values() {
        assert_eq!(Tail(&[1, 2]).to_string(), "[1, 2]");
        let long: Vec<_> = (0..100).collect();
        assert_eq!(
            Tail(&long).to_string(),
            "92 more and [92, 93, 94, 95, 96, 97, 98, 99]"
        );
    }
}
