//! Client sessions: exactly-once bookkeeping of applied commands (section 8, and thesis 6.3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::types::ClientId;

/// Replicated record of applied commands. Nodes that apply the same entries hold the same sessions,
/// so all nodes drop the same repeats.
///
/// A client may have several commands in flight, and they may reach the log out of order; so a
/// session is a floor up to which all sequences count as applied, and the set of those applied
/// above it. The set is bounded: the floor follows the highest sequence at a distance of
/// [`Sessions::MAX_AHEAD`]. A client loses no command if it never proposes that far beyond its
/// oldest unanswered one.
///
/// The number of sessions is bounded, by default to [`Sessions::MAX_CLIENTS`].
/// Beyond them the least recently used one is
/// evicted, by every node at the same entry. An evicted client may continue where it was; but a
/// late copy of a command it had proposed before would be applied again. So a client must stop
/// retrying before `MAX_CLIENTS` newer clients have appeared.
#[derive(Clone, Debug)]
pub struct Sessions {
    bound: usize,
    clients: BTreeMap<ClientId, Session>,
    /// Clients by last use, the least recently used first.
    order: BTreeMap<u64, ClientId>,
    /// Number of uses so far.
    uses: u64,
}

#[derive(Clone, Debug, Default)]
struct Session {
    /// Every sequence up to here counts as applied.
    floor: u64,
    /// Applied sequences above the floor.
    ahead: BTreeSet<u64>,
    /// Its last use.
    used: u64,
}

/// Verdict on one committed command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not applied yet: the command must be applied now.
    Apply,
    /// Applied before: the command must be dropped.
    Repeat,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions::bounded(Self::MAX_CLIENTS)
    }
}

impl Sessions {
    /// Creates an empty record of at most `bound` clients.
    pub fn bounded(bound: usize) -> Self {
        Sessions {
            bound,
            clients: BTreeMap::new(),
            order: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Maximum distance of a proposal from the oldest unanswered command of its client.
    pub const MAX_AHEAD: u64 = 1024;

    /// Maximum number of clients remembered. A player draws a new client for each run of the
    /// program, so this counts runs.
    pub const MAX_CLIENTS: usize = 4096;

    /// Records the command `(client, sequence)` and returns whether it must be applied.
    pub fn admit(&mut self, client: ClientId, sequence: u64) -> Verdict {
        let Some(session) = self.clients.get_mut(&client) else {
            let mut session = Session::default();
            let verdict = session.admit(sequence);
            self.remember(client, session);
            return verdict;
        };
        let verdict = session.admit(sequence);
        // The most recently used client is in its place already.
        if session.used != self.uses {
            self.order.remove(&session.used);
            self.uses += 1;
            session.used = self.uses;
            self.order.insert(self.uses, client);
        }
        verdict
    }

    /// Adds a client as the most recently used. Beyond the bound the least recently used one is
    /// evicted.
    fn remember(&mut self, client: ClientId, session: Session) {
        self.uses += 1;
        self.clients.insert(
            client,
            Session {
                used: self.uses,
                ..session
            },
        );
        self.order.insert(self.uses, client);
        if self.clients.len() > self.bound
            && let Some((_, forgotten)) = self.order.pop_first()
        {
            self.clients.remove(&forgotten);
        }
    }

    /// Every client with its floor and the sequences above it, the least recently used first: the
    /// canonical form, for hashing and for snapshots.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (ClientId, u64, impl Iterator<Item = u64> + '_)> + '_ {
        self.order.values().filter_map(|client| {
            let session = self.clients.get(client)?;
            Some((*client, session.floor, session.ahead.iter().copied()))
        })
    }

    /// Restores the sessions from the form that [`Sessions::iter`] yields.
    ///
    /// # Errors
    /// The defect, if no sessions could have yielded that form.
    pub fn restore(
        sessions: impl IntoIterator<Item = (ClientId, u64, Vec<u64>)>,
    ) -> Result<Self, &'static str> {
        Self::restore_bounded(Self::MAX_CLIENTS, sessions)
    }

    /// Restores sessions of at most `bound` clients.
    ///
    /// # Errors
    /// Those of [`Sessions::restore`].
    pub fn restore_bounded(
        bound: usize,
        sessions: impl IntoIterator<Item = (ClientId, u64, Vec<u64>)>,
    ) -> Result<Self, &'static str> {
        let mut restored = Sessions::bounded(bound);
        for (client, floor, ahead) in sessions {
            let ascending = ahead.is_sorted_by(|one, next| one < next);
            // A sequence right above the floor would have raised it.
            if !ascending
                || ahead
                    .first()
                    .is_some_and(|lowest| *lowest <= floor.saturating_add(1))
            {
                return Err("the sequences of a session are not in order");
            }
            // No underflow: the order was checked, so the highest sequence is above the floor.
            if ahead
                .last()
                .is_some_and(|highest| highest - floor > Self::MAX_AHEAD)
            {
                return Err("a session holds a sequence more than MAX_AHEAD above its floor");
            }
            if restored.clients.contains_key(&client) {
                return Err("a client has two sessions");
            }
            if restored.clients.len() >= bound {
                return Err("there are more sessions than the bound");
            }
            restored.remember(
                client,
                Session {
                    floor,
                    ahead: ahead.into_iter().collect(),
                    used: 0,
                },
            );
        }
        Ok(restored)
    }
}

impl Session {
    fn admit(&mut self, sequence: u64) -> Verdict {
        if sequence <= self.floor || self.ahead.contains(&sequence) {
            return Verdict::Repeat;
        }
        if sequence - self.floor > Sessions::MAX_AHEAD {
            // Sequences below the new floor count as applied, even those that never arrived.
            self.floor = sequence - Sessions::MAX_AHEAD;
            self.ahead = self.ahead.split_off(&self.floor.saturating_add(1));
        }
        self.ahead.insert(sequence);
        // Keeps the form canonical: equal sessions must have equal hashes and snapshots.
        while self.ahead.remove(&self.floor.saturating_add(1)) {
            self.floor += 1;
        }
        Verdict::Apply
    }
}

/// Equal if they give the same verdict on every command from now on; how often they were used
/// before does not count.
impl PartialEq for Sessions {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |((one, floor, ahead), (other, other_floor, other_ahead)): ((_, _, _), (_, _, _))| {
                one == other && floor == other_floor && Iterator::eq(ahead, other_ahead)
            };
        self.clients.len() == other.clients.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl Eq for Sessions {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sessions_with_the_same_verdicts_are_equal() {
        let of = |commands: &[(u64, u64)]| {
            let mut sessions = Sessions::default();
            for (client, sequence) in commands {
                sessions.admit(ClientId(*client), *sequence);
            }
            sessions
        };
        assert_eq!(
            of(&[(1, 1), (1, 2), (2, 5)]),
            of(&[(1, 2), (1, 1), (1, 1), (2, 5)])
        );
        for other in [
            &[][..],
            &[(1, 1)],
            &[(1, 1), (1, 2)],
            &[(1, 1), (2, 5)],
            &[(1, 2), (1, 1), (2, 6)],
        ] {
            assert_ne!(of(&[(1, 1), (1, 2), (2, 5)]), of(other), "{other:?}");
        }
        assert_ne!(of(&[(1, 1), (2, 5)]), of(&[(3, 1), (2, 5)]));
        assert_ne!(
            of(&[(1, 1), (2, 5)]),
            of(&[(2, 5), (1, 1)]),
            "the least recently used client differs"
        );
    }

    #[test]
    fn session_remembers_exactly_max_ahead_sequences() {
        let far = |ahead: u64| Sessions::restore([(ClientId(1), 10, alloc::vec![10 + ahead])]);
        assert!(far(Sessions::MAX_AHEAD).is_ok());
        assert_eq!(
            far(Sessions::MAX_AHEAD + 1),
            Err("a session holds a sequence more than MAX_AHEAD above its floor")
        );
        let mut sessions = far(Sessions::MAX_AHEAD - 1).unwrap();
        assert_eq!(
            sessions.admit(ClientId(1), 10 + Sessions::MAX_AHEAD),
            Verdict::Apply
        );
        assert_eq!(
            sessions.admit(ClientId(1), 11),
            Verdict::Apply,
            "the floor has not moved"
        );
        let mut sessions = far(Sessions::MAX_AHEAD - 1).unwrap();
        assert_eq!(
            sessions.admit(ClientId(1), 11 + Sessions::MAX_AHEAD),
            Verdict::Apply
        );
        assert_eq!(
            sessions.admit(ClientId(1), 11),
            Verdict::Repeat,
            "the floor has passed it"
        );
    }

    #[test]
    fn sequence_skipped_far_behind_counts_as_applied() {
        let mut sessions = Sessions::default();
        let client = ClientId(1);
        let newest = Sessions::MAX_AHEAD + 5;
        assert_eq!(sessions.admit(client, 1), Verdict::Apply);
        assert_eq!(sessions.admit(client, 3), Verdict::Apply);
        assert_eq!(sessions.admit(client, newest), Verdict::Apply);
        assert_eq!(
            [2, 5].map(|left_out| sessions.admit(client, left_out)),
            [Verdict::Repeat; 2]
        );
        assert_eq!(
            [6, newest - 1].map(|recent| sessions.admit(client, recent)),
            [Verdict::Apply; 2]
        );
        assert_eq!(
            sessions
                .iter()
                .next()
                .map(|(_, floor, ahead)| (floor, ahead.count())),
            Some((6, 2))
        );
    }

    fn full() -> Sessions {
        let mut sessions = Sessions::default();
        for client in 0..Sessions::MAX_CLIENTS as u64 {
            assert_eq!(sessions.admit(ClientId(client), 1), Verdict::Apply);
        }
        sessions
    }

    #[test]
    fn least_recently_used_client_is_evicted_first() {
        let mut sessions = full();
        assert_eq!(
            sessions.admit(ClientId(0), 1),
            Verdict::Repeat,
            "a repeat is a use"
        );
        assert_eq!(sessions.admit(ClientId(9_000), 1), Verdict::Apply);
        assert_eq!(sessions.clients.len(), Sessions::MAX_CLIENTS);
        let known: Vec<_> = sessions.iter().map(|(client, ..)| client.0).collect();
        assert_eq!(
            (known[0], known[known.len() - 2], known[known.len() - 1]),
            (2, 0, 9_000)
        );
        assert_eq!(sessions.order.len(), sessions.clients.len());
    }

    #[test]
    fn evicted_client_continues_where_it_was() {
        let mut sessions = full();
        for sequence in 5_000..7_000 {
            assert_eq!(sessions.admit(ClientId(9_000), sequence), Verdict::Apply);
        }
        assert_eq!(sessions.admit(ClientId(9_000), 5_000), Verdict::Repeat);
    }

    /// A hostile proposer may use any number.
    #[test]
    fn largest_sequences_do_no_harm() {
        let mut sessions = full();
        for sequence in u64::MAX - Sessions::MAX_AHEAD..=u64::MAX {
            sessions.admit(ClientId(9_000), sequence);
        }
        assert_eq!(sessions.admit(ClientId(9_000), u64::MAX), Verdict::Repeat);
        let form = sessions
            .iter()
            .map(|(client, floor, ahead)| (client, floor, ahead.collect()));
        assert_eq!(Sessions::restore(form), Ok(sessions.clone()));
    }

    #[test]
    fn impossible_sessions_are_not_restored() {
        let restore = |given: &[(u64, u64, &[u64])]| {
            Sessions::restore(
                given
                    .iter()
                    .map(|(client, floor, ahead)| (ClientId(*client), *floor, ahead.to_vec())),
            )
        };
        assert!(restore(&[(1, 5, &[7, 9]), (2, u64::MAX, &[])]).is_ok());
        for wrong in [
            &[(1, 5, &[6][..])][..],
            &[(1, 5, &[3])],
            &[(1, 5, &[9, 7])],
            &[(1, 5, &[7, 7])],
            &[(1, 5, &[5 + Sessions::MAX_AHEAD + 1])],
            &[(1, u64::MAX, &[u64::MAX])],
            &[(1, 5, &[]), (1, 6, &[])],
        ] {
            assert!(restore(wrong).is_err(), "{wrong:?}");
        }
        let many =
            (0..=Sessions::MAX_CLIENTS as u64).map(|client| (ClientId(client), 1, Vec::new()));
        assert!(Sessions::restore(many).is_err());
    }

    proptest! {
        /// Restored sessions give the same verdict on every later command.
        #[test]
        fn restored_sessions_equal_the_original(
            before in prop::collection::vec((0u64..5, 1u64..40), 0..100),
            after in prop::collection::vec((0u64..5, 1u64..40), 0..50),
        ) {
            let mut given = Sessions::default();
            for (client, sequence) in before {
                given.admit(ClientId(client), sequence);
            }
            let form = given.iter().map(|(client, floor, ahead)| (client, floor, ahead.collect()));
            let mut restored = Sessions::restore(form).unwrap();
            prop_assert_eq!(&restored, &given);
            for (client, sequence) in after {
                let client = ClientId(client);
                prop_assert_eq!(restored.admit(client, sequence), given.admit(client, sequence));
            }
            prop_assert_eq!(restored, given);
        }

        /// Naive model: a set of everything applied.
        #[test]
        fn each_command_is_applied_once_in_any_order(
            order in prop::collection::vec((0u64..3, 1u64..40), 0..200),
        ) {
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
