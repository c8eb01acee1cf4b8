//! Invariants checked after every step, in release builds too. A violation is a bug in this crate,
//! and stopping is safer than continuing.

use super::Node;
use crate::role::Role;
use crate::types::{Index, NodeId, Term};

/// Values after the last step, to check that they never go back.
#[derive(Clone, Debug, Default)]
pub(super) struct LastObserved {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    /// Term of the leadership, and the last index of the log at that time.
    led: Option<(Term, Index)>,
}

impl Node {
    /// Checks the invariants of a single node in constant time; the simulator checks those that
    /// span several nodes.
    pub(super) fn assert_invariants(&mut self) {
        let term = self.hard_state.term;
        let vote = self.hard_state.vote;
        let last = self.log.last();
        assert!(term >= self.last_observed.term, "terms never go back");
        assert!(
            !self.is_founding() || (term == Term(0) && last.index == Index(0)),
            "a node does nothing before its cluster is founded"
        );
        if term == self.last_observed.term {
            // Setting a vote that was free is the only change a term allows.
            let kept = self.last_observed.vote.is_none() || vote == self.last_observed.vote;
            assert!(
                kept,
                "a vote is never taken back within its term (section 5.2)"
            );
        }
        let state = &self.apply_state;
        let covered = self.covered();
        let durable = self.disk.durable();
        let written = self.disk.written();
        assert!(
            self.commit >= self.last_observed.commit,
            "the commit index never goes back"
        );
        assert!(
            state.applied <= state.delivered,
            "only delivered entries are applied"
        );
        assert!(
            state.delivered <= self.commit,
            "only committed entries are delivered"
        );
        assert!(
            self.log.base() <= covered,
            "only entries covered by a snapshot are compacted"
        );
        assert!(
            covered.index <= self.commit,
            "a snapshot covers only committed entries"
        );
        assert!(
            self.commit <= last.index,
            "only entries of the log are committed"
        );
        assert!(durable <= written, "durable entries were written");
        assert!(written <= last.index, "written entries are in the log");
        assert!(last.term <= term, "no entry has a later term than the node");
        let led = match &self.role {
            Role::Leader(leader) => {
                assert_eq!(vote, Some(self.config.id), "a leader voted for itself");
                assert!(
                    leader.first_of_term <= last.index,
                    "a leader has an entry of its own term"
                );
                assert!(
                    leader.peers.get(self.config.id).is_none(),
                    "a leader does not replicate to itself"
                );
                Some((term, last.index))
            }
            Role::Candidate(_) => {
                assert_eq!(vote, Some(self.config.id), "a candidate voted for itself");
                None
            }
            Role::Follower(_) | Role::PreCandidate(_) => None,
        };
        // Between two leaderships of this node another leader may have truncated its log.
        if let (Some((before, length)), Some((now, end))) = (self.last_observed.led, led)
            && before == now
        {
            assert!(
                end >= length,
                "a leader never overwrites or deletes entries of its log (section 5.3)"
            );
        }
        self.last_observed = LastObserved {
            term,
            vote,
            commit: self.commit,
            led,
        };
    }
}
