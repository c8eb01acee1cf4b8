//! The model-checking configurations.

use raftian_raft::{
    Body, Change, Entry, HardState, Incarnation, Index, Membership, Message, NodeId, Payload,
    Restored, Stamp, Standing, Term,
};

use crate::bounds::{Beginning, Bounds, Time};
use crate::coverage::CoverageMark;
use crate::host::Disk;
use crate::injected_bug::InjectedBug;
use crate::network::Wire;

/// One configuration: its bounds, the coverage marks it must reach, and the planted bugs it must
/// find.
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    pub(crate) bounds: Bounds,
    pub(crate) must_meet: &'static [CoverageMark],
    pub(crate) plants: &'static [InjectedBug],
}

/// Whether the message belongs to an election.
fn votes(message: &Message) -> bool {
    matches!(
        message.body,
        Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::RequestVote { .. }
            | Body::VoteReply { .. }
    )
}

/// Everything except appends that only carry the commit index: they save time, and the next entries
/// carry it too.
fn no_news(message: &Message) -> bool {
    match &message.body {
        Body::AppendEntries(append) => append.probe.is_some() || !append.entries.is_empty(),
        _ => true,
    }
}

fn member(id: u64, standing: Standing) -> (NodeId, Incarnation, Standing) {
    (NodeId(id), Incarnation::default(), standing)
}

fn members(members: &[(u64, Standing)]) -> Membership {
    Membership::of(members.iter().map(|(id, standing)| member(*id, *standing)))
        .expect("a member may lead")
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry {
        term: Term(1),
        index: Index(index),
        stamp: Stamp(0),
        payload,
    }
}

/// n1 led term 1 as the only voter, and began to replace itself by the learner n2: n2 has the new
/// membership on disk, n1 crashed before its own write.
fn half_swapped(bug: Option<InjectedBug>) -> Vec<Restored> {
    let old = members(&[(1, Standing::Voter), (2, Standing::Learner)]);
    let change = Change::Replace(vec![member(2, Standing::Voter)]);
    let joint = old.after(&change).expect("the voters may change");
    let next = if bug == Some(InjectedBug::VotersSwapped) {
        joint.left()
    } else {
        joint
    };
    let disk = |vote, entries| Restored {
        hard_state: HardState {
            term: Term(1),
            vote,
        },
        entries,
        ..Restored::default()
    };
    let first = entry(1, Payload::Empty);
    vec![
        disk(Some(NodeId(1)), vec![first.clone()]),
        disk(None, vec![first, entry(2, Payload::Membership(next))]),
    ]
}

/// The name of the configuration of figure 8.
pub(crate) const FIGURE_8: &str = "figure 8";

pub(crate) fn configurations() -> Vec<Configuration> {
    vec![
        Configuration {
            name: "votes",
            bounds: Bounds {
                terms: 2,
                crashes: 1,
                campaigns: 3,
                carries: votes,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Led],
            plants: &[InjectedBug::VoteForgotten, InjectedBug::OldVotes],
        },
        Configuration {
            name: "votes, slow disks",
            bounds: Bounds {
                terms: 2,
                crashes: 1,
                campaigns: 3,
                disk: Disk::Slow,
                carries: votes,
                wire: Wire::Holds(3),
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Led],
            plants: &[InjectedBug::DiskLies],
        },
        Configuration {
            name: "pre-votes",
            bounds: Bounds {
                terms: 2,
                crashes: 1,
                campaigns: 3,
                carries: votes,
                wire: Wire::Holds(3),
                configure: |config| config.pre_vote = true,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Led, CoverageMark::PreVoted],
            plants: &[InjectedBug::VoteForgotten],
        },
        Configuration {
            name: FIGURE_8,
            bounds: Bounds {
                terms: 4,
                campaigns: 4,
                wire: Wire::Holds(2),
                // An earlier entry can reach a majority before the leader's own.
                configure: |config| config.max_append_entries = 1,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Figure8, CoverageMark::Truncated],
            plants: &[InjectedBug::ReplicasCounted, InjectedBug::AppendsUnchecked],
        },
        Configuration {
            name: "replication",
            bounds: Bounds {
                terms: 2,
                proposals: 1,
                heartbeats: 1,
                campaigns: 1,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[
                CoverageMark::Truncated,
                CoverageMark::TwoLedAtOnce,
                CoverageMark::Committed,
            ],
            plants: &[InjectedBug::HeartbeatProves],
        },
        Configuration {
            name: "replication, repeated",
            bounds: Bounds {
                terms: 2,
                proposals: 1,
                heartbeats: 1,
                campaigns: 1,
                wire: Wire::Repeats(4),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[
                CoverageMark::Truncated,
                CoverageMark::TwoLedAtOnce,
                CoverageMark::Committed,
            ],
            plants: &[InjectedBug::HeartbeatProves],
        },
        Configuration {
            name: "replication, slow disks",
            bounds: Bounds {
                terms: 2,
                crashes: 1,
                campaigns: 1,
                proposals: 1,
                disk: Disk::Slow,
                wire: Wire::Holds(3),
                carries: no_news,
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Committed],
            plants: &[InjectedBug::DiskLies, InjectedBug::OldAcknowledgements],
        },
        Configuration {
            name: "reads",
            bounds: Bounds {
                terms: 2,
                reads: 2,
                campaigns: 1,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::ReadAnswered, CoverageMark::TwoLedAtOnce],
            plants: &[InjectedBug::ReadsUnconfirmed],
        },
        Configuration {
            name: "snapshots",
            bounds: Bounds {
                terms: 2,
                proposals: 1,
                snapshots: 1,
                campaigns: 1,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::SnapshotInstalled],
            plants: &[InjectedBug::SnapshotShort],
        },
        Configuration {
            name: "snapshots, slow disks",
            bounds: Bounds {
                terms: 1,
                proposals: 1,
                snapshots: 2,
                crashes: 1,
                disk: Disk::Slow,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::SnapshotInstalled],
            plants: &[InjectedBug::DiskLies],
        },
        Configuration {
            name: "a lost disk",
            bounds: Bounds {
                terms: 2,
                proposals: 1,
                wipes: 1,
                campaigns: 1,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Stranger, CoverageMark::Committed],
            plants: &[InjectedBug::LostDiskTrusted],
        },
        Configuration {
            name: "a new store under an old member",
            bounds: Bounds {
                terms: 2,
                wipes: 1,
                ticks: 4,
                campaigns: 1,
                proposals: 1,
                time: Time::Apart,
                wire: Wire::Holds(2),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::Stranger, CoverageMark::Replaced],
            plants: &[InjectedBug::LostDiskTrusted],
        },
        Configuration {
            name: "joining node needs a snapshot",
            bounds: Bounds {
                terms: 2,
                campaigns: 1,
                snapshots: 1,
                beginning: Beginning::Led,
                wire: Wire::Holds(3),
                outsiders: 1,
                changes: || {
                    vec![Change::Set(
                        NodeId(3),
                        Incarnation::default(),
                        Standing::Voter,
                    )]
                },
                ..Bounds::voters(2)
            },
            must_meet: &[CoverageMark::SnapshotInstalled],
            plants: &[InjectedBug::SnapshotShort],
        },
        Configuration {
            name: "a voter is added",
            bounds: Bounds {
                terms: 2,
                campaigns: 2,
                crashes: 1,
                beginning: Beginning::Led,
                wire: Wire::Holds(3),
                outsiders: 1,
                changes: || {
                    vec![Change::Set(
                        NodeId(3),
                        Incarnation::default(),
                        Standing::Voter,
                    )]
                },
                ..Bounds::voters(2)
            },
            must_meet: &[CoverageMark::Committed],
            plants: &[InjectedBug::VoteForgotten],
        },
        Configuration {
            name: "the only voter is replaced",
            bounds: Bounds {
                terms: 3,
                campaigns: 3,
                crashes: 1,
                beginning: Beginning::Disks(half_swapped),
                ..Bounds::members(members(&[(1, Standing::Voter), (2, Standing::Learner)]))
            },
            must_meet: &[CoverageMark::JointLeft, CoverageMark::MembersRolledBack],
            plants: &[InjectedBug::VotersSwapped],
        },
        Configuration {
            name: "joint",
            bounds: Bounds {
                terms: 2,
                campaigns: 2,
                crashes: 1,
                beginning: Beginning::Led,
                wire: Wire::Holds(3),
                changes: || vec![Change::Replace(vec![member(2, Standing::Voter)])],
                ..Bounds::voters(3)
            },
            must_meet: &[
                CoverageMark::JointLeft,
                CoverageMark::MembersRolledBack,
                CoverageMark::RemovedSteppedDown,
            ],
            plants: &[InjectedBug::VoteForgotten],
        },
        Configuration {
            name: "leadership transfer",
            bounds: Bounds {
                terms: 3,
                transfers: 1,
                campaigns: 1,
                crashes: 1,
                wire: Wire::Holds(3),
                beginning: Beginning::Led,
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::HandedOver],
            plants: &[InjectedBug::VoteForgotten],
        },
        Configuration {
            name: "check-quorum",
            bounds: Bounds {
                terms: 2,
                ticks: 6,
                time: Time::Apart,
                wire: Wire::Holds(2),
                beginning: Beginning::Led,
                reads: 1,
                campaigns: 2,
                configure: |config| (config.check_quorum, config.pre_vote) = (true, true),
                ..Bounds::voters(3)
            },
            must_meet: &[
                CoverageMark::QuorumLost,
                CoverageMark::LeaderAlive,
                CoverageMark::TwoLedAtOnce,
            ],
            plants: &[InjectedBug::ReadsUnconfirmed],
        },
        Configuration {
            name: "leases",
            bounds: Bounds {
                terms: 2,
                ticks: 4,
                time: Time::Together,
                wire: Wire::Holds(2),
                beginning: Beginning::Led,
                reads: 1,
                crashes: 1,
                campaigns: 1,
                configure: |config| (config.check_quorum, config.lease_reads) = (true, true),
                ..Bounds::voters(3)
            },
            must_meet: &[CoverageMark::ReadByLease, CoverageMark::TwoLedAtOnce],
            plants: &[InjectedBug::ClocksDrift],
        },
        Configuration {
            name: "a witness",
            bounds: Bounds {
                terms: 2,
                campaigns: 2,
                proposals: 1,
                crashes: 1,
                wire: Wire::Holds(2),
                ..Bounds::members(members(&[
                    (1, Standing::Voter),
                    (2, Standing::Voter),
                    (3, Standing::Witness),
                ]))
            },
            must_meet: &[CoverageMark::Committed],
            plants: &[InjectedBug::VoteForgotten],
        },
    ]
}
