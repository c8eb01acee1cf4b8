//! What must hold after every step, in release builds too. A violation is a bug of ours, and
//! stopping is safer than going on.

use super::Node;
use crate::role::Role;
use crate::types::{Index, NodeId, Term};

/// What was true before, to see that it never goes back.
#[derive(Clone, Debug, Default)]
pub(super) struct LastObserved {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    /// Term led and the length of the log then.
    led: Option<(Term, Index)>,
}

impl Node {
    /// Checks in constant time; the properties that need several nodes are checked by the
    /// simulator.
    pub(super) fn assert_invariants(&mut self) {
        let (term, vote, last) = (self.hard_state.term, self.hard_state.vote, self.log.last());
        assert!(term >= self.last_observed.term, "terms never go back");
        if term == self.last_observed.term {
            let kept = self.last_observed.vote.is_none() || vote == self.last_observed.vote;
            assert!(
                kept,
                "a vote is never taken back within its term (section 5.2)"
            );
        }
        let (state, covered) = (&self.apply_state, self.covered());
        let (durable, written) = (self.disk.durable(), self.disk.written());
        assert!(
            self.commit >= self.last_observed.commit,
            "the commit index never goes back"
        );
        assert!(
            state.applied <= state.delivered,
            "only what was handed out is applied"
        );
        assert!(
            state.delivered <= self.commit,
            "only committed entries are handed out"
        );
        assert!(
            self.log.base() <= covered,
            "only what a snapshot covers leaves the log"
        );
        assert!(
            covered.index <= self.commit,
            "a snapshot covers only committed entries"
        );
        assert!(
            self.commit <= last.index,
            "only entries of the log are committed"
        );
        assert!(durable <= written, "what is on disk was written");
        assert!(written <= last.index, "what was written is in the log");
        assert!(
            last.term <= term,
            "no entry is of a later term than the node"
        );
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
