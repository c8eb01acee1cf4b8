//! Limits of taking, sending and restoring snapshots.

use super::*;
use crate::message::{SnapshotReply, SnapshotResult};

pub(super) fn snapshot_part(term: u64, index: u64, size: usize) -> InstallSnapshot {
    let state: Vec<u8> = vec![5; size];
    InstallSnapshot {
        name: SnapshotName::of(
            LogPosition {
                term: Term(term),
                index: Index(index),
            },
            &state,
        ),
        stamp: Stamp(0),
        membership: three(Standing::Voter),
        offset: 0,
        bytes: Some(state.into()),
        repair: false,
        probe: Probe {
            term: crate::types::Term(1),
            sent: NOW,
            round: 0,
        },
    }
}

#[test]
fn snapshot_outside_its_bounds_is_ignored() {
    let install = |part: InstallSnapshot| {
        let mut node = follower(|config| config.max_snapshot_bytes = 64);
        receive(&mut node, 2, Body::InstallSnapshot(part.into()));
        (ignored_messages(&node.take_actions()), node.commit())
    };
    assert_eq!(install(snapshot_part(1, 9, 64)), (0, Index(9)));
    assert_eq!(
        install(snapshot_part(1, Index::LAST.0, 0)),
        (0, Index::LAST)
    );
    let refused = [
        snapshot_part(2, 9, 8),
        snapshot_part(0, 9, 8),
        snapshot_part(1, 0, 8),
        snapshot_part(1, Index::LAST.0 + 1, 8),
        InstallSnapshot {
            offset: 1,
            ..snapshot_part(1, 9, 8)
        },
        InstallSnapshot {
            offset: u64::MAX,
            ..snapshot_part(1, 9, 8)
        },
    ];
    for part in refused {
        assert_eq!(install(part.clone()), (1, Index(0)), "{part:?}");
    }
}

fn snapshot_replies(actions: &Actions) -> Vec<SnapshotResult> {
    let replies = actions
        .send
        .iter()
        .filter_map(|(_, message)| match &message.body {
            Body::SnapshotReply(reply) => Some(reply.result),
            _ => None,
        });
    replies.collect()
}

/// Without the reply the leader would resend the snapshot for ever.
#[test]
fn oversized_snapshot_is_refused_with_the_limit() {
    let mut node = follower(|config| config.max_snapshot_bytes = 64);
    receive(
        &mut node,
        2,
        Body::InstallSnapshot(snapshot_part(1, 9, 65).into()),
    );
    let actions = node.take_actions();
    assert_eq!(
        (snapshot_replies(&actions), node.commit()),
        (vec![SnapshotResult::TooLarge { limit: 64 }], Index(0))
    );
}

/// n1 with a committed snapshot up to entry 5, after which its log starts.
fn compacted() -> Node {
    let mut node = follower(|_| {});
    receive(
        &mut node,
        2,
        Body::InstallSnapshot(snapshot_part(1, 5, 8).into()),
    );
    while node.has_work() {
        write(&mut node);
    }
    assert_eq!(
        (node.log_start().position.index, node.commit()),
        (Index(5), Index(5))
    );
    node
}

#[test]
fn snapshot_that_contradicts_a_committed_entry_is_ignored() {
    let mut node = compacted();
    let part = InstallSnapshot {
        probe: Probe {
            term: Term(2),
            sent: NOW,
            round: 0,
        },
        ..snapshot_part(2, 5, 8)
    };
    let message = Message::new(Term(2), Body::InstallSnapshot(part.into()));
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message,
        },
    );
    let actions = node.take_actions();
    assert_eq!(snapshot_replies(&actions), []);
    let contradicts =
        |decision: &Decision| matches!(decision, Decision::ContradictsCommitted { .. });
    assert_eq!(decisions(&actions, contradicts), 1);
}

/// If the node acknowledged it without installing it, the repair would count as done.
#[test]
fn repair_that_ends_before_the_log_starts_is_refused() {
    let mut node = compacted();
    let part = InstallSnapshot {
        repair: true,
        ..snapshot_part(1, 3, 8)
    };
    receive(&mut node, 2, Body::InstallSnapshot(part.into()));
    assert_eq!(
        snapshot_replies(&node.take_actions()),
        [SnapshotResult::TooOld { base: Index(5) }]
    );
}

#[test]
fn reply_to_a_stale_request_echoes_no_probe() {
    let mut node = compacted();
    let message = Message::new(Term(7), Body::VoteReply { granted: false });
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(3),
            message,
        },
    );
    receive(
        &mut node,
        2,
        Body::InstallSnapshot(snapshot_part(1, 9, 8).into()),
    );
    receive(&mut node, 2, heartbeat());
    let mut replies = 0;
    while node.has_work() {
        for (_, message) in write(&mut node).send {
            match message.body {
                Body::SnapshotReply(SnapshotReply {
                    probe: None,
                    result: SnapshotResult::Stale,
                    ..
                })
                | Body::AppendReply(AppendReply {
                    probe: None,
                    result: AppendResult::Stale,
                    ..
                }) => replies += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(replies, 2);
}

/// Entries below the base are covered by a snapshot; the one at the base is still known.
#[test]
fn append_that_contradicts_the_base_entry_is_ignored() {
    for (term, ignored) in [(1, 0), (2, 1)] {
        let mut node = compacted();
        let entry = |index, term| Entry {
            term: Term(term),
            index: Index(index),
            stamp: Stamp(0),
            payload: Payload::Empty,
        };
        let previous = LogPosition {
            term: Term(1),
            index: Index(4),
        };
        let entries = vec![entry(5, term), entry(6, 2)];
        let append = AppendEntries {
            previous,
            commit: Index(0),
            probe: None,
            round_trip: 0,
            entries,
        };
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message: Message::new(Term(2), Body::AppendEntries(append)),
            },
        );
        let contradicts =
            |decision: &Decision| matches!(decision, Decision::ContradictsCommitted { .. });
        assert_eq!(
            decisions(&node.take_actions(), contradicts),
            ignored,
            "{term}"
        );
        assert_eq!(node.last().index, Index(6 - ignored as u64));
    }
}

/// No majority may pause for snapshots at the same entry.
#[test]
fn members_take_snapshots_at_different_entries() {
    let mut taken = Vec::new();
    for id in 1..=3 {
        let mut config = Config::new(NodeId(id), three(Standing::Voter), 1);
        (
            config.snapshot_entries,
            config.snapshot_keep,
            config.pre_vote,
        ) = (Some(6), 0, false);
        let mut node = Node::new(config, Restored::default(), NOW).unwrap();
        for index in 1..=30_u64 {
            let entry = Entry {
                term: TERM,
                index: Index(index),
                stamp: Stamp(0),
                payload: Payload::Empty,
            };
            let previous = LogPosition {
                term: Term((index > 1).into()),
                index: Index(index - 1),
            };
            let commit = Index(index);
            let append = AppendEntries {
                previous,
                commit,
                probe: None,
                round_trip: 0,
                entries: vec![entry],
            };
            receive(&mut node, id % 3 + 1, Body::AppendEntries(append));
            if settle(&mut node) {
                taken.push((id, index));
                let data = Bytes::from(&[1][..]);
                node.step(
                    NOW,
                    Input::TakeSnapshot(TakenSnapshot {
                        index: Index(index),
                        data,
                        compact_to: None,
                    }),
                );
            }
        }
    }
    let of = |id: u64| {
        taken
            .iter()
            .filter(|(by, _)| *by == id)
            .map(|(_, index)| *index)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(1), [6, 12, 18, 24, 30]);
    assert_eq!((of(2), of(3)), (vec![8, 14, 20, 26], vec![10, 16, 22, 28]));
}

/// One declined request must not stop snapshots for good.
#[test]
fn declined_snapshot_is_requested_again_later() {
    let mut node = node(alone(), |config| config.snapshot_entries = Some(2));
    node.step(NOW, Input::Campaign);
    settle(&mut node);
    propose(&mut node, [1]);
    assert!(settle(&mut node));
    node.step(NOW, Input::DeclineSnapshot);
    propose(&mut node, [2]);
    assert!(!settle(&mut node), "not at once");
    node.step(NOW.after(node.config().snapshot_retry), Input::Wake);
    assert!(settle(&mut node));
}

/// A snapshot at index 0 would cover no entry of any log.
#[test]
fn snapshot_at_index_zero_is_ignored() {
    let mut node = node(alone(), |_| {});
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: Index(0),
            data: Bytes::from(&[][..]),
            compact_to: None,
        }),
    );
    assert_eq!(node.take_actions().persist, None);
    assert_eq!(node.snapshot(), None);
}

#[test]
fn snapshot_beyond_the_applied_index_is_ignored() {
    let mut node = node(alone(), |_| {});
    node.step(NOW, Input::Campaign);
    settle(&mut node);
    propose(&mut node, [1]);
    while node.has_work() {
        write(&mut node);
    }
    assert_eq!((node.applied(), node.commit()), (Index(1), Index(2)));
    for (index, taken) in [(3, None), (2, None), (1, Some(Index(1)))] {
        node.step(
            NOW,
            Input::TakeSnapshot(TakenSnapshot {
                index: Index(index),
                data: vec![1].into(),
                compact_to: None,
            }),
        );
        assert_eq!(
            node.snapshot().map(|snapshot| snapshot.position.index),
            taken,
            "taken at {index}"
        );
    }
}

/// Compaction waits for a slow follower, but not for a silent one.
#[test]
fn compaction_keeps_entries_for_responsive_followers() {
    let dropped_up_to = |answers: bool, silence: u64| {
        let mut node = leader(three(Standing::Voter), |config| config.snapshot_keep = 2);
        write(&mut node);
        propose(&mut node, 1..=20);
        write(&mut node);
        matched(&mut node, 2, 21);
        if answers {
            matched(&mut node, 3, 5);
        }
        write(&mut node);
        node.step(NOW, Input::Applied(Index(21)));
        let later = Moment(NOW.0 + silence);
        matched(&mut node, 2, 21);
        let data = vec![1].into();
        node.step(
            later,
            Input::TakeSnapshot(TakenSnapshot {
                index: Index(21),
                data,
                compact_to: None,
            }),
        );
        node.log_start().position.index.0
    };
    let timeout = Config::new(NodeId(1), alone(), 1)
        .max_election_timeout()
        .as_micros() as u64;
    assert_eq!(dropped_up_to(true, 0), 5);
    assert_eq!(dropped_up_to(true, timeout - 1), 5);
    assert_eq!(
        dropped_up_to(true, timeout),
        19,
        "it was silent for the longest election timeout"
    );
    assert_eq!(dropped_up_to(false, 0), 19, "it never replied");
}

#[test]
fn snapshot_is_due_after_the_configured_bytes() {
    let empty = Entry {
        term: TERM,
        index: Index(1),
        stamp: Stamp(0),
        payload: Payload::Empty,
    }
    .size();
    let each = Entry::OVERHEAD + 10;
    let mut node = node(alone(), |config| {
        config.snapshot_bytes = Some(empty + 3 * each)
    });
    node.step(NOW, Input::Campaign);
    assert!(!settle(&mut node));
    let due: Vec<bool> = (1..=3)
        .map(|sequence| {
            propose(&mut node, [sequence]);
            settle(&mut node)
        })
        .collect();
    assert_eq!(due, [false, false, true]);
    let applied = node.applied();
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot {
            index: applied,
            data: Bytes::from(&[][..]),
            compact_to: None,
        }),
    );
    propose(&mut node, [4]);
    assert!(!settle(&mut node), "the byte count restarts");
}

#[test]
fn damaged_log_is_refused() {
    let entry = |term, index| Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    let position = |term, index| LogPosition {
        term: Term(term),
        index: Index(index),
    };
    let hard_state = |term| HardState {
        term: Term(term),
        vote: None,
    };
    let snapshot = |term, index| {
        let membership = three(Standing::Voter);
        Snapshot {
            position: position(term, index),
            stamp: Stamp(0),
            membership,
            data: Some(Bytes::from(&[][..])),
        }
    };
    let sound = Restored {
        hard_state: hard_state(2),
        snapshot: Some(snapshot(1, 3)),
        start: snapshot(1, 2).start(),
        entries: vec![entry(1, 3), entry(2, 4)],
        ..Restored::default()
    };
    let start = |restored: Restored| {
        Node::new(
            Config::new(NodeId(1), three(Standing::Voter), 1),
            restored,
            NOW,
        )
        .map(|node| node.last())
    };
    assert_eq!(start(sound.clone()), Ok(position(2, 4)));
    assert_eq!(
        start(Restored {
            start: snapshot(1, 3).start(),
            entries: vec![entry(2, 4)],
            ..sound.clone()
        }),
        Ok(position(2, 4))
    );
    let damaged = [
        (
            Restored {
                snapshot: None,
                ..sound.clone()
            },
            "it starts after the end of its snapshot",
        ),
        (
            Restored {
                snapshot: Some(snapshot(2, 5)),
                ..sound.clone()
            },
            "it does not match its snapshot",
        ),
        (
            Restored {
                snapshot: Some(snapshot(2, 3)),
                ..sound.clone()
            },
            "it does not match its snapshot",
        ),
        (
            Restored {
                hard_state: hard_state(1),
                ..sound.clone()
            },
            "it contains an entry of a later term than the node's own",
        ),
        (
            Restored {
                hard_state: hard_state(Term::LAST.0 + 1),
                ..sound.clone()
            },
            "its term is out of range",
        ),
    ];
    for (restored, why) in damaged {
        assert_eq!(start(restored), Err(ConfigError::DamagedLog(why)));
    }
    assert!(
        start(Restored {
            hard_state: hard_state(Term::LAST.0),
            ..sound
        })
        .is_ok()
    );
}

#[test]
fn zero_byte_limit_requests_no_snapshot_of_an_empty_log() {
    let mut node = node(three(Standing::Voter), |config| {
        config.snapshot_bytes = Some(0)
    });
    node.step(NOW, Input::Wake);
    assert!(!node.take_actions().responses.snapshot_due);
}

/// The program is notified of a repair only once the snapshot is on disk, and reports hashes of the
/// wrong state until then.
#[test]
fn state_hash_reported_during_a_repair_is_ignored() {
    let mut node = follower(|_| {});
    let entry = |index| Entry {
        term: TERM,
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    let append = AppendEntries {
        previous: LogPosition::default(),
        commit: Index(5),
        probe: None,
        round_trip: 0,
        entries: (1..=5).map(entry).collect(),
    };
    receive(&mut node, 2, Body::AppendEntries(append));
    settle(&mut node);
    let state = &b"right"[..];
    let part = InstallSnapshot {
        name: SnapshotName::of(
            LogPosition {
                term: TERM,
                index: Index(4),
            },
            state,
        ),
        stamp: Stamp(0),
        membership: three(Standing::Voter),
        offset: 0,
        bytes: Some(state.into()),
        repair: true,
        probe: Probe {
            term: TERM,
            sent: NOW,
            round: 0,
        },
    };
    receive(&mut node, 2, Body::InstallSnapshot(part.into()));
    let actions = node.take_actions();
    let number = actions.persist.expect("a snapshot to write").number;
    assert!(actions.restore.is_none());
    node.step(
        NOW,
        Input::StateHash(StateHash {
            index: Index(5),
            hash: 666,
        }),
    );
    node.step(NOW, Input::Persisted(number));
    assert!(node.take_actions().restore.is_some());
    assert_eq!(node.newest_state(), None);
}
