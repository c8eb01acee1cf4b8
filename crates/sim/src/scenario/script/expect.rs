//! Expectations of a transcript.

use std::collections::BTreeSet;

use raftian_raft::{NodeId, Term};

use super::{KindName, Link, RoleName};

/// One expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// `leader nX`
    Leader(NodeId),
    /// `leader`: any node leads.
    AnyLeader,
    /// `not …`: the negated expectation does not hold, although it can be evaluated.
    Not(Box<Expect>),
    /// `no-leader`
    NoLeader,
    /// `leader-of nX nY|none`: the leader that nX follows.
    LeaderOf(NodeId, Option<NodeId>),
    /// `role nX WORD`
    Role(NodeId, RoleName),
    /// `term nX N`
    Term(NodeId, Wanted),
    /// `vote nX nY|none`
    Vote(NodeId, Option<NodeId>),
    /// `log nX T…`: terms of the entries after the snapshot.
    Log(NodeId, Vec<Term>),
    /// `last nX [>=|<=] N`
    Last(NodeId, Wanted),
    /// `first nX N`: first entry after the snapshot.
    First(NodeId, Wanted),
    /// `log-equal nX nY…`
    LogEqual(BTreeSet<NodeId>),
    /// `state-equal nX nY…`
    StateEqual(BTreeSet<NodeId>),
    /// `commit nX [>=|<=] N`
    Commit(NodeId, Wanted),
    /// `applied nX "…"…`
    Applied(NodeId, Vec<String>),
    /// `config nX voters … [outgoing …] [learners …]`
    Config {
        /// Node that reports its membership.
        node: NodeId,
        /// The (new) voters.
        voters: BTreeSet<NodeId>,
        /// The old voters of a joint configuration; empty outside one.
        outgoing: BTreeSet<NodeId>,
        /// The learners.
        learners: BTreeSet<NodeId>,
    },
    /// `contact nX nY "…"|none`: contact of nY in the newest membership of nX.
    Contact(NodeId, NodeId, Option<String>),
    /// `read NAME …`
    Read(String, Answer),
    /// `next nX nY N`: nextIndex of leader nX for nY.
    Next(NodeId, NodeId, Wanted),
    /// `match nX nY N`: matchIndex.
    Match(NodeId, NodeId, Wanted),
    /// `refused ["…"]`: the last propose, member, read or transfer was refused, for a reason that
    /// contains this text.
    Refused(Option<String>),
    /// `accepted`: the last propose, member, read or transfer was accepted.
    Accepted,
    /// `queued A->B [kind] N`
    Queued {
        /// Links of the messages.
        link: Link,
        /// Kind of the messages; `None` is any.
        kind: Option<KindName>,
        /// Number of messages.
        count: Wanted,
    },
    /// `alive nX`
    Alive(NodeId),
}

/// An expected number or bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// `N`
    Exactly(u64),
    /// `>= N`
    AtLeast(u64),
    /// `<= N`
    AtMost(u64),
}

/// Expected result of a read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The read was answered at this index.
    At(Wanted),
    /// `pending`: the read was accepted and not answered yet.
    Pending,
    /// `refused ["…"]`: the read was refused for a reason that contains this text.
    Refused(Option<String>),
}

impl Wanted {
    /// Returns whether `value` matches.
    pub fn holds(self, value: u64) -> bool {
        match self {
            Wanted::Exactly(wanted) => value == wanted,
            Wanted::AtLeast(least) => value >= least,
            Wanted::AtMost(most) => value <= most,
        }
    }
}
