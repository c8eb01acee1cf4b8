//! Our side: the nodes, their messages in one queue, their writes counted and reported done at once.

use std::collections::VecDeque;

use raftian_raft::{
    ClientId, Command, Config, Input, Membership, Message, Moment, Node, NodeId, Payload, Restored, RoleKind,
};

use super::workload::{Batched, Cell, Commands, Tally};

/// The nodes and what is under way between them.
pub(crate) struct Cluster {
    hosts: Vec<Host>,
    queue: VecDeque<(NodeId, NodeId, Message)>,
}

struct Host {
    node: Node,
    /// How many entries it wanted written. The log itself is in the node, as the peer's is in its storage.
    written: u64,
    tally: Tally,
}

/// No clock ticks: the whole run is one moment.
const NOW: Moment = Moment(1);

impl Batched for Cluster {
    fn elected(cell: Cell) -> Self {
        let ids = || (1..=cell.nodes).map(NodeId);
        let host = |id| {
            let membership = Membership::new(ids()).expect("a few voters");
            let node = Node::new(Config::new(id, membership, id.0), Restored::default(), NOW).expect("defaults work");
            Host { node, written: 0, tally: Tally::default() }
        };
        let mut cluster = Cluster { hosts: ids().map(host).collect(), queue: VecDeque::new() };
        cluster.step(0, Input::Campaign);
        cluster.deliver();
        assert_eq!(cluster.hosts[0].node.role(), RoleKind::Leader);
        cluster
    }

    fn commit(&mut self, commands: &mut Commands, first: u64, count: usize) {
        let command = |sequence| Command { client: ClientId(1), sequence, bytes: commands.numbered(sequence).into() };
        self.step(0, Input::Propose((first..first + count as u64).map(command).collect()));
        self.deliver();
    }

    fn tallies(&self) -> Vec<Tally> {
        // One entry more than commands: the empty one of the leader's term.
        assert!(self.hosts.iter().all(|host| host.written == host.tally.applied + 1));
        self.hosts.iter().map(|host| host.tally).collect()
    }
}

impl Cluster {
    fn deliver(&mut self) {
        while !self.queue.is_empty() {
            for (from, to, message) in self.queue.drain(..) {
                self.hosts[to.0 as usize - 1].node.step(NOW, Input::Receive { from, message });
            }
            for place in 0..self.hosts.len() {
                self.act(place);
            }
        }
    }

    fn step(&mut self, place: usize, input: Input) {
        self.hosts[place].node.step(NOW, input);
        self.act(place);
    }

    /// Everything that the node wants done.
    fn act(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        let id = host.node.id();
        while host.node.has_work() {
            let work = host.node.work();
            let persisted = work.persist.map(|write| {
                host.written += write.entries.len() as u64;
                write.number
            });
            self.queue.extend(work.others.send.drain(..).map(|(to, message)| (id, to, message)));
            work.others.events.clear();
            for entry in work.apply {
                if let Payload::Command(command) = &entry.payload {
                    host.tally.apply(&command.bytes);
                }
            }
            let applied = work.apply.last().map(|entry| entry.index);
            if let Some(number) = persisted {
                host.node.step(NOW, Input::Persisted(number));
            }
            if let Some(index) = applied {
                host.node.step(NOW, Input::Applied(index));
            }
        }
    }
}
