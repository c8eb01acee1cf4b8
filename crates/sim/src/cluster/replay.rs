//! Replay of the committed log: computes the state that each application must have, independently
//! of the applications.

use std::collections::BTreeSet;

use raftian_raft::{ClientId, Command, Entry, Index, NodeId, Payload, Sessions};

use super::Simulation;
use super::game::Game;
use super::host::Host;
use super::state::{hash_effect, play, whole_hash};
use crate::invariants::Violation;

const PROPERTY: &str = "states follow from the log";

/// Every committed entry, copied from the log of the node that committed it first: the logs are
/// compacted, and the applications' own records are under test.
#[derive(Debug, Default)]
pub(super) struct CommittedLog {
    entries: Vec<Entry>,
}

/// State after a prefix of the committed log.
struct Expected {
    effects: Vec<Command>,
    effects_at: Vec<Index>,
    sessions: Sessions,
    hash: u64,
    game: Option<Game>,
}

impl CommittedLog {
    /// Adds the entries that `host` commits first.
    pub(super) fn extend(&mut self, host: &Host) {
        let Some(node) = host.node() else { return };
        let next = Index(self.entries.len() as u64 + 1);
        if node.commit() < next || node.log_start().position.index >= next {
            return;
        }
        let count = (node.commit().0 + 1 - next.0) as usize;
        self.entries
            .extend_from_slice(&node.entries_from(next)[..count]);
    }

    /// Replays the first `count` entries. Duplicates are detected with a plain set of all applied
    /// commands, not with the sessions; both agree as long as no client exceeds the sessions'
    /// bounds.
    fn replay(&self, count: usize) -> Expected {
        let mut expected = Expected {
            effects: Vec::new(),
            effects_at: Vec::new(),
            sessions: Sessions::default(),
            hash: 0,
            game: None,
        };
        let mut done: BTreeSet<(ClientId, u64)> = BTreeSet::new();
        for entry in &self.entries[..count] {
            let Payload::Command { command, .. } = &entry.payload else {
                continue;
            };
            // Called for its effect on the sessions; the set below detects duplicates.
            let _verdict = expected.sessions.admit(command.client, command.sequence);
            if done.insert((command.client, command.sequence)) {
                expected.hash = hash_effect(expected.hash, command);
                play(&mut expected.game, entry);
                expected.effects.push(command.clone());
                expected.effects_at.push(entry.index);
            }
        }
        expected
    }
}

impl Simulation {
    /// Compares the state of every machine with a replay of the committed log up to the last entry
    /// that it applied. Diverged states are skipped.
    ///
    /// # Errors
    /// The first machine with entries, effects, sessions or a hash that differ from the replay.
    pub fn check_states_follow_from_log(&self) -> Result<(), Violation> {
        let sound = |host: &&Host| !host.is_diverged() && !host.applied().is_empty();
        for host in self.hosts().filter(sound) {
            check(host, &self.committed)?;
        }
        Ok(())
    }

    /// Records what a node has committed.
    pub(super) fn record_committed(&mut self, id: NodeId) {
        self.committed.extend(&self.hosts[&id]);
    }
}

fn check(host: &Host, committed: &CommittedLog) -> Result<(), Violation> {
    let count = host.applied().len();
    if committed.entries.get(..count) != Some(host.applied()) {
        return Err(differs(
            host,
            format!("applied {count} entries that are not a prefix of the committed log"),
        ));
    }
    let expected = committed.replay(count);
    let effects = expected.effects.iter().zip(&expected.effects_at);
    let mut pairs = effects.zip(host.effects().iter().zip(host.effects_at()));
    if let Some((expected, seen)) = pairs.find(|(expected, seen)| expected != seen) {
        return Err(differs(
            host,
            format!("has the effect {seen:?}, but the log implies {expected:?}"),
        ));
    }
    if host.effects().len() != expected.effects.len() {
        let seen = host.effects().len();
        let expected = expected.effects.len();
        return Err(differs(
            host,
            format!("has {seen} effects after {count} entries, but the log implies {expected}"),
        ));
    }
    if *host.sessions() != expected.sessions {
        return Err(differs(
            host,
            format!("has sessions after {count} entries that do not follow from the log"),
        ));
    }
    if host.state_hash() != whole_hash(expected.hash, 0, expected.game.as_ref()) {
        return Err(differs(
            host,
            format!("has a state hash after {count} entries that does not follow from the log"),
        ));
    }
    Ok(())
}

fn differs(host: &Host, what: String) -> Violation {
    Violation::new(PROPERTY, format!("{} {what}", host.id()))
}

#[cfg(test)]
mod tests {
    use raftian_node::wire;
    use raftian_realm::classic::{CityId, Order};

    use super::*;
    use crate::cluster::{GameOrder, Setup, UPDATE_BYTES};

    /// Three nodes that have applied a command, its repeat and another command.
    fn cluster() -> Simulation {
        let mut cluster = Simulation::new(Setup::cluster(3, 1));
        cluster.campaign(NodeId(1));
        cluster.stabilize();
        for sequence in [1, 1, 2] {
            cluster
                .propose(NodeId(1), 7, sequence, b"x")
                .expect("n1 leads");
            cluster.stabilize();
        }
        assert_eq!(cluster.check_states_follow_from_log(), Ok(()));
        cluster
    }

    #[test]
    fn command_skipped_on_every_member_is_detected() {
        for skipped in 0..2 {
            let mut cluster = cluster();
            for host in cluster.hosts.values_mut() {
                host.lose_effect(skipped);
            }
            let violation = cluster
                .check_states_follow_from_log()
                .expect_err("every state lacks an effect");
            assert_eq!(violation.property, PROPERTY);
        }
    }

    /// The state of the game is compared as well, not only the order of the commands.
    #[test]
    fn game_lost_on_every_member_is_detected() {
        let mut cluster = cluster();
        let order = Order::Attack { city: CityId(2) };
        let orders = wire::encode_value(&vec![GameOrder::Classic(order)]).expect("a small order");
        let update = [&[0; UPDATE_BYTES][..], &orders].concat();
        cluster.propose(NodeId(1), 7, 3, &update).expect("n1 leads");
        cluster.stabilize();
        assert_eq!(cluster.check_states_follow_from_log(), Ok(()));
        cluster.hosts.values_mut().for_each(Host::lose_game);
        assert!(cluster.check_states_follow_from_log().is_err());
    }

    #[test]
    fn sessions_lost_on_every_member_are_detected() {
        let mut cluster = cluster();
        cluster.hosts.values_mut().for_each(Host::lose_sessions);
        assert!(cluster.check_states_follow_from_log().is_err());
    }
}
