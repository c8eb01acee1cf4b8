//! Bounds of one configuration: the events it allows, and how many of each.

use raftian_raft::{Change, Config, Membership, Message, NodeId, Restored};

use crate::host::Disk;
use crate::injected_bug::InjectedBug;
use crate::network::Wire;

/// Initial state of a cluster.
#[derive(Clone, Copy)]
pub(crate) enum Beginning {
    /// Empty disks. All nodes are interchangeable, so n1 may always be the first to stand without
    /// loss of generality.
    Empty,
    /// n1 leads term 1, its first entry is committed and applied everywhere, and no message is in
    /// flight.
    Led,
    /// These disks, in the order of the ids.
    Disks(fn(Option<InjectedBug>) -> Vec<Restored>),
}

/// How time is modelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Time {
    /// Not at all: elections and heartbeats start by events.
    Still,
    /// One clock per node: clocks advance independently, one at a time and in any order.
    Apart,
    /// Synchronized: all clocks advance at once, at one rate.
    Together,
}

/// The bounds of one configuration. The model is explored completely within them.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) members: Membership,
    /// Machines that are not members.
    pub(crate) outsiders: u64,
    pub(crate) beginning: Beginning,
    pub(crate) disk: Disk,
    pub(crate) wire: Wire,
    /// Messages that the wire carries; all others are lost when sent, as on any lossy network.
    pub(crate) carries: fn(&Message) -> bool,
    pub(crate) time: Time,
    /// Last term in which a node may stand for election.
    pub(crate) terms: u64,
    pub(crate) campaigns: u8,
    pub(crate) proposals: u8,
    pub(crate) heartbeats: u8,
    pub(crate) crashes: u8,
    pub(crate) wipes: u8,
    pub(crate) snapshots: u8,
    pub(crate) reads: u8,
    pub(crate) transfers: u8,
    /// Number of ticks, if time is modelled.
    pub(crate) ticks: u8,
    /// Membership changes, requested in this order.
    pub(crate) changes: fn() -> Vec<Change>,
    /// Changes to the model's node configuration.
    pub(crate) configure: fn(&mut Config),
}

impl Bounds {
    /// A cluster of `voters` voters in which only elections may happen.
    pub(crate) fn voters(voters: u64) -> Self {
        Self::members(Membership::new((1..=voters).map(NodeId)).expect("there are voters"))
    }

    /// Copies of these bounds, each with one bound raised by one, and the name of that bound.
    pub(crate) fn one_more_of_each(&self) -> Vec<(&'static str, Bounds)> {
        let mut larger = Vec::new();
        let mut one = |name, change: fn(&mut Bounds)| {
            let mut bounds = self.clone();
            change(&mut bounds);
            larger.push((name, bounds));
        };
        one("terms", |bounds| bounds.terms += 1);
        one("campaigns", |bounds| {
            bounds.campaigns = bounds.campaigns.saturating_add(1)
        });
        one("proposals", |bounds| bounds.proposals += 1);
        one("heartbeats", |bounds| bounds.heartbeats += 1);
        one("crashes", |bounds| bounds.crashes += 1);
        one("wipes", |bounds| bounds.wipes += 1);
        one("snapshots", |bounds| bounds.snapshots += 1);
        one("reads", |bounds| bounds.reads += 1);
        one("leadership transfers", |bounds| bounds.transfers += 1);
        one("ticks", |bounds| bounds.ticks += 1);
        let wire = match self.wire {
            Wire::Remembers => return larger,
            Wire::Holds(most) => Wire::Holds(most + 1),
            Wire::Repeats(most) => Wire::Repeats(most + 1),
        };
        larger.push((
            "messages in flight",
            Bounds {
                wire,
                ..self.clone()
            },
        ));
        larger
    }

    /// Whether every machine is a voter that may lead, so that the machines are interchangeable.
    pub(crate) fn all_vote(&self) -> bool {
        self.outsiders == 0 && self.members.members().all(|(_, member)| member.may_lead())
    }

    pub(crate) fn members(members: Membership) -> Self {
        Bounds {
            members,
            outsiders: 0,
            beginning: Beginning::Empty,
            disk: Disk::Prompt,
            wire: Wire::Remembers,
            carries: |_| true,
            time: Time::Still,
            terms: 2,
            campaigns: u8::MAX,
            proposals: 0,
            heartbeats: 0,
            crashes: 0,
            wipes: 0,
            snapshots: 0,
            reads: 0,
            transfers: 0,
            ticks: 0,
            changes: Vec::new,
            configure: |_| {},
        }
    }
}
