//! The benchmark cluster on raft-rs 0.7, driven like its own example, with settings for speed.

use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use super::workload::{Batched, Cell, Commands, LOG_ENTRIES, Tally};

/// The nodes and the messages between them.
pub(crate) struct Cluster {
    hosts: Vec<Host>,
}

struct Host {
    node: RawNode<MemStorage>,
    tally: Tally,
    /// Sent messages that are not delivered yet.
    outgoing: Vec<Message>,
    /// Last applied entry.
    applied: u64,
    /// Last entry dropped from the log.
    dropped: u64,
}

impl Batched for Cluster {
    fn elected(cell: Cell) -> Self {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let voters: Vec<u64> = (1..=cell.nodes).collect();
        let host = |id: &u64| {
            // The default sends one entry per message.
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
            Host {
                node,
                tally: Tally::default(),
                outgoing: Vec::new(),
                applied: 0,
                dropped: 0,
            }
        };
        let mut cluster = Cluster {
            hosts: voters.iter().map(host).collect(),
        };
        cluster.hosts[0]
            .node
            .campaign()
            .expect("a follower may stand");
        cluster.hosts[0].ready();
        cluster.deliver();
        assert_eq!(cluster.hosts[0].node.raft.state, StateRole::Leader);
        cluster
    }

    type Batch = Message;

    fn batch(commands: &mut Commands, first: u64, count: usize) -> Message {
        let entry = |number| Entry {
            data: commands.numbered(number).to_vec().into(),
            ..Entry::default()
        };
        let entries = (first..first + count as u64).map(entry).collect::<Vec<_>>();
        // One proposal of many entries: proposed separately, each would get its own message.
        let mut message = Message {
            from: 1,
            entries: entries.into(),
            ..Message::default()
        };
        message.set_msg_type(MessageType::MsgPropose);
        message
    }

    fn commit(&mut self, batch: Message) {
        self.hosts[0]
            .node
            .raft
            .step(batch)
            .expect("the leader accepts it");
        self.hosts[0].ready();
        self.deliver();
    }

    fn tallies(&self) -> Vec<Tally> {
        self.hosts.iter().map(|host| host.tally).collect()
    }
}

impl Cluster {
    fn deliver(&mut self) {
        loop {
            let mut quiet = true;
            for place in 0..self.hosts.len() {
                for message in std::mem::take(&mut self.hosts[place].outgoing) {
                    quiet = false;
                    self.hosts[message.to as usize - 1]
                        .node
                        .step(message)
                        .expect("a peer sends valid messages");
                }
            }
            if quiet {
                return;
            }
            for host in &mut self.hosts {
                host.ready();
            }
        }
    }
}

impl Host {
    /// Performs all actions of the node, in the order of the library's own example.
    fn ready(&mut self) {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            self.enqueue(ready.take_messages());
            self.apply(ready.take_committed_entries());
            {
                let mut storage = self.node.store().wl();
                storage
                    .append(ready.entries())
                    .expect("entries follow each other");
                if let Some(hard_state) = ready.hs() {
                    storage.set_hardstate(hard_state.clone());
                }
            }
            self.enqueue(ready.take_persisted_messages());
            let mut light = self.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.node.store().wl().mut_hard_state().set_commit(commit);
            }
            self.enqueue(light.take_messages());
            self.apply(light.take_committed_entries());
            self.node.advance_apply();
            if self.applied - self.dropped >= LOG_ENTRIES {
                self.dropped = self.applied;
                self.node
                    .store()
                    .wl()
                    .compact(self.applied)
                    .expect("applied entries may be dropped");
            }
        }
    }

    fn enqueue(&mut self, messages: Vec<Message>) {
        if self.outgoing.is_empty() {
            self.outgoing = messages;
        } else {
            self.outgoing.extend(messages);
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.applied = entry.index;
            if !entry.data.is_empty() {
                self.tally.apply(&entry.data);
            }
        }
    }
}
