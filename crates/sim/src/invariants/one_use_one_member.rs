//! Admission: each use of an invite admits one member, and no key is that of two members.

use std::collections::{BTreeMap, BTreeSet};

use raftian_node::contact::Contact;
use raftian_node::match_record::MatchRecord;
use raftian_raft::{Membership, NodeId, Payload};

use super::{Observation, Violation};

/// The last membership applied in each node's newest run, and how many entries were checked.
#[derive(Debug, Default)]
pub struct OneUseOneMember {
    last: BTreeMap<NodeId, ((u64, u64), usize, Option<Membership>)>,
}

impl OneUseOneMember {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If invites were used more or less often than members joined, or two members have one key.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let (run, checked, last) = self.last.entry(seen.id).or_default();
        // A restart or a restored snapshot replaces the state, so its entries are listed anew.
        if *run != (seen.run, seen.restores) {
            (*run, *checked, *last) = ((seen.run, seen.restores), 0, None);
        }
        for entry in seen.applied.iter().skip(*checked) {
            let Payload::Membership(membership) = &entry.payload else {
                continue;
            };
            if let Some(what) = violation(last.as_ref(), membership) {
                let what = format!("{} applied {}: {what}", seen.id, entry.index);
                return Err(Violation::new("one use, one member", what));
            }
            *last = Some(membership.clone());
        }
        *checked = seen.applied.len();
        Ok(())
    }
}

fn violation(before: Option<&Membership>, after: &Membership) -> Option<String> {
    let mut keys = BTreeSet::new();
    for (id, _) in after.members() {
        if let Some(contact) = Contact::of(after, id)
            && !keys.insert(contact.fingerprint.to_string())
        {
            return Some(format!("{id} has the key of another member"));
        }
    }
    let before = before?;
    let (old, new) = (MatchRecord::of(before)?, MatchRecord::of(after)?);
    let left = |record: &MatchRecord, number| record.invite(number)?.uses_left;
    let used: u32 = old
        .invites
        .iter()
        .filter_map(|invite| invite.uses_left?.checked_sub(left(&new, invite.number)?))
        .sum();
    let members = after.members();
    // Members that join by an invite have a contact, and each invite of a storm has a last use.
    let added = members
        .filter(|(id, _)| !before.contains(*id) && after.contact(*id).is_some())
        .count();
    (used as usize != added).then(|| format!("{used} uses of invites admitted {added} members"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;
    use raftian_node::cluster::Fingerprint;
    use raftian_node::match_record::Invite;
    use raftian_node::ticket::MatchId;
    use raftian_raft::{Change, Incarnation, Standing};

    fn record(uses_left: u32) -> MatchRecord {
        MatchRecord {
            id: MatchId([1; 16]),
            name: "test".to_owned(),
            rules: String::new(),
            next_member: 2,
            next_invite: 2,
            code: None,
            invites: vec![Invite {
                number: 1,
                key: [0; 32],
                uses_left: Some(uses_left),
                expires: None,
            }],
            spectators: Vec::new(),
            ballots: Vec::new(),
        }
    }

    /// The membership after a member joined with this key, and the uses that are left.
    fn joined(before: &Membership, id: u64, key: &[u8], uses_left: u32) -> Membership {
        let contact = Contact {
            name: format!("n{id}"),
            fingerprint: Fingerprint::of(key),
            addresses: Vec::new(),
            key: None,
        };
        let add = Change::Add {
            id: NodeId(id),
            incarnation: Incarnation(0),
            standing: Standing::Learner,
            contact: contact.encode().unwrap(),
            annex: Some(record(uses_left).encode().unwrap()),
        };
        before.after(&add).unwrap()
    }

    #[test]
    fn uses_without_a_member_and_shared_keys_are_detected() {
        let founding = Membership::new([NodeId(1)]).unwrap();
        let open = Change::Record {
            contacts: Vec::new(),
            annex: Some(record(3).encode().unwrap()),
        };
        let open = founding.after(&open).unwrap();
        for (uses_left, key, holds) in [
            (1, "b", true),
            (0, "b", false),
            (2, "b", false),
            (1, "a", false),
        ] {
            let first = joined(&open, 2, b"a", 2);
            let second = joined(&first, 3, key.as_bytes(), uses_left);
            let checked = Sample::node(9, 1)
                .log(&[1, 1, 1])
                .membership(1, open.clone())
                .membership(2, first)
                .membership(3, second)
                .applied(3)
                .show(|seen| OneUseOneMember::default().check(seen));
            assert_eq!(checked.is_ok(), holds, "{uses_left} left, key {key}");
        }
    }
}
