//! A malicious member: none of its messages makes a node panic, and recognizably invalid ones are
//! counted and ignored.

use proptest::collection::vec;
use proptest::prelude::*;
use raftian_raft::{
    AppendEntries, AppendReply, AppendResult, Body, Bytes, ClientId, Command, Config, Entry,
    Incarnation, Index, Input, InstallSnapshot, LogPosition, Membership, Message, Moment, Node,
    NodeId, Payload, Probe, Restored, RoleKind, SnapshotName, SnapshotReply, SnapshotResult, Stamp,
    Standing, StateHash, Term, WriteNumber,
};
use raftian_sim::cluster::Envelope;
use raftian_sim::coverage::Mark;
use raftian_sim::{Setup, Simulation};
use raftian_tests::{N1, N2, N3};

/// Mostly small numbers, which fall into the log, and some near the maximum, which overflow.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..12, 1 => u64::MAX - 3..=u64::MAX, 1 => any::<u64>()]
}

fn position() -> impl Strategy<Value = LogPosition> {
    (number(), number()).prop_map(|(term, index)| LogPosition {
        term: Term(term),
        index: Index(index),
    })
}

fn command() -> impl Strategy<Value = Command> {
    (number(), number(), vec(any::<u8>(), 0..4)).prop_map(|(client, sequence, bytes)| Command {
        client: ClientId(client),
        sequence,
        bytes: bytes.into(),
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let payload = prop_oneof![
        3 => Just(Payload::Empty),
        3 => (command(), number()).prop_map(|(command, member)| Payload::Command {
            command,
            member: NodeId(member),
        }),
        1 => membership().prop_map(Payload::Membership),
        1 => Just(Payload::Withheld),
    ];
    (number(), number(), number(), payload).prop_map(|(term, index, stamp, payload)| Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(stamp),
        payload,
    })
}

/// Memberships with every standing, of members of the cluster and of other nodes.
fn membership() -> impl Strategy<Value = Membership> {
    let standing = prop_oneof![
        Just(Standing::Voter),
        Just(Standing::Witness),
        Just(Standing::Learner),
        Just(Standing::Joining)
    ];
    let members = vec((1u64..6, 0u64..2, standing), 1..6);
    members.prop_filter_map("no member may lead", |members| {
        let member = |(id, incarnation, standing)| (NodeId(id), Incarnation(incarnation), standing);
        Membership::of(members.into_iter().map(member)).ok()
    })
}

/// Snapshot parts, from small complete snapshots to invalid ones.
fn snapshot_part() -> impl Strategy<Value = Body> {
    let bytes = || proptest::option::of(vec(any::<u8>(), 0..6));
    let place = (
        prop_oneof![Just(0), number()],
        prop_oneof![Just(None), number().prop_map(Some)],
    );
    (
        position(),
        number(),
        membership(),
        bytes(),
        place,
        any::<bool>(),
    )
        .prop_map(
            |(position, stamp, membership, bytes, (offset, size), repair)| {
                let name = SnapshotName::of(position, bytes.as_deref().unwrap_or_default());
                let part = InstallSnapshot {
                    name: SnapshotName {
                        size: size.unwrap_or(name.size),
                        ..name
                    },
                    stamp: Stamp(stamp),
                    membership,
                    offset,
                    bytes: bytes.map(Bytes::from),
                    repair,
                    probe: Probe {
                        term: Term(1),
                        sent: Moment(stamp),
                        round: offset,
                    },
                };
                Body::InstallSnapshot(part.into())
            },
        )
}

/// Entries with arbitrary content, and runs without gaps, which pass message validation.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let run = (number(), number(), number(), 0u64..5).prop_map(|(term, first, stamp, count)| {
        let entry = |offset| Entry {
            term: Term(term),
            index: Index(first.wrapping_add(offset)),
            stamp: Stamp(stamp),
            payload: Payload::Empty,
        };
        (0..count).map(entry).collect()
    });
    prop_oneof![vec(entry(), 0..4), run]
}

fn body() -> impl Strategy<Value = Body> {
    let moment = || {
        proptest::option::of((number(), number()).prop_map(|(sent, round)| Probe {
            term: Term(1),
            sent: Moment(sent),
            round,
        }))
    };
    let state = || {
        proptest::option::of((number(), number()).prop_map(|(index, hash)| StateHash {
            index: Index(index),
            hash,
        }))
    };
    let append = (position(), number(), moment(), entries()).prop_map(
        |(previous, commit, probe, entries)| {
            Body::AppendEntries(AppendEntries {
                previous,
                commit: Index(commit),
                probe,
                round_trip: 7,
                entries,
            })
        },
    );
    let result = prop_oneof![
        number().prop_map(|up_to| AppendResult::Matched {
            up_to: Index(up_to)
        }),
        (number(), position()).prop_map(|(refused, hint)| AppendResult::Conflict {
            refused: Index(refused),
            hint
        }),
    ];
    prop_oneof![
        1 => position().prop_map(|last| Body::PreVote { last, priority: 0 }),
        1 => any::<bool>().prop_map(|granted| Body::PreVoteReply { granted }),
        1 => (position(), any::<bool>()).prop_map(|(last, transfer)| Body::RequestVote { last, transfer, priority: 0 }),
        1 => any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
        3 => append,
        2 => (moment(), result, state()).prop_map(|(probe, result, state)| Body::AppendReply(AppendReply { probe, result, state })),
        2 => snapshot_part(),
        1 => (position(), number(), any::<bool>()).prop_map(|(position, bytes, installed)| {
            let result = if installed { SnapshotResult::Installed } else { SnapshotResult::Received(bytes) };
            Body::SnapshotReply(SnapshotReply { probe: Some(Probe { term: Term(1), sent: Moment(bytes), round: bytes }), position, result })
        }),
        1 => number().prop_map(|token| Body::Read { token }),
        1 => (number(), proptest::option::of(number()))
            .prop_map(|(token, index)| Body::ReadReply { token, index: index.map(Index) }),
        1 => Just(Body::TimeoutNow),
        1 => number().prop_map(|acknowledged| Body::LostEntries { acknowledged: Index(acknowledged) }),
        1 => vec(command(), 0..3).prop_map(|commands| Body::Forward { commands }),
        1 => founders(),
        1 => founded(),
    ]
}

fn founders() -> impl Strategy<Value = Body> {
    vec((1..5u64, proptest::option::of(0..3u64)), 0..5).prop_map(|founders| Body::Founders {
        incarnations: founders
            .into_iter()
            .map(|(id, known)| (NodeId(id), known.map(Incarnation)))
            .collect(),
    })
}

fn founded() -> impl Strategy<Value = Body> {
    vec((1..5u64, 0..3u64), 1..5).prop_map(|founders| {
        let founder = |(id, number)| (NodeId(id), Incarnation(number), Standing::Voter);
        let membership = Membership::of(founders.into_iter().map(founder)).unwrap();
        Body::Founded { membership }
    })
}

/// Steps of a run: a hostile message, or an ordinary event in between.
#[derive(Clone, Debug)]
enum Beside {
    Hear(u64, u64, Body),
    Wait,
    Campaign,
    Propose,
    TransferLeadership,
    Write,
}

fn beside() -> impl Strategy<Value = Beside> {
    prop_oneof![
        8 => (0u64..5, number(), body()).prop_map(|(from, term, body)| Beside::Hear(from, term, body)),
        1 => Just(Beside::Wait),
        1 => Just(Beside::Campaign),
        1 => Just(Beside::Propose),
        1 => Just(Beside::TransferLeadership),
        3 => Just(Beside::Write),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The node's assertions are active in release builds too; no message may trip one.
    #[test]
    fn no_message_makes_a_node_panic(
        pre_vote: bool,
        check_quorum: bool,
        agree: bool,
        log in 0u64..4,
        steps in vec(beside(), 1..60),
    ) {
        let mut config = Config::new(N1, Membership::new([N1, N2, N3]).unwrap(), 1);
        (config.pre_vote, config.check_quorum) = (pre_vote, check_quorum);
        // A node with a log is past the agreement.
        config.founders_agree = agree && log == 0;
        let mut restored = Restored::default();
        for index in 1..=log {
            restored.entries.push(Entry {
                term: Term(1),
                index: Index(index),
                stamp: Stamp(index),
                payload: Payload::Empty,
            });
            restored.hard_state.term = Term(1);
        }
        let mut node = Node::new(config, restored, Moment(0)).unwrap();
        let mut now = Moment(0);
        let mut newest = WriteNumber(0);
        for step in steps {
            now = now.after(std::time::Duration::from_millis(7));
            let input = match step {
                Beside::Hear(from, term, body) => {
                    // Half of all messages carry the node's own term; most others are ignored.
                    let term = if term % 2 == 0 { node.term() } else { Term(term) };
                    Input::Receive { from: NodeId(from), message: Message::new(term, body) }
                }
                Beside::Wait => {
                    now = now.max(node.wake_at());
                    Input::Wake
                }
                Beside::Campaign => Input::Campaign,
                Beside::Propose => Input::Propose(vec![Command { client: ClientId(1), sequence: 1, bytes: vec![1].into() }]),
                Beside::TransferLeadership => Input::TransferLeadership(None),
                Beside::Write => Input::Persisted(newest),
            };
            node.step(now, input);
            let actions = node.take_actions();
            newest = actions.persist.map_or(newest, |write| write.number);
            if let Some(last) = actions.apply.last() {
                node.step(now, Input::Applied(last.index));
            }
        }
    }
}

fn inject(cluster: &mut Simulation, from: NodeId, to: NodeId, term: u64, body: Body) {
    let message = Message::new(Term(term), body);
    cluster.inject([Envelope {
        serial: 0,
        from,
        to,
        sent: Moment(0),
        message,
    }]);
    cluster.deliver(|_| true);
}

/// The largest valid term must not be incremented: the next term would saturate to the same number,
/// and a node could vote in it twice.
#[test]
fn last_term_is_entered_but_never_campaigned_for() {
    let mut cluster =
        Simulation::new(Setup::cluster(3, 1).configure(|config| config.pre_vote = false));
    inject(
        &mut cluster,
        N3,
        N1,
        u64::MAX,
        Body::VoteReply { granted: false },
    );
    assert_eq!(
        (
            cluster.node(N1).term(),
            cluster.counters().of(Mark::IgnoredInvalidMessage)
        ),
        (Term(0), 1)
    );
    inject(
        &mut cluster,
        N3,
        N1,
        u64::MAX - 1,
        Body::VoteReply { granted: false },
    );
    let last = LogPosition::default();
    inject(
        &mut cluster,
        N3,
        N1,
        u64::MAX - 1,
        Body::RequestVote {
            last,
            transfer: false,
            priority: 0,
        },
    );
    assert_eq!(cluster.node(N1).status().vote, Some(N3));
    for _ in 0..5 {
        cluster.campaign(N1);
        cluster.tick(N1);
    }
    let status = cluster.node(N1).status();
    assert_eq!(
        (status.term, status.vote, status.role),
        (Term(u64::MAX - 1), Some(N3), RoleKind::Follower)
    );
}

/// Messages that no correct member sends are reported as events, so that an operator can identify
/// the sender.
#[test]
fn invalid_messages_are_counted() {
    let entry = |term, index| Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    let append = |previous: (u64, u64), entries| {
        let previous = LogPosition {
            term: Term(previous.0),
            index: Index(previous.1),
        };
        Body::AppendEntries(AppendEntries {
            previous,
            commit: Index(0),
            probe: None,
            round_trip: 0,
            entries,
        })
    };
    let start = || Simulation::new(Setup::cluster(3, 1).log(1, &[1]).term(1, 2));
    for body in [
        append((0, 0), vec![entry(1, 2)]),
        append((1, 1), vec![entry(2, 2), entry(2, 4)]),
        append((1, 1), vec![entry(2, 2), entry(1, 3)]),
        append((1, 1), vec![entry(3, 2)]),
        append((0, 0), vec![entry(0, 1)]),
        append((9, 1), vec![]),
        append((1, 0), vec![]),
        append((0, 1), vec![]),
    ] {
        let mut cluster = start();
        inject(&mut cluster, N2, N1, 2, body.clone());
        assert_eq!(
            cluster.counters().of(Mark::IgnoredInvalidMessage),
            1,
            "{body:?}"
        );
        assert_eq!(cluster.node(N1).last().index, Index(1));
    }
    let mut cluster = start();
    inject(&mut cluster, NodeId(9), N1, 5, Body::TimeoutNow);
    assert_eq!(
        (
            cluster
                .counters()
                .of(Mark::ReceivedMessageFromUnknownIncarnation),
            cluster.node(N1).term()
        ),
        (1, Term(2)),
        "n9 is no member"
    );
}

/// An AppendEntries that would replace committed entries is rejected, even from a later term.
#[test]
fn committed_entries_are_never_truncated() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    let before = cluster.node(N2).entries_from(Index(1)).to_vec();
    let entries = vec![Entry {
        term: Term(9),
        index: Index(1),
        stamp: Stamp(0),
        payload: Payload::Empty,
    }];
    let append = AppendEntries {
        previous: LogPosition::default(),
        commit: Index(1),
        probe: None,
        round_trip: 0,
        entries,
    };
    inject(&mut cluster, N3, N2, 9, Body::AppendEntries(append));
    assert_eq!(cluster.node(N2).entries_from(Index(1)), before);
    assert_eq!(
        cluster.counters().of(Mark::SawCommittedEntryContradicted),
        1
    );
}

/// Acknowledging entries that were never sent, or refusing ones that cannot be refused, does not
/// corrupt the leader's view of the follower.
#[test]
fn invalid_replies_leave_the_leader_intact() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    cluster.campaign(N1);
    cluster.stabilize();
    let commit = cluster.node(N1).commit();
    let reply = |result| {
        Body::AppendReply(AppendReply {
            probe: Some(Probe {
                term: Term(1),
                sent: Moment(u64::MAX),
                round: u64::MAX,
            }),
            result,
            state: None,
        })
    };
    let hint = LogPosition {
        term: Term(u64::MAX),
        index: Index(u64::MAX),
    };
    inject(
        &mut cluster,
        N2,
        N1,
        1,
        reply(AppendResult::Matched {
            up_to: Index(u64::MAX),
        }),
    );
    for refused in [0, 1, 2, u64::MAX] {
        inject(
            &mut cluster,
            N2,
            N1,
            1,
            reply(AppendResult::Conflict {
                refused: Index(refused),
                hint,
            }),
        );
    }
    assert_eq!(
        (cluster.leaders(), cluster.node(N1).commit()),
        (vec![N1], commit)
    );
    cluster.propose(N1, 1, 1, b"x").unwrap();
    cluster.stabilize();
    assert_eq!(cluster.settled(), Some(N1));
}

/// Entries whose stamps go back are rejected, within one message or from one message to the next.
#[test]
fn game_clock_is_not_turned_back() {
    let mut cluster = Simulation::new(Setup::cluster(3, 1));
    let append = |previous: u64, stamps: &[u64]| {
        let entry = |(stamp, index): (&u64, u64)| Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(*stamp),
            payload: Payload::Empty,
        };
        let previous = LogPosition {
            term: Term(previous.min(1)),
            index: Index(previous),
        };
        let entries = stamps
            .iter()
            .zip(previous.index.0 + 1..)
            .map(entry)
            .collect();
        Body::AppendEntries(AppendEntries {
            previous,
            commit: Index(0),
            probe: None,
            round_trip: 0,
            entries,
        })
    };
    inject(&mut cluster, N3, N1, 1, append(0, &[5, 9]));
    inject(&mut cluster, N3, N1, 1, append(2, &[8]));
    inject(&mut cluster, N3, N1, 1, append(2, &[9, 12, 11]));
    assert_eq!(
        (
            cluster.node(N1).last().index,
            cluster.counters().of(Mark::IgnoredInvalidMessage)
        ),
        (Index(2), 2)
    );
    inject(&mut cluster, N3, N1, 1, append(2, &[9, 12]));
    assert_eq!(cluster.node(N1).last().index, Index(4));
}
