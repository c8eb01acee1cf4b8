//! The byte format of messages between nodes, of stored values and of game commands.
//!
//! Decision: bincode, pinned to 2.0.1, known to this file only. Why: it is compact, works on the
//! serde types of the core and bounds what it reads; nobody maintains it any more, so it is pinned,
//! limited, and held in place by golden bytes in the tests below. Would change if: a bug in it
//! showed up; then this one file is swapped and [`WIRE_VERSION`] goes up.

use raftian_raft::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the byte format. It leads every frame and names the QUIC protocol, so builds that
/// would misread each other refuse each other instead.
pub const WIRE_VERSION: u8 = 4;

/// Largest frame and largest value, in bytes: 1 MiB. A batch of entries between nodes stays far
/// below it, and a receiver that reserves this much for each open stream still fits a small
/// machine. Anything larger is an error on both sides.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Most bytes of entries, of commands or of a snapshot that one message may be built to carry: half
/// of [`MAX_FRAME`]. The other half is for what is counted less exactly: the numbers around each
/// entry, the members beside a snapshot.
pub const MAX_CONTENT: usize = MAX_FRAME / 2;

/// Bytes of the length that leads a frame on a stream: a `u32`, little-endian, that counts the
/// bytes after it.
pub const LENGTH_BYTES: usize = 4;

/// Bytes of the version that follows the length.
const VERSION_BYTES: usize = 1;

/// Most bytes that one value may claim while it is decoded: 16 MiB. bincode counts an integer at
/// its full width, though a small one takes a single byte, so a limit of [`MAX_FRAME`] would refuse
/// frames that the sender may send. A claim that the input does not cover ends in an error; until
/// then it reserves no more than this.
const MAX_CLAIM: usize = 16 * MAX_FRAME;

/// Little-endian, integers of variable length, lengths inside a value bounded by [`MAX_CLAIM`].
const FORMAT: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_CLAIM>,
> = bincode::config::standard().with_limit::<MAX_CLAIM>();

/// Largest state that [`encode_state`] writes and [`decode_state`] reads, in bytes: 64 MiB, which
/// is also what a node takes from its leader by
/// [default](raftian_raft::Config::max_snapshot_bytes).
pub const MAX_STATE: usize = 64 * 1024 * 1024;

/// As [`FORMAT`], for states: a claim may be as many times larger than the largest of them.
const STATE_FORMAT: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<{ 16 * MAX_STATE }>,
> = bincode::config::standard().with_limit::<{ 16 * MAX_STATE }>();

/// Why bytes could not be written or understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The encoded value is larger than [`MAX_FRAME`].
    #[error("{size} bytes are more than the {MAX_FRAME} bytes that one frame may carry")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The encoded state is larger than [`MAX_STATE`].
    #[error("a state of {size} bytes is larger than the {MAX_STATE} bytes that are sent as one")]
    StateTooLarge {
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

/// Frame of `message`, ready for a stream: length, version, body. Fails with
/// [`WireError::TooLarge`] above [`MAX_FRAME`].
pub fn encode_message(message: &Message) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![0; LENGTH_BYTES];
    frame.push(WIRE_VERSION);
    encode_into(message, &mut frame)?;
    let size = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(size)
        .ok()
        .filter(|_| size <= MAX_FRAME)
        .ok_or(WireError::TooLarge { size })?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Message in `frame`, which is a frame without its length. Never panics; uses memory in proportion
/// to `frame`, and never reserves more than 16 MiB for a length that lies.
pub fn decode_message(frame: &[u8]) -> Result<Message, WireError> {
    refuse_oversize(frame)?;
    match frame.split_first() {
        None => Err(WireError::Empty),
        Some((&WIRE_VERSION, body)) => decode_exactly(body, FORMAT),
        Some((&found, _)) => Err(WireError::ForeignVersion { found }),
    }
}

/// Size of the frame that a stream announces with `length`, or an error if nothing of that size may
/// follow.
pub fn frame_size(length: [u8; LENGTH_BYTES]) -> Result<usize, WireError> {
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    match size {
        0..VERSION_BYTES => Err(WireError::Empty),
        VERSION_BYTES..=MAX_FRAME => Ok(size),
        _ => Err(WireError::TooLarge { size }),
    }
}

/// Bytes of one value without frame or version, for the store and for game commands. Fails with
/// [`WireError::TooLarge`] above [`MAX_FRAME`].
pub fn encode_value<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    refuse_oversize(&bytes)?;
    Ok(bytes)
}

/// Value in `bytes`, all of them. Never panics; bounded like [`decode_message`].
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    refuse_oversize(bytes)?;
    decode_exactly(bytes, FORMAT)
}

/// Bytes of a program's state, for snapshots. Fails with [`WireError::StateTooLarge`] above
/// [`MAX_STATE`].
pub fn encode_state<T: Serialize>(state: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    encode_into(state, &mut bytes)?;
    if bytes.len() > MAX_STATE {
        Err(WireError::StateTooLarge { size: bytes.len() })
    } else {
        Ok(bytes)
    }
}

/// State in `bytes`, all of them. Never panics; a length that lies reserves no more than a
/// gigabyte.
pub fn decode_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MAX_STATE {
        return Err(WireError::StateTooLarge { size: bytes.len() });
    }
    decode_exactly(bytes, STATE_FORMAT)
}

fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), WireError> {
    bincode::serde::encode_into_std_write(value, bytes, FORMAT)
        .map(drop)
        .map_err(|error| WireError::NotEncodable {
            reason: error.to_string(),
        })
}

fn decode_exactly<T: DeserializeOwned>(
    bytes: &[u8],
    format: impl bincode::config::Config,
) -> Result<T, WireError> {
    let (value, read) =
        bincode::serde::decode_from_slice(bytes, format).map_err(|error| WireError::Malformed {
            reason: error.to_string(),
        })?;
    match bytes.len().saturating_sub(read) {
        0 => Ok(value),
        count => Err(WireError::TrailingBytes { count }),
    }
}

fn refuse_oversize(bytes: &[u8]) -> Result<(), WireError> {
    if bytes.len() > MAX_FRAME {
        Err(WireError::TooLarge { size: bytes.len() })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
