//! Our side: three nodes, their messages in one queue, their writes counted and reported done at once.

use std::collections::VecDeque;

use raftian_raft::{
    ClientId, Command, Config, Input, Membership, Message, Moment, Node, NodeId, Payload, Restored, RoleKind,
};

/// Three nodes and what is under way between them.
pub(crate) struct Cluster {
    hosts: Vec<Host>,
    queue: VecDeque<(NodeId, NodeId, Message)>,
}

struct Host {
    node: Node,
    /// How many entries it wanted written. The log itself is in the node, as the peer's is in its storage.
    written: u64,
    applied: u64,
    sum: u64,
}

/// No clock ticks: the whole run is one moment.
const NOW: Moment = Moment(1);

impl super::Cluster for Cluster {
    const NAME: &'static str = "raftian";

    fn elected() -> Self {
        let ids = || (1..=super::NODES).map(NodeId);
        let host = |id| {
            let membership = Membership::new(ids()).expect("a few voters");
            let node = Node::new(Config::new(id, membership, id.0), Restored::default(), NOW).expect("defaults work");
            Host { node, written: 0, applied: 0, sum: 0 }
        };
        let mut cluster = Cluster { hosts: ids().map(host).collect(), queue: VecDeque::new() };
        cluster.step(0, Input::Campaign);
        cluster.deliver();
        assert_eq!(cluster.hosts[0].node.role(), RoleKind::Leader);
        cluster
    }

    fn commit(&mut self, first: u64, count: usize) {
        let command =
            |sequence| Command { client: ClientId(1), sequence, bytes: super::command(sequence).as_slice().into() };
        self.step(0, Input::Propose((first..first + count as u64).map(command).collect()));
        self.deliver();
    }

    fn applied(&self) -> (u64, u64) {
        let sum = self.hosts[0].sum;
        assert!(self.hosts.iter().all(|host| host.sum == sum && host.written == host.applied + 1));
        (self.hosts.iter().map(|host| host.applied).sum(), sum)
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
        loop {
            let mut actions = host.node.take_actions();
            let mut again = false;
            if let Some(write) = actions.persist {
                host.written += write.entries.len() as u64;
                host.node.step(NOW, Input::Persisted(write.number));
                again = true;
            }
            self.queue.extend(actions.send.drain(..).map(|(to, message)| (id, to, message)));
            if let Some(last) = actions.apply.last() {
                let index = last.index;
                for entry in &actions.apply {
                    if let Payload::Command(command) = &entry.payload {
                        host.applied += 1;
                        host.sum = super::checksum(host.sum, &command.bytes);
                    }
                }
                host.node.step(NOW, Input::Applied(index));
                again = true;
            }
            if !again {
                return;
            }
        }
    }
}
