//! What one picture of the cluster cannot tell, gathered from one picture after another.

use std::time::Duration;

use bevy::prelude::*;

use super::event_log::EventLog;
use super::invariants::Invariants;
use super::rate::CommitRate;
use super::restarts::Restarts;
use super::timers::Timers;
use crate::cluster_view::ClusterView;

/// The past of the cluster as far as it was seen: decisions, commits per second, timers, and every
/// invariant that broke.
#[derive(Resource, Clone, Debug, Default)]
pub struct History {
    restarts: Restarts,
    pub(super) timers: Timers,
    pub(super) rate: CommitRate,
    pub(super) event_log: EventLog,
    pub(super) invariants: Invariants,
}

impl History {
    /// Takes in the picture that came at `at`, the program's own time.
    pub fn observe(&mut self, view: &ClusterView, at: Duration) {
        let restarted = self.restarts.observe(view);
        self.timers.observe(view, at);
        self.rate.observe(view, at);
        self.event_log.observe(view, at);
        self.invariants.observe(view, &restarted, at);
    }

    /// Forgets everything, as must be done when the window turns to another cluster, whose terms
    /// and indexes start anew.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether no invariant was ever seen broken.
    #[must_use]
    pub fn all_hold(&self) -> bool {
        self.invariants
            .lights()
            .iter()
            .all(|light| light.broken.is_none())
    }
}
