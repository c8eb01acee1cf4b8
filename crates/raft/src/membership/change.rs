//! Changes of a membership, and the membership that each leads to (section 6, thesis 4).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Member, Membership, MembershipError, Records, Standing};
use crate::entry::Bytes;
use crate::types::{Incarnation, NodeId};

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

impl Membership {
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
