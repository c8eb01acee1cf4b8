//! What clients asked and heard, in the order in which it happened.

use std::collections::BTreeSet;
use std::fmt;

/// What a client asks of one key. A key holds a list of numbers, empty at first.
///
/// Lists, because a reader of the whole list sees a lost, a doubled and a swapped command long
/// after it happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Call {
    /// Replaces the list by this one value.
    Write(u64),
    /// Adds this value at the end of the list.
    Append(u64),
    /// Asks for the whole list.
    Read,
}

impl Call {
    /// Whether it may change the list.
    #[must_use]
    pub fn is_update(self) -> bool {
        match self {
            Call::Write(_) | Call::Append(_) => true,
            Call::Read => false,
        }
    }

    /// Does to a list what the call asks: the model that a cluster must be indistinguishable from.
    pub fn apply(self, list: &mut Vec<u64>) {
        match self {
            Call::Write(value) => *list = vec![value],
            Call::Append(value) => list.push(value),
            Call::Read => {}
        }
    }
}

/// What a client heard. The index is looked at by the [witness](super::witness) only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The update took effect.
    Written {
        /// Place in the log at which it took effect.
        index: u64,
    },
    /// The list as the read saw it.
    Value {
        /// From the first value to the last.
        list: Vec<u64>,
        /// Last place in the log whose effect the read saw.
        index: u64,
    },
}

impl Answer {
    /// Place in the log at which the operation took effect, or whose effect it saw.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Answer::Written { index } | Answer::Value { index, .. } => *index,
        }
    }
}

/// How an operation ended, as far as its client knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The client heard nothing: the operation may take effect at any time after its invocation, or
    /// never.
    Unknown,
    /// The client heard this at this time.
    Answered {
        /// When, on the clock of [`Operation::invoked`].
        returned: u64,
        /// What.
        answer: Answer,
    },
}

/// One call of one client, however often it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who called.
    pub client: u64,
    /// Names an update together with its client, so that it is found in the log. A read's is not
    /// looked at.
    pub sequence: u64,
    /// When: the history counts invocations and returns, no two at the same time.
    pub invoked: u64,
    /// On which key.
    pub key: u32,
    /// What was asked.
    pub call: Call,
    /// How it ended.
    pub outcome: Outcome,
}

impl Operation {
    /// When the client heard, if it did.
    #[must_use]
    pub fn returned(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Unknown => None,
            Outcome::Answered { returned, .. } => Some(returned),
        }
    }

    /// What the client heard, if it did.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Unknown => None,
            Outcome::Answered { answer, .. } => Some(answer),
        }
    }

    /// The list that a read saw, if it is one and returned.
    #[must_use]
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

/// A list in a message: its length and its last few values, which is where lists differ.
pub(super) struct Tail<'a>(pub(super) &'a [u64]);

impl Tail<'_> {
    /// Values shown at most, so that a message stays one line.
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

/// Names an operation of the history that gave it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(usize);

/// Operations in the order of their invocation. An operation that was not answered has an unknown
/// outcome.
///
/// It keeps its own time: what is recorded first happened first. Record an invocation before the
/// first message leaves and an answer after the client has it, or the checkers judge a stricter
/// cluster than there is.
#[derive(Clone, Default, Debug)]
pub struct History {
    operations: Vec<Operation>,
    time: u64,
    names: BTreeSet<(u64, u64)>,
}

impl History {
    /// A client calls now. Sending it again, to whichever node, is the same operation and is not
    /// recorded.
    ///
    /// # Panics
    /// If `client` used `sequence` for another update: the recorder then tests nothing.
    pub fn invoke(&mut self, client: u64, sequence: u64, key: u32, call: Call) -> Ticket {
        let fresh = !call.is_update() || self.names.insert((client, sequence));
        assert!(fresh, "client {client} numbers two updates {sequence}");
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

    /// The client hears now.
    ///
    /// # Panics
    /// If it heard before, if a read hears of an update or an update of a list, or if the ticket is
    /// another history's.
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
            "{answer:?} to {operation}"
        );
        operation.outcome = Outcome::Answered { returned, answer };
    }

    /// In the order of invocation.
    #[must_use]
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
    /// The answered operation heard something else instead, at the same time.
    pub(super) fn change(&mut self, place: usize, change: impl FnOnce(&mut Answer)) {
        match &mut self.operations[place].outcome {
            Outcome::Answered { answer, .. } => change(answer),
            Outcome::Unknown => panic!("nothing was heard"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_the_order_of_recording_and_silence_is_an_unknown_outcome() {
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
    #[should_panic(expected = "numbers two updates")]
    fn two_updates_of_one_name_are_a_broken_recorder() {
        let mut history = History::default();
        history.invoke(1, 1, 0, Call::Write(5));
        history.invoke(1, 1, 0, Call::Write(6));
    }

    #[test]
    #[should_panic(expected = "client 1 #0 read on key 4")]
    fn an_answer_that_does_not_fit_its_call_is_a_broken_recorder() {
        let mut history = History::default();
        let read = history.invoke(1, 0, 4, Call::Read);
        history.answer(read, Answer::Written { index: 1 });
    }

    #[test]
    fn a_long_list_is_told_by_its_end() {
        assert_eq!(Tail(&[1, 2]).to_string(), "[1, 2]");
        let long: Vec<_> = (0..100).collect();
        assert_eq!(
            Tail(&long).to_string(),
            "92 more and [92, 93, 94, 95, 96, 97, 98, 99]"
        );
    }
}
