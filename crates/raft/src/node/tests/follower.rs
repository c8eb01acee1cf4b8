//! Follower: accepting, refusing and forwarding.

use super::*;

#[test]
fn commands_are_forwarded_in_messages_within_the_bound() {
    let mut node = follower(|config| {
        config.max_command_bytes = 10;
        config.max_append_bytes = 3 * (Entry::OVERHEAD + 10) + 1;
    });
    let large = [command(8, 11)];
    node.step(
        NOW,
        Input::Propose(
            (1..=7)
                .map(|sequence| command(sequence, 10))
                .chain(large)
                .collect(),
        ),
    );
    let actions = node.take_actions();
    let forwarded: Vec<Vec<u64>> = actions
        .send
        .iter()
        .map(|(to, message)| match &message.body {
            Body::Forward { commands } if *to == NodeId(2) => {
                commands.iter().map(|c| c.sequence).collect()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(forwarded, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    assert_eq!(
        actions
            .responses
            .refused
            .iter()
            .map(|refused| refused.sequence)
            .collect::<Vec<_>>(),
        [8]
    );
}

/// The size limit is inclusive.
#[test]
fn forward_may_be_as_large_as_the_bound() {
    let mut node = follower(|config| {
        config.max_command_bytes = 10;
        config.max_append_bytes = 2 * (Entry::OVERHEAD + 10);
    });
    propose(&mut node, 1..=4);
    assert_eq!(node.take_actions().send.len(), 2);
}

#[test]
fn invalid_message_is_reported_and_ignored() {
    let mut node = follower(|_| {});
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(1),
            message: Message::new(TERM, heartbeat()),
        },
    );
    assert_eq!(ignored_messages(&node.take_actions()), 1, "from itself");
    receive(&mut node, 3, heartbeat());
    let actions = node.take_actions();
    assert_eq!(
        (ignored_messages(&actions), actions.send.len()),
        (1, 0),
        "a second leader of the term"
    );
    assert_eq!(node.leader(), Some(NodeId(2)));
    let later = Message::new(Term(Term::LAST.0 + 1), heartbeat());
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: later,
        },
    );
    assert_eq!(
        (ignored_messages(&node.take_actions()), node.term()),
        (1, TERM),
        "a term that cannot exist"
    );
}

#[test]
fn entry_beyond_the_last_index_is_ignored() {
    let append = |index: u64| {
        let mut node = follower(|_| {});
        let previous = LogPosition {
            term: TERM,
            index: Index(index - 1),
        };
        let entries = vec![Entry {
            term: TERM,
            index: Index(index),
            stamp: Stamp(0),
            payload: Payload::Empty,
        }];
        receive(
            &mut node,
            2,
            Body::AppendEntries(AppendEntries {
                previous,
                commit: Index(0),
                probe: None,
                round_trip: 0,
                entries,
            }),
        );
        let actions = node.take_actions();
        (ignored_messages(&actions), actions.send.len())
    };
    assert_eq!(
        append(Index::LAST.0),
        (0, 1),
        "a refusal, because the previous entry is missing"
    );
    assert_eq!(append(Index::LAST.0 + 1), (1, 0));
}

#[test]
fn following_a_leader_is_reported_once() {
    let mut node = node(three(Standing::Voter), |_| {});
    let follows = |node: &mut Node| {
        receive(node, 2, heartbeat());
        decisions(&write(node), |decision| {
            matches!(decision, Decision::FollowsLeader { .. })
        })
    };
    assert_eq!([follows(&mut node), follows(&mut node)], [1, 0]);
}

#[test]
fn only_a_truncated_membership_change_is_rolled_back() {
    let entry = |index, payload| Entry {
        term: TERM,
        index: Index(index),
        stamp: Stamp(0),
        payload,
    };
    let rolled_back = |members_at: u64| {
        let members = Payload::Membership(
            three(Standing::Voter)
                .after(&Change::Remove(NodeId(3)))
                .unwrap(),
        );
        let payload = |index| {
            if index == members_at {
                members.clone()
            } else {
                Payload::Empty
            }
        };
        let restored = Restored {
            hard_state: HardState {
                term: TERM,
                vote: None,
            },
            entries: (1..=3).map(|index| entry(index, payload(index))).collect(),
            ..Restored::default()
        };
        let config = Config::new(NodeId(1), three(Standing::Voter), 1);
        let mut node = Node::new(config, restored, NOW).unwrap();
        let previous = LogPosition {
            term: TERM,
            index: Index(1),
        };
        let term = Term(2);
        let entries = vec![Entry {
            term,
            ..entry(2, Payload::Empty)
        }];
        let append = AppendEntries {
            previous,
            commit: Index(0),
            probe: None,
            round_trip: 0,
            entries,
        };
        let message = Message::new(term, Body::AppendEntries(append));
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message,
            },
        );
        let actions = node.take_actions();
        assert_eq!(
            decisions(&actions, |decision| matches!(
                decision,
                Decision::Truncated { .. }
            )),
            1
        );
        decisions(&actions, |decision| {
            matches!(decision, Decision::RolledBackMembers { .. })
        })
    };
    assert_eq!([1, 2, 3].map(rolled_back), [0, 1, 1]);
}

/// A follower must address its leader's new incarnation even before that is registered.
#[test]
fn leader_is_addressed_by_the_incarnation_it_sends_under() {
    let mut node = node(three(Standing::Voter), |_| {});
    let message = Message {
        sender: Incarnation(5),
        ..Message::new(TERM, heartbeat())
    };
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message,
        },
    );
    while node.has_work() {
        write(&mut node);
    }
    propose(&mut node, [1]);
    let sent = write(&mut node).send;
    assert_eq!(
        sent.iter()
            .map(|(to, message)| (to.0, message.receiver.0))
            .collect::<Vec<_>>(),
        [(2, 5)]
    );
    node.step(NOW, Input::Campaign);
    write(&mut node);
    let asked = write(&mut node).send;
    assert_eq!(
        asked
            .iter()
            .map(|(to, message)| (to.0, message.receiver.0))
            .collect::<Vec<_>>(),
        [(2, 0), (3, 0)]
    );
}

/// A node that lost its disk must not reply for its old incarnation; it only reports its own to the
/// leader.
#[test]
fn message_to_another_incarnation_gets_only_a_stale_reply() {
    let mut node = node(three(Standing::Voter), |_| {});
    for body in [
        heartbeat(),
        Body::RequestVote {
            last: LogPosition::default(),
            transfer: false,
            priority: 0,
        },
    ] {
        let is_heartbeat = matches!(body, Body::AppendEntries(_));
        let message = Message {
            receiver: Incarnation(5),
            ..Message::new(TERM, body)
        };
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message,
            },
        );
        let actions = write(&mut node);
        let reported = decisions(&actions, |decision| {
            matches!(decision, Decision::StaleIncarnation { peer: NodeId(2) })
        });
        assert_eq!(
            (reported, actions.send.len()),
            if is_heartbeat { (1, 1) } else { (0, 0) }
        );
        assert_eq!((node.term(), node.leader()), (Term(0), None));
    }
}

/// The incarnation of the current sender must not be used for other members.
#[test]
fn candidate_addresses_each_member_by_its_incarnation() {
    let incarnations = [
        (NodeId(1), Incarnation(0)),
        (NodeId(2), Incarnation(0)),
        (NodeId(3), Incarnation(7)),
    ];
    let members =
        Membership::of(incarnations.map(|(id, incarnation)| (id, incarnation, Standing::Voter)))
            .unwrap();
    let mut node = node(members, |_| {});
    receive(&mut node, 2, heartbeat());
    receive(&mut node, 2, Body::TimeoutNow);
    write(&mut node);
    let asked = write(&mut node).send;
    let of = |(to, message): &(NodeId, Message)| {
        matches!(message.body, Body::RequestVote { .. }).then_some((to.0, message.receiver.0))
    };
    assert_eq!(
        asked.iter().filter_map(of).collect::<Vec<_>>(),
        [(2, 0), (3, 7)]
    );
}

/// An append of `count` commands of 10 bytes each.
fn commands(previous: LogPosition, count: u64) -> Body {
    let entry = |index| {
        let payload = Payload::Command {
            command: command(index, 10),
            member: NodeId(1),
        };
        Entry {
            term: TERM,
            index: Index(index),
            stamp: Stamp(0),
            payload,
        }
    };
    let entries = (previous.index.0 + 1..=previous.index.0 + count)
        .map(entry)
        .collect();
    let probe = Some(Probe {
        term: TERM,
        sent: NOW,
        round: 0,
    });
    Body::AppendEntries(AppendEntries {
        previous,
        commit: Index(2),
        probe,
        round_trip: 0,
        entries,
    })
}

/// A program that applies nothing, as in a hidden window, takes no snapshots either.
#[test]
fn full_log_accepts_entries_again_after_a_snapshot() {
    let mut node = follower(|config| config.max_log_bytes = Some(2 * (Entry::OVERHEAD + 10)));
    receive(&mut node, 2, commands(LogPosition::default(), 2));
    let answers = |node: &mut Node| {
        let mut answers = Vec::new();
        while node.has_work() {
            let sent = write(node).send.into_iter();
            answers.extend(sent.filter_map(|(_, message)| match message.body {
                Body::AppendReply(reply) => Some(reply.result),
                _ => None,
            }));
        }
        answers
    };
    let full = AppendResult::Full { up_to: Index(2) };
    assert_eq!(
        (answers(&mut node), node.last().index),
        (vec![full], Index(2))
    );
    let second = LogPosition {
        term: TERM,
        index: Index(2),
    };
    receive(&mut node, 2, commands(second, 0));
    receive(&mut node, 2, commands(second, 1));
    assert_eq!(
        (answers(&mut node), node.commit()),
        (vec![full, full], Index(2))
    );
    node.step(NOW, Input::Applied(Index(2)));
    assert!(node.take_actions().responses.snapshot_due);
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(2),
            data: [].as_slice().into(),
            compact_to: None,
        }),
    );
    receive(&mut node, 2, commands(second, 1));
    assert_eq!(
        answers(&mut node),
        [AppendResult::Matched { up_to: Index(3) }]
    );
}
