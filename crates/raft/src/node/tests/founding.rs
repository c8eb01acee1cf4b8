//! Founders that agree on their incarnations before the first term.

use super::*;
use crate::actions::Founding;
use crate::event::OwnDisk;

/// The founder `id` of three, with this incarnation on its empty disk.
fn founder(id: u64, incarnation: u64) -> Node {
    started(id, disk(incarnation, Founding::default())).unwrap()
}

fn disk(incarnation: u64, founding: Founding) -> Restored {
    Restored {
        incarnation: Incarnation(incarnation),
        founding,
        ..Restored::default()
    }
}

fn started(id: u64, disk: Restored) -> Result<Node, ConfigError> {
    let mut config = Config::new(NodeId(id), three(Standing::Voter), id);
    config.founders_agree = true;
    Node::new(config, disk, NOW)
}

fn founded_with(incarnations: [u64; 3]) -> Membership {
    let founders = (1..).map(NodeId).zip(incarnations);
    Membership::of(founders.map(|(id, number)| (id, Incarnation(number), Standing::Voter))).unwrap()
}

/// A record of three founders; 0 stands for one that is not known.
fn record(incarnations: [u64; 3]) -> Body {
    let known = |number| (number > 0).then_some(Incarnation(number));
    Body::Founders {
        incarnations: (1..).map(NodeId).zip(incarnations.map(known)).collect(),
    }
}

/// The same record as it is on disk.
fn recorded(incarnations: [u64; 3]) -> Founding {
    let Body::Founders { incarnations } = record(incarnations) else {
        unreachable!("a record")
    };
    Founding::Pending(incarnations.into_iter().collect())
}

/// Delivers a message of the founder `from` with this incarnation.
fn deliver(node: &mut Node, from: u64, incarnation: u64, body: Body) {
    let message = Message {
        sender: Incarnation(incarnation),
        receiver: node.incarnation(),
        ..Message::new(Term(0), body)
    };
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(from),
            message,
        },
    );
}

/// Performs all actions, and returns the messages with their receivers and the last founding
/// written.
fn perform(node: &mut Node) -> (Vec<(NodeId, Body)>, Option<Founding>) {
    let mut sent = Vec::new();
    let mut written = None;
    while node.has_work() {
        let actions = node.take_actions();
        sent.extend(
            actions
                .send
                .into_iter()
                .map(|(to, message)| (to, message.body)),
        );
        if let Some(write) = actions.persist {
            written = write.founding.or(written);
            node.step(NOW, Input::Persisted(write.number));
        }
    }
    (sent, written)
}

fn decided(node: &mut Node) -> Vec<Decision> {
    let events = node.take_actions().events.into_iter();
    events.map(|event| event.decision).collect()
}

#[test]
fn only_founder_founds_its_cluster_at_once() {
    let mut config = Config::new(NodeId(1), alone(), 1);
    config.founders_agree = true;
    let mut node = Node::new(config, disk(7, Founding::default()), NOW).unwrap();
    let membership = Membership::of([(NodeId(1), Incarnation(7), Standing::Voter)]).unwrap();
    assert_eq!(*node.membership(), membership);
    let (_, written) = perform(&mut node);
    assert_eq!(written, Some(Founding::Agreed(membership)));
    node.step(NOW, Input::Campaign);
    perform(&mut node);
    perform(&mut node);
    assert_eq!(node.role(), RoleKind::Leader);
}

#[test]
fn cluster_is_founded_once_all_records_are_equal() {
    let mut nodes = [founder(1, 10), founder(2, 20), founder(3, 30)];
    let mut in_flight: Vec<(usize, NodeId, Body)> = Vec::new();
    for (place, node) in nodes.iter_mut().enumerate() {
        node.step(NOW, Input::Wake);
        let sent = perform(node).0;
        in_flight.extend(sent.into_iter().map(|(to, body)| (place, to, body)));
    }
    let mut delivered = 0;
    while !in_flight.is_empty() {
        let (from, to, body) = in_flight.remove(0);
        let incarnation = nodes[from].incarnation().0;
        let place = to.0 as usize - 1;
        deliver(&mut nodes[place], from as u64 + 1, incarnation, body);
        let sent = perform(&mut nodes[place]).0;
        in_flight.extend(sent.into_iter().map(|(to, body)| (place, to, body)));
        delivered += 1;
        assert!(delivered < 100, "the agreement ends");
    }
    for node in &nodes {
        assert_eq!(*node.membership(), founded_with([10, 20, 30]));
        assert_eq!(node.status().awaited_founders, []);
        assert!(node.may_lead());
    }
}

/// Another founder relies on a record for ever, so it must survive a crash.
#[test]
fn record_is_sent_only_once_it_is_on_disk() {
    let mut node = founder(1, 10);
    deliver(&mut node, 2, 20, record([0, 20, 0]));
    let actions = node.take_actions();
    assert_eq!(actions.send, []);
    let write = actions.persist.unwrap();
    let known = recorded([10, 20, 0]);
    assert_eq!(write.founding, Some(known.clone()));
    node.step(NOW, Input::Persisted(write.number));
    let sent = node.take_actions().send;
    let bodies: Vec<_> = sent
        .iter()
        .map(|(to, message)| (*to, &message.body))
        .collect();
    let record = record([10, 20, 0]);
    assert_eq!(bodies, [(NodeId(2), &record), (NodeId(3), &record)]);
    let restarted = started(1, disk(10, known)).unwrap();
    assert_eq!(
        restarted.status().awaited_founders,
        [NodeId(2), NodeId(3)],
        "an incarnation that is known is not an agreement"
    );
}

#[test]
fn records_repeat_until_the_cluster_is_founded() {
    let mut node = founder(1, 10);
    node.step(NOW, Input::Wake);
    assert_eq!(perform(&mut node).0.len(), 2);
    let next = NOW.after(node.config().heartbeat);
    assert_eq!(node.wake_at(), next);
    node.step(next, Input::Wake);
    assert_eq!(perform(&mut node).0.len(), 2);
}

/// Neither the list in a file nor a request of others shows which disk a founder had.
#[test]
fn node_of_an_unfounded_cluster_takes_no_part_in_elections() {
    let mut node = founder(1, 10);
    node.step(NOW, Input::Wake);
    perform(&mut node);
    let last = LogPosition::default();
    let ask = Message {
        sender: Incarnation(20),
        receiver: Incarnation(10),
        ..Message::new(
            TERM,
            Body::RequestVote {
                last,
                transfer: false,
                priority: 0,
            },
        )
    };
    let from = NodeId(2);
    let heartbeat = Message {
        body: heartbeat(),
        ..ask.clone()
    };
    for message in [ask, heartbeat] {
        node.step(NOW, Input::Receive { from, message });
    }
    node.step(NOW, Input::Campaign);
    assert_eq!(perform(&mut node).0, []);
    assert_eq!((node.term(), node.role()), (Term(0), RoleKind::Follower));
}

/// The record of a founder that is incomplete may still become another one.
#[test]
fn incomplete_or_different_record_is_no_agreement() {
    let mut node = founder(1, 10);
    deliver(&mut node, 2, 20, record([10, 20, 0]));
    deliver(&mut node, 3, 30, record([10, 20, 30]));
    assert_eq!(node.status().awaited_founders, [NodeId(2)]);
    deliver(&mut node, 2, 20, record([11, 20, 30]));
    assert_eq!(node.status().awaited_founders, [NodeId(2)]);
    deliver(&mut node, 2, 20, record([10, 20, 30]));
    assert_eq!(node.status().awaited_founders, []);
    assert_eq!(*node.membership(), founded_with([10, 20, 30]));
}

#[test]
fn founder_with_another_disk_before_the_founding_is_reported_once() {
    let mut node = founder(1, 10);
    deliver(&mut node, 2, 20, record([0, 20, 0]));
    perform(&mut node);
    deliver(&mut node, 3, 30, record([10, 20, 30]));
    for _ in 0..2 {
        deliver(&mut node, 2, 21, record([10, 21, 30]));
    }
    let replaced = Decision::FounderReplaced {
        founder: NodeId(2),
        known: Incarnation(20),
        found: Incarnation(21),
    };
    assert_eq!(decided(&mut node), [replaced]);
    assert_eq!(node.status().awaited_founders, [NodeId(2)]);
}

#[test]
fn other_list_of_founders_is_reported_and_founds_nothing() {
    let mut node = founder(1, 10);
    let incarnations = vec![(NodeId(1), None), (NodeId(2), Some(Incarnation(20)))];
    deliver(&mut node, 2, 20, Body::Founders { incarnations });
    let membership = Membership::new([NodeId(1), NodeId(2)]).unwrap();
    deliver(&mut node, 2, 20, Body::Founded { membership });
    let decided = decided(&mut node);
    let [differ @ Decision::FoundersDiffer { from, .. }] = &decided[..] else {
        panic!("{decided:?}");
    };
    assert_eq!(*from, NodeId(2));
    let text = alloc::format!("{differ}");
    assert!(
        text.contains("lists n1, n2, n3, but n2 lists n1, n2;") && differ.is_alarm(),
        "{text}"
    );
    assert_eq!(node.status().awaited_founders, [NodeId(2), NodeId(3)]);
}

/// The membership that the others founded names the disk that was lost, so the new one does not
/// count.
#[test]
fn new_disk_learns_the_founding_and_does_not_count() {
    let mut old = started(2, disk(20, Founding::Agreed(founded_with([10, 20, 30])))).unwrap();
    deliver(&mut old, 1, 11, record([11, 0, 0]));
    let (sent, _) = perform(&mut old);
    let membership = founded_with([10, 20, 30]);
    let founded = Body::Founded {
        membership: membership.clone(),
    };
    assert_eq!(sent, [(NodeId(1), founded.clone())]);
    let mut new = founder(1, 11);
    deliver(&mut new, 2, 20, founded);
    let (from, own) = (NodeId(2), OwnDisk::Replaced);
    assert_eq!(decided(&mut new), [Decision::AdoptsFounding { from, own }]);
    assert_eq!(*new.membership(), membership);
    assert!(!new.may_lead());
}

/// A machine that joins later needs the membership before the first entry too.
#[test]
fn node_that_is_no_founder_learns_the_founding() {
    let mut node = started(4, disk(40, Founding::default())).unwrap();
    node.step(NOW, Input::Wake);
    let sent = perform(&mut node).0;
    let receivers: Vec<_> = sent.iter().map(|(to, _)| to.0).collect();
    assert_eq!(receivers, [1, 2, 3]);
    let mut unfounded = founder(1, 10);
    unfounded.step(NOW, Input::Wake);
    perform(&mut unfounded);
    deliver(&mut unfounded, 4, 40, sent[0].1.clone());
    assert_eq!(perform(&mut unfounded).0, []);
    let membership = founded_with([10, 20, 30]);
    let founded = Body::Founded {
        membership: membership.clone(),
    };
    deliver(&mut node, 1, 10, founded);
    assert_eq!(*node.membership(), membership);
    assert_eq!(node.status().awaited_founders, []);
}

/// The founders that agree with this node have its complete record, which the disk lacks: it was
/// restored from an earlier copy.
#[test]
fn disk_older_than_its_record_begins_another_incarnation() {
    let mut node = started(1, disk(10, recorded([10, 20, 0]))).unwrap();
    perform(&mut node);
    let membership = founded_with([10, 20, 30]);
    let founded = Body::Founded {
        membership: membership.clone(),
    };
    deliver(&mut node, 2, 20, founded);
    let actions = node.take_actions();
    let (from, own) = (NodeId(2), OwnDisk::Replaced);
    let adopts = Decision::AdoptsFounding { from, own };
    assert!(adopts.is_alarm());
    assert_eq!(decisions(&actions, |decision| *decision == adopts), 1);
    let write = actions.persist.unwrap();
    assert_eq!(write.founding, Some(Founding::Agreed(membership)));
    assert!(write.incarnation.is_some_and(|drawn| drawn.0 != 10));
    node.step(NOW, Input::Persisted(write.number));
    assert_eq!(Some(node.incarnation()), write.incarnation);
    assert!(!node.may_lead());
}

#[test]
fn founding_that_this_node_recorded_is_adopted() {
    let mut node = started(1, disk(10, recorded([10, 20, 30]))).unwrap();
    perform(&mut node);
    let membership = founded_with([10, 20, 30]);
    deliver(&mut node, 2, 20, Body::Founded { membership });
    let (from, own) = (NodeId(2), OwnDisk::Founder);
    assert_eq!(decided(&mut node), [Decision::AdoptsFounding { from, own }]);
    assert!(node.may_lead() && node.incarnation() == Incarnation(10));
}

/// A second list would be a second founding with the same disk.
#[test]
fn record_of_other_founders_is_refused() {
    let two = [(NodeId(1), Some(Incarnation(10))), (NodeId(2), None)];
    let refused = started(1, disk(10, Founding::Pending(two.into())));
    assert_eq!(refused.err(), Some(ConfigError::OtherFounders));
}

#[test]
fn other_record_of_a_founder_is_reported_once() {
    let mut node = started(1, disk(10, recorded([10, 20, 30]))).unwrap();
    perform(&mut node);
    for _ in 0..2 {
        deliver(&mut node, 2, 20, record([10, 20, 31]));
    }
    let differ = Decision::RecordsDiffer {
        from: NodeId(2),
        founder: NodeId(3),
        mine: Incarnation(30),
        theirs: Incarnation(31),
    };
    assert_eq!(decided(&mut node), [differ]);
    assert_eq!(node.status().awaited_founders, [NodeId(2), NodeId(3)]);
}

#[test]
fn disk_without_a_founding_has_no_term_and_no_entries() {
    let voted = Restored {
        hard_state: HardState {
            term: TERM,
            vote: None,
        },
        ..disk(10, Founding::default())
    };
    assert!(matches!(
        started(1, voted.clone()),
        Err(ConfigError::DamagedLog(_))
    ));
    let start = LogStart {
        position: LogPosition::default(),
        stamp: Stamp(1),
    };
    let compacted = Restored {
        start,
        ..disk(10, Founding::default())
    };
    assert!(matches!(
        started(1, compacted),
        Err(ConfigError::DamagedLog(_))
    ));
    let founding = Founding::Agreed(founded_with([10, 20, 30]));
    assert!(started(1, Restored { founding, ..voted }).is_ok());
}

#[test]
fn founders_that_agree_are_voters() {
    let mut config = Config::new(NodeId(1), three(Standing::Learner), 1);
    config.founders_agree = true;
    assert_eq!(config.validate(), Err(ConfigError::Founders));
}
