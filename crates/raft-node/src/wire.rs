//! Byte format of messages between nodes, of stored values and of game commands.
//!
//! Decision: bincode, pinned to 2.0.1, used in this file only. Why: it is compact, works on the
//! serde types of the core and bounds its reads; it is no longer maintained, so it is pinned,
//! limited, and fixed by golden bytes in the tests below. Would change if: a bug in it appeared;
//! then this file is replaced and [`WIRE_VERSION`] is raised.

use raftian_raft::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the byte format. It leads every frame and is part of the QUIC protocol name, so
/// builds with incompatible formats refuse each other.
pub const WIRE_VERSION: u8 = 10;

/// Largest frame and largest value, in bytes: 1 MiB. A batch of entries between nodes is far below
/// it, and a small machine can reserve this much for each open stream. Anything larger is an error
/// on both sides.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Maximum bytes of entries, of commands or of a snapshot in one message: half of [`MAX_FRAME`].
/// The other half is for parts that are counted less exactly: the numbers around each entry, the
/// members next to a snapshot.
pub const MAX_CONTENT: usize = MAX_FRAME / 2;

/// Size of the length that leads a frame on a stream: a `u32`, little-endian, that counts the bytes
/// after it.
pub const LENGTH_BYTES: usize = 4;

/// Size of the version that follows the length.
const VERSION_BYTES: usize = 1;

/// Maximum bytes that one value may claim while it is decoded: 16 MiB. bincode counts an integer at
/// its full width, though a small one takes a single byte, so a limit of [`MAX_FRAME`] would refuse
/// valid frames. A claim beyond the end of the input is an error and never reserves more than this.
const MAX_CLAIM: usize = 16 * MAX_FRAME;

/// Format of messages and values: little-endian, integers of variable length, lengths inside a
/// value bounded by [`MAX_CLAIM`].
const FORMAT: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_CLAIM>,
> = bincode::config::standard().with_limit::<MAX_CLAIM>();

/// Largest state that [`encode_state`] writes and [`decode_state`] reads, in bytes: 64 MiB, also
/// the [default](raftian_raft::Config::max_snapshot_bytes) limit for a snapshot received from a
/// leader.
pub const MAX_STATE: usize = 64 * 1024 * 1024;

/// Like [`FORMAT`], for states: the limit on claims is 16 times [`MAX_STATE`].
const STATE_FORMAT: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<{ 16 * MAX_STATE }>,
> = bincode::config::standard().with_limit::<{ 16 * MAX_STATE }>();

/// Why bytes could not be encoded or decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The encoded value is larger than [`MAX_FRAME`].
    #[error("{size} bytes exceed the limit of {MAX_FRAME} bytes per frame")]
    TooLarge {
        /// Size in bytes.
        size: usize,
    },
    /// The encoded state is larger than [`MAX_STATE`].
    #[error("a state of {size} bytes exceeds the limit of {MAX_STATE} bytes")]
    StateTooLarge {
        /// Size in bytes.
        size: usize,
    },
    /// The frame ends before its version.
    #[error("the frame is empty")]
    Empty,
    /// The frame has another version of the format.
    #[error("the frame has wire version {found}, but this build uses {WIRE_VERSION}")]
    ForeignVersion {
        /// Version in the frame.
        found: u8,
    },
    /// The bytes do not form a value of the expected type.
    #[error("the bytes do not form the expected value: {reason}")]
    Malformed {
        /// Error of the decoder.
        reason: String,
    },
    /// Extra bytes follow the value.
    #[error("{count} bytes follow the value")]
    TrailingBytes {
        /// Number of extra bytes.
        count: usize,
    },
    /// The value cannot be encoded; only a type without a fixed shape causes this.
    #[error("the value cannot be encoded: {reason}")]
    NotEncodable {
        /// Error of the encoder.
        reason: String,
    },
}

/// Encodes `message` as a frame, ready for a stream: length, version, body. Fails with
/// [`WireError::TooLarge`] above [`MAX_FRAME`].
pub fn encode_message(message: &Message) -> Result<Vec<u8>, WireError> {
    // The size is known only after the encoding; the length is filled in then.
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

/// Decodes a frame without its length. Never panics; uses memory in proportion to `frame`, and
/// never reserves more than 16 MiB for a false length.
pub fn decode_message(frame: &[u8]) -> Result<Message, WireError> {
    refuse_oversize(frame)?;
    match frame.split_first() {
        None => Err(WireError::Empty),
        Some((&WIRE_VERSION, body)) => decode_exactly(body, FORMAT),
        Some((&found, _)) => Err(WireError::ForeignVersion { found }),
    }
}

/// Returns the size of the frame that a stream announces with `length`, or an error if no such
/// frame is valid.
pub fn frame_size(length: [u8; LENGTH_BYTES]) -> Result<usize, WireError> {
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    match size {
        0..VERSION_BYTES => Err(WireError::Empty),
        VERSION_BYTES..=MAX_FRAME => Ok(size),
        _ => Err(WireError::TooLarge { size }),
    }
}

/// Encodes one value without frame or version, for the store and for game commands. Fails with
/// [`WireError::TooLarge`] above [`MAX_FRAME`].
pub fn encode_value<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    refuse_oversize(&bytes)?;
    Ok(bytes)
}

/// Decodes a value that must fill `bytes`. Never panics; bounded like [`decode_message`].
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    refuse_oversize(bytes)?;
    decode_exactly(bytes, FORMAT)
}

/// Encodes a program's state, for snapshots. Fails with [`WireError::StateTooLarge`] above
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

/// Decodes a state that must fill `bytes`. Never panics; a false length reserves no more than a
/// gigabyte.
pub fn decode_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MAX_STATE {
        return Err(WireError::StateTooLarge { size: bytes.len() });
    }
    decode_exactly(bytes, STATE_FORMAT)
}

fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), WireError> {
    // The limit of a format applies to decoding only, so states are encoded with this one too.
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
    // Extra bytes belong to a value of another type or build, whose beginning merely fits.
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
