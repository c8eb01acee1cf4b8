//! Linearizability: each operation takes effect at once, somewhere between its invocation and its
//! return (Raft paper, section 8; Herlihy and Wing 1990).
//!
//! [`History`] records calls and answers of clients. Two checkers with different blind spots judge
//! it:
//!
//! | | trusts | decides | cost |
//! |---|---|---|---|
//! | [`log_order`] | the index of each answer and the committed log | always | O(n log n) |
//! | [`wgl`] | only the answers of clients | unless its budget runs out | exponential at worst |
//!
//! ```
//! use raftian_sim::linearizability::{Answer, Call, Committed, History, Verdict, log_order, wgl};
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
