//! Number of entries committed in each second.

use std::collections::VecDeque;
use std::time::Duration;

use raftian_raft::Index;

use crate::cluster_view::ClusterView;

/// Number of seconds shown.
pub(super) const SECONDS: usize = 60;

/// Commits in each of the last seconds, the current one included.
#[derive(Clone, Debug, Default)]
pub(super) struct CommitRate {
    /// Highest commit index observed of any member. A restarted member's lower index counts as no
    /// commits.
    highest: Option<Index>,
    /// Number of the newest second. `seconds` holds the commits of it and those before, oldest
    /// first; at most [`SECONDS`] plus one.
    newest: u64,
    seconds: VecDeque<u64>,
}

impl CommitRate {
    /// Adds a view received at `at`.
    pub(super) fn observe(&mut self, view: &ClusterView, at: Duration) {
        let commits = view
            .members
            .iter()
            .filter_map(|member| member.node.as_ref())
            .map(|node| node.status.commit);
        let Some(commit) = commits.max() else { return };
        self.turn_to(at.as_secs());
        // Commits before the first view have no known time.
        let before = self.highest.unwrap_or(commit);
        if let Some(second) = self.seconds.back_mut() {
            *second += commit.0.saturating_sub(before.0);
        }
        self.highest = Some(commit.max(before));
    }

    fn turn_to(&mut self, second: u64) {
        let passed = if self.seconds.is_empty() {
            1
        } else {
            second.saturating_sub(self.newest)
        };
        // Older seconds would be dropped at once, so a jump of the clock costs no more than this.
        for _ in 0..passed.min(SECONDS as u64 + 1) {
            self.seconds.push_back(0);
        }
        while self.seconds.len() > SECONDS + 1 {
            self.seconds.pop_front();
        }
        self.newest = self.newest.max(second);
    }

    /// For each second, newest first: the age of its middle at `now`, as a negative number, and its
    /// commits.
    pub(super) fn bars(&self, now: Duration) -> impl Iterator<Item = (f64, u64)> {
        let newest = self.newest as f64 + 0.5 - now.as_secs_f64();
        self.seconds
            .iter()
            .rev()
            .enumerate()
            .map(move |(back, &commits)| (newest - back as f64, commits))
    }

    /// Commits in the last complete second.
    pub(super) fn last(&self) -> u64 {
        self.seconds.iter().rev().nth(1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};

    fn committed(commit: u64) -> ClusterView {
        let mut node = node(1, 1);
        node.status.commit = Index(commit);
        cluster(vec![node])
    }

    fn rate(samples: &[(f64, u64)]) -> CommitRate {
        let mut rate = CommitRate::default();
        for &(at, commit) in samples {
            rate.observe(&committed(commit), Duration::from_secs_f64(at));
        }
        rate
    }

    fn counts(rate: &CommitRate) -> Vec<u64> {
        rate.bars(Duration::ZERO)
            .map(|(_, commits)| commits)
            .collect()
    }

    #[test]
    fn each_second_counts_its_own_commits() {
        let rate = rate(&[(10.1, 500), (10.9, 503), (11.2, 504), (13.0, 510)]);
        assert_eq!(counts(&rate), [6, 0, 1, 3]);
        assert_eq!(rate.last(), 0);
        let (ago, commits) = rate.bars(Duration::from_secs_f64(13.5)).nth(2).unwrap();
        assert_eq!((ago, commits), (-2.0, 1));
    }

    #[test]
    fn restart_adds_no_commits() {
        assert_eq!(
            counts(&rate(&[(1.0, 40), (1.2, 0), (1.4, 40), (1.6, 41)])),
            [1]
        );
    }

    #[test]
    fn old_seconds_are_dropped_and_time_may_jump() {
        let rate = rate(&[(1.0, 1), (1e9, 5)]);
        assert_eq!(counts(&rate).len(), SECONDS + 1);
        assert_eq!(counts(&rate)[..2], [4, 0]);
        assert_eq!(counts(&CommitRate::default()), [0; 0]);
    }
}
