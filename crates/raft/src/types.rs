//! Basic types of the protocol: ids, terms, indexes, positions and clocks.

use core::fmt;
use core::time::Duration;

/// Id of a member of the cluster. Any value is a valid id; "no node" is `Option::None`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeId(pub u64);

/// A term: the logical clock of Raft (section 5.1). Terms start at 0 (before the first election)
/// and never decrease.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Term(pub u64);

/// Index in the log. The first entry is at 1; 0 is the index before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Index(pub u64);

/// Term and index of one entry. The derived order is the "at least as up-to-date" comparison of
/// section 5.4.1: the later term wins, in equal terms the longer log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LogPosition {
    /// Term of the entry.
    pub term: Term,
    /// Index of the entry.
    pub index: Index,
}

/// Point in time on one node's own monotonic clock, in microseconds since an arbitrary start.
/// Moments of different nodes are never compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moment(pub u64);

/// The game clock in milliseconds, written into every entry by the leader that appended it. It
/// never decreases along the log, and it stalls while there is no leader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stamp(pub u64);

/// Id of a proposer. A player's machine draws a new one for each run, so a sequence is never used
/// twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClientId(pub u64);

/// Incarnation of a node: drawn when its disk is initialized. A node that lost its disk lost its
/// votes and acknowledgements with it, so under the same id it counts as another member. Founding
/// members have incarnation 0 unless configured otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Incarnation(pub u64);

impl Term {
    /// The last term a node may enter. One more is reserved, so that the term after it is still a
    /// later one.
    pub const LAST: Term = Term(u64::MAX - 1);

    /// Returns the term after this one.
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl Index {
    /// The last index accepted from a peer. As many indexes again are free after it, so a log that
    /// reaches it never runs out of them.
    pub(crate) const LAST: Index = Index(u64::MAX / 2);

    /// Returns the index after this one.
    pub fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }

    /// Returns the index before this one; 0 for 0.
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

impl Moment {
    /// Returns the moment `by` later, saturating at the maximum.
    pub fn after(self, by: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// Returns the moment `by` earlier, at least zero.
    pub(crate) fn before(self, by: Duration) -> Moment {
        Moment(
            self.0
                .saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// Returns the time since `earlier`, zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.term, self.index)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn ids_terms_and_indexes_have_distinct_short_forms() {
        let position = LogPosition {
            term: Term(2),
            index: Index(7),
        };
        let names = [
            NodeId(1).to_string(),
            Term(2).to_string(),
            Index(7).to_string(),
            position.to_string(),
        ];
        assert_eq!(names, ["n1", "t2", "#7", "t2#7"]);
    }

    #[test]
    fn moments_saturate_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(Moment(5).after(second), Moment(1_000_005));
        assert_eq!(Moment(u64::MAX).after(second), Moment(u64::MAX));
        assert_eq!(Moment(0).after(Duration::MAX), Moment(u64::MAX));
        assert_eq!(
            (Moment(9).since(Moment(4)), Moment(4).since(Moment(9))),
            (Duration::from_micros(5), Duration::ZERO)
        );
    }
}
