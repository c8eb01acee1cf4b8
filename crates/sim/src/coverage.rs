//! Coverage of a run: counts of decisions, faults and answers by kind, so that a run that exercised
//! nothing is visible.

use std::collections::BTreeMap;
use std::fmt;

use raftian_raft::{Decision, OwnDisk, StepDown};

/// Defines [`Mark`]: each variant is named after its text, without articles.
macro_rules! marks {
    ($($variant:ident = $name:literal,)*) => {
        /// An event worth counting: a decision of a node, an injected fault, or an answer to a
        /// client. Ordered by name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Mark {
            $(
                #[doc = concat!("Printed as `", $name, "`.")]
                $variant,
            )*
        }

        impl Mark {
            /// Every mark, ordered by name.
            pub const ALL: &[Mark] = &[$(Mark::$variant),*];

            /// Returns the text that reports print: a predicate in the past tense.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Mark::$variant => $name,)*
                }
            }
        }
    };
}

marks! {
    AbortedLeadershipTransfer = "aborted a leadership transfer",
    AddedMemberWithContact = "added a member with its contact",
    AdoptedFoundingAsFounder = "adopted the founding as a founder",
    AdoptedFoundingAsOutsider = "adopted the founding as an outsider",
    AdoptedFoundingWithNewDisk = "adopted the founding with a new disk",
    AskedDeposedLeaderForRead = "asked a deposed leader for a read",
    AskedDeposedLeaderNextToRestoredDisk = "asked a deposed leader next to a restored disk",
    AskedLeaderForChangeBeforeItsFirstCommit = "asked a leader for a change before its first commit",
    AskedForChangeOfMembers = "asked for a change of members",
    BalancedVotes = "balanced the votes of a match",
    BeganLeadershipTransfer = "began a leadership transfer",
    BeganAnotherIncarnation = "began another incarnation",
    Called = "called",
    ChangedMembersRightAfterElection = "changed members right after an election",
    ChangedOneMember = "changed one member",
    CommittedItsOwnTerm = "committed its own term",
    ConfirmedReads = "confirmed reads",
    CorrectedFileOfFounder = "corrected the file of a founder",
    CorruptedMessage = "corrupted a message",
    CouldNotStartFromFullDisk = "could not start from a full disk",
    Crashed = "crashed",
    CrashedInRecovery = "crashed in recovery",
    CrashedInMiddleOfWrite = "crashed in the middle of a write",
    CrashedWithWritesUnderWay = "crashed with writes under way",
    Cut = "cut",
    CutOffFreshLeader = "cut off a fresh leader",
    CutOffLeader = "cut off a leader",
    CutOffLeaderBeforeItMeasuredRoundTrip = "cut off a leader before it measured a round trip",
    CutClusterToBridge = "cut the cluster to a bridge",
    CutClusterToRing = "cut the cluster to a ring",
    DemotedSilentVoter = "demoted a silent voter",
    DeposedLeaderWithChangeUnderWay = "deposed a leader with a change under way",
    DiskChangedLength = "disk: changed the length",
    DiskConfirmedSyncItDidNotDo = "disk: confirmed a sync it did not do",
    DiskFailedRead = "disk: failed a read",
    DiskFailedSync = "disk: failed a sync",
    DiskFlippedBit = "disk: flipped a bit",
    DiskFlippedBitInRead = "disk: flipped a bit in a read",
    DiskKeptChangeThatWasNotSynced = "disk: kept a change that was not synced",
    DiskLostChange = "disk: lost a change",
    DiskLostItsProcess = "disk: lost its process",
    DiskLostPower = "disk: lost power",
    DiskMisdirectedWrite = "disk: misdirected a write",
    DiskPutOldImageBack = "disk: put an old image back",
    DiskSynced = "disk: synced",
    DiskToreChange = "disk: tore a change",
    DiskWasFull = "disk: was full",
    DiskWrote = "disk: wrote",
    ElectedOnlyNodeConnectedToQuorum = "elected the only node connected to a quorum",
    EndedCrowns = "ended a match of Crowns",
    EnteredJointConfiguration = "entered a joint configuration",
    FilledDisk = "filled a disk",
    FinishedSlowTransferUnderLoad = "finished a slow transfer under load",
    FollowedLeader = "followed a leader",
    FoundDifferingLog = "found a differing log",
    FoundedCluster = "founded a cluster",
    GaveUpCall = "gave up a call",
    GrantedPreVote = "granted a pre-vote",
    GrantedAnotherMachineBecauseNoMemberWasElectable = "granted another machine because no member was electable",
    HadSnapshotRefusedForItsSize = "had a snapshot refused for its size",
    HadRemovedMachinesSwitchedOff = "had removed machines switched off",
    IgnoredInvalidMessage = "ignored an invalid message",
    InstalledSnapshotAndKeptItsTail = "installed a snapshot and kept its tail",
    InstalledSnapshotInPlaceOfItsLog = "installed a snapshot in place of its log",
    JoinedByInvite = "joined by an invite",
    LearnedOfLaterTermBehindLeader = "learned of a later term behind the leader",
    LeftJointConfiguration = "left a joint configuration",
    LeftMachineCutOffForGood = "left a machine cut off for good",
    LeftMachineDownForGood = "left a machine down for good",
    LeftMachineThatReceivesButCannotSend = "left a machine that receives but cannot send",
    LeftMachineThatSendsButCannotReceive = "left a machine that sends but cannot receive",
    LostDisk = "lost a disk",
    LostMessage = "lost a message",
    MadeClockJump = "made a clock jump",
    MadeStateDiverge = "made a state diverge",
    MadeSyncFail = "made a sync fail",
    MadeRoomOnDisk = "made room on a disk",
    MovedAllInTurn = "moved all machines in turn",
    MovedAddress = "moved to another address",
    OrderedInCrowns = "ordered in Crowns",
    Paused = "paused",
    PlayedCrowns = "played a match of Crowns",
    PromotedLearner = "promoted a learner",
    PromotedMemberUnderLoad = "promoted a member under load",
    PutOldDiskBack = "put an old disk back",
    Read = "read",
    ReadByLease = "read by lease",
    ReadWithLease = "read with a lease",
    ReceivedLateMessageOfEarlierLeadership = "received a late message of an earlier leadership",
    ReceivedMessageFromUnknownIncarnation = "received a message from an unknown incarnation",
    ReceivedReadResult = "received a read result",
    ReceivedUpdateResult = "received an update result",
    RecordedInvite = "recorded an invite",
    RecordedAddress = "recorded another address",
    RecordedContacts = "recorded contacts",
    RecordedContactsDuringChange = "recorded contacts during a change of members",
    RefusedDamagedStore = "refused a damaged store",
    RefusedLargeSnapshot = "refused a large snapshot",
    RefusedNewStoreUnderGuard = "refused a new store under the guard of another",
    RefusedPreVote = "refused a pre-vote",
    RefusedVote = "refused a vote",
    RefusedOldStore = "refused an old store",
    RejoinedAfterItsDiskWasRestored = "rejoined after its disk was restored",
    RepairedDivergedState = "repaired a diverged state",
    RepeatedMessage = "repeated a message",
    ReplacedIncarnation = "replaced an incarnation",
    ReplacedDivergedState = "replaced its diverged state by the leader's",
    ReplayedOldMessage = "replayed an old message",
    RequestedPreVotes = "requested pre-votes",
    RetriedCall = "retried a call",
    ReturnedToMatch = "returned to a match by its key",
    ReturnedToMatchUnderAnotherId = "returned to a match under another id",
    ReturnedToMatchWithNewDisk = "returned to a match with a new disk",
    RevokedInvite = "revoked an invite",
    RolledBackMembershipChange = "rolled back a membership change",
    RottedBit = "rotted a bit",
    SawCommittedEntryContradicted = "saw a committed entry contradicted",
    SawDivergedState = "saw a diverged state",
    SawFounderReplacedBeforeFounding = "saw a founder replaced before the founding",
    SawLaterTerm = "saw a later term",
    SawAcknowledgementWithdrawn = "saw an acknowledgement withdrawn",
    SawOtherFounders = "saw other founders",
    SawOtherRecordOfFounders = "saw other record of founders",
    SentSnapshot = "sent a snapshot",
    SkippedOldDiskThatNoStartWouldReject = "skipped an old disk that no start would reject",
    SteppedDownInLaterTerm = "stepped down in a later term",
    SteppedDownWhenRemoved = "stepped down when removed",
    SteppedDownWithDivergedState = "stepped down with a diverged state",
    SteppedDownWithHungDisk = "stepped down with a hung disk",
    SteppedDownWithoutQuorum = "stepped down without quorum",
    StoodForElection = "stood for election",
    StoodForElectionInTransfer = "stood for election in a transfer",
    SupersededUnwrittenTail = "superseded an unwritten tail",
    TookSnapshot = "took a snapshot",
    TransferredFromSpectator = "transferred leadership from a spectator",
    TruncatedOneEntry = "truncated one entry",
    TruncatedSeveralEntries = "truncated several entries",
    Voted = "voted",
    VotedOnMember = "voted on a measure against a member",
    WasAddressedUnderAnotherIncarnation = "was addressed under another incarnation",
    WasFoundLinearizableByWglSearch = "was found linearizable by the WGL search",
    WasLeftUndecidedByWglSearch = "was left undecided by the WGL search",
    WasRefusedCall = "was refused a call",
    WasRefusedChangeOfMembers = "was refused a change of members",
    WasRefusedRead = "was refused a read",
    WasRefusedByMatch = "was refused by the rules of a match",
    WonElection = "won an election",
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Counts by mark.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters(BTreeMap<Mark, u64>);

impl Counters {
    /// Counts one occurrence.
    pub fn count(&mut self, mark: Mark) {
        *self.0.entry(mark).or_default() += 1;
    }

    /// Returns how often `mark` was counted.
    pub fn of(&self, mark: Mark) -> u64 {
        self.0.get(&mark).copied().unwrap_or_default()
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Counters) {
        for (mark, count) in &other.0 {
            *self.0.entry(*mark).or_default() += count;
        }
    }

    /// Iterates over the marks that occurred and their counts, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> + '_ {
        self.0.iter().map(|(mark, count)| (*mark, *count))
    }

    pub(crate) fn decided(&mut self, decision: &Decision) {
        self.count(match decision {
            Decision::AskedForPreVotes => Mark::RequestedPreVotes,
            Decision::StoodForElection { transfer: false } => Mark::StoodForElection,
            Decision::StoodForElection { transfer: true } => Mark::StoodForElectionInTransfer,
            Decision::WonElection { .. } => Mark::WonElection,
            Decision::Voted { pre: true, .. } => Mark::GrantedPreVote,
            Decision::Voted { pre: false, .. } => Mark::Voted,
            Decision::RefusedVote { pre: true, .. } => Mark::RefusedPreVote,
            Decision::RefusedVote { pre: false, .. } => Mark::RefusedVote,
            Decision::FollowsLeader { .. } => Mark::FollowedLeader,
            Decision::SawLaterTerm { .. } => Mark::SawLaterTerm,
            Decision::SteppedDown {
                because: StepDown::LostQuorum,
            } => Mark::SteppedDownWithoutQuorum,
            Decision::SteppedDown {
                because: StepDown::DiskHangs,
            } => Mark::SteppedDownWithHungDisk,
            Decision::SteppedDown {
                because: StepDown::LaterTerm,
            } => Mark::SteppedDownInLaterTerm,
            Decision::Truncated { from, to, .. } if from == to => Mark::TruncatedOneEntry,
            Decision::Truncated { .. } => Mark::TruncatedSeveralEntries,
            Decision::LogsDiffer { .. } => Mark::FoundDifferingLog,
            Decision::CommittedOwnTerm { .. } => Mark::CommittedItsOwnTerm,
            Decision::TransfersLeadership { .. } => Mark::BeganLeadershipTransfer,
            Decision::LeadershipTransferFailed { .. } => Mark::AbortedLeadershipTransfer,
            Decision::ChangesMembers { joint: false, .. } => Mark::ChangedOneMember,
            Decision::ChangesMembers { joint: true, .. } => Mark::EnteredJointConfiguration,
            Decision::RecordsContacts { .. } => Mark::RecordedContacts,
            Decision::LeavesJoint { .. } => Mark::LeftJointConfiguration,
            Decision::Promotes { .. } => Mark::PromotedLearner,
            Decision::DemotesSilent { .. } => Mark::DemotedSilentVoter,
            Decision::RolledBackMembers { .. } => Mark::RolledBackMembershipChange,
            Decision::SteppedDown {
                because: StepDown::Removed,
            } => Mark::SteppedDownWhenRemoved,
            Decision::SteppedDown {
                because: StepDown::Diverged,
            } => Mark::SteppedDownWithDivergedState,
            Decision::TookSnapshot { .. } => Mark::TookSnapshot,
            Decision::SendsSnapshot { .. } => Mark::SentSnapshot,
            Decision::InstalledSnapshot {
                tail_kept: true, ..
            } => Mark::InstalledSnapshotAndKeptItsTail,
            Decision::InstalledSnapshot {
                tail_kept: false, ..
            } => Mark::InstalledSnapshotInPlaceOfItsLog,
            Decision::RefusedLargeSnapshot { .. } => Mark::RefusedLargeSnapshot,
            Decision::SnapshotTooLarge { .. } => Mark::HadSnapshotRefusedForItsSize,
            Decision::LostAcknowledged { .. } => Mark::SawAcknowledgementWithdrawn,
            Decision::BeginsIncarnation { .. } => Mark::BeganAnotherIncarnation,
            Decision::ReplacesIncarnation { .. } => Mark::ReplacedIncarnation,
            Decision::ContradictsCommitted { .. } => Mark::SawCommittedEntryContradicted,
            Decision::ConfirmedReads { .. } => Mark::ConfirmedReads,
            Decision::ReadByLease => Mark::ReadByLease,
            Decision::UnknownIncarnation { .. } => Mark::ReceivedMessageFromUnknownIncarnation,
            Decision::StaleIncarnation { .. } => Mark::WasAddressedUnderAnotherIncarnation,
            Decision::StateDiverged { .. } => Mark::SawDivergedState,
            Decision::RepairedState { .. } => Mark::ReplacedDivergedState,
            Decision::Founds { .. } => Mark::FoundedCluster,
            Decision::AdoptsFounding { own, .. } => match own {
                OwnDisk::Founder => Mark::AdoptedFoundingAsFounder,
                OwnDisk::Replaced => Mark::AdoptedFoundingWithNewDisk,
                OwnDisk::NoFounder => Mark::AdoptedFoundingAsOutsider,
            },
            Decision::RecordsDiffer { .. } => Mark::SawOtherRecordOfFounders,
            Decision::FoundersDiffer { .. } => Mark::SawOtherFounders,
            Decision::FounderReplaced { .. } => Mark::SawFounderReplacedBeforeFounding,
            Decision::IgnoredInvalidMessage { .. } => Mark::IgnoredInvalidMessage,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_ordered_by_name() {
        assert!(Mark::ALL.is_sorted());
        assert!(Mark::ALL.is_sorted_by(|one, next| one.name() < next.name()));
    }
}
