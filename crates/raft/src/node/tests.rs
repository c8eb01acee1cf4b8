//! Bounds and refusals of one node, fed by hand: what whole clusters hardly ever meet exactly.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::actions::Write;
use crate::entry::{Bytes, Payload};
use crate::message::{AppendEntries, AppendReply, AppendResult, Body, InstallSnapshot, Probe, StateHash};
use crate::reads::{ReadAnswer, ReadRefusal};
use crate::snapshot::SnapshotName;
use crate::types::{ClientId, Stamp};
use crate::{ConfigError, Standing};

const NOW: Moment = Moment(1_000_000);
const TERM: Term = Term(1);

/// n1, n2 and n3, the last of them in this standing.
fn three(last: Standing) -> Membership {
    let standing = [Standing::Voter, Standing::Voter, last];
    Membership::of((1..).map(NodeId).zip(standing).map(|(id, standing)| (id, Incarnation(0), standing))).unwrap()
}

fn alone() -> Membership {
    Membership::new([NodeId(1)]).unwrap()
}

/// n1 of these members, as it starts.
fn node(members: Membership, set: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::new(NodeId(1), members, 1);
    config.pre_vote = false;
    set(&mut config);
    Node::new(config, Restored::default(), NOW).unwrap()
}

/// n1, just elected; its empty entry is not written yet.
fn leader(members: Membership, set: impl FnOnce(&mut Config)) -> Node {
    let mut node = node(members, set);
    node.step(NOW, Input::Campaign);
    write(&mut node);
    hear(&mut node, 2, Body::VoteReply { granted: true });
    assert_eq!((node.role(), node.term()), (RoleKind::Leader, TERM));
    node
}

/// n1, following n2.
fn follower(set: impl FnOnce(&mut Config)) -> Node {
    let mut node = node(three(Standing::Voter), set);
    hear(&mut node, 2, heartbeat());
    while node.has_work() {
        write(&mut node);
    }
    assert_eq!(node.leader(), Some(NodeId(2)));
    node
}

fn heartbeat() -> Body {
    let probe = Some(Probe { sent: NOW, round: 0 });
    let previous = LogPosition::default();
    Body::AppendEntries(AppendEntries { previous, commit: Index(0), probe, round_trip: 0, entries: Vec::new() })
}

fn hear(node: &mut Node, from: u64, body: Body) {
    node.step(NOW, Input::Receive { from: NodeId(from), message: Message::new(TERM, body) });
}

/// A follower has everything up to here.
fn matched(node: &mut Node, from: u64, up_to: u64) {
    let result = AppendResult::Matched { up_to: Index(up_to) };
    hear(node, from, Body::AppendReply(AppendReply { probe: None, result, state: None }));
}

/// What it wants done now; its write is done at once.
fn write(node: &mut Node) -> Actions {
    let actions = node.take_actions();
    if let Some(Write { number, .. }) = actions.persist {
        node.step(NOW, Input::Persisted(number));
    }
    actions
}

fn command(sequence: u64, size: usize) -> Command {
    Command { client: ClientId(7), sequence, bytes: vec![0; size].into() }
}

fn propose(node: &mut Node, sequences: impl IntoIterator<Item = u64>) {
    node.step(NOW, Input::Propose(sequences.into_iter().map(|sequence| command(sequence, 10)).collect()));
}

fn nonsense(actions: &Actions) -> usize {
    actions.events.iter().filter(|event| matches!(event.decision, Decision::IgnoredNonsense { .. })).count()
}

#[test]
fn commands_are_forwarded_in_messages_within_the_bound() {
    let mut node = follower(|config| {
        config.max_command_bytes = 10;
        config.max_append_bytes = 3 * (Entry::OVERHEAD + 10) + 1;
    });
    let large = [command(8, 11)];
    node.step(NOW, Input::Propose((1..=7).map(|sequence| command(sequence, 10)).chain(large).collect()));
    let actions = node.take_actions();
    let forwarded: Vec<Vec<u64>> = actions
        .send
        .iter()
        .map(|(to, message)| match &message.body {
            Body::Forward { commands } if *to == NodeId(2) => commands.iter().map(|c| c.sequence).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(forwarded, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    assert_eq!(actions.refused.iter().map(|refused| refused.sequence).collect::<Vec<_>>(), [8]);
}

/// Exactly as much as fits is no more than fits.
#[test]
fn a_forward_may_be_as_large_as_the_bound() {
    let mut node = follower(|config| {
        config.max_command_bytes = 10;
        config.max_append_bytes = 2 * (Entry::OVERHEAD + 10);
    });
    propose(&mut node, 1..=4);
    assert_eq!(node.take_actions().send.len(), 2);
}

#[test]
fn reads_of_followers_are_bounded_at_the_leader() {
    let mut node = leader(three(Standing::Voter), |config| config.max_reads = 2);
    write(&mut node);
    (1..=3).for_each(|token| hear(&mut node, 2, Body::Read { token }));
    let actions = node.take_actions();
    let refused = |(_, message): &&(NodeId, Message)| matches!(message.body, Body::ReadReply { index: None, .. });
    let refused: Vec<_> = actions.send.iter().filter(refused).map(|(_, message)| message.body.clone()).collect();
    assert_eq!(refused, [Body::ReadReply { token: 3, index: None }]);
}

#[test]
fn reads_of_the_own_program_are_bounded_whether_asked_or_confirmed() {
    let mut node = follower(|config| config.max_reads = 2);
    (1..=3).for_each(|id| node.step(NOW, Input::Read { id: ReadId(id), lease: false }));
    let busy = ReadAnswer { id: ReadId(3), result: Err(ReadRefusal::Busy) };
    assert_eq!(node.take_actions().reads, [busy]);
    let mut node = leader(three(Standing::Voter), |config| config.max_reads = 2);
    (1..=3).for_each(|id| node.step(NOW, Input::Read { id: ReadId(id), lease: false }));
    assert_eq!(node.take_actions().reads, [busy], "early ones count");
}

#[test]
fn what_no_correct_peer_sends_is_told_and_ignored() {
    let mut node = follower(|_| {});
    node.step(NOW, Input::Receive { from: NodeId(1), message: Message::new(TERM, heartbeat()) });
    assert_eq!(nonsense(&node.take_actions()), 1, "from itself");
    hear(&mut node, 3, heartbeat());
    let actions = node.take_actions();
    assert_eq!((nonsense(&actions), actions.send.len()), (1, 0), "a second leader of the term");
    assert_eq!(node.leader(), Some(NodeId(2)));
    let later = Message::new(Term(Term::LAST.0 + 1), heartbeat());
    node.step(NOW, Input::Receive { from: NodeId(2), message: later });
    assert_eq!((nonsense(&node.take_actions()), node.term()), (1, TERM), "a term that cannot exist");
}

fn snapshot_part(term: u64, index: u64, size: usize) -> InstallSnapshot {
    let state: Vec<u8> = vec![5; size];
    InstallSnapshot {
        name: SnapshotName::of(LogPosition { term: Term(term), index: Index(index) }, &state),
        stamp: Stamp(0),
        membership: three(Standing::Voter),
        offset: 0,
        bytes: Some(state.into()),
        repair: false,
        probe: Probe { sent: NOW, round: 0 },
    }
}

#[test]
fn a_snapshot_is_taken_within_its_bounds_and_not_beyond_them() {
    let install = |part: InstallSnapshot| {
        let mut node = follower(|config| config.max_snapshot_bytes = 64);
        hear(&mut node, 2, Body::InstallSnapshot(part.into()));
        (nonsense(&node.take_actions()), node.commit())
    };
    assert_eq!(install(snapshot_part(1, 9, 64)), (0, Index(9)));
    assert_eq!(install(snapshot_part(1, Index::LAST.0, 0)), (0, Index::LAST));
    let refused = [
        snapshot_part(1, 9, 65),
        snapshot_part(2, 9, 8),
        snapshot_part(0, 9, 8),
        snapshot_part(1, 0, 8),
        snapshot_part(1, Index::LAST.0 + 1, 8),
        InstallSnapshot { offset: 1, ..snapshot_part(1, 9, 8) },
        InstallSnapshot { offset: u64::MAX, ..snapshot_part(1, 9, 8) },
    ];
    for part in refused {
        assert_eq!(install(part.clone()), (1, Index(0)), "{part:?}");
    }
}

/// A snapshot of nothing would stand for a log that nobody has.
#[test]
fn nothing_applied_is_nothing_to_take_a_snapshot_of() {
    let mut node = node(alone(), |_| {});
    node.step(
        NOW,
        Input::TakeSnapshot(TakenSnapshot { index: Index(0), data: Bytes::from(&[][..]), compact_to: None }),
    );
    assert_eq!(node.take_actions().persist, None);
    assert_eq!(node.snapshot(), None);
}

#[test]
fn a_snapshot_of_what_was_not_applied_yet_is_of_no_use() {
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
            Input::TakeSnapshot(TakenSnapshot { index: Index(index), data: vec![1].into(), compact_to: None }),
        );
        assert_eq!(node.snapshot().map(|snapshot| snapshot.position.index), taken, "taken at {index}");
    }
}

/// The log waits for a slow follower, but not for one that says nothing.
#[test]
fn the_log_keeps_what_a_follower_that_answers_still_lacks() {
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
        node.step(later, Input::TakeSnapshot(TakenSnapshot { index: Index(21), data, compact_to: None }));
        node.log_start().position.index.0
    };
    let patience = Config::new(NodeId(1), alone(), 1).patience().as_micros() as u64;
    assert_eq!(dropped_up_to(true, 0), 5);
    assert_eq!(dropped_up_to(true, patience - 1), 5);
    assert_eq!(dropped_up_to(true, patience), 19, "it was not heard for as long as a leader waits");
    assert_eq!(dropped_up_to(false, 0), 19, "it never answered");
}

#[test]
fn the_election_timeout_follows_a_measured_round_trip_and_no_unknown_one() {
    let ms = core::time::Duration::from_millis;
    let waits = |round_trip: u32| {
        let mut node = node(three(Standing::Voter), |config| {
            config.pre_vote = true;
            config.adaptive_timeout = Some((ms(120), ms(2_000)));
        });
        let Body::AppendEntries(append) = heartbeat() else { unreachable!() };
        // The first tells, the second sets the timer by it.
        (0..2).for_each(|_| hear(&mut node, 2, Body::AppendEntries(AppendEntries { round_trip, ..append.clone() })));
        core::time::Duration::from_micros(node.wake_at().0 - NOW.0)
    };
    assert!((ms(150)..ms(300)).contains(&waits(0)), "that of the settings");
    assert!((ms(120)..ms(240)).contains(&waits(1)), "no less than the shortest");
    assert!((ms(700)..ms(1_400)).contains(&waits(300_000)), "twice the heartbeat and the round trip");
    assert!((ms(2_000)..ms(4_000)).contains(&waits(30_000_000)), "no more than the longest");
}

/// A disk is slow for a while without anything being wrong with it.
#[test]
fn a_leader_bears_a_slow_disk_for_as_long_as_it_would_bear_silence() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    propose(&mut node, [1]);
    let _under_way = node.take_actions();
    let patience = node.config().patience().as_micros() as u64;
    let mut leads_at = |since: u64| {
        let now = Moment(NOW.0 + since);
        for id in 2..=3 {
            let result = AppendResult::Matched { up_to: Index(1) };
            let message = Message::new(TERM, Body::AppendReply(AppendReply { probe: None, result, state: None }));
            node.step(now, Input::Receive { from: NodeId(id), message });
        }
        let _actions = node.take_actions();
        node.role() == RoleKind::Leader
    };
    assert!(leads_at(60_000) && leads_at(patience), "it waits");
    assert!(!leads_at(patience + 60_000), "it hangs");
}

/// Lets a node that is alone commit and apply everything.
fn settle(node: &mut Node) -> bool {
    let mut due = false;
    while node.has_work() {
        let actions = write(node);
        due |= actions.snapshot_due;
        if let Some(last) = actions.apply.last() {
            node.step(NOW, Input::Applied(last.index));
        }
    }
    due
}

#[test]
fn a_snapshot_is_due_after_so_many_bytes_however_they_were_handed_out() {
    let empty = Entry { term: TERM, index: Index(1), stamp: Stamp(0), payload: Payload::Empty }.size();
    let each = Entry::OVERHEAD + 10;
    let mut node = node(alone(), |config| config.snapshot_bytes = Some(empty + 3 * each));
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
    node.step(NOW, Input::TakeSnapshot(TakenSnapshot { index: applied, data: Bytes::from(&[][..]), compact_to: None }));
    propose(&mut node, [4]);
    assert!(!settle(&mut node), "the count begins again");
}

/// A witness with an entry that a crash took from everybody else could give it to nobody.
#[test]
fn a_witness_is_sent_no_more_than_the_leader_has_on_its_own_disk() {
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
            Body::AppendEntries(append) if *id == NodeId(to) => append.entries.iter().map(|e| e.index.0).collect(),
            _ => Vec::new(),
        };
        sent.iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(entries(3), [2], "the second write is not done");
    assert_eq!(entries(2), [3, 4], "a voter gets them before, from when they are appended");
}

/// Whoever asks `has_work` after each input misses nothing, and asks in vain rarely.
#[test]
fn applying_stirs_a_node_that_waits_for_it_and_no_other() {
    let applied = |set: fn(&mut Config), ask: bool, propose_more: bool| {
        let mut node = node(alone(), set);
        node.step(NOW, Input::Campaign);
        settle(&mut node);
        propose(&mut node, if propose_more { 1..=2 } else { 1..=1 });
        let mut handed_out = Index(0);
        while node.has_work() {
            handed_out = write(&mut node).apply.last().map_or(handed_out, |entry| entry.index);
        }
        if ask {
            node.step(NOW, Input::Read { id: ReadId(1), lease: false });
            write(&mut node);
            assert!(!node.has_work(), "the read waits");
        }
        node.step(NOW, Input::Applied(handed_out));
        node.has_work()
    };
    assert!(!applied(|_| {}, false, false), "nothing waits");
    assert!(applied(|config| config.apply_window = 1, false, true), "an entry waits for room");
    assert!(applied(|_| {}, true, false), "a read waits for its index");
    assert!(applied(|config| config.snapshot_entries = Some(2), false, false), "a snapshot may be due");
    assert!(applied(|config| config.snapshot_bytes = Some(2), false, false), "a snapshot may be due");
}

/// A hash of a state that was replaced tells nothing of the one in its place.
#[test]
fn a_repaired_follower_is_believed_only_in_what_it_tells_of_later_entries() {
    let mut node = leader(three(Standing::Voter), |_| {});
    write(&mut node);
    let tell = |node: &mut Node, from: u64, index: u64, hash: u64| {
        let state = Some(StateHash { index: Index(index), hash });
        let result = AppendResult::Matched { up_to: Index(index) };
        hear(node, from, Body::AppendReply(AppendReply { probe: None, result, state }));
    };
    let strays = |node: &mut Node| {
        let actions = write(node);
        actions.events.iter().filter(|event| matches!(event.decision, Decision::StateDiverged { .. })).count()
    };
    node.step(NOW, Input::StateHash(StateHash { index: Index(1), hash: 7 }));
    tell(&mut node, 3, 1, 7);
    tell(&mut node, 2, 1, 8);
    assert_eq!(strays(&mut node), 1);
    node.step(NOW, Input::Applied(Index(1)));
    node.step(NOW, Input::TakeSnapshot(TakenSnapshot { index: Index(1), data: vec![1].into(), compact_to: None }));
    let sent = write(&mut node).send;
    let part = sent.iter().find_map(|(to, message)| match &message.body {
        Body::InstallSnapshot(part) if *to == NodeId(2) => Some(part),
        _ => None,
    });
    let position = part.expect("the repair").name.position;
    let result = crate::message::SnapshotResult::Installed;
    let probe = Probe { sent: NOW, round: 0 };
    hear(&mut node, 2, Body::SnapshotReply(crate::message::SnapshotReply { probe, position, result }));
    tell(&mut node, 3, 1, 7);
    assert_eq!(strays(&mut node), 0, "n2 has told nothing since");
    tell(&mut node, 2, 1, 8);
    assert_eq!(strays(&mut node), 0, "that came late");
    propose(&mut node, [1]);
    write(&mut node);
    node.step(NOW, Input::StateHash(StateHash { index: Index(2), hash: 70 }));
    tell(&mut node, 3, 2, 70);
    tell(&mut node, 2, 2, 80);
    assert_eq!(strays(&mut node), 1, "that is news");
}

#[test]
fn a_log_that_no_node_could_have_written_is_refused() {
    let entry = |term, index| Entry { term: Term(term), index: Index(index), stamp: Stamp(0), payload: Payload::Empty };
    let position = |term, index| LogPosition { term: Term(term), index: Index(index) };
    let hard_state = |term| HardState { term: Term(term), vote: None };
    let snapshot = |term, index| {
        let membership = three(Standing::Voter);
        Snapshot { position: position(term, index), stamp: Stamp(0), membership, data: Some(Bytes::from(&[][..])) }
    };
    let sound = Restored {
        hard_state: hard_state(2),
        snapshot: Some(snapshot(1, 3)),
        start: snapshot(1, 2).start(),
        entries: vec![entry(1, 3), entry(2, 4)],
        ..Restored::default()
    };
    let start = |restored: Restored| {
        Node::new(Config::new(NodeId(1), three(Standing::Voter), 1), restored, NOW).map(|node| node.last())
    };
    assert_eq!(start(sound.clone()), Ok(position(2, 4)));
    assert_eq!(
        start(Restored { start: snapshot(1, 3).start(), entries: vec![entry(2, 4)], ..sound.clone() }),
        Ok(position(2, 4))
    );
    let damaged = [
        (Restored { snapshot: None, ..sound.clone() }, "it begins after its snapshot"),
        (Restored { snapshot: Some(snapshot(2, 5)), ..sound.clone() }, "it does not reach its snapshot"),
        (Restored { snapshot: Some(snapshot(2, 3)), ..sound.clone() }, "it does not reach its snapshot"),
        (
            Restored { hard_state: hard_state(1), ..sound.clone() },
            "it holds an entry of a later term than the node's own",
        ),
        (Restored { hard_state: hard_state(Term::LAST.0 + 1), ..sound.clone() }, "its term cannot exist"),
    ];
    for (restored, why) in damaged {
        assert_eq!(start(restored), Err(ConfigError::DamagedLog(why)));
    }
    assert!(start(Restored { hard_state: hard_state(Term::LAST.0), ..sound }).is_ok());
}

/// "It might still be needed until the C_new entry is committed" (thesis 4.2.2), and no longer.
#[test]
fn a_node_that_loses_its_vote_stands_only_while_that_is_undecided() {
    let entry = |index, payload| Entry { term: TERM, index: Index(index), stamp: Stamp(0), payload };
    let stands = |committed: u64| {
        let members = three(Standing::Voter);
        let without = members.after(&Change::Remove(NodeId(1))).unwrap();
        let restored = Restored {
            hard_state: HardState { term: TERM, vote: None },
            committed: Index(committed),
            entries: vec![entry(1, Payload::Empty), entry(2, Payload::Membership(without))],
            ..Restored::default()
        };
        let mut config = Config::new(NodeId(1), members, 1);
        config.pre_vote = false;
        let mut node = Node::new(config, restored, NOW).unwrap();
        node.step(NOW, Input::Campaign);
        node.role() == RoleKind::Candidate
    };
    assert!(stands(1));
    assert!(!stands(2));
}
