//! Raft's safety properties, checked on observations of nodes after every step. One property, one
//! file.
//!
//! Each property has a `check` that receives an observation of one node and stores the state it
//! needs, and a test that feeds it a violating history. A new one is declared here, becomes a field
//! of [`Invariants`] and is called in [`Invariants::check`].

mod applied_is_durable;
mod commands_name_members;
mod commit_goes_forward;
mod committed_on_majority;
mod durable_before_promised;
mod election_safety;
mod exactly_once;
mod game_clock;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod one_change_at_a_time;
mod one_founding;
mod one_use_one_member;
mod one_vote_per_term;
mod reads_see_commits;
#[cfg(test)]
mod sample;
mod snapshots_agree;
mod state_machine_safety;
mod terms_go_forward;

use std::fmt;

use raftian_raft::{
    Command, Entry, Index, LogPosition, Membership, Message, NodeId, Restored, RoleKind, Term,
};

pub use applied_is_durable::AppliedIsDurable;
pub use commands_name_members::CommandsNameMembers;
pub use commit_goes_forward::CommitGoesForward;
pub use committed_on_majority::CommittedOnMajority;
pub use durable_before_promised::DurableBeforePromised;
pub use election_safety::ElectionSafety;
pub use exactly_once::ExactlyOnce;
pub use game_clock::GameClock;
pub use leader_append_only::LeaderAppendOnly;
pub use leader_completeness::LeaderCompleteness;
pub use log_matching::LogMatching;
pub use one_change_at_a_time::OneChangeAtATime;
pub use one_founding::OneFounding;
pub use one_use_one_member::OneUseOneMember;
pub use one_vote_per_term::OneVotePerTerm;
pub use reads_see_commits::ReadsSeeCommits;
pub use snapshots_agree::SnapshotsAgree;
pub use state_machine_safety::StateMachineSafety;
pub use terms_go_forward::TermsGoForward;

/// Visible state of one node after a step, and the contents of the disks.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The node.
    pub id: NodeId,
    /// Number of its run, which each restart increments.
    pub run: u64,
    /// Its term.
    pub term: Term,
    /// Its role.
    pub role: RoleKind,
    /// Its commit index.
    pub commit: Index,
    /// Position before the first entry of its log.
    pub start: LogPosition,
    /// Its log after that.
    pub log: &'a [Entry],
    /// Its active membership.
    pub membership: &'a Membership,
    /// Membership of its newest snapshot, or the founding one without a snapshot.
    pub base: &'a Membership,
    /// Number of snapshots that replaced its state in this run.
    pub restores: u64,
    /// Entries in its state, from index 1, including those that a snapshot covers.
    pub applied: &'a [Entry],
    /// Commands in `applied` that took effect.
    pub effects: &'a [Command],
    /// Durable contents of its disk.
    pub image: &'a Restored,
    /// Durable contents of all disks, including its own.
    pub images: Images<'a>,
    /// Messages it is about to send.
    pub sent: &'a [(NodeId, Message)],
}

/// Durable contents of all disks. Few checks need them, so they are looked up on demand.
#[derive(Clone, Copy)]
pub struct Images<'a>(&'a dyn Fn(NodeId) -> Option<&'a Restored>);

impl<'a> Images<'a> {
    /// Creates images that `look` looks up.
    pub fn new(look: &'a dyn Fn(NodeId) -> Option<&'a Restored>) -> Self {
        Images(look)
    }

    /// Returns the contents of the disk of `id`, if there is such a machine.
    pub fn of(self, id: NodeId) -> Option<&'a Restored> {
        (self.0)(id)
    }
}

impl fmt::Debug for Images<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Images")
    }
}

impl<'a> Observation<'a> {
    /// Returns the entry at `index` of the node's log.
    pub(crate) fn entry(&self, index: Index) -> Option<&'a Entry> {
        entry_after(self.start.index, self.log, index)
    }

    /// Returns the term of the entry at `index` of the node's log, or of the log's start position.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.start.index {
            Some(self.start.term)
        } else {
            self.entry(index).map(|entry| entry.term)
        }
    }

    /// Returns the index of the last entry of its log.
    pub(crate) fn last(&self) -> Index {
        self.log
            .last()
            .map_or(self.start.index, |entry| entry.index)
    }
}

/// Returns the entry at `index` of a log that begins after `start`.
pub(crate) fn entry_after(start: Index, log: &[Entry], index: Index) -> Option<&Entry> {
    index
        .0
        .checked_sub(start.0 + 1)
        .and_then(|place| log.get(usize::try_from(place).ok()?))
}

/// Returns the index of the last entry on a disk, in its log or its snapshot.
pub(crate) fn last_on(image: &Restored) -> Index {
    image
        .entries
        .last()
        .map_or(image.start.position.index, |entry| entry.index)
}

/// A violated property.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{property} is violated: {what}")]
pub struct Violation {
    /// Name of the property.
    pub property: &'static str,
    /// Description of the observed violation.
    pub what: String,
}

impl Violation {
    pub(crate) fn new(property: &'static str, what: impl Into<String>) -> Self {
        Violation {
            property,
            what: what.into(),
        }
    }
}

/// All properties of one run.
#[derive(Debug, Default)]
pub struct Invariants {
    election_safety: ElectionSafety,
    leader_append_only: LeaderAppendOnly,
    log_matching: LogMatching,
    leader_completeness: LeaderCompleteness,
    state_machine_safety: StateMachineSafety,
    committed_on_majority: CommittedOnMajority,
    durable_before_promised: DurableBeforePromised,
    applied_is_durable: AppliedIsDurable,
    terms_go_forward: TermsGoForward,
    one_vote_per_term: OneVotePerTerm,
    commit_goes_forward: CommitGoesForward,
    game_clock: GameClock,
    exactly_once: ExactlyOnce,
    one_change_at_a_time: OneChangeAtATime,
    one_founding: OneFounding,
    one_use_one_member: OneUseOneMember,
    pub(crate) snapshots_agree: SnapshotsAgree,
    /// The caller reports every proposal to this property.
    pub(crate) commands_name_members: CommandsNameMembers,
    /// The caller reports every read to this property.
    pub(crate) reads_see_commits: ReadsSeeCommits,
}

impl Invariants {
    /// Checks every property against an observation of a node.
    ///
    /// # Errors
    /// The first violated property.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        self.election_safety.check(seen)?;
        self.leader_append_only.check(seen)?;
        self.log_matching.check(seen)?;
        self.leader_completeness.check(seen)?;
        self.state_machine_safety.check(seen)?;
        self.committed_on_majority.check(seen)?;
        self.durable_before_promised.check(seen)?;
        self.applied_is_durable.check(seen)?;
        self.terms_go_forward.check(seen)?;
        self.one_vote_per_term.check(seen)?;
        self.commit_goes_forward.check(seen)?;
        self.game_clock.check(seen)?;
        self.exactly_once.check(seen)?;
        self.one_change_at_a_time.check(seen)?;
        self.one_founding.check(seen)?;
        self.one_use_one_member.check(seen)?;
        self.snapshots_agree.check(seen)?;
        self.commands_name_members.check(seen)?;
        self.reads_see_commits.check(seen)
    }

    /// Forgets the terms and votes of a node after its disk was wiped.
    pub fn forget(&mut self, id: NodeId) {
        self.terms_go_forward.forget(id);
        self.one_vote_per_term.forget(id);
        self.one_founding.forget(id);
    }
}
