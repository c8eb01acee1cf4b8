//! Membership changes: promotion, demotion, contacts and refusals.

use super::*;
use crate::actions::RequestError;
use crate::membership::Change;

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

/// A demoted leader keeps leading until its log is committed. Another membership entry after its
/// own demotion could leave the cluster without an electable member.
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

/// A contact changes no majority, so a member that moves is reached again at once (thesis 4.1
/// allows one change of members at a time).
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
        Err(RequestError::ChangeInProgress)
    );
    assert_eq!(change(&mut node, moved(1)), Ok(()));
    assert_eq!(
        change(&mut node, add(5)),
        Err(RequestError::ChangeInProgress),
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

/// Without check-quorum a leader that is cut off stays one, and members may keep asking it.
#[test]
fn contacts_beyond_the_bound_of_uncommitted_entries_are_refused() {
    let mut node = leader(three(Standing::Voter), |config| {
        config.check_quorum = false;
        config.max_uncommitted_entries = 3;
    });
    let record = |byte: u8| Change::Record {
        contacts: vec![(NodeId(2), vec![byte].into())],
        annex: None,
    };
    // The empty entry of the term is the first one.
    assert_eq!(node.change_membership(&record(1)), Ok(()));
    assert_eq!(node.change_membership(&record(2)), Ok(()));
    assert_eq!(node.change_membership(&record(3)), Err(RequestError::Busy));
    while node.has_work() {
        write(&mut node);
    }
    matched(&mut node, 2, 3);
    assert_eq!(node.commit(), Index(3));
    assert_eq!(node.change_membership(&record(3)), Ok(()));
}
