//! What was met on the way: a configuration that never saw what it is about has checked nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use raftian_raft::{Decision, Index, RoleKind};

use crate::host::{Host, on_disk};
use crate::properties::{majority, on_the_disk_of};

/// One thing that may be met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sight {
    /// Somebody led a term.
    Led,
    /// Two led, each its own term, at once.
    TwoLedAtOnce,
    /// Three candidates, or one thrice, led one after the other.
    LedThirdTerm,
    /// A leader committed an entry of its own term.
    Committed,
    /// A follower cut off what a later leader replaced.
    Truncated,
    /// A read was answered.
    ReadAnswered,
    /// A snapshot came in place of a log.
    SnapshotInstalled,
    /// A snapshot came and the log after it stayed.
    TailKept,
    /// A joint configuration was left.
    JointLeft,
    /// A change of the members was undone.
    MembersRolledBack,
    /// A leader that the members are without stepped down.
    RemovedSteppedDown,
    /// A candidate stood because the leader asked it to.
    HandedOver,
    /// A leader that heard no majority stepped down.
    QuorumLost,
    /// A vote was refused because a leader is alive.
    LeaderAlive,
    /// Pre-votes were asked for and an election followed.
    PreVoted,
    /// A leader's clock answered a read.
    ReadByLease,
    /// A node was taken for an earlier life of itself, and said so.
    Stranger,
    /// Figure 8 (c): an entry of an earlier term is on a majority of disks and not committed,
    /// though a leader has it, and another disk holds a later entry in its place.
    Figure8,
}

/// All that was met, in any state and by any thread.
#[derive(Clone, Default)]
pub(crate) struct Sights(Arc<AtomicU32>);

impl Sights {
    pub(crate) fn when(&self, met: bool, sight: Sight) {
        if met {
            self.0.fetch_or(1 << sight as u32, Ordering::Relaxed);
        }
    }

    pub(crate) fn met(&self, sight: Sight) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << sight as u32) != 0
    }

    /// Notes what `decisions` of `host` and the state of all `hosts` after them show.
    pub(crate) fn note(&self, decisions: &[Decision], host: &Host, hosts: &[Arc<Host>]) {
        use raftian_raft::{StepDown, VoteRefusal};
        for decision in decisions {
            let sight = match decision {
                Decision::WonElection { .. } => {
                    self.when(host.node.term().0 >= 3, Sight::LedThirdTerm);
                    let leaders = hosts
                        .iter()
                        .filter(|host| host.node.role() == RoleKind::Leader);
                    self.when(leaders.count() > 1, Sight::TwoLedAtOnce);
                    Sight::Led
                }
                Decision::CommittedOwnTerm { .. } => Sight::Committed,
                Decision::Truncated { .. } => Sight::Truncated,
                Decision::InstalledSnapshot {
                    tail_kept: true, ..
                } => Sight::TailKept,
                Decision::InstalledSnapshot {
                    tail_kept: false, ..
                } => Sight::SnapshotInstalled,
                Decision::LeavesJoint { .. } => Sight::JointLeft,
                Decision::RolledBackMembers { .. } => Sight::MembersRolledBack,
                Decision::StoodForElection { transfer: true } => Sight::HandedOver,
                Decision::Voted { pre: true, .. } => Sight::PreVoted,
                Decision::RefusedVote {
                    because: VoteRefusal::LeaderAlive(_),
                    ..
                } => Sight::LeaderAlive,
                Decision::SteppedDown {
                    because: StepDown::Removed,
                } => Sight::RemovedSteppedDown,
                Decision::SteppedDown {
                    because: StepDown::LostQuorum,
                } => Sight::QuorumLost,
                Decision::StaleIncarnation { .. } => Sight::Stranger,
                Decision::ReadByLease => Sight::ReadByLease,
                _ => continue,
            };
            self.when(true, sight);
        }
        self.when(
            !self.met(Sight::Figure8) && is_figure_8(hosts),
            Sight::Figure8,
        );
    }
}

/// Figure 8 (c); see [`Sight::Figure8`].
pub(crate) fn is_figure_8(hosts: &[Arc<Host>]) -> bool {
    hosts
        .iter()
        .filter(|host| host.node.role() == RoleKind::Leader)
        .any(|leader| {
            (leader.node.commit().0 + 1..=leader.node.last().index.0)
                .map(Index)
                .any(|index| {
                    let Some(mark) = leader
                        .mark(index)
                        .filter(|mark| mark.term < leader.node.term())
                    else {
                        return false;
                    };
                    let held = majority(leader.node.membership(), |id| {
                        hosts
                            .iter()
                            .any(|other| other.id() == id && on_the_disk_of(other, leader, index))
                    });
                    held && hosts.iter().any(|other| {
                        on_disk(other.image(), index).is_some_and(|there| there.term > mark.term)
                    })
                })
        })
}
