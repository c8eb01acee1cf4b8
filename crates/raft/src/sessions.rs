//! Exactly once: which commands of which client have been applied (section 8, and thesis 6.3).

use alloc::collections::{BTreeMap, BTreeSet};

use crate::types::ClientId;

/// The replicated memory of applied commands. Every node that applies the same entries holds the same sessions, so
/// every node drops the same repeats.
///
/// A client may have several commands under way, and they may reach the log out of order; so a session is a floor below
/// which all sequences were applied, and the set of those above it. The set is bounded by [`Sessions::MAX_AHEAD`]: a
/// command further ahead of the floor is refused by every node alike, and its client must first bring in the ones it
/// left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sessions {
    clients: BTreeMap<ClientId, Session>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Session {
    /// Every sequence up to here was applied.
    floor: u64,
    /// Applied sequences above the floor.
    ahead: BTreeSet<u64>,
}

/// What sessions say of one committed command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was never applied: apply it now.
    Apply,
    /// It was applied before.
    Repeat,
    /// It is further ahead of its client's other commands than can be remembered.
    TooFarAhead,
}

impl Sessions {
    /// How many commands a client may have applied beyond its oldest missing one.
    pub const MAX_AHEAD: u64 = 1024;

    /// Records the command `(client, sequence)` and says whether it is to be applied.
    pub fn admit(&mut self, client: ClientId, sequence: u64) -> Verdict {
        let session = self.clients.entry(client).or_default();
        if sequence <= session.floor || session.ahead.contains(&sequence) {
            return Verdict::Repeat;
        }
        if sequence - session.floor > Self::MAX_AHEAD {
            return Verdict::TooFarAhead;
        }
        session.ahead.insert(sequence);
        while session.ahead.remove(&(session.floor + 1)) {
            session.floor += 1;
        }
        Verdict::Apply
    }

    /// Every client with its floor and the sequences above it, in order: the canonical form for hashing.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, u64, impl Iterator<Item = u64> + '_)> + '_ {
        self.clients.iter().map(|(client, session)| (*client, session.floor, session.ahead.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_command_too_far_ahead_is_refused_and_may_come_again_later() {
        let mut sessions = Sessions::default();
        let far = Sessions::MAX_AHEAD + 1;
        assert_eq!(sessions.admit(ClientId(1), far), Verdict::TooFarAhead);
        assert_eq!(sessions.admit(ClientId(1), 1), Verdict::Apply);
        assert_eq!(sessions.admit(ClientId(1), far), Verdict::Apply);
    }

    proptest! {
        /// Naive model: a set of everything applied.
        #[test]
        fn each_command_is_applied_once_in_whatever_order_and_however_often(order in prop::collection::vec((0u64..3, 1u64..40), 0..200)) {
            let mut sessions = Sessions::default();
            let mut applied = BTreeSet::new();
            for (client, sequence) in order {
                let first = applied.insert((client, sequence));
                let verdict = sessions.admit(ClientId(client), sequence);
                prop_assert_eq!(verdict, if first { Verdict::Apply } else { Verdict::Repeat });
            }
            for (client, floor, ahead) in sessions.iter() {
                let ahead: Vec<_> = ahead.collect();
                prop_assert!(!ahead.contains(&(floor + 1)));
                prop_assert_eq!(floor as usize + ahead.len(), applied.iter().filter(|(c, _)| *c == client.0).count());
            }
        }
    }
}
