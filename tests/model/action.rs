//! Events of the model, and which of them are possible in a state.

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
    /// The message at this position of the network arrives.
    Deliver(usize),
    /// A command is proposed at the leader.
    Propose(NodeId),
    /// The leader's heartbeat is due.
    Heartbeat(NodeId),
    /// The oldest pending write completes.
    Write(NodeId),
    /// A crash and the restart, after the given number of pending writes reached the disk. A node
    /// that is down does nothing in between, so one event for both loses no generality.
    Crash(NodeId, usize),
    /// The disk is lost; the member restarts under its id as another incarnation.
    Wipe(NodeId),
    /// The node takes a snapshot of all applied entries and drops them from its log.
    Snapshot(NodeId),
    /// The next membership change is requested at the leader.
    Change(NodeId),
    /// A read is requested at the node.
    Read(NodeId),
    /// The first node transfers leadership to the second.
    TransferLeadership(NodeId, NodeId),
    /// One tick passes on one node's clock, or on all.
    Tick(Option<NodeId>),
}

/// Number of events of each bounded kind so far.
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

/// Adds every event that is possible in `world` to `actions`.
pub(crate) fn possible(cluster: &Cluster, world: &World, actions: &mut Vec<Action>) {
    let bounds = &cluster.bounds;
    let spent = &world.spent;
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
        // A follower abandons a read by its clock. With that timer running, `Clock` no longer shows
        // the age of the election timer, so with time only leaders read.
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

/// Whether a crash could change the node: one that never acted is the same afterwards.
fn did_something(host: &Host) -> bool {
    host.node.term().0 > 0 || host.node.last().index > Index(0)
}

/// The highest id to which an event may happen now (symmetry reduction). Nodes without any event so
/// far are interchangeable, and so are the messages to them as long as the wire loses none.
/// Therefore only the one with the lowest id may be next: every other choice is the same up to
/// renaming.
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
