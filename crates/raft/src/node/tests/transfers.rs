//! Leadership transfers (thesis 3.10).

use super::*;
use crate::actions::RequestError;

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
        [Err(RequestError::NoSuccessor)],
        "no follower has replied"
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
        [Err(RequestError::Silent(NodeId(3)))]
    );
    node.step(late, Input::TransferLeadership(Some(NodeId(2))));
    assert_eq!(node.take_actions().responses.request_results, [Ok(())]);
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
