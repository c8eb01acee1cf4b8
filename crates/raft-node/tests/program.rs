//! Requests of a program to nodes on their own threads, over real QUIC and real disks: snapshots,
//! reads, changes.

use std::time::{Duration, Instant};

use raftian_node::cluster::{EmbeddedNode, NodeConfig, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::trace::{Trace, TraceEvent};
use raftian_node::{
    NodeHandle, NodeOptions, READ_QUEUE, Replica, StartError, Stopped, SubmitError, fresh_seed,
};
use raftian_raft::{
    Bytes, Change, ClientId, Command, Config, FlowKind, Incarnation, Index, Member, Moment, NodeId,
    ReadAnswer, ReadId, RequestError, RoleKind, Standing, TakenSnapshot,
};

const WAIT: Duration = Duration::from_secs(60);

/// Nodes and the state that their programs built from the log.
struct Cluster {
    configs: Vec<NodeConfig>,
    sockets: Vec<Option<std::net::UdpSocket>>,
    nodes: Vec<Option<NodeHandle>>,
    taken: Vec<Vec<Committed>>,
    election_timeout: (Duration, Duration),
    _directory: tempfile::TempDir,
}

fn start(
    config: &NodeConfig,
    links: QuicOptions,
    set: impl FnOnce(&mut Config),
) -> Result<NodeHandle, StartError> {
    let mut raft = Config::new(
        config.id,
        config.founders().expect("there are members"),
        fresh_seed(),
    );
    set(&mut raft);
    NodeHandle::start(NodeOptions::new(config, raft, links))
}

impl Cluster {
    /// A cluster in which no node has started.
    fn asleep(size: usize) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let members = embedded(size, "test", directory.path()).expect("there are ports");
        let (configs, sockets) = members
            .into_iter()
            .map(|EmbeddedNode { config, socket }| (config, Some(socket)))
            .unzip();
        let nodes = (0..size).map(|_| None).collect();
        let election_timeout = (Duration::from_millis(150), Duration::from_millis(300));
        Cluster {
            configs,
            sockets,
            nodes,
            taken: vec![Vec::new(); size],
            election_timeout,
            _directory: directory,
        }
    }

    fn wake(&mut self, id: u64) {
        let place = id as usize - 1;
        let links = match self.sockets[place].take() {
            Some(socket) => QuicOptions::new(socket, &self.configs[place]),
            None => QuicOptions::bind(&self.configs[place]).expect("its port is free again"),
        };
        let timeout = self.election_timeout;
        let node = start(&self.configs[place], links, |raft| {
            raft.election_timeout = timeout
        });
        self.nodes[place] = Some(node.expect("the node starts"));
    }

    fn node(&mut self, id: u64) -> &mut NodeHandle {
        self.nodes[id as usize - 1].as_mut().expect("the node runs")
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + WAIT;
        loop {
            for (node, taken) in self.nodes.iter_mut().zip(&mut self.taken) {
                if let Some(node) = node {
                    node.take_committed(1000, taken);
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
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn leader(&mut self) -> u64 {
        let mut leader = None;
        self.until(
            "a leader has committed an entry of its own term",
            |cluster| {
                let views = cluster
                    .nodes
                    .iter()
                    .flatten()
                    .map(|node| node.view().status);
                leader = views
                    .filter(|status| status.role == RoleKind::Leader && status.commit.0 > 0)
                    .map(|s| s.id)
                    .next();
                leader.is_some()
            },
        );
        leader.expect("a leader exists").0
    }

    fn applied(&self, id: u64) -> Index {
        self.taken[id as usize - 1]
            .last()
            .map_or(Index(0), Committed::index)
    }
}

fn command(sequence: u64) -> Command {
    Command {
        client: ClientId(1),
        sequence,
        bytes: Bytes::from(b"attack".as_slice()),
    }
}

/// Twenty-four megabytes in which every byte matters.
fn state() -> Bytes {
    (0..24 * 1024 * 1024u32)
        .map(|place| (place ^ place >> 8 ^ place >> 16) as u8)
        .collect::<Vec<_>>()
        .into()
}

#[test]
fn leader_keeps_contact_during_a_large_snapshot() {
    let mut cluster = Cluster::asleep(3);
    // Syncing this much at once may take longer than the default election timeout, and must not
    // count as a failure.
    cluster.election_timeout = (Duration::from_secs(2), Duration::from_secs(4));
    (1..=2).for_each(|id| cluster.wake(id));
    let leader = cluster.leader();
    for sequence in 1..=100 {
        cluster
            .node(leader)
            .propose(command(sequence))
            .expect("there is room");
    }
    cluster.until("all are applied", |cluster| {
        (1..=2).all(|id| cluster.applied(id).0 >= 101)
    });
    let index = cluster.applied(leader);
    let data = state();
    let taken = TakenSnapshot {
        index,
        data: data.clone(),
        compact_to: Some(index),
    };
    cluster
        .node(leader)
        .take_snapshot(taken)
        .expect("there is room");
    cluster.until("the log is gone", |cluster| {
        cluster.node(leader).view().status.log_after == index
    });
    let term = cluster.node(leader).view().status.term;

    cluster.wake(3);
    let mut seen = 0;
    let mut silence = Duration::ZERO;
    cluster.until("the snapshot is taken", |cluster| {
        let status = cluster.node(leader).view().status;
        let peer = status
            .peers
            .iter()
            .find(|peer| peer.id == NodeId(3))
            .expect("the leader tracks it");
        if let FlowKind::Snapshot { received, .. } = peer.flow
            && received > 0
        {
            seen += 1;
            silence = silence.max(peer.silent_for);
        }
        !cluster.taken[2].is_empty()
    });
    let Some(Committed::Snapshot(snapshot)) = cluster.taken[2].first() else {
        panic!("it begins with the snapshot")
    };
    assert_eq!(snapshot.position.index, index);
    assert!(
        snapshot.data.as_ref() == Some(&data),
        "the state arrived unchanged"
    );
    assert!(seen > 0, "the transfer must be observed");
    assert!(silence < Duration::from_secs(1), "silent for {silence:?}");
    cluster
        .node(leader)
        .propose(command(101))
        .expect("there is room");
    cluster.until("it goes on from there", |cluster| {
        cluster.applied(3).0 > index.0
    });
    for id in 1..=3 {
        assert_eq!(
            cluster.node(id).view().status.term,
            term,
            "no election must have started"
        );
    }

    // After a restart the state is read from the node's own disk in the same way.
    drop(cluster.nodes[2].take());
    cluster.taken[2].clear();
    cluster.wake(3);
    cluster.until("it is back", |cluster| {
        cluster.applied(3) == cluster.applied(leader)
    });
    let Some(Committed::Snapshot(restored)) = cluster.taken[2].first() else {
        panic!("it begins with the snapshot")
    };
    assert!(restored.data.as_ref() == Some(&data));
}

#[test]
fn read_at_any_node_sees_every_earlier_commit() {
    let mut cluster = Cluster::asleep(3);
    (1..=3).for_each(|id| cluster.wake(id));
    let leader = cluster.leader();
    let follower = leader % 3 + 1;
    cluster.until("the follower knows its leader", |cluster| {
        cluster.node(follower).view().status.leader.is_some()
    });
    for sequence in 1..=50 {
        cluster
            .node(leader)
            .propose(command(sequence))
            .expect("there is room");
        // Entry 1 is the leader's own empty entry.
        let commit = Index(sequence + 1);
        cluster.until("committed", |cluster| cluster.applied(leader) >= commit);
        for id in [leader, follower] {
            cluster
                .node(id)
                .read(Moment(0), ReadId(sequence), false)
                .expect("there is room");
            let mut answers = Vec::new();
            cluster.until("answered", |cluster| {
                answers.extend(cluster.node(id).take_responses().reads);
                !answers.is_empty()
            });
            let [
                ReadAnswer {
                    id: read,
                    result: Ok(index),
                },
            ] = answers[..]
            else {
                panic!("{answers:?}")
            };
            assert_eq!(read, ReadId(sequence));
            assert!(
                index >= commit && cluster.applied(id) >= index,
                "{index} at a state of {}",
                cluster.applied(id)
            );
        }
    }
}

#[test]
fn membership_change_is_answered_to_its_requester() {
    let mut cluster = Cluster::asleep(3);
    (1..=3).for_each(|id| cluster.wake(id));
    let leader = cluster.leader();
    let follower = leader % 3 + 1;
    let other = (leader + 1) % 3 + 1;
    let answer = |cluster: &mut Cluster, id| {
        let mut answers = Vec::new();
        cluster.until("answered", |cluster| {
            answers.extend(cluster.node(id).take_responses().request_results);
            !answers.is_empty()
        });
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    };
    cluster.until("the follower knows its leader", |cluster| {
        cluster.node(follower).view().status.leader.is_some()
    });
    let remove = Change::Remove(NodeId(other));
    cluster
        .node(follower)
        .change_membership(remove.clone())
        .expect("there is room");
    assert_eq!(
        answer(&mut cluster, follower),
        Err(RequestError::NotLeader(Some(NodeId(leader))))
    );
    // The leadership transfer of the remote control fails; its answer must not go to the program.
    cluster
        .node(leader)
        .control()
        .transfer_leadership(Some(NodeId(9)));
    cluster
        .node(leader)
        .change_membership(remove)
        .expect("there is room");
    assert_eq!(answer(&mut cluster, leader), Ok(()));
    cluster.until("it is committed and known", |cluster| {
        [leader, follower]
            .iter()
            .all(|id| cluster.node(*id).view().status.membership.members().len() == 2)
    });
    let back = Change::Set(NodeId(other), Incarnation::default(), Standing::Joining);
    cluster.until("the change before is committed", |cluster| {
        let status = cluster.node(leader).view().status;
        status.commit >= status.membership_index
    });
    cluster
        .node(leader)
        .change_membership(back)
        .expect("there is room");
    assert_eq!(answer(&mut cluster, leader), Ok(()));
    cluster.until("it has kept up and votes again", |cluster| {
        let status = cluster.node(leader).view().status;
        matches!(
            status.membership.member(NodeId(other)),
            Some(Member {
                standing: Some(Standing::Voter),
                ..
            })
        )
    });
    cluster
        .node(leader)
        .transfer_leadership(Some(NodeId(other)))
        .expect("there is room");
    assert_eq!(answer(&mut cluster, leader), Ok(()));
    cluster.until("it leads", |cluster| {
        cluster.node(other).view().status.role == RoleKind::Leader
    });
}

#[test]
fn requests_beyond_a_full_queue_are_refused_at_once() {
    let mut cluster = Cluster::asleep(1);
    cluster.wake(1);
    cluster.leader();
    cluster.node(1).control().pause(true);
    cluster.until("it is paused", |cluster| cluster.node(1).view().paused);
    for id in 0..READ_QUEUE as u64 {
        cluster
            .node(1)
            .read(Moment(0), ReadId(id), false)
            .expect("there is room");
    }
    assert_eq!(
        cluster.node(1).read(Moment(0), ReadId(0), false),
        Err(SubmitError::Busy)
    );
    cluster.node(1).control().pause(false);
    let mut answered = 0;
    cluster.until("all are answered", |cluster| {
        answered += cluster.node(1).take_responses().reads.len();
        answered == READ_QUEUE
    });
}

#[test]
fn program_that_gives_up_stops_its_node_with_its_reason() {
    let mut cluster = Cluster::asleep(1);
    cluster.wake(1);
    cluster.leader();
    cluster.node(1).propose(command(1)).expect("there is room");
    cluster
        .node(1)
        .give_up("the state cannot be read".to_owned());
    let mut taken = Vec::new();
    cluster.node(1).take_committed(1000, &mut taken);
    assert!(taken.is_empty(), "{taken:?}");
    cluster.until("it has stopped", |cluster| {
        !cluster.node(1).control().is_running()
    });
    let stopped = cluster.node(1).view().stopped;
    assert_eq!(
        stopped,
        Some(Stopped::Program("the state cannot be read".to_owned()))
    );
    assert_eq!(
        cluster.node(1).read(Moment(0), ReadId(1), false),
        Err(SubmitError::Stopped)
    );
}

/// A panic must be distinguishable from a graceful stop.
#[test]
fn panicked_node_reports_its_message() {
    let mut cluster = Cluster::asleep(1);
    let socket = cluster.sockets[0].take().expect("a port");
    let config = &cluster.configs[0];
    let raft = Config::new(
        config.id,
        config.founders().expect("there are members"),
        fresh_seed(),
    );
    let options = NodeOptions::new(config, raft, QuicOptions::new(socket, config));
    let trace = Trace::to(|step| assert!(!matches!(step, TraceEvent::Proposed(_)), "planted"));
    cluster.nodes[0] = Some(NodeHandle::start_traced(options, trace).expect("the node starts"));
    cluster.leader();
    cluster.node(1).propose(command(1)).expect("there is room");
    cluster.until("it has stopped", |cluster| {
        !cluster.node(1).control().is_running()
    });
    assert_eq!(
        cluster.node(1).view().stopped,
        Some(Stopped::Panicked("planted".to_owned()))
    );
    // The store was closed properly: the node starts again.
    cluster.nodes[0] = None;
    cluster.wake(1);
    cluster.leader();
}

#[test]
fn node_stops_through_its_control() {
    let mut cluster = Cluster::asleep(1);
    cluster.wake(1);
    cluster.leader();
    cluster.node(1).control().stop();
    cluster.until("it has stopped", |cluster| {
        !cluster.node(1).control().is_running()
    });
    assert_eq!(cluster.node(1).view().stopped, Some(Stopped::Ended));
}

/// A flood of commands must not displace the one to stop, even where the node does nothing else.
#[test]
fn paused_node_stops_under_a_flood_of_commands() {
    let mut cluster = Cluster::asleep(1);
    cluster.wake(1);
    cluster.leader();
    let node = cluster.nodes[0].take().expect("it runs");
    let control = node.control();
    control.pause(true);
    let (full, filled) = std::sync::mpsc::channel();
    let flood = std::thread::spawn(move || {
        // More than the queue holds, so that it is full when the node is stopped.
        (0..100_000).for_each(|_| control.pause(true));
        full.send(()).expect("the test waits");
        while control.is_running() {
            control.pause(true);
        }
    });
    filled.recv().expect("no panic");
    let (stopped, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        node.stop();
        stopped.send(()).expect("the test waits");
    });
    wait.recv_timeout(Duration::from_secs(60))
        .expect("the node stops");
    flood.join().expect("no panic");
}

#[test]
fn invalid_configuration_creates_no_store() {
    let mut cluster = Cluster::asleep(1);
    let socket = cluster.sockets[0].take().expect("a port");
    let config = &cluster.configs[0];
    let mut raft = Config::new(
        config.id,
        config.founders().expect("there are members"),
        fresh_seed(),
    );
    raft.heartbeat = raft.election_timeout.1;
    let options = NodeOptions::new(config, raft, QuicOptions::new(socket, config));
    let store = options.store.clone();
    let mark = options.mark.clone();
    let refused = NodeHandle::start(options).expect_err("heartbeats come too late");
    assert!(matches!(refused, StartError::Config(_)), "{refused}");
    assert!(!store.exists() && !mark.exists());
}

#[test]
fn options_that_exceed_a_frame_are_refused_by_name() {
    let mut cluster = Cluster::asleep(1);
    let socket = cluster.sockets[0].take().expect("a port");
    let links = QuicOptions::new(socket, &cluster.configs[0]);
    let error = start(&cluster.configs[0], links, |raft| {
        raft.snapshot_chunk = 1024 * 1024
    })
    .expect_err("too large");
    assert!(
        error
            .to_string()
            .starts_with("snapshot_chunk allows messages"),
        "{error}"
    );
}
