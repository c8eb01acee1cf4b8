//! Events: one record for each decision worth observing, with the rule it follows.

use core::fmt;

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
    /// A message that no correct peer sends was ignored.
    IgnoredInvalidMessage {
        /// The sender.
        from: NodeId,
        /// Description of the defect.
        what: &'static str,
    },
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
            | Decision::StateDiverged { .. } => "Raftian: equal logs make equal states",
            Decision::ChangesMembers { joint: false, .. } => "thesis 4.1",
            Decision::ChangesMembers { joint: true, .. }
            | Decision::LeavesJoint { .. }
            | Decision::RolledBackMembers { .. } => "Raft 6",
            Decision::Promotes { .. } => "thesis 4.2.1",
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
            Decision::IgnoredInvalidMessage { .. } => {
                "Raftian: a message from a peer is checked, never trusted"
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::AskedForPreVotes => write!(
                f,
                "asks for pre-votes: no leader made contact within the timeout"
            ),
            Decision::StoodForElection { transfer: false } => write!(f, "stands for election"),
            Decision::StoodForElection { transfer: true } => {
                write!(f, "stands for election, asked by the old leader")
            }
            Decision::WonElection { votes: 1 } => f.write_str("leads: its own vote is a majority"),
            Decision::WonElection { votes } => write!(f, "leads: {votes} votes are a majority"),
            Decision::Voted {
                candidate,
                pre: true,
            } => write!(f, "would vote for {candidate}"),
            Decision::Voted {
                candidate,
                pre: false,
            } => write!(f, "votes for {candidate}"),
            Decision::RefusedVote {
                candidate,
                pre,
                because,
            } => {
                write!(
                    f,
                    "refuses {candidate} a {}: ",
                    if *pre { "pre-vote" } else { "vote" }
                )?;
                match because {
                    VoteRefusal::OldTerm => write!(f, "its term is over"),
                    VoteRefusal::VotedFor(other) => write!(f, "the vote went to {other}"),
                    VoteRefusal::LogBehind { mine, theirs } => {
                        write!(f, "my last entry {mine} is newer than its {theirs}")
                    }
                    VoteRefusal::LeaderAlive(leader) => write!(f, "leader {leader} is alive"),
                    VoteRefusal::JustStarted => write!(
                        f,
                        "I have just started and may have granted a leader its lease"
                    ),
                    VoteRefusal::LowerPriority { mine, theirs } => {
                        write!(
                            f,
                            "my priority {mine} is higher than its {theirs}, and my log as good"
                        )
                    }
                }
            }
            Decision::FollowsLeader { leader } => write!(f, "follows {leader}"),
            Decision::SawLaterTerm { from } => write!(f, "sees a later term from {from}"),
            Decision::SteppedDown { because } => write!(
                f,
                "stops leading: {}",
                match because {
                    StepDown::LostQuorum => "no majority answers",
                    StepDown::DiskHangs => "its own disk does not answer",
                    StepDown::LaterTerm => "a later term began",
                    StepDown::Removed => "it is no longer a voter",
                    StepDown::Diverged => "a majority has a different state at the same index",
                }
            ),
            Decision::Truncated { from, to, leader } => {
                write!(
                    f,
                    "truncates uncommitted {from} to {to}, which {leader}'s log replaces"
                )
            }
            Decision::LogsDiffer { follower, next } => {
                write!(f, "retries {follower} from {next}: the logs differ")
            }
            Decision::CommittedOwnTerm { index } => {
                write!(f, "commits {index}, the first entry of its own term")
            }
            Decision::TransfersLeadership { to } => write!(f, "transfers leadership to {to}"),
            Decision::LeadershipTransferFailed { to } => {
                write!(f, "aborts the leadership transfer to {to}")
            }
            Decision::ChangesMembers {
                index,
                joint: false,
            } => write!(f, "changes the members with {index}"),
            Decision::ChangesMembers { index, joint: true } => {
                write!(
                    f,
                    "changes the voters with {index}, through a joint configuration"
                )
            }
            Decision::LeavesJoint { index } => {
                write!(f, "leaves the joint configuration with {index}")
            }
            Decision::Promotes { member } => {
                write!(f, "promotes {member}, which has kept up, to voter")
            }
            Decision::RolledBackMembers { index } => {
                write!(f, "reverts to the membership before {index}")
            }
            Decision::TookSnapshot { index, log_after } => {
                write!(
                    f,
                    "takes a snapshot at {index}; its log begins after {log_after}"
                )
            }
            Decision::SendsSnapshot { follower, index } => {
                write!(
                    f,
                    "sends {follower} a snapshot at {index}: the log no longer holds what it needs"
                )
            }
            Decision::InstalledSnapshot {
                leader,
                index,
                tail_kept,
            } => {
                write!(f, "installs {leader}'s snapshot at {index}")?;
                f.write_str(if *tail_kept {
                    " and keeps its log after it"
                } else {
                    " in place of its log"
                })
            }
            Decision::ConfirmedReads { round, count } => {
                write!(
                    f,
                    "still leads: a majority answered round {round}, for {count} reads"
                )
            }
            Decision::RefusedLargeSnapshot {
                leader,
                size,
                limit,
            } => {
                write!(
                    f,
                    "refuses {leader}'s snapshot of {size} bytes: it accepts at most {limit}"
                )
            }
            Decision::SnapshotTooLarge {
                follower,
                size,
                limit,
            } => write!(
                f,
                "cannot bring {follower} up to date: the snapshot has {size} bytes and {follower} \
                 accepts at most {limit}; raise max_snapshot_bytes there"
            ),
            Decision::ReadByLease => write!(f, "answers a read under its lease"),
            Decision::UnknownIncarnation { peer, incarnation } => {
                write!(
                    f,
                    "ignores {peer} in incarnation {}, which is not a member",
                    incarnation.0
                )
            }
            Decision::StaleIncarnation { peer } => {
                write!(
                    f,
                    "is addressed by {peer} as another incarnation; it must join again"
                )
            }
            Decision::StateDiverged { follower, index } => {
                write!(
                    f,
                    "finds {follower} in a different state at {index} and sends it a snapshot"
                )
            }
            Decision::LostAcknowledged {
                follower,
                acknowledged,
                refused,
                witness,
            } => {
                write!(
                    f,
                    "no longer counts {follower}: it acknowledged {acknowledged} and refuses \
                     {refused}, so its disk lost entries; "
                )?;
                f.write_str(if *witness {
                    "remove it and add it again with an empty disk"
                } else {
                    "it must join again under another incarnation"
                })
            }
            Decision::BeginsIncarnation {
                leader,
                acknowledged,
                incarnation,
            } => write!(
                f,
                "begins incarnation {}: {leader} has its acknowledgement of {acknowledged}, which \
                 its disk no longer holds, as after restoring an older copy of the disk. It joins \
                 again once a majority of the other members agrees",
                incarnation.0
            ),
            Decision::ReplacesIncarnation {
                member,
                incarnation,
            } => {
                write!(
                    f,
                    "lets {member} join again under incarnation {}",
                    incarnation.0
                )
            }
            Decision::ContradictsCommitted { from, mine, theirs } => write!(
                f,
                "ignores {from}, which leads with {theirs} where {mine} is committed here: one of \
                 the two lost durable entries"
            ),
            Decision::IgnoredInvalidMessage { from, what } => {
                write!(f, "ignores a message from {from}: {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
