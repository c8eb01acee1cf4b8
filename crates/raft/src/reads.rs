//! ReadIndex: reads that see every command committed before they were requested, without a log
//! entry (thesis 6.4).

use alloc::collections::{BTreeMap, VecDeque};

use crate::types::{Index, Moment, NodeId};

/// Identifies a read; chosen by the caller, returned with the answer, and never sent to another
/// node.
#[doc(alias = "ReadIndex")]
#[doc(alias = "linearizable")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadId(pub u64);

/// Result of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadAnswer {
    /// The read.
    pub id: ReadId,
    /// The read index, which this node has applied, so its state may be read now; or the reason why
    /// there is none. Retrying is safe.
    pub result: Result<Index, ReadRefusal>,
}

/// Reason why a read was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadRefusal {
    /// No leader is known, or the one that was asked no longer leads.
    #[error("no leader answers; retry shortly")]
    NoLeader,
    /// The number of pending reads has reached [`Config::max_reads`](crate::Config::max_reads).
    #[error("too many reads are pending at this node; retry shortly")]
    Busy,
    /// This node is a witness and keeps no state.
    #[error("a witness keeps no state; read at another member")]
    Witness,
}

/// Origin of a read at a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Asker {
    /// The leader's own program.
    Own(ReadId),
    /// A follower, with the token it chose.
    Peer(NodeId, u64),
}

/// A leader's reads, oldest first.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct LeaderReads {
    /// Reads that arrived before the leader had committed an entry of its own term: only then does
    /// it know what is committed.
    pub(crate) early: VecDeque<Asker>,
    /// Reads that wait for their round: origin, commit index on arrival, and the round that must be
    /// confirmed.
    pub(crate) waiting: VecDeque<(Asker, Index, u64)>,
    /// The newest round that was sent.
    pub(crate) round: u64,
}

impl LeaderReads {
    pub(crate) fn len(&self) -> usize {
        self.early.len() + self.waiting.len()
    }

    /// Adds a read to the next round, which no answer to an earlier message can confirm.
    pub(crate) fn ask(&mut self, asker: Asker, commit: Index) {
        self.waiting.push_back((asker, commit, self.round + 1));
    }

    /// Whether a round must be sent.
    pub(crate) fn wants_round(&self) -> bool {
        self.waiting
            .back()
            .is_some_and(|(_, _, round)| *round > self.round)
    }
}

/// Reads of a node's own program that have not been answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnReads {
    /// Reads sent to a leader, by token, with the moment at which each is abandoned. Tokens
    /// increase, and so do the moments.
    pub(crate) asked: BTreeMap<u64, (ReadId, Moment)>,
    /// Confirmed reads whose index is not applied yet.
    pub(crate) confirmed: VecDeque<(ReadId, Index)>,
    /// The next token.
    pub(crate) token: u64,
}

impl OwnReads {
    pub(crate) fn len(&self) -> usize {
        self.asked.len() + self.confirmed.len()
    }

    /// Moment at which the oldest read is abandoned.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.asked
            .first_key_value()
            .map(|(_, (_, deadline))| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pending_read_counts_against_the_bound() {
        let mut leader = LeaderReads::default();
        assert!(!leader.wants_round());
        leader
            .early
            .extend([Asker::Own(ReadId(1)), Asker::Peer(NodeId(2), 7)]);
        (1..=3).for_each(|id| leader.ask(Asker::Own(ReadId(id)), Index(9)));
        assert_eq!((leader.len(), leader.wants_round()), (5, true));
        leader.round += 1;
        assert!(!leader.wants_round(), "the round was sent");
        let mut own = OwnReads::default();
        own.asked
            .extend([(1, (ReadId(1), Moment(50))), (2, (ReadId(2), Moment(60)))]);
        own.confirmed.push_back((ReadId(3), Index(4)));
        assert_eq!((own.len(), own.deadline()), (3, Some(Moment(50))));
    }
}
