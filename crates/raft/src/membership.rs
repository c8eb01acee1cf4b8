//! Cluster membership: members, voters and majorities (section 6, thesis 4).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::entry::Bytes;
use crate::types::{Incarnation, NodeId};

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

/// Change from one membership to the next.
#[doc(alias = "ConfChange")]
#[doc(alias = "reconfiguration")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Adds a member, or gives one another standing.
    Set(NodeId, Incarnation, Standing),
    /// Removes a member.
    Remove(NodeId),
    /// Replaces all members; those not listed leave.
    Replace(alloc::vec::Vec<(NodeId, Incarnation, Standing)>),
    /// Adds a member together with its contact, and replaces the annex in the same step.
    Add {
        /// Id of the member, which no member had before.
        id: NodeId,
        /// Incarnation of its disk.
        incarnation: Incarnation,
        /// Its standing.
        standing: Standing,
        /// Its contact.
        contact: Bytes,
        /// The new annex; `None` leaves it unchanged.
        annex: Option<Bytes>,
    },
    /// Replaces contacts of members and the annex. Changes no majority, so it may be made while
    /// another change is in progress.
    Record {
        /// Members with their new contacts.
        contacts: Vec<(NodeId, Bytes)>,
        /// The new annex; `None` leaves it unchanged.
        annex: Option<Bytes>,
    },
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
        "{0} is a witness, or would become one with a full log; remove it and add it with an empty \
         disk"
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

    /// Returns the membership after `change`. It is joint if more than one voter is added or
    /// removed; a single one may change at once, because then any two majorities share a voter
    /// (thesis 4.1).
    ///
    /// # Errors
    /// If the result is invalid, or this membership is itself joint.
    pub fn after(&self, change: &Change) -> Result<Membership, MembershipError> {
        if let Change::Record { contacts, annex } = change {
            return self.recorded(contacts, annex.as_ref());
        }
        if self.is_joint() {
            return Err(MembershipError::Joint);
        }
        let mut next: BTreeMap<_, _> = self
            .members
            .iter()
            .filter_map(|(id, m)| Some((*id, (m.incarnation, m.standing?))))
            .collect();
        match change {
            Change::Set(id, incarnation, standing) => {
                next.insert(*id, (*incarnation, *standing));
            }
            Change::Remove(id) => {
                next.remove(id).ok_or(MembershipError::NoMember(*id))?;
            }
            Change::Replace(members) => {
                next = members
                    .iter()
                    .map(|(id, incarnation, standing)| (*id, (*incarnation, *standing)))
                    .collect();
            }
            Change::Add {
                id,
                incarnation,
                standing,
                ..
            } => {
                if next.insert(*id, (*incarnation, *standing)).is_some() {
                    return Err(MembershipError::AlreadyMember(*id));
                }
            }
            Change::Record { .. } => unreachable!("records change no members"),
        }
        for (id, (incarnation, standing)) in &next {
            if let Some(Member {
                incarnation: before,
                standing: Some(was),
                ..
            }) = self.members.get(id)
            {
                if before != incarnation
                    && was.votes()
                    && (standing.votes() || *was == Standing::Witness)
                {
                    return Err(MembershipError::OtherIncarnation(*id));
                }
                if was != standing
                    && before == incarnation
                    && [was, standing].contains(&&Standing::Witness)
                {
                    return Err(MembershipError::WitnessForEver(*id));
                }
            }
            if *standing != Standing::Witness
                && self.records.former_witnesses.get(id) == Some(incarnation)
            {
                return Err(MembershipError::FormerWitness(*id));
            }
        }
        let mut next = Self::of(
            next.into_iter()
                .map(|(id, (incarnation, standing))| (id, incarnation, standing)),
        )?;
        next.records = self.records_after(&next.members);
        if let Change::Add {
            id, contact, annex, ..
        } = change
        {
            next = next.recorded_unless_equal(&[(*id, contact.clone())], annex.as_ref())?;
        }
        // Former witnesses are replicated with every membership, so they are bounded as well.
        if next.records.former_witnesses.len() > Self::MAX_MEMBERS {
            return Err(MembershipError::TooMany);
        }
        if next == *self {
            return Err(MembershipError::Nothing);
        }
        let changed = self.voters().filter(|id| !next.votes(*id)).count()
            + next.voters().filter(|id| !self.votes(*id)).count();
        // Any two majorities of the old and the new voters then still share a voter (thesis 4.1).
        if changed <= 1 {
            return Ok(next);
        }
        // A joint configuration has one incarnation of each member, which must be the one that
        // votes in the old set.
        let replaced = self.members.iter().find(|(id, before)| {
            before.votes()
                && next
                    .member(**id)
                    .is_some_and(|member| member.incarnation != before.incarnation)
        });
        match replaced {
            Some((id, _)) => Err(MembershipError::OtherIncarnation(*id)),
            None => self.joined_with(next),
        }
    }

    /// The joint configuration of this one and `next`.
    fn joined_with(&self, next: Membership) -> Result<Membership, MembershipError> {
        let mut members = Arc::unwrap_or_clone(next.members);
        for (id, before) in self.members.iter().filter(|(_, member)| member.votes()) {
            let leaving = Member {
                incarnation: before.incarnation,
                standing: None,
                outgoing: None,
            };
            // A voter of both sets keeps its new standing and gets its old vote in addition.
            members.entry(*id).or_insert(leaving).outgoing = before.standing;
        }
        Membership {
            records: self.records_after(&members),
            members: Arc::new(members),
        }
        .checked()
    }

    /// This membership with other contacts and annex.
    fn recorded(
        &self,
        contacts: &[(NodeId, Bytes)],
        annex: Option<&Bytes>,
    ) -> Result<Membership, MembershipError> {
        let next = self.recorded_unless_equal(contacts, annex)?;
        if next == *self {
            Err(MembershipError::Nothing)
        } else {
            Ok(next)
        }
    }

    fn recorded_unless_equal(
        &self,
        contacts: &[(NodeId, Bytes)],
        annex: Option<&Bytes>,
    ) -> Result<Membership, MembershipError> {
        let mut next = self.clone();
        let records = Arc::make_mut(&mut next.records);
        if let Some(annex) = annex {
            records.annex = annex.clone();
        }
        records.contacts.extend(contacts.iter().cloned());
        next.checked()
    }

    /// Returns the membership that replaces a joint one once that is committed; any other stays
    /// unchanged.
    pub fn left(&self) -> Membership {
        let stays = |(id, member): (&NodeId, &Member)| {
            member.standing.map(|_| {
                (
                    *id,
                    Member {
                        outgoing: None,
                        ..*member
                    },
                )
            })
        };
        let members = self.members.iter().filter_map(stays).collect();
        Membership {
            records: self.records_after(&members),
            members: Arc::new(members),
        }
    }

    /// Returns the records once `next` are the members: contacts of members only, and no id that is
    /// both a member and a former witness.
    fn records_after(&self, next: &BTreeMap<NodeId, Member>) -> Arc<Records> {
        let leaves =
            |(id, member): &(&NodeId, &Member)| member.is_witness() && !next.contains_key(id);
        let leaving: Vec<_> = self
            .members
            .iter()
            .filter(leaves)
            .map(|(id, member)| (*id, member.incarnation))
            .collect();
        let mut after = Arc::clone(&self.records);
        let Records {
            former_witnesses,
            contacts,
            ..
        } = &*self.records;
        // Clones share the records, so they are copied only if they change.
        if !leaving.is_empty()
            || former_witnesses.keys().any(|id| next.contains_key(id))
            || contacts.keys().any(|id| !next.contains_key(id))
        {
            let records = Arc::make_mut(&mut after);
            records.former_witnesses.extend(leaving);
            records
                .former_witnesses
                .retain(|id, _| !next.contains_key(id));
            records.contacts.retain(|id, _| next.contains_key(id));
        }
        after
    }

    /// Drops the former witnesses, as this crate once did.
    #[cfg(feature = "planted")]
    pub(crate) fn without_former_witnesses(&self) -> Membership {
        Membership {
            members: Arc::clone(&self.members),
            records: Arc::new(Records {
                former_witnesses: BTreeMap::new(),
                ..(*self.records).clone()
            }),
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

/// Serialized form of [`Membership`]; deserializing validates it. A former witness is encoded as a
/// member with neither a current nor an outgoing standing.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Parts {
    members: BTreeMap<NodeId, Member>,
    contacts: BTreeMap<NodeId, Bytes>,
    annex: Bytes,
}

#[cfg(feature = "serde")]
impl From<Membership> for Parts {
    fn from(membership: Membership) -> Self {
        let former = |(id, incarnation): (&NodeId, &Incarnation)| {
            (
                *id,
                Member {
                    incarnation: *incarnation,
                    standing: None,
                    outgoing: None,
                },
            )
        };
        let Records {
            former_witnesses,
            contacts,
            annex,
        } = Arc::unwrap_or_clone(membership.records);
        let mut members = Arc::unwrap_or_clone(membership.members);
        members.extend(former_witnesses.iter().map(former));
        Parts {
            members,
            contacts,
            annex,
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Membership {
    type Error = MembershipError;

    fn try_from(parts: Parts) -> Result<Self, MembershipError> {
        let Parts {
            mut members,
            contacts,
            annex,
        } = parts;
        let is_former = |member: &Member| member.standing.is_none() && member.outgoing.is_none();
        let former: BTreeMap<_, _> = members
            .iter()
            .filter(|(_, member)| is_former(member))
            .map(|(id, member)| (*id, member.incarnation))
            .collect();
        members.retain(|_, member| !is_former(member));
        if former.len() > Membership::MAX_MEMBERS {
            return Err(MembershipError::TooMany);
        }
        Membership {
            members: Arc::new(members),
            records: Arc::new(Records {
                former_witnesses: former,
                contacts,
                annex,
            }),
        }
        .checked()
    }
}

#[cfg(test)]
mod tests;
