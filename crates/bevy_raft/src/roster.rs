//! The players of a match as the log records them, for replicated code.
//!
//! Decision: the roster is part of the replicated state, and joins and leaves are applied like
//! commands. Why: a game binds a seat to a player, and must do so at the same entry on every
//! machine; [`Members`](crate::Members) shows the present and differs between machines. Would
//! change if: never.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use raftian_node::cluster::Fingerprint;
use raftian_node::contact::Contact;
use raftian_node::match_record::MatchRecord;
use raftian_node::match_request::Part;
use raftian_node::signing::{CommandKey, SignatureError, Verifier};
use raftian_node::ticket::MatchId;
use raftian_node::wire;
use raftian_raft::{Command, Index, Membership, NodeId, Stamp, Standing, Term};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state::first_bytes;

/// Maximum number of former participants that a roster keeps; beyond it those with the lowest ids
/// are dropped.
pub const MAX_FORMER: usize = 64;

/// A participant of the match, now or before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Participant {
    /// Name of the player; `None` for a member of a cluster that was created from files.
    pub name: Option<String>,
    /// Hash of the player's certificate: the identity of the player, also after it has left and
    /// joined again under another id. `None` for a member of a cluster that was created from files.
    pub fingerprint: Option<Fingerprint>,
    /// How it takes part.
    pub part: Part,
    /// Public key that verifies its commands, and identifies the player: a member whose key changes
    /// is another player. `None` in a cluster that was created from files.
    pub key: Option<CommandKey>,
}

/// The participants of the match after the last applied entry: the same on every machine after the
/// same entry. Part of [`AppliedLog`](crate::AppliedLog), and of snapshots.
///
/// It begins with the founders, when the first entry is about to be applied: no [`RosterChange`]
/// contains them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Roster {
    present: BTreeMap<NodeId, Participant>,
    former: BTreeMap<NodeId, Participant>,
    /// Id of the match, if its commands are signed. Taken from the founding membership: no later
    /// entry changes it.
    signed: Option<MatchId>,
}

/// Difference that a membership entry makes to the [`Roster`].
///
/// Replicated code reads it from [`CommittedEntry`](crate::CommittedEntry) in
/// [`ApplyCommitted`](crate::ApplyCommitted), which runs for it as for a command. Changes of votes
/// and addresses are not part of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RosterChange {
    /// Members that joined. Founders have not: they are in the roster from the beginning.
    pub joined: Vec<NodeId>,
    /// Members that left or were removed; the roster keeps them as former ones.
    pub left: Vec<NodeId>,
    /// Members with another name, part or key than before.
    pub changed: Vec<NodeId>,
}

/// Members joined, left, or changed their name or part: for presentation, like
/// [`Committed`](crate::Committed).
#[derive(Event, Clone, PartialEq, Eq, Debug)]
pub struct RosterChanged {
    /// The difference.
    pub change: RosterChange,
    /// Index of the entry.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Game clock at which its leader appended it.
    pub stamp: Stamp,
    /// More than [`CATCHING_UP`](crate::CATCHING_UP) entries wait to be applied.
    pub catching_up: bool,
    /// The entry was committed before this app took part, or before its node started.
    pub replayed: bool,
}

impl Roster {
    /// Returns the roster with which a match begins.
    pub(crate) fn of(founding: &Membership) -> Self {
        Roster {
            present: participants(founding),
            former: BTreeMap::new(),
            signed: MatchRecord::of(founding).map(|record| record.id),
        }
    }

    /// Returns a hash of it, the same for equal rosters on every machine and build.
    pub fn hash(&self) -> u64 {
        let bytes = wire::encode_state(self).unwrap_or_default();
        first_bytes(&Sha256::digest(bytes))
    }

    /// Returns the id of the match, if its members sign their commands.
    pub fn signed_match(&self) -> Option<MatchId> {
        self.signed
    }

    /// Returns the participant `id`, present or former.
    pub fn get(&self, id: NodeId) -> Option<&Participant> {
        self.present.get(&id).or_else(|| self.former.get(&id))
    }

    /// Whether `id` is a member.
    pub fn is_present(&self, id: NodeId) -> bool {
        self.present.contains_key(&id)
    }

    /// The members, in order of their ids.
    pub fn present(&self) -> impl ExactSizeIterator<Item = (NodeId, &Participant)> + '_ {
        self.present.iter().map(|(id, member)| (*id, member))
    }

    /// Those who left, in order of their ids; at most [`MAX_FORMER`].
    pub fn former(&self) -> impl ExactSizeIterator<Item = (NodeId, &Participant)> + '_ {
        self.former.iter().map(|(id, member)| (*id, member))
    }

    /// Returns the member whose certificate has this hash.
    pub fn find(&self, fingerprint: Fingerprint) -> Option<NodeId> {
        self.present()
            .find(|(_, member)| member.fingerprint == Some(fingerprint))
            .map(|(id, _)| id)
    }

    /// Returns the program's command inside a committed one, and the key that signed it.
    ///
    /// # Errors
    /// If the match is one of signed commands, and `member` did not sign this one, or has left.
    pub(crate) fn verify<'a>(
        &self,
        verifier: &mut Verifier,
        member: NodeId,
        command: &'a Command,
    ) -> Result<(&'a [u8], Option<CommandKey>), SignatureError> {
        let Some(match_id) = self.signed else {
            return Ok((&command.bytes, None));
        };
        let key = self.present.get(&member).and_then(|member| member.key);
        let content = verifier.verify((match_id, member), key, command)?;
        Ok((content, key))
    }

    /// Whether `member` is the player behind `own`, also under an earlier id.
    pub(crate) fn is_same_player(&self, member: NodeId, own: NodeId) -> bool {
        member == own || self.signed.is_none() || self.key(member) == self.key(own)
    }

    fn key(&self, id: NodeId) -> Option<CommandKey> {
        self.get(id)?.key
    }

    /// Whether a participant, present or former, has this key.
    pub(crate) fn knows(&self, key: CommandKey) -> bool {
        let mut all = self.present().chain(self.former());
        all.any(|(_, member)| member.key == Some(key))
    }

    /// Replaces the members by those of `membership`.
    pub(crate) fn update(&mut self, membership: &Membership) -> RosterChange {
        let next = participants(membership);
        let before = std::mem::replace(&mut self.present, next);
        let mut change = RosterChange::default();
        for (id, member) in &self.present {
            match before.get(id) {
                None => change.joined.push(*id),
                Some(earlier) if earlier != member => change.changed.push(*id),
                Some(_) => {}
            }
        }
        for (id, member) in before {
            if !self.present.contains_key(&id) {
                change.left.push(id);
                self.former.insert(id, member);
            }
        }
        // The same disk may be added again, in a cluster that was created from files.
        self.former.retain(|id, _| !self.present.contains_key(id));
        while self.former.len() > MAX_FORMER {
            self.former.pop_first();
        }
        change
    }
}

impl RosterChange {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && self.changed.is_empty()
    }
}

/// The members that stay, with names and parts from the records of the match.
fn participants(membership: &Membership) -> BTreeMap<NodeId, Participant> {
    let spectators = MatchRecord::of(membership).map_or(Vec::new(), |record| record.spectators);
    let mut participants = BTreeMap::new();
    for (id, member) in membership.members() {
        let part = match member.standing {
            // It leaves with the joint configuration.
            None => continue,
            Some(Standing::Witness) => Part::Witness,
            Some(_) if spectators.contains(&id) => Part::Spectator,
            Some(Standing::Voter | Standing::Learner | Standing::Joining) => Part::Player,
        };
        let contact = Contact::of(membership, id);
        let participant = Participant {
            fingerprint: contact.as_ref().map(|contact| contact.fingerprint),
            key: contact.as_ref().and_then(|contact| contact.key),
            name: contact.map(|contact| contact.name),
            part,
        };
        participants.insert(id, participant);
    }
    participants
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Change, Incarnation};

    use super::*;

    fn contact(name: &str) -> Contact {
        Contact {
            name: name.to_owned(),
            fingerprint: Fingerprint::of(name.as_bytes()),
            addresses: Vec::new(),
            key: None,
        }
    }

    fn named(members: &[(u64, &str)]) -> Membership {
        let contacts = members
            .iter()
            .map(|(id, name)| (NodeId(*id), contact(name).encode().unwrap()))
            .collect();
        let record = Change::Record {
            contacts,
            annex: None,
        };
        Membership::new(members.iter().map(|(id, _)| NodeId(*id)))
            .unwrap()
            .after(&record)
            .unwrap()
    }

    #[test]
    fn former_members_keep_their_names() {
        let mut roster = Roster::default();
        let change = roster.update(&named(&[(1, "Ada"), (2, "Bo")]));
        assert_eq!(change.joined, [NodeId(1), NodeId(2)]);
        let change = roster.update(&named(&[(2, "Bo"), (3, "Cy")]));
        assert_eq!(
            (change.joined, change.left),
            (vec![NodeId(3)], vec![NodeId(1)])
        );
        let ada = roster.get(NodeId(1)).unwrap();
        assert_eq!(ada.name.as_deref(), Some("Ada"));
        assert!(!roster.is_present(NodeId(1)));
        assert_eq!(roster.find(Fingerprint::of(b"Ada")), None);
        assert_eq!(roster.find(Fingerprint::of(b"Cy")), Some(NodeId(3)));
    }

    #[test]
    fn vote_and_address_change_no_roster() {
        let mut roster = Roster::default();
        let membership = named(&[(1, "Ada"), (2, "Bo")]);
        roster.update(&membership);
        let set = Change::Set(NodeId(2), Incarnation::default(), Standing::Learner);
        let demoted = membership.after(&set).unwrap();
        assert!(roster.update(&demoted).is_empty());
        let renamed = named(&[(1, "Ada"), (2, "Di")]);
        assert_eq!(roster.update(&renamed).changed, [NodeId(2)]);
    }

    #[test]
    fn member_that_leaves_by_a_joint_configuration_is_gone_with_its_first_entry() {
        let mut roster = Roster::default();
        let membership = named(&[(1, "Ada"), (2, "Bo"), (3, "Cy")]);
        roster.update(&membership);
        let voter = |id| (NodeId(id), Incarnation::default(), Standing::Voter);
        let joint = membership.after(&Change::Replace(vec![voter(1)])).unwrap();
        assert!(joint.is_joint());
        assert_eq!(roster.update(&joint).left, [NodeId(2), NodeId(3)]);
        assert!(roster.update(&joint.left()).is_empty());
    }

    #[test]
    fn lowest_ids_of_former_members_are_dropped_first() {
        let mut roster = Roster::default();
        for id in 1..=MAX_FORMER as u64 + 3 {
            roster.update(&Membership::new([NodeId(id)]).unwrap());
        }
        assert_eq!(roster.former().len(), MAX_FORMER);
        assert_eq!(roster.former().next().unwrap().0, NodeId(3));
    }
}
