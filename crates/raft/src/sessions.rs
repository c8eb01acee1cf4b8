//! Exactly once: which commands of which client have been applied (section 8, and thesis 6.3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::types::ClientId;

/// The replicated memory of applied commands. Every node that applies the same entries holds the
/// same sessions, so every node drops the same repeats.
///
/// A client may have several commands under way, and they may reach the log out of order; so a
/// session is a floor below which all sequences count as applied, and the set of those applied
/// above it. The set is bounded: the floor follows the highest sequence at a distance of
/// [`Sessions::MAX_AHEAD`]. A client that never proposes a command so far beyond the oldest one it
/// still waits for loses none by that.
///
/// There are at most [`Sessions::MAX_CLIENTS`] sessions. Beyond them the client that was silent for
/// longest is forgotten, by every node at the same entry. When it comes again it goes on where it
/// was; but of a command that it had proposed before, a copy that arrives only now would be applied
/// once more. So nobody may still be asking when that many others came after it.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    clients: BTreeMap<ClientId, Session>,
    /// The clients by their last use, the one that was silent for longest first.
    order: BTreeMap<u64, ClientId>,
    /// Counts uses.
    uses: u64,
}

#[derive(Clone, Debug, Default)]
struct Session {
    /// Every sequence up to here was applied.
    floor: u64,
    /// Applied sequences above the floor.
    ahead: BTreeSet<u64>,
    /// Its last use.
    used: u64,
}

/// What sessions say of one committed command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was never applied: apply it now.
    Apply,
    /// It was applied before.
    Repeat,
}

impl Sessions {
    /// How far a client may propose beyond the oldest command that it still waits for.
    pub const MAX_AHEAD: u64 = 1024;

    /// How many clients are remembered. A player draws a new client for each run of the program, so
    /// it is that many runs.
    pub const MAX_CLIENTS: usize = 4096;

    /// Records the command `(client, sequence)` and says whether it is to be applied.
    pub fn admit(&mut self, client: ClientId, sequence: u64) -> Verdict {
        let Some(session) = self.clients.get_mut(&client) else {
            let mut session = Session::default();
            let verdict = session.admit(sequence);
            self.remember(client, session);
            return verdict;
        };
        let verdict = session.admit(sequence);
        if session.used != self.uses {
            self.order.remove(&session.used);
            self.uses += 1;
            session.used = self.uses;
            self.order.insert(self.uses, client);
        }
        verdict
    }

    /// Adds a client as the one used last. Beyond the bound the one that was silent for longest
    /// goes.
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
        if self.clients.len() > Self::MAX_CLIENTS
            && let Some((_, forgotten)) = self.order.pop_first()
        {
            self.clients.remove(&forgotten);
        }
    }

    /// Every client with its floor and the sequences above it, the one that was silent for longest
    /// first: the canonical form, for hashing and for snapshots.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (ClientId, u64, impl Iterator<Item = u64> + '_)> + '_ {
        self.order.values().filter_map(|client| {
            let session = self.clients.get(client)?;
            Some((*client, session.floor, session.ahead.iter().copied()))
        })
    }

    /// The sessions that [`Sessions::iter`] told.
    ///
    /// # Errors
    /// What is wrong, if no sessions could have told that.
    pub fn restore(
        told: impl IntoIterator<Item = (ClientId, u64, Vec<u64>)>,
    ) -> Result<Self, &'static str> {
        let mut sessions = Sessions::default();
        for (client, floor, ahead) in told {
            let ascending = ahead.is_sorted_by(|one, next| one < next);
            // The one right above the floor would have raised it.
            if !ascending
                || ahead
                    .first()
                    .is_some_and(|lowest| *lowest <= floor.saturating_add(1))
            {
                return Err("the sequences of a session are not in order");
            }
            if ahead
                .last()
                .is_some_and(|highest| highest - floor > Self::MAX_AHEAD)
            {
                return Err("a session remembers further ahead than it may");
            }
            if sessions.clients.contains_key(&client) {
                return Err("a client has two sessions");
            }
            if sessions.clients.len() >= Self::MAX_CLIENTS {
                return Err("there are more sessions than are remembered");
            }
            sessions.remember(
                client,
                Session {
                    floor,
                    ahead: ahead.into_iter().collect(),
                    used: 0,
                },
            );
        }
        Ok(sessions)
    }
}

impl Session {
    fn admit(&mut self, sequence: u64) -> Verdict {
        if sequence <= self.floor || self.ahead.contains(&sequence) {
            return Verdict::Repeat;
        }
        if sequence - self.floor > Sessions::MAX_AHEAD {
            self.floor = sequence - Sessions::MAX_AHEAD;
            self.ahead = self.ahead.split_off(&self.floor.saturating_add(1));
        }
        self.ahead.insert(sequence);
        while self.ahead.remove(&self.floor.saturating_add(1)) {
            self.floor += 1;
        }
        Verdict::Apply
    }
}

/// Equal if they say the same of every command from now on; how often they were used before does
/// not count.
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
    fn sessions_are_equal_if_they_say_the_same_of_every_command() {
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
            "who was silent for longest is another"
        );
    }

    #[test]
    fn a_session_remembers_exactly_as_far_ahead_as_it_says() {
        let far = |ahead: u64| Sessions::restore([(ClientId(1), 10, alloc::vec![10 + ahead])]);
        assert!(far(Sessions::MAX_AHEAD).is_ok());
        assert_eq!(
            far(Sessions::MAX_AHEAD + 1),
            Err("a session remembers further ahead than it may")
        );
        let mut sessions = far(Sessions::MAX_AHEAD - 1).unwrap();
        assert_eq!(
            sessions.admit(ClientId(1), 10 + Sessions::MAX_AHEAD),
            Verdict::Apply
        );
        assert_eq!(
            sessions.admit(ClientId(1), 11),
            Verdict::Apply,
            "nothing was left out yet"
        );
        let mut sessions = far(Sessions::MAX_AHEAD - 1).unwrap();
        assert_eq!(
            sessions.admit(ClientId(1), 11 + Sessions::MAX_AHEAD),
            Verdict::Apply
        );
        assert_eq!(
            sessions.admit(ClientId(1), 11),
            Verdict::Repeat,
            "it was left out far behind"
        );
    }

    #[test]
    fn what_was_left_out_far_behind_counts_as_applied() {
        let mut sessions = Sessions::default();
        let (client, newest) = (ClientId(1), Sessions::MAX_AHEAD + 5);
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
    fn the_client_that_was_silent_for_longest_is_forgotten_first() {
        let mut sessions = full();
        assert_eq!(
            sessions.admit(ClientId(0), 1),
            Verdict::Repeat,
            "asking again is not silence"
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
    fn a_client_that_was_forgotten_goes_on_where_it_was() {
        let mut sessions = full();
        for sequence in 5_000..7_000 {
            assert_eq!(sessions.admit(ClientId(9_000), sequence), Verdict::Apply);
        }
        assert_eq!(sessions.admit(ClientId(9_000), 5_000), Verdict::Repeat);
    }

    /// A hostile proposer may use any number.
    #[test]
    fn the_last_sequences_there_are_do_no_harm() {
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
    fn what_no_sessions_could_have_told_is_refused() {
        let restore = |told: &[(u64, u64, &[u64])]| {
            Sessions::restore(
                told.iter()
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
        /// What is told and restored says the same of whatever comes.
        #[test]
        fn restored_sessions_are_the_ones_that_were_told(
            before in prop::collection::vec((0u64..5, 1u64..40), 0..100),
            after in prop::collection::vec((0u64..5, 1u64..40), 0..50),
        ) {
            let mut told = Sessions::default();
            for (client, sequence) in before {
                told.admit(ClientId(client), sequence);
            }
            let form = told.iter().map(|(client, floor, ahead)| (client, floor, ahead.collect()));
            let mut restored = Sessions::restore(form).unwrap();
            prop_assert_eq!(&restored, &told);
            for (client, sequence) in after {
                let client = ClientId(client);
                prop_assert_eq!(restored.admit(client, sequence), told.admit(client, sequence));
            }
            prop_assert_eq!(restored, told);
        }

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
