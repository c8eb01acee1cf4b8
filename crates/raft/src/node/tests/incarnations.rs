//! Followers that lost acknowledged entries, and members that reply under another incarnation.

use super::*;
use crate::actions::WriteNumber;
use crate::message::AppendEntries;

/// Refusal of entry 2, which the follower may have acknowledged, in reply to a heartbeat sent at
/// `sent`.
fn refusal(sent: Moment) -> Body {
    let result = AppendResult::Conflict {
        refused: Index(2),
        hint: LogPosition::default(),
    };
    Body::AppendReply(AppendReply {
        probe: Some(probe(sent)),
        result,
        state: None,
    })
}

fn probe(sent: Moment) -> Probe {
    Probe {
        term: TERM,
        sent,
        round: 0,
    }
}

/// n1 leads, n2 has refused an entry that it had acknowledged, and n3 has replied since.
fn leader_of_a_lost_follower(set: impl FnOnce(&mut Config)) -> (Node, Moment) {
    let mut node = leader(three(Standing::Voter), set);
    write(&mut node);
    propose(&mut node, [1]);
    write(&mut node);
    matched(&mut node, 2, 2);
    matched(&mut node, 3, 2);
    let lost_at = Moment(NOW.0 + 10);
    at(&mut node, lost_at, 2, refusal(Moment(NOW.0 + 5)));
    assert_eq!(node.status().peers[0].lost, Some(Index(2)));
    write(&mut node);
    let now = NOW.after(node.config().heartbeat);
    node.step(now, Input::Wake);
    let early = lost_entries_sent(&mut node);
    assert_eq!(early, [], "no other voter has replied since");
    at(&mut node, now, 3, confirms(now));
    (node, now)
}

/// Acknowledgement of entry 2, in reply to a heartbeat sent at `sent`.
fn confirms(sent: Moment) -> Body {
    let result = AppendResult::Matched { up_to: Index(2) };
    Body::AppendReply(AppendReply {
        probe: Some(probe(sent)),
        result,
        state: None,
    })
}

/// Receivers of LostEntries, with the incarnation each message is addressed to.
fn lost_entries_sent(node: &mut Node) -> Vec<(NodeId, Incarnation)> {
    let sent = write(node).send.into_iter();
    sent.filter(|(_, message)| matches!(message.body, Body::LostEntries { .. }))
        .map(|(to, message)| (to, message.receiver))
        .collect()
}

/// Delivers a stale reply of n2 under this incarnation, which echoes `probe`.
fn answer_as(node: &mut Node, now: Moment, incarnation: u64, probe: Option<Probe>) {
    let body = Body::AppendReply(AppendReply {
        probe,
        result: AppendResult::Stale,
        state: None,
    });
    let message = Message {
        sender: Incarnation(incarnation),
        ..Message::new(TERM, body)
    };
    node.step(
        now,
        Input::Receive {
            from: NodeId(2),
            message,
        },
    );
}

fn standing_of_2(node: &Node) -> (Incarnation, Option<Standing>) {
    let member = node.membership().member(NodeId(2)).unwrap();
    (member.incarnation, member.standing)
}

/// A follower restored from a backup refuses an entry that it had acknowledged: its disk lost data,
/// so it must not count.
#[test]
fn follower_that_lost_entries_does_not_count() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, [1]);
    write(&mut node);
    matched(&mut node, 2, 2);
    assert_eq!(node.commit(), Index(2));
    receive(&mut node, 2, refusal(NOW));
    assert_eq!(
        node.status().peers[0].lost,
        None,
        "the acknowledgement may have overtaken the refusal"
    );
    let later = Moment(NOW.0 + 10);
    at(&mut node, later, 2, refusal(Moment(NOW.0 + 5)));
    assert_eq!(node.status().peers[0].lost, Some(Index(2)));
    let follower = NodeId(2);
    let acknowledged = Index(2);
    let refused = Index(2);
    let lost = Decision::LostAcknowledged {
        follower,
        acknowledged,
        refused,
        witness: false,
    };
    let actions = node.take_actions();
    assert_eq!(decisions(&actions, |decision| *decision == lost), 1);
    propose(&mut node, [2]);
    write(&mut node);
    matched(&mut node, 2, 3);
    assert_eq!(node.commit(), Index(2), "its acknowledgements do not count");
    matched(&mut node, 3, 3);
    assert_eq!(node.commit(), Index(3));
}

/// After LostEntries a follower answers no message until another incarnation is on disk, and then
/// only under that one.
#[test]
fn follower_that_lost_entries_starts_a_new_incarnation() {
    let mut node = follower(|_| {});
    receive(&mut node, 2, heartbeat_with(1));
    let Write { number: held, .. } = node.take_actions().persist.unwrap();
    receive(
        &mut node,
        3,
        Body::LostEntries {
            acknowledged: Index(2),
        },
    );
    assert!(node.take_actions().persist.is_none(), "n3 does not lead");
    receive(
        &mut node,
        2,
        Body::LostEntries {
            acknowledged: Index(2),
        },
    );
    let actions = node.take_actions();
    let reported = |decision: &Decision| {
        matches!(
            decision,
            Decision::BeginsIncarnation {
                leader: NodeId(2),
                acknowledged: Index(2),
                ..
            }
        )
    };
    assert_eq!(decisions(&actions, reported), 1);
    let Write {
        number,
        incarnation,
        ..
    } = actions.persist.unwrap();
    let incarnation = incarnation.unwrap();
    assert_ne!(incarnation, Incarnation(0));
    node.step(NOW, Input::Persisted(held));
    assert_eq!(
        node.take_actions().send,
        [],
        "deferred messages of the old incarnation are dropped"
    );
    receive(&mut node, 2, heartbeat());
    node.step(NOW, Input::Campaign);
    assert_eq!(
        (node.take_actions().send, node.incarnation()),
        (vec![], Incarnation(0))
    );
    assert_eq!(number, WriteNumber(held.0 + 1));
    node.step(NOW, Input::Persisted(number));
    assert_eq!(node.incarnation(), incarnation);
    receive(&mut node, 2, heartbeat());
    let actions = node.take_actions();
    let [
        (
            NodeId(2),
            Message {
                sender,
                body: Body::AppendReply(reply),
                ..
            },
        ),
    ] = actions.send.as_slice()
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*sender, reply.result), (incarnation, AppendResult::Stale));
    node.step(NOW, Input::Campaign);
    assert_eq!(
        node.role(),
        RoleKind::Follower,
        "the new incarnation is no member yet"
    );
}

fn heartbeat_with(entries: u64) -> Body {
    let entry = |index| Entry {
        term: TERM,
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    let entries = (1..=entries).map(entry).collect();
    let previous = LogPosition::default();
    let probe = Some(probe(NOW));
    Body::AppendEntries(AppendEntries {
        previous,
        commit: Index(0),
        probe,
        round_trip: 0,
        entries,
    })
}

#[test]
fn follower_that_lost_entries_joins_again_at_once() {
    let (mut node, now) = leader_of_a_lost_follower(|_| {});
    let next = now.after(node.config().heartbeat);
    node.step(next, Input::Wake);
    assert_eq!(lost_entries_sent(&mut node), [(NodeId(2), Incarnation(0))]);
    answer_as(&mut node, now, 9, None);
    let earlier = Probe {
        term: Term(0),
        ..probe(now)
    };
    answer_as(&mut node, now, 9, Some(earlier));
    assert_eq!(
        standing_of_2(&node),
        (Incarnation(0), Some(Standing::Voter)),
        "no reply to this leader"
    );
    answer_as(&mut node, now, 9, Some(probe(now)));
    assert_eq!(
        standing_of_2(&node),
        (Incarnation(9), Some(Standing::Joining))
    );
    let replaces = Decision::ReplacesIncarnation {
        member: NodeId(2),
        incarnation: Incarnation(9),
    };
    assert_eq!(
        decisions(&write(&mut node), |decision| *decision == replaces),
        1
    );
    assert_eq!(
        (node.status().peers[0].lost, node.status().peers[0].matched),
        (None, Index(0))
    );
    propose(&mut node, [2]);
    write(&mut node);
    matched(&mut node, 2, 4);
    assert_eq!(node.commit(), Index(2), "neither incarnation counts");
    matched(&mut node, 3, 4);
    assert_eq!(node.commit(), Index(4));
}

#[test]
fn responsive_incarnation_is_not_replaced() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    matched(&mut node, 3, 1);
    let silent = NOW.after(node.config().max_election_timeout());
    let sent = Moment(NOW.0 + 1);
    answer_as(&mut node, Moment(silent.0 - 1), 9, Some(probe(sent)));
    answer_as(&mut node, silent, 9, Some(probe(sent)));
    assert_eq!(
        standing_of_2(&node).0,
        Incarnation(0),
        "n3 has not replied since"
    );
    at(&mut node, silent, 3, confirms(sent));
    answer_as(&mut node, silent, 9, Some(probe(NOW)));
    assert_eq!(
        standing_of_2(&node).0,
        Incarnation(0),
        "its reply may predate the last of the registered incarnation"
    );
    answer_as(&mut node, silent, 9, Some(probe(sent)));
    assert_eq!(
        standing_of_2(&node),
        (Incarnation(9), Some(Standing::Joining))
    );
}

#[test]
fn incarnation_is_not_replaced_if_the_option_is_off() {
    let (mut node, now) = leader_of_a_lost_follower(|config| config.replace_incarnations = false);
    answer_as(&mut node, now, 9, Some(probe(now)));
    assert_eq!(
        standing_of_2(&node),
        (Incarnation(0), Some(Standing::Voter))
    );
    node.step(now.after(node.config().heartbeat), Input::Wake);
    assert_eq!(lost_entries_sent(&mut node), []);
    let mut node = follower(|config| config.replace_incarnations = false);
    receive(
        &mut node,
        2,
        Body::LostEntries {
            acknowledged: Index(2),
        },
    );
    assert!(node.take_actions().persist.is_none());
}

#[test]
fn witness_that_lost_entries_gets_no_lost_entries_message() {
    let mut node = leader(three(Standing::Witness), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    matched(&mut node, 3, 1);
    let refused = AppendResult::Conflict {
        refused: Index(1),
        hint: LogPosition::default(),
    };
    let now = Moment(NOW.0 + 10);
    let reply = AppendReply {
        probe: Some(probe(Moment(NOW.0 + 5))),
        result: refused,
        state: None,
    };
    at(&mut node, now, 3, Body::AppendReply(reply));
    let actions = node.take_actions();
    let lost =
        |decision: &Decision| matches!(decision, Decision::LostAcknowledged { witness: true, .. });
    assert_eq!(decisions(&actions, lost), 1);
    assert!(
        !actions
            .send
            .iter()
            .any(|(_, message)| matches!(message.body, Body::LostEntries { .. }))
    );
}

/// It may have lost a vote, so it must not become the leader's successor.
#[test]
fn follower_that_lost_entries_is_no_transfer_target() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, [1]);
    write(&mut node);
    matched(&mut node, 2, 2);
    matched(&mut node, 3, 2);
    propose(&mut node, [2]);
    at(&mut node, Moment(NOW.0 + 1), 2, confirms(NOW));
    node.step(
        Moment(NOW.0 + 1),
        Input::TransferLeadership(Some(NodeId(2))),
    );
    at(&mut node, Moment(NOW.0 + 10), 2, refusal(Moment(NOW.0 + 5)));
    matched(&mut node, 2, 3);
    let actions = write(&mut node);
    let failed = |decision: &Decision| {
        matches!(
            decision,
            Decision::LeadershipTransferFailed { to: NodeId(2) }
        )
    };
    assert_eq!(decisions(&actions, failed), 1);
    assert!(
        !actions
            .send
            .iter()
            .any(|(_, message)| message.body == Body::TimeoutNow)
    );
}

#[test]
fn cluster_of_two_ends_no_incarnation() {
    let two = Membership::new([1, 2].map(NodeId)).unwrap();
    let mut node = leader(two, |config| config.check_quorum = false);
    write(&mut node);
    propose(&mut node, [1]);
    write(&mut node);
    matched(&mut node, 2, 2);
    at(&mut node, Moment(NOW.0 + 10), 2, refusal(Moment(NOW.0 + 5)));
    for beats in 1..=3 {
        node.step(Moment(NOW.0 + beats * 60_000), Input::Wake);
        assert_eq!(lost_entries_sent(&mut node), []);
    }
}

#[test]
fn witness_disk_does_not_echo_probes_for_admission() {
    let mut node = follower(|_| {});
    let entry = Entry {
        term: TERM,
        index: Index(1),
        stamp: Stamp(0),
        payload: Payload::Withheld,
    };
    let append = |entries| AppendEntries {
        previous: LogPosition::default(),
        commit: Index(0),
        probe: Some(probe(NOW)),
        round_trip: 0,
        entries,
    };
    let echoed = |node: &mut Node| {
        let message = Message {
            receiver: Incarnation(9),
            ..Message::new(TERM, Body::AppendEntries(append(vec![])))
        };
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message,
            },
        );
        let sent = node.take_actions().send;
        let [
            (
                _,
                Message {
                    body: Body::AppendReply(reply),
                    ..
                },
            ),
        ] = sent.as_slice()
        else {
            panic!("{sent:?}")
        };
        (reply.result, reply.probe.is_some())
    };
    assert_eq!(echoed(&mut node), (AppendResult::Stale, true));
    receive(&mut node, 2, Body::AppendEntries(append(vec![entry])));
    while node.has_work() {
        write(&mut node);
    }
    assert_eq!(echoed(&mut node), (AppendResult::Stale, false));
}

/// The hint of a refusal is the last entry of the follower's log that may match the leader's.
#[test]
fn hint_below_an_acknowledgement_proves_loss() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, [1, 2]);
    write(&mut node);
    matched(&mut node, 2, 3);
    assert_eq!(node.commit(), Index(3));
    propose(&mut node, [3]);
    write(&mut node);
    let now = Moment(NOW.0 + 10);
    node.step(
        now,
        Input::Read {
            id: crate::ReadId(1),
            lease: false,
        },
    );
    write(&mut node);
    let hint = LogPosition {
        term: TERM,
        index: Index(1),
    };
    let result = AppendResult::Conflict {
        refused: Index(4),
        hint,
    };
    let probe = Some(Probe {
        term: TERM,
        sent: now,
        round: 1,
    });
    at(
        &mut node,
        now,
        2,
        Body::AppendReply(AppendReply {
            probe,
            result,
            state: None,
        }),
    );
    assert_eq!(
        (
            node.status().peers[0].lost,
            write(&mut node).responses.reads.len()
        ),
        (Some(Index(3)), 0)
    );
}
