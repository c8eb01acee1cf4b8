//! Live nodes in one process: real QUIC on loopback, real stores, real threads.

use std::path::Path;
use std::time::{Duration, Instant};

use raftian_node::cluster::{EmbeddedNode, NodeConfig, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{
    InlineNode, NodeHandle, NodeOptions, Replica, StartError, SubmitError, fresh_seed,
};
use raftian_raft::{Bytes, ClientId, Command, Config, Membership, NodeId, Payload, RoleKind};

const WAIT: Duration = Duration::from_secs(60);

struct Cluster {
    configs: Vec<NodeConfig>,
    nodes: Vec<Option<NodeHandle>>,
    applied: Vec<Vec<Committed>>,
    _directory: tempfile::TempDir,
}

fn options(config: &NodeConfig, links: QuicOptions) -> NodeOptions {
    let raft = Config::new(
        config.id,
        config.founders().expect("the config lists members"),
        fresh_seed(),
    );
    NodeOptions::new(config, raft, links)
}

fn start(config: &NodeConfig, links: QuicOptions) -> Result<NodeHandle, StartError> {
    NodeHandle::start(options(config, links))
}

impl Cluster {
    fn new(size: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let members = embedded(size, "test", directory.path()).expect("free ports");
        let mut cluster = Cluster {
            configs: Vec::new(),
            nodes: Vec::new(),
            applied: vec![Vec::new(); size],
            _directory: directory,
        };
        for EmbeddedNode { config, socket } in members {
            let links = QuicOptions::new(socket, &config);
            cluster
                .nodes
                .push(Some(start(&config, links).expect("the node starts")));
            cluster.configs.push(config);
        }
        cluster
    }

    fn node(&mut self, id: u64) -> &mut NodeHandle {
        self.nodes[id as usize - 1].as_mut().expect("the node runs")
    }

    fn restart(&mut self, id: u64) {
        let config = &self.configs[id as usize - 1];
        let links = QuicOptions::bind(config).expect("its port is free again");
        self.nodes[id as usize - 1] = Some(start(config, links).expect("the node starts again"));
        self.applied[id as usize - 1].clear();
    }

    fn kill(&mut self, id: u64) {
        let node = self.nodes[id as usize - 1].take().expect("the node runs");
        node.control().kill();
        drop(node);
    }

    /// Takes committed entries on all running nodes until `done` holds.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + WAIT;
        loop {
            for (node, applied) in self.nodes.iter_mut().zip(&mut self.applied) {
                if let Some(node) = node {
                    node.take_committed(1000, applied);
                }
            }
            if done(self) {
                return;
            }
            let views: Vec<_> = self
                .nodes
                .iter()
                .flatten()
                .map(|node| node.view().status)
                .collect();
            assert!(
                Instant::now() < deadline,
                "not within {WAIT:?}: {what}: {views:#?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn leader(&mut self) -> u64 {
        let mut leader = None;
        self.until("one leader is followed by all", |cluster| {
            let mut leaders = cluster
                .nodes
                .iter()
                .flatten()
                .map(|node| node.view().status.leader);
            leader = leaders.next().flatten();
            leader.is_some_and(|id| cluster.nodes[id.0 as usize - 1].is_some())
                && leaders.all(|other| other == leader)
        });
        leader.expect("it was just seen").0
    }

    fn commands(&self, id: u64) -> Vec<u64> {
        let commands =
            self.applied[id as usize - 1]
                .iter()
                .filter_map(|committed| match committed {
                    Committed::Entry(entry) => match &entry.payload {
                        Payload::Command { command, .. } => Some(command.sequence),
                        Payload::Empty | Payload::Membership(_) | Payload::Withheld => None,
                    },
                    Committed::Snapshot(_) => panic!("these tests take no snapshots"),
                });
        commands.collect()
    }

    fn running(&self) -> impl Iterator<Item = u64> + '_ {
        (1..)
            .zip(&self.nodes)
            .filter(|(_, node)| node.is_some())
            .map(|(id, _)| id)
    }
}

fn command(sequence: u64) -> Command {
    Command {
        client: ClientId(1),
        sequence,
        bytes: Bytes::from(b"attack".as_slice()),
    }
}

#[test]
fn commands_reach_all_nodes_in_order_and_survive_a_leader() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let follower = leader % 3 + 1;
    for sequence in 1..=200 {
        cluster
            .node(follower)
            .propose(command(sequence))
            .expect("there is room");
    }
    cluster.until("all are applied everywhere", |cluster| {
        (1..=3).all(|id| cluster.commands(id) == (1..=200).collect::<Vec<_>>())
    });

    cluster.kill(leader);
    cluster.leader();
    cluster
        .node(follower)
        .propose(command(201))
        .expect("there is room");
    cluster.until("the survivors commit a command", |cluster| {
        cluster
            .running()
            .all(|id| cluster.commands(id).last() == Some(&201))
    });

    cluster.restart(leader);
    cluster.until("the restarted node has all commands", |cluster| {
        cluster.commands(leader) == (1..=201).collect::<Vec<_>>()
    });
    let first = cluster.applied[0].clone();
    // Nodes may differ in how far they have applied, but not in the common prefix.
    assert!(
        cluster
            .applied
            .iter()
            .all(|applied| applied[..first.len().min(applied.len())]
                == first[..first.len().min(applied.len())])
    );
}

#[test]
fn partitioned_leader_steps_down_and_rejoins_without_election() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    cluster.node(leader).control().cut(true);
    cluster.until("the isolated leader steps down", |cluster| {
        cluster.node(leader).view().status.role != RoleKind::Leader
    });
    cluster.until("the others elect one of themselves", |cluster| {
        let others: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
        let views: Vec<_> = others
            .iter()
            .map(|id| cluster.node(*id).view().status)
            .collect();
        views[0].leader.is_some_and(|now| now != NodeId(leader))
            && views[0].leader == views[1].leader
    });
    let other = leader % 3 + 1;
    let term = cluster.node(other).view().status.term;
    cluster.node(leader).control().cut(false);
    assert_ne!(cluster.leader(), leader);
    assert_eq!(
        cluster.node(other).view().status.term,
        term,
        "rejoining starts no election"
    );
}

#[test]
fn paused_leader_is_replaced_and_follows_when_resumed() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let other = leader % 3 + 1;
    cluster.node(leader).control().pause(true);
    cluster.until("another node leads", |cluster| {
        cluster
            .node(other)
            .view()
            .status
            .leader
            .is_some_and(|now| now != NodeId(leader))
    });
    cluster.node(leader).control().pause(false);
    cluster.until("the old leader follows", |cluster| {
        let old = cluster.node(leader).view().status;
        let new = cluster.node(other).view().status;
        old.term == new.term && old.leader == new.leader && old.leader.is_some()
    });
}

#[test]
fn stopping_leader_transfers_leadership_first() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let node = cluster.nodes[leader as usize - 1]
        .take()
        .expect("the node runs");
    let control = node.control();
    node.stop();
    let last = control.view();
    assert!(
        last.stopped.is_some() && last.status.role != RoleKind::Leader,
        "{:?}",
        last.status
    );
    assert!(last.status.leader.is_none_or(|now| now != NodeId(leader)));
    assert_ne!(cluster.leader(), leader);
}

#[test]
fn stalled_reader_stops_delivery_but_not_the_cluster() {
    let mut cluster = Cluster::new(1);
    cluster.leader();
    let window =
        Config::new(NodeId(1), Membership::new([NodeId(1)]).expect("one"), 0).apply_window as u64;
    let wanted = window + 500;
    let deadline = Instant::now() + WAIT;
    let mut sequence = 1;
    // The first entry of the log is the leader's empty one, so `wanted` commands end at wanted + 1.
    while cluster.node(1).view().status.commit.0 <= wanted {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            cluster.node(1).view().status
        );
        match cluster.node(1).propose(command(sequence)) {
            Ok(()) if sequence < wanted => sequence += 1,
            Ok(()) | Err(SubmitError::Busy) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        cluster.node(1).view().status.applied.0 <= 10,
        "no entry was taken, so few may be applied"
    );
    cluster.until("a reader that resumes gets all commands", |cluster| {
        cluster
            .commands(1)
            .windows(2)
            .all(|pair| pair[1] == pair[0] + 1 || pair == [wanted, wanted])
            && cluster.commands(1).last() == Some(&wanted)
    });
}

#[test]
fn second_node_on_one_store_is_refused() {
    let mut cluster = Cluster::new(1);
    cluster.leader();
    let config = NodeConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        ..cluster.configs[0].clone()
    };
    let links = QuicOptions::bind(&config).expect("another port is free");
    let Err(error) = start(&config, links) else {
        panic!("two nodes share one store")
    };
    let words = error.to_string();
    assert!(
        words.contains("in use") && words.contains("raft.redb"),
        "{words}"
    );
    assert!(Path::new(&config.data).join("raft.redb").is_file());
}

#[test]
fn inline_node_joins_threaded_nodes_and_frees_its_port() {
    let mut cluster = Cluster::new(3);
    cluster.kill(3);
    let config = cluster.configs[2].clone();
    let start = || {
        InlineNode::start(options(
            &config,
            QuicOptions::bind(&config).expect("its port is free"),
        ))
    };
    for round in 1..=2 {
        let (mut node, clock) = start().expect("the node starts");
        let mut applied = Vec::new();
        let mut proposed = None;
        cluster.until("a command of the inline node is committed everywhere", |cluster| {
            node.pump(&|| clock.now());
            node.take_committed(1000, &mut applied);
            let refused = !node.take_responses().refused.is_empty();
            let term = node.view().status.leader.map(|_| node.view().status.term);
            if term.is_some() && (proposed != term || refused) {
                node.propose(command(round)).expect("there is room");
                proposed = term;
            }
            let here = applied.iter().any(|committed| {
                matches!(committed, Committed::Entry(entry)
                    if matches!(&entry.payload, Payload::Command { command, .. } if command.sequence == round))
            });
            here && [1, 2].iter().all(|id| cluster.commands(*id).contains(&round))
        });
        assert_eq!(node.view().stopped, None);
    }
}
