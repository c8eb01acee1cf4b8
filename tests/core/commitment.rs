//! Commitment: sections 5.3 and 5.4.2.

use std::time::Duration;

use raftian_raft::{
    AppendEntries, Body, Index, LogPosition, Message, Moment, NodeId, RoleKind, Term,
};
use raftian_sim::cluster::{Envelope, Kind};
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, N5, SECOND};

fn terms(cluster: &Simulation, id: NodeId) -> Vec<u64> {
    cluster
        .node(id)
        .entries_from(Index(1))
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

/// Figure 8 up to (c): n1 leads term 4 and has replicated the entry of term 2 to a majority, but
/// not yet its own.
fn figure_8_c() -> Simulation {
    let setup = Setup::cluster(5, 8)
        .log(1, &[1, 2])
        .log(2, &[1, 2])
        .log(3, &[1])
        .log(4, &[1])
        .log(5, &[1, 3]);
    let mut cluster = Simulation::new(
        setup
            .term(1, 3)
            .term(2, 3)
            .configure(|config| config.max_append_entries = 1),
    );
    cluster.crash(N5);
    cluster.campaign(N1);
    let to_n3 = |m: &Envelope| m.between(1, 3) || m.between(3, 1);
    for kind in [
        Kind::PreVote,
        Kind::PreVoteReply,
        Kind::RequestVote,
        Kind::VoteReply,
    ] {
        cluster.deliver(|m| m.is(kind));
    }
    assert_eq!(
        (cluster.node(N1).role(), cluster.node(N1).term()),
        (RoleKind::Leader, Term(4))
    );
    // The first append is refused, the second carries index 2 of term 2; the third, which carries
    // the leader's own entry, is lost.
    cluster.deliver(to_n3);
    cluster.deliver(to_n3);
    cluster.deliver(to_n3);
    assert_eq!(terms(&cluster, N3), [1, 2]);
    cluster.deliver(|m| m.between(3, 1));
    cluster.drop_messages(|_| true);
    cluster
}

/// "A leader cannot immediately conclude that an entry from a previous term is committed once it is
/// stored on a majority of servers" (section 5.4.2).
#[test]
fn earlier_term_entry_is_not_committed_by_counting_replicas() {
    let mut cluster = figure_8_c();
    let holders = cluster.ids().filter(|id| {
        cluster
            .host(*id)
            .image()
            .entries
            .get(1)
            .is_some_and(|e| e.term == Term(2))
    });
    assert_eq!(holders.count(), 3, "index 2 of term 2 is on a majority");
    assert!(
        cluster
            .ids()
            .filter(|id| cluster.is_up(*id))
            .all(|id| cluster.node(id).commit() == Index(0))
    );

    // (d): n1 crashes, n5 is elected by n2, n3, n4 and overwrites index 2.
    cluster.crash(N1);
    cluster.restart(N5);
    cluster.campaign(N5);
    cluster.stabilize();
    if cluster.leaders().is_empty() {
        // Its first campaign used a term that was already over; the replies carried the later one.
        cluster.campaign(N5);
        cluster.stabilize();
    }
    assert_eq!(cluster.leaders(), [N5]);
    assert_eq!(terms(&cluster, N3)[..2], [1, 3]);
    cluster.restart(N1);
    assert_eq!(cluster.settle(SECOND).unwrap(), N5);
    assert_eq!(terms(&cluster, N1)[..2], [1, 3]);
}

/// "Once an entry from the current term has been committed in this way, then all prior entries are
/// committed indirectly" (5.4.2; figure 8 e).
#[test]
fn current_term_entry_commits_all_entries_before_it() {
    let mut cluster = figure_8_c();
    cluster.run(Duration::from_millis(100));
    assert_eq!(cluster.node(N1).commit(), Index(3));
    assert_eq!(terms(&cluster, N3), [1, 2, 4]);
    cluster.restart(N5);
    cluster.campaign(N5);
    cluster.settle(SECOND).unwrap();
    assert_eq!(terms(&cluster, N5)[..3], [1, 2, 4], "n5 could not win");
}

/// "Raft guarantees that committed entries are durable": an entry held by a minority is not
/// committed.
#[test]
fn leader_without_a_majority_commits_nothing() {
    let mut cluster = Simulation::new(Setup::cluster(5, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    // n1 and n2 are two of five.
    cluster.partition(&[&[N1, N2]]);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(
        (cluster.node(N1).last().index, cluster.node(N1).commit()),
        (Index(2), Index(1))
    );
}

/// A leader counts itself like any other node: only for entries on its disk.
#[test]
fn leader_with_a_held_disk_does_not_count_itself() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    cluster.hold_disk(N1);
    cluster.isolate(N3);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(
        cluster.node(N1).commit(),
        Index(1),
        "the entry is on the disk of n2 alone"
    );
    cluster.heal();
    // One heartbeat interval: n1 sends the entry to n3 again.
    cluster.advance(Duration::from_millis(50));
    cluster.stabilize();
    assert_eq!(
        cluster.node(N1).commit(),
        Index(2),
        "n2 and n3 are a majority"
    );
    assert_eq!(
        cluster.host(N1).effects().len(),
        0,
        "its own disk does not hold the entry yet"
    );
    cluster.release_disk(N1);
    assert_eq!(cluster.host(N1).effects().len(), 1);
}

/// In a cluster of one, the vote and the entry count once they are on disk.
#[test]
fn single_voter_waits_for_its_own_disk() {
    let mut cluster = Simulation::new(Setup::cluster(1, 1));
    cluster.hold_disk(N1);
    cluster.campaign(N1);
    assert_eq!(
        cluster.node(N1).role(),
        RoleKind::Candidate,
        "a crash now would let it lead the same term twice"
    );
    cluster.complete_writes(N1, 1);
    assert_eq!(
        (cluster.node(N1).role(), cluster.node(N1).commit()),
        (RoleKind::Leader, Index(0))
    );
    cluster.complete_writes(N1, 1);
    assert_eq!(cluster.node(N1).commit(), Index(1));
}

/// Followers learn the new commit index at once, not with the next command or heartbeat.
#[test]
fn commit_index_is_sent_as_soon_as_it_advances() {
    let mut cluster = Simulation::new(Setup::cluster(5, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert!(
        cluster
            .ids()
            .all(|id| cluster.host(id).effects().len() == 1),
        "no time has passed"
    );
}

/// "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)"
/// (figure 2): entries beyond those of the message may be another leader's.
#[test]
fn follower_commits_only_entries_covered_by_the_message() {
    let setup = Setup::cluster(3, 1)
        .log(1, &[1, 2])
        .log(2, &[1, 2])
        .log(3, &[1, 1, 1])
        .term(3, 2);
    let mut cluster = Simulation::new(setup);
    // The message confirms index 1; the follower's entry at index 2 is not the leader's.
    let previous = LogPosition {
        term: Term(1),
        index: Index(1),
    };
    let append = AppendEntries {
        previous,
        commit: Index(2),
        probe: None,
        round_trip: 0,
        entries: Vec::new(),
    };
    let message = Message::new(Term(2), Body::AppendEntries(append));
    cluster.inject([Envelope {
        serial: 0,
        from: N1,
        to: N3,
        sent: Moment(0),
        message,
    }]);
    cluster.deliver(|_| true);
    assert_eq!(cluster.node(N3).commit(), Index(1));
}

/// A new leader commits entries of earlier terms without waiting for a command (section 8).
#[test]
fn new_leader_commits_earlier_entries_with_an_empty_one() {
    let setup = Setup::cluster(3, 1)
        .log(1, &[1, 2, 2])
        .log(2, &[1, 2])
        .log(3, &[1]);
    let mut cluster = Simulation::new(setup.term(1, 2).term(2, 2).term(3, 2));
    cluster.campaign(N1);
    cluster.stabilize();
    assert!(
        cluster
            .ids()
            .all(|id| cluster.node(id).commit() == Index(4))
    );
}
