//! Reads that see every command committed before they were asked, without a log entry: ReadIndex
//! (thesis 6.4).

use alloc::collections::{BTreeMap, VecDeque};

use crate::types::{Index, Moment, NodeId};

/// Names a read; chosen by the caller, told back with the answer, and never shown to another node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadId(pub u64);

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadAnswer {
    /// Which read.
    pub id: ReadId,
    /// The read index, which this node has applied: its state may be looked at now. Or why there is
    /// none; asking again is safe.
    pub result: Result<Index, ReadRefusal>,
}

/// Why a read was not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadRefusal {
    /// No leader is known, or the one that was asked leads no longer.
    #[error("no leader answers")]
    NoLeader,
    /// As many reads wait as may.
    #[error("too many reads wait at this node")]
    Busy,
    /// This node keeps no state to look at.
    #[error("a witness keeps no state")]
    Witness,
}

/// Who asked a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Asker {
    /// Its own program.
    Own(ReadId),
    /// A follower, under a token of that follower's.
    Peer(NodeId, u64),
}

/// A leader's reads, oldest first.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct LeaderReads {
    /// Asked before the leader had committed an entry of its own term: only then does it know what
    /// is committed.
    pub(crate) early: VecDeque<Asker>,
    /// Wait for their round: the asker, the commit index when it asked, and the round that must be
    /// confirmed.
    pub(crate) waiting: VecDeque<(Asker, Index, u64)>,
    /// The newest round that was sent.
    pub(crate) round: u64,
}

impl LeaderReads {
    pub(crate) fn len(&self) -> usize {
        self.early.len() + self.waiting.len()
    }

    /// Asks in the next round, which no answer to an earlier message can confirm.
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
    /// Asked of a leader, by token, with the moment at which it is given up. Tokens count up, and
    /// so do the moments.
    pub(crate) asked: BTreeMap<u64, (ReadId, Moment)>,
    /// Confirmed, but not yet applied up to there.
    pub(crate) confirmed: VecDeque<(ReadId, Index)>,
    /// The next token.
    pub(crate) token: u64,
}

impl OwnReads {
    pub(crate) fn len(&self) -> usize {
        self.asked.len() + self.confirmed.len()
    }

    /// When the oldest question is given up.
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
    fn every_read_without_an_answer_counts_against_the_bound() {
        let mut leader = LeaderReads::default();
        assert!(!leader.wants_round());
        leader
            .early
            .extend([Asker::Own(ReadId(1)), Asker::Peer(NodeId(2), 7)]);
        (1..=3).for_each(|id| leader.ask(Asker::Own(ReadId(id)), Index(9)));
        assert_eq!((leader.len(), leader.wants_round()), (5, true));
        leader.round += 1;
        assert!(!leader.wants_round(), "it was sent");
        let mut own = OwnReads::default();
        own.asked
            .extend([(1, (ReadId(1), Moment(50))), (2, (ReadId(2), Moment(60)))]);
        own.confirmed.push_back((ReadId(3), Index(4)));
        assert_eq!((own.len(), own.deadline()), (3, Some(Moment(50))));
    }
}
