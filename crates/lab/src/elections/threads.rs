//! One cluster in real time: each node is a thread with the shipping driver, messages go through
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

/// Maximum number of messages queued for one node, many times the traffic of one election. Beyond
/// it the newest message is dropped.
const INBOX: usize = 65_536;

/// Interval of checks for the end, in case the notification is missed.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs one cluster, one thread per node, until it has a leader or times out. The seed determines
/// the random draws of nodes and links, but not the timing of the machine.
///
/// # Panics
/// If the system cannot start another thread.
pub(super) fn elect(settings: &Settings, size: u64, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let membership =
        Membership::crowd((1..=size).map(NodeId)).expect("a study has no empty cluster");
    let loss = settings.loss.draw(&mut rng);
    let poll = settings.poll.0.as_micros() as u64;
    let shared = Arc::new(SharedCluster::new(size as usize));
    // This thread is the extra party: it starts counting when all nodes are ready.
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
                shared: Arc::clone(&shared),
                delay: settings.delay,
                loss,
                rng: own,
            };
            let shared = &shared;
            let start = &start;
            scope.spawn(move || {
                // Each slot is set once, by its own thread.
                let _first = shared.threads[place as usize].set(thread::current());
                start.wait();
                shared.live(config, post, (poll, phase));
            });
        }
        start.wait();
        // All nodes are ready: thread start-up is not part of the election.
        let began = shared.clock.now();
        while !shared.over.load(Ordering::Acquire)
            && shared.clock.now().since(began) < settings.limit.0
        {
            thread::park_timeout(GLANCE);
        }
        shared.end();
        shared.outcome(began)
    })
}

/// State shared by the nodes of one cluster.
struct SharedCluster {
    clock: Clock,
    inboxes: Vec<Mutex<Inbox>>,
    threads: Vec<OnceLock<Thread>>,
    counter: Thread,
    over: AtomicBool,
    /// Time and term of the first won election.
    won: OnceLock<(Moment, Term)>,
    /// Terms with a candidate, once for each candidate.
    stood: Mutex<Vec<Term>>,
    sent: AtomicU64,
    taken: AtomicU64,
}

/// Messages in flight to one node, by arrival time and a sequence number that keeps their order.
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

    /// Runs one node until a leader is elected.
    fn live(&self, config: Config, post: ThreadLinks, poll: (u64, u64)) {
        let place = post.place;
        let store = MemoryStore::new();
        let now = self.clock.now();
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
                // Only the first winner is recorded.
                let _first = self.won.set((self.clock.now(), driver.node().term()));
                return self.end();
            }
            let arrives = lock(&self.inboxes[place])
                .envelopes
                .first_key_value()
                .map(|((at, _), _)| *at);
            let due = polled(wake, poll).min(arrives.unwrap_or(Moment(u64::MAX)));
            // A send or the end of the run unparks the thread earlier.
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
        let won = self.won.get();
        let stood = lock(&self.stood).clone();
        Outcome {
            time: won.map(|(at, _)| at.since(began)),
            elections: stood.len() as u64,
            split_votes: split_votes(stood, won.map(|(_, term)| *term)),
            messages: self.sent.load(Ordering::Relaxed),
            steps: self.taken.load(Ordering::Relaxed),
        }
    }
}

/// Links of one node.
struct ThreadLinks {
    place: usize,
    shared: Arc<SharedCluster>,
    delay: Span,
    loss: f64,
    rng: ChaCha8Rng,
}

impl Links for ThreadLinks {
    fn send(&mut self, to: NodeId, message: Message) {
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        if self.loss > 0.0 && self.rng.random_bool(self.loss) {
            return;
        }
        let at = self
            .shared
            .clock
            .now()
            .after(self.delay.draw(&mut self.rng));
        let to = (to.0 - 1) as usize;
        let mut inbox = lock(&self.shared.inboxes[to]);
        if inbox.envelopes.len() < INBOX {
            inbox.count += 1;
            let key = (at, inbox.count);
            inbox
                .envelopes
                .insert(key, (NodeId(self.place as u64 + 1), message));
        }
        // Unlocked before the wake-up, or the receiver would block on its inbox.
        drop(inbox);
        if let Some(thread) = self.shared.threads[to].get() {
            thread.unpark();
        }
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        let mut inbox = lock(&self.shared.inboxes[self.place]);
        let first = inbox
            .envelopes
            .first_entry()
            .filter(|first| first.key().0 <= self.shared.clock.now())?;
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        Some(first.remove())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
