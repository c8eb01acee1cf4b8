//! Votes (section 5.2): "Each server will vote for at most one candidate in a given term", also
//! across crashes.

use std::collections::BTreeMap;

use raftian_raft::{Body, NodeId, Term};

use super::{Observation, Violation};

/// Every vote observed on a disk or in a message.
#[derive(Debug, Default)]
pub struct OneVotePerTerm {
    votes: BTreeMap<(NodeId, Term), NodeId>,
}

impl OneVotePerTerm {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If it gave its vote of one term to two candidates.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let on_disk = seen.image.hard_state;
        if let Some(vote) = on_disk.vote {
            self.voted(seen.id, on_disk.term, vote)?;
        }
        for (to, message) in seen.sent {
            if message.body == (Body::VoteReply { granted: true }) {
                self.voted(seen.id, message.term, *to)?;
            }
        }
        Ok(())
    }

    fn voted(&mut self, id: NodeId, term: Term, candidate: NodeId) -> Result<(), Violation> {
        let first = *self.votes.entry((id, term)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        Err(Violation::new(
            "one vote per term",
            format!("{id} voted in {term} for {first} and for {candidate}"),
        ))
    }

    pub(crate) fn forget(&mut self, id: NodeId) {
        self.votes.retain(|(voter, _), _| *voter != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;
    use raftian_raft::Message;

    #[test]
    fn two_votes_in_one_term_are_detected_on_disk_and_in_messages() {
        let mut property = OneVotePerTerm::default();
        assert!(
            Sample::node(1, 3)
                .on_disk(3, Some(2))
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 4)
                .on_disk(4, Some(3))
                .show(|seen| property.check(seen))
                .is_ok()
        );
        let granted = || Message::new(Term(3), Body::VoteReply { granted: true });
        assert!(
            Sample::node(1, 4)
                .sent(2, granted())
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 4)
                .sent(3, granted())
                .show(|seen| property.check(seen))
                .is_err()
        );
        assert!(
            Sample::node(1, 3)
                .on_disk(3, Some(1))
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
