mod generators;

use proptest::prelude::*;
use raftian_raft::{
    AppendEntries, AppendReply, AppendResult, Body, Bytes, Change, ClientId, Command, Config,
    Entry, Incarnation, Index, InstallSnapshot, LogPosition, Membership, Moment, NodeId, Payload,
    Probe, SnapshotName, SnapshotReply, SnapshotResult, Stamp, Standing, StateHash, Term,
};

use super::*;
use generators::{any_entry, any_message};

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition {
        term: Term(term),
        index: Index(index),
    }
}

fn command(client: u64, sequence: u64, bytes: &[u8]) -> Command {
    Command {
        client: ClientId(client),
        sequence,
        bytes: bytes.into(),
    }
}

fn entry(term: u64, index: u64, stamp: u64, payload: Payload) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(stamp),
        payload,
    }
}

fn probe(sent: u64, round: u64) -> Probe {
    Probe {
        term: Term(4),
        sent: Moment(sent),
        round,
    }
}

/// A joint configuration with every kind of member: two voters, and a third that is about to
/// replace both.
fn joint() -> Membership {
    let founding = Membership::new([NodeId(1), NodeId(2)]).expect("a cluster");
    let members = [
        (2, 0, Standing::Learner),
        (3, 9, Standing::Voter),
        (4, 0, Standing::Witness),
    ];
    let members =
        members.map(|(id, incarnation, standing)| (NodeId(id), Incarnation(incarnation), standing));
    founding
        .after(&Change::Replace(members.to_vec()))
        .expect("a joint configuration")
}

/// A membership with a contact and an annex.
fn recorded() -> Membership {
    let founding = Membership::new([NodeId(1)]).expect("a cluster");
    founding
        .after(&Change::Record {
            contacts: vec![(NodeId(1), bytes(&[0xc0, 0xc1]))],
            annex: Some(bytes(&[0xa0])),
        })
        .expect("a member and small records")
}

fn bytes(bytes: &[u8]) -> Bytes {
    bytes.into()
}

fn chunk(bytes: Option<&[u8]>) -> InstallSnapshot {
    InstallSnapshot {
        name: SnapshotName {
            position: at(3, 9),
            size: 70_000,
            hash: 0xfe,
        },
        stamp: Stamp(99),
        membership: Membership::new([NodeId(1)]).expect("a cluster"),
        offset: 300,
        bytes: bytes.map(Into::into),
        repair: true,
        probe: probe(5, 6),
    }
}

/// One message per variant, with its bytes; only the first one differs since wire version 6.
fn golden() -> Vec<(Message, &'static str)> {
    let message = |term, body| Message {
        sender: Incarnation(7),
        ..Message::new(Term(term), body)
    };
    let append = |entries| {
        Body::AppendEntries(AppendEntries {
            previous: at(3, 9),
            commit: Index(8),
            probe: Some(probe(5, 6)),
            round_trip: 1500,
            entries,
        })
    };
    let reply = |probe, result, state| {
        Body::AppendReply(AppendReply {
            probe,
            result,
            state,
        })
    };
    let matched = AppendResult::Matched { up_to: Index(11) };
    let conflict = AppendResult::Conflict {
        refused: Index(9),
        hint: at(2, 6),
    };
    let state = StateHash {
        index: Index(8),
        hash: 0xfe,
    };
    let received = |result| {
        Body::SnapshotReply(SnapshotReply {
            probe: Some(probe(5, 6)),
            position: at(3, 9),
            result,
        })
    };
    let stale = SnapshotReply {
        probe: None,
        position: at(3, 9),
        result: SnapshotResult::Stale,
    };
    vec![
        (
            message(
                3,
                Body::PreVote {
                    last: at(2, 7),
                    priority: 1,
                },
            ),
            "08000000 0a 03 07 00 00 02 07 01",
        ),
        (
            message(3, Body::PreVoteReply { granted: true }),
            "06000000 0a 03 07 00 01 01",
        ),
        (
            message(
                300,
                Body::RequestVote {
                    last: at(2, 70_000),
                    transfer: true,
                    priority: 0,
                },
            ),
            "0f000000 0a fb2c01 07 00 02 02 fc70110100 01 00",
        ),
        (
            message(3, Body::VoteReply { granted: false }),
            "06000000 0a 03 07 00 03 00",
        ),
        (
            message(
                4,
                append(vec![
                    entry(4, 10, 99, Payload::Empty),
                    entry(
                        4,
                        11,
                        100,
                        Payload::Command {
                            command: command(1, 2, &[0xaa, 0xbb]),
                            member: NodeId(3),
                        },
                    ),
                    entry(4, 12, 100, Payload::Membership(joint())),
                    entry(4, 13, 100, Payload::Membership(recorded())),
                    entry(4, 14, 100, Payload::Withheld),
                ]),
            ),
            "4f000000 0a 04 07 00 04 03 09 08 01 04 05 06 fbdc05 05 \
             04 0a 63 00 \
             04 0b 64 01 01 02 02 aa bb 03 \
             04 0c 64 02 04 01 00 00 01 00 02 00 01 02 01 00 03 09 01 00 00 04 00 01 01 00 00 00 \
             04 0d 64 02 01 01 00 01 00 00 01 01 02 c0 c1 01 a0 \
             04 0e 64 03",
        ),
        (
            message(4, reply(Some(probe(5, 6)), matched, Some(state))),
            "10000000 0a 04 07 00 05 01 04 05 06 00 0b 01 08 fbfe00",
        ),
        (
            message(4, reply(None, conflict, None)),
            "0b000000 0a 04 07 00 05 00 01 09 02 06 00",
        ),
        (
            message(4, reply(None, AppendResult::Full { up_to: Index(9) }, None)),
            "09000000 0a 04 07 00 05 00 02 09 00",
        ),
        (
            message(4, reply(None, AppendResult::Stale, None)),
            "08000000 0a 04 07 00 05 00 03 00",
        ),
        (
            message(4, Body::InstallSnapshot(chunk(Some(&[0xaa, 0xbb])).into())),
            "23000000 0a 04 07 00 06 03 09 fc70110100 fbfe00 63 01 01 00 01 00 00 00 00 fb2c01 01 02 aa bb 01 04 05 06",
        ),
        (
            message(4, Body::InstallSnapshot(chunk(None).into())),
            "20000000 0a 04 07 00 06 03 09 fc70110100 fbfe00 63 01 01 00 01 00 00 00 00 fb2c01 00 01 04 05 06",
        ),
        (
            message(4, received(SnapshotResult::Received(300))),
            "0f000000 0a 04 07 00 07 01 04 05 06 03 09 00 fb2c01",
        ),
        (
            message(4, received(SnapshotResult::Installed)),
            "0c000000 0a 04 07 00 07 01 04 05 06 03 09 01",
        ),
        (
            message(4, Body::SnapshotReply(stale)),
            "09000000 0a 04 07 00 07 00 03 09 02",
        ),
        (
            message(4, received(SnapshotResult::TooLarge { limit: 300 })),
            "0f000000 0a 04 07 00 07 01 04 05 06 03 09 03 fb2c01",
        ),
        (
            message(4, received(SnapshotResult::TooOld { base: Index(8) })),
            "0d000000 0a 04 07 00 07 01 04 05 06 03 09 04 08",
        ),
        (message(4, Body::TimeoutNow), "05000000 0a 04 07 00 08"),
        (
            message(
                4,
                Body::Forward {
                    commands: vec![command(u64::MAX, 1, &[1, 2, 3])],
                },
            ),
            "14000000 0a 04 07 00 09 01 fdffffffffffffffff 01 03 01 02 03",
        ),
        (
            message(4, Body::Read { token: 8 }),
            "06000000 0a 04 07 00 0a 08",
        ),
        (
            message(
                4,
                Body::ReadReply {
                    token: 8,
                    index: Some(Index(9)),
                },
            ),
            "08000000 0a 04 07 00 0b 08 01 09",
        ),
        (
            Message {
                receiver: Incarnation(300),
                ..message(
                    4,
                    Body::ReadReply {
                        token: 8,
                        index: None,
                    },
                )
            },
            "09000000 0a 04 07 fb2c01 0b 08 00",
        ),
        (
            message(
                4,
                Body::LostEntries {
                    acknowledged: Index(9),
                },
            ),
            "06000000 0a 04 07 00 0c 09",
        ),
        (
            message(
                0,
                Body::Founders {
                    incarnations: vec![(NodeId(1), Some(Incarnation(7))), (NodeId(2), None)],
                },
            ),
            "0b000000 0a 00 07 00 0d 02 01 01 07 02 00",
        ),
        (
            message(
                0,
                Body::Founded {
                    membership: Membership::new([NodeId(1)]).expect("a founder"),
                },
            ),
            "0d000000 0a 00 07 00 0e 01 01 00 01 00 00 00 00",
        ),
    ]
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits"))
        .collect()
}

#[test]
fn every_message_matches_its_golden_bytes() {
    for (message, bytes) in golden() {
        assert_eq!(
            encode_message(&message).as_deref(),
            Ok(&hex(bytes)[..]),
            "{message:?}"
        );
        assert_eq!(decode_message(&hex(bytes)[LENGTH_BYTES..]), Ok(message));
    }
}

/// A former witness is encoded as a member without standing, and decodes to the same.
#[test]
fn former_witness_round_trips_with_the_members() {
    let members = [
        (1, Standing::Voter),
        (2, Standing::Voter),
        (3, Standing::Witness),
    ];
    let members = members.map(|(id, standing)| (NodeId(id), Incarnation(9), standing));
    let without = Membership::of(members)
        .expect("a cluster")
        .after(&Change::Remove(NodeId(3)))
        .expect("a witness can be removed");
    let bytes = encode_value(&without).expect("small");
    assert_eq!(
        bytes,
        hex("03 01 09 01 00 00 02 09 01 00 00 03 09 00 00 00 00")
    );
    assert_eq!(decode_value(&bytes), Ok(without));
}

#[test]
fn truncated_frame_is_an_error() {
    for (message, _) in golden() {
        let frame = encode_message(&message).expect("small");
        let body = &frame[LENGTH_BYTES..];
        for end in 0..body.len() {
            assert!(
                decode_message(&body[..end]).is_err(),
                "{message:?} cut at {end}"
            );
        }
    }
}

#[test]
fn trailing_bytes_are_an_error() {
    let mut frame = encode_message(&golden()[0].0).expect("small");
    frame.extend([0, 0]);
    assert_eq!(
        decode_message(&frame[LENGTH_BYTES..]),
        Err(WireError::TrailingBytes { count: 2 })
    );
}

#[test]
fn frame_of_another_version_is_refused_by_its_number() {
    let mut frame = encode_message(&golden()[0].0).expect("small");
    frame[LENGTH_BYTES] = WIRE_VERSION + 1;
    assert_eq!(
        decode_message(&frame[LENGTH_BYTES..]),
        Err(WireError::ForeignVersion {
            found: WIRE_VERSION + 1
        })
    );
}

#[test]
fn oversized_message_is_refused_by_both_sides() {
    let commands = vec![command(1, 1, &vec![7; MAX_FRAME])];
    let message = Message::new(Term(1), Body::Forward { commands });
    assert!(
        matches!(encode_message(&message), Err(WireError::TooLarge { size }) if size > MAX_FRAME)
    );
    let size = MAX_FRAME + 1;
    assert_eq!(
        decode_message(&vec![WIRE_VERSION; size]),
        Err(WireError::TooLarge { size })
    );
    assert_eq!(
        decode_value::<u8>(&vec![0; size]),
        Err(WireError::TooLarge { size })
    );
    assert_eq!(
        frame_size(u32::MAX.to_le_bytes()),
        Err(WireError::TooLarge {
            size: u32::MAX as usize
        })
    );
    assert_eq!(frame_size([0; LENGTH_BYTES]), Err(WireError::Empty));
}

#[test]
fn message_that_fits_a_frame_round_trips() {
    let one_large = vec![command(1, 1, &vec![7; MAX_FRAME - 32])];
    let many_small: Vec<Command> = (0..MAX_FRAME as u64 / 8)
        .map(|n| command(1, n, &[7; 2]))
        .collect();
    for commands in [one_large, many_small] {
        let message = Message::new(Term(1), Body::Forward { commands });
        let frame = encode_message(&message).expect("fits");
        assert!(frame.len() > MAX_FRAME / 2, "a large frame");
        assert!(
            decode_message(&frame[LENGTH_BYTES..]) == Ok(message),
            "the message changed in the round trip"
        );
    }
}

/// Largest messages that the core builds with its default configuration.
#[test]
fn largest_messages_of_the_core_fit_a_frame() {
    let config = Config::new(
        NodeId(1),
        Membership::new([NodeId(1)]).expect("a cluster"),
        1,
    );
    assert!(config.max_append_bytes <= MAX_CONTENT && config.max_command_bytes <= MAX_CONTENT);
    assert!(config.snapshot_chunk <= MAX_CONTENT);
    let last = u64::MAX;
    let crowd = (0..Membership::MAX_MEMBERS as u64).map(|id| NodeId(last - id));
    let crowd = Membership::of(crowd.map(|id| (id, Incarnation(last), Standing::Voter)))
        .expect("a cluster");
    let contact = bytes(&[7; Membership::MAX_CONTACT]);
    let records = Change::Record {
        contacts: crowd
            .members()
            .map(|(id, _)| (id, contact.clone()))
            .collect(),
        annex: Some(bytes(&[7; Membership::MAX_ANNEX])),
    };
    let crowd = crowd.after(&records).expect("the largest records");
    let incarnation = Incarnation(last);
    let fits = |body| {
        let message = Message {
            term: Term(last),
            sender: incarnation,
            receiver: incarnation,
            body,
        };
        let size = encode_message(&message).expect("it fits a frame").len();
        assert!(size < MAX_FRAME * 7 / 8, "{size} bytes leave little room");
    };

    let batch = |payload: Payload| {
        let one = entry(last, last, last, payload);
        let count = (MAX_CONTENT / one.size()).max(1);
        AppendEntries {
            previous: at(last, last),
            commit: Index(last),
            probe: Some(probe(last, last)),
            round_trip: u32::MAX,
            entries: vec![one; count],
        }
    };
    for size in [0, 1, 300, MAX_CONTENT - Entry::OVERHEAD, MAX_CONTENT] {
        let command = command(last, last, &vec![7; size]);
        let member = NodeId(last);
        fits(Body::AppendEntries(batch(Payload::Command {
            command,
            member,
        })));
    }
    fits(Body::AppendEntries(batch(Payload::Empty)));
    fits(Body::AppendEntries(batch(Payload::Membership(
        crowd.clone(),
    ))));
    fits(Body::Forward {
        commands: vec![command(last, last, &[]); MAX_CONTENT / Entry::OVERHEAD],
    });
    let part = InstallSnapshot {
        name: SnapshotName {
            position: at(last, last),
            size: last,
            hash: last,
        },
        stamp: Stamp(last),
        membership: crowd,
        offset: last,
        bytes: Some(vec![7; MAX_CONTENT].into()),
        repair: true,
        probe: probe(last, last),
    };
    fits(Body::InstallSnapshot(part.into()));
}

#[test]
fn state_may_exceed_a_frame_but_not_the_snapshot_limit() {
    let state: Vec<u64> = (0..MAX_FRAME as u64).collect();
    let bytes = encode_state(&state).expect("a few frames");
    assert!(bytes.len() > 2 * MAX_FRAME);
    assert!(
        decode_state::<Vec<u64>>(&bytes).as_ref() == Ok(&state),
        "the state changed in the round trip"
    );
    assert!(decode_state::<Vec<u64>>(&bytes[..bytes.len() - 1]).is_err());
    let size = MAX_STATE + 1;
    assert_eq!(
        decode_state::<u8>(&vec![0; size]),
        Err(WireError::StateTooLarge { size })
    );
    assert!(matches!(
        encode_state(&Bytes::from(vec![0; size])),
        Err(WireError::StateTooLarge { .. })
    ));
    assert_eq!(
        MAX_STATE as u64,
        Config::new(NodeId(1), joint(), 1).max_snapshot_bytes
    );
    // Bytes that claim a length of 2^64 - 1, then nothing.
    assert!(matches!(
        decode_state::<Bytes>(&hex("fdffffffffffffffff")),
        Err(WireError::Malformed { .. })
    ));
}

#[test]
fn false_length_is_an_error_not_an_allocation() {
    // AppendEntries that claims 2^64 - 1 entries, then nothing.
    let frame = hex("0a 04 00 00 04 03 09 08 00 00 fdffffffffffffffff");
    assert!(matches!(
        decode_message(&frame),
        Err(WireError::Malformed { .. })
    ));
    // Forward with one command of 2^32 - 1 bytes, then nothing.
    let frame = hex("0a 04 00 00 09 01 01 01 fcffffffff");
    assert!(matches!(
        decode_message(&frame),
        Err(WireError::Malformed { .. })
    ));
}

proptest! {
    #[test]
    fn message_survives_the_journey(message in any_message()) {
        let frame = encode_message(&message).expect("small");
        let (length, body) = frame.split_at(LENGTH_BYTES);
        prop_assert_eq!(frame_size(length.try_into().expect("four bytes")), Ok(body.len()));
        prop_assert_eq!(decode_message(body), Ok(message));
    }

    #[test]
    fn entry_survives_the_journey(entry in any_entry()) {
        let bytes = encode_value(&entry).expect("small");
        prop_assert_eq!(decode_value::<Entry>(&bytes), Ok(entry));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_message(&bytes);
        let _ = decode_value::<Entry>(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = WIRE_VERSION;
        }
        let _ = decode_message(&bytes);
    }

    #[test]
    fn damaged_frame_never_panics(message in any_message(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut frame = encode_message(&message).expect("small").split_off(LENGTH_BYTES);
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        let _ = decode_message(&frame);
    }
}
