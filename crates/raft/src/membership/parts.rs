//! Serialized form of a membership.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::{Member, Membership, MembershipError, Records};
use crate::entry::Bytes;
use crate::types::{Incarnation, NodeId};

/// Serialized form of [`Membership`]; deserializing validates it. A former witness is encoded as a
/// member with neither a current nor an outgoing standing.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Parts {
    members: BTreeMap<NodeId, Member>,
    contacts: BTreeMap<NodeId, Bytes>,
    annex: Bytes,
}

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
