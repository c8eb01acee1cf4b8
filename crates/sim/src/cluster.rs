//! A deterministic cluster: shipping nodes on simulated links, disks and time.
//!
//! No time passes and no message moves unless the caller requests it. Writes complete at once
//! unless the disk is held. All properties of [`crate::invariants`] are checked after every step;
//! the first violation panics with the last lines of the trace, or is kept for
//! [`Simulation::violation`] if the setup is lenient.

mod addresses;
mod faults;
mod game;
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

use crate::coverage::Counters;
use crate::disk::DiskStore;
use crate::invariants::{Invariants, Violation};
use addresses::Addresses;
use host::SimDriver;
use links::Links;
use replay::CommittedLog;
use trace::{Line, Trace};

pub use addresses::FIRST_PORT;
pub(crate) use game::{Game, GameOrder};
pub use host::{Host, Recording};
pub use links::{Envelope, Kind};
pub use raftian_node::driver::Recorded;
pub use setup::Setup;
pub(crate) use state::UPDATE_BYTES;

/// A simulated cluster with its own links, disks and time.
pub struct Simulation {
    setup: Setup,
    now: Moment,
    hosts: BTreeMap<NodeId, Host>,
    links: Links,
    addresses: Addresses,
    invariants: Invariants,
    committed: CommittedLog,
    violation: Option<Violation>,
    trace: Trace,
    counters: Counters,
    /// Hash of all events so far: equal runs have equal digests.
    digest: u64,
    steps: u64,
}

/// A cluster did not settle in time. `Display` lists the state of each node, then the last events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsettled {
    states: String,
    trace: String,
}

impl Unsettled {
    /// Returns the state of each node, one per line.
    pub fn states(&self) -> &str {
        &self.states
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.states, self.trace)
    }
}

impl std::error::Error for Unsettled {}

impl Simulation {
    /// Maximum number of messages that one call delivers. A cluster that exceeds it exchanges
    /// messages endlessly while no time passes, which is a violation.
    pub const MAX_DELIVERIES: usize = 100_000;

    /// Starts every node of a cluster from the disks of `setup`.
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
            addresses: Addresses::default(),
            invariants: Invariants::default(),
            committed: CommittedLog::default(),
            violation: None,
            trace,
            counters: Counters::default(),
            digest: 0,
            steps: 0,
        };
        for id in simulation.ids().collect::<Vec<_>>() {
            simulation.start(id);
        }
        simulation
    }

    /// Returns the nodes, ordered by id.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.hosts.keys().copied().collect::<Vec<_>>().into_iter()
    }

    /// Returns the simulation's time, which starts at 0.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns one machine. Panics if none has this id.
    pub fn host(&self, id: NodeId) -> &Host {
        self.hosts.get(&id).expect("the cluster has this machine")
    }

    /// Returns all machines, ordered by id.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// Returns the node of a running machine. Panics if the machine is down.
    pub fn node(&self, id: NodeId) -> &Node {
        self.host(id).node().expect("the machine runs")
    }

    /// Returns whether the machine runs.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.host(id).node().is_some()
    }

    /// Returns the running nodes that lead some term, ordered by id. They may include an isolated
    /// leader.
    pub fn leaders(&self) -> Vec<NodeId> {
        let nodes = self.hosts.values().filter_map(Host::node);
        nodes
            .filter(|node| node.role() == RoleKind::Leader)
            .map(Node::id)
            .collect()
    }

    /// Returns the messages in flight, oldest first.
    pub fn queued(&self) -> impl ExactSizeIterator<Item = &Envelope> + '_ {
        self.links.queue().iter()
    }

    /// Returns the first violation, if the setup is lenient.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Returns the counts of decisions over all nodes.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the number of inputs that nodes received, messages included.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Drops the message at this position of the queue.
    pub fn drop_at(&mut self, place: usize) {
        if let Some(envelope) = self.links.take_at(place) {
            self.trace.push(self.now, Line::Lost(envelope));
        }
    }

    /// Returns a hash of all events so far: equal runs have equal digests.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns the last events, one per line.
    pub fn trace(&self) -> String {
        self.trace.to_string()
    }

    /// Proposes a command at a node. `Ok` means only that it was appended or forwarded.
    ///
    /// # Errors
    /// The reason why the node refused it.
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
        self.invariants
            .commands_name_members
            .proposed(at, command.client, sequence);
        let before = self.host(at).refused.len();
        self.input(at, |driver| driver.propose(vec![command]));
        self.host(at)
            .refused
            .get(before)
            .map_or(Ok(()), |refused| Err(refused.reason))
    }

    /// Fires the node's election timer now.
    pub fn campaign(&mut self, id: NodeId) {
        self.input(id, |driver| driver.campaign());
    }

    /// Requests a leadership transfer from the node.
    ///
    /// # Errors
    /// The reason why the node did not begin it.
    pub fn transfer_leadership(
        &mut self,
        id: NodeId,
        to: Option<NodeId>,
    ) -> Result<(), RequestError> {
        self.order(id, |driver| driver.transfer_leadership(to))
    }

    /// Requests a membership change from the node.
    ///
    /// # Errors
    /// The reason why the node did not append the change.
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
        // A node that stopped over the request has no result; `Host::stopped` has the reason.
        self.host(id)
            .request_results
            .get(before)
            .copied()
            .unwrap_or(Ok(()))
    }

    /// Requests a read from a node; [`Host::reads`] receives the answer. The id must be new.
    pub fn read(&mut self, id: NodeId, read: ReadId, lease: bool) {
        self.invariants.reads_see_commits.asked(read);
        let now = self.host(id).clock(self.now);
        self.input(id, |driver| driver.read(now, read, lease));
    }

    /// Makes the node's program snapshot its applied state; the log is dropped up to `compact_to`,
    /// or up to the configured index.
    pub fn compact(&mut self, id: NodeId, compact_to: Option<Index>) {
        self.take_snapshot(id, compact_to);
        if self.is_up(id) {
            self.input(id, |_| {});
        }
    }

    /// Fires this node's next timer: its clock jumps there, and no other clock moves.
    pub fn tick(&mut self, id: NodeId) {
        let now = self.now;
        let host = self.host_mut(id);
        host.ahead += host.wake_at().map_or(0, |at| at.0.saturating_sub(now.0));
        self.input(id, |_| {});
    }

    /// Advances time for all nodes. Each timer fires exactly when it is due; nothing is delivered.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now.after(by);
        while let Some((at, id)) = self.next_wake()
            && at <= end
        {
            self.wake(at, id);
        }
        self.now = end;
    }

    /// Delivers each message that matches now, oldest first; messages sent in response stay queued.
    /// Returns how many were delivered.
    pub fn deliver(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let taken = self.links.take(matches);
        let count = taken.len();
        for envelope in taken {
            self.hand_in(envelope);
        }
        count
    }

    /// Delivers the oldest message that matches. Returns false if none does.
    pub fn deliver_one(&mut self, matches: impl Fn(&Envelope) -> bool) -> bool {
        let place = self.links.queue().iter().position(matches);
        place.is_some_and(|place| self.deliver_at(place))
    }

    /// Delivers the message at this position of the queue. Returns false if there is none.
    pub fn deliver_at(&mut self, place: usize) -> bool {
        let envelope = self.links.take_at(place);
        envelope.map(|envelope| self.hand_in(envelope)).is_some()
    }

    /// Delivers until nothing is due; no time passes, held disks stay held. Returns how many
    /// messages were delivered.
    pub fn stabilize(&mut self) -> usize {
        for delivered in 0..Self::MAX_DELIVERIES {
            let Some(envelope) = self.links.take_due(self.now) else {
                return delivered;
            };
            self.hand_in(envelope);
        }
        self.violated(Violation::new(
            "quiescence",
            "the nodes exchange messages endlessly while no time passes",
        ));
        Self::MAX_DELIVERIES
    }

    /// Advances time for all nodes and delivers every message when it is due.
    pub fn run(&mut self, by: Duration) {
        let end = self.now.after(by);
        self.stabilize();
        while self.violation.is_none() && self.proceed(end) {}
        self.now = end;
    }

    /// Advances time to the next due timer or message, at most to `end`. Returns false if there is
    /// none.
    fn proceed(&mut self, end: Moment) -> bool {
        // At equal times timers fire before messages arrive.
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

    /// Delays messages from `from` to `to` by `by` from now on, in calls that advance time and
    /// deliver.
    pub fn delay(&mut self, from: NodeId, to: NodeId, by: Duration) {
        self.links.delay(from, to, by);
    }

    /// Removes the delays of all links.
    pub fn clear_delays(&mut self) {
        self.links.clear_delays();
    }

    /// Advances time by at most `up_to` and delivers every message when it is due, until the
    /// cluster is [settled](Simulation::settled). Returns the leader.
    ///
    /// # Errors
    /// If the cluster did not settle in time.
    pub fn settle(&mut self, up_to: Duration) -> Result<NodeId, Unsettled> {
        self.settle_among(up_to, |_| true)
    }

    /// Like [`Simulation::settle`], but considers only the machines in `among`.
    ///
    /// # Errors
    /// If the cluster did not settle in time.
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

    /// Returns the leader if the cluster is settled: one member leads, and every running member has
    /// a log that ends with the leader's and is committed and applied.
    pub fn settled(&self) -> Option<NodeId> {
        self.settled_among(&|_| true)
    }

    fn settled_among(&self, among: &impl Fn(NodeId) -> bool) -> Option<NodeId> {
        // A wiped machine has another incarnation and is not that member until it rejoins.
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
        let mut text = format!("not settled within {up_to:?}:");
        for (id, host) in &self.hosts {
            match host.node() {
                Some(node) => {
                    let leader = node
                        .leader()
                        .map_or("no node".to_string(), |leader| leader.to_string());
                    let role = node.role();
                    let term = node.term();
                    let last = node.last();
                    let commit = node.commit();
                    text += &format!(
                        "\n  {id} {role} {term}, follows {leader}, last {last}, commit {commit}"
                    );
                }
                None => text += &format!("\n  {id} is down"),
            }
        }
        Unsettled {
            states: text,
            trace: self.trace.to_string(),
        }
    }
}
