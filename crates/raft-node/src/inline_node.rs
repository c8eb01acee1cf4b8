//! A node that is pumped by its program.

use std::sync::Arc;
use std::thread::JoinHandle;

use raftian_raft::{Change, Command, Moment, NodeId, ReadId, Responses, StateHash, TakenSnapshot};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::driver::{Committed, Driver};
use crate::links::Links;
use crate::quic::QuicLinks;
use crate::replica::{Replica, SubmitError};
use crate::store::{Store, WriterThread};
use crate::thread::{self, NodeOptions, StartError};
use crate::view::{NodeView, Stopped};

/// A driver that is pumped by its program. It stops for good for the reasons in [`Stopped`].
#[derive(Debug)]
pub struct InlineNode<S, L> {
    driver: Driver<S, L>,
    stopped: Option<Stopped>,
    /// Drives the driver's links, so it must be dropped after the driver.
    _sockets: Option<Sockets>,
}

/// Thread that drives the sockets. It ends when this value is dropped.
#[derive(Debug)]
struct Sockets {
    /// `None` only while dropping.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // Closing the channel ends the thread, so it must precede the join.
        self.end = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the socket thread of a node panicked");
        }
    }
}

impl InlineNode<WriterThread, QuicLinks> {
    /// Starts the same node as [`NodeHandle::start`](crate::NodeHandle::start), but pumped by its
    /// program on the returned clock: disk and sockets have threads of their own, and all consensus
    /// work is done inside [`Replica::pump`]. A node that is pumped less often than its shortest
    /// election timeout cannot keep leadership. The local operator's tools are not served.
    ///
    /// # Errors
    /// [`StartError`], when nothing was started.
    pub fn start(options: NodeOptions) -> Result<(Self, Clock), StartError> {
        let id = options.raft.id;
        let (started, wait) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("raft-links-{}", id.0))
            .spawn(move || carry(options, &started, ended))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        let sockets = Sockets {
            end: Some(end),
            thread: Some(thread),
        };
        let (driver, clock) = wait
            .recv()
            .map_err(|_| StartError::Thread("it ended during its start".to_owned()))??;
        Ok((
            InlineNode {
                _sockets: Some(sockets),
                ..InlineNode::new(driver)
            },
            clock,
        ))
    }
}

type Opened = Result<(Driver<WriterThread, QuicLinks>, Clock), StartError>;

/// Opens the node and drives its links until `ended` is closed.
fn carry(
    options: NodeOptions,
    started: &std::sync::mpsc::SyncSender<Opened>,
    ended: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            runtime.block_on(async {
                // No task waits for a notification: the program polls.
                let opened = thread::open(options, &Arc::default())
                    .map(|(driver, clock, _)| (driver, clock));
                // The links work only while their runtime is polled, so it is until the node is
                // dropped.
                if started.send(opened).is_ok() {
                    let _ended = ended.await;
                }
            });
            runtime.shutdown_background();
        }
        Err(error) => {
            let _receiver_gone = started
                .send(Err(StartError::Thread(error.to_string())))
                .is_err();
        }
    }
}

impl<S: Store, L: Links> InlineNode<S, L> {
    /// Creates a node from a driver.
    pub fn new(driver: Driver<S, L>) -> Self {
        InlineNode {
            driver,
            stopped: None,
            _sockets: None,
        }
    }

    /// Returns the driver.
    pub fn driver_mut(&mut self) -> &mut Driver<S, L> {
        &mut self.driver
    }

    /// Calls `ask` with the driver, unless the node has stopped. The core bounds its own queues.
    fn ask(&mut self, ask: impl FnOnce(&mut Driver<S, L>)) -> Result<(), SubmitError> {
        if self.stopped.is_some() {
            return Err(SubmitError::Stopped);
        }
        ask(&mut self.driver);
        Ok(())
    }
}

impl<S: Store, L: Links + Send> Replica for InlineNode<S, L> {
    fn pump(&mut self, clock: &dyn Fn() -> Moment) {
        if self.stopped.is_some() {
            return;
        }
        let pumped = self.driver.pump(clock).map_err(Stopped::from);
        let contradiction = self.driver.contradiction().map(Stopped::from);
        // A failed write takes precedence: the disk needs attention in any case.
        if let Some(stopped) = pumped.err().or(contradiction) {
            tracing::error!(reason = %stopped, "the node stops");
            self.stopped = Some(stopped);
        }
    }

    fn propose(&mut self, command: Command) -> Result<(), SubmitError> {
        self.ask(|driver| driver.propose(vec![command]))
    }

    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) {
        // Taking counts as applying and steps the node, which must not happen after its end.
        if self.stopped.is_none() {
            self.driver.take_committed(most, into);
        }
    }

    fn take_responses(&mut self) -> Responses {
        self.driver.take_responses()
    }

    fn take_snapshot(&mut self, taken: TakenSnapshot) -> Result<(), SubmitError> {
        self.ask(|driver| driver.take_snapshot(taken))
    }

    fn decline_snapshot(&mut self) -> Result<(), SubmitError> {
        self.ask(Driver::decline_snapshot)
    }

    fn state_hash(&mut self, state: StateHash) -> Result<(), SubmitError> {
        self.ask(|driver| driver.state_hash(state))
    }

    fn read(&mut self, now: Moment, id: ReadId, lease: bool) -> Result<(), SubmitError> {
        self.ask(|driver| driver.read(now, id, lease))
    }

    fn change_membership(&mut self, change: Change) -> Result<(), SubmitError> {
        self.ask(|driver| driver.change_membership(change))
    }

    fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(), SubmitError> {
        self.ask(|driver| driver.transfer_leadership(to))
    }

    fn give_up(&mut self, reason: String) {
        self.stopped.get_or_insert(Stopped::Program(reason));
    }

    fn view(&self) -> NodeView {
        NodeView {
            stopped: self.stopped.clone(),
            ..self.driver.view()
        }
    }
}
