//! Whether clients saw one copy of the data: each operation takes effect at once, somewhere between
//! its invocation and its return (Raft paper, section 8; Herlihy and Wing 1990).
//!
//! [`History`] records what clients asked and heard. Two checkers judge it, and they are blind to
//! different things:
//!
//! | | believes | decides | cost |
//! |---|---|---|---|
//! | [`witness`] | the index that came with each answer, and the committed log | always | O(n log n) |
//! | [`black_box`] | nothing but what clients saw | unless its budget runs out | exponential at worst |
//!
//! ```
//! use raftian_sim::linearizability::{Answer, Call, Committed, History, Verdict, black_box, witness};
//!
//! let mut history = History::default();
//! let append = history.invoke(1, 1, 0, Call::Append(7));
//! let read = history.invoke(2, 0, 0, Call::Read);
//! history.answer(append, Answer::Written { index: 3 });
//! history.answer(read, Answer::Value { list: vec![7], index: 3 });
//!
//! let log = [Committed { index: 3, client: 1, sequence: 1, key: 0, call: Call::Append(7) }];
//! assert!(log_order::check(&history, &log).is_ok());
//! assert!(matches!(wgl::check(&history, wgl::STATES_PER_KEY), Verdict::Linearizable));
//! ```

mod history;
pub mod log_order;
#[cfg(test)]
mod register;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
pub mod wgl;

pub use history::{Answer, Call, History, Operation, Outcome, Ticket};
pub use log_order::{Committed, Contradiction};
pub use wgl::Verdict;
