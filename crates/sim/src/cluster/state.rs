//! The simulated application: a state machine that records every effect and deduplicates commands
//! with the client sessions of section 8.

use raftian_node::wire;
use raftian_raft::{Bytes, ClientId, Command, Entry, Index, Payload, Sessions, Verdict};
use serde::{Deserialize, Serialize};

use super::game::Game;
use crate::splitmix::mix;

/// State of one machine. Its snapshots hold all of it, sessions included: a restore recomputes
/// nothing, so state that a snapshot loses stays lost, as in a real application.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Entries behind the state, from index 1. Only the checks read them.
    pub(super) applied: Vec<Entry>,
    /// Commands that took effect, in log order.
    pub(super) effects: Vec<Command>,
    /// Indexes of `effects`.
    pub(super) effects_at: Vec<Index>,
    /// Commands that must not take effect again.
    pub(super) sessions: Sessions,
    /// Hash of `effects`, extended by [`hash_effect`].
    hash: u64,
    /// The game, which the orders in updates have changed.
    pub(super) game: Option<Game>,
    /// Part of the state that does not derive from the log; 0 unless the state diverged.
    astray: u64,
}

/// A snapshot of [`State`].
#[derive(Serialize, Deserialize)]
struct Saved {
    astray: u64,
    hash: u64,
    game: Option<Game>,
    /// The sessions as [`Sessions::iter`] lists them.
    sessions: Vec<(ClientId, u64, Vec<u64>)>,
    effects_at: Vec<Index>,
    applied: Vec<Entry>,
}

/// Length in bytes of an update without orders.
pub(crate) const UPDATE_BYTES: usize = 12;

/// Applies the orders that an update carries.
pub(super) fn play(game: &mut Option<Game>, entry: &Entry) {
    if let Payload::Command { command, member } = &entry.payload
        && let Some(orders) = command.bytes.get(UPDATE_BYTES..)
        && !orders.is_empty()
    {
        let game = game.get_or_insert_default();
        game.apply(orders, entry, command.client.0, *member);
    }
}

/// Returns the hash of a whole state.
pub(super) fn whole_hash(hash: u64, astray: u64, game: Option<&Game>) -> u64 {
    mix(hash, astray, game.map_or(0, Game::hash))
}

/// Returns the hash of a state after `command` has taken effect in it.
pub(super) fn hash_effect(hash: u64, command: &Command) -> u64 {
    let hash = mix(hash, command.client.0, command.sequence);
    command
        .bytes
        .iter()
        .fold(hash, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte))
}

impl State {
    /// Applies the next committed entry. A command takes effect once, even if it was committed
    /// several times.
    pub(super) fn apply(&mut self, entry: Entry) {
        if let Payload::Command { command, .. } = &entry.payload
            && self.sessions.admit(command.client, command.sequence) == Verdict::Apply
        {
            self.hash = hash_effect(self.hash, command);
            play(&mut self.game, &entry);
            self.effects.push(command.clone());
            self.effects_at.push(entry.index);
        }
        self.applied.push(entry);
    }

    /// Returns the hash of the whole state.
    pub(super) fn whole_hash(&self) -> u64 {
        whole_hash(self.hash, self.astray, self.game.as_ref())
    }

    pub(super) fn diverge(&mut self) {
        self.astray = mix(self.hash, self.astray, 1);
    }

    pub(super) fn is_diverged(&self) -> bool {
        self.astray != 0
    }

    pub(super) fn save(&self) -> Bytes {
        let sessions = self.sessions.iter();
        let saved = Saved {
            astray: self.astray,
            hash: self.hash,
            game: self.game.clone(),
            sessions: sessions
                .map(|(client, floor, ahead)| (client, floor, ahead.collect()))
                .collect(),
            effects_at: self.effects_at.clone(),
            applied: self.applied.clone(),
        };
        wire::encode_state(&saved)
            .expect("a simulated state is small")
            .into()
    }

    /// Decodes a state.
    ///
    /// # Panics
    /// If [`State::save`] cannot have written `bytes`.
    pub(super) fn restore(bytes: &[u8]) -> Self {
        let saved: Saved =
            wire::decode_state(bytes).expect("a snapshot holds a state that was saved");
        let sessions =
            Sessions::restore(saved.sessions).expect("a snapshot holds sessions that were saved");
        let effect = |index: &Index| match &saved.applied[index.0 as usize - 1].payload {
            Payload::Command { command, .. } => command.clone(),
            Payload::Empty | Payload::Membership(_) | Payload::Withheld => {
                panic!("only commands take effect")
            }
        };
        State {
            effects: saved.effects_at.iter().map(effect).collect(),
            effects_at: saved.effects_at,
            applied: saved.applied,
            sessions,
            hash: saved.hash,
            game: saved.game,
            astray: saved.astray,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::{NodeId, Stamp, Term};

    fn entry(index: u64, client: u64, sequence: u64) -> Entry {
        let command = Command {
            client: ClientId(client),
            sequence,
            bytes: vec![client as u8].into(),
        };
        Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(0),
            payload: Payload::Command {
                command,
                member: NodeId(1),
            },
        }
    }

    /// Sections 7 and 8: the sessions are part of the state, so duplicates are detected after a
    /// restore too.
    #[test]
    fn command_repeated_after_a_restore_has_no_second_effect() {
        let mut state = State::default();
        [
            entry(1, 1, 1),
            entry(2, 2, 3),
            entry(3, 1, 1),
            entry(4, 2, 5),
        ]
        .into_iter()
        .for_each(|entry| state.apply(entry));
        let mut restored = State::restore(&state.save());
        assert_eq!(restored.save(), state.save());
        assert_eq!(restored.effects_at, [1, 2, 4].map(Index));
        assert_eq!(
            (restored.whole_hash(), &restored.sessions),
            (state.whole_hash(), &state.sessions)
        );
        [entry(5, 2, 3), entry(6, 1, 1), entry(7, 2, 4)]
            .into_iter()
            .for_each(|entry| restored.apply(entry));
        assert_eq!(restored.effects_at, [1, 2, 4, 7].map(Index));
    }

    #[test]
    fn restored_state_is_still_diverged() {
        let mut state = State::default();
        state.diverge();
        let restored = State::restore(&state.save());
        assert!(restored.is_diverged());
        assert_eq!(restored.whole_hash(), state.whole_hash());
    }
}
