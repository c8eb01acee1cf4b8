//! Detection of divergent states by the hashes that followers report.

use super::*;

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
