//! Log replication: section 5.3.

use std::time::Duration;

use raftian_raft::{Body, Index, NodeId, Term};
use raftian_sim::cluster::Kind;
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

fn terms(cluster: &Simulation, id: NodeId) -> Vec<u64> {
    cluster
        .node(id)
        .entries_from(Index(1))
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

/// "When the entry has been safely replicated …, the leader applies the entry to its state machine"
/// (5.3), and so does every other node, in log order.
#[test]
fn every_node_applies_every_command_in_the_same_order() {
    let mut cluster = led_by_n1(Setup::cluster(5, 1));
    for sequence in 1..=20 {
        let at = NodeId(1 + sequence % 5);
        cluster
            .propose(at, 1, sequence, format!("order {sequence}").as_bytes())
            .unwrap();
        cluster.stabilize();
    }
    for id in cluster.ids() {
        let effects: Vec<_> = cluster
            .host(id)
            .effects()
            .iter()
            .map(|command| command.sequence)
            .collect();
        assert_eq!(effects, (1..=20).collect::<Vec<_>>(), "at {id}");
    }
}

/// "When the leader at the top comes to power, it is possible that any of scenarios (a–f) could
/// occur in follower logs" (figure 7).
const FIGURE_7: [(&str, &[u64]); 6] = [
    ("a", &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
    ("b", &[1, 1, 1, 4]),
    ("c", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
    ("d", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
    ("e", &[1, 1, 1, 4, 4, 4, 4]),
    ("f", &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
];
const FIGURE_7_LEADER: [u64; 10] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

fn figure_7() -> Setup {
    let mut setup = Setup::cluster(7, 7).log(1, &FIGURE_7_LEADER).term(1, 7);
    for ((_, log), id) in FIGURE_7.iter().zip(2..) {
        setup = setup.log(id, log);
    }
    setup
}

/// "The leader handles inconsistencies by forcing the followers' logs to duplicate its own" (5.3).
#[test]
fn leader_of_figure_7_brings_all_six_followers_in_line() {
    let cluster = led_by_n1(figure_7());
    assert_eq!(cluster.node(N1).term(), Term(8));
    let expected: Vec<u64> = FIGURE_7_LEADER.into_iter().chain([8]).collect();
    for id in cluster.ids() {
        assert_eq!(terms(&cluster, id), expected, "{id}");
        assert_eq!(cluster.node(id).commit(), Index(11), "{id}");
        assert_eq!(
            cluster.host(id).image().entries,
            cluster.host(N1).image().entries,
            "the disk of {id}"
        );
    }
}

/// "One AppendEntries RPC will be required for each term with conflicting entries, rather than one
/// RPC per entry" (end of 5.3).
#[test]
fn at_most_one_refusal_is_spent_on_each_conflicting_term() {
    for ((name, log), id) in FIGURE_7.iter().zip(2..) {
        let mut cluster = Simulation::new(figure_7());
        cluster.campaign(N1);
        cluster.deliver(|m| m.is(Kind::PreVote));
        cluster.deliver(|m| m.is(Kind::PreVoteReply));
        cluster.deliver(|m| m.is(Kind::RequestVote));
        cluster.deliver(|m| m.is(Kind::VoteReply));
        let mut refusals = 0;
        loop {
            let delivered = cluster.deliver(|m| m.between(1, id));
            let refused = |m: &raftian_sim::cluster::Envelope| {
                m.between(id, 1)
                    && matches!(&m.message.body, Body::AppendReply(reply) if matches!(reply.result, raftian_raft::AppendResult::Conflict { .. }))
            };
            refusals += cluster.copies(refused).len();
            if delivered + cluster.deliver(|m| m.between(id, 1)) == 0 {
                break;
            }
        }
        let common = log
            .iter()
            .zip(&FIGURE_7_LEADER)
            .take_while(|(a, b)| a == b)
            .count();
        let mut conflicting = log[common..].to_vec();
        conflicting.dedup();
        // A follower that is merely behind refuses once, to report where its log ends.
        assert!(
            refusals <= conflicting.len().max(1),
            "follower ({name}) refused {refusals} times"
        );
        assert_eq!(terms(&cluster, NodeId(id)).len(), 11, "log of ({name})");
    }
}

/// "If followers crash or run slowly, or if network packets are lost, the leader retries
/// AppendEntries RPCs indefinitely" (5.3).
#[test]
fn follower_that_was_down_catches_up() {
    let mut cluster =
        led_by_n1(Setup::cluster(3, 4).configure(|config| config.max_append_entries = 3));
    cluster.crash(N3);
    for sequence in 1..=100 {
        cluster.propose(N1, 1, sequence, b"x").unwrap();
        cluster.stabilize();
    }
    assert_eq!(cluster.node(N1).commit(), Index(101));
    cluster.restart(N3);
    assert_eq!(cluster.settle(SECOND).unwrap(), N1);
    assert_eq!(cluster.host(N3).effects().len(), 100);
}

/// "If an existing entry conflicts with a new one (same index but different terms), delete the
/// existing entry and all that follow it" (figure 2), and not otherwise: a repeated old message
/// must not truncate entries acknowledged since.
#[test]
fn old_append_that_arrives_again_deletes_nothing() {
    let mut cluster = led_by_n1(Setup::cluster(3, 2));
    cluster.propose(N1, 1, 1, b"first").unwrap();
    let old = cluster.copies(|m| m.between(1, 2) && m.is(Kind::Append));
    cluster.stabilize();
    cluster.propose(N1, 1, 2, b"second").unwrap();
    cluster.deliver(|m| m.between(1, 2));
    assert_eq!(cluster.node(N2).last().index, Index(3));
    cluster.inject(old);
    cluster.deliver(|m| m.between(1, 2));
    assert_eq!(cluster.node(N2).last().index, Index(3));
    cluster.crash(N2);
    assert_eq!(
        cluster.host(N2).image().entries.len(),
        3,
        "the acknowledged entry is still on disk"
    );
}

/// Reordered messages cost time, never entries.
#[test]
fn appends_in_any_order_end_in_the_same_log() {
    for newest_first in [true, false] {
        let mut cluster =
            led_by_n1(Setup::cluster(3, 2).configure(|config| config.max_append_entries = 1));
        for sequence in 1..=8 {
            cluster.propose(N1, 1, sequence, b"x").unwrap();
        }
        let mut queued = cluster.copies(|m| m.is(Kind::Append));
        cluster.drop_messages(|_| true);
        if newest_first {
            queued.reverse();
        }
        cluster.inject(queued);
        assert_eq!(cluster.settle(SECOND).unwrap(), N1);
        assert_eq!(cluster.host(N2).effects().len(), 8);
    }
}

/// A proposal at a follower reaches the leader; a repeat of it takes effect once (section 8).
#[test]
fn forwarded_command_that_arrives_twice_takes_effect_once() {
    let mut cluster = led_by_n1(Setup::cluster(3, 6));
    cluster.propose(N2, 9, 1, b"attack").unwrap();
    assert_eq!(cluster.duplicate(|m| m.is(Kind::Forward)), 1);
    cluster.stabilize();
    // A retry after the commit is appended, but not applied again.
    cluster.propose(N3, 9, 1, b"attack").unwrap();
    cluster.stabilize();
    assert_eq!(
        cluster.node(N1).last().index,
        Index(3),
        "a duplicate received before the commit is not appended"
    );
    assert!(
        cluster
            .ids()
            .all(|id| cluster.host(id).effects().len() == 1)
    );
}

/// A command is forwarded once: two nodes that each consider the other the leader must not pass it
/// back and forth.
#[test]
fn forwarded_command_is_not_forwarded_again() {
    let mut cluster = led_by_n1(Setup::cluster(3, 6));
    cluster.propose(N2, 9, 1, b"attack").unwrap();
    let mut misdirected = cluster.copies(|m| m.is(Kind::Forward));
    cluster.drop_messages(|_| true);
    misdirected[0].to = N3;
    cluster.inject(misdirected);
    cluster.deliver(|_| true);
    assert_eq!(cluster.queued().len(), 0);
}

/// A node that knows no leader to forward to refuses, so that the proposer retries elsewhere.
#[test]
fn proposal_without_a_leader_is_refused() {
    let mut cluster = Simulation::new(Setup::cluster(3, 6));
    assert_eq!(
        cluster.propose(N2, 1, 1, b"x"),
        Err(raftian_raft::RefusalReason::NoLeader)
    );
}

/// "Until the leader has discovered where it and the follower's logs match, the leader can send
/// AppendEntries with no entries (like heartbeats) to save bandwidth" (thesis 3.5), which also
/// holds for a follower that does not answer.
#[test]
fn follower_that_is_down_gets_empty_heartbeats() {
    let mut cluster = led_by_n1(Setup::cluster(3, 6));
    cluster.crash(N3);
    cluster.transfer_leadership(N1, Some(N2)).unwrap();
    cluster.stabilize();
    assert_eq!(
        cluster.leaders(),
        [N2],
        "the new leader has an entry for n3 and no knowledge of its log"
    );
    let mut with_entries = 0;
    for _ in 0..20 {
        cluster.advance(Duration::from_millis(50));
        with_entries += cluster
            .copies(|m| m.to == N3 && m.is(Kind::Append) && !m.is(Kind::Heartbeat))
            .len();
        cluster.stabilize();
    }
    assert_eq!(with_entries, 0);
    cluster.restart(N3);
    cluster.settle(SECOND).unwrap();
}
