//! The node's thread: opens everything, then turns its one loop until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use raftian_raft::{Command, Incarnation, Index, RoleKind};
use tokio::sync::{mpsc, watch};

use super::{NodeOptions, Order, PROPOSAL_QUEUE, Shared, StartError, lock};
use crate::clock::Clock;
use crate::driver::{Driver, REFUSED_KEPT};
use crate::quic::{LinkCounters, QuicLinks, ServiceRequest};
use crate::store::{RedbStore, StoreError, WriterThread};
use crate::view::NodeView;

/// Shortest time between two published views: a person sees no more, and it keeps publishing off the commit path.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);

/// How long a stopping leader waits for its successor to take over.
const HAND_OVER_WAIT: Duration = Duration::from_millis(1000);

/// How long links may take to close.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

pub(super) type Started =
    Result<(watch::Receiver<NodeView>, Arc<LinkCounters>, mpsc::Receiver<ServiceRequest>), StartError>;
type NodeDriver = Driver<WriterThread, QuicLinks>;

/// The thread: opens everything, reports, then loops.
pub(super) fn run(
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
    let (store, restored) = RedbStore::open(&options.store, id, &options.cluster, Incarnation::default())?;
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
                    self.wake_program();
                }
                Some(Some(Order::Cut(cut))) => {
                    self.cut = cut;
                    self.driver.links_mut().set_cut(cut);
                    self.publish_now();
                    self.wake_program();
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
        let surplus = outgoing.refused.len().saturating_sub(REFUSED_KEPT);
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
