//! Founding while disks of most founders are lost. A founded cluster tolerates no such loss.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use raftian_raft::{Founding, NodeId};
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Wipe(NodeId),
    Crash(NodeId),
    Isolate(NodeId),
    Cut(NodeId, NodeId),
    HoldDisk(NodeId),
    Heal,
    Wait,
}

fn node() -> impl Strategy<Value = NodeId> {
    prop::sample::select(vec![N1, N2, N3])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => node().prop_map(Fault::Wipe),
        2 => node().prop_map(Fault::Crash),
        2 => node().prop_map(Fault::Isolate),
        2 => (node(), node()).prop_map(|(from, to)| Fault::Cut(from, to)),
        1 => node().prop_map(Fault::HoldDisk),
        3 => Just(Fault::Heal),
        4 => Just(Fault::Wait),
    ]
}

/// The machines whose disks hold a founding membership.
fn founded(cluster: &Simulation) -> Vec<NodeId> {
    cluster
        .ids()
        .filter(|id| matches!(cluster.host(*id).image().founding, Founding::Agreed(_)))
        .collect()
}

fn inject(cluster: &mut Simulation, fault: Fault) {
    match fault {
        // Later losses must leave a majority, as for any cluster; storms cover them.
        Fault::Wipe(id) if founded(cluster).is_empty() => cluster.wipe(id),
        Fault::Wipe(_) | Fault::Wait => {}
        Fault::Crash(id) => {
            cluster.crash(id);
            cluster.restart(id);
        }
        Fault::Isolate(id) => cluster.isolate(id),
        Fault::Cut(from, to) => cluster.cut(from, to),
        Fault::HoldDisk(id) => cluster.hold_disk(id),
        Fault::Heal => {
            cluster.heal();
            for id in cluster.ids() {
                cluster.release_disk(id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The simulation checks after every step that no disk takes part in two foundings, and every
    /// property of Raft.
    #[test]
    fn disks_lost_before_the_founding_never_found_twice(seed: u64, faults in vec(fault(), 1..40)) {
        let mut cluster = Simulation::new(Setup::cluster(3, seed).founders_agree());
        for fault in faults {
            inject(&mut cluster, fault);
            cluster.run(Duration::from_millis(40));
        }
    }
}

/// Both outcomes of a disk that is lost before the founding.
#[test]
fn lost_disk_prevents_a_founding_only_if_another_founder_recorded_it() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1).founders_agree());
    cluster.wipe(N3);
    cluster.drop_messages(|_| true);
    cluster.run(Duration::from_secs(1));
    assert_eq!(
        founded(&cluster),
        [N1, N2, N3],
        "no founder had received anything"
    );
    let mut cluster = Simulation::new(Setup::cluster(3, 1).founders_agree());
    cluster.isolate(N2);
    cluster.run(Duration::from_secs(1));
    cluster.wipe(N3);
    cluster.heal();
    cluster.run(Duration::from_secs(5));
    assert_eq!(founded(&cluster), [], "n1 has recorded another disk of n3");
}
