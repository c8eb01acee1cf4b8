//! Messages of caught panics.

use std::any::Any;

/// Returns the message of a panic, from its payload.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    // A `panic!` with a literal carries a `&str`, and one with arguments a `String`.
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
