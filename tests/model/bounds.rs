//! What may happen in one configuration, and how often.

use raftian_raft::{Change, Config, Membership, Message, NodeId, Restored};

use crate::host::Disk;
use crate::network::Wire;
use crate::plant::Plant;

/// How a cluster begins.
#[derive(Clone, Copy)]
pub(crate) enum Beginning {
    /// With empty disks. All nodes are alike then, so it is no loss that n1 is always the first to
    /// stand.
    Empty,
    /// n1 leads term 1, its first entry is committed and applied everywhere, and nothing is on its
    /// way.
    Led,
    /// With these disks, of n1 and so on.
    Disks(fn(Option<Plant>) -> Vec<Restored>),
}

/// Whose time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Time {
    /// Nobody's. Elections begin and heartbeats leave when an event says so.
    Still,
    /// Each node's own, one at a time and in whatever order: clocks say nothing about each other.
    Apart,
    /// Everybody's at once: all clocks run at one rate.
    Together,
}

/// The bounds of one configuration. The model is explored completely within them.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) members: Membership,
    /// Machines that are there without being members.
    pub(crate) outsiders: u64,
    pub(crate) beginning: Beginning,
    pub(crate) disk: Disk,
    pub(crate) wire: Wire,
    /// What the wire carries; everything else is lost as soon as it is sent, as any wire may lose
    /// it.
    pub(crate) carries: fn(&Message) -> bool,
    pub(crate) time: Time,
    /// No node stands for election in a later term.
    pub(crate) terms: u64,
    pub(crate) campaigns: u8,
    pub(crate) proposals: u8,
    pub(crate) heartbeats: u8,
    pub(crate) crashes: u8,
    pub(crate) wipes: u8,
    pub(crate) snapshots: u8,
    pub(crate) reads: u8,
    pub(crate) transfers: u8,
    /// Times that time passes, if it does.
    pub(crate) ticks: u8,
    /// Changes of the members, asked for in this order.
    pub(crate) changes: fn() -> Vec<Change>,
    /// Settings beyond those of the model.
    pub(crate) configure: fn(&mut Config),
}

impl Bounds {
    /// So many voters, nothing that may happen but elections.
    pub(crate) fn voters(voters: u64) -> Self {
        Self::members(Membership::new((1..=voters).map(NodeId)).expect("there are voters"))
    }

    /// These bounds with each of them one larger, and its name.
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
            "messages on their way",
            Bounds {
                wire,
                ..self.clone()
            },
        ));
        larger
    }

    /// Whether every machine is a voter that may lead.
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
