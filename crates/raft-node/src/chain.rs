//! Hash chain over the committed entries: one hash stands for the whole history up to an entry.
//!
//! The head after an entry hashes the head before it and the entry, beginning with the founding
//! membership: `h(i) = SHA-256(prefix, h(i-1), entry i)`. Two machines with equal heads at one
//! index have applied the same entries, however they received them.
//!
//! Decision: only committed entries are chained, where they are applied. Why: uncommitted ones may
//! be replaced without anybody being at fault, so only a difference of committed ones means
//! something; and the core stays free of cryptography, and its entries within a cache line. Would
//! change if: a follower had to refuse an append of another history before it is committed.

use std::fmt;

use raftian_raft::{Entry, Membership};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::wire;

/// Prefix of the hashes: they are those of nothing else.
const CONTEXT: &[u8] = b"raftian chain 1";

/// Head of the chain after one entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ChainHead(pub [u8; 32]);

impl ChainHead {
    /// Returns the head before the first entry of a match.
    pub fn of_founding(founding: &Membership) -> Self {
        ChainHead::default().after_value(founding)
    }

    /// Returns the head after `entry`, the next one.
    #[must_use]
    pub fn after(&self, entry: &Entry) -> Self {
        self.after_value(entry)
    }

    fn after_value(&self, value: &impl Serialize) -> Self {
        // An entry arrives in a frame, so it fits into one.
        let bytes = wire::encode_value(value).unwrap_or_default();
        let hash = Sha256::new()
            .chain_update(CONTEXT)
            .chain_update(self.0)
            .chain_update(bytes);
        ChainHead(hash.finalize().into())
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use raftian_raft::{ClientId, Command, Index, NodeId, Payload, Stamp, Term};

    use super::*;

    fn entry(index: u64, text: &str) -> Entry {
        Entry {
            term: Term(1),
            index: Index(index),
            stamp: Stamp(3),
            payload: Payload::Command {
                command: Command {
                    client: ClientId(9),
                    sequence: 1,
                    bytes: text.as_bytes().into(),
                },
                member: NodeId(2),
            },
        }
    }

    #[test]
    fn head_covers_the_founding_and_every_field_of_every_entry() {
        let members = |ids: &[u64]| Membership::new(ids.iter().copied().map(NodeId)).unwrap();
        let founding = ChainHead::of_founding(&members(&[1, 2]));
        let first = entry(1, "gold");
        let with = |payload| Entry {
            payload,
            ..first.clone()
        };
        let command = |client, sequence, member| {
            let bytes = first_bytes(&first);
            let command = Command {
                client: ClientId(client),
                sequence,
                bytes,
            };
            with(Payload::Command {
                command,
                member: NodeId(member),
            })
        };
        let heads = [
            founding,
            ChainHead::of_founding(&members(&[1, 3])),
            founding.after(&first),
            founding.after(&first).after(&entry(2, "wood")),
            founding.after(&entry(2, "wood")).after(&first),
            founding.after(&entry(1, "wood")),
            founding.after(&Entry {
                term: Term(2),
                ..first.clone()
            }),
            founding.after(&Entry {
                index: Index(2),
                ..first.clone()
            }),
            founding.after(&Entry {
                stamp: Stamp(4),
                ..first.clone()
            }),
            founding.after(&command(8, 1, 2)),
            founding.after(&command(9, 2, 2)),
            founding.after(&command(9, 1, 3)),
            founding.after(&with(Payload::Empty)),
            founding.after(&with(Payload::Withheld)),
            founding.after(&with(Payload::Membership(members(&[1])))),
        ];
        let all: BTreeSet<_> = heads.iter().map(|head| head.0).collect();
        assert_eq!(all.len(), heads.len());
        assert_eq!(
            founding.after(&first),
            ChainHead::of_founding(&members(&[1, 2])).after(&entry(1, "gold"))
        );
    }

    fn first_bytes(entry: &Entry) -> raftian_raft::Bytes {
        match &entry.payload {
            Payload::Command { command, .. } => command.bytes.clone(),
            _ => Default::default(),
        }
    }

    /// Members of one match compute the same heads on every machine and build.
    #[test]
    fn heads_stay_the_same() {
        let founding = ChainHead::of_founding(&Membership::new([NodeId(1)]).unwrap());
        let head = founding.after(&entry(1, "gold"));
        assert_eq!(
            head.to_string(),
            "3abb95456481ba66b121f06698c8f8af7a2a5e5998dc6068278e314c7dc2c999"
        );
    }
}
