//! When a node acts without being told to, and when it has something to say.

use super::{Input, Node};
use crate::role::{Follower, Role};
use crate::types::Moment;

impl Node {
    /// When the node must be stepped again if nothing else happens: exact, no polling tick.
    #[must_use]
    pub fn wake_at(&self) -> Moment {
        let timer = match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => campaign.election_deadline,
            Role::Leader(leader) => {
                let hand_over = leader.hand_over.as_ref().map(|hand_over| hand_over.deadline);
                hand_over.map_or(leader.heartbeat_due, |deadline| deadline.min(leader.heartbeat_due))
            }
        };
        self.reads.deadline().map_or(timer, |deadline| deadline.min(timer))
    }

    /// Fires every timer that is due, after any input: a node that is busy with messages cannot miss its own deadline.
    pub(super) fn fire_timers(&mut self) {
        if self.wake_at() > self.now {
            return;
        }
        self.stirred = true;
        match &self.role {
            Role::Follower(Follower { election_deadline, .. }) if *election_deadline <= self.now => {
                self.on_election_timeout();
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) if campaign.election_deadline <= self.now => {
                self.on_election_timeout();
            }
            Role::Leader(_) => self.fire_leader_timers(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
        self.give_up_reads();
    }

    /// "Election timeouts are chosen randomly from a fixed interval" (section 5.2), anew each time; from one that follows
    /// the measured round trips if the settings say so.
    pub(super) fn draw_election_deadline(&mut self) -> Moment {
        let range = match self.config.adaptive_timeout {
            Some((floor, ceiling)) if self.round_trip > 0 => {
                let round_trip = core::time::Duration::from_micros(u64::from(self.round_trip));
                let shortest = ((self.config.heartbeat + round_trip) * 2).clamp(floor, ceiling);
                (shortest, shortest * 2)
            }
            Some(_) | None => self.config.election_timeout,
        };
        let timeout = self.dice.duration(range);
        self.now.after(timeout)
    }

    /// Becomes a follower that knows no leader and waits for one.
    pub(super) fn wait_for_leader(&mut self) {
        let election_deadline = self.draw_election_deadline();
        self.role = Role::Follower(Follower::waiting(election_deadline));
    }

    /// Whether something may want to be done after this input, timers apart. Asking in vain costs as much as an input
    /// does, so what comes with each command is looked at closely.
    pub(super) fn is_stirred_by(&self, input: &Input) -> bool {
        match input {
            Input::Wake => false,
            // Entries wait for the apply window to move, reads for their index, and snapshots for enough to cover.
            Input::Applied(_) => {
                self.machine.delivered < self.commit.min(self.disk.durable())
                    || !self.reads.confirmed.is_empty()
                    || self.config.snapshot_entries.is_some()
                    || self.config.snapshot_bytes.is_some()
                    || self.machine.stateless
            }
            Input::Receive { .. }
            | Input::Propose(_)
            | Input::Persisted(_)
            | Input::HandOver(_)
            | Input::ChangeMembership(_)
            | Input::Read { .. }
            | Input::TakeSnapshot(_)
            | Input::StateHash(_)
            | Input::Campaign => true,
        }
    }
}
