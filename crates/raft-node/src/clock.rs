//! The only place of this crate that reads a clock.

use std::time::{Duration, Instant};

use raftian_raft::Moment;

/// A monotonic clock that starts at zero.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Clock { start: Instant::now() }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The instant of a moment, to sleep until; a moment too far to be named is an hour from now.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start
            .checked_add(Duration::from_micros(moment.0))
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}
