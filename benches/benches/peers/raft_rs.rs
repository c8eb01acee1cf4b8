//! raft-rs 0.7 as its own example drives it, with settings under which it is fast.

use std::collections::VecDeque;

use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use super::workload::{Batched, Cell, Commands, Tally};

/// The nodes and what is under way between them.
pub(crate) struct Cluster {
    hosts: Vec<Host>,
    queue: VecDeque<Message>,
}

struct Host {
    node: RawNode<MemStorage>,
    tally: Tally,
}

impl Batched for Cluster {
    fn elected(cell: Cell) -> Self {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let voters: Vec<u64> = (1..=cell.nodes).collect();
        let host = |id: &u64| {
            // Its default sends one entry a message.
            let config = Config {
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 256,
                batch_append: true,
                check_quorum: true,
                pre_vote: true,
                ..Config::new(*id)
            };
            let storage = MemStorage::new_with_conf_state((voters.clone(), Vec::new()));
            let node = RawNode::new(&config, storage, &logger).expect("the settings are valid");
            Host { node, tally: Tally::default() }
        };
        let mut cluster = Cluster { hosts: voters.iter().map(host).collect(), queue: VecDeque::new() };
        cluster.hosts[0].node.campaign().expect("a follower may stand");
        cluster.ready(0);
        cluster.deliver();
        assert_eq!(cluster.hosts[0].node.raft.state, StateRole::Leader);
        cluster
    }

    fn commit(&mut self, commands: &mut Commands, first: u64, count: usize) {
        let entry = |number| Entry { data: commands.numbered(number).to_vec().into(), ..Entry::default() };
        let entries = (first..first + count as u64).map(entry).collect::<Vec<_>>();
        // One proposal of many entries: proposed one by one, each would leave in a message of its own.
        let mut message = Message { from: 1, entries: entries.into(), ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        self.hosts[0].node.raft.step(message).expect("the leader takes it");
        self.ready(0);
        self.deliver();
    }

    fn tallies(&self) -> Vec<Tally> {
        self.hosts.iter().map(|host| host.tally).collect()
    }
}

impl Cluster {
    fn deliver(&mut self) {
        while !self.queue.is_empty() {
            for message in self.queue.drain(..) {
                self.hosts[message.to as usize - 1].node.step(message).expect("its peers are sound");
            }
            for place in 0..self.hosts.len() {
                self.ready(place);
            }
        }
    }

    /// Everything that the node wants done, in the order of the library's own example.
    fn ready(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        while host.node.has_ready() {
            let mut ready = host.node.ready();
            self.queue.extend(ready.take_messages());
            host.apply(ready.take_committed_entries());
            {
                let mut storage = host.node.store().wl();
                storage.append(ready.entries()).expect("entries follow each other");
                if let Some(hard_state) = ready.hs() {
                    storage.set_hardstate(hard_state.clone());
                }
            }
            self.queue.extend(ready.take_persisted_messages());
            let mut light = host.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                host.node.store().wl().mut_hard_state().set_commit(commit);
            }
            self.queue.extend(light.take_messages());
            host.apply(light.take_committed_entries());
            host.node.advance_apply();
        }
    }
}

impl Host {
    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if !entry.data.is_empty() {
                self.tally.apply(&entry.data);
            }
        }
    }
}
