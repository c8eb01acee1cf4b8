//! Bounds and refusals of a single node with scripted inputs, for cases that whole clusters rarely
//! hit exactly.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::actions::Write;
use crate::entry::{Bytes, Payload};
use crate::message::{
    AppendEntries, AppendReply, AppendResult, Body, InstallSnapshot, Probe, StateHash,
};
use crate::reads::{ReadAnswer, ReadRefusal};
use crate::snapshot::SnapshotName;
use crate::types::{ClientId, Stamp};
use crate::{ConfigError, Standing};

mod checks;
mod divergence;
mod elections;
mod follower;
mod founding;
mod incarnations;
mod leader;
mod membership_changes;
mod reads;
mod snapshot_transfer;
mod snapshots;
mod stale;
mod transfers;

const NOW: Moment = Moment(1_000_000);
const TERM: Term = Term(1);

/// n1, n2 and n3; n3 has the standing `last`.
fn three(last: Standing) -> Membership {
    let standing = [Standing::Voter, Standing::Voter, last];
    Membership::of(
        (1..)
            .map(NodeId)
            .zip(standing)
            .map(|(id, standing)| (id, Incarnation(0), standing)),
    )
    .unwrap()
}

fn alone() -> Membership {
    Membership::new([NodeId(1)]).unwrap()
}

/// n1 of `members`, freshly started.
fn node(members: Membership, set: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::new(NodeId(1), members, 1);
    config.pre_vote = false;
    set(&mut config);
    Node::new(config, Restored::default(), NOW).unwrap()
}

/// n1, just elected, with its empty entry not written yet.
fn leader(members: Membership, set: impl FnOnce(&mut Config)) -> Node {
    let mut node = node(members, set);
    node.step(NOW, Input::Campaign);
    write(&mut node);
    receive(&mut node, 2, Body::VoteReply { granted: true });
    assert_eq!((node.role(), node.term()), (RoleKind::Leader, TERM));
    node
}

/// n1, following n2.
fn follower(set: impl FnOnce(&mut Config)) -> Node {
    let mut node = node(three(Standing::Voter), set);
    receive(&mut node, 2, heartbeat());
    while node.has_work() {
        write(&mut node);
    }
    assert_eq!(node.leader(), Some(NodeId(2)));
    node
}

fn heartbeat() -> Body {
    let probe = Some(Probe {
        term: crate::types::Term(1),
        sent: NOW,
        round: 0,
    });
    let previous = LogPosition::default();
    Body::AppendEntries(AppendEntries {
        previous,
        commit: Index(0),
        probe,
        round_trip: 0,
        entries: Vec::new(),
    })
}

fn receive(node: &mut Node, from: u64, body: Body) {
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(from),
            message: Message::new(TERM, body),
        },
    );
}

/// Acknowledges all entries up to `up_to`, as follower `from`.
fn matched(node: &mut Node, from: u64, up_to: u64) {
    let result = AppendResult::Matched {
        up_to: Index(up_to),
    };
    receive(
        node,
        from,
        Body::AppendReply(AppendReply {
            probe: None,
            result,
            state: None,
        }),
    );
}

/// Takes the actions and completes their write at once.
fn write(node: &mut Node) -> Actions {
    let actions = node.take_actions();
    if let Some(Write { number, .. }) = actions.persist {
        node.step(NOW, Input::Persisted(number));
    }
    actions
}

fn command(sequence: u64, size: usize) -> Command {
    Command {
        client: ClientId(7),
        sequence,
        bytes: vec![0; size].into(),
    }
}

fn propose(node: &mut Node, sequences: impl IntoIterator<Item = u64>) {
    node.step(
        NOW,
        Input::Propose(
            sequences
                .into_iter()
                .map(|sequence| command(sequence, 10))
                .collect(),
        ),
    );
}

fn ignored_messages(actions: &Actions) -> usize {
    actions
        .events
        .iter()
        .filter(|event| matches!(event.decision, Decision::IgnoredInvalidMessage { .. }))
        .count()
}

/// Commits and applies everything on a single-node cluster. Returns whether a snapshot became due.
fn settle(node: &mut Node) -> bool {
    let mut due = false;
    while node.has_work() {
        let actions = write(node);
        due |= actions.responses.snapshot_due;
        if let Some(last) = actions.apply.last() {
            node.step(NOW, Input::Applied(last.index));
        }
    }
    due
}

fn at(node: &mut Node, now: Moment, from: u64, body: Body) {
    node.step(
        now,
        Input::Receive {
            from: NodeId(from),
            message: Message::new(TERM, body),
        },
    );
}

fn answer(up_to: u64) -> Body {
    let result = AppendResult::Matched {
        up_to: Index(up_to),
    };
    Body::AppendReply(AppendReply {
        probe: None,
        result,
        state: None,
    })
}

fn decisions(actions: &Actions, which: impl Fn(&Decision) -> bool) -> usize {
    actions
        .events
        .iter()
        .filter(|event| which(&event.decision))
        .count()
}
