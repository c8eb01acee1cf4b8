//! Why a node did what it did: one record for each decision worth watching, with the rule it
//! follows.

use core::fmt;

use crate::types::{Index, LogPosition, Moment, NodeId, Term};

/// One decision of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, on the node's own clock.
    pub at: Moment,
    /// The node's term after the decision.
    pub term: Term,
    /// What was decided, and why.
    pub decision: Decision,
}

/// What was decided, and why. `Display` gives one sentence, [`Decision::rule`] the place it comes
/// from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// No leader was heard of in time; the node asks whether it could win.
    AskedForPreVotes,
    /// The node stands for election.
    StoodForElection {
        /// The old leader asked for it.
        transfer: bool,
    },
    /// A majority voted for the node.
    WonElection {
        /// How many voted for it, itself included.
        votes: usize,
    },
    /// A vote was given away.
    Voted {
        /// To whom.
        candidate: NodeId,
        /// It was a pre-vote, which binds nobody.
        pre: bool,
    },
    /// A vote was refused.
    RefusedVote {
        /// To whom.
        candidate: NodeId,
        /// It was a pre-vote.
        pre: bool,
        /// Why.
        because: VoteRefusal,
    },
    /// The node follows a leader it did not know.
    FollowsLeader {
        /// Whom.
        leader: NodeId,
    },
    /// The node saw a later term than its own and gave up what it was.
    SawLaterTerm {
        /// Who told it.
        from: NodeId,
    },
    /// A leader gave up leading.
    SteppedDown {
        /// Why.
        because: StepDown,
    },
    /// Entries of an earlier leader that were never committed were cut off.
    Truncated {
        /// First index that was cut.
        from: Index,
        /// Last index that was cut.
        to: Index,
        /// The leader whose log replaces them.
        leader: NodeId,
    },
    /// A follower refused entries because its log differs; the leader tries again from further
    /// back.
    LogsDiffer {
        /// Which follower.
        follower: NodeId,
        /// Where it is tried next.
        next: Index,
    },
    /// The first entry of the leader's own term is committed, and with it all before.
    CommittedOwnTerm {
        /// Commit index.
        index: Index,
    },
    /// The leader asked another node to take over.
    TransfersLeadership {
        /// Whom.
        to: NodeId,
    },
    /// Handing over took too long and was given up.
    LeadershipTransferFailed {
        /// To whom.
        to: NodeId,
    },
    /// The leader changes the members.
    ChangesMembers {
        /// Index of the entry that says so.
        index: Index,
        /// The voters change by way of a joint configuration.
        joint: bool,
    },
    /// The joint configuration is committed; the leader appends the new one alone.
    LeavesJoint {
        /// Index of that entry.
        index: Index,
    },
    /// A joining member has kept up long enough and is made a voter.
    Promotes {
        /// Which member.
        member: NodeId,
    },
    /// An uncommitted change of the members was cut off with the entry that brought it.
    RolledBackMembers {
        /// Index of that entry.
        index: Index,
    },
    /// A snapshot of this node's own state was taken.
    TookSnapshot {
        /// The last entry it covers.
        index: Index,
        /// The log now begins after this index.
        log_after: Index,
    },
    /// What a follower needs is not in the log any more; it gets a snapshot.
    SendsSnapshot {
        /// To whom.
        follower: NodeId,
        /// The last entry it covers.
        index: Index,
    },
    /// A leader's snapshot took the place of this node's state.
    InstalledSnapshot {
        /// Whose.
        leader: NodeId,
        /// The last entry it covers.
        index: Index,
        /// Entries after it agreed with it and stay.
        tail_kept: bool,
    },
    /// A leader's snapshot is larger than this node takes.
    RefusedLargeSnapshot {
        /// Whose.
        leader: NodeId,
        /// Its size in bytes.
        size: u64,
        /// The limit here in bytes.
        limit: u64,
    },
    /// A follower refused a snapshot for its size; it is not sent again until there is another.
    SnapshotTooLarge {
        /// Which follower.
        follower: NodeId,
        /// The snapshot's size in bytes.
        size: u64,
        /// The follower's limit in bytes.
        limit: u64,
    },
    /// A majority confirmed a round of reads.
    ConfirmedReads {
        /// Which round.
        round: u64,
        /// How many reads it answers.
        count: usize,
    },
    /// A read was answered from the leader's clock.
    ReadByLease,
    /// Somebody answered who is no member: removed, or a member whose disk was lost.
    UnknownIncarnation {
        /// Who.
        peer: NodeId,
        /// Which life of it.
        incarnation: crate::types::Incarnation,
    },
    /// A leader addressed another incarnation of this node, which must join again.
    StaleIncarnation {
        /// Who took it for that.
        peer: NodeId,
    },
    /// A follower's state differs from this node's at the same index; it gets a snapshot.
    StateDiverged {
        /// Which follower.
        follower: NodeId,
        /// At which index.
        index: Index,
    },
    /// A follower refused entries that it had acknowledged: its disk does not hold what was durable
    /// there, as after a restore from a backup. It is not counted any more. It joins again under
    /// another incarnation, if
    /// [`Config::replace_incarnations`](crate::Config::replace_incarnations) is on there and here;
    /// a witness has to be removed and added again.
    LostAcknowledged {
        /// Which follower.
        follower: NodeId,
        /// The last entry it had acknowledged.
        acknowledged: Index,
        /// The entry it refused.
        refused: Index,
        /// It is a witness.
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
    /// A member answers under another incarnation, and the registered one is gone: it takes its
    /// place.
    ReplacesIncarnation {
        /// Which member.
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
        /// From whom.
        from: NodeId,
        /// What was wrong with it.
        what: &'static str,
    },
}

/// Why a vote was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VoteRefusal {
    /// The candidate's term is over.
    OldTerm,
    /// The vote of this term went to another.
    VotedFor(NodeId),
    /// The candidate's log misses entries that this node has.
    LogBehind {
        /// This node's last entry.
        mine: LogPosition,
        /// The candidate's last entry.
        theirs: LogPosition,
    },
    /// A leader was heard of just now.
    LeaderAlive(NodeId),
    /// This node has just started and may have promised a leader not to vote for a while.
    JustStarted,
    /// This node's log is as good and its priority higher.
    LowerPriority {
        /// This node's.
        mine: u8,
        /// The candidate's.
        theirs: u8,
    },
}

/// Why a leader gave up leading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepDown {
    /// No majority answered for the longest election timeout.
    LostQuorum,
    /// Its own disk did not answer for the longest election timeout.
    DiskHangs,
    /// A later term began.
    LaterTerm,
    /// The members it committed are without it.
    Removed,
    /// A majority has another state than this node at the same index.
    Diverged,
}

impl Decision {
    /// Whether a person must look at it: a member lost what it had stored, or cannot be brought up
    /// to date.
    #[must_use]
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

    /// Where the rule is written: a section of the Raft paper (extended version), of Ongaro's
    /// thesis, or of this crate.
    #[must_use]
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
                    "Raftian: the preferred node first, logs being equal"
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
                "Raftian: who lost its disk lost its promises"
            }
            Decision::Truncated { .. } | Decision::LogsDiffer { .. } => "Raft 5.3",
            Decision::CommittedOwnTerm { .. } => "Raft 5.4.2",
            Decision::ContradictsCommitted { .. } => "Raft 5.4.3",
            Decision::LostAcknowledged { .. } => {
                "Raft 5.3: what is acknowledged is on stable storage"
            }
            Decision::IgnoredInvalidMessage { .. } => "Raftian: answer the world, never trust it",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::AskedForPreVotes => write!(
                f,
                "heard of no leader in time and asks who would vote for it"
            ),
            Decision::StoodForElection { transfer: false } => write!(f, "stands for election"),
            Decision::StoodForElection { transfer: true } => {
                write!(f, "stands for election, asked by the old leader")
            }
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
                    VoteRefusal::JustStarted => write!(f, "it may have promised a leader to wait"),
                    VoteRefusal::LowerPriority { mine, theirs } => {
                        write!(
                            f,
                            "my priority {mine} is higher than its {theirs}, and my log as good"
                        )
                    }
                }
            }
            Decision::FollowsLeader { leader } => write!(f, "follows {leader}"),
            Decision::SawLaterTerm { from } => write!(f, "learns of a later term from {from}"),
            Decision::SteppedDown { because } => write!(
                f,
                "stops leading: {}",
                match because {
                    StepDown::LostQuorum => "no majority answers",
                    StepDown::DiskHangs => "its own disk does not answer",
                    StepDown::LaterTerm => "a later term began",
                    StepDown::Removed => "it is no voter any more",
                    StepDown::Diverged => "a majority has another state at the same index",
                }
            ),
            Decision::Truncated { from, to, leader } => {
                write!(
                    f,
                    "cuts uncommitted {from} to {to}, which {leader}'s log replaces"
                )
            }
            Decision::LogsDiffer { follower, next } => {
                write!(f, "tries {follower} again from {next}: the logs differ")
            }
            Decision::CommittedOwnTerm { index } => {
                write!(f, "commits {index}, the first entry of its own term")
            }
            Decision::TransfersLeadership { to } => write!(f, "hands leadership to {to}"),
            Decision::LeadershipTransferFailed { to } => write!(f, "gives up handing over to {to}"),
            Decision::ChangesMembers {
                index,
                joint: false,
            } => write!(f, "changes the members with {index}"),
            Decision::ChangesMembers { index, joint: true } => {
                write!(
                    f,
                    "changes the voters with {index}, old and new ones together until it is committed"
                )
            }
            Decision::LeavesJoint { index } => {
                write!(f, "leaves the old voters behind with {index}")
            }
            Decision::Promotes { member } => {
                write!(f, "makes {member}, which has kept up, a voter")
            }
            Decision::RolledBackMembers { index } => {
                write!(f, "goes back to the members before {index}")
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
                    "sends {follower} a snapshot at {index}: the log does not reach back far enough"
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
                    "refuses {leader}'s snapshot of {size} bytes: it takes at most {limit}"
                )
            }
            Decision::SnapshotTooLarge {
                follower,
                size,
                limit,
            } => write!(
                f,
                "cannot bring {follower} up to date: the snapshot has {size} bytes and {follower} takes at most {limit}; \
                 raise max_snapshot_bytes there"
            ),
            Decision::ReadByLease => write!(f, "answers a read by its clock"),
            Decision::UnknownIncarnation { peer, incarnation } => {
                write!(
                    f,
                    "ignores {peer} in incarnation {}, which is no member",
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
                    "sees {follower} in another state at {index} and replaces it by a snapshot"
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
                    "no longer counts {follower}: it acknowledged {acknowledged} and refuses {refused}, so its disk lost \
                     entries; "
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
                "begins incarnation {}: {leader} has its acknowledgement of {acknowledged}, which its disk does not hold \
                 any more, as after restoring an older copy of the disk. It joins again once a majority of the other members \
                 agrees",
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
                "ignores {from}, which leads with {theirs} where {mine} is committed here: one of the two lost what it had on \
                 disk"
            ),
            Decision::IgnoredInvalidMessage { from, what } => {
                write!(f, "ignores a message from {from}: {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
