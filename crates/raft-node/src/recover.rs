//! A new match from the copy of one member, after a majority of a match was lost.
//!
//! The copy holds every order that was committed while its member acknowledged entries, and perhaps
//! entries that were never committed. All of them belong to the new match. The lost majority may
//! have committed orders that the copy does not hold, and may return and go on: the two matches
//! then differ, so they have different ids and never mix.

use raftian_raft::{
    Change, Entry, Founding, HardState, Index, LogStart, Membership, Payload, Restored, Term,
    Write, WriteNumber,
};

use crate::cluster::NodeConfig;
use crate::match_record::MatchRecord;
use crate::store::{Creation, RedbStore, Store, StoreError};

/// Why no match could be made from a copy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// A store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The member holds entries without their contents.
    #[error("this member was a witness: it holds no orders. Recover from the copy of a player")]
    Witness,
    /// The last term was used.
    #[error("the copy is of the last possible term")]
    LastTerm,
}

/// Creates the store of `new`, the only member of a new match with `membership`, from the store of
/// `old`, which must not run. The store of `old` is not changed. Returns the last index that was
/// copied.
///
/// # Errors
/// [`RecoverError`]; the store of `new` may then have been created and is of no use.
pub fn recover(
    old: &NodeConfig,
    new: &NodeConfig,
    creation: Creation,
    membership: &Membership,
) -> Result<Index, RecoverError> {
    // The store exists, so this incarnation is not used.
    let unused = Creation::first(creation.incarnation);
    let (_, copy) = RedbStore::open(&old.store(), &old.mark, old.id, &old.cluster, unused)?;
    let mut payloads = copy.entries.iter().map(|entry| &entry.payload);
    let has_no_state = copy
        .snapshot
        .as_ref()
        .is_some_and(|snapshot| snapshot.data.is_none());
    if has_no_state || payloads.any(|payload| *payload == Payload::Withheld) {
        return Err(RecoverError::Witness);
    }
    let term = copy.hard_state.term;
    if term >= Term::LAST {
        return Err(RecoverError::LastTerm);
    }
    let term = Term(term.0 + 1);
    let last = copy.entries.last();
    let covered = copy.start;
    let (index, stamp) = last.map_or((covered.position.index, covered.stamp), |last| {
        (last.index, last.stamp)
    });
    let membership = with_next_member(membership, &copy);
    let founding = match copy.founding {
        Founding::Agreed(founding) => Founding::Agreed(founding),
        Founding::Pending(_) => Founding::Agreed(membership.clone()),
    };
    let mut entries = copy.entries;
    entries.push(Entry {
        term,
        index: index.next(),
        stamp,
        payload: Payload::Membership(membership),
    });
    let (mut store, _) = RedbStore::open(&new.store(), &new.mark, new.id, &new.cluster, creation)?;
    store.submit(Write {
        number: WriteNumber(1),
        hard_state: Some(HardState { term, vote: None }),
        snapshot: copy.snapshot,
        start: (copy.start != LogStart::default()).then_some(copy.start),
        discard: false,
        incarnation: None,
        // The entries are applied again from the founding on, as in the earlier match.
        founding: Some(founding),
        entries,
    })?;
    Ok(index)
}

/// The membership with which the new match begins: ids of the earlier one are not used again.
fn with_next_member(membership: &Membership, copy: &Restored) -> Membership {
    let mut in_log = copy.entries.iter().rev();
    let in_log = in_log.find_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some(membership),
        _ => None,
    });
    let in_snapshot = copy.snapshot.as_ref().map(|snapshot| &snapshot.membership);
    let founding = match &copy.founding {
        Founding::Agreed(founding) => Some(founding),
        Founding::Pending(_) => None,
    };
    let newest = in_log.or(in_snapshot).or(founding);
    let earlier = newest.and_then(MatchRecord::of);
    let next = earlier.map(|earlier| earlier.next_member);
    let record = MatchRecord::of(membership)
        .zip(next)
        .map(|(record, next)| MatchRecord {
            next_member: record.next_member.max(next),
            ..record
        });
    let annex = record.and_then(|record| record.encode().ok());
    let Some(annex) = annex else {
        return membership.clone();
    };
    let change = Change::Record {
        contacts: Vec::new(),
        annex: Some(annex),
    };
    // A record within its bounds may be changed in every membership.
    membership
        .after(&change)
        .unwrap_or_else(|_| membership.clone())
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Change, Incarnation, NodeId, Standing};

    use super::*;
    use crate::cluster::embedded;

    /// A membership of the first member alone, with a record.
    fn recorded(next_member: u64) -> Membership {
        let record = MatchRecord {
            id: crate::ticket::MatchId([1; 16]),
            name: "test".to_owned(),
            rules: String::new(),
            next_member,
            next_invite: 1,
            code: None,
            invites: Vec::new(),
            spectators: Vec::new(),
            ballots: Vec::new(),
        };
        let annex = Change::Record {
            contacts: Vec::new(),
            annex: Some(record.encode().unwrap()),
        };
        Membership::new([NodeId(1)]).unwrap().after(&annex).unwrap()
    }

    #[test]
    fn ids_of_the_earlier_match_are_not_used_again() {
        let next = |copy: &Restored| {
            let membership = with_next_member(&recorded(2), copy);
            MatchRecord::of(&membership).unwrap().next_member
        };
        let mut copy = Restored {
            founding: Founding::Agreed(recorded(3)),
            ..Restored::default()
        };
        assert_eq!(next(&copy), 3);
        copy.entries.push(Entry {
            term: Term(1),
            index: Index(1),
            stamp: raftian_raft::Stamp(0),
            payload: Payload::Membership(recorded(9)),
        });
        assert_eq!(next(&copy), 9);
        assert_eq!(next(&Restored::default()), 2);
    }

    /// A program that applies the copied entries again must begin as the earlier match did.
    #[test]
    fn copied_entries_keep_the_founding_before_them() {
        let directory = tempfile::tempdir().unwrap();
        let old = embedded(1, "old", &directory.path().join("old")).unwrap();
        let new = embedded(1, "new", &directory.path().join("new")).unwrap();
        let (old, new) = (&old[0].config, &new[0].config);
        let founding = Membership::of([(NodeId(1), Incarnation(5), Standing::Voter)]).unwrap();
        let add = Change::Set(NodeId(2), Incarnation(6), Standing::Learner);
        let joined = founding.after(&add).unwrap();
        let (mut store, _) = RedbStore::open(
            &old.store(),
            &old.mark,
            old.id,
            &old.cluster,
            Creation::first(Incarnation(5)),
        )
        .unwrap();
        store
            .record_founding(&Founding::Agreed(founding.clone()))
            .unwrap();
        let entry = Entry {
            term: Term(1),
            index: Index(1),
            stamp: raftian_raft::Stamp(0),
            payload: Payload::Membership(joined),
        };
        store
            .submit(Write {
                number: WriteNumber(1),
                hard_state: Some(HardState {
                    term: Term(1),
                    vote: None,
                }),
                snapshot: None,
                start: None,
                discard: false,
                incarnation: None,
                founding: None,
                entries: vec![entry.clone()],
            })
            .unwrap();
        drop(store);
        let alone = Membership::of([(NodeId(2), Incarnation(9), Standing::Voter)]).unwrap();
        let creation = Creation::first(Incarnation(9));
        assert_eq!(recover(old, new, creation, &alone), Ok(Index(1)));
        let unused = Creation::first(Incarnation(0));
        let opened = RedbStore::open(&new.store(), &new.mark, new.id, &new.cluster, unused);
        let (_, copy) = opened.unwrap();
        assert_eq!(copy.founding, Founding::Agreed(founding));
        let payloads: Vec<_> = copy
            .entries
            .into_iter()
            .map(|entry| entry.payload)
            .collect();
        assert_eq!(payloads, [entry.payload, Payload::Membership(alone)]);
    }
}
