//! Entries of the replicated log.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::membership::Membership;
use crate::types::{ClientId, Index, LogPosition, NodeId, Stamp, Term};

/// One entry of the replicated log (section 5.3), with the leader's game clock.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entry {
    /// Term of the leader that appended it.
    pub term: Term,
    /// Index in the log.
    pub index: Index,
    /// Game clock of the leader when it appended it, in milliseconds.
    pub stamp: Stamp,
    /// Contents.
    pub payload: Payload,
}

/// Contents of an entry.
#[doc(alias = "EntryType")]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Payload {
    /// Nothing: the no-op entry with which a new leader commits entries of earlier terms (section
    /// 5.4.2, and 8).
    Empty,
    /// A command of the game.
    Command {
        /// The command.
        command: Command,
        /// Member that submitted it to the leader. The leader knows it from the connection, so no
        /// other member can submit a command in that one's name; a dishonest leader can, unless the
        /// program has commands signed.
        member: NodeId,
    },
    /// The members from here on. A node uses the newest membership in its log, committed or not
    /// (section 6).
    Membership(Membership),
    /// A command as a witness stores it: its position without its contents.
    Withheld,
}

/// A proposed command. `(client, sequence)` identifies it for ever: however often it is proposed
/// and appended, it is applied once (section 8).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Command {
    /// Client that proposed it.
    pub client: ClientId,
    /// Its number among the client's commands, counted from 1.
    pub sequence: u64,
    /// The command, opaque to consensus.
    pub bytes: Bytes,
}

impl Command {
    /// Whether `other` has the same client and sequence: then both are the same command, and at
    /// most one of them takes effect.
    pub(crate) fn is_named_like(&self, other: &Command) -> bool {
        self.client == other.client && self.sequence == other.sequence
    }
}

impl Entry {
    /// Fixed part of an entry's size in bytes, as counted against windows and bounds.
    pub const OVERHEAD: usize = 48;

    /// Term and index.
    pub fn position(&self) -> LogPosition {
        LogPosition {
            term: self.term,
            index: self.index,
        }
    }

    /// The command, if the entry holds one.
    pub(crate) fn command(&self) -> Option<&Command> {
        match &self.payload {
            Payload::Command { command, .. } => Some(command),
            Payload::Empty | Payload::Membership(_) | Payload::Withheld => None,
        }
    }

    /// Size in bytes as counted against windows and bounds: the command plus [`Entry::OVERHEAD`].
    pub fn size(&self) -> usize {
        Self::OVERHEAD
            + match &self.payload {
                Payload::Empty | Payload::Withheld => 0,
                Payload::Command { command, .. } => command.bytes.len(),
                Payload::Membership(membership) => {
                    membership.members().len() * Self::OVERHEAD + membership.recorded_bytes()
                }
            }
    }
}

/// Immutable bytes, cheap to clone: short ones are stored inline, and longer ones are shared by
/// every queue and log on one machine.
#[derive(Clone)]
pub struct Bytes(Place);

/// Storage of bytes. Equal bytes are stored alike: the length alone decides.
///
/// Decision: shared bytes are behind two pointers. Why: a thin pointer keeps an entry within a
/// cache line, and long commands are rare. Would change if: long commands became common.
#[derive(Clone)]
enum Place {
    /// Inline, at most [`Bytes::SHORT`] bytes.
    Here {
        len: u8,
        bytes: [u8; Bytes::SHORT],
    },
    Shared(Arc<Box<[u8]>>),
}

impl Bytes {
    /// Largest inline length: with its own length byte and the tag, an inline value fits into two
    /// machine words.
    const SHORT: usize = 14;
}

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Here { len, bytes } => &bytes[..usize::from(*len)],
            Place::Shared(bytes) => bytes,
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Bytes::from(&[][..])
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= Self::SHORT {
            bytes.as_slice().into()
        } else {
            Bytes(Place::Shared(Arc::new(bytes.into_boxed_slice())))
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(match u8::try_from(bytes.len()) {
            Ok(len) if bytes.len() <= Self::SHORT => {
                let mut here = [0; Self::SHORT];
                here[..bytes.len()].copy_from_slice(bytes);
                Place::Here { len, bytes: here }
            }
            _ => Place::Shared(Arc::new(bytes.into())),
        })
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bytes").field(&&**self).finish()
    }
}

#[cfg(feature = "serde")]
mod serde_bytes {
    use super::Bytes;
    use alloc::vec::Vec;
    use core::fmt;
    use serde::de::{Error, Visitor};

    impl serde::Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self)
        }
    }

    impl<'de> serde::Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            // Asks the format for bytes: a derived `Vec<u8>` would be decoded as a sequence, one
            // number at a time.
            struct OneCopy;

            impl Visitor<'_> for OneCopy {
                type Value = Bytes;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }

                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(bytes.into())
                }

                fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                    Ok(bytes.into())
                }
            }

            deserializer.deserialize_bytes(OneCopy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bytes_are_inline_and_long_ones_are_shared() {
        let all = [7; 2 * Bytes::SHORT];
        for len in 0..all.len() {
            let bytes = Bytes::from(&all[..len]);
            assert_eq!(*bytes.clone(), all[..len]);
            assert_eq!(
                (
                    bytes == Bytes::from(&all[..]),
                    matches!(bytes.0, Place::Here { .. })
                ),
                (false, len <= 14)
            );
        }
    }

    #[test]
    fn bytes_compare_and_hash_by_content() {
        for len in [0, 1, Bytes::SHORT, Bytes::SHORT + 1] {
            let plain = alloc::vec![7_u8; len];
            let bytes = Bytes::from(&plain[..]);
            assert_eq!(
                crate::hashed::of(&bytes),
                crate::hashed::of(&plain[..]),
                "{len}"
            );
            let longer = Bytes::from(&[&plain[..], &[8]].concat()[..]);
            assert_ne!(
                crate::hashed::of(&bytes),
                crate::hashed::of(&longer),
                "{len}"
            );
        }
        assert_eq!(
            alloc::format!("{:?}", Bytes::from(&[1_u8, 2][..])),
            "Bytes([1, 2])"
        );
    }

    #[test]
    fn entry_size_includes_its_command_or_members() {
        let size = |payload| {
            Entry {
                term: Term(1),
                index: Index(1),
                stamp: Stamp(0),
                payload,
            }
            .size()
        };
        let command = Command {
            client: ClientId(1),
            sequence: 1,
            bytes: Bytes::from(&[7_u8; 100][..]),
        };
        assert_eq!(size(Payload::Empty), Entry::OVERHEAD);
        assert_eq!(
            size(Payload::Command {
                command,
                member: NodeId(1)
            }),
            Entry::OVERHEAD + 100
        );
        let members = Membership::new((1..=3).map(crate::types::NodeId)).unwrap();
        assert_eq!(size(Payload::Membership(members)), 4 * Entry::OVERHEAD);
    }

    /// Logs are long: on common machines an entry with a short command fills one cache line.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn entry_fits_a_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }
}
