//! Limits of reads, and the work that applying entries triggers.

use super::*;

#[test]
fn leader_bounds_the_reads_of_followers() {
    let mut node = leader(three(Standing::Voter), |config| config.max_reads = 2);
    write(&mut node);
    (1..=3).for_each(|token| receive(&mut node, 2, Body::Read { token }));
    let actions = node.take_actions();
    let refused = |(_, message): &&(NodeId, Message)| {
        matches!(message.body, Body::ReadReply { index: None, .. })
    };
    let refused: Vec<_> = actions
        .send
        .iter()
        .filter(refused)
        .map(|(_, message)| message.body.clone())
        .collect();
    assert_eq!(
        refused,
        [Body::ReadReply {
            token: 3,
            index: None
        }]
    );
}

#[test]
fn node_bounds_the_reads_of_its_own_program() {
    let mut node = follower(|config| config.max_reads = 2);
    (1..=3).for_each(|id| {
        node.step(
            NOW,
            Input::Read {
                id: ReadId(id),
                lease: false,
            },
        )
    });
    let busy = ReadAnswer {
        id: ReadId(3),
        result: Err(ReadRefusal::Busy),
    };
    assert_eq!(node.take_actions().responses.reads, [busy]);
    let mut node = leader(three(Standing::Voter), |config| config.max_reads = 2);
    (1..=3).for_each(|id| {
        node.step(
            NOW,
            Input::Read {
                id: ReadId(id),
                lease: false,
            },
        )
    });
    assert_eq!(
        node.take_actions().responses.reads,
        [busy],
        "reads before the first commitment count"
    );
}

/// A caller that checks `has_work` after each input must miss no work and rarely find none.
#[test]
fn applied_entries_cause_work_only_if_something_waits() {
    let applied = |set: fn(&mut Config), ask: bool, propose_more: bool| {
        let mut node = node(alone(), set);
        node.step(NOW, Input::Campaign);
        settle(&mut node);
        propose(&mut node, if propose_more { 1..=2 } else { 1..=1 });
        let mut delivered = Index(0);
        while node.has_work() {
            delivered = write(&mut node)
                .apply
                .last()
                .map_or(delivered, |entry| entry.index);
        }
        if ask {
            node.step(
                NOW,
                Input::Read {
                    id: ReadId(1),
                    lease: false,
                },
            );
            write(&mut node);
            assert!(!node.has_work(), "the read waits");
        }
        node.step(NOW, Input::Applied(delivered));
        node.has_work()
    };
    assert!(!applied(|_| {}, false, false), "nothing waits");
    assert!(
        applied(|config| config.apply_window = 1, false, true),
        "an entry waits for room"
    );
    assert!(applied(|_| {}, true, false), "a read waits for its index");
    assert!(
        applied(|config| config.snapshot_entries = Some(2), false, false),
        "a snapshot may be due"
    );
    assert!(
        applied(|config| config.snapshot_bytes = Some(2), false, false),
        "a snapshot may be due"
    );
}

/// The deadline of a read is independent of the election timeout.
#[test]
fn unanswered_read_expires_without_an_election() {
    let mut node = follower(|_| {});
    node.step(
        NOW,
        Input::Read {
            id: ReadId(4),
            lease: false,
        },
    );
    write(&mut node);
    let timeout = node.config().max_election_timeout().as_micros() as u64;
    let later = Moment(NOW.0 + timeout - 1);
    at(&mut node, later, 2, heartbeat());
    write(&mut node);
    let given_up = Moment(NOW.0 + timeout);
    assert_eq!(node.wake_at(), given_up);
    node.step(given_up, Input::Wake);
    assert_eq!(
        node.take_actions().responses.reads,
        [ReadAnswer {
            id: ReadId(4),
            result: Err(ReadRefusal::NoLeader)
        }]
    );
    assert_eq!(node.leader(), Some(NodeId(2)));
}

/// A leader without a reply from a majority holds no lease, even if its clock is near 0.
#[test]
fn leader_without_replies_holds_no_lease() {
    let start = Moment(1_000);
    let mut config = Config::new(NodeId(1), three(Standing::Voter), 1);
    (config.pre_vote, config.lease_reads) = (false, true);
    let mut node = Node::new(config, Restored::default(), start).unwrap();
    node.step(start, Input::Campaign);
    assert_eq!(
        node.role(),
        RoleKind::Follower,
        "it may have had contact with a leader before the start"
    );
    let early = start.after(node.config().stickiness());
    node.step(early, Input::Campaign);
    let write_at = |node: &mut Node, now: Moment| {
        if let Some(write) = node.take_actions().persist {
            node.step(now, Input::Persisted(write.number));
        }
    };
    write_at(&mut node, early);
    at(&mut node, early, 2, Body::VoteReply { granted: true });
    write_at(&mut node, early);
    at(&mut node, early, 2, answer(1));
    assert_eq!(node.commit(), Index(1));
    let reads_by_lease = |node: &mut Node, id: u64| {
        node.step(
            early,
            Input::Read {
                id: ReadId(id),
                lease: true,
            },
        );
        decisions(&node.take_actions(), |decision| {
            matches!(decision, Decision::ReadByLease)
        }) == 1
    };
    assert!(!reads_by_lease(&mut node, 1), "the reply echoes no probe");
    let result = AppendResult::Matched { up_to: Index(1) };
    let probe = Some(Probe {
        term: crate::types::Term(1),
        sent: early,
        round: 0,
    });
    at(
        &mut node,
        early,
        2,
        Body::AppendReply(AppendReply {
            probe,
            result,
            state: None,
        }),
    );
    assert!(reads_by_lease(&mut node, 2));
}

/// A deposed leader confirmed the read while it led, but the read may have been requested after
/// that.
#[test]
fn read_reply_of_an_earlier_term_is_ignored() {
    let mut node = follower(|_| {});
    node.step(
        NOW,
        Input::Read {
            id: ReadId(4),
            lease: false,
        },
    );
    let asked = write(&mut node).send;
    let token = asked.iter().find_map(|(_, message)| match message.body {
        Body::Read { token } => Some(token),
        _ => None,
    });
    let body = Body::ReadReply {
        token: token.expect("a read request to the leader"),
        index: Some(Index(0)),
    };
    let earlier = Message::new(Term(0), body.clone());
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: earlier,
        },
    );
    assert_eq!(write(&mut node).responses.reads, []);
    receive(&mut node, 2, body);
    assert_eq!(
        write(&mut node).responses.reads,
        [ReadAnswer {
            id: ReadId(4),
            result: Ok(Index(0))
        }]
    );
}
