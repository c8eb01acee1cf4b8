//! The only module of this crate that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raftian_raft::Moment;

/// Monotonic clock that starts at zero and continues while the machine is suspended.
///
/// Decision: not [`Instant`], which stops during a suspend on Linux and Apple systems. Why: a
/// leader that resumes would take its lease for valid and answer a read that another leader has
/// made stale. Would change if: `Instant` guaranteed to continue; on Windows it does, and is used.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Duration,
}

impl Clock {
    /// Starts a clock.
    pub fn start() -> Self {
        Clock {
            start: since_boot(),
        }
    }

    /// Returns the time since the start.
    pub fn now(&self) -> Moment {
        Moment(
            u64::try_from(since_boot().saturating_sub(self.start).as_micros()).unwrap_or(u64::MAX),
        )
    }

    /// Converts a moment to an instant, for a sleep; a moment more than an hour away becomes an
    /// hour from now.
    pub fn instant(&self, moment: Moment) -> Instant {
        // `Instant` panics on overflow, and a moment may be as far away as `u64::MAX`.
        Instant::now() + moment.since(self.now()).min(Duration::from_secs(3600))
    }
}

/// Returns the seconds since 1970 on this machine's wall clock, which may be wrong: for times that
/// are shown or compared with those of other machines.
pub fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Returns the time since a point before the start of this process, suspends included.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    duration(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

/// Returns the time since a point before the start of this process; Apple's monotonic clock
/// includes suspends.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn since_boot() -> Duration {
    duration(rustix::time::clock_gettime(
        rustix::time::ClockId::Monotonic,
    ))
}

#[cfg(unix)]
fn duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(not(unix))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_runs_forward_and_converts_moments_to_instants() {
        let clock = Clock::start();
        let first = clock.now();
        let second = clock.now();
        assert!(first <= second && second < Moment(60_000_000));
        let soon = clock.instant(clock.now().after(Duration::from_secs(5)));
        let wait = soon.saturating_duration_since(Instant::now());
        assert!(
            wait > Duration::from_secs(4) && wait <= Duration::from_secs(5),
            "{wait:?}"
        );
        let far = clock
            .instant(Moment(u64::MAX))
            .saturating_duration_since(Instant::now());
        assert!(far <= Duration::from_secs(3600));
    }
}
