//! What can happen next.

use raftian_raft::{Index, NodeId, RoleKind};

use crate::bounds::{Beginning, Time};
use crate::cluster::{Cluster, World};
use crate::host::Host;
use crate::network::Wire;

/// One event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    /// The election timer fires.
    Campaign(NodeId),
    /// The message at this place arrives.
    Deliver(usize),
    /// The leader takes a command.
    Propose(NodeId),
    /// The leader's heartbeat is due.
    Heartbeat(NodeId),
    /// The oldest write under way is done.
    Write(NodeId),
    /// A crash, with the oldest so many writes under way done, and the restart: a node that is down
    /// does nothing in between, so nothing is lost by taking both for one event.
    Crash(NodeId, usize),
    /// The disk is lost. Who comes back under its name is another life of the member.
    Wipe(NodeId),
    /// The node takes a snapshot of all it has applied, and drops the log behind it.
    Snapshot(NodeId),
    /// The leader takes the next change of the members.
    Change(NodeId),
    /// A read.
    Read(NodeId),
    /// The leader hands over.
    TransferLeadership(NodeId, NodeId),
    /// Time passes, for one or for all.
    Tick(Option<NodeId>),
}

/// How often what has happened, as far as that is bounded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) campaigns: u8,
    pub(crate) proposals: u8,
    pub(crate) heartbeats: u8,
    pub(crate) crashes: u8,
    pub(crate) wipes: u8,
    pub(crate) snapshots: u8,
    pub(crate) changes: u8,
    pub(crate) reads: u8,
    pub(crate) transfers: u8,
    pub(crate) ticks: u8,
}

impl Spent {
    pub(crate) fn spend(&mut self, action: Action) {
        let count = match action {
            Action::Campaign(_) => &mut self.campaigns,
            Action::Propose(_) => &mut self.proposals,
            Action::Heartbeat(_) => &mut self.heartbeats,
            Action::Crash(..) => &mut self.crashes,
            Action::Wipe(_) => &mut self.wipes,
            Action::Snapshot(_) => &mut self.snapshots,
            Action::Change(_) => &mut self.changes,
            Action::Read(_) => &mut self.reads,
            Action::TransferLeadership(..) => &mut self.transfers,
            Action::Tick(_) => &mut self.ticks,
            Action::Deliver(_) | Action::Write(_) => return,
        };
        *count = count.saturating_add(1);
    }
}

/// Everything that can happen in `world`.
pub(crate) fn possible(cluster: &Cluster, world: &World, actions: &mut Vec<Action>) {
    let (bounds, spent) = (&cluster.bounds, &world.spent);
    let turn = next_to_begin(cluster, world);
    let arrives = |place: &usize| world.network.get(*place).to.0 <= turn;
    actions.extend(
        (0..world.network.len())
            .filter(arrives)
            .map(Action::Deliver),
    );
    for host in world.hosts.iter().filter(|host| host.id().0 <= turn) {
        let id = host.id();
        let leads = host.node.role() == RoleKind::Leader;
        let mut may = |spent: u8, bound: u8, action| {
            if spent < bound {
                actions.push(action);
            }
        };
        if leads {
            may(spent.proposals, bounds.proposals, Action::Propose(id));
            may(spent.heartbeats, bounds.heartbeats, Action::Heartbeat(id));
            may(
                spent.changes,
                (bounds.changes)().len() as u8,
                Action::Change(id),
            );
            for to in world
                .hosts
                .iter()
                .map(|host| host.id())
                .filter(|to| *to != id)
            {
                may(
                    spent.transfers,
                    bounds.transfers,
                    Action::TransferLeadership(id, to),
                );
            }
        } else if host.node.term().0 < bounds.terms && cluster.may_stand(host) {
            may(spent.campaigns, bounds.campaigns, Action::Campaign(id));
        }
        // A follower gives up a question to its leader by its clock, which then does not tell its
        // election timer's age.
        if leads || bounds.time == Time::Still {
            may(spent.reads, bounds.reads, Action::Read(id));
        }
        if host.node.applied() > host.node.log_start().position.index {
            may(spent.snapshots, bounds.snapshots, Action::Snapshot(id));
        }
        if did_something(host) {
            may(spent.wipes, bounds.wipes, Action::Wipe(id));
            for kept in 0..=host.writes_pending() {
                may(spent.crashes, bounds.crashes, Action::Crash(id, kept));
            }
        }
        may(0, u8::from(host.writes_pending() > 0), Action::Write(id));
        if bounds.time == Time::Apart {
            may(spent.ticks, bounds.ticks, Action::Tick(Some(id)));
        }
    }
    if bounds.time == Time::Together && spent.ticks < bounds.ticks {
        actions.push(Action::Tick(None));
    }
}

/// A node that never did anything is the same after a crash.
fn did_something(host: &Host) -> bool {
    host.node.term().0 > 0 || host.node.last().index > Index(0)
}

/// The last node to which something may happen now. Nodes to which nothing has happened are alike,
/// and so is what was sent to them, as long as the wire loses nothing of it. So the one with the
/// lowest number may be the first of them: whatever else could have happened is the same under
/// other names.
fn next_to_begin(cluster: &Cluster, world: &World) -> u64 {
    let begun = world.hosts.iter().filter(|host| !host.idle).count() as u64;
    let all_begin_alike =
        matches!(cluster.bounds.beginning, Beginning::Empty) && cluster.bounds.all_vote();
    if all_begin_alike && (begun == 0 || cluster.bounds.wire == Wire::Remembers) {
        begun + 1
    } else {
        u64::MAX
    }
}
