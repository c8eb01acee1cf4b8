//! Parsed transcripts. `Display` of each part is the text that parses to it again.

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

/// A transcript: a cluster, its initial state, and steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Initial members.
    pub cluster: Cluster,
    /// Settings, in the order given; a later one overrides an earlier one of the same kind.
    pub options: Vec<Numbered<Setting>>,
    /// Initial contents of disks, in the order given; a later one overrides an earlier one.
    /// [`Script::beginning`] combines them.
    pub presets: Vec<Numbered<Preset>>,
    /// Steps, in order.
    pub steps: Vec<Numbered<Step>>,
    /// Machines that a `member … add|learner|join|witness|voters` names and `cluster` does not.
    /// They exist from the start, with an empty disk, and are not members yet.
    pub joiners: BTreeSet<NodeId>,
}

/// A statement and its line number.
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
    /// Number of voters, `n1` to `n{voters}`: 1 to [`Cluster::MAX_VOTERS`].
    pub voters: u64,
    /// Members that receive the log and do not vote.
    pub learners: BTreeSet<NodeId>,
    /// Voters that keep no state.
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
    /// `inflight N`: AppendEntries with entries in flight to one follower.
    Inflight(u64),
    /// `inflight-bytes N`
    InflightBytes(u64),
    /// `max-uncommitted N`: entries a leader holds uncommitted before it refuses proposals.
    MaxUncommitted(u64),
    /// `apply-window N`: entries delivered and not yet reported as applied.
    ApplyWindow(u64),
    /// `hash-every N`: entries from one state hash to the next; without it states are not
    /// compared.
    HashEvery(u64),
    /// `snapshot-keep N`: entries kept behind a snapshot for slow followers.
    SnapshotKeep(u64),
    /// `snapshot-entries N`: entries after which a node takes a snapshot by itself.
    SnapshotEntries(u64),
    /// `snapshot-bytes N`: bytes of entries after which a node takes a snapshot by itself.
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
        /// Node that gets the priority.
        node: NodeId,
        /// Priority; a node with a higher one campaigns sooner.
        priority: u64,
    },
    /// `disk-timeout D`: a write that takes longer counts as hung.
    DiskTimeout(Duration),
    /// `promote-after D`: how long a joining member must have kept up.
    PromoteAfter(Duration),
    /// `max-snapshot-bytes N`: the largest snapshot a node takes.
    MaxSnapshotBytes(u64),
    /// `snapshot-inflight N`: chunks of a snapshot in flight to one follower.
    SnapshotInflight(u64),
    /// `adaptive A..B`: on, with this floor and this ceiling.
    AdaptiveWithin {
        /// Lower bound of the election timeout.
        floor: Duration,
        /// Upper bound of the election timeout.
        ceiling: Duration,
    },
    /// `replace-incarnations on|off`: members that lost their disk rejoin by themselves.
    ReplaceIncarnations(bool),
    /// `founders-agree on|off`: whether the founders agree on their incarnations first.
    FoundersAgree(bool),
    /// `max-log-bytes N`: bytes of entries beyond the snapshot at which a log is full.
    MaxLogBytes(u64),
    /// `seed N`: seed of the cluster's RNG.
    Seed(u64),
}

/// One preset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preset {
    /// Owner of the disk; `None` is `*`, every node of the cluster.
    pub node: Option<NodeId>,
    /// Contents.
    pub what: OnDisk,
}

/// Contents that one preset puts on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnDisk {
    /// `log`: terms of the entries from index 1; they never decrease.
    Log(Vec<Term>),
    /// `term`
    Term(Term),
    /// `vote`: vote in the initial term.
    Vote(Option<NodeId>),
    /// `entry`: one more entry after those of `log`, with this command.
    Entry(Term, String),
    /// `commit`: initial commit index.
    Commit(Index),
}

/// Initial state of one node: all its presets combined.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Beginning {
    /// Terms of the entries.
    pub log: Vec<Term>,
    /// Commands of the `entry` presets, by index.
    pub commands: BTreeMap<u64, String>,
    /// Term: as preset, but at least that of the last entry.
    pub term: Term,
    /// Vote in that term.
    pub vote: Option<NodeId>,
    /// Commit index.
    pub commit: Index,
}

impl Script {
    /// Default election timeouts.
    pub const ELECTION: (Duration, Duration) =
        (Duration::from_millis(150), Duration::from_millis(300));
    /// Default time between heartbeats.
    pub const HEARTBEAT: Duration = Duration::from_millis(50);

    /// Returns every machine of the transcript: voters, learners and joiners, in order.
    pub fn machines(&self) -> BTreeSet<NodeId> {
        self.cluster
            .members()
            .chain(self.joiners.iter().copied())
            .collect()
    }

    /// Returns the initial state of a node's disk; its term is at least that of the last entry.
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

    /// Returns the election timeouts and the heartbeat with all options applied.
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

    /// Returns the voters, then the learners.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        (1..=self.voters)
            .map(NodeId)
            .chain(self.learners.iter().copied())
    }
}

impl Setting {
    /// Returns whether the setting changes election timeouts or heartbeats.
    pub(super) fn is_timing(&self) -> bool {
        matches!(self, Setting::Election { .. } | Setting::Heartbeat(_))
    }
}
