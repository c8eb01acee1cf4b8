//! What nodes say to each other: the RPCs of figures 2 and 13 as one-way messages, each carrying
//! its sender's term.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::entry::{Bytes, Command, Entry};
use crate::membership::Membership;
use crate::snapshot::SnapshotName;
use crate::types::{Incarnation, Index, LogPosition, Moment, Stamp, Term};

/// One message. Who sent it is told by the link that delivered it, never by the message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// The sender's current term; in a pre-vote and its grant, the term the sender would stand in.
    pub term: Term,
    /// Which life of the sender speaks.
    pub sender: Incarnation,
    /// Which life of the receiver is meant. Another one must not answer for it.
    pub receiver: Incarnation,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body {
    /// "Would you vote for me?" Changes nothing at the receiver (thesis 9.6).
    PreVote {
        /// The sender's last entry.
        last: LogPosition,
        /// The sender's [`Config::priority`](crate::Config::priority).
        priority: u8,
    },
    /// Answer to [`Body::PreVote`]. A refusal carries the refuser's own term.
    PreVoteReply {
        /// Whether the sender would vote so.
        granted: bool,
    },
    /// RequestVote (section 5.2).
    RequestVote {
        /// The sender's last entry.
        last: LogPosition,
        /// The old leader asked for this election (thesis 3.10), so leader stickiness does not
        /// apply.
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
    /// InstallSnapshot (figure 13): a part of a snapshot. It is rare and large, so it lies
    /// elsewhere: every message is as large as the largest that does not, and messages are moved
    /// often.
    InstallSnapshot(Box<InstallSnapshot>),
    /// Answer to [`Body::InstallSnapshot`].
    SnapshotReply(SnapshotReply),
    /// "Stand for election now" (thesis 3.10).
    TimeoutNow,
    /// Commands that reached a follower, on their way to the leader. Carries no promise: the
    /// proposer asks again.
    Forward {
        /// The commands.
        commands: Vec<Command>,
    },
    /// "From which index on may I answer a read?" (thesis 6.4, from a follower).
    Read {
        /// Names the question at the follower, never used twice.
        token: u64,
    },
    /// Answer to [`Body::Read`].
    ReadReply {
        /// The follower's token, given back.
        token: u64,
        /// The read index, confirmed by a majority; `None` if the receiver of the question does not
        /// lead.
        index: Option<Index>,
    },
    /// From a leader to a follower that refused an entry it had acknowledged: its disk lost
    /// entries, and may have lost a vote. It must begin another incarnation.
    LostEntries {
        /// The last entry that the follower had acknowledged.
        acknowledged: Index,
    },
}

impl Message {
    /// A message between nodes in their first lives.
    #[must_use]
    pub fn new(term: Term, body: Body) -> Self {
        Message {
            term,
            sender: Incarnation::default(),
            receiver: Incarnation::default(),
            body,
        }
    }
}

/// Sent by a leader and echoed in the answer. Only the leader makes one, so no answer can confirm a
/// round that was not sent yet; it names the leader's term, so no later leadership of the same node
/// takes the answer for its own.
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
    /// Whether it asks something of its receiver, who need not know the sender as a member for
    /// that. Leadership is handed to, and commands and reads are asked by, members only.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries(_)
            | Body::InstallSnapshot(_)
            | Body::LostEntries { .. } => true,
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
    /// Echoed in the answer. Without one, and without entries, no answer is wanted unless the logs
    /// differ.
    pub probe: Option<Probe>,
    /// Round trip between the two as the leader has measured it, in microseconds, with its usual
    /// deviations; 0 if it has not. The follower's election timeout may adapt to it.
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

/// What the state machine was after one entry: equal at equal indexes on all nodes, or one of them
/// is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StateHash {
    /// The last entry applied.
    pub index: Index,
    /// Hash of the state after it.
    pub hash: u64,
}

/// InstallSnapshot (figure 13): some bytes of a snapshot. Chunks are taken in order; one that is
/// lost is sent again from where the follower says it stopped.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InstallSnapshot {
    /// Which snapshot.
    pub name: SnapshotName,
    /// Game clock of the last entry it covers.
    pub stamp: Stamp,
    /// The members as of that entry.
    pub membership: Membership,
    /// Where in the snapshot the bytes belong.
    pub offset: u64,
    /// The bytes; `None` for a witness, which gets no state.
    pub bytes: Option<Bytes>,
    /// The follower's state differs from what the log makes of it: it must take this one though it
    /// needs no entry.
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
    /// How far it got.
    pub result: SnapshotResult,
}

/// How far a snapshot got.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SnapshotResult {
    /// So many bytes from its beginning have arrived.
    Received(u64),
    /// Everything it covers is durable at the follower.
    Installed,
    /// The request is of an earlier term. Carries nothing but the term of the message.
    Stale,
    /// The snapshot is larger than the follower takes:
    /// [`Config::max_snapshot_bytes`](crate::Config::max_snapshot_bytes) there. It must not be sent
    /// again.
    TooLarge {
        /// The follower's limit in bytes.
        limit: u64,
    },
    /// A repair that ends before the follower's log begins: what follows it would be missing. A
    /// newer one is needed.
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
    /// As [`AppendResult::Matched`], but the log has no room for what follows:
    /// [`Config::max_log_bytes`](crate::Config::max_log_bytes) there.
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
    fn only_candidates_and_leaders_ask_without_being_known() {
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

    /// On the usual machine a message with its receiver fits two lines of a cache.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_message_is_small() {
        assert_eq!(size_of::<Message>(), 120);
    }
}
