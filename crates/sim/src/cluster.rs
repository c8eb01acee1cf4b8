//! A deterministic cluster: shipping nodes on simulated links, disks and time.
//!
//! No time passes and no message moves unless the caller says so. Writes complete at once unless
//! the disk is held. All properties of [`crate::invariants`] are checked after every step; the
//! first violation panics with the last lines of the trace, or is kept for
//! [`Simulation::violation`] if the setup is lenient.

mod faults;
mod host;
mod links;
mod replay;
mod setup;
mod state;
mod step;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use raftian_raft::{
    Change, ClientId, Command, Index, Moment, Node, NodeId, ReadId, RefusalReason, RequestError,
    RoleKind,
};

use crate::counters::Counters;
use crate::disk::DiskStore;
use crate::invariants::{Invariants, Violation};
use host::SimDriver;
use links::Links;
use replay::CommittedLog;
use trace::{Line, Trace};

pub use host::{Host, Recording};
pub use links::{Envelope, Kind};
pub use raftian_node::driver::Recorded;
pub use setup::Setup;

/// A cluster in a world of its own.
pub struct Simulation {
    setup: Setup,
    now: Moment,
    hosts: BTreeMap<NodeId, Host>,
    links: Links,
    invariants: Invariants,
    committed: CommittedLog,
    violation: Option<Violation>,
    trace: Trace,
    tally: Counters,
    /// What happened so far, in one number: two runs that do the same have the same.
    digest: u64,
    steps: u64,
}

/// A cluster did not come to rest in time. `Display` says where each node was.
#[derive(Debug)]
pub struct Unsettled(String);

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsettled {}

impl Simulation {
    /// Most messages that one call delivers: a cluster that talks on without time passing is
    /// broken, and this tells.
    pub const MAX_DELIVERIES: usize = 100_000;

    /// A cluster whose nodes have just started from the disks of `setup`.
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        let images = setup.images.clone();
        let mut hosts = BTreeMap::new();
        for (id, image) in images {
            // No two clocks agree: moments of different nodes are never compared.
            let ahead = id.0.wrapping_mul(7_777_777_777) % 1_000_000_000_000;
            let disk = if setup.real_store {
                DiskStore::on_disk(id, image)
            } else {
                DiskStore::in_memory(image)
            };
            hosts.insert(id, Host::new(setup.config(id, 0), disk, ahead));
        }
        let trace = Trace::new(std::mem::take(&mut setup.trace));
        let mut simulation = Simulation {
            setup,
            now: Moment(0),
            hosts,
            links: Links::default(),
            invariants: Invariants::default(),
            committed: CommittedLog::default(),
            violation: None,
            trace,
            tally: Counters::default(),
            digest: 0,
            steps: 0,
        };
        for id in simulation.ids().collect::<Vec<_>>() {
            simulation.start(id);
        }
        simulation
    }

    /// The nodes, in order of their ids.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.hosts.keys().copied().collect::<Vec<_>>().into_iter()
    }

    /// The simulation's time, from 0.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// One machine. Panics if there is none of this id.
    #[must_use]
    pub fn host(&self, id: NodeId) -> &Host {
        self.hosts.get(&id).expect("the cluster has this machine")
    }

    /// All machines, in order of their ids.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The node of a running machine. Panics if the machine is down.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.host(id).node().expect("the machine runs")
    }

    /// Whether the machine runs.
    #[must_use]
    pub fn is_up(&self, id: NodeId) -> bool {
        self.host(id).node().is_some()
    }

    /// The running nodes that lead some term, in order of their ids. A cut-off leader may be among
    /// them.
    #[must_use]
    pub fn leaders(&self) -> Vec<NodeId> {
        let nodes = self.hosts.values().filter_map(Host::node);
        nodes
            .filter(|node| node.role() == RoleKind::Leader)
            .map(Node::id)
            .collect()
    }

    /// Messages on their way, oldest first.
    pub fn queued(&self) -> impl ExactSizeIterator<Item = &Envelope> + '_ {
        self.links.queue().iter()
    }

    /// The first violation seen, if the setup is lenient.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// How often what was decided, over all nodes.
    #[must_use]
    pub fn tally(&self) -> &Counters {
        &self.tally
    }

    /// How many messages arrived, and how often a node was given something to do.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Loses the message at this place of the queue.
    pub fn drop_at(&mut self, place: usize) {
        if let Some(envelope) = self.links.take_at(place) {
            self.trace.push(self.now, Line::Lost(envelope));
        }
    }

    /// What happened so far, in one number: two runs that did the same have the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The last things that happened, one a line.
    #[must_use]
    pub fn trace(&self) -> String {
        self.trace.to_string()
    }

    /// Proposes a command at a node. Acceptance says only that it was appended or forwarded.
    ///
    /// # Errors
    /// The node's reason for not taking it.
    pub fn propose(
        &mut self,
        at: NodeId,
        client: u64,
        sequence: u64,
        bytes: &[u8],
    ) -> Result<(), RefusalReason> {
        let command = Command {
            client: ClientId(client),
            sequence,
            bytes: bytes.into(),
        };
        let before = self.host(at).refused.len();
        self.input(at, |driver| driver.propose(vec![command]));
        self.host(at)
            .refused
            .get(before)
            .map_or(Ok(()), |refused| Err(refused.reason))
    }

    /// The node's election timer fires now.
    pub fn campaign(&mut self, id: NodeId) {
        self.input(id, |driver| driver.campaign());
    }

    /// The node hands leadership over.
    ///
    /// # Errors
    /// The node's reason for not beginning to.
    pub fn transfer_leadership(
        &mut self,
        id: NodeId,
        to: Option<NodeId>,
    ) -> Result<(), RequestError> {
        self.order(id, |driver| driver.transfer_leadership(to))
    }

    /// The node changes the members.
    ///
    /// # Errors
    /// The node's reason for not appending the change.
    pub fn change_membership(&mut self, id: NodeId, change: Change) -> Result<(), RequestError> {
        self.order(id, |driver| driver.change_membership(change))
    }

    fn order(
        &mut self,
        id: NodeId,
        order: impl FnOnce(&mut SimDriver),
    ) -> Result<(), RequestError> {
        let before = self.host(id).request_results.len();
        self.input(id, order);
        // A node that stopped over it has told so.
        self.host(id)
            .request_results
            .get(before)
            .copied()
            .unwrap_or(Ok(()))
    }

    /// A read at a node; the answer comes to [`Host::reads`]. Its id must be new.
    pub fn read(&mut self, id: NodeId, read: ReadId, lease: bool) {
        self.invariants.reads_see_commits.asked(read);
        let now = self.host(id).clock(self.now);
        self.input(id, |driver| driver.read(now, read, lease));
    }

    /// The node's program takes a snapshot of what it has applied; the log is dropped up to
    /// `compact_to`, or as the settings say.
    pub fn compact(&mut self, id: NodeId, compact_to: Option<Index>) {
        self.take_snapshot(id, compact_to);
        if self.is_up(id) {
            self.input(id, |_| {});
        }
    }

    /// This node's next timer fires, whichever it is: its clock jumps there, no other clock moves.
    pub fn tick(&mut self, id: NodeId) {
        let now = self.now;
        let host = self.host_mut(id);
        host.ahead += host.wake_at().map_or(0, |at| at.0.saturating_sub(now.0));
        self.input(id, |_| {});
    }

    /// Time passes for all; due timers fire, each exactly when it is due; nothing is delivered.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now.after(by);
        while let Some((at, id)) = self.next_wake()
            && at <= end
        {
            self.wake(at, id);
        }
        self.now = end;
    }

    /// Delivers what matches now, oldest first, each once; what that causes stays queued. Gives
    /// back how many.
    pub fn deliver(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let taken = self.links.take(matches);
        let count = taken.len();
        for envelope in taken {
            self.hand_in(envelope);
        }
        count
    }

    /// Delivers the oldest message that matches. False if none does.
    pub fn deliver_one(&mut self, matches: impl Fn(&Envelope) -> bool) -> bool {
        let place = self.links.queue().iter().position(matches);
        place.is_some_and(|place| self.deliver_at(place))
    }

    /// Delivers the message at this place of the queue. False if there is none.
    pub fn deliver_at(&mut self, place: usize) -> bool {
        let envelope = self.links.take_at(place);
        envelope.map(|envelope| self.hand_in(envelope)).is_some()
    }

    /// Delivers until nothing is due; no time passes, held disks stay held. Gives back how many.
    pub fn stabilize(&mut self) -> usize {
        for delivered in 0..Self::MAX_DELIVERIES {
            let Some(envelope) = self.links.take_due(self.now) else {
                return delivered;
            };
            self.hand_in(envelope);
        }
        self.violated(Violation::new(
            "quiet",
            "the nodes talk on without time passing",
        ));
        Self::MAX_DELIVERIES
    }

    /// Time passes for all and everything is delivered at once.
    pub fn run(&mut self, by: Duration) {
        let end = self.now.after(by);
        self.stabilize();
        while self.violation.is_none() && self.proceed(end) {}
        self.now = end;
    }

    /// Time passes to the next timer or message that is due, at most to `end`. False if there is
    /// none.
    fn proceed(&mut self, end: Moment) -> bool {
        match (self.next_wake(), self.links.next_due()) {
            (Some((at, id)), due) if at <= end && due.is_none_or(|due| at <= due) => {
                self.wake(at, id)
            }
            (_, Some(due)) if due <= end => self.now = self.now.max(due),
            _ => return false,
        }
        self.stabilize();
        true
    }

    /// From now on messages from `from` to `to` take `by`, where time passes and everything is
    /// delivered.
    pub fn delay(&mut self, from: NodeId, to: NodeId, by: Duration) {
        self.links.delay(from, to, by);
    }

    /// No link delays its messages any more.
    pub fn clear_delays(&mut self) {
        self.links.clear_delays();
    }

    /// Lets up to `up_to` of time pass and delivers everything at once, until the cluster is at
    /// rest as [`Simulation::settled`] says. Gives back the leader.
    ///
    /// # Errors
    /// If that did not happen in time.
    pub fn settle(&mut self, up_to: Duration) -> Result<NodeId, Unsettled> {
        self.settle_among(up_to, |_| true)
    }

    /// As [`Simulation::settle`], with no regard for other machines than these.
    ///
    /// # Errors
    /// If that did not happen in time.
    pub fn settle_among(
        &mut self,
        up_to: Duration,
        among: impl Fn(NodeId) -> bool,
    ) -> Result<NodeId, Unsettled> {
        let end = self.now.after(up_to);
        self.stabilize();
        loop {
            if let Some(leader) = self.settled_among(&among) {
                return Ok(leader);
            }
            if self.violation.is_some() || !self.proceed(end) {
                return Err(self.unsettled(up_to));
            }
        }
    }

    /// The leader, if the cluster is at rest: one member leads, and every member that runs has
    /// committed and applied its whole log, as far as the leader's.
    #[must_use]
    pub fn settled(&self) -> Option<NodeId> {
        self.settled_among(&|_| true)
    }

    fn settled_among(&self, among: &impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let members = |id: &NodeId, leader: &Node| {
            let member = leader.membership().member(*id).filter(|_| among(*id));
            member.is_some_and(|member| member.incarnation == self.host(*id).incarnation())
        };
        let leading: Vec<_> = self
            .leaders()
            .into_iter()
            .filter(|id| members(id, self.node(*id)))
            .collect();
        let [leader] = leading[..] else { return None };
        let leader = self.node(leader);
        let last = leader.last().index;
        let at_rest = |(id, host): (&NodeId, &Host)| {
            let rests = |node: &Node| {
                node.commit() == last && node.last().index == last && node.applied() == last
            };
            !members(id, leader) || host.node().is_none_or(rests)
        };
        self.hosts.iter().all(at_rest).then(|| leader.id())
    }

    fn unsettled(&self, up_to: Duration) -> Unsettled {
        let mut text = format!("no rest within {up_to:?}:");
        for (id, host) in &self.hosts {
            match host.node() {
                Some(node) => {
                    let leader = node
                        .leader()
                        .map_or("nobody".to_string(), |leader| leader.to_string());
                    let (role, term, last, commit) =
                        (node.role(), node.term(), node.last(), node.commit());
                    text += &format!(
                        "\n  {id} {role} {term}, follows {leader}, last {last}, commit {commit}"
                    );
                }
                None => text += &format!("\n  {id} is down"),
            }
        }
        Unsettled(format!("{text}\n{}", self.trace))
    }
}
