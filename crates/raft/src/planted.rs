//! Past faults of this crate, to be planted again: a test that never caught its fault proves
//! nothing.
//!
//! Only the feature `planted` gives [`Config`](crate::Config) the field that enables one. No
//! program enables it; the storms and transcripts do, to show that they find each fault.

/// A past bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PlantedBug {
    /// A refusal of a request of an earlier term echoes its probe, and the leader does not check
    /// the probe's term.
    EchoesStaleProbes,
    /// Leader stickiness ends with the term of the leader.
    ForgetsLeaderWithTerm,
    /// Without a measured round trip an adaptive timeout is drawn from the fixed range, which may
    /// begin below the floor, and a node campaigns although the lease that it granted may not have
    /// expired.
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
    /// A founder counts as agreeing once it has sent any record.
    FoundsWithoutAgreement,
}

impl PlantedBug {
    /// All past bugs.
    pub const ALL: [PlantedBug; 13] = [
        PlantedBug::EchoesStaleProbes,
        PlantedBug::ForgetsLeaderWithTerm,
        PlantedBug::DrawsBelowFloor,
        PlantedBug::PrefersForEver,
        PlantedBug::CountsFormerWitness,
        PlantedBug::PromotesOnlyInQuiet,
        PlantedBug::CompactsUnderTransfer,
        PlantedBug::LosesTruncation,
        PlantedBug::OverlooksShortHints,
        PlantedBug::AsksNothingUnderTransfer,
        PlantedBug::PromotesInMidRound,
        PlantedBug::StepsDownDiverged,
        PlantedBug::FoundsWithoutAgreement,
    ];

    /// Name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            PlantedBug::EchoesStaleProbes => "echoes-stale-probes",
            PlantedBug::ForgetsLeaderWithTerm => "forgets-leader-with-term",
            PlantedBug::DrawsBelowFloor => "draws-below-floor",
            PlantedBug::PrefersForEver => "prefers-for-ever",
            PlantedBug::CountsFormerWitness => "counts-former-witness",
            PlantedBug::PromotesOnlyInQuiet => "promotes-only-in-quiet",
            PlantedBug::CompactsUnderTransfer => "compacts-under-transfer",
            PlantedBug::LosesTruncation => "loses-truncation",
            PlantedBug::OverlooksShortHints => "overlooks-short-hints",
            PlantedBug::AsksNothingUnderTransfer => "asks-nothing-under-transfer",
            PlantedBug::PromotesInMidRound => "promotes-in-mid-round",
            PlantedBug::StepsDownDiverged => "steps-down-diverged",
            PlantedBug::FoundsWithoutAgreement => "founds-without-agreement",
        }
    }
}
