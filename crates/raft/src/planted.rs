//! Faults that this crate once had, to be planted again: a test that never caught its fault proves
//! nothing.
//!
//! Only the feature `planted` gives [`Config`](crate::Config) the field that switches one on. No
//! program enables it; the storms and transcripts do, to show that they find each fault.

/// One fault of the past.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PlantedFault {
    /// A refusal of a request of an earlier term echoes its probe, and the leader does not look at
    /// the probe's term.
    EchoesStaleProbes,
    /// Leader stickiness ends with the term in which the leader was heard.
    ForgetsLeaderWithTerm,
    /// Without a measured round trip an adaptive timeout is drawn from the fixed range, which may
    /// begin below the floor.
    DrawsBelowFloor,
    /// A node of higher priority refuses one of lower priority for ever.
    PrefersForEver,
    /// A former witness acknowledges entries as a voter with the disk that it has.
    CountsFormerWitness,
    /// A joining member is promoted only after an interval in which it was never behind the commit
    /// index.
    PromotesOnlyInQuiet,
    /// Compaction does not wait for a follower to which a snapshot is under way.
    CompactsUnderTransfer,
    /// A truncation that no write has carried yet is forgotten when a snapshot is installed over
    /// it.
    LosesTruncation,
    /// A refusal whose hint is below what the follower had acknowledged does not prove a loss.
    OverlooksShortHints,
    /// Under a snapshot transfer heartbeats name the beginning of all logs, so a follower is not
    /// asked for what it acknowledged.
    AsksNothingUnderTransfer,
    /// A joining member is promoted while a round of catching up is under way, however long it
    /// takes.
    PromotesInMidRound,
    /// A leader whose state differs from that of the majority steps down at once.
    StepsDownDiverged,
}

impl PlantedFault {
    /// All of them.
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

    /// Its name on a command line.
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
