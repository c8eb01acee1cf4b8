//! The game clock: stamps on entries, set by the leader, never going back, standing still without a
//! leader.

use raftian_lab::{Setup, Simulation};
use raftian_raft::{NodeId, Stamp};
use raftian_tests::SECOND;

fn newest_stamp(cluster: &Simulation) -> u64 {
    cluster
        .ids()
        .filter(|id| cluster.is_up(*id))
        .map(|id| cluster.node(id).status().stamp.0)
        .max()
        .unwrap()
}

/// One command at the leader, stamped now.
fn stamp_one(cluster: &mut Simulation, sequence: u64) -> u64 {
    let leader = cluster.settle(2 * SECOND).unwrap();
    cluster.propose(leader, 1, sequence, b"x").unwrap();
    cluster.stabilize();
    newest_stamp(cluster)
}

#[test]
fn the_game_clock_runs_with_the_leaders_own() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    let first = stamp_one(&mut cluster, 1);
    cluster.run(10 * SECOND);
    assert_eq!(stamp_one(&mut cluster, 2), first + 10_000);
}

/// Every node applies the same stamp for the same entry, whatever its own clock says.
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

/// The next leader's clock goes on from the last stamp in its log, though its machine's clock began
/// elsewhere.
#[test]
fn the_game_clock_never_goes_back_across_leaders() {
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

/// No quorum, no stamps: whoever comes back finds the game where it was.
#[test]
fn the_game_clock_stands_still_without_a_leader() {
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
        "an hour without a leader took {} ms of the game",
        after - before
    );
}
