//! One cluster in real time: each node is a thread with the driver that ships, messages go through
//! memory, disks are instant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use raftian_node::Clock;
use raftian_node::driver::Driver;
use raftian_node::links::Links;
use raftian_node::store::MemoryStore;
use raftian_raft::{
    Config, Decision, Membership, Message, Moment, NodeId, Restored, RoleKind, Term,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::cluster::{polled, split_votes};
use super::values::Span;
use super::{Outcome, Settings};

/// Messages that may wait for one node: many times what all others send it in one election. Beyond
/// them the newest is lost.
const INBOX: usize = 65_536;

/// How often the end is looked for, beside being told of it.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs one cluster until it has a leader or its time is up, in as many threads as it has nodes.
/// The seed decides what nodes and links draw, but not what the machine makes of it.
///
/// # Panics
/// If the system gives no more threads.
pub(super) fn elect(settings: &Settings, size: u64, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let membership =
        Membership::crowd((1..=size).map(NodeId)).expect("a study has no empty cluster");
    let loss = settings.loss.draw(&mut rng);
    let poll = settings.poll.0.as_micros() as u64;
    let cluster_hall = Arc::new(SharedCluster::new(size as usize));
    // The one more is this thread, which begins to count when all are there.
    let start = Barrier::new(size as usize + 1);
    thread::scope(|scope| {
        for place in 0..size {
            let config = settings.config(NodeId(place + 1), membership.clone(), rng.random());
            let phase = if poll == 0 {
                0
            } else {
                rng.random_range(0..poll)
            };
            let own = ChaCha8Rng::seed_from_u64(rng.random());
            let post = ThreadLinks {
                place: place as usize,
                cluster_hall: Arc::clone(&cluster_hall),
                delay: settings.delay,
                loss,
                rng: own,
            };
            let (cluster_hall, start) = (&cluster_hall, &start);
            scope.spawn(move || {
                // Each is set once, by its own thread.
                let _first = cluster_hall.threads[place as usize].set(thread::current());
                start.wait();
                cluster_hall.live(config, post, (poll, phase));
            });
        }
        start.wait();
        let began = cluster_hall.clock.now();
        while !cluster_hall.over.load(Ordering::Acquire)
            && cluster_hall.clock.now().since(began) < settings.limit.0
        {
            thread::park_timeout(GLANCE);
        }
        cluster_hall.end();
        cluster_hall.outcome(began)
    })
}

/// What the nodes of one cluster share.
struct SharedCluster {
    clock: Clock,
    inboxes: Vec<Mutex<Inbox>>,
    threads: Vec<OnceLock<Thread>>,
    counter: Thread,
    over: AtomicBool,
    /// When a leader was elected, and its term.
    won: OnceLock<(Moment, Term)>,
    /// Terms in which somebody stood, once for each who did.
    stood: Mutex<Vec<Term>>,
    sent: AtomicU64,
    taken: AtomicU64,
}

/// Messages on their way to one node, by the moment they arrive and a number that keeps their
/// order.
#[derive(Default)]
struct Inbox {
    envelopes: BTreeMap<(Moment, u64), (NodeId, Message)>,
    count: u64,
}

impl SharedCluster {
    fn new(size: usize) -> Self {
        SharedCluster {
            clock: Clock::start(),
            inboxes: (0..size).map(|_| Mutex::default()).collect(),
            threads: (0..size).map(|_| OnceLock::new()).collect(),
            counter: thread::current(),
            over: AtomicBool::new(false),
            won: OnceLock::new(),
            stood: Mutex::default(),
            sent: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// The life of one node, until somebody leads.
    fn live(&self, config: Config, post: ThreadLinks, poll: (u64, u64)) {
        let place = post.place;
        let (store, now) = (MemoryStore::new(), self.clock.now());
        let mut driver = Driver::new(config, Restored::default(), store, post, now)
            .expect("the settings were checked");
        while !self.over.load(Ordering::Acquire) {
            let wake = driver
                .pump(|| self.clock.now())
                .expect("memory takes every write");
            for event in driver.take_events() {
                if let Decision::StoodForElection { .. } = event.decision {
                    lock(&self.stood).push(event.term);
                }
            }
            if driver.node().role() == RoleKind::Leader {
                // The first counts.
                let _first = self.won.set((self.clock.now(), driver.node().term()));
                return self.end();
            }
            let arrives = lock(&self.inboxes[place])
                .envelopes
                .first_key_value()
                .map(|((at, _), _)| *at);
            let due = polled(wake, poll).min(arrives.unwrap_or(Moment(u64::MAX)));
            thread::park_timeout(due.since(self.clock.now()));
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.threads
            .iter()
            .filter_map(OnceLock::get)
            .for_each(Thread::unpark);
        self.counter.unpark();
    }

    fn outcome(&self, began: Moment) -> Outcome {
        let (won, stood) = (self.won.get(), lock(&self.stood).clone());
        Outcome {
            time: won.map(|(at, _)| at.since(began)),
            elections: stood.len() as u64,
            split_votes: split_votes(stood, won.map(|(_, term)| *term)),
            messages: self.sent.load(Ordering::Relaxed),
            steps: self.taken.load(Ordering::Relaxed),
        }
    }
}

/// One node's links.
struct ThreadLinks {
    place: usize,
    cluster_hall: Arc<SharedCluster>,
    delay: Span,
    loss: f64,
    rng: ChaCha8Rng,
}

impl Links for ThreadLinks {
    fn send(&mut self, to: NodeId, message: Message) {
        self.cluster_hall.sent.fetch_add(1, Ordering::Relaxed);
        if self.loss > 0.0 && self.rng.random_bool(self.loss) {
            return;
        }
        let at = self
            .cluster_hall
            .clock
            .now()
            .after(self.delay.draw(&mut self.rng));
        let to = (to.0 - 1) as usize;
        let mut inbox = lock(&self.cluster_hall.inboxes[to]);
        if inbox.envelopes.len() < INBOX {
            inbox.count += 1;
            let key = (at, inbox.count);
            inbox
                .envelopes
                .insert(key, (NodeId(self.place as u64 + 1), message));
        }
        drop(inbox);
        if let Some(thread) = self.cluster_hall.threads[to].get() {
            thread.unpark();
        }
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        let mut inbox = lock(&self.cluster_hall.inboxes[self.place]);
        let first = inbox
            .envelopes
            .first_entry()
            .filter(|first| first.key().0 <= self.cluster_hall.clock.now())?;
        self.cluster_hall.taken.fetch_add(1, Ordering::Relaxed);
        Some(first.remove())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
