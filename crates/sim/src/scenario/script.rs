//! What a transcript says, as data. `Display` of each part is the text that parses to it again.

mod expect;
mod names;
mod print;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raftian_raft::{Index, NodeId, Term};

pub use expect::{Answer, Expect, Wanted};
pub use names::{KindName, RoleName};
pub use step::{Change, Link, Select, Step};

/// A transcript: a cluster, how it begins, and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Who is in it.
    pub cluster: Cluster,
    /// Settings, in the order given; of two for the same thing the later one counts.
    pub options: Vec<Numbered<Setting>>,
    /// What is on disks at the beginning, in the order given; the later one counts.
    /// [`Script::beginning`] sums them up.
    pub presets: Vec<Numbered<Preset>>,
    /// What happens, in order.
    pub steps: Vec<Numbered<Step>>,
    /// Machines that some `member … add|learner|join|voters` names and `cluster` does not: there
    /// from the beginning, with an empty disk, and members of nothing yet.
    pub joiners: BTreeSet<NodeId>,
}

/// A statement and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbered<T> {
    /// Line in the file, from 1.
    pub line: usize,
    /// The statement.
    pub what: T,
}

/// The `cluster` statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Line in the file, from 1.
    pub line: usize,
    /// How many voters: `n1` to `n{voters}`, 1 to [`Cluster::MAX_VOTERS`].
    pub voters: u64,
    /// Those that receive the log and do not vote.
    pub learners: BTreeSet<NodeId>,
    /// Those of the voters that vote and keep no state.
    pub witnesses: BTreeSet<NodeId>,
}

/// One `option`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `prevote on|off`
    PreVote(bool),
    /// `checkquorum on|off`
    CheckQuorum(bool),
    /// `lease on|off`: whether leases may answer reads.
    Lease(bool),
    /// `adaptive on|off`: election timeouts from measured round trips.
    Adaptive(bool),
    /// `max-append-entries N`
    MaxAppendEntries(u64),
    /// `inflight N`: AppendEntries with entries under way to one follower.
    Inflight(u64),
    /// `inflight-bytes N`
    InflightBytes(u64),
    /// `max-uncommitted N`: entries a leader holds uncommitted before it refuses proposals.
    MaxUncommitted(u64),
    /// `apply-window N`: entries handed out for applying and not yet reported.
    ApplyWindow(u64),
    /// `hash-every N`: entries from one hash of the states to the next; without it states are not
    /// compared.
    HashEvery(u64),
    /// `snapshot-keep N`: entries kept behind a snapshot for followers that are slow.
    SnapshotKeep(u64),
    /// `snapshot-entries N`: entries after which a node takes a snapshot by itself.
    SnapshotEntries(u64),
    /// `snapshot-bytes N`: bytes of entries after which it does.
    SnapshotBytes(u64),
    /// `snapshot-chunk N`: bytes of a snapshot in one message.
    SnapshotChunk(u64),
    /// `election A..B`
    Election {
        /// Shortest election timeout.
        shortest: Duration,
        /// Longest election timeout.
        longest: Duration,
    },
    /// `heartbeat D`
    Heartbeat(Duration),
    /// `priority nX N`
    Priority {
        /// Whose.
        node: NodeId,
        /// The higher, the sooner it stands.
        priority: u64,
    },
    /// `disk-timeout D`: a write that takes longer counts as hung.
    DiskTimeout(Duration),
    /// `promote-after D`: how long a joining member must have kept up.
    PromoteAfter(Duration),
    /// `max-snapshot-bytes N`: the largest snapshot a node takes.
    MaxSnapshotBytes(u64),
    /// `snapshot-inflight N`: chunks of a snapshot under way to one follower.
    SnapshotInflight(u64),
    /// `adaptive A..B`: on, with this floor and this ceiling.
    AdaptiveWithin {
        /// The floor.
        floor: Duration,
        /// The ceiling.
        ceiling: Duration,
    },
    /// `replace-incarnations on|off`: members whose disk was lost join again by themselves.
    ReplaceIncarnations(bool),
    /// `max-log-bytes N`: bytes of entries that no snapshot covers at which a log is full.
    MaxLogBytes(u64),
    /// `seed N`: of all rng of the cluster.
    Seed(u64),
}

/// One preset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preset {
    /// Whose disk; `None` is `*`, every node of the cluster.
    pub node: Option<NodeId>,
    /// What is on it.
    pub what: OnDisk,
}

/// What one preset puts on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnDisk {
    /// `log`: terms of the entries from 1; they never fall.
    Log(Vec<Term>),
    /// `term`
    Term(Term),
    /// `vote`: in the term the node begins in.
    Vote(Option<NodeId>),
    /// `entry`: one more entry behind those of `log`, with this command.
    Entry(Term, String),
    /// `commit`: what the node knows to be committed.
    Commit(Index),
}

/// All presets of one node, summed up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Beginning {
    /// Terms of its entries.
    pub log: Vec<Term>,
    /// Commands of some of them, by their index.
    pub commands: BTreeMap<u64, String>,
    /// Its term: as preset, and at least that of its last entry.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<NodeId>,
    /// Its commit index.
    pub commit: Index,
}

impl Script {
    /// Election timeouts unless an option says otherwise.
    pub const ELECTION: (Duration, Duration) =
        (Duration::from_millis(150), Duration::from_millis(300));
    /// Time between heartbeats unless an option says otherwise.
    pub const HEARTBEAT: Duration = Duration::from_millis(50);

    /// Every machine of the transcript: voters, learners and joiners, in order.
    #[must_use]
    pub fn machines(&self) -> BTreeSet<NodeId> {
        self.cluster
            .members()
            .chain(self.joiners.iter().copied())
            .collect()
    }

    /// What is on this node's disk at the beginning: a term is never below that of the last entry.
    #[must_use]
    pub fn beginning(&self, id: NodeId) -> Beginning {
        let mut sum = Beginning::default();
        if self.joiners.contains(&id) {
            return sum;
        }
        for preset in self.presets.iter().map(|preset| &preset.what) {
            if preset.node.is_some_and(|node| node != id) {
                continue;
            }
            match &preset.what {
                OnDisk::Log(terms) => {
                    sum.log.clone_from(terms);
                    sum.commands.clear();
                }
                OnDisk::Entry(term, command) => {
                    sum.log.push(*term);
                    sum.commands.insert(sum.log.len() as u64, command.clone());
                }
                OnDisk::Term(term) => sum.term = *term,
                OnDisk::Vote(vote) => sum.vote = *vote,
                OnDisk::Commit(index) => sum.commit = *index,
            }
        }
        sum.term = sum.term.max(sum.log.last().copied().unwrap_or_default());
        sum
    }

    /// Election timeouts and heartbeat with all options applied.
    #[must_use]
    pub fn timing(&self) -> ((Duration, Duration), Duration) {
        let mut timing = (Self::ELECTION, Self::HEARTBEAT);
        for option in &self.options {
            match option.what {
                Setting::Election { shortest, longest } => timing.0 = (shortest, longest),
                Setting::Heartbeat(every) => timing.1 = every,
                _ => {}
            }
        }
        timing
    }
}

impl Cluster {
    /// Most voters of a transcript.
    pub const MAX_VOTERS: u64 = 64;

    /// Voters and learners, in order of their kind.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        (1..=self.voters)
            .map(NodeId)
            .chain(self.learners.iter().copied())
    }
}

impl Setting {
    /// Whether it changes election timeouts or heartbeats.
    pub(super) fn is_timing(&self) -> bool {
        matches!(self, Setting::Election { .. } | Setting::Heartbeat(_))
    }
}
