//! Real sockets and real clusters through the proxy.

use std::time::{Duration, Instant};

use raftian_node::cluster::{EmbeddedNode, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, Replica};
use raftian_raft::{Bytes, ClientId, Command, Config, Payload};

use super::*;

const MS: Duration = Duration::from_millis(1);
/// Time limit of any single step, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !probe() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(MS);
    }
}

/// Two sockets with a proxy in between.
struct Two {
    one: UdpSocket,
    two: UdpSocket,
    proxy: Proxy,
}

fn two(shape: Shape, seed: u64) -> Two {
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
    };
    let one = open();
    let two = open();
    let endpoints = [
        (ONE, one.local_addr().expect("bound")),
        (TWO, two.local_addr().expect("bound")),
    ];
    let proxy = Proxy::start(&endpoints, shape, seed).expect("a proxy");
    Two { one, two, proxy }
}

impl Two {
    /// Sends from the first to the second, no faster than the proxy receives, so that no socket
    /// buffer overflows.
    fn send(&self, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        let before = self.proxy.counts(ONE, TWO).received;
        for (sent, datagram) in (1..).zip(datagrams) {
            self.one
                .send_to(&datagram, self.proxy.address(ONE, TWO))
                .expect("sent");
            eventually("the proxy receives the datagram", || {
                self.proxy.counts(ONE, TWO).received == before + sent
            });
        }
    }

    fn received(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 65_536];
        let (length, from) = self.two.recv_from(&mut buffer).expect("a datagram in time");
        buffer.truncate(length);
        (buffer, from)
    }

    fn numbers(&self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.received().0[0]).collect()
    }
}

#[test]
fn bytes_arrive_in_order_and_replies_return() {
    let two = two(
        Shape {
            delay: Delay::Uniform(MS, 5 * MS),
            ..Shape::default()
        },
        1,
    );
    let datagram = |number: u8| {
        (0..1_200u32)
            .map(|place| (place * 7) as u8 ^ number)
            .collect::<Vec<_>>()
    };
    two.send((0..50).map(datagram));
    for number in 0..50 {
        assert_eq!(two.received().0, datagram(number));
    }
    two.send([b"question".to_vec()]);
    let (question, from) = two.received();
    assert_eq!(question, b"question");
    two.two.send_to(b"answer", from).expect("sent");
    let mut buffer = [0; 16];
    let (length, from) = two.one.recv_from(&mut buffer).expect("an answer in time");
    assert_eq!(
        (&buffer[..length], from),
        (b"answer".as_slice(), two.proxy.address(ONE, TWO))
    );
}

#[test]
fn no_datagram_arrives_before_its_delay() {
    let two = two(
        Shape {
            delay: Delay::Fixed(30 * MS),
            ..Shape::default()
        },
        1,
    );
    let sent = Instant::now();
    two.send([b"x".to_vec()]);
    two.received();
    assert!(sent.elapsed() >= 30 * MS);
}

#[test]
fn cut_is_one_way_until_healed() {
    let two = two(Shape::default(), 1);
    two.proxy.cut(ONE, TWO, true);
    two.send([vec![1], vec![2]]);
    two.two
        .send_to(b"the other way", two.proxy.address(TWO, ONE))
        .expect("sent");
    let mut buffer = [0; 16];
    let (length, _) = two
        .one
        .recv_from(&mut buffer)
        .expect("the other way is open");
    assert_eq!(&buffer[..length], b"the other way");
    assert_eq!(
        two.proxy.counts(ONE, TWO),
        Counts {
            received: 2,
            cut: 2,
            ..Counts::default()
        }
    );
    two.proxy.heal();
    two.send([vec![3]]);
    assert_eq!(two.numbers(1), [3]);
}

#[test]
fn loss_and_duplication_follow_from_the_seed() {
    let run = |seed| {
        let two = two(
            Shape {
                loss: 0.2,
                duplication: 0.1,
                ..Shape::default()
            },
            seed,
        );
        two.send((0..=255).map(|number| vec![number]));
        let counts = two.proxy.counts(ONE, TWO);
        let left = (counts.received + counts.duplicated - counts.lost) as usize;
        (counts.lost, counts.duplicated, two.numbers(left))
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
    assert!(
        (20..90).contains(&first.0) && (5..50).contains(&first.1),
        "{first:?}"
    );
}

#[test]
fn shape_of_a_running_proxy_can_be_replaced() {
    let two = two(
        Shape {
            loss: 1.0,
            ..Shape::default()
        },
        1,
    );
    two.send([vec![1; 100]]);
    eventually("the datagram is lost", || {
        two.proxy.counts(ONE, TWO).lost == 1
    });
    two.proxy.shape(ONE, TWO, Shape::default());
    two.send([vec![2; 100]]);
    assert_eq!(two.received().0, [2; 100]);
}

#[test]
fn datagrams_beyond_the_queue_are_dropped_and_counted() {
    let two = two(
        Shape {
            rate: Some(1),
            queue: 250,
            ..Shape::default()
        },
        1,
    );
    two.send((0..10).map(|number| vec![number; 100]));
    let counts = two.proxy.counts(ONE, TWO);
    assert_eq!(
        (counts.received, counts.dropped, counts.forwarded),
        (10, 8, 0)
    );
}

#[test]
fn datagrams_of_unknown_senders_are_discarded() {
    let two = two(Shape::default(), 1);
    let unknown = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    unknown
        .send_to(b"let me in", two.proxy.address(ONE, TWO))
        .expect("sent");
    eventually("the datagram is counted", || {
        two.proxy.counts(ONE, TWO).unknown_senders == 1
    });
    assert_eq!(two.proxy.all_counts().forwarded, 0);
}

#[test]
fn proxy_needs_two_endpoints_with_different_ids() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    for endpoints in [
        vec![],
        vec![(ONE, address)],
        vec![(ONE, address), (ONE, address)],
    ] {
        assert!(Proxy::start(&endpoints, Shape::default(), 1).is_err());
    }
    let lossy = Shape {
        loss: 2.0,
        ..Shape::default()
    };
    assert!(Proxy::start(&[(ONE, address), (TWO, address)], lossy, 1).is_err());
}

/// Three running nodes with stores on disk, and QUIC through the proxy.
struct Cluster {
    nodes: Vec<NodeHandle>,
    sequences: Vec<Vec<u64>>,
    proxy: Proxy,
    _directory: tempfile::TempDir,
}

impl Cluster {
    fn start(shape: Shape) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut members = embedded(3, "proxy", directory.path()).expect("a cluster");
        let proxy = Proxy::between(&mut members, shape, 7).expect("a proxy");
        let start = |EmbeddedNode { config, socket }: EmbeddedNode| {
            let raft = Config::new(
                config.id,
                config.founders().expect("there are members"),
                config.id.0,
            );
            NodeHandle::start(NodeOptions::new(
                &config,
                raft,
                QuicOptions::new(socket, &config),
            ))
        };
        let nodes = members
            .into_iter()
            .map(|member| start(member).expect("the node starts"))
            .collect();
        Cluster {
            nodes,
            sequences: vec![Vec::new(); 3],
            proxy,
            _directory: directory,
        }
    }

    fn leader(&self) -> Option<NodeId> {
        let leader = self.nodes[0].view().status.leader?;
        self.nodes
            .iter()
            .all(|node| node.view().status.leader == Some(leader))
            .then_some(leader)
    }

    fn propose(&mut self, at: NodeId, sequence: u64) {
        let command = Command {
            client: ClientId(1),
            sequence,
            bytes: Bytes::from(b"attack".as_slice()),
        };
        self.nodes[at.0 as usize - 1]
            .propose(command)
            .expect("there is room");
    }

    /// Proposes the next command repeatedly, as a program does, until all nodes have it.
    fn commit(&mut self, at: NodeId, sequence: u64) {
        let mut asked = None;
        let deadline = Instant::now() + PATIENCE;
        while !self.everybody_has(sequence) {
            assert!(
                Instant::now() < deadline,
                "#{sequence} is not committed in time"
            );
            if asked.is_none_or(|asked: Instant| asked.elapsed() > 500 * MS) {
                self.propose(at, sequence);
                asked = Some(Instant::now());
            }
            std::thread::sleep(MS);
        }
    }

    fn everybody_has(&mut self, sequence: u64) -> bool {
        let mut taken = Vec::new();
        for (node, sequences) in self.nodes.iter_mut().zip(&mut self.sequences) {
            node.take_committed(1_000, &mut taken);
            sequences.extend(taken.drain(..).filter_map(|committed| match committed {
                Committed::Entry(entry) => match entry.payload {
                    Payload::Command { command, .. } => Some(command.sequence),
                    Payload::Empty | Payload::Membership(_) | Payload::Withheld => None,
                },
                Committed::Snapshot(_) => None,
            }));
        }
        self.sequences
            .iter()
            .all(|sequences| sequences.contains(&sequence))
    }
}

#[test]
fn cluster_survives_delay_loss_and_a_one_way_cut() {
    let shape = Shape {
        delay: Delay::Uniform(2 * MS, 8 * MS),
        loss: 0.03,
        duplication: 0.02,
        ..Shape::default()
    };
    let mut cluster = Cluster::start(shape);
    eventually("all nodes follow one leader", || cluster.leader().is_some());
    let leader = cluster.leader().expect("it was just seen");
    (1..=20).for_each(|sequence| cluster.commit(leader, sequence));
    let counts = cluster.proxy.all_counts();
    assert!(
        counts.lost > 0 && counts.forwarded > 0 && counts.unknown_senders == 0,
        "{counts:?}"
    );

    // The leader's messages are lost, but it still receives.
    let others: Vec<_> = (1..=3).map(NodeId).filter(|id| *id != leader).collect();
    others
        .iter()
        .for_each(|other| cluster.proxy.cut(leader, *other, true));
    eventually("the others elect one of themselves", || {
        let followed: Vec<_> = others
            .iter()
            .map(|id| cluster.nodes[id.0 as usize - 1].view().status.leader)
            .collect();
        followed[0] == followed[1] && followed[0].is_some_and(|now| now != leader)
    });
    assert!(
        others
            .iter()
            .any(|other| cluster.proxy.counts(leader, *other).cut > 0)
    );
    assert!(
        others
            .iter()
            .all(|other| cluster.proxy.counts(*other, leader).cut == 0)
    );

    cluster.proxy.heal();
    eventually("all nodes follow one leader again", || {
        cluster.leader().is_some()
    });
    cluster.commit(leader, 21);
    assert!(
        cluster
            .sequences
            .iter()
            .all(|sequences| sequences == &cluster.sequences[0])
    );
}
