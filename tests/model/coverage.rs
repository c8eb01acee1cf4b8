//! CoverageMark marks: a configuration that never reached the situation it tests has checked
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use raftian_raft::{Decision, Index, RoleKind};

use crate::host::{Host, on_disk};
use crate::properties::{majority, on_the_disk_of};

/// One coverage mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CoverageMark {
    /// A node led a term.
    Led,
    /// Two nodes led at once, in different terms.
    TwoLedAtOnce,
    /// A third term had a leader.
    LedThirdTerm,
    /// A leader committed an entry of its own term.
    Committed,
    /// A follower truncated entries that a later leader replaced.
    Truncated,
    /// A read was answered.
    ReadAnswered,
    /// An installed snapshot replaced the whole log.
    SnapshotInstalled,
    /// A snapshot was installed and the log after it was kept.
    TailKept,
    /// A joint configuration was left.
    JointLeft,
    /// A membership change was rolled back.
    MembersRolledBack,
    /// A leader that was removed from the membership stepped down.
    RemovedSteppedDown,
    /// A candidate stood for a leadership transfer.
    HandedOver,
    /// A leader without contact to a majority stepped down.
    QuorumLost,
    /// A vote was refused because a leader is alive.
    LeaderAlive,
    /// A pre-vote was granted.
    PreVoted,
    /// A read was answered by a lease.
    ReadByLease,
    /// A message was addressed to an earlier incarnation, and the node reported its own.
    Stranger,
    /// A leader replaced the incarnation of a member whose disk was lost.
    Replaced,
    /// Figure 8 (c): an entry of an earlier term is on a majority of disks and not committed,
    /// though a leader has it, and another disk holds a later entry in its place.
    Figure8,
}

/// Marks reached in any state, by any thread.
#[derive(Clone, Default)]
pub(crate) struct Coverage(Arc<AtomicU32>);

impl Coverage {
    pub(crate) fn when(&self, met: bool, mark: CoverageMark) {
        if met {
            self.0.fetch_or(1 << mark as u32, Ordering::Relaxed);
        }
    }

    pub(crate) fn met(&self, mark: CoverageMark) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << mark as u32) != 0
    }

    /// Records the marks shown by `decisions` of `host` and the resulting state of all `hosts`.
    pub(crate) fn note(&self, decisions: &[Decision], host: &Host, hosts: &[Arc<Host>]) {
        use raftian_raft::{StepDown, VoteRefusal};
        for decision in decisions {
            let mark = match decision {
                Decision::WonElection { .. } => {
                    self.when(host.node.term().0 >= 3, CoverageMark::LedThirdTerm);
                    let leaders = hosts
                        .iter()
                        .filter(|host| host.node.role() == RoleKind::Leader);
                    self.when(leaders.count() > 1, CoverageMark::TwoLedAtOnce);
                    CoverageMark::Led
                }
                Decision::CommittedOwnTerm { .. } => CoverageMark::Committed,
                Decision::Truncated { .. } => CoverageMark::Truncated,
                Decision::InstalledSnapshot {
                    tail_kept: true, ..
                } => CoverageMark::TailKept,
                Decision::InstalledSnapshot {
                    tail_kept: false, ..
                } => CoverageMark::SnapshotInstalled,
                Decision::LeavesJoint { .. } => CoverageMark::JointLeft,
                Decision::RolledBackMembers { .. } => CoverageMark::MembersRolledBack,
                Decision::StoodForElection { transfer: true } => CoverageMark::HandedOver,
                Decision::Voted { pre: true, .. } => CoverageMark::PreVoted,
                Decision::RefusedVote {
                    because: VoteRefusal::LeaderAlive(_),
                    ..
                } => CoverageMark::LeaderAlive,
                Decision::SteppedDown {
                    because: StepDown::Removed,
                } => CoverageMark::RemovedSteppedDown,
                Decision::SteppedDown {
                    because: StepDown::LostQuorum,
                } => CoverageMark::QuorumLost,
                Decision::StaleIncarnation { .. } => CoverageMark::Stranger,
                Decision::ReplacesIncarnation { .. } => CoverageMark::Replaced,
                Decision::ReadByLease => CoverageMark::ReadByLease,
                _ => continue,
            };
            self.when(true, mark);
        }
        self.when(
            !self.met(CoverageMark::Figure8) && is_figure_8(hosts),
            CoverageMark::Figure8,
        );
    }
}

/// Whether the hosts are in the state of figure 8 (c); see [`CoverageMark::Figure8`].
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
