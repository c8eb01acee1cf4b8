//! Cluster membership: members, voters and majorities (section 6, thesis 4).

mod change;
#[cfg(feature = "serde")]
mod parts;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;

use crate::entry::Bytes;
use crate::types::{Incarnation, NodeId};

pub use change::Change;
#[cfg(feature = "serde")]
use parts::Parts;

/// The members of a cluster. While the voters change from one set to another it is joint (section
/// 6): then every decision by majority needs a majority of each set. Clones share the members.
#[doc(alias = "ConfState")]
#[doc(alias = "configuration")]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts", into = "Parts"))]
pub struct Membership {
    members: Arc<BTreeMap<NodeId, Member>>,
    records: Arc<Records>,
}

/// Data that is replicated with the members and belongs to no majority.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Records {
    /// Witnesses that were removed, with the incarnation of the disk each had: it holds entries
    /// without their contents, so it cannot serve as another kind of member. Forgotten when the id
    /// is a member again.
    former_witnesses: BTreeMap<NodeId, Incarnation>,
    /// Contact of each member that has one.
    contacts: BTreeMap<NodeId, Bytes>,
    annex: Bytes,
}

/// Incarnation and standing of one member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Member {
    /// Incarnation of the member: a node that lost its disk returns under another one and is not
    /// this member.
    pub incarnation: Incarnation,
    /// Its standing from now on; `None` for a member that leaves with the joint configuration.
    pub standing: Option<Standing>,
    /// Its standing as a voter of the old set while the configuration is joint; `None` if it has no
    /// old vote.
    pub outgoing: Option<Standing>,
}

/// Kind of a member: whether it votes, stores and may lead.
#[doc(alias = "Suffrage")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Standing {
    /// Votes, stores, applies and may lead.
    Voter,
    /// Votes and stores entries without their contents, so it never leads and applies nothing.
    Witness,
    /// Stores and applies, but does not vote (thesis 4.2.1).
    Learner,
    /// Learner that is promoted to voter automatically once it has kept up with the leader for a
    /// while.
    Joining,
}

/// Reason why a membership is invalid, or cannot follow another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// No voter that may lead would be left.
    #[error("a cluster needs at least one voter that may lead")]
    NoVoters,
    /// More members than a node keeps state for.
    #[error("a cluster has at most {} members", Membership::MAX_MEMBERS)]
    TooMany,
    /// The voters are already changing.
    #[error("the voters are already changing; retry once the change is committed")]
    Joint,
    /// The node to be removed is not a member.
    #[error("{0} is not a member")]
    NoMember(NodeId),
    /// A voter would be replaced by another incarnation that also votes, or in a joint
    /// configuration, or a witness by any other incarnation: one node could vote twice, or a disk
    /// without entry contents could count as one with them.
    #[error(
        "{0} votes under another incarnation; add the new incarnation as a joining member in a \
         separate change, or remove {0} first"
    )]
    OtherIncarnation(NodeId),
    /// A witness cannot change its standing, because its disk lacks entry contents; nor can a
    /// member with a full log become a witness.
    #[error(
        "a witness stays one, and no other member becomes one: the disk of a witness has no commands. \
         Remove {0} and add it with an empty disk"
    )]
    WitnessForEver(NodeId),
    /// A removed witness would be added as another kind of member with the same disk, which holds
    /// no entry contents.
    #[error(
        "{0} was a witness and its disk never held a state; add it as a witness, or with an empty \
         disk"
    )]
    FormerWitness(NodeId),
    /// The node to be added is a member already.
    #[error("{0} is a member already")]
    AlreadyMember(NodeId),
    /// A contact or the annex exceeds its limit.
    #[error(
        "a contact has at most {} bytes and the annex {}",
        Membership::MAX_CONTACT,
        Membership::MAX_ANNEX
    )]
    RecordTooLarge,
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
    /// No change leads to this combination of standings: a member that did not vote has no old
    /// vote, and a witness has always been one. Occurs only in decoded bytes.
    #[error("{0} has a combination of standings that no change leads to")]
    Impossible(NodeId),
}

impl Standing {
    /// Whether it counts in majorities.
    pub fn votes(self) -> bool {
        match self {
            Standing::Voter | Standing::Witness => true,
            Standing::Learner | Standing::Joining => false,
        }
    }
}

impl Membership {
    /// Maximum number of members of a cluster. Every node keeps state for every other, and each
    /// heartbeat is a message to each.
    ///
    /// Decision: the bound is checked wherever a membership is decoded or changed; only
    /// [`Membership::crowd`] is exempt. Why: bytes from a peer must not decide how much memory a
    /// node uses; an experiment holds its ten thousand nodes anyway. Would change if: larger
    /// clusters were run in production.
    pub const MAX_MEMBERS: usize = 256;

    /// Maximum size of a member's contact in bytes: room for a key, a name and a few addresses.
    pub const MAX_CONTACT: usize = 1024;

    /// Maximum size of the annex in bytes.
    pub const MAX_ANNEX: usize = 16 * 1024;

    /// Creates a membership of these voters, all in their first incarnation.
    ///
    /// # Errors
    /// If there are none or too many.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Result<Self, MembershipError> {
        Self::of(
            voters
                .into_iter()
                .map(|id| (id, Incarnation::default(), Standing::Voter)),
        )
    }

    /// Creates a membership of these members.
    ///
    /// # Errors
    /// If no member may lead, or there are too many.
    pub fn of(
        members: impl IntoIterator<Item = (NodeId, Incarnation, Standing)>,
    ) -> Result<Self, MembershipError> {
        let member = |(id, incarnation, standing)| {
            (
                id,
                Member {
                    incarnation,
                    standing: Some(standing),
                    outgoing: None,
                },
            )
        };
        Membership::with_members(members.into_iter().map(member).collect()).checked()
    }

    /// Creates a membership of any number of voters, for experiments in one process. More than
    /// [`Membership::MAX_MEMBERS`] can elect and replicate, but every change is rejected, and so is
    /// the membership when it is deserialized.
    ///
    /// # Errors
    /// If there are none.
    pub fn crowd(voters: impl IntoIterator<Item = NodeId>) -> Result<Self, MembershipError> {
        let voter = Member {
            incarnation: Incarnation::default(),
            standing: Some(Standing::Voter),
            outgoing: None,
        };
        let members: BTreeMap<_, _> = voters.into_iter().map(|id| (id, voter)).collect();
        if members.is_empty() {
            Err(MembershipError::NoVoters)
        } else {
            Ok(Membership::with_members(members))
        }
    }

    fn with_members(members: BTreeMap<NodeId, Member>) -> Self {
        Membership {
            members: Arc::new(members),
            records: Arc::default(),
        }
    }

    fn checked(self) -> Result<Self, MembershipError> {
        let joint = self.is_joint();
        if !self
            .members
            .values()
            .any(|member| member.standing == Some(Standing::Voter))
        {
            Err(MembershipError::NoVoters)
        } else if self.members.len() > Self::MAX_MEMBERS {
            Err(MembershipError::TooMany)
        } else if !joint
            && self
                .members
                .values()
                .any(|member| member.standing.is_none())
        {
            // Only a joint configuration has members that are about to leave.
            Err(MembershipError::Nothing)
        } else if let Some((id, _)) = self
            .members
            .iter()
            .find(|(_, member)| !member.is_possible())
        {
            Err(MembershipError::Impossible(*id))
        } else if self.records.annex.len() > Self::MAX_ANNEX
            || self
                .records
                .contacts
                .values()
                .any(|contact| contact.len() > Self::MAX_CONTACT)
        {
            Err(MembershipError::RecordTooLarge)
        } else if let Some(id) = self.records.contacts.keys().find(|id| !self.contains(**id)) {
            Err(MembershipError::NoMember(*id))
        } else {
            Ok(self)
        }
    }

    /// Whether `id` is a member of any standing.
    pub fn contains(&self, id: NodeId) -> bool {
        self.members.contains_key(&id)
    }

    /// Returns the member `id`.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Contact of the member `id`, if it was recorded: how it is reached and recognized. Opaque to
    /// consensus.
    pub fn contact(&self, id: NodeId) -> Option<&Bytes> {
        self.records.contacts.get(&id)
    }

    /// Data about the cluster as a whole, replicated with its members and opaque to consensus.
    pub fn annex(&self) -> &Bytes {
        &self.records.annex
    }

    /// Bytes of all contacts and the annex.
    pub(crate) fn recorded_bytes(&self) -> usize {
        self.records.annex.len()
            + self
                .records
                .contacts
                .values()
                .map(|bytes| bytes.len())
                .sum::<usize>()
    }

    /// Whether both have the same members in the same standings, so that their majorities are the
    /// same. Contacts and annexes may differ.
    pub fn has_members_of(&self, other: &Membership) -> bool {
        Arc::ptr_eq(&self.members, &other.members) || self.members == other.members
    }

    /// All members in order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (NodeId, &Member)> + '_ {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    /// The voters, witnesses included, in order of their ids; in a joint configuration those of the
    /// new one.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.with(|member| member.standing.is_some_and(Standing::votes))
    }

    /// The voters of the old configuration while it is joint.
    pub fn outgoing(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.with(|member| member.outgoing.is_some())
    }

    /// Members that are or become learners, joining ones included.
    pub fn learners(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.with(|member| member.standing.is_some_and(|standing| !standing.votes()))
    }

    fn with(&self, holds: fn(&Member) -> bool) -> impl Iterator<Item = NodeId> + '_ {
        self.members
            .iter()
            .filter(move |(_, member)| holds(member))
            .map(|(id, _)| *id)
    }

    /// Whether the configuration is joint: the voters are changing.
    pub fn is_joint(&self) -> bool {
        self.members
            .values()
            .any(|member| member.outgoing.is_some())
    }

    /// Whether `id` counts in majorities, of the old or the new voters.
    pub fn votes(&self, id: NodeId) -> bool {
        self.members.get(&id).is_some_and(Member::votes)
    }

    /// Whether the voters for which `agrees` holds are a majority, of both sets in a joint
    /// configuration.
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        // As `true` is the larger value, the majority's value is true if a majority agrees.
        self.reached_by_majority(agrees)
    }

    /// The largest value that a majority has reached: the one at the majority's position when all
    /// are sorted in descending order (the commit rule of figure 2); in a joint configuration the
    /// smaller of the two. Values are sorted in an array, a small one for usual clusters, because
    /// this runs on every acknowledgement; only a crowd allocates.
    pub fn reached_by_majority<T: Copy + Ord + Default>(&self, value: impl Fn(NodeId) -> T) -> T {
        const MAX: usize = Membership::MAX_MEMBERS;
        let members = self.members.len();
        if members <= FEW {
            self.reached(value, &mut [T::default(); FEW], &mut [T::default(); FEW])
        } else if members <= MAX {
            self.reached(value, &mut [T::default(); MAX], &mut [T::default(); MAX])
        } else {
            // A crowd is never joint.
            self.reached(value, &mut vec![T::default(); members], &mut [])
        }
    }

    /// Same, with `new` and `old` as scratch space for the values of the two sets of voters.
    fn reached<T: Copy + Ord + Default>(
        &self,
        value: impl Fn(NodeId) -> T,
        new: &mut [T],
        old: &mut [T],
    ) -> T {
        let mut new_count = 0;
        let mut old_count = 0;
        for (id, member) in self.members.iter() {
            let reached = value(*id);
            if member.standing.is_some_and(Standing::votes) {
                new[new_count] = reached;
                new_count += 1;
            }
            if member.outgoing.is_some() {
                old[old_count] = reached;
                old_count += 1;
            }
        }
        let new = at_majority(&mut new[..new_count]);
        if old_count == 0 {
            new
        } else {
            new.min(at_majority(&mut old[..old_count]))
        }
    }
}

impl Member {
    /// Whether it counts in majorities, of the old or the new voters.
    pub fn votes(&self) -> bool {
        self.outgoing.is_some() || self.standing.is_some_and(Standing::votes)
    }

    /// Whether it may lead: it votes and stores the contents of entries.
    pub fn may_lead(&self) -> bool {
        [self.standing, self.outgoing].contains(&Some(Standing::Voter)) && !self.is_witness()
    }

    /// Whether a membership change can lead to this member.
    fn is_possible(&self) -> bool {
        let Some(before) = self.outgoing else {
            return true;
        };
        let witness = |standing| standing == Standing::Witness;
        before.votes()
            && self
                .standing
                .is_none_or(|standing| witness(standing) == witness(before))
    }

    /// Whether it is a witness now or was one before, and receives entries without their contents.
    pub fn is_witness(&self) -> bool {
        [self.standing, self.outgoing].contains(&Some(Standing::Witness))
    }
}

/// Largest number of values for which insertion sort is fastest.
const FEW: usize = 9;

/// The value that more than half of `values` have reached.
fn at_majority<T: Copy + Ord + Default>(values: &mut [T]) -> T {
    // In ascending order more than half of the values are at or after this position.
    let Some(place) = values.len().checked_sub(values.len() / 2 + 1) else {
        return T::default();
    };
    if values.len() > FEW {
        return *values.select_nth_unstable(place).1;
    }
    for end in 1..values.len() {
        let value = values[end];
        let mut at = end;
        while at > 0 && values[at - 1] > value {
            values[at] = values[at - 1];
            at -= 1;
        }
        values[at] = value;
    }
    values[place]
}

#[cfg(test)]
mod tests;
