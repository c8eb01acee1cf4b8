//! A node on its own thread: consensus never waits for a frame, a frame never waits for consensus.

mod running;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use raftian_raft::{Command, Config, ConfigError, Moment, NodeId, Refused};
use tokio::sync::{Notify, mpsc, watch};

use crate::driver::Committed;
use crate::quic::{LinkCounters, LinkError, QuicOptions, ServiceRequest};
use crate::replica::{ProposeError, Replica};
use crate::store::StoreError;
use crate::view::NodeView;

/// Proposals that may wait for the node. At the bound [`ProposeError::Busy`].
pub const PROPOSAL_QUEUE: usize = 1024;

/// Control commands that may wait for the node. At the bound they are dropped; they come from a person's buttons.
const CONTROL_QUEUE: usize = 64;

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
    /// Stop at once, without a word.
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
    committed: VecDeque<Committed>,
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
            .spawn(move || running::run(options, for_thread, orders_in, proposals_in, &started))
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

    /// Requests of the local operator's tools, as opaque bytes to be answered. There is one queue: the second call
    /// gives `None`.
    pub fn take_requests(&mut self) -> Option<Requests> {
        self.requests.take().map(|queue| Requests { queue })
    }

    /// Stops the node: hands leadership over if it leads, closes its links, waits for its thread. At most
    /// about two seconds, and five more if its disk hangs.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        let _gone_or_full = self.control.orders.try_send(Order::Stop).is_err();
        // The node takes a closed queue of proposals for the same order, which cannot get lost.
        self.proposals = mpsc::channel(1).0;
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

    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) {
        let shared = &self.control.shared;
        let before = into.len();
        {
            let mut outgoing = lock(&shared.outgoing);
            let count = most.min(outgoing.committed.len());
            into.extend(outgoing.committed.drain(..count));
        }
        if let Some(last) = into.get(before..).and_then(<[Committed]>::last) {
            shared.taken.store(last.index().0, Ordering::Release);
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
            view.stopped = Some("it has ended".to_owned());
        }
        view
    }

    /// Calls `waker` from the node's thread whenever it showed something new, at once for entries to take and within a
    /// heartbeat for a request; instead of the waker set before. It must not block.
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

    /// Stops it at once, without a word to anybody. Only writes that its disk was already given are finished.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("a node took no order: it has stopped, or too many wait");
        }
    }
}
