//! Repair: a node whose state diverged from the log receives the state of a majority.

use raftian_raft::{AppendReply, Body, RoleKind};
use raftian_sim::cluster::Kind;
use raftian_sim::coverage::Mark;
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// Three nodes, led by n1, that compare their states after every `every` entries.
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
fn diverged_follower_is_repaired_and_keeps_its_log() {
    let mut cluster = comparing(2);
    order(&mut cluster, 1);
    cluster.diverge(N2);
    let last = cluster.node(N2).last();
    assert!(!alike(&cluster));
    (2..=3).for_each(|sequence| order(&mut cluster, sequence));
    // State hashes arrive with heartbeat replies; later ones must not trigger another repair.
    cluster.run(SECOND);
    assert!(alike(&cluster));
    assert!(cluster.node(N2).last() > last);
    assert_eq!(cluster.counters().of(Mark::SawDivergedState), 1);
    assert_eq!(cluster.counters().of(Mark::ReplacedDivergedState), 1);
    assert_eq!(cluster.counters().of(Mark::SentSnapshot), 1);
}

#[test]
fn diverged_leader_transfers_leadership_and_is_repaired() {
    let mut cluster = comparing(1);
    order(&mut cluster, 1);
    cluster.diverge(N1);
    for sequence in 2..=6 {
        let leader = cluster.settle(SECOND).unwrap();
        cluster.propose(leader, 7, sequence, b"attack").unwrap();
    }
    cluster.settle(SECOND).unwrap();
    assert!(cluster.counters().of(Mark::BeganLeadershipTransfer) >= 1);
    assert!(alike(&cluster));
}

/// A delayed reply carries the hash of a state that has been replaced since.
#[test]
fn stale_state_hash_does_not_trigger_a_second_repair() {
    let mut cluster = comparing(1);
    cluster.diverge(N2);
    cluster.propose(N1, 7, 1, b"attack").unwrap();
    let mut stale = Vec::new();
    let astray = cluster.host(N2).state_hash();
    for step in 0.. {
        if cluster.counters().of(Mark::RepairedDivergedState) > 0 {
            break;
        }
        assert!(step < 1_000, "the follower was not repaired");
        stale.extend(cluster.copies(|m| m.from == N2 && m.is(Kind::AppendReply)));
        if !cluster.deliver_one(|_| true) {
            cluster.tick(N1);
        }
    }
    cluster.settle(SECOND).unwrap();
    assert!(alike(&cluster) && cluster.host(N2).state_hash() != astray);
    let has_hash =
        |body: &Body| matches!(body, Body::AppendReply(AppendReply { state: Some(_), .. }));
    assert!(
        stale.iter().any(|m| has_hash(&m.message.body)),
        "no reply carried a state hash"
    );
    let seen = cluster.counters().of(Mark::SawDivergedState);
    cluster.inject(stale);
    cluster.settle(SECOND).unwrap();
    assert_eq!(
        (seen, cluster.counters().of(Mark::SawDivergedState)),
        (1, 1)
    );
    assert_eq!(cluster.counters().of(Mark::SentSnapshot), 1);
    assert_eq!(cluster.node(N3).role(), RoleKind::Follower);
    // Hashes it sends from now on count again.
    cluster.diverge(N2);
    (2..=4).for_each(|sequence| order(&mut cluster, sequence));
    assert!(alike(&cluster));
    assert_eq!(cluster.counters().of(Mark::SawDivergedState), 2);
}
