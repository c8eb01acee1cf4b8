//! What happens: one step of a transcript.

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
    /// `deliver` alone: until nothing is queued.
    DeliverAll,
    /// `deliver A->B …`: what matches now.
    Deliver(Select),
    /// `drop`, alone everything.
    Drop(Select),
    /// `dup … [later NAME]`
    Dup {
        /// What is copied.
        select: Select,
        /// Where the copies are kept aside; `None` puts them behind all other messages.
        later: Option<String>,
    },
    /// `replay NAME`
    Replay(String),
    /// `partition [only] a b | c d`: groups that hear each other. A node in none of them is alone.
    /// With `only` all earlier cuts are mended first.
    Partition {
        /// The groups.
        groups: Vec<BTreeSet<NodeId>>,
        /// Whether earlier cuts are mended.
        only: bool,
    },
    /// `delay A->B D`: messages of these links take that long where time passes.
    Delay {
        /// Which links.
        link: Link,
        /// How long.
        by: Duration,
    },
    /// `clock nX N%`: the clock of this node runs at this rate, of time that passes from now on.
    Clock {
        /// Whose.
        node: NodeId,
        /// Percent of the true rate, 1 to 1,000.
        percent: u64,
    },
    /// `pause nX`: it stands still; what arrives waits.
    Pause(NodeId),
    /// `resume nX`
    Resume(NodeId),
    /// `fail-disk nX`: its next write fails.
    FailDisk(NodeId),
    /// `fill-disk nX`
    FillDisk(NodeId),
    /// `free-disk nX`
    FreeDisk(NodeId),
    /// `tear nX`: it crashes in the middle of a write.
    Tear(NodeId),
    /// `copy-disk nX as NAME`
    CopyDisk {
        /// Whose.
        node: NodeId,
        /// How the copy is called.
        name: String,
    },
    /// `put-back nX NAME`: an old copy takes the place of its disk, its rollback guard included,
    /// and it starts from that.
    PutBack {
        /// Whose.
        node: NodeId,
        /// Which copy.
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
        /// Where.
        node: NodeId,
        /// Whose command and which; without it a command like no other.
        name: Option<(ClientId, u64)>,
        /// The command.
        command: String,
    },
    /// `read nX as NAME`, `lease-read nX as NAME`
    Read {
        /// Where.
        node: NodeId,
        /// How the answer is called. A name used again is the newest read of that name.
        name: String,
        /// Whether the leader's lease may answer it.
        lease: bool,
    },
    /// `transfer nX [nY]`
    Transfer {
        /// The leader.
        from: NodeId,
        /// Its successor; `None` leaves the choice to it.
        to: Option<NodeId>,
    },
    /// `member nX …`
    Member {
        /// Where the change is asked for.
        node: NodeId,
        /// The change.
        change: Change,
    },
    /// `compact nX N`: a snapshot at the applied index; entries up to this one are dropped.
    Compact {
        /// Where.
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
    /// `astray nX`: its state becomes something that does not follow from the log.
    Astray(NodeId),
    /// `hold-disk nX`
    HoldDisk(NodeId),
    /// `release-disk nX [COUNT]`: with a count only that many writes complete, and the disk stays
    /// held.
    ReleaseDisk {
        /// Whose.
        node: NodeId,
        /// How many writes; `None` is all of them and those to come.
        count: Option<u64>,
    },
    /// `stabilize`
    Stabilize,
    /// `run D`: so much time passes for all, and everything is delivered at once.
    Run(Duration),
    /// `settle D`
    Settle(Duration),
    /// `until … within D`: time passes and everything is delivered until it holds; an error if it
    /// does not in time.
    Until {
        /// What must come to hold.
        expect: Expect,
        /// Within which time.
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
    /// `voters … [learners …]`: from now on these and no others.
    Voters {
        /// The voters, at least one.
        voters: BTreeSet<NodeId>,
        /// The learners.
        learners: BTreeSet<NodeId>,
    },
}

/// Which messages: `A->B [kind] [N]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Select {
    /// On which links.
    pub link: Link,
    /// Of which kind; `None` is any.
    pub kind: Option<KindName>,
    /// At most this many, the oldest; `None` is all.
    pub most: Option<u64>,
}

/// One direction between two nodes, or several: `None` is `*`, any node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// The sender.
    pub from: Option<NodeId>,
    /// The receiver.
    pub to: Option<NodeId>,
}

impl Link {
    /// Whether a message from `from` to `to` is on it.
    #[must_use]
    pub fn covers(&self, from: NodeId, to: NodeId) -> bool {
        self.from.is_none_or(|own| own == from) && self.to.is_none_or(|own| own == to)
    }
}
