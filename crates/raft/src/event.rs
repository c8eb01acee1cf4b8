//! Events: one record for each decision worth observing, with the rule it follows.

mod display;

use alloc::vec::Vec;

use crate::types::{Index, LogPosition, Moment, NodeId, Term};

/// One decision of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Time on the node's own clock.
    pub at: Moment,
    /// The node's term after the decision.
    pub term: Term,
    /// The decision.
    pub decision: Decision,
}

/// A decision and its reason. `Display` formats it as one sentence; [`Decision::rule`] returns the
/// source of its rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The election timeout passed without contact to a leader; the node asks for pre-votes.
    AskedForPreVotes,
    /// The node stands for election.
    StoodForElection {
        /// Whether the old leader asked for it.
        transfer: bool,
    },
    /// A majority voted for the node.
    WonElection {
        /// Number of votes, its own included.
        votes: usize,
    },
    /// The node granted a vote.
    Voted {
        /// The candidate.
        candidate: NodeId,
        /// Whether it was a pre-vote, which is not binding.
        pre: bool,
    },
    /// The node refused a vote.
    RefusedVote {
        /// The candidate.
        candidate: NodeId,
        /// Whether it was a pre-vote.
        pre: bool,
        /// Reason.
        because: VoteRefusal,
    },
    /// The node follows a leader it did not know before.
    FollowsLeader {
        /// The leader.
        leader: NodeId,
    },
    /// The node saw a later term than its own and became a follower.
    SawLaterTerm {
        /// Sender of the later term.
        from: NodeId,
    },
    /// A leader stepped down.
    SteppedDown {
        /// Reason.
        because: StepDown,
    },
    /// Uncommitted entries of an earlier leader were truncated.
    Truncated {
        /// First truncated index.
        from: Index,
        /// Last truncated index.
        to: Index,
        /// The leader whose log replaces them.
        leader: NodeId,
    },
    /// A follower refused entries because its log differs; the leader retries from an earlier
    /// index.
    LogsDiffer {
        /// The follower.
        follower: NodeId,
        /// Index at which the leader retries.
        next: Index,
    },
    /// The first entry of the leader's own term is committed, and with it all earlier ones.
    CommittedOwnTerm {
        /// Commit index.
        index: Index,
    },
    /// The leader asked another node to take over.
    TransfersLeadership {
        /// The successor.
        to: NodeId,
    },
    /// A leadership transfer took too long and was aborted.
    LeadershipTransferFailed {
        /// The intended successor.
        to: NodeId,
    },
    /// The leader changes the members.
    ChangesMembers {
        /// Index of the membership entry.
        index: Index,
        /// Whether the voters change through a joint configuration.
        joint: bool,
    },
    /// The leader records contacts of members, or the annex.
    RecordsContacts {
        /// Index of the membership entry.
        index: Index,
    },
    /// The joint configuration is committed; the leader appends the new one alone.
    LeavesJoint {
        /// Index of the entry with the new configuration.
        index: Index,
    },
    /// A joining member has kept up long enough and is promoted to voter.
    Promotes {
        /// The member.
        member: NodeId,
    },
    /// A voter has been silent for long, and the leader takes its vote.
    DemotesSilent {
        /// The member.
        member: NodeId,
    },
    /// An uncommitted membership change was undone by truncating its entry.
    RolledBackMembers {
        /// Index of the truncated entry.
        index: Index,
    },
    /// A snapshot of this node's own state was taken.
    TookSnapshot {
        /// Last index that it covers.
        index: Index,
        /// Index after which the log now begins.
        log_after: Index,
    },
    /// Entries that a follower needs are no longer in the log; it is sent a snapshot.
    SendsSnapshot {
        /// The follower.
        follower: NodeId,
        /// Last index that it covers.
        index: Index,
    },
    /// A leader's snapshot replaced this node's state.
    InstalledSnapshot {
        /// The leader.
        leader: NodeId,
        /// Last index that it covers.
        index: Index,
        /// Whether the entries after it were kept because they agree with it.
        tail_kept: bool,
    },
    /// A leader's snapshot exceeds this node's limit.
    RefusedLargeSnapshot {
        /// The leader.
        leader: NodeId,
        /// Its size in bytes.
        size: u64,
        /// This node's limit in bytes.
        limit: u64,
    },
    /// A follower refused a snapshot for its size; none is sent again until there is another one.
    SnapshotTooLarge {
        /// The follower.
        follower: NodeId,
        /// The snapshot's size in bytes.
        size: u64,
        /// The follower's limit in bytes.
        limit: u64,
    },
    /// A majority confirmed a round of reads.
    ConfirmedReads {
        /// The round.
        round: u64,
        /// Number of reads it answers.
        count: usize,
    },
    /// A read was answered under the leader's lease.
    ReadByLease,
    /// A peer answered in an incarnation that is not a member: it was removed, or it lost its disk.
    UnknownIncarnation {
        /// The peer.
        peer: NodeId,
        /// Its incarnation.
        incarnation: crate::types::Incarnation,
    },
    /// A leader addressed another incarnation of this node, which must join again.
    StaleIncarnation {
        /// The leader.
        peer: NodeId,
    },
    /// A follower's state differs from this node's at the same index; it gets a snapshot.
    StateDiverged {
        /// The follower.
        follower: NodeId,
        /// Index of the compared states.
        index: Index,
    },
    /// This node's state had diverged and was replaced by the leader's.
    RepairedState {
        /// The leader.
        leader: NodeId,
        /// Index of the leader's state.
        index: Index,
    },
    /// A follower refused entries that it had acknowledged: its disk lost durable entries, as after
    /// a restore from a backup. It no longer counts. It joins again under another incarnation, if
    /// [`Config::replace_incarnations`](crate::Config::replace_incarnations) is on at both nodes; a
    /// witness must be removed and added again.
    LostAcknowledged {
        /// The follower.
        follower: NodeId,
        /// The last entry it had acknowledged.
        acknowledged: Index,
        /// The entry it refused.
        refused: Index,
        /// Whether it is a witness.
        witness: bool,
    },
    /// This node refused entries that it had acknowledged, and begins another incarnation: its disk
    /// lost them, and may have lost a vote.
    BeginsIncarnation {
        /// The leader that has the acknowledgement.
        leader: NodeId,
        /// The last entry that was acknowledged to it.
        acknowledged: Index,
        /// The incarnation that begins.
        incarnation: crate::types::Incarnation,
    },
    /// A member answers in another incarnation, which replaces the registered one because that is
    /// gone.
    ReplacesIncarnation {
        /// The member.
        member: NodeId,
        /// The incarnation that answers.
        incarnation: crate::types::Incarnation,
    },
    /// A leader's log differs from this node's at a committed entry: one of the two lost what it
    /// had on disk. The message was ignored.
    ContradictsCommitted {
        /// The leader.
        from: NodeId,
        /// The committed entry here.
        mine: LogPosition,
        /// The entry there.
        theirs: LogPosition,
    },
    /// All founders agree on their incarnations, and the cluster is founded.
    Founds {
        /// Number of founders.
        founders: usize,
    },
    /// The cluster was founded already; the node learned the founding membership.
    AdoptsFounding {
        /// The node that it learned it from.
        from: NodeId,
        /// Part of its own disk in it.
        own: OwnDisk,
    },
    /// Another node has a different list of founders. It is ignored until the lists agree.
    FoundersDiffer {
        /// The node with the other list.
        from: NodeId,
        /// Whether the cluster of that node is founded.
        founded: bool,
        /// This node's list.
        mine: Vec<NodeId>,
        /// The other list.
        theirs: Vec<NodeId>,
    },
    /// Another founder has recorded another incarnation of a founder, so that the founders cannot
    /// agree.
    RecordsDiffer {
        /// The node with the other record.
        from: NodeId,
        /// The founder.
        founder: NodeId,
        /// Its incarnation in this node's record.
        mine: crate::types::Incarnation,
        /// Its incarnation in the other record.
        theirs: crate::types::Incarnation,
    },
    /// Before the cluster was founded a founder returned with another disk, so that the founders
    /// cannot agree.
    FounderReplaced {
        /// The founder.
        founder: NodeId,
        /// Its incarnation as recorded first.
        known: crate::types::Incarnation,
        /// The incarnation that sent the message.
        found: crate::types::Incarnation,
    },
    /// A message that no correct peer sends was ignored.
    IgnoredInvalidMessage {
        /// The sender.
        from: NodeId,
        /// Description of the defect.
        what: &'static str,
    },
}

/// Part of a node's disk in a founding membership that the node adopts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnDisk {
    /// It is the disk of a founder.
    Founder,
    /// The cluster was founded with another disk of this node, or with a later state of this one.
    Replaced,
    /// The node is no founder.
    NoFounder,
}

/// Reason why a vote was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VoteRefusal {
    /// The candidate's term is over.
    OldTerm,
    /// The vote of this term went to another candidate.
    VotedFor(NodeId),
    /// The candidate's log is less up-to-date than this node's.
    LogBehind {
        /// This node's last entry.
        mine: LogPosition,
        /// The candidate's last entry.
        theirs: LogPosition,
    },
    /// This node had contact with a leader recently.
    LeaderAlive(NodeId),
    /// This node has just started and may have acknowledged a leader's lease before that.
    JustStarted,
    /// This node's log is as up-to-date, and its priority is higher.
    LowerPriority {
        /// This node's priority.
        mine: u8,
        /// The candidate's priority.
        theirs: u8,
    },
}

/// Reason why a leader stepped down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepDown {
    /// No majority answered for the longest election timeout.
    LostQuorum,
    /// Its own disk has been busy with one write for longer than
    /// [`Config::disk_timeout`](crate::Config::disk_timeout).
    DiskHangs,
    /// A later term began.
    LaterTerm,
    /// The membership it committed does not include it as a voter.
    Removed,
    /// A majority has a different state than this node at the same index.
    Diverged,
}

impl Decision {
    /// Whether an operator must act: a member lost stored data, or cannot be brought up to date.
    pub fn is_alarm(&self) -> bool {
        matches!(
            self,
            Decision::LostAcknowledged { .. }
                | Decision::BeginsIncarnation { .. }
                | Decision::ContradictsCommitted { .. }
                | Decision::RefusedLargeSnapshot { .. }
                | Decision::SnapshotTooLarge { .. }
                | Decision::FoundersDiffer { .. }
                | Decision::FounderReplaced { .. }
                | Decision::RecordsDiffer { .. }
                | Decision::AdoptsFounding {
                    own: OwnDisk::Replaced,
                    ..
                }
        )
    }

    /// Returns the source of the rule: a section of the Raft paper (extended version) or of
    /// Ongaro's thesis, or a rule of this crate.
    pub fn rule(&self) -> &'static str {
        match self {
            Decision::AskedForPreVotes | Decision::Voted { pre: true, .. } => "thesis 9.6",
            Decision::StoodForElection { transfer: true }
            | Decision::TransfersLeadership { .. }
            | Decision::LeadershipTransferFailed { .. } => "thesis 3.10",
            Decision::StoodForElection { transfer: false }
            | Decision::WonElection { .. }
            | Decision::Voted { pre: false, .. }
            | Decision::FollowsLeader { .. } => "Raft 5.2",
            Decision::RefusedVote { because, .. } => match because {
                VoteRefusal::OldTerm | VoteRefusal::VotedFor(_) => "Raft 5.2",
                VoteRefusal::LogBehind { .. } => "Raft 5.4.1",
                VoteRefusal::LeaderAlive(_) => "thesis 4.2.3",
                VoteRefusal::JustStarted => "thesis 6.4.1",
                VoteRefusal::LowerPriority { .. } => {
                    "Raftian: logs being equal, the higher priority is preferred"
                }
            },
            Decision::SawLaterTerm { .. }
            | Decision::SteppedDown {
                because: StepDown::LaterTerm,
            } => "Raft 5.1",
            Decision::SteppedDown {
                because: StepDown::LostQuorum,
            } => "thesis 6.2",
            Decision::SteppedDown {
                because: StepDown::DiskHangs,
            } => "Raftian: a leader must be able to store",
            Decision::SteppedDown {
                because: StepDown::Removed,
            } => "thesis 4.2.2",
            Decision::SteppedDown {
                because: StepDown::Diverged,
            }
            | Decision::StateDiverged { .. }
            | Decision::RepairedState { .. } => "Raftian: equal logs make equal states",
            Decision::ChangesMembers { joint: false, .. } => "thesis 4.1",
            Decision::ChangesMembers { joint: true, .. }
            | Decision::LeavesJoint { .. }
            | Decision::RolledBackMembers { .. } => "Raft 6",
            Decision::RecordsContacts { .. } => {
                "Raftian: contacts change no majority and are replicated with the members"
            }
            Decision::Promotes { .. } => "thesis 4.2.1",
            Decision::DemotesSilent { .. } => {
                "Raftian: a member that vanished does not count, and returns by itself"
            }
            Decision::TookSnapshot { .. }
            | Decision::SendsSnapshot { .. }
            | Decision::InstalledSnapshot { .. }
            | Decision::RefusedLargeSnapshot { .. }
            | Decision::SnapshotTooLarge { .. } => "Raft 7",
            Decision::ConfirmedReads { .. } => "thesis 6.4",
            Decision::ReadByLease => "thesis 6.4.1",
            Decision::UnknownIncarnation { .. }
            | Decision::StaleIncarnation { .. }
            | Decision::BeginsIncarnation { .. }
            | Decision::ReplacesIncarnation { .. } => {
                "Raftian: a node that lost its disk lost its acknowledgements"
            }
            Decision::Truncated { .. } | Decision::LogsDiffer { .. } => "Raft 5.3",
            Decision::CommittedOwnTerm { .. } => "Raft 5.4.2",
            Decision::ContradictsCommitted { .. } => "Raft 5.4.3",
            Decision::LostAcknowledged { .. } => {
                "Raft 5.3: what is acknowledged is on stable storage"
            }
            Decision::Founds { .. }
            | Decision::AdoptsFounding { .. }
            | Decision::FoundersDiffer { .. }
            | Decision::FounderReplaced { .. }
            | Decision::RecordsDiffer { .. } => {
                "Raftian: founders agree on the incarnations of their disks first"
            }
            Decision::IgnoredInvalidMessage { .. } => {
                "Raftian: a message from a peer is checked, never trusted"
            }
        }
    }
}

#[cfg(test)]
mod tests;
