//! Snapshots: the state at one index in place of the log up to there (section 7, thesis 5).

use alloc::vec::Vec;

use crate::entry::Bytes;
use crate::membership::Membership;
use crate::types::{LogPosition, Stamp};

/// The replicated state after one entry, with that entry's position, clock and membership.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    /// The last entry it covers.
    pub position: LogPosition,
    /// Game clock of that entry.
    pub stamp: Stamp,
    /// The members as of that entry.
    pub membership: Membership,
    /// The state, opaque to consensus. Must include the client sessions (exactly-once bookkeeping).
    /// `None` at a witness, which keeps no state.
    pub data: Option<Bytes>,
}

/// Start of the log that a node keeps: right after this entry, which a snapshot covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LogStart {
    /// Last entry that is not kept; zero if none was ever dropped.
    pub position: LogPosition,
    /// Its game clock.
    pub stamp: Stamp,
}

impl Snapshot {
    /// Start of a log without the entries that the snapshot covers.
    pub fn start(&self) -> LogStart {
        LogStart {
            position: self.position,
            stamp: self.stamp,
        }
    }

    /// Size of the state in bytes.
    pub fn len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Whether it holds no state.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A snapshot that is still arriving: a prefix of its bytes. It outlives leaders, so that the next
/// one continues where the last one stopped, if it sends the same snapshot.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Incoming {
    /// Identity of the snapshot.
    pub(crate) name: SnapshotName,
    /// Bytes received so far.
    pub(crate) bytes: Vec<u8>,
}

/// Identity of a snapshot. Two nodes' snapshots at one position may differ in their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotName {
    /// The last entry it covers.
    pub position: LogPosition,
    /// Its size in bytes.
    pub size: u64,
    /// Checksum of its bytes. It detects a mix-up of snapshots, not a leader that forges one.
    pub hash: u64,
}

impl SnapshotName {
    /// Returns the name of a snapshot with this position and these bytes.
    pub fn of(position: LogPosition, bytes: &[u8]) -> Self {
        SnapshotName {
            position,
            size: bytes.len() as u64,
            hash: fingerprint(bytes),
        }
    }
}

/// Hashes in four independent lanes, about as fast as memory is read: a node must not miss its
/// heartbeat over a large state. Every step is invertible, so states that differ in one word alone
/// always have different fingerprints.
fn fingerprint(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(PRIME);
    let mut lanes = [
        0xcbf2_9ce4_8422_2325,
        0x9ce4_8422_2325_cbf2,
        0x8422_2325_cbf2_9ce4,
        0x2325_cbf2_9ce4_8422,
    ];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    // The length takes part, so states that differ only in trailing zeros differ in name.
    let rest = rest.iter().fold(bytes.len() as u64, |hash, byte| {
        step(hash, u64::from(*byte))
    });
    lanes.into_iter().fold(rest, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_of_a_witness_is_empty() {
        let membership = Membership::new([crate::types::NodeId(1)]).unwrap();
        let of = |data| Snapshot {
            position: LogPosition::default(),
            stamp: Stamp(0),
            membership: membership.clone(),
            data,
        };
        let none = of(None);
        let some = of(Some(Bytes::from(&[7_u8; 3][..])));
        assert_eq!([none.len(), some.len()], [0, 3]);
        assert!(none.is_empty() && !some.is_empty());
    }

    #[test]
    fn states_that_differ_in_a_bit_or_length_differ_in_name() {
        let state = [7; 100];
        let name = |bytes: &[u8]| SnapshotName::of(LogPosition::default(), bytes).hash;
        for bit in 0..state.len() * 8 {
            let mut other = state;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(name(&state), name(&other), "bit {bit}");
        }
        for len in 0..state.len() {
            assert_ne!(name(&state), name(&state[..len]), "{len} bytes");
        }
        let mut two = state;
        let top = 7;
        two[top] ^= 0x80;
        two[top + 32] ^= 0x80;
        assert_ne!(
            name(&state),
            name(&two),
            "two top bits of one lane do not cancel out"
        );
    }
}
