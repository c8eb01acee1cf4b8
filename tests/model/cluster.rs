//! The model: a cluster of shipping nodes that processes one event at a time.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use raftian_raft::{
    Body, ClientId, Command, Config, Input, Message, Moment, Node, NodeId, ReadId, Restored,
    RoleKind,
};
use stateright::{Model, Property};

use crate::action::{Action, Spent};
use crate::bounds::{Beginning, Bounds, Time};
use crate::coverage::{Coverage, CoverageMark};
use crate::host::{Disk, Host, Outcome};
use crate::injected_bug::InjectedBug;
use crate::key::key;
use crate::network::{Network, timeless, unmeasured};
use crate::properties::{self, Broken, History};

/// A model of one configuration, with or without a planted bug.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) bounds: Bounds,
    pub(crate) bug: Option<InjectedBug>,
    /// CoverageMark marks reached in any state.
    pub(crate) coverage: Coverage,
    /// Predicate of the state to search for, if any.
    pub(crate) seeks: Option<fn(&[Arc<Host>]) -> bool>,
}

/// Name of the reachability goal: a state to find, not a property that must hold.
pub(crate) const SOUGHT: &str = "the sought state";

/// A state of the model: everything that decides which events can follow.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) hosts: Vec<Arc<Host>>,
    pub(crate) network: Network,
    pub(crate) spent: Spent,
    pub(crate) history: Arc<History>,
    pub(crate) broken: Option<Broken>,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for host in &self.hosts {
            host.key.hash(hasher);
        }
        (
            &self.network,
            &self.spent,
            &self.history,
            self.broken.is_some(),
        )
            .hash(hasher);
    }
}

/// States are equal if their hashes are, as in the checker.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        key(self) == key(other)
    }
}

impl Cluster {
    /// Microseconds per tick. The shortest election timeout is two ticks, the longest three. From
    /// the shortest on, a timer may fire by an event, and at the longest it does by itself, so the
    /// randomized timeout in between does not matter. All ticks of a run add up to less than a
    /// millisecond, so that entry stamps are always 0.
    const TICK: u64 = 160;

    /// Seed with which the RNG never draws a timeout that fires at the shortest by itself.
    const SEED: u64 = 3;

    pub(crate) fn new(bounds: &Bounds, bug: Option<InjectedBug>) -> Self {
        let mut bounds = bounds.clone();
        if bug == Some(InjectedBug::DiskLies) {
            bounds.disk = Disk::Lying;
        }
        Cluster {
            bounds,
            bug,
            coverage: Coverage::default(),
            seeks: None,
        }
    }

    fn config(&self, id: NodeId, run: u64) -> Config {
        // Each run gets its own seed, as real nodes do, so that read ids of different runs differ.
        let mut config = Config::new(
            id,
            self.bounds.members.clone(),
            Self::SEED << 16 | id.0 << 8 | run,
        );
        let micros = std::time::Duration::from_micros;
        (config.heartbeat, config.election_timeout) = match self.bounds.time {
            Time::Still => (micros(1), (micros(u64::MAX / 4), micros(u64::MAX / 2))),
            Time::Apart | Time::Together => (
                micros(Self::TICK),
                (micros(2 * Self::TICK), micros(3 * Self::TICK)),
            ),
        };
        (config.pre_vote, config.check_quorum, config.snapshot_keep) = (false, false, 0);
        (self.bounds.configure)(&mut config);
        config
    }

    fn begin(&self) -> World {
        let ids = self.bounds.members.members().count() as u64 + self.bounds.outsiders;
        let images = match self.bounds.beginning {
            Beginning::Disks(disks) => disks(self.bug),
            Beginning::Empty | Beginning::Led => vec![Restored::default(); ids as usize],
        };
        let start = |(id, image)| {
            let mut host = Host::start(self.config(NodeId(id), 1), image, 1, Moment(1));
            host.input(Input::Wake, self.bounds.disk, &mut Outcome::default());
            Arc::new(host.seal(self.tick()))
        };
        let mut world = World {
            hosts: (1..).zip(images).map(start).collect(),
            network: Network::new(self.bounds.wire),
            spent: Spent::default(),
            history: Arc::default(),
            broken: None,
        };
        if matches!(self.bounds.beginning, Beginning::Led) {
            self.lead(&mut world);
        }
        world
    }

    /// Makes n1 the leader, lets it commit, and discards the messages that led there.
    fn lead(&self, world: &mut World) {
        let mut wide = Cluster {
            bug: None,
            ..self.clone()
        };
        // During this setup no message may be lost and no write may stay pending.
        (wide.bounds.disk, wide.bounds.wire) =
            (Disk::Prompt, crate::network::Wire::Holds(usize::MAX));
        world.network = Network::new(wide.bounds.wire);
        if self.aging() {
            // A node that has just started may refuse to vote.
            for place in 0..world.hosts.len() {
                wide.pass(world, world.hosts[place].id(), 2 * Self::TICK);
            }
            world.network.clear();
        }
        wide.input(world, NodeId(1), Input::Campaign);
        while let Some(envelope) = world.network.take_first() {
            wide.input(
                world,
                envelope.to,
                Input::Receive {
                    from: envelope.from,
                    message: envelope.message,
                },
            );
        }
        world.network = Network::new(self.bounds.wire);
        assert!(world.broken.is_none() && world.hosts[0].node.role() == RoleKind::Leader);
    }

    /// Whether the election timer of `host` may fire now.
    pub(crate) fn may_stand(&self, host: &Host) -> bool {
        !self.aging() || host.clock.waited() >= host.node.config().election_timeout.0
    }

    fn tick(&self) -> Option<u128> {
        self.aging().then_some(Self::TICK.into())
    }

    /// Whether time is modelled, so that states include ages.
    fn aging(&self) -> bool {
        self.bounds.time != Time::Still
    }

    pub(crate) fn host<'a>(&self, world: &'a World, id: NodeId) -> &'a Arc<Host> {
        &world.hosts[id.0 as usize - 1]
    }

    /// Applies one event to one machine: `happens` changes the machine, then its messages are sent
    /// and all properties are checked.
    fn at(&self, world: &mut World, id: NodeId, happens: impl FnOnce(&mut Host, &mut Outcome)) {
        let place = id.0 as usize - 1;
        let before = Arc::clone(&world.hosts[place]);
        let mut host = Host::clone(&before);
        let mut outcome = Outcome::default();
        // A panic is a violated property with a counterexample; it must not end the checker.
        if catch_unwind(AssertUnwindSafe(|| happens(&mut host, &mut outcome))).is_err() {
            let what = format!("{id} panicked").into();
            world.broken.get_or_insert(Broken {
                property: properties::NODES_STAY_ALIVE,
                what,
            });
            return;
        }
        for (to, message) in outcome.sent {
            if to.0 as usize <= world.hosts.len() && (self.bounds.carries)(&message) {
                let message = if self.aging() {
                    unmeasured(message)
                } else {
                    timeless(message)
                };
                world.network.send(id, to, message);
            }
        }
        let may_bury = !self.bug.is_some_and(InjectedBug::listens_to_the_past);
        if may_bury && host.image().hard_state != before.image().hard_state {
            world.network.bury(id, host.image().hard_state.term);
        }
        host.idle = false;
        let host = Arc::new(host.seal(self.tick()));
        world.hosts[place] = Arc::clone(&host);
        let history = Arc::make_mut(&mut world.history);
        let mut checked = history.check(&before, &host, &world.hosts);
        for answer in outcome.reads {
            // An answered read is checked against the commits at the time it was requested.
            checked = checked.and(history.answers(answer.id, answer.result.ok()));
            self.coverage
                .when(answer.result.is_ok(), CoverageMark::ReadAnswered);
        }
        if self.bug == Some(InjectedBug::ReplicasCounted) {
            checked = checked.and(history.counts_replicas(&world.hosts));
        }
        self.coverage.note(&outcome.decisions, &host, &world.hosts);
        if let Err(broken) = checked {
            world.broken.get_or_insert(broken);
        }
    }

    fn input(&self, world: &mut World, id: NodeId, input: Input) {
        let disk = self.bounds.disk;
        self.at(world, id, |host, outcome| host.input(input, disk, outcome));
    }

    /// Advances the node's clock, and wakes the node.
    fn pass(&self, world: &mut World, id: NodeId, micros: u64) {
        let disk = self.bounds.disk;
        self.at(world, id, |host, outcome| {
            host.clock.now.0 += micros;
            host.input(Input::Wake, disk, outcome);
        });
    }

    fn crash(&self, world: &mut World, id: NodeId, kept: usize) {
        let mut image = self.host(world, id).crash(kept);
        if self.bug == Some(InjectedBug::VoteForgotten) {
            image.hard_state.vote = None;
        }
        self.restart(world, id, image);
    }

    fn wipe(&self, world: &mut World, id: NodeId) {
        let mut incarnation = self.host(world, id).node.incarnation();
        // With the planted bug, the member returns under its old incarnation.
        incarnation.0 += u64::from(self.bug != Some(InjectedBug::LostDiskTrusted));
        self.restart(
            world,
            id,
            Restored {
                incarnation,
                ..Restored::default()
            },
        );
    }

    fn restart(&self, world: &mut World, id: NodeId, image: Restored) {
        let host = self.host(world, id);
        let run = host.run + 1;
        let now = host.clock.now;
        // A read id holds the node's id above its low byte.
        Arc::make_mut(&mut world.history).forgets(|read| read.0 >> 8 == id.0);
        let config = self.config(id, run);
        let disk = self.bounds.disk;
        self.at(world, id, |host, outcome| {
            *host = Host::start(config, image, run, now);
            host.input(Input::Wake, disk, outcome);
        });
    }

    fn read(&self, world: &mut World, id: NodeId) {
        let read = ReadId(id.0 << 8 | u64::from(world.spent.reads));
        let history = Arc::make_mut(&mut world.history);
        history.asks(read);
        let host = self.host(world, id);
        if self.bug == Some(InjectedBug::ReadsUnconfirmed) && host.node.role() == RoleKind::Leader {
            let commit = host.node.commit();
            let answer = Arc::make_mut(&mut world.history).answers(read, Some(commit));
            if let Err(broken) = answer {
                world.broken.get_or_insert(broken);
            }
            return;
        }
        let lease = host.node.config().lease_reads;
        self.input(world, id, Input::Read { id: read, lease });
    }

    /// Rewrites a message to the one that a node with the planted bug would have acted on.
    fn understood(&self, mut message: Message, node: &Node) -> Message {
        match (self.bug, &mut message.body) {
            (Some(InjectedBug::OldVotes), Body::VoteReply { .. }) => {
                message.term = message.term.max(node.term());
            }
            (Some(InjectedBug::OldAcknowledgements), Body::AppendReply(reply)) => {
                message.term = message.term.max(node.term());
                // Both guards must fail: the term of the message, and that of the probe in it.
                if let Some(probe) = &mut reply.probe {
                    probe.term = message.term;
                }
            }
            (Some(InjectedBug::HeartbeatProves), Body::AppendEntries(append))
                if append.entries.is_empty() =>
            {
                append.previous = node.last();
            }
            (Some(InjectedBug::AppendsUnchecked), Body::AppendEntries(append)) => {
                let own = node.entries_from(append.previous.index).first();
                append.previous = own.map_or(append.previous, |entry| entry.position());
            }
            _ => {}
        }
        message
    }
}

impl Model for Cluster {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_none() {
            crate::action::possible(self, world, actions);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        world.spent.spend(action);
        let disk = self.bounds.disk;
        match action {
            Action::Campaign(id) => self.input(&mut world, id, Input::Campaign),
            Action::Deliver(place) => {
                let envelope = before.network.get(place);
                world.network.arrived(place);
                let message = self.understood(
                    envelope.message.clone(),
                    &self.host(before, envelope.to).node,
                );
                self.input(
                    &mut world,
                    envelope.to,
                    Input::Receive {
                        from: envelope.from,
                        message,
                    },
                );
            }
            Action::Propose(id) => {
                let sequence = u64::from(world.spent.proposals);
                let command = Command {
                    client: ClientId(1),
                    sequence,
                    bytes: Vec::new().into(),
                };
                self.input(&mut world, id, Input::Propose(vec![command]));
            }
            // With `Time::Still` the heartbeat interval is one microsecond.
            Action::Heartbeat(id) => self.pass(&mut world, id, 1),
            Action::Write(id) => self.at(&mut world, id, |host, outcome| host.write(disk, outcome)),
            Action::Crash(id, kept) => self.crash(&mut world, id, kept),
            Action::Wipe(id) => self.wipe(&mut world, id),
            Action::Snapshot(id) => {
                let input = self
                    .host(before, id)
                    .snapshot(self.bug == Some(InjectedBug::SnapshotShort))?;
                self.input(&mut world, id, input);
            }
            Action::Change(id) => {
                let change = (self.bounds.changes)().swap_remove(usize::from(before.spent.changes));
                self.input(&mut world, id, Input::ChangeMembership(change));
            }
            Action::Read(id) => self.read(&mut world, id),
            Action::TransferLeadership(id, to) => {
                self.input(&mut world, id, Input::TransferLeadership(Some(to)))
            }
            Action::Tick(None) => {
                // With the planted bug, the clock of n1, the first leader, is stopped.
                let drifts = self.bug == Some(InjectedBug::ClocksDrift);
                for host in before.hosts.iter().skip(usize::from(drifts)) {
                    self.pass(&mut world, host.id(), Self::TICK);
                }
            }
            Action::Tick(Some(id)) => self.pass(&mut world, id, Self::TICK),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(world: &World, property: &str) -> bool {
            world
                .broken
                .as_ref()
                .is_none_or(|broken| broken.property != property)
        }
        use properties::*;
        vec![
            Property::always(ELECTION_SAFETY, |_, world| holds(world, ELECTION_SAFETY)),
            Property::always(LOG_MATCHING, |_, world| holds(world, LOG_MATCHING)),
            Property::always(LEADER_COMPLETENESS, |_, world| {
                holds(world, LEADER_COMPLETENESS)
            }),
            Property::always(STATE_MACHINE_SAFETY, |_, world| {
                holds(world, STATE_MACHINE_SAFETY)
            }),
            Property::always(COMMITMENT, |_, world| holds(world, COMMITMENT)),
            Property::always(READS_SEE_COMMITS, |_, world| {
                holds(world, READS_SEE_COMMITS)
            }),
            Property::always(NODES_STAY_ALIVE, |_, world| holds(world, NODES_STAY_ALIVE)),
            Property::sometimes(SOUGHT, |cluster, world: &World| {
                cluster.seeks.is_some_and(|sought| sought(&world.hosts))
            }),
        ]
    }
}
