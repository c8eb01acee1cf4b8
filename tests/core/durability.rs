//! Durability: writes that must precede a reply (figure 2), and writes a crash may lose.

use std::time::Duration;

use std::collections::BTreeSet;

use raftian_raft::{
    AppendEntries, AppendReply, AppendResult, Body, Config, Entry, Index, Input, LogPosition,
    Membership, Message, Moment, Node, Payload, Restored, RoleKind, Stamp, Term,
};
use raftian_sim::cluster::Kind;
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3, SECOND, led_by_n1};

/// "Updated on stable storage before responding to RPCs" (figure 2): the vote.
#[test]
fn vote_is_sent_only_after_it_is_on_disk() {
    let mut cluster =
        Simulation::new(Setup::cluster(3, 1).configure(|config| config.pre_vote = false));
    cluster.isolate(N3);
    cluster.hold_disk(N2);
    cluster.campaign(N1);
    cluster.stabilize();
    assert_eq!(cluster.node(N2).status().vote, Some(N1));
    assert_eq!(cluster.node(N1).role(), RoleKind::Candidate);
    cluster.complete_writes(N2, 1);
    cluster.stabilize();
    assert_eq!(cluster.node(N1).role(), RoleKind::Leader);
}

/// The same for a candidate: it requests votes once its own is on disk.
#[test]
fn candidate_requests_votes_only_after_its_own_is_on_disk() {
    let mut cluster =
        Simulation::new(Setup::cluster(3, 1).configure(|config| config.pre_vote = false));
    cluster.hold_disk(N1);
    cluster.campaign(N1);
    assert_eq!(
        (cluster.node(N1).term(), cluster.queued().len()),
        (Term(1), 0)
    );
    cluster.crash(N1);
    cluster.restart(N1);
    assert_eq!(
        cluster.node(N1).term(),
        Term(0),
        "no node has received a message of term 1"
    );
}

/// The same for entries.
#[test]
fn entries_are_not_acknowledged_before_they_are_on_disk() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.isolate(N3);
    cluster.hold_disk(N2);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(
        (cluster.node(N2).last().index, cluster.node(N1).commit()),
        (Index(2), Index(1))
    );
    cluster.complete_writes(N2, 1);
    cluster.stabilize();
    assert_eq!(cluster.node(N1).commit(), Index(2));
}

/// A heartbeat reply reports only durable entries, so it need not wait for writes in progress.
#[test]
fn heartbeat_reply_reports_only_durable_entries() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.hold_disk(N2);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    // One heartbeat interval; the reply to the append still waits for the disk.
    cluster.advance(Duration::from_millis(50));
    cluster.deliver(|m| m.between(1, 2) && m.is(Kind::Heartbeat));
    let answers = |cluster: &Simulation| -> Vec<_> {
        let answers = cluster.copies(|m| m.between(2, 1)).into_iter();
        answers
            .filter_map(|m| match m.message.body {
                Body::AppendReply(AppendReply {
                    result: AppendResult::Matched { up_to },
                    ..
                }) => Some(up_to),
                _ => None,
            })
            .collect()
    };
    // One heartbeat names the acknowledged entry, the other one the last that was sent.
    assert_eq!(answers(&cluster), [Index(1); 2]);
    cluster.release_disk(N2);
    assert_eq!(answers(&cluster), [1, 1, 2].map(Index));
}

/// A leader sends entries while its own disk still writes them (thesis 10.2.1).
#[test]
fn leader_writes_and_sends_at_the_same_time() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1));
    cluster.hold_disk(N1);
    cluster.propose(N1, 1, 1, b"x").unwrap();
    assert_eq!(cluster.copies(|m| m.is(Kind::Append)).len(), 2);
    assert_eq!(cluster.host(N1).writes_under_way(), 1);
}

/// Term, vote and entries of one message are one write: no crash falls between them.
#[test]
fn later_term_and_its_entries_are_one_write() {
    let membership = Membership::new([N1, N2, N3]).unwrap();
    let mut node = Node::new(
        Config::new(N1, membership, 1),
        Restored::default(),
        Moment(0),
    )
    .unwrap();
    let entry = Entry {
        term: Term(4),
        index: Index(1),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    let previous = LogPosition::default();
    let append = AppendEntries {
        previous,
        commit: Index(0),
        probe: None,
        round_trip: 0,
        entries: vec![entry],
    };
    let message = Message::new(Term(4), Body::AppendEntries(append));
    node.step(Moment(1), Input::Receive { from: N2, message });
    let actions = node.take_actions();
    let write = actions.persist.unwrap();
    assert_eq!(
        (write.hard_state.unwrap().term, write.entries.len()),
        (Term(4), 1)
    );
    assert!(
        actions.send.is_empty() && node.take_actions().is_empty(),
        "the reply waits inside the node for the write"
    );
    node.step(Moment(2), Input::Persisted(write.number));
    assert_eq!(node.take_actions().send.len(), 1);
}

/// All committed entries are delivered again, in order, after a restart.
#[test]
fn restarted_node_applies_everything_again_from_the_start() {
    let mut cluster = led_by_n1(Setup::cluster(3, 1).configure(|config| config.apply_window = 3));
    for sequence in 1..=50 {
        cluster.propose(N1, 1, sequence, b"x").unwrap();
        cluster.stabilize();
    }
    for id in cluster.ids() {
        cluster.crash(id);
    }
    for id in cluster.ids() {
        cluster.restart(id);
        assert_eq!(
            cluster.node(id).commit(),
            Index(0),
            "a restarted node does not know what is committed"
        );
    }
    cluster.settle(2 * SECOND).unwrap();
    for id in cluster.ids() {
        let applied: Vec<_> = cluster
            .host(id)
            .applied()
            .iter()
            .map(|entry| entry.index.0)
            .collect();
        assert_eq!(applied, (1..=52).collect::<Vec<_>>(), "at {id}");
    }
}

/// "Raft never commits log entries from previous terms by counting replicas" and never loses a
/// committed one: a crash of any node at any point from an election to the commit of two commands,
/// with any number of its writes done, loses no entry that any node saw committed.
#[test]
fn crash_at_any_point_loses_nothing_that_was_committed() {
    let mut points = 0;
    for victim in [N1, N2, N3] {
        for kept in 0..=2 {
            let mut point = 0;
            while let Some(mut cluster) = up_to(point) {
                let committed = cluster
                    .ids()
                    .map(|id| cluster.node(id).commit())
                    .max()
                    .unwrap();
                let survivor = cluster
                    .ids()
                    .find(|id| cluster.node(*id).commit() == committed)
                    .unwrap();
                let entries =
                    cluster.node(survivor).entries_from(Index(1))[..committed.0 as usize].to_vec();
                // Only the victim loses pending writes; the other disks recover.
                cluster.crash_keeping(victim, kept);
                for id in cluster.ids().filter(|id| *id != victim) {
                    cluster.release_disk(id);
                }
                cluster.settle(2 * SECOND).unwrap();
                cluster.restart(victim);
                let leader = cluster.settle(2 * SECOND).unwrap();
                assert_eq!(
                    cluster.node(leader).entries_from(Index(1))[..entries.len()],
                    entries,
                    "{victim} at {point}"
                );
                point += 1;
                points += 1;
            }
        }
    }
    assert!(points > 200, "only {points} points were tried");
}

/// An election of n1 and two proposals, with every disk held: the first `point` of all deliveries
/// and writes, or `None` if there are fewer.
fn up_to(point: usize) -> Option<Simulation> {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    for id in cluster.ids() {
        cluster.hold_disk(id);
    }
    cluster.campaign(N1);
    let mut proposed = BTreeSet::new();
    for _ in 0..point {
        if cluster.node(N1).role() == RoleKind::Leader && proposed.len() < 2 {
            let sequence = proposed.len() as u64 + 1;
            proposed.insert(sequence);
            cluster.propose(N1, 1, sequence, b"x").unwrap();
        }
        // Writes complete only while few messages are queued, so that both kinds of events mix.
        let busy = cluster
            .ids()
            .find(|id| cluster.host(*id).writes_under_way() > 0);
        match busy {
            Some(id) if cluster.queued().len() < 3 => cluster.complete_writes(id, 1),
            Some(_) | None => {
                if !cluster.deliver_at(0) {
                    return None;
                }
            }
        }
    }
    Some(cluster)
}
