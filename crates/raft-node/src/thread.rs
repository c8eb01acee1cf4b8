//! A node on its own thread: consensus never waits for a frame, a frame never waits for consensus.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use raftian_raft::{Command, Config, ConfigError, Entry, Index, Moment, NodeId, Refused, RoleKind};
use tokio::sync::{Notify, mpsc, watch};

use crate::clock::Clock;
use crate::driver::Driver;
use crate::quic::{LinkCounters, LinkError, QuicLinks, QuicOptions, ServiceRequest};
use crate::replica::{ProposeError, Replica};
use crate::store::{RedbStore, StoreError, WriterThread};
use crate::view::NodeView;

/// Proposals that may wait for the node. At the bound [`ProposeError::Busy`].
pub const PROPOSAL_QUEUE: usize = 1024;

/// Control commands that may wait for the node. At the bound they are dropped; they come from a person's buttons.
const CONTROL_QUEUE: usize = 64;

/// Shortest time between two published views: a person sees no more, and it keeps publishing off the commit path.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);

/// How long a stopping leader waits for its successor to take over.
const HAND_OVER_WAIT: Duration = Duration::from_millis(1000);

/// How long links may take to close.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// What a node on its own thread needs.
#[derive(Debug)]
pub struct NodeOptions {
    /// Settings of the consensus core.
    pub raft: Config,
    /// Name of the cluster: a store remembers it and refuses another.
    pub cluster: String,
    /// The store's file. Its directory must exist.
    pub store: PathBuf,
    /// Its links.
    pub links: QuicOptions,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its settings cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its port cannot be used.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The system gave it no thread or runtime.
    #[error("the node's thread cannot be started: {0}")]
    Thread(String),
}

/// A running node, for the one program that applies its log. Dropping it stops the node in an orderly way.
#[derive(Debug)]
pub struct NodeHandle {
    control: NodeControl,
    proposals: mpsc::Sender<Command>,
    requests: Option<mpsc::Receiver<ServiceRequest>>,
    thread: Option<JoinHandle<()>>,
}

/// What the local operator's tools ask of a node.
#[derive(Debug)]
pub struct Requests {
    queue: mpsc::Receiver<ServiceRequest>,
}

impl Requests {
    /// The next request, if one waits.
    pub fn try_next(&mut self) -> Option<ServiceRequest> {
        self.queue.try_recv().ok()
    }
}

/// Remote control of a running node, for anybody: look at it, pause it, cut it off, stop it.
#[derive(Clone, Debug)]
pub struct NodeControl {
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<NodeView>,
    links: Arc<LinkCounters>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Order {
    Pause(bool),
    Cut(bool),
    HandOver(Option<NodeId>),
    /// Stop at once, like a power cut.
    Kill,
    /// Hand over, close, stop.
    Stop,
}

/// What the node's thread and the program's share. Locks are held for moving a few entries, never while applying.
#[derive(Debug, Default)]
struct Shared {
    outgoing: Mutex<Outgoing>,
    /// Last index the program took.
    taken: AtomicU64,
    wake_node: Arc<Notify>,
    waker: Mutex<Waker>,
}

/// Bounded by the core's apply window and [`REFUSED_KEPT`](crate::driver::REFUSED_KEPT).
#[derive(Debug, Default)]
struct Outgoing {
    committed: VecDeque<Entry>,
    refused: VecDeque<Refused>,
}

#[derive(Default)]
struct Waker(Option<Arc<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Waker" } else { "no waker" })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The queues hold whole entries; a panic elsewhere leaves nothing half done in them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NodeHandle {
    /// Starts a node: opens its store and its port, then runs it on a thread "raft-node-ID".
    ///
    /// # Errors
    /// [`StartError`], when nothing was started.
    pub fn start(options: NodeOptions) -> Result<Self, StartError> {
        let id = options.raft.id;
        let shared = Arc::new(Shared::default());
        let (orders, orders_in) = mpsc::channel(CONTROL_QUEUE);
        let (proposals, proposals_in) = mpsc::channel(PROPOSAL_QUEUE);
        let (started, wait) = std::sync::mpsc::sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("raft-node-{}", id.0))
            .spawn(move || run(options, for_thread, orders_in, proposals_in, &started))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let (view, links, requests) =
            wait.recv().map_err(|_| StartError::Thread("it ended before it reported".to_owned()))??;
        Ok(NodeHandle {
            control: NodeControl { orders, view, links, shared },
            proposals,
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// A remote control that others may hold.
    #[must_use]
    pub fn control(&self) -> NodeControl {
        self.control.clone()
    }

    /// Requests of the local operator's tools, as opaque bytes to be answered. There is one queue: the second call gives `None`.
    pub fn take_requests(&mut self) -> Option<Requests> {
        self.requests.take().map(|queue| Requests { queue })
    }

    /// Stops the node: hands leadership over if it leads, closes its links, waits for its thread. At most about two seconds.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        let _gone_already = self.control.orders.try_send(Order::Stop).is_err();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the node's thread had panicked");
        }
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop_and_join();
        }
    }
}

impl Replica for NodeHandle {
    fn pump(&mut self, _now: Moment) {}

    fn propose(&mut self, command: Command) -> Result<(), ProposeError> {
        self.proposals.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Busy,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })
    }

    fn take_committed(&mut self, most: usize, into: &mut Vec<Entry>) {
        let shared = &self.control.shared;
        let before = into.len();
        {
            let mut outgoing = lock(&shared.outgoing);
            let count = most.min(outgoing.committed.len());
            into.extend(outgoing.committed.drain(..count));
        }
        if let Some(last) = into.get(before..).and_then(<[Entry]>::last) {
            shared.taken.store(last.index.0, Ordering::Release);
            shared.wake_node.notify_one();
        }
    }

    fn take_refused(&mut self) -> Vec<Refused> {
        lock(&self.control.shared.outgoing).refused.drain(..).collect()
    }

    fn view(&self) -> NodeView {
        self.control.view()
    }
}

impl NodeControl {
    /// What the node looked like a moment ago.
    #[must_use]
    pub fn view(&self) -> NodeView {
        let mut view = self.view.borrow().clone();
        if self.orders.is_closed() && view.stopped.is_none() {
            view.stopped = Some("it was stopped".to_owned());
        }
        view
    }

    /// Calls `waker` from the node's thread whenever it showed something new, at once for entries to take and within a heartbeat for a
    /// request; instead of the waker set before. It must not block.
    pub fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        lock(&self.shared.waker).0 = Some(waker);
    }

    /// Counts of its links.
    #[must_use]
    pub fn links(&self) -> &LinkCounters {
        &self.links
    }

    /// Whether it runs, paused or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Pauses or resumes it: a paused node keeps its memory, and everybody else thinks it dead.
    pub fn pause(&self, paused: bool) {
        self.order(Order::Pause(paused));
    }

    /// Cuts it off from all others, or mends that.
    pub fn cut(&self, cut: bool) {
        self.order(Order::Cut(cut));
    }

    /// Lets it hand leadership over, to `to` or to the best follower.
    pub fn hand_over(&self, to: Option<NodeId>) {
        self.order(Order::HandOver(to));
    }

    /// Stops it at once, as a power cut would. What was not on disk is lost to it.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("a node took no order: it has stopped, or too many wait");
        }
    }
}

type Started = Result<(watch::Receiver<NodeView>, Arc<LinkCounters>, mpsc::Receiver<ServiceRequest>), StartError>;
type NodeDriver = Driver<WriterThread, QuicLinks>;

/// The thread: opens everything, reports, then loops.
fn run(
    options: NodeOptions,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    proposals: mpsc::Receiver<Command>,
    started: &std::sync::mpsc::SyncSender<Started>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _nobody_waits = started.send(Err(StartError::Thread(error.to_string()))).is_err();
            return;
        }
    };
    runtime.block_on(async {
        let id = options.raft.id;
        match open(options, &shared) {
            Err(error) => {
                let _nobody_waits = started.send(Err(error)).is_err();
            }
            Ok((mut driver, clock, requests)) => {
                let (publish, view) = watch::channel(driver.view());
                let links = driver.links_mut().counters();
                let _nobody_waits = started.send(Ok((view, links, requests))).is_err();
                let node = RunningNode {
                    driver,
                    clock,
                    shared,
                    publish,
                    published: Instant::now(),
                    taken: Index(0),
                    paused: false,
                    cut: false,
                };
                node.run(orders, proposals).await;
                tracing::info!(%id, "the node has stopped");
            }
        }
    });
    runtime.shutdown_background();
}

fn open(
    options: NodeOptions,
    shared: &Shared,
) -> Result<(NodeDriver, Clock, mpsc::Receiver<ServiceRequest>), StartError> {
    let id = options.raft.id;
    let (store, restored) = RedbStore::open(&options.store, id, &options.cluster)?;
    let wake = Arc::clone(&shared.wake_node);
    let store = WriterThread::start(id, store, Arc::new(move || wake.notify_one()))?;
    let (links, requests) = QuicLinks::start(options.links, Arc::clone(&shared.wake_node))?;
    let clock = Clock::start();
    Ok((Driver::new(options.raft, restored, store, links, clock.now())?, clock, requests))
}

struct RunningNode {
    driver: NodeDriver,
    clock: Clock,
    shared: Arc<Shared>,
    publish: watch::Sender<NodeView>,
    published: Instant,
    taken: Index,
    paused: bool,
    cut: bool,
}

impl RunningNode {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut proposals: mpsc::Receiver<Command>) {
        let mut batch = Vec::new();
        loop {
            let wake_at = match self.work(&mut proposals, &mut batch) {
                Ok(wake_at) => wake_at,
                Err(error) => return self.stop_after(&error),
            };
            let order = tokio::select! {
                biased;
                order = orders.recv() => Some(order),
                () = self.shared.wake_node.notified() => None,
                received = proposals.recv_many(&mut batch, PROPOSAL_QUEUE), if !self.paused => {
                    if received == 0 { Some(None) } else { None }
                }
                () = tokio::time::sleep_until(wake_at.into()), if !self.paused => None,
            };
            match order {
                None => {}
                Some(Some(Order::Pause(paused))) => {
                    self.paused = paused;
                    self.publish_now();
                }
                Some(Some(Order::Cut(cut))) => {
                    self.cut = cut;
                    self.driver.links_mut().set_cut(cut);
                    self.publish_now();
                }
                Some(Some(Order::HandOver(to))) => self.driver.hand_over(to),
                Some(Some(Order::Kill)) => return,
                // A program that dropped its handle without a word is gone; its node leaves in an orderly way.
                Some(Some(Order::Stop) | None) => return self.leave().await,
            }
        }
    }

    /// One turn: proposals, consensus, deliveries. Tells when to come again.
    fn work(
        &mut self,
        proposals: &mut mpsc::Receiver<Command>,
        batch: &mut Vec<Command>,
    ) -> Result<Instant, StoreError> {
        if self.paused {
            return Ok(Instant::now());
        }
        while batch.len() < PROPOSAL_QUEUE
            && let Ok(command) = proposals.try_recv()
        {
            batch.push(command);
        }
        let mut wake_at = self.driver.pump(self.clock.now())?;
        if !batch.is_empty() {
            self.driver.propose(std::mem::take(batch));
            wake_at = self.driver.pump(self.clock.now())?;
        }
        let wake_at = self.clock.instant(wake_at);
        let news = self.deliver();
        if !news && self.published.elapsed() < PUBLISH_EVERY {
            // Whatever changed in this turn is shown soon, even if nothing else happens.
            return Ok(wake_at.min(self.published + PUBLISH_EVERY));
        }
        self.publish_now();
        self.wake_program();
        Ok(wake_at)
    }

    /// Moves committed entries and refusals to where the program takes them. Tells whether there were any.
    fn deliver(&mut self) -> bool {
        let taken = Index(self.shared.taken.load(Ordering::Acquire));
        if taken > self.taken {
            self.taken = taken;
            self.driver.applied(taken);
        }
        let refused = self.driver.take_refused();
        let mut committed = Vec::new();
        self.driver.hand_out(&mut committed);
        if refused.is_empty() && committed.is_empty() {
            return false;
        }
        let mut outgoing = lock(&self.shared.outgoing);
        outgoing.committed.extend(committed);
        outgoing.refused.extend(refused);
        let surplus = outgoing.refused.len().saturating_sub(crate::driver::REFUSED_KEPT);
        outgoing.refused.drain(..surplus);
        true
    }

    /// Shows the node to whoever looks.
    fn publish_now(&mut self) {
        self.published = Instant::now();
        self.publish.send_replace(NodeView { paused: self.paused, cut: self.cut, ..self.driver.view() });
    }

    fn wake_program(&self) {
        let waker = lock(&self.shared.waker).0.clone();
        if let Some(waker) = waker {
            waker();
        }
    }

    /// A failed write: nothing that waited for it has left, and nothing more will.
    fn stop_after(mut self, error: &StoreError) {
        tracing::error!(%error, "the node stops");
        self.published = Instant::now();
        let view = NodeView { stopped: Some(error.to_string()), ..self.driver.view() };
        self.publish.send_replace(view);
        self.wake_program();
    }

    /// Leaves in an orderly way: a leader hands over first (thesis 3.10), so that nobody waits for an election timeout.
    async fn leave(mut self) {
        if self.driver.node().role() == RoleKind::Leader && !self.paused {
            self.driver.hand_over(None);
            let deadline = Instant::now() + HAND_OVER_WAIT;
            while self.driver.node().role() == RoleKind::Leader && Instant::now() < deadline {
                let Ok(wake_at) = self.driver.pump(self.clock.now()) else { return };
                let until = self.clock.instant(wake_at).min(deadline);
                tokio::select! {
                    () = self.shared.wake_node.notified() => {}
                    () = tokio::time::sleep_until(until.into()) => {}
                }
            }
        }
        self.publish_now();
        let _late = tokio::time::timeout(CLOSE_WAIT, self.driver.links_mut().close(CLOSE_WAIT)).await.is_err();
    }
}
