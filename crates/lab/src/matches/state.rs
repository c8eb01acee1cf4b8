//! State machine of a match: the orders that took effect, as one number.

use raftian_raft::{Bytes, ClientId, Entry, Index, Payload, Sessions, Verdict};

use raftian_sim::splitmix::mixed;

use super::Plant;

/// State that a machine has built from the log.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Number of effects.
    pub(super) count: u64,
    /// Hash of all effects, in order.
    pub(super) hash: u64,
    /// Last applied index.
    pub(super) index: Index,
    pub(super) sessions: Sessions,
}

/// Result of one entry.
pub(super) enum Applied {
    /// No order.
    Nothing,
    /// An order took effect.
    Effect(ClientId, u64),
    /// An order that had already taken effect.
    Repeat(ClientId, u64),
}

impl State {
    /// Applies the next entry, with a planted bug if one is set.
    pub(super) fn apply(&mut self, entry: &Entry, plant: Option<Plant>) -> Applied {
        self.index = entry.index;
        let Payload::Command { command, .. } = &entry.payload else {
            return Applied::Nothing;
        };
        let client = command.client;
        let sequence = command.sequence;
        let verdict = self.sessions.admit(client, sequence);
        if verdict == Verdict::Repeat && plant != Some(Plant::Doubled) {
            return Applied::Repeat(client, sequence);
        }
        self.count += 1;
        // The previous hash is an input, so the order of effects matters.
        self.hash = mixed(self.hash ^ mixed(client.0) ^ sequence.rotate_left(32));
        Applied::Effect(client, sequence)
    }

    /// Serializes the state in canonical form: little-endian 64-bit words.
    pub(super) fn save(&self) -> Bytes {
        self.words()
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect::<Vec<u8>>()
            .into()
    }

    /// Restores a saved state. Panics on anything else: only [`State::save`] makes the snapshots of
    /// a match.
    pub(super) fn restore(bytes: &[u8]) -> Self {
        let words: Vec<u64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        State::of_words(&words).expect("a snapshot of a match holds a state")
    }

    /// Complete state as words.
    pub(super) fn words(&self) -> Vec<u64> {
        let mut words = vec![self.count, self.hash, self.index.0];
        for (client, floor, ahead) in self.sessions.iter() {
            let ahead: Vec<_> = ahead.collect();
            words.extend([client.0, floor, ahead.len() as u64]);
            words.extend(ahead);
        }
        words
    }

    /// Parses a state from words; `None` if they are malformed.
    pub(super) fn of_words(words: &[u64]) -> Option<Self> {
        let [count, hash, index, remaining @ ..] = words else {
            return None;
        };
        let mut remaining = remaining;
        let mut sessions = Vec::new();
        while let [client, floor, ahead, rest @ ..] = remaining {
            let (ahead, rest) = rest.split_at_checked(usize::try_from(*ahead).ok()?)?;
            sessions.push((ClientId(*client), *floor, ahead.to_vec()));
            remaining = rest;
        }
        let sessions = Sessions::restore(sessions)
            .ok()
            .filter(|_| remaining.is_empty())?;
        Some(State {
            count: *count,
            hash: *hash,
            index: Index(*index),
            sessions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::{Command, NodeId, Stamp, Term};

    #[test]
    fn state_survives_save_and_restore() {
        let mut state = State::default();
        for (index, client, sequence) in [(1, 1, 1), (2, 2, 3), (3, 2, 5), (4, 1, 1)] {
            let command = Command {
                client: ClientId(client),
                sequence,
                bytes: Vec::new().into(),
            };
            let entry = Entry {
                term: Term(1),
                index: Index(index),
                stamp: Stamp(0),
                payload: Payload::Command {
                    command,
                    member: NodeId(1),
                },
            };
            state.apply(&entry, None);
        }
        let restored = State::restore(&state.save());
        assert_eq!(
            (restored.count, restored.hash, restored.index),
            (3, state.hash, Index(4))
        );
        assert_eq!(restored.sessions, state.sessions);
        let words = state.words();
        assert!(
            (0..words.len())
                .all(|len| [3, 6, 8].contains(&len) || State::of_words(&words[..len]).is_none())
        );
    }
}
