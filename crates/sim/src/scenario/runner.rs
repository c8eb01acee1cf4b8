//! State of a transcript being run.

use std::collections::BTreeMap;

use raftian_raft::{Moment, NodeId, ReadId};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::failure::{Cause, Failure, Refusal};
use super::script::{KindName, Select};
use crate::cluster::{Envelope, Kind, Simulation};
use crate::disk::Backup;

/// A transcript being run.
pub(super) struct Runner {
    pub(super) cluster: Simulation,
    /// Node and id of each read, by the name of its answer.
    pub(super) reads: BTreeMap<String, (NodeId, ReadId)>,
    /// Result of the last propose, member, read or transfer, with the reason of a refusal.
    pub(super) last: Option<Result<(), Refusal>>,
    pub(super) kept: BTreeMap<String, Vec<Envelope>>,
    pub(super) copies: BTreeMap<String, Backup>,
    /// Decides how a failing disk fails.
    pub(super) rng: ChaCha8Rng,
    pub(super) proposals: u64,
}

impl Runner {
    pub(super) fn new(cluster: Simulation) -> Self {
        Runner {
            cluster,
            reads: BTreeMap::new(),
            last: None,
            kept: BTreeMap::new(),
            copies: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(1),
            proposals: 0,
        }
    }

    pub(super) fn failure(&self, line: usize, cause: Cause) -> Failure {
        Failure {
            line,
            cause,
            trace: self.cluster.trace(),
        }
    }

    /// Returns `id` if that node is running.
    pub(super) fn up(&self, id: NodeId) -> Result<NodeId, Cause> {
        match self.cluster.host(id).stopped() {
            Some(why) => Err(Cause::Stopped {
                id,
                why: why.to_owned(),
            }),
            None if self.cluster.is_up(id) => Ok(id),
            None => Err(Cause::Down(id)),
        }
    }

    /// Simulated time, for error messages.
    pub(super) fn now(&self) -> Moment {
        self.cluster.now()
    }
}

/// Returns whether a message matches, regardless of the count.
pub(super) fn covers(envelope: &Envelope, select: &Select) -> bool {
    select.link.covers(envelope.from, envelope.to)
        && select.kind.is_none_or(|kind| is_kind(envelope, kind))
}

fn is_kind(envelope: &Envelope, kind: KindName) -> bool {
    let kind = match kind {
        KindName::PreVote => Kind::PreVote,
        KindName::PreVoteReply => Kind::PreVoteReply,
        KindName::RequestVote => Kind::RequestVote,
        KindName::VoteReply => Kind::VoteReply,
        KindName::Append => Kind::Append,
        KindName::Heartbeat => Kind::Heartbeat,
        // A heartbeat is an append without entries, and its reply is an append reply.
        KindName::AppendReply | KindName::HeartbeatReply => Kind::AppendReply,
        KindName::Snapshot => Kind::Snapshot,
        KindName::SnapshotReply => Kind::SnapshotReply,
        KindName::TimeoutNow => Kind::TimeoutNow,
        KindName::Forward => Kind::Forward,
        // A forwarded command has no reply: its proposer sees it committed or proposes it again.
        KindName::ForwardReply => return false,
        KindName::Read => Kind::Read,
        KindName::ReadReply => Kind::ReadReply,
        KindName::LostEntries => Kind::LostEntries,
    };
    envelope.is(kind)
}
