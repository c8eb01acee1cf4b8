//! Sessions of players: which commands were applied.

use std::collections::BTreeMap;

use raftian_node::signing::CommandKey;
use raftian_raft::{ClientId, Sessions, Verdict};
use serde::{Deserialize, Serialize};

/// Maximum number of clients of one player that are remembered: runs of its program, and of tools.
pub const MAX_PLAYER_CLIENTS: usize = 64;

/// Replicated record of applied commands, apart for the key of each player: no player can use up
/// the sequence numbers of another player's client, or have its sessions evicted. Commands without
/// a signature share one record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlayerSessions(BTreeMap<Option<CommandKey>, Sessions>);

/// Form of the sessions in snapshots.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedSessions(Vec<(Option<CommandKey>, Vec<(ClientId, u64, Vec<u64>)>)>);

impl PlayerSessions {
    /// Records the command `(client, sequence)` of the player with this key, and returns whether it
    /// must be applied.
    pub fn admit(&mut self, key: Option<CommandKey>, client: ClientId, sequence: u64) -> Verdict {
        let sessions = self
            .0
            .entry(key)
            .or_insert_with(|| Sessions::bounded(bound(key)));
        sessions.admit(client, sequence)
    }

    /// Forgets players without a key that `is_known`: their commands are not accepted any more.
    pub(crate) fn retain(&mut self, is_known: impl Fn(CommandKey) -> bool) {
        self.0.retain(|key, _| key.is_none_or(&is_known));
    }

    /// Every session as key, client, floor, and applied sequences above it: for hashing.
    pub fn iter(&self) -> impl Iterator<Item = (Option<CommandKey>, ClientId, u64, Vec<u64>)> + '_ {
        self.0.iter().flat_map(|(key, sessions)| {
            let sessions = sessions.iter();
            sessions.map(|(client, floor, ahead)| (*key, client, floor, ahead.collect()))
        })
    }

    /// Calls `number` with every session as numbers, in a fixed order: for hashing.
    pub fn each_number(&self, mut number: impl FnMut(u64)) {
        for (key, client, floor, ahead) in self.iter() {
            let key = key.map_or([0; 32], |key| key.0);
            for bytes in key.as_chunks().0 {
                number(u64::from_be_bytes(*bytes));
            }
            // The length keeps the encoding unambiguous.
            let numbers = [client.0, floor, ahead.len() as u64];
            numbers.into_iter().chain(ahead).for_each(&mut number);
        }
    }

    pub(crate) fn save(&self) -> SavedSessions {
        let players = self.0.iter();
        SavedSessions(players.map(|(key, one)| (*key, save(one))).collect())
    }

    /// Restores the sessions from their form in snapshots.
    ///
    /// # Errors
    /// The defect, if no sessions have that form.
    pub(crate) fn restore(saved: SavedSessions) -> Result<Self, &'static str> {
        let mut restored = BTreeMap::new();
        for (key, sessions) in saved.0 {
            let sessions = Sessions::restore_bounded(bound(key), sessions)?;
            if restored.insert(key, sessions).is_some() {
                return Err("a player has two records of sessions");
            }
        }
        Ok(PlayerSessions(restored))
    }
}

fn save(sessions: &Sessions) -> Vec<(ClientId, u64, Vec<u64>)> {
    let sessions = sessions.iter();
    let saved = sessions.map(|(client, floor, ahead)| (client, floor, ahead.collect()));
    saved.collect()
}

fn bound(key: Option<CommandKey>) -> usize {
    match key {
        Some(_) => MAX_PLAYER_CLIENTS,
        None => Sessions::MAX_CLIENTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Option<CommandKey> = Some(CommandKey([1; 32]));
    const BO: Option<CommandKey> = Some(CommandKey([2; 32]));

    fn numbers(sessions: &PlayerSessions) -> Vec<u64> {
        let mut numbers = Vec::new();
        sessions.each_number(|number| numbers.push(number));
        numbers
    }

    #[test]
    fn player_evicts_no_session_of_another() {
        let mut sessions = PlayerSessions::default();
        assert_eq!(sessions.admit(ADA, ClientId(1), 1), Verdict::Apply);
        for client in 0..10 * Sessions::MAX_CLIENTS as u64 {
            sessions.admit(BO, ClientId(client), 1);
        }
        assert_eq!(sessions.admit(ADA, ClientId(1), 1), Verdict::Repeat);
        assert_eq!(
            sessions.admit(BO, ClientId(1), 1),
            Verdict::Apply,
            "evicted"
        );
        let of_bo = sessions.iter().filter(|(key, ..)| *key == BO);
        assert_eq!(of_bo.count(), MAX_PLAYER_CLIENTS);
        sessions.retain(|key| Some(key) == ADA);
        assert!(sessions.iter().all(|(key, ..)| key == ADA));
    }

    #[test]
    fn sessions_are_restored_and_hashed_by_content() {
        let mut sessions = PlayerSessions::default();
        for (key, client, sequence) in [(None, 1, 1), (ADA, 1, 3), (ADA, 2, 1), (BO, 1, 2)] {
            sessions.admit(key, ClientId(client), sequence);
        }
        let restored = PlayerSessions::restore(sessions.save()).unwrap();
        assert_eq!(restored, sessions);
        assert_eq!(numbers(&restored), numbers(&sessions));
        let mut other = restored;
        other.admit(BO, ClientId(1), 1);
        assert_ne!(numbers(&other), numbers(&sessions));
        let twice = SavedSessions(vec![(ADA, Vec::new()), (ADA, Vec::new())]);
        assert!(PlayerSessions::restore(twice).is_err());
    }
}
