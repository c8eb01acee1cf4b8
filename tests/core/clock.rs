//! The game clock: monotonic stamps on entries, set by the leader, stopped while there is none.

use raftian_raft::{NodeId, Stamp};
use raftian_sim::{Setup, Simulation};
use raftian_tests::SECOND;

fn newest_stamp(cluster: &Simulation) -> u64 {
    cluster
        .ids()
        .filter(|id| cluster.is_up(*id))
        .map(|id| cluster.node(id).status().stamp.0)
        .max()
        .unwrap()
}

/// Commits one command, stamped by the leader's clock, and returns the newest stamp.
fn stamp_one(cluster: &mut Simulation, sequence: u64) -> u64 {
    let leader = cluster.settle(2 * SECOND).unwrap();
    cluster.propose(leader, 1, sequence, b"x").unwrap();
    cluster.stabilize();
    newest_stamp(cluster)
}

#[test]
fn game_clock_runs_with_the_leaders_own() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    let first = stamp_one(&mut cluster, 1);
    cluster.run(10 * SECOND);
    assert_eq!(stamp_one(&mut cluster, 2), first + 10_000);
}

/// Every node applies the same stamp for the same entry, independent of its own clock.
#[test]
fn every_node_sees_the_same_stamps() {
    let mut cluster = Simulation::new(Setup::cluster(5, 1));
    for sequence in 1..=5 {
        stamp_one(&mut cluster, sequence);
        cluster.run(SECOND);
    }
    let stamps = |id| {
        cluster
            .host(id)
            .applied()
            .iter()
            .map(|entry| entry.stamp)
            .collect::<Vec<Stamp>>()
    };
    assert!(cluster.ids().all(|id| stamps(id) == stamps(NodeId(1))));
}

/// The next leader continues from the last stamp in its log, although its machine's clock has
/// another origin.
#[test]
fn game_clock_never_goes_back_across_leaders() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    let mut last = 0;
    for sequence in 1..=12 {
        let stamp = stamp_one(&mut cluster, sequence);
        assert!(stamp >= last, "{stamp} after {last}");
        last = stamp;
        let leader = cluster.settled().unwrap();
        if sequence % 2 == 0 {
            cluster.transfer_leadership(leader, None).unwrap();
        } else {
            cluster.crash(leader);
            cluster.run(SECOND);
            cluster.restart(leader);
        }
    }
}

/// No quorum, no stamps: after an outage the game continues where it stopped.
#[test]
fn game_clock_stops_without_a_leader() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    let before = stamp_one(&mut cluster, 1);
    for id in cluster.ids() {
        cluster.crash(id);
    }
    cluster.advance(3600 * SECOND);
    for id in cluster.ids() {
        cluster.restart(id);
    }
    let after = stamp_one(&mut cluster, 2);
    assert!(
        after - before < 2_000,
        "an hour without a leader advanced the game clock by {} ms",
        after - before
    );
}
