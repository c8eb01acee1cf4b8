//! What a transcript looks for.

use std::collections::BTreeSet;

use raftian_raft::{Index, NodeId, Term};

use super::{KindName, Link, RoleName};

/// What `expect` looks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// `leader nX`
    Leader(NodeId),
    /// `no-leader`
    NoLeader,
    /// `leader-of nX nY|none`: whom nX believes.
    LeaderOf(NodeId, Option<NodeId>),
    /// `role nX WORD`
    Role(NodeId, RoleName),
    /// `term nX N`
    Term(NodeId, Term),
    /// `vote nX nY|none`
    Vote(NodeId, Option<NodeId>),
    /// `log nX T…`: terms of the entries after the snapshot.
    Log(NodeId, Vec<Term>),
    /// `last nX N`
    Last(NodeId, Index),
    /// `first nX N`: first entry after the snapshot.
    First(NodeId, Index),
    /// `log-equal nX nY…`
    LogEqual(BTreeSet<NodeId>),
    /// `state-equal nX nY…`
    StateEqual(BTreeSet<NodeId>),
    /// `commit nX [>=] N`
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
    Next(NodeId, NodeId, Index),
    /// `match nX nY N`: matchIndex.
    Match(NodeId, NodeId, Index),
    /// `refused`: the last propose, member, read or transfer.
    Refused,
    /// `accepted`: the same.
    Accepted,
    /// `queued A->B [kind] N`
    Queued {
        /// On which links.
        link: Link,
        /// Of which kind; `None` is any.
        kind: Option<KindName>,
        /// How many, exactly.
        count: u64,
    },
    /// `alive nX`
    Alive(NodeId),
}

/// A number, or a lower bound of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// `N`
    Exactly(u64),
    /// `>= N`
    AtLeast(u64),
}

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It was answered at this index.
    At(Wanted),
    /// `pending`: it was taken and not answered yet.
    Pending,
    /// `refused`
    Refused,
}

impl Wanted {
    /// Whether `value` is what is wanted.
    #[must_use]
    pub fn holds(self, value: u64) -> bool {
        match self {
            Wanted::Exactly(wanted) => value == wanted,
            Wanted::AtLeast(least) => value >= least,
        }
    }
}
