//! What nodes say to each other: the RPCs of figure 2 as one-way messages, each carrying its sender's term.

use alloc::vec::Vec;

use crate::entry::{Command, Entry};
use crate::types::{Index, LogPosition, Moment, Term};

/// One message. Who sent it is told by the link that delivered it, never by the message.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// The sender's current term; in a pre-vote and its grant, the term the sender would stand in.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body {
    /// "Would you vote for me?" Changes nothing at the receiver (thesis 9.6).
    PreVote {
        /// The sender's last entry.
        last: LogPosition,
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
        /// The old leader asked for this election (thesis 3.10), so leader stickiness does not apply.
        transfer: bool,
    },
    /// Answer to [`Body::RequestVote`].
    VoteReply {
        /// Whether the sender's vote went to the receiver.
        granted: bool,
    },
    /// AppendEntries (section 5.3); without entries it is a heartbeat or carries a new commit index.
    AppendEntries(AppendEntries),
    /// Answer to [`Body::AppendEntries`].
    AppendReply(AppendReply),
    /// "Stand for election now" (thesis 3.10).
    TimeoutNow,
    /// Commands that reached a follower, on their way to the leader. Carries no promise: the proposer asks again.
    Forward {
        /// The commands.
        commands: Vec<Command>,
    },
}

/// AppendEntries (figure 2).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendEntries {
    /// The entry before the first of `entries`, in the leader's log.
    pub previous: LogPosition,
    /// The leader's commit index.
    pub commit: Index,
    /// Moment of sending on the leader's clock, echoed in the answer: a leader-made token that measures the round trip.
    /// Without one, and without entries, no answer is wanted unless the logs differ.
    pub probe: Option<Moment>,
    /// Entries after `previous`, without gaps.
    pub entries: Vec<Entry>,
}

/// Answer to AppendEntries.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendReply {
    /// The leader's probe, given back.
    pub probe: Option<Moment>,
    /// Whether the logs matched.
    pub result: AppendResult,
}

/// Whether the follower's log matched at the leader's `previous`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
        /// The follower's last entry that could still match: at or before `refused`, and of no later term than the
        /// one refused. One hint skips a whole conflicting term (end of section 5.3).
        hint: LogPosition,
    },
}
