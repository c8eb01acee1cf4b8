//! Candidates, votes and election timeouts.

use super::*;

#[test]
fn adaptive_timeout_follows_the_round_trip_from_the_floor() {
    let ms = core::time::Duration::from_millis;
    let waits = |round_trip: u32| {
        let mut node = node(three(Standing::Voter), |config| {
            config.pre_vote = true;
            config.election_timeout = (ms(400), ms(500));
            config.adaptive_timeout = Some((ms(120), ms(2_000)));
        });
        let Body::AppendEntries(append) = heartbeat() else {
            unreachable!()
        };
        // The first heartbeat reports the round trip, the second sets the timer from it.
        (0..2).for_each(|_| {
            receive(
                &mut node,
                2,
                Body::AppendEntries(AppendEntries {
                    round_trip,
                    ..append.clone()
                }),
            )
        });
        core::time::Duration::from_micros(node.wake_at().0 - NOW.0)
    };
    assert!(
        (ms(120)..ms(240)).contains(&waits(0)),
        "the floor while no round trip is measured"
    );
    assert!(
        (ms(120)..ms(240)).contains(&waits(1)),
        "no less than the floor"
    );
    assert!(
        (ms(700)..ms(1_400)).contains(&waits(300_000)),
        "twice the sum of heartbeat and round trip"
    );
    assert!(
        (ms(2_000)..ms(4_000)).contains(&waits(30_000_000)),
        "no more than the ceiling"
    );
}

#[test]
fn adaptive_timeout_doubles_with_each_failed_campaign() {
    let ms = core::time::Duration::from_millis;
    let mut node = node(three(Standing::Voter), |config| {
        config.pre_vote = true;
        config.adaptive_timeout = Some((ms(100), ms(700)));
    });
    let mut waits = || {
        let now = node.wake_at();
        node.step(now, Input::Wake);
        let _actions = node.take_actions();
        core::time::Duration::from_micros(node.wake_at().0 - now.0)
    };
    for shortest in [100, 200, 400, 700, 700] {
        let waited = waits();
        assert!(
            (ms(shortest)..ms(shortest * 2)).contains(&waited),
            "{shortest} ms: {waited:?}"
        );
    }
    receive(&mut node, 2, heartbeat());
    let waited = core::time::Duration::from_micros(node.wake_at().0 - node.now.0);
    assert!(
        (ms(100)..ms(200)).contains(&waited),
        "a leader made contact: {waited:?}"
    );
}

/// A follower's commitment to a leader not to vote (thesis 4.2.3) outlasts the term of the last
/// contact.
#[test]
fn follower_with_recent_contact_refuses_votes_in_later_terms() {
    for recently in [true, false] {
        let mut node = follower(|_| {});
        let later = Term(5);
        let stale = Body::VoteReply { granted: false };
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(3),
                message: Message::new(later, stale),
            },
        );
        assert_eq!((node.term(), node.leader()), (later, None));
        let now = if recently {
            NOW
        } else {
            NOW.after(node.config().stickiness())
        };
        let ask = Body::RequestVote {
            last: LogPosition::default(),
            transfer: false,
            priority: 0,
        };
        node.step(
            now,
            Input::Receive {
                from: NodeId(3),
                message: Message::new(later, ask),
            },
        );
        assert_eq!(
            node.hard_state.vote,
            (!recently).then_some(NodeId(3)),
            "{recently}"
        );
    }
}

/// A preferred node that cannot win must not block the only one that can.
#[test]
fn preferred_node_refuses_lower_priorities_for_bounded_time() {
    let mut node = node(three(Standing::Voter), |config| config.priority = 5);
    let ask = Body::PreVote {
        last: LogPosition::default(),
        priority: 0,
    };
    let mut grants = |now: Moment| {
        node.step(
            now,
            Input::Receive {
                from: NodeId(2),
                message: Message::new(Term(node.term().0 + 1), ask.clone()),
            },
        );
        let sent = node.take_actions().send;
        sent.iter()
            .any(|(_, message)| message.body == Body::PreVoteReply { granted: true })
    };
    assert!(!grants(NOW) && !grants(Moment(NOW.0 + 100)));
    assert!(grants(NOW.after(
        Config::new(NodeId(1), alone(), 1).max_election_timeout()
    )));
}

/// On slow disks an election takes as long as the writes, and no node may abandon it meanwhile.
#[test]
fn candidate_waits_until_its_vote_is_durable() {
    let mut node = node(three(Standing::Voter), |config| config.pre_vote = true);
    node.step(NOW, Input::Campaign);
    let granted = Message::new(TERM, Body::PreVoteReply { granted: true });
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: granted,
        },
    );
    let number = node.take_actions().persist.expect("a vote to write").number;
    let slow = 900_000;
    while node.wake_at().0 < NOW.0 + slow {
        node.step(node.wake_at(), Input::Wake);
        assert_eq!((node.role(), node.term()), (RoleKind::Candidate, TERM));
    }
    let done = Moment(NOW.0 + slow);
    node.step(done, Input::Persisted(number));
    assert!(
        node.wake_at() >= done.after(core::time::Duration::from_micros(2 * slow)),
        "as much time for the disks of the others"
    );
}

/// "It might still be needed until the C_new entry is committed" (thesis 4.2.2), and no longer.
#[test]
fn departing_voter_stands_only_until_its_removal_is_committed() {
    let entry = |index, payload| Entry {
        term: TERM,
        index: Index(index),
        stamp: Stamp(0),
        payload,
    };
    let stands = |committed: u64| {
        let members = three(Standing::Voter);
        let without = members.after(&Change::Remove(NodeId(1))).unwrap();
        let restored = Restored {
            hard_state: HardState {
                term: TERM,
                vote: None,
            },
            committed: Index(committed),
            entries: vec![
                entry(1, Payload::Empty),
                entry(2, Payload::Membership(without)),
            ],
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

/// "Each server will vote for at most one candidate in a given term" (section 5.2), and repeat its
/// answer to every repeated request.
#[test]
fn repeated_vote_request_gets_the_same_answer() {
    let mut node = node(three(Standing::Voter), |_| {});
    let ask = Body::RequestVote {
        last: LogPosition::default(),
        transfer: false,
        priority: 0,
    };
    let mut answers = |from: u64| {
        receive(&mut node, from, ask.clone());
        let mut sent = Vec::new();
        while node.has_work() {
            sent.extend(write(&mut node).send);
        }
        sent.into_iter()
            .map(|(to, message)| (to.0, message.body))
            .collect::<Vec<_>>()
    };
    let granted = |granted| Body::VoteReply { granted };
    assert_eq!(answers(2), [(2, granted(true))]);
    assert_eq!(answers(2), [(2, granted(true))]);
    assert_eq!(answers(3), [(3, granted(false))]);
}

/// A node that lost its disk is no longer the registered member: its replies count for nothing.
#[test]
fn replies_of_an_unknown_incarnation_do_not_count() {
    let mut node = node(three(Standing::Voter), |_| {});
    node.step(NOW, Input::Campaign);
    write(&mut node);
    let receive_as = |node: &mut Node, incarnation: u64, body: Body| {
        let message = Message {
            sender: Incarnation(incarnation),
            ..Message::new(TERM, body)
        };
        node.step(
            NOW,
            Input::Receive {
                from: NodeId(2),
                message,
            },
        );
        decisions(&write(node), |decision| {
            matches!(decision, Decision::UnknownIncarnation { .. })
        })
    };
    assert_eq!(
        receive_as(&mut node, 5, Body::VoteReply { granted: true }),
        1
    );
    assert_eq!(node.role(), RoleKind::Candidate);
    assert_eq!(
        receive_as(&mut node, 0, Body::VoteReply { granted: true }),
        0
    );
    assert_eq!(node.role(), RoleKind::Leader);
    assert_eq!(receive_as(&mut node, 5, answer(1)), 1);
    assert_eq!(node.commit(), Index(0));
}

/// The last term works like any other, except that no election follows it.
#[test]
fn last_term_accepts_a_leader_but_no_new_election() {
    let mut node = node(three(Standing::Voter), |_| {});
    let last = |body| Message::new(Term::LAST, body);
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: last(heartbeat()),
        },
    );
    assert_eq!((node.term(), node.leader()), (Term::LAST, Some(NodeId(2))));
    node.step(
        NOW,
        Input::Receive {
            from: NodeId(2),
            message: last(Body::TimeoutNow),
        },
    );
    node.step(NOW, Input::Campaign);
    assert_eq!((node.term(), node.role()), (Term::LAST, RoleKind::Follower));
}
