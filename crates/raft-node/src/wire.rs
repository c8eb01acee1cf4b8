//! The byte format of messages between nodes, of stored values and of game commands.
//!
//! Decision: bincode, pinned to 2.0.1, known to this file only. Why: it is compact, works on the serde types of the
//! core and bounds what it reads; nobody maintains it any more, so it is pinned, limited, and held in place by golden
//! bytes in the tests below. Would change if: a bug in it showed up; then this one file is swapped and [`WIRE_VERSION`]
//! goes up.

use raftian_raft::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the byte format. It leads every frame and names the QUIC protocol, so builds that would misread each
/// other refuse each other instead.
pub const WIRE_VERSION: u8 = 1;

/// Largest frame and largest value, in bytes: 1 MiB. A batch of entries between nodes stays far below it, and a
/// receiver that reserves this much for each open stream still fits a small machine. Anything larger is an error on
/// both sides.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Bytes of the length that leads a frame on a stream: a `u32`, little-endian, that counts the bytes after it.
pub const LENGTH_BYTES: usize = 4;

/// Bytes of the version that follows the length.
const VERSION_BYTES: usize = 1;

/// Most bytes that one value may claim while it is decoded: 16 MiB. bincode counts an integer at its full width, though
/// a small one takes a single byte, so a limit of [`MAX_FRAME`] would refuse frames that the sender may send. A claim
/// that the input does not cover ends in an error; until then it reserves no more than this.
const MAX_CLAIM: usize = 16 * MAX_FRAME;

/// Little-endian, integers of variable length, lengths inside a value bounded by [`MAX_CLAIM`].
const FORMAT: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_CLAIM>,
> = bincode::config::standard().with_limit::<MAX_CLAIM>();

/// Why bytes could not be written or understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The encoded value is larger than [`MAX_FRAME`].
    #[error("{size} bytes are more than the {MAX_FRAME} bytes that one frame may carry")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The frame ends before its version.
    #[error("the frame is empty")]
    Empty,
    /// The frame is of another version of the format.
    #[error("the frame has wire version {found}, this build speaks {WIRE_VERSION}")]
    ForeignVersion {
        /// The version it claims.
        found: u8,
    },
    /// The bytes do not form a value of the expected type.
    #[error("the bytes do not form the expected value: {reason}")]
    Malformed {
        /// What the decoder met.
        reason: String,
    },
    /// A value is followed by bytes that do not belong to it.
    #[error("{count} bytes follow the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A value could not be encoded, which only a type without a fixed shape can cause.
    #[error("the value cannot be encoded: {reason}")]
    NotEncodable {
        /// What the encoder met.
        reason: String,
    },
}

/// Frame of `message`, ready for a stream: length, version, body. Fails with [`WireError::TooLarge`] above
/// [`MAX_FRAME`].
pub fn encode_message(message: &Message) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![0; LENGTH_BYTES];
    frame.push(WIRE_VERSION);
    encode_into(message, &mut frame)?;
    let size = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(size).ok().filter(|_| size <= MAX_FRAME).ok_or(WireError::TooLarge { size })?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Message in `frame`, which is a frame without its length. Never panics; uses memory in proportion to `frame`, and
/// never reserves more than 16 MiB for a length that lies.
pub fn decode_message(frame: &[u8]) -> Result<Message, WireError> {
    refuse_oversize(frame)?;
    match frame.split_first() {
        None => Err(WireError::Empty),
        Some((&WIRE_VERSION, body)) => decode_exactly(body),
        Some((&found, _)) => Err(WireError::ForeignVersion { found }),
    }
}

/// Size of the frame that a stream announces with `length`, or an error if nothing of that size may follow.
pub fn frame_size(length: [u8; LENGTH_BYTES]) -> Result<usize, WireError> {
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    match size {
        0..VERSION_BYTES => Err(WireError::Empty),
        VERSION_BYTES..=MAX_FRAME => Ok(size),
        _ => Err(WireError::TooLarge { size }),
    }
}

/// Bytes of one value without frame or version, for the store and for game commands. Fails with [`WireError::TooLarge`]
/// above [`MAX_FRAME`].
pub fn encode_value<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    refuse_oversize(&bytes)?;
    Ok(bytes)
}

/// Value in `bytes`, all of them. Never panics; bounded like [`decode_message`].
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    refuse_oversize(bytes)?;
    decode_exactly(bytes)
}

fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), WireError> {
    bincode::serde::encode_into_std_write(value, bytes, FORMAT)
        .map(drop)
        .map_err(|error| WireError::NotEncodable { reason: error.to_string() })
}

fn decode_exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, FORMAT)
        .map_err(|error| WireError::Malformed { reason: error.to_string() })?;
    match bytes.len().saturating_sub(read) {
        0 => Ok(value),
        count => Err(WireError::TrailingBytes { count }),
    }
}

fn refuse_oversize(bytes: &[u8]) -> Result<(), WireError> {
    if bytes.len() > MAX_FRAME { Err(WireError::TooLarge { size: bytes.len() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raftian_raft::{
        AppendEntries, AppendReply, AppendResult, Body, ClientId, Command, Entry, Index, LogPosition, Moment, Payload,
        Stamp, Term,
    };

    use super::*;

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term(term), index: Index(index) }
    }

    fn command(client: u64, sequence: u64, bytes: &[u8]) -> Command {
        Command { client: ClientId(client), sequence, bytes: bytes.into() }
    }

    /// One message per variant, with the bytes it has had since wire version 1.
    fn golden() -> Vec<(Message, &'static str)> {
        let message = |term, body| Message { term: Term(term), body };
        vec![
            (message(3, Body::PreVote { last: at(2, 7) }), "05000000 01 03 00 02 07"),
            (message(3, Body::PreVoteReply { granted: true }), "04000000 01 03 01 01"),
            (
                message(300, Body::RequestVote { last: at(2, 70_000), transfer: true }),
                "0c000000 01 fb2c01 02 02 fc70110100 01",
            ),
            (message(3, Body::VoteReply { granted: false }), "04000000 01 03 03 00"),
            (
                message(
                    4,
                    Body::AppendEntries(AppendEntries {
                        previous: at(3, 9),
                        commit: Index(8),
                        probe: Some(Moment(5)),
                        entries: vec![
                            Entry { term: Term(4), index: Index(10), stamp: Stamp(99), payload: Payload::Empty },
                            Entry {
                                term: Term(4),
                                index: Index(11),
                                stamp: Stamp(100),
                                payload: Payload::Command(command(1, 2, &[0xaa, 0xbb])),
                            },
                        ],
                    }),
                ),
                "16000000 01 04 04 03 09 08 01 05 02 04 0a 63 00 04 0b 64 01 01 02 02 aa bb",
            ),
            (
                message(
                    4,
                    Body::AppendReply(AppendReply {
                        probe: Some(Moment(5)),
                        result: AppendResult::Matched { up_to: Index(11) },
                    }),
                ),
                "07000000 01 04 05 01 05 00 0b",
            ),
            (
                message(
                    4,
                    Body::AppendReply(AppendReply {
                        probe: None,
                        result: AppendResult::Conflict { refused: Index(9), hint: at(2, 6) },
                    }),
                ),
                "08000000 01 04 05 00 01 09 02 06",
            ),
            (message(4, Body::TimeoutNow), "03000000 01 04 06"),
            (
                message(4, Body::Forward { commands: vec![command(u64::MAX, 1, &[1, 2, 3])] }),
                "12000000 01 04 07 01 fdffffffffffffffff 01 03 01 02 03",
            ),
        ]
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits")).collect()
    }

    fn any_position() -> impl Strategy<Value = LogPosition> {
        (any::<u64>(), any::<u64>()).prop_map(|(term, index)| at(term, index))
    }

    fn any_command() -> impl Strategy<Value = Command> {
        (any::<u64>(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(client, sequence, bytes)| command(client, sequence, &bytes))
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        (any_position(), any::<u64>(), prop::option::of(any_command())).prop_map(|(position, stamp, command)| Entry {
            term: position.term,
            index: position.index,
            stamp: Stamp(stamp),
            payload: command.map_or(Payload::Empty, Payload::Command),
        })
    }

    fn any_body() -> impl Strategy<Value = Body> {
        let probe = || prop::option::of(any::<u64>().prop_map(Moment));
        prop_oneof![
            any_position().prop_map(|last| Body::PreVote { last }),
            any::<bool>().prop_map(|granted| Body::PreVoteReply { granted }),
            (any_position(), any::<bool>()).prop_map(|(last, transfer)| Body::RequestVote { last, transfer }),
            any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
            (any_position(), any::<u64>(), probe(), prop::collection::vec(any_entry(), 0..8)).prop_map(
                |(previous, commit, probe, entries)| {
                    Body::AppendEntries(AppendEntries { previous, commit: Index(commit), probe, entries })
                }
            ),
            (probe(), any::<u64>()).prop_map(|(probe, up_to)| {
                Body::AppendReply(AppendReply { probe, result: AppendResult::Matched { up_to: Index(up_to) } })
            }),
            (probe(), any::<u64>(), any_position()).prop_map(|(probe, refused, hint)| {
                Body::AppendReply(AppendReply {
                    probe,
                    result: AppendResult::Conflict { refused: Index(refused), hint },
                })
            }),
            Just(Body::TimeoutNow),
            prop::collection::vec(any_command(), 0..8).prop_map(|commands| Body::Forward { commands }),
        ]
    }

    fn any_message() -> impl Strategy<Value = Message> {
        (any::<u64>(), any_body()).prop_map(|(term, body)| Message { term: Term(term), body })
    }

    #[test]
    fn every_message_has_the_bytes_it_always_had() {
        for (message, bytes) in golden() {
            assert_eq!(encode_message(&message).as_deref(), Ok(&hex(bytes)[..]), "{message:?}");
            assert_eq!(decode_message(&hex(bytes)[LENGTH_BYTES..]), Ok(message));
        }
    }

    #[test]
    fn every_truncated_frame_is_an_error() {
        for (message, _) in golden() {
            let frame = encode_message(&message).expect("small");
            let body = &frame[LENGTH_BYTES..];
            for end in 0..body.len() {
                assert!(decode_message(&body[..end]).is_err(), "{message:?} cut at {end}");
            }
        }
    }

    #[test]
    fn bytes_after_the_message_are_an_error() {
        let mut frame = encode_message(&golden()[0].0).expect("small");
        frame.extend([0, 0]);
        assert_eq!(decode_message(&frame[LENGTH_BYTES..]), Err(WireError::TrailingBytes { count: 2 }));
    }

    #[test]
    fn a_frame_of_another_version_is_refused_by_its_number() {
        let mut frame = encode_message(&golden()[0].0).expect("small");
        frame[LENGTH_BYTES] = 9;
        assert_eq!(decode_message(&frame[LENGTH_BYTES..]), Err(WireError::ForeignVersion { found: 9 }));
    }

    #[test]
    fn an_oversized_message_is_refused_by_both_sides() {
        let commands = vec![command(1, 1, &vec![7; MAX_FRAME])];
        let message = Message { term: Term(1), body: Body::Forward { commands } };
        assert!(matches!(encode_message(&message), Err(WireError::TooLarge { size }) if size > MAX_FRAME));
        let size = MAX_FRAME + 1;
        assert_eq!(decode_message(&vec![WIRE_VERSION; size]), Err(WireError::TooLarge { size }));
        assert_eq!(decode_value::<u8>(&vec![0; size]), Err(WireError::TooLarge { size }));
        assert_eq!(frame_size(u32::MAX.to_le_bytes()), Err(WireError::TooLarge { size: u32::MAX as usize }));
        assert_eq!(frame_size([0; LENGTH_BYTES]), Err(WireError::Empty));
    }

    #[test]
    fn whatever_fits_a_frame_makes_the_journey() {
        let one_large = vec![command(1, 1, &vec![7; MAX_FRAME - 32])];
        let many_small: Vec<Command> = (0..MAX_FRAME as u64 / 8).map(|n| command(1, n, &[7; 2])).collect();
        for commands in [one_large, many_small] {
            let message = Message { term: Term(1), body: Body::Forward { commands } };
            let frame = encode_message(&message).expect("fits");
            assert!(frame.len() > MAX_FRAME / 2, "a large frame");
            assert!(decode_message(&frame[LENGTH_BYTES..]) == Ok(message), "the message changed on the way");
        }
    }

    #[test]
    fn a_length_that_lies_is_an_error_not_an_allocation() {
        // AppendEntries that announces 2^64 - 1 entries, then nothing.
        let frame = hex("01 04 04 03 09 08 00 fdffffffffffffffff");
        assert!(matches!(decode_message(&frame), Err(WireError::Malformed { .. })));
        // Forward with one command of 2^32 - 1 bytes, then nothing.
        let frame = hex("01 04 07 01 01 01 fcffffffff");
        assert!(matches!(decode_message(&frame), Err(WireError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn a_message_survives_the_journey(message in any_message()) {
            let frame = encode_message(&message).expect("small");
            let (length, body) = frame.split_at(LENGTH_BYTES);
            prop_assert_eq!(frame_size(length.try_into().expect("four bytes")), Ok(body.len()));
            prop_assert_eq!(decode_message(body), Ok(message));
        }

        #[test]
        fn an_entry_survives_the_journey(entry in any_entry()) {
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
        fn a_damaged_frame_never_panics(message in any_message(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut frame = encode_message(&message).expect("small").split_off(LENGTH_BYTES);
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            let _ = decode_message(&frame);
        }
    }
}
