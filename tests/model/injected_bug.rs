//! Planted bugs. They are injected around the node, never into it, and have the effects that a node
//! with the bug would cause.

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InjectedBug {
    /// A crash loses the node's vote.
    VoteForgotten,
    /// Entries on a majority count as committed regardless of their term (figure 8).
    ReplicasCounted,
    /// The disk acknowledges a write before it is durable.
    DiskLies,
    /// A vote of an earlier term counts in this term.
    OldVotes,
    /// A follower appends without the consistency check.
    AppendsUnchecked,
    /// An acknowledgement of an earlier term counts in this term.
    OldAcknowledgements,
    /// A follower treats a heartbeat as proof that its whole log equals the leader's, not only the
    /// part up to the position in the message.
    HeartbeatProves,
    /// A leader answers reads without confirming with a majority that it still leads.
    ReadsUnconfirmed,
    /// A member that lost its disk returns under the same incarnation.
    LostDiskTrusted,
    /// A snapshot claims to cover one entry more than its data includes.
    SnapshotShort,
    /// The voters change without a joint configuration in between.
    VotersSwapped,
    /// The leader's clock is stopped while the followers' run.
    ClocksDrift,
}

impl InjectedBug {
    /// Whether the bug needs messages of earlier terms to stay in the network.
    pub(crate) fn listens_to_the_past(self) -> bool {
        matches!(
            self,
            InjectedBug::OldVotes | InjectedBug::OldAcknowledgements
        )
    }

    /// Description in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            InjectedBug::VoteForgotten => "a crash forgets the vote",
            InjectedBug::ReplicasCounted => "an old entry is counted (figure 8)",
            InjectedBug::DiskLies => "acknowledged before it is on disk",
            InjectedBug::OldVotes => "an old vote counts",
            InjectedBug::AppendsUnchecked => "entries are appended without the check",
            InjectedBug::OldAcknowledgements => "an old acknowledgement counts",
            InjectedBug::HeartbeatProves => "a heartbeat is taken for equal logs",
            InjectedBug::ReadsUnconfirmed => "a read is answered without a round",
            InjectedBug::LostDiskTrusted => "a member that lost its disk is trusted",
            InjectedBug::SnapshotShort => "a snapshot lacks its last entry",
            InjectedBug::VotersSwapped => "the voters change without a joint step",
            InjectedBug::ClocksDrift => "the leader's clock is stopped",
        }
    }
}
