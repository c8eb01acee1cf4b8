//! Counts decisions by kind, so that a run that exercised nothing is visible.

use std::collections::BTreeMap;

use raftian_raft::{Decision, StepDown};

/// Counts of decisions by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Counts one occurrence.
    pub fn count(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    /// Returns how often `name` was counted.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Counters) {
        for (name, count) in &other.0 {
            *self.0.entry(name).or_default() += count;
        }
    }

    /// Iterates over every name and its count, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    pub(crate) fn decided(&mut self, decision: &Decision) {
        self.count(match decision {
            Decision::AskedForPreVotes => "requested pre-votes",
            Decision::StoodForElection { transfer: false } => "stood for election",
            Decision::StoodForElection { transfer: true } => "stood for election in a transfer",
            Decision::WonElection { .. } => "won an election",
            Decision::Voted { pre: true, .. } => "granted a pre-vote",
            Decision::Voted { pre: false, .. } => "voted",
            Decision::RefusedVote { pre: true, .. } => "refused a pre-vote",
            Decision::RefusedVote { pre: false, .. } => "refused a vote",
            Decision::FollowsLeader { .. } => "followed a leader",
            Decision::SawLaterTerm { .. } => "saw a later term",
            Decision::SteppedDown {
                because: StepDown::LostQuorum,
            } => "stepped down without quorum",
            Decision::SteppedDown {
                because: StepDown::DiskHangs,
            } => "stepped down with a hung disk",
            Decision::SteppedDown {
                because: StepDown::LaterTerm,
            } => "stepped down in a later term",
            Decision::Truncated { from, to, .. } if from == to => "truncated one entry",
            Decision::Truncated { .. } => "truncated several entries",
            Decision::LogsDiffer { .. } => "found a differing log",
            Decision::CommittedOwnTerm { .. } => "committed its own term",
            Decision::TransfersLeadership { .. } => "began a leadership transfer",
            Decision::LeadershipTransferFailed { .. } => "aborted a leadership transfer",
            Decision::ChangesMembers { joint: false, .. } => "changed one member",
            Decision::ChangesMembers { joint: true, .. } => "entered a joint configuration",
            Decision::LeavesJoint { .. } => "left a joint configuration",
            Decision::Promotes { .. } => "promoted a learner",
            Decision::RolledBackMembers { .. } => "rolled back a membership change",
            Decision::SteppedDown {
                because: StepDown::Removed,
            } => "stepped down when removed",
            Decision::SteppedDown {
                because: StepDown::Diverged,
            } => "stepped down with a diverged state",
            Decision::TookSnapshot { .. } => "took a snapshot",
            Decision::SendsSnapshot { .. } => "sent a snapshot",
            Decision::InstalledSnapshot {
                tail_kept: true, ..
            } => "installed a snapshot and kept its tail",
            Decision::InstalledSnapshot {
                tail_kept: false, ..
            } => "installed a snapshot in place of its log",
            Decision::RefusedLargeSnapshot { .. } => "refused a large snapshot",
            Decision::SnapshotTooLarge { .. } => "had a snapshot refused for its size",
            Decision::LostAcknowledged { .. } => "saw an acknowledgement withdrawn",
            Decision::BeginsIncarnation { .. } => "began another incarnation",
            Decision::ReplacesIncarnation { .. } => "replaced an incarnation",
            Decision::ContradictsCommitted { .. } => "saw a committed entry contradicted",
            Decision::ConfirmedReads { .. } => "confirmed reads",
            Decision::ReadByLease => "read by lease",
            Decision::UnknownIncarnation { .. } => "received a message from an unknown incarnation",
            Decision::StaleIncarnation { .. } => "was addressed under another incarnation",
            Decision::StateDiverged { .. } => "saw a diverged state",
            Decision::IgnoredInvalidMessage { .. } => "ignored an invalid message",
        });
    }
}
