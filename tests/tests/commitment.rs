//! Commitment: sections 5.3 and 5.4.2.

use std::time::Duration;

use raftian_lab::simulation::{Envelope, Kind};
use raftian_lab::{Setup, Simulation};
use raftian_raft::{
    AppendEntries, Body, Index, LogPosition, Message, Moment, NodeId, RoleKind, Term,
};
use raftian_tests::{N1, N2, N3, N5, SECOND};

fn terms(cluster: &Simulation, id: NodeId) -> Vec<u64> {
    cluster
        .node(id)
        .entries_from(Index(1))
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

/// Figure 8 up to (c): n1 leads term 4 and has brought the entry of term 2 to a majority, its own
/// not yet.
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
    // The first append is refused, the second brings index 2, of term 2; the third, with the
    // leader's own entry, is lost.
    cluster.deliver(to_n3);
    cluster.deliver(to_n3);
    cluster.deliver(to_n3);
    assert_eq!(terms(&cluster, N3), [1, 2]);
    cluster.deliver(|m| m.between(3, 1));
    cluster.drop_messages(|_| true);
    cluster
}

/// "A log entry from an earlier term … is stored on a majority of servers, yet can still be
/// overwritten by a future leader" (figure 8).
#[test]
fn an_entry_of_an_earlier_term_on_a_majority_is_not_committed_by_counting() {
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
        // Its first term was over already; it has learnt of the later one.
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
fn an_entry_of_the_own_term_commits_all_before_it() {
    let mut cluster = figure_8_c();
    cluster.run(Duration::from_millis(100));
    assert_eq!(cluster.node(N1).commit(), Index(3));
    assert_eq!(terms(&cluster, N3), [1, 2, 4]);
    cluster.restart(N5);
    cluster.campaign(N5);
    cluster.settle(SECOND).unwrap();
    assert_eq!(terms(&cluster, N5)[..3], [1, 2, 4], "n5 could not win");
}

/// "Raft guarantees that committed entries are durable": nothing that a minority holds is
/// committed.
#[test]
fn a_leader_without_a_majority_commits_nothing() {
    let mut cluster = Simulation::new(Setup::cluster(5, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    cluster.partition(&[&[N1, N2]]);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(
        (cluster.node(N1).last().index, cluster.node(N1).commit()),
        (Index(2), Index(1))
    );
}

/// A leader counts itself like any other: by what is on its disk.
#[test]
fn a_leader_with_a_held_disk_commits_with_the_others_and_not_without() {
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
        "it is on the disk of n2 alone"
    );
    cluster.heal();
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
        "its own disk does not hold it yet"
    );
    cluster.release_disk(N1);
    assert_eq!(cluster.host(N1).effects().len(), 1);
}

/// A cluster of one: the vote and the entry are as good as its disk.
#[test]
fn a_single_voter_neither_leads_nor_commits_before_its_own_disk_has_written() {
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

/// Followers learn of a commitment at once, not with the next command or heartbeat.
#[test]
fn the_commit_index_is_pushed_as_soon_as_it_moves() {
    let mut cluster = Simulation::new(Setup::cluster(5, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert!(
        cluster
            .ids()
            .all(|id| cluster.host(id).effects().len() == 1),
        "without any time passing"
    );
}

/// "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)"
/// (figure 2): what lies beyond the entries of the message may be another leader's.
#[test]
fn a_follower_commits_only_what_the_message_speaks_of() {
    let setup = Setup::cluster(3, 1)
        .log(1, &[1, 2])
        .log(2, &[1, 2])
        .log(3, &[1, 1, 1])
        .term(3, 2);
    let mut cluster = Simulation::new(setup);
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

/// A new leader commits what its predecessors left behind without waiting for a command (section
/// 8).
#[test]
fn a_new_leader_commits_earlier_entries_with_an_empty_one() {
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
