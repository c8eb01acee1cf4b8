//! Pre-vote: thesis 9.6.

use std::time::Duration;

use raftian_raft::{Body, LogPosition, Message, Moment, RoleKind, Term};
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// "A candidate only increments its term if it first learns from a majority of the cluster that
/// they would be willing to grant the candidate their votes" (thesis 9.6).
#[test]
fn pre_vote_round_changes_no_term_and_no_vote() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    let status = cluster.node(N1).status();
    assert_eq!(
        (status.role, status.term, status.vote),
        (RoleKind::PreCandidate, Term(0), None)
    );
    assert_eq!(cluster.host(N1).image().hard_state.term, Term(0));
}

/// Granting or refusing a pre-vote changes nothing: no term, no vote, no timer, no disk.
#[test]
fn answering_a_pre_vote_changes_nothing() {
    for last in [
        LogPosition::default(),
        LogPosition {
            term: Term(9),
            index: raftian_raft::Index(9),
        },
    ] {
        let mut cluster = Simulation::new(Setup::cluster(3, 1).log(2, &[1]));
        cluster.hold_disk(N2);
        let before = cluster.node(N2).status();
        let disk = cluster.host(N2).image().clone();
        let message = Message::new(Term(10), Body::PreVote { last, priority: 0 });
        cluster.inject([Envelope {
            serial: 0,
            from: N1,
            to: N2,
            sent: Moment(0),
            message,
        }]);
        cluster.deliver(|_| true);
        assert_eq!(cluster.queued().len(), 1, "it replies");
        assert_eq!(
            (cluster.node(N2).status(), cluster.host(N2).image().clone()),
            (before, disk)
        );
        assert_eq!(cluster.host(N2).writes_under_way(), 0);
    }
}

/// "Pre-Vote solves the issue of a partitioned server disrupting the cluster when it rejoins"
/// (thesis 9.6).
#[test]
fn node_that_was_cut_off_does_not_depose_the_leader() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    let term = cluster.node(N1).term();
    cluster.isolate(N3);
    cluster.run(5 * SECOND);
    cluster.heal();
    assert_eq!(cluster.settle(SECOND).unwrap(), N1);
    assert_eq!(cluster.node(N1).term(), term);
}

/// Without pre-vote, the rejoining node has a later term and the leader steps down.
#[test]
fn without_pre_vote_a_rejoining_node_deposes_the_leader() {
    let setup = Setup::cluster(3, 1).configure(|config| config.pre_vote = false);
    let mut cluster = led_by_n1(setup);
    let term = cluster.node(N1).term();
    cluster.isolate(N3);
    cluster.run(5 * SECOND);
    cluster.heal();
    cluster.run(SECOND);
    assert!(cluster.node(N1).term() > term);
}

/// A refusal must carry the voter's term; otherwise a candidate in an earlier term could never win.
#[test]
fn refused_pre_candidate_learns_the_later_term() {
    let mut cluster = Simulation::new(Setup::cluster(2, 1).log(1, &[1]).term(2, 9));
    cluster.isolate(N2);
    cluster.heal();
    cluster.campaign(N1);
    cluster.stabilize();
    assert_eq!(
        (cluster.node(N1).term(), cluster.node(N1).role()),
        (Term(9), RoleKind::Follower)
    );
    cluster.campaign(N1);
    cluster.stabilize();
    assert_eq!(
        cluster.leaders(),
        [N1],
        "only n1 has the entry, so only n1 can win"
    );
}

/// A pre-vote granted for another term is stale.
#[test]
fn grant_for_another_term_does_not_count() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2));
    let stale = cluster.copies(|m| m.is(Kind::PreVoteReply));
    cluster.drop_messages(|_| true);
    // Moves n1 to a later term, so that its next round asks for another term than the grant.
    let later = Message::new(Term(4), Body::VoteReply { granted: false });
    cluster.inject([Envelope {
        serial: 0,
        from: N3,
        to: N1,
        sent: Moment(0),
        message: later,
    }]);
    cluster.stabilize();
    cluster.campaign(N1);
    cluster.drop_messages(|_| true);
    cluster.inject(stale);
    cluster.stabilize();
    assert_eq!(
        (cluster.node(N1).role(), cluster.node(N1).term()),
        (RoleKind::PreCandidate, Term(4))
    );
}

/// A partial partition: n3 is cut off from the leader, n2 from neither. If n3 could start
/// elections, they would never end.
#[test]
fn follower_cut_off_from_the_leader_starts_no_election() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    let term = cluster.node(N1).term();
    cluster.cut(N1, N3);
    cluster.cut(N3, N1);
    for sequence in 1..=20 {
        cluster.run(SECOND / 4);
        cluster.propose(N1, 1, sequence, b"x").unwrap();
    }
    assert_eq!(
        (cluster.leaders(), cluster.node(N1).term()),
        (vec![N1], term)
    );
    assert_eq!(cluster.node(N3).role(), RoleKind::PreCandidate);
    assert_eq!(
        cluster.host(N2).effects().len(),
        19,
        "the last one is still in flight"
    );
}

/// A leader that requests votes no longer leads: stickiness protects a leader from other
/// candidates, not from itself.
#[test]
fn restarted_leader_can_be_elected_again_at_once() {
    let mut cluster = Simulation::new(Setup::cluster(3, 11));
    let leader = cluster.settle(Duration::from_secs(2)).expect("a leader");
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.campaign(leader);
    cluster.stabilize();
    assert_eq!(cluster.node(leader).role(), RoleKind::Leader);
}
