//! A wake-up flag with which a loop without a window sleeps until there is work.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that one thread waits for and others raise.
#[derive(Debug, Default)]
pub struct Wake {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    /// Creates a lowered flag.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Raises the flag.
    pub fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until the flag is raised, at most `longest`, and lowers it.
    pub fn wait(&self, longest: Duration) {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(raised, longest, |raised| !*raised);
        // Lowered under the lock, so that no raise is lost.
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}
