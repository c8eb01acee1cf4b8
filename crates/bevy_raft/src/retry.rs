//! Resubmission intervals for proposals without an outcome.

use std::time::Duration;

/// Shortest time until an unanswered proposal is resubmitted: a few round trips on a bad line.
pub const MIN_RETRY: Duration = Duration::from_millis(500);

/// Longest time until an unanswered proposal is resubmitted, however slow commits are.
pub const MAX_RETRY: Duration = Duration::from_secs(8);

/// Time until a refused proposal is resubmitted. It doubles with each consecutive refusal.
pub const REFUSED_RETRY: Duration = Duration::from_millis(50);

/// Longest time until a refused proposal is resubmitted.
pub const MAX_REFUSED_RETRY: Duration = Duration::from_secs(1);

/// Smoothed time from submission to commit and its deviation, estimated as TCP estimates round
/// trips (RFC 6298, section 2).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommitLatency {
    /// Smoothed latency and its deviation; `None` before the first commit.
    estimate: Option<(Duration, Duration)>,
}

impl CommitLatency {
    /// Adds one measured commit.
    pub(crate) fn record(&mut self, sample: Duration) {
        self.estimate = Some(match self.estimate {
            None => (sample, sample / 2),
            Some((smoothed, deviation)) => {
                // The gains of RFC 6298: 1/8 for the mean, 1/4 for the deviation.
                let error = smoothed.abs_diff(sample);
                (smoothed * 7 / 8 + sample / 8, deviation * 3 / 4 + error / 4)
            }
        });
    }

    /// Returns the time from the `attempts`th consecutive submission to the next: the expected
    /// commit latency plus four deviations, at least [`MIN_RETRY`], doubled with each attempt (RFC
    /// 6298, section 5.5), at most [`MAX_RETRY`].
    pub(crate) fn retry_after(&self, attempts: u32) -> Duration {
        let expected = self
            .estimate
            .map_or(MIN_RETRY, |(smoothed, deviation)| smoothed + deviation * 4);
        doubled(expected.max(MIN_RETRY), attempts, MAX_RETRY)
    }
}

/// Returns the time from the `refusals`th consecutive refusal to the next submission.
pub(crate) fn after_refusal(refusals: u32) -> Duration {
    doubled(REFUSED_RETRY, refusals, MAX_REFUSED_RETRY)
}

/// Returns `time` for the first attempt, twice that for the second and so on, at most `longest`.
fn doubled(time: Duration, attempts: u32, longest: Duration) -> Duration {
    // 2^16 times the shortest time is far beyond the longest.
    time.saturating_mul(1 << attempts.saturating_sub(1).min(16))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_back_off_from_the_measured_latency() {
        let mut latency = CommitLatency::default();
        let seconds =
            |latency: &CommitLatency, attempts| latency.retry_after(attempts).as_secs_f64();
        assert_eq!(
            [1, 2, 3, 9, u32::MAX].map(|n| seconds(&latency, n)),
            [0.5, 1.0, 2.0, 8.0, 8.0],
            "before any measurement"
        );
        (0..50).for_each(|_| latency.record(Duration::from_millis(20)));
        assert_eq!(seconds(&latency, 1), 0.5, "never below MIN_RETRY");
        (0..50).for_each(|_| latency.record(Duration::from_secs(2)));
        assert!(
            (2.0..2.5).contains(&seconds(&latency, 1)),
            "a disk became slow: {}",
            seconds(&latency, 1)
        );
        assert!((4.0..5.0).contains(&seconds(&latency, 2)));
    }

    #[test]
    fn refusals_double_the_retry_interval_up_to_a_second() {
        let milliseconds = [0, 1, 2, 5, 6, 99].map(|refusals| after_refusal(refusals).as_millis());
        assert_eq!(milliseconds, [50, 50, 100, 800, 1000, 1000]);
    }
}
