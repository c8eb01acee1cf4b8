//! Repair: a node whose state is not what the log makes of it gets that of a majority.

use raftian_lab::simulation::Kind;
use raftian_lab::{Setup, Simulation};
use raftian_raft::{AppendReply, Body, RoleKind};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// Three nodes that compare their states after every so many entries, led by n1.
fn comparing(every: u64) -> Simulation {
    led_by_n1(Setup::cluster(3, 8).hash_every(every))
}

fn order(cluster: &mut Simulation, sequence: u64) {
    cluster.propose(N1, 7, sequence, b"attack").unwrap();
    cluster.settle(SECOND).unwrap();
}

fn alike(cluster: &Simulation) -> bool {
    cluster
        .ids()
        .all(|id| cluster.host(id).state_hash() == cluster.host(N1).state_hash())
}

#[test]
fn a_follower_whose_state_went_astray_is_repaired_and_keeps_its_log() {
    let mut cluster = comparing(2);
    order(&mut cluster, 1);
    cluster.go_astray(N2);
    let last = cluster.node(N2).last();
    assert!(!alike(&cluster));
    (2..=3).for_each(|sequence| order(&mut cluster, sequence));
    // The leader hears of it with a heartbeat, and hears the same of the others with every later
    // one: nothing of that brings up again what is mended.
    cluster.run(SECOND);
    assert!(alike(&cluster));
    assert!(cluster.node(N2).last() > last);
    assert_eq!(cluster.tally().of("saw a diverged state"), 1);
    assert_eq!(cluster.tally().of("sent a snapshot"), 1);
}

#[test]
fn a_leader_whose_state_went_astray_hands_over_and_is_repaired() {
    let mut cluster = comparing(1);
    order(&mut cluster, 1);
    cluster.go_astray(N1);
    for sequence in 2..=6 {
        let leader = cluster.settle(SECOND).unwrap();
        cluster.propose(leader, 7, sequence, b"attack").unwrap();
    }
    cluster.settle(SECOND).unwrap();
    assert!(cluster.tally().of("handed over") >= 1);
    assert!(alike(&cluster));
}

/// An answer that was on its way for long tells of a state that has been replaced since.
#[test]
fn what_a_repaired_follower_told_before_repairs_it_no_second_time() {
    let mut cluster = comparing(1);
    cluster.go_astray(N2);
    cluster.propose(N1, 7, 1, b"attack").unwrap();
    let mut told = Vec::new();
    let astray = cluster.host(N2).state_hash();
    for step in 0.. {
        if cluster.tally().of("repaired a state that went astray") > 0 {
            break;
        }
        assert!(step < 1_000, "nobody repairs it");
        told.extend(cluster.copies(|m| m.from == N2 && m.is(Kind::AppendReply)));
        if !cluster.deliver_one(|_| true) {
            cluster.tick(N1);
        }
    }
    cluster.settle(SECOND).unwrap();
    assert!(alike(&cluster) && cluster.host(N2).state_hash() != astray);
    let tells = |body: &Body| matches!(body, Body::AppendReply(AppendReply { state: Some(_), .. }));
    assert!(
        told.iter().any(|envelope| tells(&envelope.message.body)),
        "it told of its state"
    );
    let seen = cluster.tally().of("saw a diverged state");
    cluster.inject(told);
    cluster.settle(SECOND).unwrap();
    assert_eq!((seen, cluster.tally().of("saw a diverged state")), (1, 1));
    assert_eq!(cluster.tally().of("sent a snapshot"), 1);
    assert_eq!(cluster.node(N3).role(), RoleKind::Follower);
    // It is looked at again, by what it tells from now on.
    cluster.go_astray(N2);
    (2..=4).for_each(|sequence| order(&mut cluster, sequence));
    assert!(alike(&cluster));
    assert_eq!(cluster.tally().of("saw a diverged state"), 2);
}
