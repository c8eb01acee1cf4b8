//! History of the cluster, gathered from successive views.

use std::time::Duration;

use bevy::prelude::*;

use super::event_log::EventLog;
use super::invariants::Invariants;
use super::rate::CommitRate;
use super::restarts::Restarts;
use super::timers::Timers;
use crate::cluster_view::ClusterView;

/// The observed history of the cluster: decisions, commits per second, timers, and violated
/// invariants.
#[derive(Resource, Clone, Debug, Default)]
pub struct History {
    restarts: Restarts,
    pub(super) timers: Timers,
    pub(super) rate: CommitRate,
    pub(super) event_log: EventLog,
    pub(super) invariants: Invariants,
}

impl History {
    /// Adds a view received at `at`, in this program's time.
    pub fn observe(&mut self, view: &ClusterView, at: Duration) {
        // First, because the invariants depend on it.
        let restarted = self.restarts.observe(view);
        self.timers.observe(view, at);
        self.rate.observe(view, at);
        self.event_log.observe(view, at);
        self.invariants.observe(view, &restarted, at);
    }

    /// Clears everything. Required when the window turns to another cluster, whose terms and
    /// indexes start again.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns whether no violation of an invariant was ever observed.
    pub fn all_hold(&self) -> bool {
        self.invariants
            .properties()
            .iter()
            .all(|checked| checked.broken.is_none())
    }
}
