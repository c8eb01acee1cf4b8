//! The benchmark cluster on our core: writes are counted and acknowledged at once.

use raftian_raft::{
    ClientId, Command, Config, Index, Input, Membership, Message, Moment, Node, NodeId, Payload,
    Restored, RoleKind, TakenSnapshot,
};

use super::workload::{Batched, Cell, Commands, LOG_ENTRIES, Tally};

/// The nodes and the messages between them.
pub(crate) struct Cluster {
    hosts: Vec<Host>,
    /// Messages of one node during delivery, empty otherwise; kept to reuse its allocation.
    under_way: Vec<(NodeId, Message)>,
}

struct Host {
    node: Node,
    /// Number of entries the node wrote. The log itself is in the node, as raft-rs keeps its log in
    /// its storage.
    written: u64,
    tally: Tally,
    /// Sent messages that are not delivered yet.
    outgoing: Vec<(NodeId, Message)>,
    /// Last applied entry.
    applied: Index,
    /// Last entry dropped from the log.
    dropped: Index,
}

/// Time of the whole run: no clock ticks.
const NOW: Moment = Moment(1);

impl Batched for Cluster {
    fn elected(cell: Cell) -> Self {
        let ids = || (1..=cell.nodes).map(NodeId);
        let host = |id| {
            let membership = Membership::new(ids()).expect("a few voters");
            let node = Node::new(Config::new(id, membership, id.0), Restored::default(), NOW)
                .expect("defaults work");
            let tally = Tally::default();
            let outgoing = Vec::new();
            Host {
                node,
                written: 0,
                tally,
                outgoing,
                applied: Index(0),
                dropped: Index(0),
            }
        };
        let mut cluster = Cluster {
            hosts: ids().map(host).collect(),
            under_way: Vec::new(),
        };
        cluster.step(0, Input::Campaign);
        cluster.deliver();
        assert_eq!(cluster.hosts[0].node.role(), RoleKind::Leader);
        cluster
    }

    type Batch = Vec<Command>;

    fn batch(commands: &mut Commands, first: u64, count: usize) -> Vec<Command> {
        let command = |sequence| Command {
            client: ClientId(1),
            sequence,
            bytes: commands.numbered(sequence).into(),
        };
        (first..first + count as u64).map(command).collect()
    }

    fn commit(&mut self, batch: Vec<Command>) {
        self.step(0, Input::Propose(batch));
        self.deliver();
    }

    fn tallies(&self) -> Vec<Tally> {
        // One entry more than commands: the empty entry of the leader's term.
        assert!(
            self.hosts
                .iter()
                .all(|host| host.written == host.tally.applied + 1)
        );
        self.hosts.iter().map(|host| host.tally).collect()
    }
}

impl Cluster {
    fn deliver(&mut self) {
        loop {
            let mut quiet = true;
            for place in 0..self.hosts.len() {
                let host = &mut self.hosts[place];
                let from = host.node.id();
                std::mem::swap(&mut self.under_way, &mut host.outgoing);
                for (to, message) in self.under_way.drain(..) {
                    quiet = false;
                    self.hosts[to.0 as usize - 1]
                        .node
                        .step(NOW, Input::Receive { from, message });
                }
            }
            if quiet {
                return;
            }
            for host in &mut self.hosts {
                host.act();
            }
        }
    }

    fn step(&mut self, place: usize, input: Input) {
        self.hosts[place].node.step(NOW, input);
        self.hosts[place].act();
    }
}

impl Host {
    /// Performs all actions of the node.
    fn act(&mut self) {
        while self.node.has_work() {
            let work = self.node.work();
            let persisted = work.persist.map(|write| {
                self.written += write.entries.len() as u64;
                write.number
            });
            // Swapping instead of moving lets the node reuse the allocation.
            if self.outgoing.is_empty() {
                std::mem::swap(&mut self.outgoing, &mut work.others.send);
            } else {
                self.outgoing.append(&mut work.others.send);
            }
            work.others.events.clear();
            for entry in work.apply {
                if let Payload::Command { command, .. } = &entry.payload {
                    self.tally.apply(&command.bytes);
                }
            }
            let applied = work.apply.last().map(|entry| entry.index);
            if let Some(number) = persisted {
                self.node.step(NOW, Input::Persisted(number));
            }
            if let Some(index) = applied {
                self.node.step(NOW, Input::Applied(index));
                self.applied = index;
            }
            if self.applied.0 - self.dropped.0 >= LOG_ENTRIES {
                self.dropped = self.applied;
                let index = self.applied;
                let data = Vec::new().into();
                self.node.step(
                    NOW,
                    Input::TakeSnapshot(TakenSnapshot {
                        index,
                        data,
                        compact_to: Some(index),
                    }),
                );
            }
        }
    }
}
