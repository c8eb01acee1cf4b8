//! Steps of a transcript.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{ClientId, Index, NodeId};

use super::{Expect, KindName};

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// `campaign nX`
    Campaign(NodeId),
    /// `tick nX`
    Tick(NodeId),
    /// `advance D`
    Advance(Duration),
    /// `deliver` alone: delivers until nothing is queued.
    DeliverAll,
    /// `deliver A->B …`: delivers the messages that match now.
    Deliver(Select),
    /// `drop`; alone it drops everything.
    Drop(Select),
    /// `dup … [later NAME]`
    Dup {
        /// Messages to copy.
        select: Select,
        /// Name under which the copies are kept; `None` appends them to the queue.
        later: Option<String>,
    },
    /// `replay NAME`
    Replay(String),
    /// `partition [only] a b | c d`: cuts the links between groups. A node in no group is alone.
    /// With `only` all earlier cuts are mended first.
    Partition {
        /// Groups of connected nodes.
        groups: Vec<BTreeSet<NodeId>>,
        /// Whether earlier cuts are mended first.
        only: bool,
    },
    /// `delay A->B D`: messages of these links take that long where time passes.
    Delay {
        /// Delayed links.
        link: Link,
        /// Latency.
        by: Duration,
    },
    /// `clock nX N%`: sets the rate of this node's clock from now on.
    Clock {
        /// Node with this clock.
        node: NodeId,
        /// Percent of the true rate, 1 to 1,000.
        percent: u64,
    },
    /// `pause nX`: the node stalls; incoming messages wait.
    Pause(NodeId),
    /// `resume nX`
    Resume(NodeId),
    /// `fail-disk nX`: the next write fails.
    FailDisk(NodeId),
    /// `fill-disk nX`
    FillDisk(NodeId),
    /// `free-disk nX`
    FreeDisk(NodeId),
    /// `tear nX`: the node crashes in the middle of a write.
    Tear(NodeId),
    /// `copy-disk nX as NAME`
    CopyDisk {
        /// Owner of the disk.
        node: NodeId,
        /// Name of the copy.
        name: String,
    },
    /// `put-back nX NAME`: replaces the disk by an old copy, including its rollback guard, and
    /// starts the node from it.
    PutBack {
        /// Owner of the disk.
        node: NodeId,
        /// Name of the copy.
        name: String,
    },
    /// `cut A->B`
    Cut(Link),
    /// `isolate nX`
    Isolate(NodeId),
    /// `heal`
    Heal,
    /// `propose nX [as cY#Z] "…"`
    Propose {
        /// Node that receives the proposal.
        node: NodeId,
        /// Client and sequence number; without them the command is unique.
        name: Option<(ClientId, u64)>,
        /// Command.
        command: String,
    },
    /// `read nX as NAME`, `lease-read nX as NAME`
    Read {
        /// Node that receives the read.
        node: NodeId,
        /// Name of the answer. A repeated name refers to the newest read of that name.
        name: String,
        /// Whether the leader's lease may answer it.
        lease: bool,
    },
    /// `transfer nX [nY]`
    Transfer {
        /// Leader.
        from: NodeId,
        /// Successor; `None` leaves the choice to the leader.
        to: Option<NodeId>,
    },
    /// `member nX …`
    Member {
        /// Node that receives the request.
        node: NodeId,
        /// Requested change.
        change: Change,
    },
    /// `compact nX N`: takes a snapshot at the applied index and drops entries up to this one.
    Compact {
        /// Node that takes the snapshot.
        node: NodeId,
        /// Last entry dropped.
        up_to: Index,
    },
    /// `crash nX`
    Crash(NodeId),
    /// `restart nX`
    Restart(NodeId),
    /// `wipe nX`
    Wipe(NodeId),
    /// `astray nX`: the node's state diverges from the log.
    Astray(NodeId),
    /// `hold-disk nX`
    HoldDisk(NodeId),
    /// `release-disk nX [COUNT]`: with a count only that many writes complete, and the disk stays
    /// held.
    ReleaseDisk {
        /// Owner of the disk.
        node: NodeId,
        /// Number of writes; `None` is all of them and all later ones.
        count: Option<u64>,
    },
    /// `stabilize`
    Stabilize,
    /// `run D`: time passes, and everything is delivered at once.
    Run(Duration),
    /// `settle D`
    Settle(Duration),
    /// `until … within D`: time passes and everything is delivered until the expectation holds; an
    /// error if it does not hold in time.
    Until {
        /// Expectation to wait for.
        expect: Expect,
        /// Longest time to wait.
        within: Duration,
    },
    /// `expect …`
    Expect(Expect),
}

/// A change of the membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// `add nX`: one more voter.
    Add(NodeId),
    /// `join nX`: a learner that becomes a voter once it has kept up.
    Join(NodeId),
    /// `learner nX`: a learner that stays one.
    Learner(NodeId),
    /// `witness nX`: one more voter, that keeps no state.
    Witness(NodeId),
    /// `remove nX`
    Remove(NodeId),
    /// `voters … [learners …]`: exactly these from now on.
    Voters {
        /// Voters, at least one.
        voters: BTreeSet<NodeId>,
        /// Learners.
        learners: BTreeSet<NodeId>,
    },
    /// `contact nX "…"`: records the contact of a member.
    Contact(NodeId, String),
}

/// Selection of messages: `A->B [kind] [N]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Select {
    /// Links of the messages.
    pub link: Link,
    /// Kind of the messages; `None` is any.
    pub kind: Option<KindName>,
    /// Most messages selected, oldest first; `None` is all.
    pub most: Option<u64>,
}

/// One direction between two nodes, or several: `None` is `*`, any node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Sender.
    pub from: Option<NodeId>,
    /// Receiver.
    pub to: Option<NodeId>,
}

impl Link {
    /// Returns whether a message from `from` to `to` is on this link.
    pub fn covers(&self, from: NodeId, to: NodeId) -> bool {
        self.from.is_none_or(|own| own == from) && self.to.is_none_or(|own| own == to)
    }
}
