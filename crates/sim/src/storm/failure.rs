//! Verdict on a failed storm.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::mem::discriminant;
use std::time::Duration;

use raftian_raft::{NodeId, Term};

use crate::cluster::Unsettled;
use crate::invariants::Violation;
use crate::linearizability::log_order::Contradiction;
use crate::linearizability::wgl::NoLinearization;

/// Failure found by a storm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Reason of the failure.
    pub cause: Cause,
    /// Last [`Storm::trace`](super::Storm::trace) events, one per line.
    pub trace: String,
    /// Injected faults: event number and description.
    pub faults: Vec<(u64, String)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        if !self.trace.is_empty() {
            write!(f, "\nlast events:\n{}", self.trace)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Reason why a storm failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A property of [`crate::invariants`] or of the simulation does not hold. A panic of a node
    /// violates one too.
    #[error("{0}")]
    Violated(Violation),
    /// The healed quorum does not make progress.
    #[error("{0}")]
    NotConverged(NotConverged),
    /// The clients' history contradicts the order of the log.
    #[error("the history is not linearizable: {0}")]
    ContradictsLog(Box<Contradiction>),
    /// The clients' history has no linearization.
    #[error("the history is not linearizable: {0}")]
    NotLinearizable(Box<NoLinearization>),
    /// The simulation itself panicked.
    #[error("the simulation panicked: {0}")]
    Panicked(String),
}

impl Cause {
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Cause::Panicked(text.unwrap_or_default())
    }

    /// Returns whether both failures are of one kind, and of one property if they violate any.
    pub(super) fn is_like(&self, other: &Cause) -> bool {
        match (self, other) {
            (Cause::Violated(one), Cause::Violated(two)) => one.property == two.property,
            (Cause::NotConverged(one), Cause::NotConverged(two)) => {
                discriminant(one) == discriminant(two)
            }
            _ => discriminant(self) == discriminant(other),
        }
    }
}

impl From<Violation> for Cause {
    fn from(violation: Violation) -> Self {
        Cause::Violated(violation)
    }
}

impl From<NotConverged> for Cause {
    fn from(error: NotConverged) -> Self {
        Cause::NotConverged(error)
    }
}

/// Missing progress of a healed quorum.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotConverged {
    /// No leader whose log is committed and applied everywhere.
    #[error("{core:?} does not converge: {}", unsettled.states())]
    Unsettled {
        /// The healed quorum.
        core: BTreeSet<NodeId>,
        /// State of each node.
        unsettled: Unsettled,
    },
    /// Commands were proposed again and again without effect, or states kept differing.
    #[error("commands are missing or states differ after {rounds} rounds")]
    Incomplete {
        /// Rounds of retried commands.
        rounds: usize,
    },
    /// A member that joined and kept up was not promoted.
    #[error("{id} joined and kept up for ten times {patience:?} but was not promoted")]
    NotPromoted {
        /// The joining member.
        id: NodeId,
        /// Longest election timeout.
        patience: Duration,
    },
    /// A snapshot transfer never ended.
    #[error("the snapshot transfer to {id} did not end")]
    EndlessTransfer {
        /// Receiver of the snapshot.
        id: NodeId,
    },
    /// The only member that reaches a quorum was not elected.
    #[error("{hub} is connected to {group:?} but does not lead")]
    NotElected {
        /// The only electable member.
        hub: NodeId,
        /// The members that it reaches.
        group: Vec<NodeId>,
    },
    /// A member that lost acknowledged entries did not rejoin under a new incarnation.
    #[error("{id} lost acknowledged entries and did not rejoin")]
    NotRejoined {
        /// The member.
        id: NodeId,
    },
    /// Members that moved in turn and recorded their addresses do not find each other.
    #[error("all machines moved in turn and do not find each other: {}", unsettled.states())]
    NotFound {
        /// State of each node.
        unsettled: Unsettled,
    },
    /// A leader was deposed although there were no faults.
    #[error("{leader} led {term} and was deposed without faults")]
    Deposed {
        /// The deposed leader.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_kind_and_property_are_alike() {
        let violated = |property, what: &str| Cause::from(Violation::new(property, what));
        let endless = |id| Cause::from(NotConverged::EndlessTransfer { id: NodeId(id) });
        let first = violated("election safety", "n1 and n2 lead term 3");
        assert!(first.is_like(&violated("election safety", "n2 and n3 lead term 9")));
        assert!(!first.is_like(&violated("log matching", "n1 and n2 differ at 3")));
        assert!(!first.is_like(&endless(1)));
        assert!(endless(1).is_like(&endless(2)));
        assert!(!endless(1).is_like(&NotConverged::NotRejoined { id: NodeId(1) }.into()));
    }
}
