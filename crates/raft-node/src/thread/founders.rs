//! Checks of a store when a node starts: who founded its match, and with which keys.

use std::path::Path;

use raftian_raft::{Founding, NodeId, Restored};

use super::{NodeOptions, StartError};
use crate::contact::Contact;
use crate::match_record::MatchRecord;
use crate::store::RedbStore;

/// Records the founding of a match that players join in a store that does not have it yet.
pub(super) fn record_founding(
    options: &NodeOptions,
    store: &mut RedbStore,
    restored: &mut Restored,
) -> Result<(), StartError> {
    let is_recorded = matches!(restored.founding, Founding::Agreed(_));
    if options.lists_founders || !options.raft.founders_agree || is_recorded {
        return Ok(());
    }
    // A process that was killed before this write left an unused store behind.
    let Some(founding) = &options.founding else {
        let file = options.store.clone();
        return Err(StartError::NoStore { file });
    };
    restored.founding = Founding::Agreed(founding.clone());
    store.record_founding(&restored.founding)?;
    Ok(())
}

/// Refuses a store of a match with other founders than the configuration lists.
pub(super) fn check_founders(options: &NodeOptions, restored: &Restored) -> Result<(), StartError> {
    let recorded: Vec<NodeId> = match &restored.founding {
        Founding::Agreed(founded) => founded.voters().collect(),
        Founding::Pending(record) => record.keys().copied().collect(),
    };
    let listed: Vec<NodeId> = options.raft.membership.voters().collect();
    if !options.lists_founders || recorded.is_empty() || recorded == listed {
        return Ok(());
    }
    Err(StartError::Founders {
        file: options.store.clone(),
        founded: names(&recorded),
        listed: names(&listed),
    })
}

/// Refuses a match that players join if a founder has no key for its commands.
pub(super) fn check_keys(store: &Path, founding: &Founding) -> Result<(), StartError> {
    let Founding::Agreed(founding) = founding else {
        return Ok(());
    };
    let keys = founding.members();
    let mut keys = keys.map(|(id, _)| Contact::of(founding, id).and_then(|contact| contact.key));
    // A record that this build cannot read is one of an earlier build, too.
    let is_match = !founding.annex().is_empty();
    if is_match && (MatchRecord::of(founding).is_none() || keys.any(|key| key.is_none())) {
        let file = store.to_owned();
        return Err(StartError::EarlierBuild { file });
    }
    Ok(())
}

fn names(members: &[NodeId]) -> String {
    let names: Vec<_> = members.iter().map(NodeId::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Change, Membership};

    use super::*;
    use crate::cluster::Fingerprint;
    use crate::signing::CommandKey;
    use crate::ticket::MatchId;

    /// The founding of a match by one player with this key.
    fn founding(key: Option<CommandKey>, is_joined: bool) -> Founding {
        let contact = Contact {
            name: "Ada".to_owned(),
            fingerprint: Fingerprint::of(b"Ada"),
            addresses: Vec::new(),
            key,
        };
        let record = MatchRecord {
            id: MatchId([1; 16]),
            name: "test".to_owned(),
            rules: String::new(),
            next_member: 2,
            next_invite: 1,
            code: None,
            invites: Vec::new(),
            spectators: Vec::new(),
            ballots: Vec::new(),
        };
        let recorded = Change::Record {
            contacts: vec![(NodeId(1), contact.encode().unwrap())],
            annex: is_joined.then(|| record.encode().unwrap()),
        };
        let alone = Membership::new([NodeId(1)]).unwrap();
        Founding::Agreed(alone.after(&recorded).unwrap())
    }

    #[test]
    fn match_without_keys_is_refused() {
        let store = Path::new("raft.redb");
        let key = Some(CommandKey([1; 32]));
        let refused = check_keys(store, &founding(None, true));
        assert!(matches!(refused, Err(StartError::EarlierBuild { .. })));
        assert!(check_keys(store, &founding(key, true)).is_ok());
        assert!(
            check_keys(store, &founding(None, false)).is_ok(),
            "from files"
        );
        assert!(check_keys(store, &Founding::default()).is_ok());
    }
}
