//! What a transcript looks for.

use std::collections::BTreeSet;

use raftian_raft::{NodeId, Term};

use super::{KindName, Link, RoleName};

/// What `expect` looks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// `leader nX`
    Leader(NodeId),
    /// `leader`: some node leads.
    AnyLeader,
    /// `not …`: the expectation behind it does not hold, though it can be looked at.
    Not(Box<Expect>),
    /// `no-leader`
    NoLeader,
    /// `leader-of nX nY|none`: whom nX believes.
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
        /// Whose.
        node: NodeId,
        /// The (new) voters.
        voters: BTreeSet<NodeId>,
        /// The old voters of a joint configuration; empty outside one.
        outgoing: BTreeSet<NodeId>,
        /// The learners.
        learners: BTreeSet<NodeId>,
    },
    /// `read NAME …`
    Read(String, Answer),
    /// `next nX nY N`: nextIndex of leader nX for nY.
    Next(NodeId, NodeId, Wanted),
    /// `match nX nY N`: matchIndex.
    Match(NodeId, NodeId, Wanted),
    /// `refused ["…"]`: the last propose, member, read or transfer, for a reason that holds these
    /// words.
    Refused(Option<String>),
    /// `accepted`: the same.
    Accepted,
    /// `queued A->B [kind] N`
    Queued {
        /// On which links.
        link: Link,
        /// Of which kind; `None` is any.
        kind: Option<KindName>,
        /// How many.
        count: Wanted,
    },
    /// `alive nX`
    Alive(NodeId),
}

/// A number, or a bound of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// `N`
    Exactly(u64),
    /// `>= N`
    AtLeast(u64),
    /// `<= N`
    AtMost(u64),
}

/// What became of a read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It was answered at this index.
    At(Wanted),
    /// `pending`: it was taken and not answered yet.
    Pending,
    /// `refused ["…"]`, for a reason that holds these words.
    Refused(Option<String>),
}

impl Wanted {
    /// Whether `value` is what is wanted.
    #[must_use]
    pub fn holds(self, value: u64) -> bool {
        match self {
            Wanted::Exactly(wanted) => value == wanted,
            Wanted::AtLeast(least) => value >= least,
            Wanted::AtMost(most) => value <= most,
        }
    }
}
