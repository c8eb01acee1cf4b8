//! Simulations in which a message and a timer are one event each.

mod event_queue;

pub use event_queue::{EventQueue, Next};
