//! Validation of messages and disks, each check isolated from others that usually catch the same
//! fault first.

use super::*;

fn entry(term: u64, index: u64, stamp: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(stamp),
        payload: Payload::Empty,
    }
}

fn append(previous: (u64, u64), entries: &[Entry]) -> Body {
    let previous = LogPosition {
        term: Term(previous.0),
        index: Index(previous.1),
    };
    let entries = entries.to_vec();
    Body::AppendEntries(AppendEntries {
        previous,
        commit: Index(0),
        probe: None,
        round_trip: 0,
        entries,
    })
}

fn receive_in_term(node: &mut Node, term: u64, from: u64, body: Body) {
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(from),
            message: Message::new(Term(term), body),
        },
    );
}

/// n1 of `members`, freshly started from this disk.
fn restored(members: Membership, restored: Restored, set: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::new(NodeId(1), members, 1);
    config.pre_vote = false;
    set(&mut config);
    Node::new(config, restored, NOW).unwrap()
}

fn in_term(term: u64, vote: Option<u64>) -> HardState {
    HardState {
        term: Term(term),
        vote: vote.map(NodeId),
    }
}

#[test]
fn malformed_append_changes_nothing() {
    let malformed = [
        ("a previous entry of a later term", append((3, 1), &[])),
        (
            "decreasing terms",
            append((1, 1), &[entry(2, 2, 9), entry(1, 3, 9)]),
        ),
        (
            "a term below the previous one",
            append((2, 1), &[entry(1, 2, 9)]),
        ),
        (
            "an entry of a later term",
            append((1, 1), &[entry(3, 2, 9)]),
        ),
        (
            "a game clock that goes back within the message",
            append((1, 1), &[entry(2, 2, 9), entry(2, 3, 8)]),
        ),
        (
            "a game clock that is behind the log",
            append((1, 1), &[entry(2, 2, 4)]),
        ),
        ("a gap", append((1, 1), &[entry(2, 3, 9)])),
    ];
    for (what, body) in malformed {
        let mut node = follower(|_| {});
        receive_in_term(&mut node, 2, 3, append((0, 0), &[entry(1, 1, 5)]));
        write(&mut node);
        receive_in_term(&mut node, 2, 3, body);
        assert_eq!(
            (ignored_messages(&node.take_actions()), node.last().index),
            (1, Index(1)),
            "{what}"
        );
    }
}

/// Disk of n1 with a log that starts after this entry.
fn compacted_at(term: u64, index: u64, data: Option<Bytes>) -> Restored {
    let position = LogPosition {
        term: Term(term),
        index: Index(index),
    };
    let snapshot = Snapshot {
        position,
        stamp: Stamp(0),
        membership: three(Standing::Voter),
        data,
    };
    Restored {
        hard_state: in_term(term, None),
        start: snapshot.start(),
        snapshot: Some(snapshot),
        ..Restored::default()
    }
}

fn state() -> Option<Bytes> {
    Some(Bytes::from(&[7][..]))
}

/// The term at the base is still known, so a different term there is a contradiction.
#[test]
fn append_after_a_base_of_another_term_is_ignored() {
    for (term, ignored) in [(2, 0), (1, 1)] {
        let mut node = restored(three(Standing::Voter), compacted_at(2, 5, state()), |_| {});
        receive_in_term(&mut node, 2, 2, append((term, 5), &[entry(2, 6, 0)]));
        let contradicts =
            |decision: &Decision| matches!(decision, Decision::ContradictsCommitted { .. });
        assert_eq!(
            decisions(&node.take_actions(), contradicts),
            ignored,
            "a previous entry of term {term}"
        );
        assert_eq!(node.last().index, Index(6 - ignored as u64));
    }
}

#[test]
fn append_below_the_base_is_acknowledged_up_to_the_base() {
    let mut node = restored(three(Standing::Voter), compacted_at(2, 5, state()), |_| {});
    receive_in_term(&mut node, 2, 2, append((1, 2), &[entry(1, 3, 0)]));
    let mut sent = Vec::new();
    while node.has_work() {
        sent.extend(write(&mut node).send);
    }
    let result = AppendResult::Matched { up_to: Index(5) };
    let answered = |(_, message): &(NodeId, Message)| matches!(&message.body, Body::AppendReply(reply) if reply.result == result);
    assert!(sent.iter().any(answered), "{sent:?}");
}

#[test]
fn voter_without_state_does_not_stand() {
    let stands = |disk: Restored| {
        let mut node = restored(three(Standing::Voter), disk, |_| {});
        node.step(NOW, Input::Campaign);
        node.role() == RoleKind::Candidate
    };
    let log = |payload: Payload| Restored {
        hard_state: in_term(1, None),
        entries: vec![Entry {
            payload,
            ..entry(1, 1, 0)
        }],
        ..Restored::default()
    };
    assert!(stands(compacted_at(2, 5, state())));
    assert!(
        !stands(compacted_at(2, 5, None)),
        "a snapshot without a state"
    );
    assert!(stands(log(Payload::Empty)));
    assert!(
        !stands(log(Payload::Withheld)),
        "an entry without its command"
    );
}

#[test]
fn no_node_stands_after_the_last_term() {
    let role_in = |term: Term| {
        let hard_state = HardState { term, vote: None };
        let mut node = restored(
            three(Standing::Voter),
            Restored {
                hard_state,
                ..Restored::default()
            },
            |_| {},
        );
        node.step(NOW, Input::Campaign);
        (node.role(), node.term())
    };
    assert_eq!(
        role_in(Term(Term::LAST.0 - 1)),
        (RoleKind::Candidate, Term::LAST)
    );
    assert_eq!(role_in(Term::LAST), (RoleKind::Follower, Term::LAST));
}

/// Section 5.2: only a leader or a granted vote resets a follower's election timer.
#[test]
fn later_term_does_not_reset_a_followers_election_timer() {
    let mut node = follower(|_| {});
    let deadline = node.wake_at();
    let later = Moment(NOW.0 + 1_000);
    let refusal = Message::new(Term(7), Body::VoteReply { granted: false });
    node.step(
        later,
        Input::Receive {
            from: NodeId(3),
            message: refusal,
        },
    );
    assert_eq!((node.term(), node.wake_at()), (Term(7), deadline));
}

/// Bug 24: completion of an earlier write does not make the vote durable.
#[test]
fn single_voter_leads_only_once_its_vote_is_durable() {
    let disk = Restored {
        hard_state: in_term(1, Some(1)),
        committed: Index(1),
        entries: vec![entry(1, 1, 0)],
        ..Restored::default()
    };
    let mut node = restored(alone(), disk, |_| {});
    settle(&mut node);
    let data = Bytes::from(&[7][..]);
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(1),
            data,
            compact_to: None,
        }),
    );
    let snapshot = node
        .take_actions()
        .persist
        .expect("the snapshot is written")
        .number;
    node.step(NOW, Input::Campaign);
    let vote = node
        .take_actions()
        .persist
        .expect("the vote is written")
        .number;
    node.step(NOW, Input::Persisted(snapshot));
    assert_eq!(node.role(), RoleKind::Candidate);
    node.step(NOW, Input::Persisted(vote));
    assert_eq!(node.role(), RoleKind::Leader);
}

/// Section 5.4.1 applies to a candidate's repeated request too.
#[test]
fn repeated_request_with_a_shorter_log_is_refused() {
    let disk = Restored {
        hard_state: in_term(2, Some(2)),
        entries: vec![entry(1, 1, 0)],
        ..Restored::default()
    };
    for (last, granted) in [((1, 1), true), ((0, 0), false)] {
        let mut node = restored(three(Standing::Voter), disk.clone(), |_| {});
        let last = LogPosition {
            term: Term(last.0),
            index: Index(last.1),
        };
        receive_in_term(
            &mut node,
            2,
            2,
            Body::RequestVote {
                last,
                transfer: false,
                priority: 0,
            },
        );
        let sent = node.take_actions().send;
        let answer = sent
            .into_iter()
            .find(|(_, message)| matches!(message.body, Body::VoteReply { .. }));
        assert_eq!(
            answer.expect("a reply to the request").1.body,
            Body::VoteReply { granted }
        );
    }
}

#[test]
fn longer_log_beats_a_higher_priority() {
    for (last, granted) in [((1, 1), true), ((0, 0), false)] {
        let mut node = node(three(Standing::Voter), |config| config.priority = 9);
        let last = LogPosition {
            term: Term(last.0),
            index: Index(last.1),
        };
        receive_in_term(
            &mut node,
            2,
            2,
            Body::RequestVote {
                last,
                transfer: false,
                priority: 0,
            },
        );
        assert_eq!(
            node.hard_state.vote,
            granted.then_some(NodeId(2)),
            "{last:?} against an empty log"
        );
    }
}

/// Only members may propose; the dropped command lets a removed node detect its removal.
#[test]
fn commands_forwarded_by_an_unknown_peer_are_dropped() {
    for (from, taken) in [(2, 1), (9, 0)] {
        let mut node = leader(three(Standing::Voter), |_| {});
        let last = node.last().index;
        receive(
            &mut node,
            from,
            Body::Forward {
                commands: vec![command(1, 10)],
            },
        );
        assert_eq!(node.last().index.0 - last.0, taken, "from n{from}");
    }
}

/// Replies may be reordered; a late one must not delay reads that others confirm.
#[test]
fn late_reply_does_not_revert_a_confirmed_round() {
    let five = Membership::new((1..=5).map(NodeId)).unwrap();
    let mut node = node(five, |_| {});
    node.step(NOW, Input::Campaign);
    write(&mut node);
    [2, 3]
        .into_iter()
        .for_each(|from| receive(&mut node, from, Body::VoteReply { granted: true }));
    write(&mut node);
    [2, 3]
        .into_iter()
        .for_each(|from| matched(&mut node, from, 1));
    settle(&mut node);
    let confirm = |node: &mut Node, from: u64, round: u64| {
        let probe = Some(Probe {
            term: TERM,
            sent: NOW,
            round,
        });
        let result = AppendResult::Matched { up_to: Index(1) };
        receive(
            node,
            from,
            Body::AppendReply(AppendReply {
                probe,
                result,
                state: None,
            }),
        );
    };
    for id in 1..=2 {
        node.step(
            NOW,
            Input::Read {
                id: ReadId(id),
                lease: false,
            },
        );
        write(&mut node);
    }
    confirm(&mut node, 2, 2);
    confirm(&mut node, 2, 1);
    assert_eq!(node.take_actions().responses.reads, []);
    confirm(&mut node, 3, 2);
    let answer = |id| ReadAnswer {
        id: ReadId(id),
        result: Ok(Index(1)),
    };
    assert_eq!(node.take_actions().responses.reads, [answer(1), answer(2)]);
}

/// A state that a repair is about to replace must not be read.
#[test]
fn read_waits_for_the_repair_of_the_state() {
    let mut node = follower(|_| {});
    let entries = [entry(1, 1, 0), entry(1, 2, 0)];
    let Body::AppendEntries(append) = append((0, 0), &entries) else {
        unreachable!()
    };
    receive(
        &mut node,
        2,
        Body::AppendEntries(AppendEntries {
            commit: Index(2),
            ..append
        }),
    );
    settle(&mut node);
    assert_eq!(node.applied(), Index(2));
    node.step(
        NOW,
        Input::Read {
            id: ReadId(4),
            lease: false,
        },
    );
    let token = node
        .take_actions()
        .send
        .iter()
        .find_map(|(_, message)| match message.body {
            Body::Read { token } => Some(token),
            _ => None,
        });
    let Snapshot {
        position,
        stamp,
        membership,
        data,
    } = compacted_at(1, 2, state()).snapshot.unwrap();
    let name = SnapshotName::of(position, data.as_deref().unwrap_or_default());
    let probe = Probe {
        term: TERM,
        sent: NOW,
        round: 0,
    };
    let part = InstallSnapshot {
        name,
        stamp,
        membership,
        offset: 0,
        bytes: data,
        repair: true,
        probe,
    };
    receive(&mut node, 2, Body::InstallSnapshot(part.into()));
    receive(
        &mut node,
        2,
        Body::ReadReply {
            token: token.expect("a read request to the leader"),
            index: Some(Index(2)),
        },
    );
    let actions = node.take_actions();
    assert_eq!(
        (actions.responses.reads, actions.restore),
        (vec![], None),
        "the snapshot is not durable yet"
    );
    node.step(
        NOW,
        Input::Persisted(actions.persist.expect("a snapshot to write").number),
    );
    let actions = node.take_actions();
    assert!(actions.restore.is_some());
    assert_eq!(
        actions.responses.reads,
        [ReadAnswer {
            id: ReadId(4),
            result: Ok(Index(2))
        }]
    );
}

/// A former witness skipped entries without their commands, so it has no state to read, even as a
/// voter.
#[test]
fn former_witness_refuses_reads() {
    let entries = vec![Entry {
        payload: Payload::Withheld,
        ..entry(1, 1, 0)
    }];
    let disk = Restored {
        hard_state: in_term(1, None),
        committed: Index(1),
        entries,
        ..Restored::default()
    };
    let mut node = restored(three(Standing::Voter), disk, |_| {});
    settle(&mut node);
    receive(&mut node, 2, heartbeat());
    node.step(
        NOW,
        Input::Read {
            id: ReadId(4),
            lease: false,
        },
    );
    assert_eq!(
        node.take_actions().responses.reads,
        [ReadAnswer {
            id: ReadId(4),
            result: Err(ReadRefusal::Witness)
        }]
    );
}
