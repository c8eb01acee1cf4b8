//! Generators of messages.

use super::*;

fn any_position() -> impl Strategy<Value = LogPosition> {
    (any::<u64>(), any::<u64>()).prop_map(|(term, index)| at(term, index))
}

fn any_command() -> impl Strategy<Value = Command> {
    (
        any::<u64>(),
        any::<u64>(),
        prop::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(client, sequence, bytes)| command(client, sequence, &bytes))
}

fn any_membership() -> impl Strategy<Value = Membership> {
    let standing = prop::sample::select(vec![
        Standing::Voter,
        Standing::Witness,
        Standing::Learner,
        Standing::Joining,
    ]);
    let members = prop::collection::vec((any::<u64>(), any::<u64>(), standing), 0..6);
    let record = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    (members, record.clone(), record).prop_map(|(members, contact, annex)| {
        let founding = Membership::new([NodeId(1), NodeId(2), NodeId(3)]).expect("a cluster");
        let members = members
            .into_iter()
            .map(|(id, incarnation, standing)| (NodeId(id), Incarnation(incarnation), standing));
        let wanted = members
            .chain([(NodeId(7), Incarnation(0), Standing::Voter)])
            .collect();
        let members = founding.after(&Change::Replace(wanted)).unwrap_or(founding);
        let contact = contact.map(|contact| (NodeId(1), bytes(&contact)));
        let records = Change::Record {
            contacts: contact.into_iter().collect(),
            annex: annex.map(|annex| bytes(&annex)),
        };
        members.after(&records).unwrap_or(members)
    })
}

fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Empty),
        Just(Payload::Withheld),
        (any_command(), any::<u64>()).prop_map(|(command, member)| Payload::Command {
            command,
            member: NodeId(member),
        }),
        any_membership().prop_map(Payload::Membership),
    ]
}

pub(super) fn any_entry() -> impl Strategy<Value = Entry> {
    (any_position(), any::<u64>(), any_payload()).prop_map(|(position, stamp, payload)| {
        entry(position.term.0, position.index.0, stamp, payload)
    })
}

fn any_probe() -> impl Strategy<Value = Probe> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(term, sent, round)| Probe {
        term: Term(term),
        sent: Moment(sent),
        round,
    })
}

fn any_append() -> impl Strategy<Value = Body> {
    let entries = prop::collection::vec(any_entry(), 0..8);
    (
        any_position(),
        any::<u64>(),
        prop::option::of(any_probe()),
        any::<u32>(),
        entries,
    )
        .prop_map(|(previous, commit, probe, round_trip, entries)| {
            Body::AppendEntries(AppendEntries {
                previous,
                commit: Index(commit),
                probe,
                round_trip,
                entries,
            })
        })
}

fn any_append_reply() -> impl Strategy<Value = Body> {
    let result = prop_oneof![
        any::<u64>().prop_map(|up_to| AppendResult::Matched {
            up_to: Index(up_to)
        }),
        (any::<u64>(), any_position()).prop_map(|(refused, hint)| AppendResult::Conflict {
            refused: Index(refused),
            hint
        }),
        any::<u64>().prop_map(|up_to| AppendResult::Full {
            up_to: Index(up_to)
        }),
        Just(AppendResult::Stale),
    ];
    let state = (any::<u64>(), any::<u64>()).prop_map(|(index, hash)| StateHash {
        index: Index(index),
        hash,
    });
    (
        prop::option::of(any_probe()),
        result,
        prop::option::of(state),
    )
        .prop_map(|(probe, result, state)| {
            Body::AppendReply(AppendReply {
                probe,
                result,
                state,
            })
        })
}

fn any_snapshot() -> impl Strategy<Value = Body> {
    let bytes = prop::option::of(prop::collection::vec(any::<u8>(), 0..64));
    (
        any_position(),
        any::<[u64; 4]>(),
        any_membership(),
        bytes,
        any::<bool>(),
        any_probe(),
    )
        .prop_map(
            |(position, [size, hash, stamp, offset], membership, bytes, repair, probe)| {
                let name = SnapshotName {
                    position,
                    size,
                    hash,
                };
                let stamp = Stamp(stamp);
                let bytes = bytes.map(Into::into);
                let part = InstallSnapshot {
                    name,
                    stamp,
                    membership,
                    offset,
                    bytes,
                    repair,
                    probe,
                };
                Body::InstallSnapshot(part.into())
            },
        )
}

fn any_snapshot_reply() -> impl Strategy<Value = Body> {
    let result = prop_oneof![
        Just(SnapshotResult::Installed),
        Just(SnapshotResult::Stale),
        any::<u64>().prop_map(SnapshotResult::Received),
        any::<u64>().prop_map(|limit| SnapshotResult::TooLarge { limit }),
        any::<u64>().prop_map(|base| SnapshotResult::TooOld { base: Index(base) }),
    ];
    (prop::option::of(any_probe()), any_position(), result).prop_map(|(probe, position, result)| {
        Body::SnapshotReply(SnapshotReply {
            probe,
            position,
            result,
        })
    })
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        (any_position(), any::<u8>()).prop_map(|(last, priority)| Body::PreVote { last, priority }),
        any::<bool>().prop_map(|granted| Body::PreVoteReply { granted }),
        (any_position(), any::<bool>(), any::<u8>()).prop_map(|(last, transfer, priority)| {
            Body::RequestVote {
                last,
                transfer,
                priority,
            }
        }),
        any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
        any_append(),
        any_append_reply(),
        any_snapshot(),
        any_snapshot_reply(),
        Just(Body::TimeoutNow),
        prop::collection::vec(any_command(), 0..8).prop_map(|commands| Body::Forward { commands }),
        any::<u64>().prop_map(|token| Body::Read { token }),
        (any::<u64>(), prop::option::of(any::<u64>())).prop_map(|(token, index)| Body::ReadReply {
            token,
            index: index.map(Index)
        }),
        any::<u64>().prop_map(|acknowledged| Body::LostEntries {
            acknowledged: Index(acknowledged)
        }),
        prop::collection::vec((any::<u64>(), prop::option::of(any::<u64>())), 0..8).prop_map(
            |founders| Body::Founders {
                incarnations: founders
                    .into_iter()
                    .map(|(id, known)| (NodeId(id), known.map(Incarnation)))
                    .collect()
            }
        ),
        any_membership().prop_map(|membership| Body::Founded { membership }),
    ]
}

pub(super) fn any_message() -> impl Strategy<Value = Message> {
    (any::<[u64; 3]>(), any_body()).prop_map(|([term, sender, receiver], body)| {
        let sender = Incarnation(sender);
        let receiver = Incarnation(receiver);
        Message {
            term: Term(term),
            sender,
            receiver,
            body,
        }
    })
}
