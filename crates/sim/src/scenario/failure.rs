//! Verdict on a failed transcript.

use std::fmt;
use std::time::Duration;

use raftian_raft::{
    ConfigError, LogPosition, MembershipError, NodeId, ReadRefusal, RefusalReason, RequestError,
    Term,
};

use crate::cluster::Unsettled;
use crate::invariants::Violation;

/// Failure of a transcript.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Line of the statement that failed, from 1.
    pub line: usize,
    /// Reason of the failure.
    pub cause: Cause,
    /// Last events, one per line.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nlast events:\n{}", self.cause, self.trace)
    }
}

impl std::error::Error for Failure {}

/// Reason why a statement of a transcript failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// An invariant of Raft is violated.
    #[error(transparent)]
    Violated(#[from] Violation),
    /// The `cluster` line describes no valid membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The options describe no valid configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The statement needs a node that runs.
    #[error("{0} is down; restart it first")]
    Down(NodeId),
    /// The statement needs a node that has stopped because of an error.
    #[error("{id} has stopped by itself: {why}")]
    Stopped {
        /// The node.
        id: NodeId,
        /// Its error.
        why: String,
    },
    /// No message was kept under this name.
    #[error("there are no kept messages named `{0}`")]
    UnknownMessages(String),
    /// No disk was copied under this name.
    #[error("there is no disk copy named `{0}`")]
    UnknownCopy(String),
    /// No read was requested under this name.
    #[error("there is no read named `{0}`")]
    UnknownRead(String),
    /// The cluster did not settle in time.
    #[error("{}", .0.states())]
    NotSettled(#[from] Unsettled),
    /// An expectation did not come true in time.
    #[error("still fails after {within:?}: {last}")]
    TimedOut {
        /// Time that it had.
        within: Duration,
        /// Failure at the end of that time.
        last: Box<Cause>,
    },
    /// A value differs from the expected one.
    #[error("{what}: expected {expected}, found {found}")]
    Differs {
        /// Name of the value.
        what: String,
        /// Expected value.
        expected: String,
        /// Found value.
        found: String,
    },
    /// An expectation holds, but its negation was expected.
    #[error("`{0}` was not expected, but it holds")]
    Holds(String),
    /// No node leads.
    #[error("a leader was expected, but no node leads")]
    NoLeader,
    /// Nodes lead, but none was expected to.
    #[error("no leader was expected, but {0} leads")]
    UnexpectedLeader(String),
    /// A node does not lead the latest term.
    #[error("{id} was expected to lead: it is {role} in {term}, and {}", leads(*.newest))]
    NotLeading {
        /// The node.
        id: NodeId,
        /// Name of its role.
        role: &'static str,
        /// Its term.
        term: Term,
        /// Leader of the latest term, with that term.
        newest: Option<(NodeId, Term)>,
    },
    /// Nodes that applied the same entries have different states.
    #[error("the states of {one} and {other} differ at {applied}")]
    StatesDiffer {
        /// First node.
        one: NodeId,
        /// Second node.
        other: NodeId,
        /// Number of entries applied by both.
        applied: usize,
    },
    /// Nodes have applied different numbers of entries.
    #[error("{one} has applied {entries} entries, {other} has applied {other_entries}")]
    AppliedDiffer {
        /// First node.
        one: NodeId,
        /// Number of entries that it applied.
        entries: usize,
        /// Second node.
        other: NodeId,
        /// Number of entries that it applied.
        other_entries: usize,
    },
    /// Logs differ where both still have entries.
    #[error(
        "the logs of {one} and {other} differ after {from}: {} (last {}), and {} (last {})",
        .logs[0].0, .logs[0].1, .logs[1].0, .logs[1].1
    )]
    LogsDiffer {
        /// First node.
        one: NodeId,
        /// Second node.
        other: NodeId,
        /// Index from which both have entries.
        from: u64,
        /// For each of the two, the terms of its entries and the last position of its log.
        logs: Box<[(String, LogPosition); 2]>,
    },
    /// The last request was accepted.
    #[error("a refusal was expected, but the request was accepted")]
    Accepted,
    /// The last request was refused for another reason.
    #[error("a refusal that contains `{expected}` was expected, but the refusal was: {refusal}")]
    OtherRefusal {
        /// Expected part of the reason.
        expected: String,
        /// Found reason.
        refusal: Refusal,
    },
    /// The last request was refused.
    #[error("acceptance was expected, but the request was refused: {0}")]
    Refused(Refusal),
    /// The expectation concerns a request, but none was made.
    #[error("{}no request was made yet", expected(*.0))]
    NoRequest(Option<Answer>),
    /// Only a leader has indexes of its peers.
    #[error("{leader} does not lead, so it has no index for {peer}")]
    NotLeader {
        /// The node.
        leader: NodeId,
        /// Its peer.
        peer: NodeId,
    },
    /// The peer is not a member.
    #[error("{leader} has no index for {peer}, which is not a member")]
    NotMember {
        /// The leader.
        leader: NodeId,
        /// Its peer.
        peer: NodeId,
    },
}

/// Expected answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The request is accepted.
    Acceptance,
    /// The request is refused.
    Refusal,
}

/// Reason why a node refused a request of a transcript.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Refused proposal.
    #[error(transparent)]
    Proposal(#[from] RefusalReason),
    /// Refused membership change or leadership transfer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Refused read.
    #[error(transparent)]
    Read(#[from] ReadRefusal),
}

fn leads(newest: Option<(NodeId, Term)>) -> String {
    match newest {
        Some((leader, term)) => format!("{leader} leads {term}"),
        None => "no node leads".to_owned(),
    }
}

fn expected(answer: Option<Answer>) -> &'static str {
    match answer {
        Some(Answer::Acceptance) => "acceptance was expected, but ",
        Some(Answer::Refusal) => "a refusal was expected, but ",
        None => "",
    }
}
