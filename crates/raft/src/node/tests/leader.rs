//! Leader: replication, commitment and bounds of the log.

use super::*;

/// A disk may be slow for a while without being faulty.
#[test]
fn leader_steps_down_when_a_write_exceeds_the_disk_timeout() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, [1]);
    // The write starts and is never confirmed.
    let _under_way = node.take_actions();
    let timeout = node.config().disk_timeout.as_micros() as u64;
    let mut leads_at = |since: u64| {
        let now = Moment(NOW.0 + since);
        for id in 2..=3 {
            let result = AppendResult::Matched { up_to: Index(1) };
            let message = Message::new(
                TERM,
                Body::AppendReply(AppendReply {
                    probe: None,
                    result,
                    state: None,
                }),
            );
            node.step(
                now,
                Input::Receive {
                    from: NodeId(id),
                    message,
                },
            );
        }
        let _actions = node.take_actions();
        node.role() == RoleKind::Leader
    };
    assert!(leads_at(60_000) && leads_at(timeout), "the write is slow");
    assert!(!leads_at(timeout + 60_000), "the write hangs");
}

/// A witness has no contents to restore an entry that a crash took from all other members.
#[test]
fn witness_is_sent_only_entries_durable_on_the_leader() {
    let mut node = leader(three(Standing::Witness), |_| {});
    write(&mut node);
    write(&mut node);
    (2..=3).for_each(|id| matched(&mut node, id, 1));
    write(&mut node);
    propose(&mut node, [1]);
    let first = node.take_actions().persist.expect("a write").number;
    propose(&mut node, [2, 3]);
    let mut sent = node.take_actions().send;
    node.step(NOW, Input::Persisted(first));
    sent.extend(node.take_actions().send);
    let entries = |to: u64| {
        let of = |(id, message): &(NodeId, Message)| match &message.body {
            Body::AppendEntries(append) if *id == NodeId(to) => {
                append.entries.iter().map(|e| e.index.0).collect()
            }
            _ => Vec::new(),
        };
        sent.iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(entries(3), [2], "the second write is not durable");
    assert_eq!(
        entries(2),
        [3, 4],
        "a voter gets them as soon as they are appended"
    );
}

#[test]
#[should_panic(expected = "only entries of the log are committed")]
fn broken_invariant_stops_the_node() {
    let mut node = leader(three(Standing::Voter), |_| {});
    node.commit = Index(9);
    node.step(NOW, Input::Wake);
}

#[test]
#[should_panic(expected = "a leader never overwrites or deletes entries of its log")]
fn leader_that_loses_entries_panics() {
    let mut node = leader(three(Standing::Voter), |_| {});
    propose(&mut node, 1..=3);
    node.log.truncate(Index(3));
    node.step(NOW, Input::Wake);
}

/// A slow commit makes clients retry, and duplicates would slow it further.
#[test]
fn uncommitted_command_is_not_appended_again() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    let last = |node: &mut Node| {
        write(node);
        node.status().last.index.0
    };
    propose(&mut node, [1, 3, 3]);
    assert_eq!(last(&mut node), 3, "one of them is a duplicate");
    propose(&mut node, [1, 2, 3, 4]);
    assert_eq!(
        last(&mut node),
        5,
        "two are new, one of them with a lower sequence"
    );
    receive(
        &mut node,
        2,
        Body::Forward {
            commands: vec![command(2, 10)],
        },
    );
    assert_eq!(last(&mut node), 5, "a forwarded duplicate");
    let other = Command {
        client: ClientId(77),
        ..command(2, 10)
    };
    receive(
        &mut node,
        2,
        Body::Forward {
            commands: vec![other],
        },
    );
    assert_eq!(last(&mut node), 6, "the same sequence of another client");
    matched(&mut node, 2, 6);
    assert_eq!(node.commit(), Index(6));
    propose(&mut node, [4]);
    assert_eq!(last(&mut node), 7, "the sessions filter committed commands");
}

/// A heartbeat may overtake entries, so it names none that is in flight; a second one after them
/// detects a loss. Once everything is acknowledged one is enough.
#[test]
fn heartbeats_name_the_acknowledged_entry_and_the_last_one_sent() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    propose(&mut node, [1, 2]);
    let named = |node: &mut Node| -> Vec<_> {
        let _before = node.take_actions();
        node.step(node.wake_at(), Input::Wake);
        let sent = node.take_actions().send.into_iter();
        sent.filter_map(|(to, message)| match message.body {
            Body::AppendEntries(append) if to == NodeId(2) && append.entries.is_empty() => {
                Some((append.previous.index.0, append.probe.is_some()))
            }
            _ => None,
        })
        .collect()
    };
    assert_eq!(named(&mut node), [(1, true), (3, true)]);
    matched(&mut node, 2, 3);
    assert_eq!(named(&mut node), [(3, true)]);
}

/// The leader knows the origin from the connection; the message has no field for it.
#[test]
fn entry_names_the_member_that_submitted_its_command() {
    let mut node = leader(three(Standing::Voter), |_| {});
    propose(&mut node, [1]);
    let forward = Body::Forward {
        commands: vec![command(2, 10)],
    };
    receive(&mut node, 2, forward);
    let members: Vec<_> = node
        .entries_from(Index(1))
        .iter()
        .filter_map(|entry| match &entry.payload {
            Payload::Command { command, member } => Some((command.sequence, *member)),
            _ => None,
        })
        .collect();
    assert_eq!(members, [(1, NodeId(1)), (2, NodeId(2))]);
}

/// Entries of earlier terms contain commands too.
#[test]
fn new_leader_recognises_uncommitted_commands_in_its_log() {
    let entry = |index| Entry {
        term: TERM,
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Command {
            command: command(index, 10),
            member: NodeId(1),
        },
    };
    let hard_state = HardState {
        term: TERM,
        vote: None,
    };
    let disk = Restored {
        hard_state,
        entries: vec![entry(1), entry(2)],
        ..Restored::default()
    };
    let mut config = Config::new(NodeId(1), three(Standing::Voter), 1);
    config.pre_vote = false;
    let mut node = Node::new(config, disk, NOW).unwrap();
    node.step(NOW, Input::Campaign);
    write(&mut node);
    let granted = Message::new(Term(2), Body::VoteReply { granted: true });
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: granted,
        },
    );
    assert_eq!(
        (node.role(), node.status().last.index),
        (RoleKind::Leader, Index(3))
    );
    propose(&mut node, [2, 1]);
    write(&mut node);
    assert_eq!(node.status().last.index, Index(3));
}

/// A leader must reject replies to messages of an earlier leadership, even its own.
#[test]
fn reply_to_a_probe_of_an_earlier_term_is_ignored() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    let probe = Some(Probe {
        term: Term(0),
        sent: NOW,
        round: 9,
    });
    let result = AppendResult::Matched { up_to: Index(1) };
    receive(
        &mut node,
        2,
        Body::AppendReply(AppendReply {
            probe,
            result,
            state: None,
        }),
    );
    assert_eq!(
        (ignored_messages(&node.take_actions()), node.commit()),
        (1, Index(0))
    );
    let stale = AppendReply {
        probe: None,
        result: AppendResult::Stale,
        state: None,
    };
    receive(&mut node, 2, Body::AppendReply(stale));
    assert_eq!(ignored_messages(&node.take_actions()), 0);
    node.step(NOW, Input::TransferLeadership(None));
    assert_eq!(
        node.take_actions().responses.request_results,
        [Err(crate::RequestError::NoSuccessor)],
        "no follower has replied to this leader"
    );
}

/// A commit frees exactly the bytes that its entries took.
#[test]
fn commit_frees_the_uncommitted_bytes_of_its_entries() {
    let each = Entry::OVERHEAD + 10;
    let mut node = node(alone(), |config| {
        config.max_uncommitted_bytes = 2 * each + 1
    });
    node.step(NOW, Input::Campaign);
    settle(&mut node);
    for first in [1, 5, 9] {
        propose(&mut node, first..first + 4);
        let actions = write(&mut node);
        let refused: Vec<u64> = actions
            .responses
            .refused
            .iter()
            .map(|refused| refused.sequence)
            .collect();
        assert_eq!(refused, [first + 3]);
        settle(&mut node);
        assert_eq!(node.commit(), node.last().index);
    }
}

#[test]
fn command_size_limit_is_inclusive_for_all_sources() {
    let mut node = leader(three(Standing::Voter), |config| {
        config.max_command_bytes = 10
    });
    let commands = |first: u64| {
        (0..4)
            .map(|more| command(first + more, 9 + more as usize))
            .collect::<Vec<_>>()
    };
    node.step(NOW, Input::Propose(commands(1)));
    let refused: Vec<u64> = node
        .take_actions()
        .responses
        .refused
        .iter()
        .map(|refused| refused.sequence)
        .collect();
    assert_eq!(refused, [3, 4]);
    let last = node.last().index;
    receive(
        &mut node,
        2,
        Body::Forward {
            commands: commands(5),
        },
    );
    assert_eq!(node.last().index.0 - last.0, 2);
}

#[test]
fn first_commitment_of_a_term_is_reported_once() {
    let mut node = node(alone(), |_| {});
    node.step(NOW, Input::Campaign);
    let mut reported = 0;
    for sequence in 1..=3 {
        while node.has_work() {
            let actions = write(&mut node);
            reported += decisions(&actions, |decision| {
                matches!(decision, Decision::CommittedOwnTerm { .. })
            });
        }
        propose(&mut node, [sequence]);
    }
    assert_eq!(reported, 1);
}

#[test]
fn follower_with_a_full_log_gets_entries_once_it_has_room() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    matched(&mut node, 3, 1);
    propose(&mut node, [1, 2]);
    write(&mut node);
    let full = |up_to| {
        let result = AppendResult::Full {
            up_to: Index(up_to),
        };
        Body::AppendReply(AppendReply {
            probe: Some(Probe {
                term: TERM,
                sent: NOW,
                round: 0,
            }),
            result,
            state: None,
        })
    };
    receive(&mut node, 2, full(2));
    assert_eq!(node.commit(), Index(2), "accepted entries count");
    receive(&mut node, 2, full(9));
    assert_eq!(ignored_messages(&node.take_actions()), 1);
    let sent_to_2 = |node: &mut Node| -> Vec<usize> {
        let sent = write(node)
            .send
            .into_iter()
            .filter(|(to, _)| *to == NodeId(2));
        sent.filter_map(|(_, message)| match message.body {
            Body::AppendEntries(append) => Some(append.entries.len()),
            _ => None,
        })
        .collect()
    };
    propose(&mut node, [3]);
    assert_eq!(sent_to_2(&mut node), [0_usize; 0]);
    node.step(NOW.after(node.config().heartbeat), Input::Wake);
    assert_eq!(sent_to_2(&mut node), [0], "only a heartbeat");
    receive(&mut node, 2, full(2));
    assert_eq!(sent_to_2(&mut node), [0_usize; 0]);
    receive(&mut node, 2, answer(2));
    assert_eq!(sent_to_2(&mut node), [2]);
}

#[test]
fn leader_with_a_full_log_refuses_commands_as_busy() {
    let each = Entry::OVERHEAD + 10;
    let mut node = node(alone(), |config| {
        config.max_log_bytes = Some(Entry::OVERHEAD + 2 * each)
    });
    node.step(NOW, Input::Campaign);
    assert!(!settle(&mut node), "the log is not full yet");
    propose(&mut node, 1..3);
    while node.has_work() {
        write(&mut node);
    }
    propose(&mut node, 3..4);
    let refused: Vec<_> = node
        .take_actions()
        .responses
        .refused
        .iter()
        .map(|refused| (refused.sequence, refused.reason))
        .collect();
    assert_eq!(refused, [(3, crate::RefusalReason::Busy)]);
}

#[test]
fn stalled_leader_with_a_full_log_transfers_leadership() {
    for applies in [true, false] {
        let each = Entry::OVERHEAD + 10;
        let mut node = leader(three(Standing::Voter), |config| {
            config.max_log_bytes = Some(2 * each)
        });
        write(&mut node);
        propose(&mut node, [1, 2, 3]);
        write(&mut node);
        let last = node.last().index;
        matched(&mut node, 2, last.0);
        assert_eq!(node.commit(), last);
        write(&mut node);
        if applies {
            node.step(NOW, Input::Applied(last));
        }
        let transfers = |(to, message): &(NodeId, Message)| {
            *to == NodeId(2) && message.body == Body::TimeoutNow
        };
        node.step(NOW.after(node.config().heartbeat), Input::Wake);
        assert!(
            !write(&mut node).send.iter().any(transfers),
            "its program may be a frame behind"
        );
        let late = NOW.after(node.config().max_election_timeout());
        at(&mut node, late, 2, answer(last.0));
        assert_eq!(write(&mut node).send.iter().any(transfers), !applies);
    }
}

/// A follower whose state diverged after the newest snapshot, and that then lost its log, needs a
/// snapshot that does not exist yet.
#[test]
fn follower_before_the_log_start_gets_only_heartbeats_until_its_snapshot() {
    let mut node = leader(three(Standing::Voter), |config| {
        config.snapshot_keep = 0;
        config.replace_incarnations = false;
    });
    write(&mut node);
    propose(&mut node, 1..=5);
    write(&mut node);
    matched(&mut node, 2, 6);
    matched(&mut node, 3, 6);
    settle(&mut node);
    node.step(NOW, Input::TakeSnapshot(snapshot_at(5)));
    write(&mut node);
    assert_eq!(node.log_start().position.index, Index(5));
    let hash = |hash| StateHash {
        index: Index(6),
        hash,
    };
    node.step(NOW, Input::StateHash(hash(7)));
    for (from, state) in [(3, hash(7)), (2, hash(8))] {
        let reply = AppendReply {
            probe: None,
            result: AppendResult::Matched { up_to: Index(6) },
            state: Some(state),
        };
        receive(&mut node, from, Body::AppendReply(reply));
    }
    let diverged = |decision: &Decision| matches!(decision, Decision::StateDiverged { .. });
    assert_eq!(decisions(&write(&mut node), diverged), 1);
    let now = Moment(NOW.0 + 10);
    let reply = AppendReply {
        probe: Some(Probe {
            term: TERM,
            sent: Moment(NOW.0 + 5),
            round: 0,
        }),
        result: AppendResult::Conflict {
            refused: Index(6),
            hint: LogPosition::default(),
        },
        state: None,
    };
    at(&mut node, now, 2, Body::AppendReply(reply));
    let sent = |actions: &Actions| -> Vec<usize> {
        let appends = actions.send.iter().filter(|(to, _)| *to == NodeId(2));
        appends
            .filter_map(|(_, message)| match &message.body {
                Body::AppendEntries(append) => Some(append.entries.len()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(sent(&write(&mut node)), [0], "a probe without entries");
    // Its disk still has the first entries, all of them before the log's start.
    at(&mut node, now, 2, answer(3));
    propose(&mut node, [6]);
    assert!(sent(&write(&mut node)).iter().all(|entries| *entries == 0));
    write(&mut node);
    assert_eq!(sent(&node.take_actions()), [], "no message without end");
    node.step(now, Input::Applied(Index(6)));
    node.step(now, Input::TakeSnapshot(snapshot_at(6)));
    let parts = |(to, message): &(NodeId, Message)| {
        *to == NodeId(2) && matches!(message.body, Body::InstallSnapshot(_))
    };
    assert!(write(&mut node).send.iter().any(parts));
}

fn snapshot_at(index: u64) -> TakenSnapshot {
    TakenSnapshot {
        index: Index(index),
        data: vec![1].into(),
        compact_to: Some(Index(index)),
    }
}
