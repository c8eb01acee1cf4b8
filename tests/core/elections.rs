//! Leader election: section 5.2 and the restriction of section 5.4.1.

use raftian_raft::{Body, LogPosition, Message, Moment, NodeId, RoleKind, Term};
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, N4, SECOND};

fn without_pre_vote(size: u64) -> Setup {
    Setup::cluster(size, 1).configure(|config| config.pre_vote = false)
}

fn from_nobody(from: NodeId, to: NodeId, term: u64, body: Body) -> [Envelope; 1] {
    [Envelope {
        serial: 0,
        from,
        to,
        sent: Moment(0),
        message: Message::new(Term(term), body),
    }]
}

/// "A server remains in follower state as long as it receives valid RPCs from a leader or
/// candidate" (5.2).
#[test]
fn quiet_cluster_elects_one_leader_and_keeps_it() {
    for size in 1..=7 {
        let mut cluster = Simulation::new(Setup::cluster(size, 5));
        let leader = cluster.settle(SECOND).unwrap();
        let term = cluster.node(leader).term();
        cluster.run(10 * SECOND);
        assert_eq!(
            (cluster.leaders(), cluster.node(leader).term()),
            (vec![leader], term)
        );
    }
}

/// "A candidate wins an election if it receives votes from a majority of the servers in the full
/// cluster for the same term" (5.2).
#[test]
fn minority_elects_no_leader_and_majority_does() {
    let mut cluster = Simulation::new(Setup::cluster(5, 2));
    cluster.partition(&[&[N1, N2], &[N3, N4, NodeId(5)]]);
    cluster.run(3 * SECOND);
    let leaders = cluster.leaders();
    assert!(leaders.len() == 1 && leaders[0] >= N3, "{leaders:?} lead");
    assert_eq!(
        cluster.node(N1).term(),
        Term(0),
        "a pre-vote round does not increment the term"
    );
}

/// "If many followers become candidates at the same time, votes could be split so that no candidate
/// obtains a majority" (5.2).
#[test]
fn split_vote_elects_no_leader_and_a_later_election_does() {
    let mut cluster = Simulation::new(without_pre_vote(4));
    cluster.campaign(N1);
    cluster.campaign(N2);
    // Two votes each, of four.
    cluster.deliver(|m| m.between(1, 3) || m.between(2, 4));
    cluster.stabilize();
    assert!(cluster.leaders().is_empty());
    assert_eq!(
        [N1, N2, N3, N4].map(|id| cluster.node(id).term()),
        [Term(1); 4]
    );
    let leader = cluster.settle(3 * SECOND).unwrap();
    assert!(cluster.node(leader).term() > Term(1));
}

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served
/// basis" (5.2), also across a crash.
#[test]
fn restarted_node_remembers_its_vote() {
    let mut cluster = Simulation::new(without_pre_vote(3));
    cluster.campaign(N1);
    cluster.deliver_one(|m| m.between(1, 3));
    cluster.crash(N3);
    cluster.restart(N3);
    cluster.drop_messages(|_| true);
    cluster.campaign(N2);
    // Same term, so that only the stored vote can make n3 refuse.
    assert_eq!(cluster.node(N2).term(), cluster.node(N3).term());
    cluster.stabilize();
    assert_eq!(cluster.node(N3).status().vote, Some(N1));
    assert!(cluster.leaders().is_empty(), "n2 has only its own vote");
}

/// A vote is for one term: the original of this game voted once per process.
#[test]
fn node_votes_anew_in_every_term() {
    let mut cluster = Simulation::new(without_pre_vote(3));
    for (term, candidate) in [(1, N1), (2, N2), (3, N1), (4, N2)] {
        // The winner's heartbeats are lost, so no follower refuses the next candidate.
        cluster.campaign(candidate);
        cluster.deliver(|m| m.is(Kind::RequestVote));
        assert_eq!(
            cluster.node(N3).status().vote,
            Some(candidate),
            "in term {term}"
        );
        cluster.drop_messages(|_| true);
    }
}

/// "If the logs have last entries with different terms, then the log with the later term is more
/// up-to-date. If the logs end with the same term, then whichever log is longer is more up-to-date"
/// (5.4.1).
#[test]
fn candidate_with_an_older_log_is_refused() {
    for (candidate, voter, granted) in [
        (&[1, 1, 1, 1][..], &[1, 2][..], false),
        (&[1, 2], &[1, 1, 1, 1], true),
        (&[1, 1], &[1, 1, 1], false),
        (&[1, 1, 1], &[1, 1, 1], true),
        (&[], &[1], false),
    ] {
        let setup = without_pre_vote(3)
            .log(1, candidate)
            .log(2, voter)
            .term(1, 2)
            .term(2, 2);
        let mut cluster = Simulation::new(setup);
        cluster.isolate(N3);
        cluster.campaign(N1);
        cluster.stabilize();
        let won = cluster.node(N1).role() == RoleKind::Leader;
        assert_eq!(won, granted, "{candidate:?} requests the vote of {voter:?}");
    }
}

/// "If the leader's term is at least as large as the candidate's current term, then the candidate
/// recognizes the leader as legitimate and returns to follower state" (5.2).
#[test]
fn candidate_follows_the_leader_of_its_term() {
    let mut cluster = Simulation::new(without_pre_vote(3));
    cluster.campaign(N1);
    cluster.campaign(N2);
    cluster.deliver(|m| m.between(1, 3));
    cluster.deliver(|m| m.between(3, 1));
    assert_eq!(
        (cluster.node(N1).role(), cluster.node(N2).role()),
        (RoleKind::Leader, RoleKind::Candidate)
    );
    cluster.deliver(|m| m.between(1, 2) && m.is(Kind::Append));
    assert_eq!(
        (cluster.node(N2).role(), cluster.node(N2).leader()),
        (RoleKind::Follower, Some(N1))
    );
}

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts to
/// follower state" (5.1).
#[test]
fn partitioned_leader_steps_down_on_a_later_term() {
    let mut cluster =
        Simulation::new(Setup::cluster(3, 3).configure(|config| config.check_quorum = false));
    let old = cluster.settle(SECOND).unwrap();
    cluster.isolate(old);
    cluster.run(SECOND);
    assert_eq!(
        cluster.leaders().len(),
        2,
        "without check-quorum the old leader keeps leading"
    );
    cluster.heal();
    let new = cluster.settle(SECOND).unwrap();
    assert!(new != old && cluster.node(old).role() == RoleKind::Follower);
}

/// A vote counts only in the term it was granted for.
#[test]
fn late_vote_does_not_count() {
    let mut cluster = Simulation::new(without_pre_vote(5));
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2) || m.between(1, 3));
    let late = cluster.copies(|m| m.is(Kind::VoteReply));
    assert_eq!(late.len(), 2);
    cluster.drop_messages(|_| true);
    // If the votes of term 1 counted in term 2, they would complete a majority.
    cluster.campaign(N1);
    assert_eq!(cluster.node(N1).term(), Term(2));
    cluster.drop_messages(|_| true);
    cluster.inject(late);
    cluster.stabilize();
    assert_eq!(cluster.node(N1).role(), RoleKind::Candidate);
}

/// A duplicated vote is one vote.
#[test]
fn vote_that_arrives_twice_counts_once() {
    let mut cluster = Simulation::new(without_pre_vote(5));
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2));
    // Counted twice, the vote would complete a majority of five.
    cluster.duplicate(|m| m.is(Kind::VoteReply));
    cluster.deliver(|m| m.is(Kind::VoteReply));
    assert_eq!(cluster.node(N1).role(), RoleKind::Candidate);
}

/// "Election timeouts are chosen randomly from a fixed interval" (5.2), anew each time.
#[test]
fn each_election_timeout_is_drawn_anew_from_the_interval() {
    let mut cluster = Simulation::new(Setup::cluster(3, 8));
    cluster.isolate(N1);
    let mut drawn = std::collections::BTreeSet::new();
    // Isolated, n1 wins no election, so every tick is another election timeout.
    for _ in 0..50 {
        cluster.tick(N1);
        let status = cluster.node(N1).status();
        let before = status.deadline;
        cluster.tick(N1);
        drawn.insert(cluster.node(N1).status().deadline.since(before));
    }
    let (shortest, longest) = cluster.node(N1).config().election_timeout;
    assert!(
        drawn
            .iter()
            .all(|timeout| (shortest..longest).contains(timeout))
    );
    assert!(
        drawn.len() > 40 && longest - shortest > *drawn.last().unwrap() - *drawn.first().unwrap()
    );
}

/// "If a server receives a request with a stale term number, it rejects the request" (5.1).
#[test]
fn request_of_an_earlier_term_is_refused_with_the_later_term() {
    let mut cluster = Simulation::new(without_pre_vote(3).term(2, 7));
    let last = LogPosition::default();
    cluster.inject(from_nobody(
        N1,
        N2,
        3,
        Body::RequestVote {
            last,
            transfer: false,
            priority: 0,
        },
    ));
    cluster.deliver(|_| true);
    let replies = cluster.copies(|m| m.between(2, 1));
    assert_eq!(
        replies[0].message,
        Message::new(Term(7), Body::VoteReply { granted: false })
    );
}

/// The leader of the term is already known: a vote in it could only reset this node's timer.
#[test]
fn follower_that_knows_the_leader_of_a_term_grants_no_vote() {
    let mut cluster = Simulation::new(without_pre_vote(5));
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2) || m.between(1, 3));
    cluster.deliver(|m| m.is(Kind::VoteReply));
    cluster.deliver(|m| m.between(1, 4) && m.is(Kind::Append));
    let term = cluster.node(N4).term().0;
    assert_eq!(
        (cluster.node(N4).leader(), cluster.node(N4).status().vote),
        (Some(N1), None)
    );
    let last = LogPosition {
        term: Term(9),
        index: raftian_raft::Index(9),
    };
    let deadline = cluster.node(N4).wake_at();
    cluster.inject(from_nobody(
        N2,
        N4,
        term,
        Body::RequestVote {
            last,
            transfer: false,
            priority: 0,
        },
    ));
    cluster.deliver(|m| m.between(2, 4));
    assert_eq!(
        (cluster.node(N4).status().vote, cluster.node(N4).wake_at()),
        (None, deadline)
    );
}

/// A candidate that cannot win must not delay those that can: a follower's timer is reset by a
/// leader or by granting a vote, not by a later term.
#[test]
fn refused_candidate_does_not_reset_election_timers() {
    let mut cluster = Simulation::new(without_pre_vote(3).log(2, &[1]).log(3, &[1]));
    let deadline = cluster.node(N2).wake_at();
    // n1 has the shortest log, so it is refused in every term.
    cluster.campaign(N1);
    cluster.campaign(N1);
    cluster.deliver(|m| m.between(1, 2));
    let status = cluster.node(N2).status();
    assert_eq!(
        (status.term, status.vote, status.deadline),
        (Term(2), None, deadline)
    );
}
