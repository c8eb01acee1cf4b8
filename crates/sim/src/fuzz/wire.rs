//! The wire: what can be read can be written, and is read again as the same.

use std::fmt::Debug;

use raftian_node::wire::{self, WireError};
use raftian_raft::{Entry, Membership, Snapshot};

use super::{Answer, Target, corpus};

const ABOUT: &str =
    "no bytes panic; what is read is written again in no more bytes, and read as the same";

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
    about: "as above, and whoever is read has a voter, and a majority that all of them are",
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
                return Err(format!("nobody could ever lead {membership:?}"));
            }
        }
        same_again(bytes, wire::decode_value::<Membership>, wire::encode_value)
    },
};

/// A frame without its length, which is what decoding takes.
fn frame(message: &raftian_raft::Message) -> Result<Vec<u8>, WireError> {
    wire::encode_message(message).map(|mut frame| frame.split_off(wire::LENGTH_BYTES))
}

/// Integers may be written longer than they need be, so the bytes may differ; there are never more
/// of them.
fn same_again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, WireError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, WireError>,
) -> Result<Answer, String> {
    let Ok(value) = decode(bytes) else {
        return Ok(Answer::Refused);
    };
    let again =
        encode(&value).map_err(|error| format!("what was read cannot be written: {error}"))?;
    if again.len() > bytes.len() {
        return Err(format!(
            "{} bytes were read, {} are written",
            bytes.len(),
            again.len()
        ));
    }
    match decode(&again) {
        Ok(same) if same == value => Ok(Answer::Taken),
        Ok(other) => Err(format!("{value:?} was written, {other:?} is read")),
        Err(error) => Err(format!("what was written cannot be read: {error}")),
    }
}
