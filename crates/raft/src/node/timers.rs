//! Timers, and whether an input may produce work.

use core::time::Duration;

use super::founding::Agreement;
use super::{Input, Node};
use crate::planted::PlantedBug;
use crate::role::{Follower, Role};
use crate::types::Moment;

impl Node {
    /// Time at which the node must be stepped if no input arrives earlier. It is exact, so the
    /// caller need not poll.
    pub fn wake_at(&self) -> Moment {
        let timer = match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => campaign.election_deadline,
            Role::Leader(leader) => {
                let transfer = leader.transfer.as_ref().map(|transfer| transfer.deadline);
                transfer.map_or(leader.heartbeat_due, |deadline| {
                    deadline.min(leader.heartbeat_due)
                })
            }
        };
        let round = self.agreement.as_ref().map(Agreement::next_round);
        [self.reads.deadline(), round]
            .into_iter()
            .flatten()
            .fold(timer, Moment::min)
    }

    /// Fires every timer that is due. Runs after every input, so a node that is busy with messages
    /// cannot miss a deadline.
    pub(super) fn fire_timers(&mut self) {
        if self.wake_at() > self.now {
            return;
        }
        self.work_pending = true;
        if self
            .agreement
            .as_ref()
            .is_some_and(|agreement| agreement.next_round() <= self.now)
        {
            self.send_record();
        }
        match &self.role {
            Role::Follower(Follower {
                election_deadline, ..
            }) if *election_deadline <= self.now => {
                self.on_election_timeout();
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign)
                if campaign.election_deadline <= self.now =>
            {
                self.on_election_timeout();
            }
            Role::Leader(_) => self.fire_leader_timers(),
            // The deadline of a read is due, and not the election timer.
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
        // A campaign has refused all reads already; this ends the late ones of a follower.
        self.expire_reads();
    }

    /// "Election timeouts are chosen randomly from a fixed interval" (section 5.2), anew each time;
    /// adaptive ones from an interval that follows the measured round trip and doubles with each
    /// failed campaign.
    pub(super) fn draw_election_deadline(&mut self) -> Moment {
        let range = match self.config.adaptive_timeout {
            Some((floor, ceiling)) if self.round_trip > 0 => self.adaptive_range(floor, ceiling),
            Some((floor, ceiling)) if !self.config.has_planted(PlantedBug::DrawsBelowFloor) => {
                self.adaptive_range(floor, ceiling)
            }
            Some(_) | None => self.config.election_timeout,
        };
        let timeout = self.rng.duration(range);
        self.now.after(timeout)
    }

    fn adaptive_range(&self, floor: Duration, ceiling: Duration) -> (Duration, Duration) {
        let round_trip = Duration::from_micros(u64::from(self.round_trip));
        let measured = if round_trip.is_zero() {
            floor
        } else {
            // Twice a heartbeat and its round trip, so that one lost heartbeat starts no election.
            ((self.config.heartbeat + round_trip) * 2).clamp(floor, ceiling)
        };
        // A shift by 32 or more overflows; the ceiling bounds the result in either case.
        let doubled =
            measured.saturating_mul(1_u32.checked_shl(self.failed_campaigns).unwrap_or(u32::MAX));
        let shortest = doubled.min(ceiling);
        // As wide as its start, like the paper's 150 to 300 ms (section 9.3), to avoid split votes.
        (shortest, shortest * 2)
    }

    /// Restarts the election timer without a change of role.
    pub(super) fn rearm_election_timer(&mut self) {
        let deadline = self.draw_election_deadline();
        if let Some(election_deadline) = self.role.election_deadline_mut() {
            *election_deadline = deadline;
        }
    }

    /// Extends the election timeout by the time the write of term and vote took: a voter's timeout
    /// starts when its vote leaves, and a candidate allows the disks of the others as much time as
    /// its own took.
    pub(super) fn extend_election_deadline(&mut self) {
        let took = self.now.since(self.hard_state_changed);
        if took > self.config.disk_timeout {
            // The disk hung; the duration of that write is no estimate for the next one.
            return;
        }
        let by = if matches!(self.role, Role::Candidate(_)) {
            took * 2
        } else {
            took
        };
        if let Some(election_deadline) = self.role.election_deadline_mut() {
            *election_deadline = election_deadline.after(by);
        }
    }

    /// Resets the campaign counters, because a leader is known.
    pub(super) fn end_campaigning(&mut self) {
        self.failed_campaigns = 0;
        self.preferred_since = None;
    }

    /// Becomes a follower that knows no leader and waits for one.
    pub(super) fn wait_for_leader(&mut self) {
        let election_deadline = self.draw_election_deadline();
        self.role = Role::Follower(Follower::waiting(election_deadline));
    }

    /// Whether this input may produce work, apart from timers. A useless call of [`Node::work`]
    /// costs as much as an input, so `Applied`, which comes with every command, is decided
    /// precisely.
    pub(super) fn may_cause_work(&self, input: &Input) -> bool {
        match input {
            // A timer that fires sets `work_pending` itself.
            Input::Wake => false,
            // Entries wait for the apply window to advance, reads for their index, and snapshots
            // for enough applied entries.
            Input::Applied(_) => {
                self.apply_state.delivered < self.commit.min(self.disk.durable())
                    || !self.reads.confirmed.is_empty()
                    || self.config.snapshot_entries.is_some()
                    || self.config.snapshot_bytes.is_some()
                    || self.config.max_log_bytes.is_some()
                    || self.apply_state.stateless
            }
            Input::Receive { .. }
            | Input::Propose(_)
            | Input::Persisted(_)
            | Input::TransferLeadership(_)
            | Input::ChangeMembership(_)
            | Input::Read { .. }
            | Input::TakeSnapshot(_)
            | Input::DeclineSnapshot
            | Input::StateHash(_)
            | Input::Campaign => true,
        }
    }
}
