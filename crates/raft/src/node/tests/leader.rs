//! Leader: sending, waiting and comparing.

use super::*;
use crate::actions::RequestError;
use crate::membership::Change;

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

/// The hash of a replaced state is no evidence about its replacement.
#[test]
fn repaired_follower_is_compared_only_at_later_entries() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    let report = |node: &mut Node, from: u64, index: u64, hash: u64| {
        let state = Some(StateHash {
            index: Index(index),
            hash,
        });
        let result = AppendResult::Matched {
            up_to: Index(index),
        };
        receive(
            node,
            from,
            Body::AppendReply(AppendReply {
                probe: None,
                result,
                state,
            }),
        );
    };
    let diverged = |node: &mut Node| {
        let actions = write(node);
        actions
            .events
            .iter()
            .filter(|event| matches!(event.decision, Decision::StateDiverged { .. }))
            .count()
    };
    node.step(
        NOW,
        Input::StateHash(StateHash {
            index: Index(1),
            hash: 7,
        }),
    );
    report(&mut node, 3, 1, 7);
    report(&mut node, 2, 1, 8);
    assert_eq!(diverged(&mut node), 1);
    node.step(NOW, Input::Applied(Index(1)));
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(1),
            data: vec![1].into(),
            compact_to: None,
        }),
    );
    let sent = write(&mut node).send;
    let part = sent.iter().find_map(|(to, message)| match &message.body {
        Body::InstallSnapshot(part) if *to == NodeId(2) => Some(part),
        _ => None,
    });
    let position = part.expect("the repair").name.position;
    let result = crate::message::SnapshotResult::Installed;
    let probe = Probe {
        term: crate::types::Term(1),
        sent: NOW,
        round: 0,
    };
    receive(
        &mut node,
        2,
        Body::SnapshotReply(crate::message::SnapshotReply {
            probe: Some(probe),
            position,
            result,
        }),
    );
    report(&mut node, 3, 1, 7);
    assert_eq!(diverged(&mut node), 0, "n2 has reported no hash since");
    report(&mut node, 2, 1, 8);
    assert_eq!(diverged(&mut node), 0, "the hash predates the repair");
    propose(&mut node, [1]);
    write(&mut node);
    node.step(
        NOW,
        Input::StateHash(StateHash {
            index: Index(2),
            hash: 70,
        }),
    );
    report(&mut node, 3, 2, 70);
    report(&mut node, 2, 2, 80);
    assert_eq!(diverged(&mut node), 1, "the hash follows the repair");
}

/// A new server must catch up before it gets a vote (thesis 4.2.1), and a silent one has not.
#[test]
fn joining_member_that_is_behind_or_silent_gets_no_vote() {
    let promoted = |up_to: u64, answers: bool| {
        let mut node = leader(three(Standing::Joining), |_| {});
        write(&mut node);
        matched(&mut node, 2, 1);
        write(&mut node);
        assert_eq!(node.commit(), Index(1));
        for beat in 1..60 {
            let now = Moment(NOW.0 + beat * 50_000);
            at(&mut node, now, 2, answer(1));
            if answers || beat == 1 {
                at(&mut node, now, 3, answer(up_to));
            }
            node.step(now, Input::Wake);
            write(&mut node);
        }
        assert_eq!(node.role(), RoleKind::Leader);
        node.membership().member(NodeId(3)).unwrap().standing != Some(Standing::Joining)
    };
    assert!(promoted(1, true));
    assert!(!promoted(0, true), "it is behind");
    assert!(!promoted(1, false), "it is silent");
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

#[test]
fn transfer_picks_the_most_up_to_date_responsive_follower() {
    let transferred_to = |silent: bool| {
        let mut node = leader(three(Standing::Voter), |_| {});
        write(&mut node);
        propose(&mut node, 1..=3);
        write(&mut node);
        at(&mut node, NOW, 3, answer(4));
        let now = Moment(
            NOW.0
                + if silent {
                    node.config().stickiness().as_micros() as u64
                } else {
                    0
                },
        );
        at(&mut node, now, 2, answer(1));
        node.step(now, Input::TransferLeadership(None));
        let actions = node.take_actions();
        actions
            .events
            .iter()
            .find_map(|event| match event.decision {
                Decision::TransfersLeadership { to } => Some(to.0),
                _ => None,
            })
    };
    assert_eq!(transferred_to(false), Some(3));
    assert_eq!(transferred_to(true), Some(2));
    let mut node = leader(three(Standing::Voter), |_| {});
    node.step(NOW, Input::TransferLeadership(None));
    assert_eq!(
        node.take_actions().responses.request_results,
        [Err(crate::RequestError::NoSuccessor)],
        "no follower has replied"
    );
}

/// A follower far behind must still be comparable.
#[test]
fn leader_keeps_the_last_1024_state_hashes() {
    let compares = |reported: u64, index: u64| {
        let mut node = leader(three(Standing::Voter), |_| {});
        write(&mut node);
        propose(&mut node, 1..=1_030);
        write(&mut node);
        // A repeated report takes no space.
        for index in (1..=reported).flat_map(|index| [index; 3]) {
            node.step(
                NOW,
                Input::StateHash(StateHash {
                    index: Index(index),
                    hash: 7,
                }),
            );
        }
        for (from, hash) in [(3, 7), (2, 8)] {
            let state = Some(StateHash {
                index: Index(index),
                hash,
            });
            let result = AppendResult::Matched {
                up_to: Index(index),
            };
            receive(
                &mut node,
                from,
                Body::AppendReply(AppendReply {
                    probe: None,
                    result,
                    state,
                }),
            );
        }
        decisions(&node.take_actions(), |decision| {
            matches!(decision, Decision::StateDiverged { .. })
        }) == 1
    };
    assert!(compares(1_024, 1) && compares(1_025, 2));
    assert!(!compares(1_025, 1));
}

/// Followers that never report a hash of the same entry must be compared too.
#[test]
fn agreement_at_a_later_index_implies_earlier_agreement() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, 1..=9);
    write(&mut node);
    (1..=9).for_each(|index| {
        node.step(
            NOW,
            Input::StateHash(StateHash {
                index: Index(index),
                hash: 7,
            }),
        )
    });
    for (from, index, hash) in [(3, 9, 7), (2, 4, 8)] {
        let state = Some(StateHash {
            index: Index(index),
            hash,
        });
        let result = AppendResult::Matched {
            up_to: Index(index),
        };
        receive(
            &mut node,
            from,
            Body::AppendReply(AppendReply {
                probe: None,
                result,
                state,
            }),
        );
    }
    let diverged = Decision::StateDiverged {
        follower: NodeId(2),
        index: Index(4),
    };
    assert_eq!(
        decisions(&node.take_actions(), |decision| *decision == diverged),
        1
    );
}

/// A leader that steps down at once could be re-elected repeatedly, being the only node with the
/// whole log.
#[test]
fn diverged_leader_transfers_leadership_to_the_majority() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, 1..=3);
    write(&mut node);
    node.step(
        NOW,
        Input::StateHash(StateHash {
            index: Index(1),
            hash: 7,
        }),
    );
    let reply = |node: &mut Node, from: u64, up_to: u64| {
        let state = Some(StateHash {
            index: Index(1),
            hash: 8,
        });
        let result = AppendResult::Matched {
            up_to: Index(up_to),
        };
        receive(
            node,
            from,
            Body::AppendReply(AppendReply {
                probe: None,
                result,
                state,
            }),
        );
    };
    let told_to_stand = |node: &mut Node| {
        let sent = node.take_actions().send;
        sent.iter()
            .find(|(_, message)| message.body == Body::TimeoutNow)
            .map(|(to, _)| to.0)
    };
    reply(&mut node, 2, 2);
    reply(&mut node, 3, 3);
    assert_eq!(
        (node.role(), told_to_stand(&mut node)),
        (RoleKind::Leader, None),
        "n3 does not have all entries yet"
    );
    reply(&mut node, 3, 4);
    assert_eq!(
        (node.role(), told_to_stand(&mut node)),
        (RoleKind::Leader, Some(3))
    );
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

/// The floor of adaptive timeouts is shorter than the time between two answers on a slow line.
#[test]
fn joining_member_on_a_slow_line_is_promoted_under_a_low_floor() {
    const ROUND_TRIP: u64 = 100_000;
    let mut node = node(three(Standing::Joining), |config| {
        let ms = core::time::Duration::from_millis;
        config.heartbeat = ms(15);
        (config.pre_vote, config.adaptive_timeout) = (true, Some((ms(30), ms(500))));
    });
    node.step(NOW, Input::Campaign);
    let granted = Message::new(TERM, Body::PreVoteReply { granted: true });
    let from = NodeId(2);
    node.step(
        NOW,
        Input::Receive {
            from,
            message: granted,
        },
    );
    write(&mut node);
    receive(&mut node, 2, Body::VoteReply { granted: true });
    assert_eq!(node.role(), RoleKind::Leader);
    write(&mut node);
    matched(&mut node, 2, 1);
    let mut now = NOW;
    let mut answered = NOW;
    for _ in 0..400 {
        now = now.after(core::time::Duration::from_millis(15));
        node.step(now, Input::Wake);
        write(&mut node);
        // A lost packet holds back all answers for a round trip.
        let answers = now.0 - answered.0 >= ROUND_TRIP;
        for id in if answers { 2..=3 } else { 2..=2 } {
            let probe = Probe {
                term: TERM,
                sent: Moment(now.0 - ROUND_TRIP.min(now.0 - NOW.0)),
                round: 0,
            };
            let reply = AppendReply {
                probe: Some(probe),
                result: AppendResult::Matched { up_to: Index(1) },
                state: None,
            };
            let message = Message::new(TERM, Body::AppendReply(reply));
            let from = NodeId(id);
            node.step(now, Input::Receive { from, message });
        }
        if answers {
            answered = now;
        }
    }
    let standing = node.membership().member(NodeId(3)).unwrap().standing;
    assert_eq!(standing, Some(Standing::Voter));
}

/// It leads until everything it appended is committed, and nobody might be electable after it if it
/// appended another membership.
#[test]
fn leader_without_a_vote_appends_no_further_membership() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    let change = |node: &mut Node, change| {
        node.step(NOW, Input::ChangeMembership(change));
        node.take_actions().responses.request_results
    };
    let learner = Change::Set(NodeId(1), Incarnation(0), Standing::Learner);
    assert_eq!(change(&mut node, learner), [Ok(())]);
    let record = Change::Record {
        contacts: Vec::new(),
        annex: Some(Bytes::from(&[7][..])),
    };
    let refused = Err(RequestError::TransferringLeadership);
    assert_eq!(change(&mut node, record), [refused]);
    assert_eq!(node.status().last.index, Index(2));
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

#[test]
fn transfer_to_a_silent_member_is_refused_at_once() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    let late = NOW.after(node.config().max_election_timeout());
    at(&mut node, late, 2, answer(1));
    let _actions = node.take_actions();
    node.step(late, Input::TransferLeadership(Some(NodeId(3))));
    assert_eq!(
        node.take_actions().responses.request_results,
        [Err(crate::RequestError::Silent(NodeId(3)))]
    );
    node.step(late, Input::TransferLeadership(Some(NodeId(2))));
    assert_eq!(node.take_actions().responses.request_results, [Ok(())]);
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

/// "If leadership transfer does not complete after about an election timeout, the prior leader
/// aborts the transfer" (thesis 3.10), and not before.
#[test]
fn leadership_transfer_is_aborted_at_its_deadline() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    at(&mut node, NOW, 2, answer(0));
    node.step(NOW, Input::TransferLeadership(Some(NodeId(2))));
    let timeout = node.config().max_election_timeout().as_micros() as u64;
    let mut gives_up = |since: u64| {
        for id in 2..=3 {
            at(&mut node, Moment(NOW.0 + since), id, answer(0));
        }
        decisions(&write(&mut node), |decision| {
            matches!(decision, Decision::LeadershipTransferFailed { .. })
        }) == 1
    };
    assert!(!gives_up(60_000) && !gives_up(timeout - 1));
    assert!(gives_up(timeout));
    assert!(!gives_up(timeout + 60_000), "the failure is reported once");
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

/// A contact changes no majority, so a member that moves is reached again at once (thesis 4.1 allows
/// one change of members at a time).
#[test]
fn contact_is_recorded_while_a_change_of_members_is_in_progress() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    matched(&mut node, 2, 1);
    let change = |node: &mut Node, change| {
        node.step(NOW, Input::ChangeMembership(change));
        write(node).responses.request_results.pop().unwrap()
    };
    let add = |id| Change::Set(NodeId(id), Incarnation(0), Standing::Learner);
    let moved = |contact: u8| Change::Record {
        contacts: vec![(NodeId(3), Bytes::from(&[contact][..]))],
        annex: None,
    };
    assert_eq!(change(&mut node, add(4)), Ok(()));
    assert_eq!(
        change(&mut node, add(5)),
        Err(crate::RequestError::ChangeInProgress)
    );
    assert_eq!(change(&mut node, moved(1)), Ok(()));
    assert_eq!(
        change(&mut node, add(5)),
        Err(crate::RequestError::ChangeInProgress),
        "the first change is still in progress"
    );
    matched(&mut node, 2, 2);
    assert_eq!(node.commit(), Index(2));
    assert_eq!(
        change(&mut node, add(5)),
        Ok(()),
        "only the contact is not committed"
    );
    assert_eq!(&node.membership().contact(NodeId(3)).unwrap()[..], [1]);
}

/// Two of three voters go on without the third, which must not count for ever: one more failure
/// would stop them.
#[test]
fn silent_voter_is_demoted_while_the_others_are_a_quorum() {
    let demoted = |answering: &[u64], beats: u64| {
        let mut node = leader(three(Standing::Voter), |config| {
            config.vanish_after = Some(core::time::Duration::from_secs(1));
            config.check_quorum = false;
        });
        write(&mut node);
        matched(&mut node, 2, 1);
        for beat in 1..=beats {
            let now = Moment(NOW.0 + beat * 50_000);
            node.step(now, Input::Wake);
            for (to, message) in write(&mut node).send {
                let Body::AppendEntries(append) = message.body else {
                    continue;
                };
                if answering.contains(&to.0) {
                    let last = append
                        .entries
                        .last()
                        .map_or(append.previous, Entry::position);
                    let result = AppendResult::Matched { up_to: last.index };
                    let body = Body::AppendReply(AppendReply {
                        probe: append.probe,
                        result,
                        state: None,
                    });
                    at(&mut node, now, to.0, body);
                }
            }
        }
        assert_eq!(node.role(), RoleKind::Leader);
        let standing = node.membership().member(NodeId(3)).unwrap().standing;
        standing == Some(Standing::Joining)
    };
    assert!(demoted(&[2], 40));
    assert!(!demoted(&[2], 10), "not silent for long enough");
    assert!(!demoted(&[2, 3], 40), "it answers");
    assert!(!demoted(&[], 40), "the others are no quorum");
}
