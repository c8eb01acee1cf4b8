//! Interrupts: the first ends the program cleanly, the second immediately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGTERM;

use super::{Exit, Failure};

/// Whether and by which signal the program was asked to end.
#[derive(Clone, Debug, Default)]
pub(super) struct StopRequest {
    /// It was asked to end.
    pub(super) to_end: Arc<AtomicBool>,
    /// It was asked by SIGTERM.
    by_term: Arc<AtomicBool>,
}

/// Watches for interrupts from now on.
pub(super) fn watch_signals() -> Result<StopRequest, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Unexpected,
            format!("cannot install the signal handlers: {error}"),
        )
    };
    let stop_request = StopRequest::default();
    let in_handler = stop_request.clone();
    ctrlc::set_handler(move || {
        // A second interrupt must work even if the clean end hangs.
        if in_handler.to_end.swap(true, Ordering::AcqRel) {
            std::process::exit(in_handler.exit() as i32);
        }
    })
    .map_err(|error| failed(&error))?;
    // Read only after the program has stopped, long after both handlers ran.
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop_request.by_term))
        .map_err(|error| failed(&error))?;
    Ok(stop_request)
}

impl StopRequest {
    /// Returns whether the program was asked to end.
    pub(super) fn is_made(&self) -> bool {
        self.to_end.load(Ordering::Acquire)
    }

    /// Exit code of a clean end: success, unless the program was asked to end.
    pub(super) fn exit(&self) -> Exit {
        match (self.is_made(), self.by_term.load(Ordering::Acquire)) {
            (false, _) => Exit::Success,
            (true, false) => Exit::Interrupted,
            (true, true) => Exit::Terminated,
        }
    }
}
