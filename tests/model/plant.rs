//! Bugs that are planted in the world around a node, never in the node: what a node that had them
//! would cause.

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plant {
    /// A crash forgets whom the node voted for.
    VoteForgotten,
    /// What a majority holds counts as committed, whatever its term: the situation of figure 8.
    ReplicasCounted,
    /// The node is told that its write is done when it is not.
    DiskLies,
    /// A vote of an earlier term is taken for one of this term.
    OldVotes,
    /// A follower appends without looking whether its log matches before.
    AppendsUnchecked,
    /// An acknowledgement of an earlier term is taken for one of this term.
    OldAcknowledgements,
    /// A follower takes a heartbeat for a proof that its whole log is equal to the leader's, and
    /// not only up to where the message says so.
    HeartbeatProves,
    /// A leader answers reads without asking a majority whether it still leads.
    ReadsUnconfirmed,
    /// Who lost its disk comes back as the same member.
    LostDiskTrusted,
    /// A snapshot says it covers one entry more than it does.
    SnapshotShort,
    /// The voters changed from one set to another without a joint configuration in between.
    VotersSwapped,
    /// The followers' clocks run while the leader's stands still.
    ClocksDrift,
}

impl Plant {
    /// Whether what is over matters to it.
    pub(crate) fn listens_to_the_past(self) -> bool {
        matches!(self, Plant::OldVotes | Plant::OldAcknowledgements)
    }

    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Plant::VoteForgotten => "a crash forgets the vote",
            Plant::ReplicasCounted => "an old entry is counted (figure 8)",
            Plant::DiskLies => "acknowledged before it is on disk",
            Plant::OldVotes => "an old vote is believed",
            Plant::AppendsUnchecked => "entries are appended without the check",
            Plant::OldAcknowledgements => "an old acknowledgement is believed",
            Plant::HeartbeatProves => "a heartbeat is taken for equal logs",
            Plant::ReadsUnconfirmed => "a read is answered without a round",
            Plant::LostDiskTrusted => "who lost its disk is still believed",
            Plant::SnapshotShort => "a snapshot lacks its last entry",
            Plant::VotersSwapped => "the voters change without a joint step",
            Plant::ClocksDrift => "the leader's clock stands still",
        }
    }
}
