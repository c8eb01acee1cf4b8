//! Past faults of this crate, to be planted again: a test that never caught its fault proves
//! nothing.
//!
//! Only the feature `planted` gives [`Config`](crate::Config) the field that enables one. No
//! program enables it; the storms and transcripts do, to show that they find each fault.

/// A past fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PlantedFault {
    /// A refusal of a request of an earlier term echoes its probe, and the leader does not check
    /// the probe's term.
    EchoesStaleProbes,
    /// Leader stickiness ends with the term of the leader.
    ForgetsLeaderWithTerm,
    /// Without a measured round trip an adaptive timeout is drawn from the fixed range, which may
    /// begin below the floor.
    DrawsBelowFloor,
    /// A node of higher priority refuses one of lower priority for ever.
    PrefersForEver,
    /// A former witness acknowledges entries as a voter with its old disk.
    CountsFormerWitness,
    /// A joining member is promoted only after an interval in which it was never behind the commit
    /// index.
    PromotesOnlyInQuiet,
    /// Compaction does not wait for a follower that is receiving a snapshot.
    CompactsUnderTransfer,
    /// A truncation that no write contains yet is lost when a snapshot is installed over it.
    LosesTruncation,
    /// A refusal whose hint is below what the follower had acknowledged does not prove a loss.
    OverlooksShortHints,
    /// During a snapshot transfer heartbeats name position 0, so a follower is not checked for the
    /// entries it acknowledged.
    AsksNothingUnderTransfer,
    /// A joining member is promoted while a catch-up round is in progress, however long it takes.
    PromotesInMidRound,
    /// A leader whose state differs from that of the majority steps down at once.
    StepsDownDiverged,
}

impl PlantedFault {
    /// All past faults.
    pub const ALL: [PlantedFault; 12] = [
        PlantedFault::EchoesStaleProbes,
        PlantedFault::ForgetsLeaderWithTerm,
        PlantedFault::DrawsBelowFloor,
        PlantedFault::PrefersForEver,
        PlantedFault::CountsFormerWitness,
        PlantedFault::PromotesOnlyInQuiet,
        PlantedFault::CompactsUnderTransfer,
        PlantedFault::LosesTruncation,
        PlantedFault::OverlooksShortHints,
        PlantedFault::AsksNothingUnderTransfer,
        PlantedFault::PromotesInMidRound,
        PlantedFault::StepsDownDiverged,
    ];

    /// Name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PlantedFault::EchoesStaleProbes => "echoes-stale-probes",
            PlantedFault::ForgetsLeaderWithTerm => "forgets-leader-with-term",
            PlantedFault::DrawsBelowFloor => "draws-below-floor",
            PlantedFault::PrefersForEver => "prefers-for-ever",
            PlantedFault::CountsFormerWitness => "counts-former-witness",
            PlantedFault::PromotesOnlyInQuiet => "promotes-only-in-quiet",
            PlantedFault::CompactsUnderTransfer => "compacts-under-transfer",
            PlantedFault::LosesTruncation => "loses-truncation",
            PlantedFault::OverlooksShortHints => "overlooks-short-hints",
            PlantedFault::AsksNothingUnderTransfer => "asks-nothing-under-transfer",
            PlantedFault::PromotesInMidRound => "promotes-in-mid-round",
            PlantedFault::StepsDownDiverged => "steps-down-diverged",
        }
    }
}
