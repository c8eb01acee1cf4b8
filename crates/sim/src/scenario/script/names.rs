//! Names of message kinds and roles in the language.

/// Kinds of messages. A heartbeat is an append without entries: `heartbeat` selects only those,
/// `append` selects both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(
    missing_docs,
    reason = "KindName::name is the documentation: the words of the language"
)]
pub enum KindName {
    PreVote,
    PreVoteReply,
    RequestVote,
    VoteReply,
    Append,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    Snapshot,
    SnapshotReply,
    TimeoutNow,
    Forward,
    ForwardReply,
    Read,
    ReadReply,
    LostEntries,
}

/// Roles of nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(
    missing_docs,
    reason = "RoleName::name is the documentation: the words of the language"
)]
pub enum RoleName {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
    Learner,
    Witness,
}

impl KindName {
    /// All kinds.
    pub const ALL: [KindName; 16] = [
        KindName::PreVote,
        KindName::PreVoteReply,
        KindName::RequestVote,
        KindName::VoteReply,
        KindName::Append,
        KindName::AppendReply,
        KindName::Heartbeat,
        KindName::HeartbeatReply,
        KindName::Snapshot,
        KindName::SnapshotReply,
        KindName::TimeoutNow,
        KindName::Forward,
        KindName::ForwardReply,
        KindName::Read,
        KindName::ReadReply,
        KindName::LostEntries,
    ];

    /// Returns the word of the language.
    pub fn name(self) -> &'static str {
        match self {
            KindName::PreVote => "pre-vote",
            KindName::PreVoteReply => "pre-vote-reply",
            KindName::RequestVote => "request-vote",
            KindName::VoteReply => "vote-reply",
            KindName::Append => "append",
            KindName::AppendReply => "append-reply",
            KindName::Heartbeat => "heartbeat",
            KindName::HeartbeatReply => "heartbeat-reply",
            KindName::Snapshot => "snapshot",
            KindName::SnapshotReply => "snapshot-reply",
            KindName::TimeoutNow => "timeout-now",
            KindName::Forward => "forward",
            KindName::ForwardReply => "forward-reply",
            KindName::Read => "read",
            KindName::ReadReply => "read-reply",
            KindName::LostEntries => "lost-entries",
        }
    }
}

impl RoleName {
    /// All roles.
    pub const ALL: [RoleName; 6] = [
        RoleName::Follower,
        RoleName::PreCandidate,
        RoleName::Candidate,
        RoleName::Leader,
        RoleName::Learner,
        RoleName::Witness,
    ];

    /// Returns the word of the language.
    pub fn name(self) -> &'static str {
        match self {
            RoleName::Follower => "follower",
            RoleName::PreCandidate => "pre-candidate",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
            RoleName::Learner => "learner",
            RoleName::Witness => "witness",
        }
    }
}
