//! Messages between nodes: the RPCs of figures 2 and 13 as one-way messages, each carrying its
//! sender's term.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::entry::{Bytes, Command, Entry};
use crate::membership::Membership;
use crate::snapshot::SnapshotName;
use crate::types::{Incarnation, Index, LogPosition, Moment, NodeId, Stamp, Term};

/// One message. Its sender is identified by the link that delivered it, never by the message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// The sender's current term; in a pre-vote and its grant, the term of the election asked
    /// about.
    pub term: Term,
    /// Incarnation of the sender.
    pub sender: Incarnation,
    /// Incarnation of the receiver that is addressed. Another one must not answer for it.
    pub receiver: Incarnation,
    /// Contents.
    pub body: Body,
}

/// Contents of a message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body {
    /// Asks for a pre-vote. Changes nothing at the receiver (thesis 9.6).
    PreVote {
        /// The sender's last entry.
        last: LogPosition,
        /// The sender's [`Config::priority`](crate::Config::priority).
        priority: u8,
    },
    /// Answer to [`Body::PreVote`]. A refusal carries the sender's own term.
    PreVoteReply {
        /// Whether the sender would grant the vote.
        granted: bool,
    },
    /// RequestVote (section 5.2).
    RequestVote {
        /// The sender's last entry.
        last: LogPosition,
        /// Whether the old leader asked for this election (thesis 3.10), so that leader stickiness
        /// does not apply.
        transfer: bool,
        /// The sender's [`Config::priority`](crate::Config::priority).
        priority: u8,
    },
    /// Answer to [`Body::RequestVote`].
    VoteReply {
        /// Whether the sender's vote went to the receiver.
        granted: bool,
    },
    /// AppendEntries (section 5.3); without entries it is a heartbeat or carries a new commit
    /// index.
    AppendEntries(AppendEntries),
    /// Answer to [`Body::AppendEntries`].
    AppendReply(AppendReply),
    /// InstallSnapshot (figure 13): a chunk of a snapshot. Boxed because it is rare and large:
    /// messages are moved often, and each is as large as the largest variant.
    InstallSnapshot(Box<InstallSnapshot>),
    /// Answer to [`Body::InstallSnapshot`].
    SnapshotReply(SnapshotReply),
    /// TimeoutNow: the receiver stands for election at once (thesis 3.10).
    TimeoutNow,
    /// Commands that a follower forwards to the leader. Delivery is not guaranteed: the proposer
    /// retries.
    Forward {
        /// The commands.
        commands: Vec<Command>,
    },
    /// Asks the leader for a read index, from a follower (thesis 6.4).
    Read {
        /// Identifies the request at the follower, never reused.
        token: u64,
    },
    /// Answer to [`Body::Read`].
    ReadReply {
        /// The follower's token, echoed.
        token: u64,
        /// The read index, confirmed by a majority; `None` if the sender does not lead.
        index: Option<Index>,
    },
    /// From a leader to a follower that refused an entry it had acknowledged: its disk lost
    /// entries, and may have lost a vote. It must begin another incarnation.
    LostEntries {
        /// The last entry that the follower had acknowledged.
        acknowledged: Index,
    },
    /// From a founder whose cluster is not founded yet: its durable record of the founders, in
    /// order of their ids.
    Founders {
        /// The first incarnation that it received from each founder, its own included.
        incarnations: Vec<(NodeId, Option<Incarnation>)>,
    },
    /// Answer to [`Body::Founders`] of a node whose cluster is founded.
    Founded {
        /// The founding membership.
        membership: Membership,
    },
}

impl Message {
    /// Creates a message between nodes in their first incarnations.
    pub fn new(term: Term, body: Body) -> Self {
        Message {
            term,
            sender: Incarnation::default(),
            receiver: Incarnation::default(),
            body,
        }
    }
}

/// Token sent by a leader and echoed in the answer. Only the leader creates one, so no answer can
/// confirm a round that was not sent yet; it names the leader's term, so no later leadership of the
/// same node takes the answer for its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Probe {
    /// Term of the leader that sent it. A term has one leader, so this identifies the leadership.
    pub term: Term,
    /// Moment of sending on the leader's clock: measures the round trip.
    pub sent: Moment,
    /// The leader's newest round of reads when it was sent (thesis 6.4): an answer confirms that
    /// round and earlier ones.
    pub round: u64,
}

impl Body {
    /// Whether it is a request that is handled even if the sender is not a known member. Leadership
    /// transfers, forwarded commands and reads are accepted from members only.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries(_)
            | Body::InstallSnapshot(_)
            | Body::LostEntries { .. }
            | Body::Founders { .. }
            | Body::Founded { .. } => true,
            // No wildcard: for each new message it must be decided whether non-members may send it.
            Body::PreVoteReply { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply(_)
            | Body::SnapshotReply(_)
            | Body::TimeoutNow
            | Body::Forward { .. }
            | Body::Read { .. }
            | Body::ReadReply { .. } => false,
        }
    }
}

/// AppendEntries (figure 2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendEntries {
    /// The entry before the first of `entries`, in the leader's log.
    pub previous: LogPosition,
    /// The leader's commit index.
    pub commit: Index,
    /// Echoed in the answer. Without a probe and without entries the message is answered only if
    /// the logs differ.
    pub probe: Option<Probe>,
    /// Upper estimate of the round trip between the two as measured by the leader, in microseconds;
    /// 0 if not measured. The follower's election timeout may adapt to it.
    pub round_trip: u32,
    /// Entries after `previous`, without gaps.
    pub entries: Vec<Entry>,
}

/// Answer to AppendEntries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendReply {
    /// The leader's probe, echoed. None if the request had none or was of an earlier term.
    pub probe: Option<Probe>,
    /// Whether the logs matched.
    pub result: AppendResult,
    /// The newest state hash of the follower, for the leader to compare with its own.
    pub state: Option<StateHash>,
}

/// Hash of the state machine after one entry: equal at equal indexes on all nodes, unless one is
/// faulty.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StateHash {
    /// The last entry applied.
    pub index: Index,
    /// Hash of the state after it.
    pub hash: u64,
}

/// InstallSnapshot (figure 13): one chunk of a snapshot. Chunks are accepted in order; a lost one
/// is resent from the offset that the follower reports.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InstallSnapshot {
    /// Name of the snapshot.
    pub name: SnapshotName,
    /// Game clock of the last entry it covers.
    pub stamp: Stamp,
    /// The members as of that entry.
    pub membership: Membership,
    /// Offset of the bytes in the snapshot.
    pub offset: u64,
    /// The bytes; `None` for a witness, which gets no state.
    pub bytes: Option<Bytes>,
    /// Whether the follower's state has diverged: it must install this snapshot though it lacks no
    /// entry.
    pub repair: bool,
    /// Echoed in the answer.
    pub probe: Probe,
}

/// Answer to InstallSnapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotReply {
    /// The leader's probe, echoed. None if the request was [`SnapshotResult::Stale`].
    pub probe: Option<Probe>,
    /// The last entry the snapshot covers.
    pub position: LogPosition,
    /// Progress of the transfer.
    pub result: SnapshotResult,
}

/// Progress of a snapshot transfer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SnapshotResult {
    /// Number of bytes that have arrived, from its beginning.
    Received(u64),
    /// Everything it covers is durable at the follower.
    Installed,
    /// The request is of an earlier term. Carries nothing but the term of the message.
    Stale,
    /// The snapshot is larger than
    /// [`Config::max_snapshot_bytes`](crate::Config::max_snapshot_bytes) of the follower. It must
    /// not be sent again.
    TooLarge {
        /// The follower's limit in bytes.
        limit: u64,
    },
    /// The repair ends before the follower's log begins, so the entries in between would be
    /// missing. A newer snapshot is needed.
    TooOld {
        /// Last index that the follower's log no longer holds.
        base: Index,
    },
}

/// Whether the follower's log matched at the leader's `previous`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppendResult {
    /// Everything up to `up_to` equals the leader's log and is on the follower's disk.
    Matched {
        /// Last index that is equal and durable.
        up_to: Index,
    },
    /// The entry at `previous` differs or is missing.
    Conflict {
        /// The `previous` index that was refused.
        refused: Index,
        /// The follower's last entry that could still match: at or before `refused`, and of no
        /// later term than the one refused. One hint skips a whole conflicting term (end of section
        /// 5.3).
        hint: LogPosition,
    },
    /// As [`AppendResult::Matched`], but the follower's log is full: it has reached
    /// [`Config::max_log_bytes`](crate::Config::max_log_bytes).
    Full {
        /// Last index that is equal and durable.
        up_to: Index,
    },
    /// The request is of an earlier term, or for another incarnation of the follower. Carries
    /// nothing but the term and the incarnation of the message.
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vote_requests_are_requests_and_replies_are_not() {
        let last = LogPosition::default();
        let asks = [
            Body::PreVote { last, priority: 0 },
            Body::RequestVote {
                last,
                transfer: false,
                priority: 0,
            },
        ];
        assert!(asks.iter().all(Body::is_request));
        let answers = [
            Body::PreVoteReply { granted: true },
            Body::VoteReply { granted: true },
            Body::TimeoutNow,
        ];
        assert!(!answers.iter().any(Body::is_request));
    }

    /// On common machines a message with its receiver fits two cache lines.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn message_fits_two_cache_lines() {
        assert_eq!(size_of::<Message>(), 120);
    }
}
