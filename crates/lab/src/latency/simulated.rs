//! Simulated world of a cell: the shipping driver in virtual time, on links and disks with exactly
//! the configured timing.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raftian_node::driver::{Committed, Driver};
use raftian_node::links::Links;
use raftian_node::store::{MemoryStore, Store, StoreError};
use raftian_raft::{
    Command, Membership, Message, Moment, NodeId, Refused, Restored, Term, Write, WriteNumber,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::nodes::{MAX_TAKEN, Nodes, machine};
use super::spans::Timestamps;
use super::{Cell, MeasureError};
use crate::report::parallel;
use raftian_sim::timed::{Timed, Timeline};

/// Nodes, messages in flight, and the clock.
pub(super) struct Simulated {
    nodes: Vec<Node>,
    timeline: Timeline<Envelope>,
    clock: VirtualClock,
    rng: ChaCha8Rng,
    delay: Duration,
    loss: f64,
}

struct Node {
    driver: Driver<SlowStore, SimLinks>,
    /// Committed entries that its program has not taken yet.
    committed: VecDeque<Committed>,
}

pub(super) struct Envelope {
    from: NodeId,
    to: NodeId,
    message: Message,
}

/// Shared virtual clock: moments since an arbitrary instant, of which only differences matter.
#[derive(Clone)]
struct VirtualClock {
    beginning: Instant,
    now: Arc<AtomicU64>,
}

impl VirtualClock {
    fn moment(&self) -> Moment {
        Moment(self.now.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        self.beginning + Duration::from_micros(self.moment().0)
    }

    fn set(&self, now: Moment) {
        self.now.store(now.0, Ordering::Relaxed);
    }
}

/// Store with a fixed time per write; writes complete one after another, as on the writer thread.
struct SlowStore {
    store: MemoryStore,
    under_way: VecDeque<(Moment, Write)>,
    clock: VirtualClock,
    write: Duration,
}

impl Store for SlowStore {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        // Writes queue behind the last one under way.
        let begins = self
            .under_way
            .back()
            .map_or(self.clock.moment(), |(done, _)| *done);
        self.under_way.push_back((begins.after(self.write), write));
        Ok(())
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        let now = self.clock.moment();
        let (_, write) = self.under_way.pop_front_if(|(done, _)| *done <= now)?;
        match self.store.submit(write) {
            Ok(()) => self.store.completed(),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Links of one node.
#[derive(Default)]
struct SimLinks {
    arrived: VecDeque<(NodeId, Message)>,
    sent: Vec<(NodeId, Message)>,
}

impl Links for SimLinks {
    fn send(&mut self, to: NodeId, message: Message) {
        self.sent.push((to, message));
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        self.arrived.pop_front()
    }
}

impl Simulated {
    /// Starts the nodes of a cell; their traces record to `moments`. A write takes `write`.
    pub(super) fn start(
        cell: &Cell,
        seed: u64,
        write: Duration,
        moments: &Timestamps,
    ) -> Result<Self, MeasureError> {
        let clock = VirtualClock {
            // Only differences of instants are used, so the seed still determines every result.
            beginning: Instant::now(),
            now: Arc::default(),
        };
        let founding = Membership::new((1..=cell.nodes).map(NodeId)).map_err(machine)?;
        let mut nodes = Vec::new();
        for place in 0..cell.nodes as usize {
            let config = cell.config(NodeId(place as u64 + 1), founding.clone(), seed);
            let store = MemoryStore::new();
            let under_way = VecDeque::new();
            let store = SlowStore {
                store,
                under_way,
                clock: clock.clone(),
                write,
            };
            let mut driver = Driver::new(
                config,
                Restored::default(),
                store,
                SimLinks::default(),
                Moment(0),
            )
            .map_err(machine)?;
            let trace_clock = clock.clone();
            driver.set_trace(moments.trace(place, move || trace_clock.instant()));
            nodes.push(Node {
                driver,
                committed: VecDeque::new(),
            });
        }
        let mut world = Simulated {
            timeline: Timeline::new(nodes.len()),
            nodes,
            clock,
            rng: ChaCha8Rng::seed_from_u64(parallel::seed(seed, &[0])),
            delay: cell.rtt / 2,
            loss: cell.loss,
        };
        (0..world.nodes.len()).try_for_each(|place| world.pump(place))?;
        Ok(world)
    }

    /// Runs a node until it has nothing left to do now, and plans its next wake-up.
    fn pump(&mut self, place: usize) -> Result<(), MeasureError> {
        let now = self.clock.moment();
        let Node { driver, committed } = &mut self.nodes[place];
        let timer = driver.pump(|| now).map_err(machine)?;
        let mut news = Vec::new();
        driver.deliver(&mut news);
        committed.extend(news);
        let written = driver
            .store()
            .under_way
            .front()
            .map_or(timer, |(done, _)| *done);
        self.timeline.plan(place, timer.min(written));
        let from = NodeId(place as u64 + 1);
        for (to, message) in std::mem::take(&mut driver.links_mut().sent) {
            if self.loss == 0.0 || !self.rng.random_bool(self.loss) {
                // Beyond the timeline's bound a message is lost like any other.
                self.timeline
                    .schedule(self.delay, Envelope { from, to, message });
            }
        }
        Ok(())
    }
}

impl Timed for Simulated {
    type Event = Envelope;
    type Break = MeasureError;

    fn timeline(&mut self) -> &mut Timeline<Envelope> {
        &mut self.timeline
    }

    fn wake(&mut self, place: usize) -> ControlFlow<MeasureError> {
        self.clock.set(self.timeline.now());
        self.pump(place)
            .map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn handle(&mut self, Envelope { from, to, message }: Envelope) -> ControlFlow<MeasureError> {
        let place = to.0 as usize - 1;
        let links = self.nodes[place].driver.links_mut();
        links.arrived.push_back((from, message));
        self.wake(place)
    }
}

impl Nodes for Simulated {
    fn now(&self) -> Instant {
        self.clock.instant()
    }

    fn wait_until(&mut self, then: Instant) -> Result<(), MeasureError> {
        // First whole microsecond that is not before `then`.
        let micros = then
            .saturating_duration_since(self.clock.beginning)
            .as_nanos()
            .div_ceil(1_000);
        let limit = Moment(u64::try_from(micros).unwrap_or(u64::MAX)).max(self.clock.moment());
        let run = self.run_until(limit);
        self.clock.set(self.timeline.now());
        run.break_value().map_or(Ok(()), Err)
    }

    fn propose(&mut self, place: usize, command: Command) -> Result<(), MeasureError> {
        let now = self.clock.moment();
        let driver = &mut self.nodes[place].driver;
        driver.set_now(now);
        driver.propose(vec![command]);
        self.pump(place)
    }

    fn take(
        &mut self,
        place: usize,
        into: &mut Vec<Committed>,
    ) -> Result<Vec<Refused>, MeasureError> {
        let now = self.clock.moment();
        let Node {
            driver, committed, ..
        } = &mut self.nodes[place];
        into.extend(committed.drain(..committed.len().min(MAX_TAKEN)));
        if let Some(last) = into.last() {
            driver.set_now(now);
            driver.applied(last.index());
            self.pump(place)?;
        }
        Ok(self.nodes[place].driver.take_responses().refused)
    }

    fn leader(&self, place: usize) -> Option<NodeId> {
        self.nodes[place].driver.node().status().leader
    }

    fn term(&self, place: usize) -> Term {
        self.nodes[place].driver.node().term()
    }

    fn end(self) {}
}
