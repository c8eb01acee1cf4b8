//! Wire format: every value that decodes must survive encoding and decoding again.

use std::fmt::Debug;

use raftian_node::wire::{self, WireError};
use raftian_raft::{Entry, Membership, Snapshot};

use super::{Answer, Defect, Target, corpus};

const ABOUT: &str =
    "never panics; a decoded value encodes to no more bytes and decodes to the same value";

pub(super) const MESSAGE: Target = Target {
    name: "message",
    about: ABOUT,
    longest: 4096,
    takes_anything: false,
    corpus: || {
        corpus::messages()
            .iter()
            .map(|message| frame(message).expect("a sample fits"))
            .collect()
    },
    check: |bytes| same_again(bytes, wire::decode_message, frame),
};

pub(super) const ENTRY: Target = Target {
    name: "entry",
    about: ABOUT,
    longest: 1024,
    takes_anything: false,
    corpus: || {
        corpus::entries()
            .iter()
            .map(|entry| wire::encode_value(entry).expect("a sample fits"))
            .collect()
    },
    check: |bytes| same_again(bytes, wire::decode_value::<Entry>, wire::encode_value),
};

pub(super) const SNAPSHOT: Target = Target {
    name: "snapshot",
    about: ABOUT,
    longest: 4096,
    takes_anything: false,
    corpus: || {
        corpus::snapshots()
            .iter()
            .map(|snap| wire::encode_value(snap).expect("a sample fits"))
            .collect()
    },
    check: |bytes| same_again(bytes, wire::decode_value::<Snapshot>, wire::encode_value),
};

pub(super) const MEMBERSHIP: Target = Target {
    name: "membership",
    about: "as above; a decoded membership has an electable member, and all of it is a quorum",
    longest: 1024,
    takes_anything: false,
    corpus: || {
        corpus::memberships()
            .iter()
            .map(|one| wire::encode_value(one).expect("a sample fits"))
            .collect()
    },
    check: |bytes| {
        if let Ok(membership) = wire::decode_value::<Membership>(bytes) {
            let can_lead = membership.members().any(|(_, member)| member.may_lead());
            if !can_lead || !membership.is_quorum(|_| true) || membership.is_quorum(|_| false) {
                return Err(Defect::NotElectable(format!("{membership:?}")));
            }
        }
        same_again(bytes, wire::decode_value::<Membership>, wire::encode_value)
    },
};

/// Encodes a message as a frame without its length prefix, as the decoder expects it.
fn frame(message: &raftian_raft::Message) -> Result<Vec<u8>, WireError> {
    wire::encode_message(message).map(|mut frame| frame.split_off(wire::LENGTH_BYTES))
}

/// Checks the round trip of a value. The input may encode integers in more bytes than necessary, so
/// the encoded bytes may differ from it, but must not be more.
fn same_again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, WireError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, WireError>,
) -> Result<Answer, Defect> {
    let Ok(value) = decode(bytes) else {
        return Ok(Answer::Refused);
    };
    let again = encode(&value).map_err(Defect::NotEncoded)?;
    if again.len() > bytes.len() {
        return Err(Defect::Grew {
            from: bytes.len(),
            to: again.len(),
        });
    }
    match decode(&again) {
        Ok(same) if same == value => Ok(Answer::Taken),
        Ok(other) => Err(Defect::Changed {
            encoded: format!("{value:?}"),
            decoded: format!("{other:?}"),
        }),
        Err(error) => Err(Defect::NotDecoded(error)),
    }
}
