//! Latency of a player's orders from the click to the commit.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;

/// Maximum number of samples kept. The oldest is dropped.
pub const LATENCIES_KEPT: usize = 256;

/// The last [`LATENCIES_KEPT`] times from a click to its commit, recorded by the proposer.
#[derive(Resource, Clone, Debug, Default)]
pub struct CommitLatency {
    samples: VecDeque<Duration>,
}

impl CommitLatency {
    /// Adds the latency of one committed click.
    pub fn record(&mut self, time: Duration) {
        while self.samples.len() >= LATENCIES_KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(time);
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Duration> {
        self.samples.iter().copied()
    }

    /// The 50th, 95th and 99th percentile; `None` without samples.
    pub fn percentiles(&self) -> Option<[Duration; 3]> {
        let mut sorted: Vec<_> = self.samples().collect();
        sorted.sort_unstable();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile(&sorted, percent));
        Some([p50?, p95?, p99?])
    }
}

/// The smallest sample that is at least as large as `percent` of all samples (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: impl IntoIterator<Item = u64>) -> CommitLatency {
        let mut latency = CommitLatency::default();
        samples
            .into_iter()
            .for_each(|ms| latency.record(Duration::from_millis(ms)));
        latency
    }

    fn percentiles(latency: &CommitLatency) -> Option<[u128; 3]> {
        latency
            .percentiles()
            .map(|all| all.map(|time| time.as_millis()))
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        assert_eq!(percentiles(&of((1..=100).rev())), Some([50, 95, 99]));
        assert_eq!(percentiles(&of([7])), Some([7, 7, 7]));
        assert_eq!(percentiles(&of([1, 2, 3, 1000])), Some([2, 1000, 1000]));
        assert_eq!(percentiles(&of([])), None);
    }

    #[test]
    fn oldest_samples_are_dropped() {
        let latency = of(0..300);
        assert_eq!(latency.samples().len(), LATENCIES_KEPT);
        assert_eq!(latency.samples().next(), Some(Duration::from_millis(44)));
    }
}
