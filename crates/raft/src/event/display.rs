//! Decisions as sentences, whose subject is the node.

use core::fmt;

use super::{Decision, OwnDisk, StepDown, VoteRefusal};
use crate::types::NodeId;

/// Remedy for founders that cannot agree.
const CONFLICT_REMEDY: &str = ". Start all other founders: if one of them knows the founding, this \
     resolves by itself. Only if none does was nothing committed; then set up the disks of all \
     founders again";

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
            Decision::RecordsContacts { index } => {
                write!(f, "records contacts of members with {index}")
            }
            Decision::LeavesJoint { index } => {
                write!(f, "leaves the joint configuration with {index}")
            }
            Decision::Promotes { member } => {
                write!(f, "promotes {member}, which has kept up, to voter")
            }
            Decision::DemotesSilent { member } => {
                write!(
                    f,
                    "takes the vote of {member}, which has been silent for long"
                )
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
            Decision::RepairedState { leader, index } => {
                write!(
                    f,
                    "replaces its diverged state by that of {leader} at {index}"
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
            Decision::Founds { founders } => {
                write!(f, "founds the cluster: all {founders} founders agree")
            }
            Decision::AdoptsFounding {
                from,
                own: OwnDisk::Replaced,
            } => write!(
                f,
                "learns from {from} that the cluster was founded with another disk of this node. \
                 This one does not count until a leader admits it, for which a majority of the \
                 other disks must run"
            ),
            Decision::AdoptsFounding { from, own: _ } => {
                write!(f, "learns from {from} that the cluster is founded")
            }
            Decision::FoundersDiffer {
                from,
                founded,
                mine,
                theirs,
            } => {
                f.write_str("cannot found the cluster: this node lists ")?;
                write_ids(f, mine)?;
                write!(f, ", but {from} lists ")?;
                write_ids(f, theirs)?;
                f.write_str(if *founded {
                    ", which have founded it; copy that list to this node"
                } else {
                    "; the lists must be equal"
                })
            }
            Decision::FounderReplaced {
                founder,
                known,
                found,
            } => {
                write!(
                    f,
                    "cannot found the cluster with {founder}: its disk was set up again (incarnation \
                     {} is known, {} found)",
                    known.0, found.0
                )?;
                f.write_str(CONFLICT_REMEDY)
            }
            Decision::RecordsDiffer {
                from,
                founder,
                mine,
                theirs,
            } => {
                write!(
                    f,
                    "cannot found the cluster: the disk of {founder} was set up again (this node has \
                     recorded incarnation {}, {from} {})",
                    mine.0, theirs.0
                )?;
                f.write_str(CONFLICT_REMEDY)
            }
            Decision::IgnoredInvalidMessage { from, what } => {
                write!(f, "ignores a message from {from}: {what}")
            }
        }
    }
}

fn write_ids(f: &mut fmt::Formatter<'_>, ids: &[NodeId]) -> fmt::Result {
    for (place, id) in ids.iter().enumerate() {
        write!(f, "{}{id}", if place == 0 { "" } else { ", " })?;
    }
    Ok(())
}
