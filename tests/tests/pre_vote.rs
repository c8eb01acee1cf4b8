//! Pre-vote: thesis 9.6.

use std::time::Duration;

use raftian_lab::simulation::{Envelope, Kind};
use raftian_lab::{Setup, Simulation};
use raftian_raft::{Body, LogPosition, Message, Moment, RoleKind, Term};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// "A candidate only increments its term if it first learns from a majority of the cluster that
/// they would be willing to grant the candidate their votes" (thesis 9.6).
#[test]
fn asking_for_pre_votes_enters_no_term_and_gives_no_vote_away() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    let status = cluster.node(N1).status();
    assert_eq!(
        (status.role, status.term, status.vote),
        (RoleKind::PreCandidate, Term(0), None)
    );
    assert_eq!(cluster.host(N1).image().hard_state.term, Term(0));
}

/// Granting or refusing a pre-vote touches nothing: no term, no vote, no timer, no disk.
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
        let (before, disk) = (cluster.node(N2).status(), cluster.host(N2).image().clone());
        let message = Message::new(Term(10), Body::PreVote { last, priority: 0 });
        cluster.inject([Envelope {
            serial: 0,
            from: N1,
            to: N2,
            sent: Moment(0),
            message,
        }]);
        cluster.deliver(|_| true);
        assert_eq!(cluster.queued().len(), 1, "it answers");
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
fn a_node_that_was_cut_off_does_not_depose_the_leader() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    let term = cluster.node(N1).term();
    cluster.isolate(N3);
    cluster.run(5 * SECOND);
    cluster.heal();
    assert_eq!(cluster.settle(SECOND).unwrap(), N1);
    assert_eq!(cluster.node(N1).term(), term);
}

/// Without it, the one that comes back brings a later term and the leader goes.
#[test]
fn without_pre_vote_a_node_that_was_cut_off_does() {
    let setup = Setup::cluster(3, 1).configure(|config| config.pre_vote = false);
    let mut cluster = led_by_n1(setup);
    let term = cluster.node(N1).term();
    cluster.isolate(N3);
    cluster.run(5 * SECOND);
    cluster.heal();
    cluster.run(SECOND);
    assert!(cluster.node(N1).term() > term);
}

/// A refusal that did not carry the refuser's term would leave a candidate behind it unable to win
/// for ever.
#[test]
fn a_refused_pre_candidate_learns_the_later_term() {
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
        "only n1 has the entry, and now it wins"
    );
}

/// A grant is for one term; granted for another, it is stale.
#[test]
fn a_grant_for_another_term_does_not_count() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2));
    let stale = cluster.copies(|m| m.is(Kind::PreVoteReply));
    cluster.drop_messages(|_| true);
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

/// A partial partition: n3 does not hear the leader, n2 hears both. Elections without end, if n3
/// could start one.
#[test]
fn a_follower_cut_off_from_the_leader_alone_cannot_start_elections() {
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
        "the last one is still on its way"
    );
}

/// A leader that asks for votes leads no longer: stickiness protects leaders from others, not from
/// themselves.
#[test]
fn a_leader_that_restarted_at_once_is_not_refused_for_its_own_sake() {
    let mut cluster = Simulation::new(Setup::cluster(3, 11));
    let leader = cluster.settle(Duration::from_secs(2)).expect("a leader");
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.campaign(leader);
    cluster.stabilize();
    assert_eq!(cluster.node(leader).role(), RoleKind::Leader);
}
