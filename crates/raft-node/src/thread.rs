//! A node on its own thread: consensus never waits for a frame, a frame never waits for consensus.

mod checkpoints;
mod control;
mod event_loop;
mod founders;
mod mailbox;
mod match_requests;
mod own_contact;
mod peers;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use raftian_raft::{
    Change, Command, Config, ConfigError, Membership, Moment, NodeId, ReadId, Responses, StateHash,
    TakenSnapshot,
};
use tokio::sync::{Notify, mpsc};

use self::control::{ControlCommand, Waker};
use self::mailbox::Mailbox;
use crate::checkpoint::Checkpoint;
use crate::cluster::{FirstStart, Founders, NodeConfig};
use crate::contact::Contact;
use crate::driver::Committed;
use crate::quic::{LinkError, QuicOptions, ServiceRequest};
use crate::random_ids::fresh_incarnation;
use crate::replica::{Replica, SubmitError};
use crate::signing::{CommandKey, CommandSigner};
use crate::store::{Creation, StoreError};
use crate::trace::Trace;
use crate::view::NodeView;

pub use self::control::NodeControl;
pub(crate) use self::event_loop::open;

/// Proposals that may wait for the node. At the bound [`SubmitError::Busy`].
pub const PROPOSAL_QUEUE: usize = 1024;

/// Reads that may wait for the node. At the bound [`SubmitError::Busy`].
pub const READ_QUEUE: usize = 1024;

/// Snapshots, state hashes, membership changes and leadership transfers that may wait for the node.
/// There is rarely more than one of each. At the bound [`SubmitError::Busy`].
pub const PROGRAM_REQUEST_QUEUE: usize = 64;

/// Control commands that may wait for the node. At the bound they are dropped and logged; they come
/// from an operator's buttons.
const CONTROL_QUEUE: usize = 64;

/// Delay before the command to stop is sent again to a full queue.
const STOP_RETRY: Duration = Duration::from_millis(1);

/// Options of a node on its own thread.
#[derive(Debug)]
pub struct NodeOptions {
    /// Settings of the consensus core.
    pub raft: Config,
    /// Name of the cluster. The store records it and refuses another.
    pub cluster: String,
    /// The store's file.
    pub store: PathBuf,
    /// File of the store's rollback guard, best where it is not lost together with the store; see
    /// [`RedbStore::open`](crate::store::RedbStore::open).
    pub mark: PathBuf,
    /// Parameters of the store that is created if there is none; `None` if there must be one.
    pub creation: Option<Creation>,
    /// Founding membership that a new store records.
    pub founding: Option<Membership>,
    /// Whether the members that the configuration lists must be the founders in the store.
    pub lists_founders: bool,
    /// The node's own contact, which it keeps up to date in the log.
    pub contact: Option<Contact>,
    /// Signs the node's commands, in a match whose members sign.
    pub signer: Option<CommandSigner>,
    /// Options of its links.
    pub links: QuicOptions,
}

impl NodeOptions {
    /// Creates the options of the member `config`. Founders that are listed agree on their
    /// incarnations first ([`Config::founders_agree`](raftian_raft::Config::founders_agree)).
    pub fn new(config: &NodeConfig, mut raft: Config, links: QuicOptions) -> Self {
        // A membership in the store takes precedence; with this setting one is required.
        raft.founders_agree = !matches!(config.founding, Founders::Together(_));
        let (creation, founding) = match &config.founding {
            Founders::Listed => (Some(Creation::first(fresh_incarnation())), None),
            Founders::Together(founding) => {
                let own = founding.member(config.id).map(|member| member.incarnation);
                let own = own.unwrap_or_else(fresh_incarnation);
                (Some(Creation::first(own)), None)
            }
            Founders::Recorded { first_start: None } => (None, None),
            Founders::Recorded {
                first_start: Some(FirstStart { founding, creation }),
            } => (Some(*creation), Some(founding.clone())),
        };
        let contact = (!config.reachable_at.is_empty()).then(|| Contact {
            name: config.name.clone(),
            fingerprint: config.identity.fingerprint(),
            key: Some(CommandKey::of(&config.identity)),
            addresses: config.reachable_at.clone(),
        });
        NodeOptions {
            raft,
            cluster: config.cluster.clone(),
            store: config.store(),
            mark: config.mark.clone(),
            creation,
            founding,
            lists_founders: config.founding == Founders::Listed,
            signer: Some(CommandSigner::new(&config.identity)),
            contact,
            links,
        }
    }
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The port cannot be used.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The store belongs to a cluster with other founders than the configuration lists.
    #[error(
        "the store {} belongs to a match founded by {founded}, but the configuration lists \
         {listed}. Members are not added or removed in files: restore the list of [[member]]",
        file.display()
    )]
    Founders {
        /// The store's file.
        file: PathBuf,
        /// The founders according to the store.
        founded: String,
        /// The founders according to the configuration.
        listed: String,
    },
    /// The store belongs to a match whose members have no keys for their commands.
    #[error(
        "the store {} belongs to a match that an earlier build founded, which did not sign orders; \
         continue it with that build",
        file.display()
    )]
    EarlierBuild {
        /// The store's file.
        file: PathBuf,
    },
    /// There is no store, and the configuration does not contain the contents of a new one.
    #[error(
        "there is no store {}: the match was left, or the file is lost. Join again with a ticket",
        file.display()
    )]
    NoStore {
        /// The store's file.
        file: PathBuf,
    },
    /// The configuration allows messages larger than one frame.
    #[error("{0} allows messages larger than one frame; set it to at most {1} bytes")]
    Frame(&'static str, usize),
    /// The operating system provided no thread or runtime.
    #[error("the node's thread cannot be started: {0}")]
    Thread(String),
}

/// Handle of a running node, for the one program that applies its log. Dropping it stops the node
/// gracefully.
#[derive(Debug)]
pub struct NodeHandle {
    control: NodeControl,
    proposals: mpsc::Sender<Command>,
    reads: mpsc::Sender<(ReadId, bool)>,
    program_requests: mpsc::Sender<ProgramRequest>,
    requests: Option<mpsc::Receiver<ServiceRequest>>,
    thread: Option<JoinHandle<()>>,
}

/// Queue of requests from the local operator's tools.
#[derive(Debug)]
pub struct Requests {
    queue: mpsc::Receiver<ServiceRequest>,
}

impl Requests {
    /// Returns the next request, if one waits.
    pub fn try_next(&mut self) -> Option<ServiceRequest> {
        self.queue.try_recv().ok()
    }
}

/// State shared by the node's thread and the program's. Locks are held while a few entries are
/// moved, never while they are applied.
#[derive(Debug, Default)]
struct Shared {
    mailbox: Mutex<Mailbox>,
    wake_node: Arc<Notify>,
    waker: Mutex<Waker>,
}

/// Request of a program to its node other than proposals and reads. Reports about the program's
/// state carry the generation of that state.
#[derive(Debug)]
enum ProgramRequest {
    Snapshot(u64, TakenSnapshot),
    DeclineSnapshot,
    StateHash(u64, StateHash),
    Checkpoint(u64, Checkpoint),
    Change(Change),
    TransferLeadership(Option<NodeId>),
}

/// The node's ends of the program's queues.
#[derive(Debug)]
struct FromProgram {
    proposals: mpsc::Receiver<Command>,
    reads: mpsc::Receiver<(ReadId, bool)>,
    program_requests: mpsc::Receiver<ProgramRequest>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The queues hold whole entries, so a panic elsewhere leaves none of them half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NodeHandle {
    /// Starts a node: opens its store and its port, then runs it on a thread "raft-node-ID".
    ///
    /// # Errors
    /// [`StartError`], when nothing was started.
    pub fn start(options: NodeOptions) -> Result<Self, StartError> {
        Self::start_traced(options, Trace::default())
    }

    /// Starts a node that emits its events to `trace` from the start on.
    ///
    /// # Errors
    /// Those of [`NodeHandle::start`].
    pub fn start_traced(options: NodeOptions, trace: Trace) -> Result<Self, StartError> {
        let id = options.raft.id;
        let shared = Arc::new(Shared::default());
        let (commands, commands_in) = mpsc::channel(CONTROL_QUEUE);
        let (proposals, proposals_in) = mpsc::channel(PROPOSAL_QUEUE);
        let (reads, reads_in) = mpsc::channel(READ_QUEUE);
        let (program_requests, program_requests_in) = mpsc::channel(PROGRAM_REQUEST_QUEUE);
        let program = FromProgram {
            proposals: proposals_in,
            reads: reads_in,
            program_requests: program_requests_in,
        };
        // Room for the one report, so that the thread never blocks on its starter.
        let (started, wait) = std::sync::mpsc::sync_channel(1);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("raft-node-{}", id.0))
            .spawn(move || {
                event_loop::run(options, trace, for_thread, commands_in, program, &started)
            })
            .map_err(|error| StartError::Thread(error.to_string()))?;
        // The outer error: the thread ended without a report. The inner error is its report.
        let (view, links, requests) = wait
            .recv()
            .map_err(|_| StartError::Thread("it ended during its start".to_owned()))??;
        Ok(NodeHandle {
            control: NodeControl {
                commands,
                view,
                links,
                shared,
            },
            proposals,
            reads,
            program_requests,
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Returns a remote control of the node, which other threads may hold.
    pub fn control(&self) -> NodeControl {
        self.control.clone()
    }

    /// Returns the queue of requests from the local operator's tools, as opaque bytes. There is one
    /// queue: the second call returns `None`.
    pub fn take_requests(&mut self) -> Option<Requests> {
        self.requests.take().map(|queue| Requests { queue })
    }

    /// Stops the node: transfers leadership if it leads, closes its links and waits for its thread.
    /// Takes at most about two seconds, and five more if its disk hangs.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        // The node empties the queue even while it is paused, so a full one has room soon.
        while let Err(mpsc::error::TrySendError::Full(_)) =
            self.control.commands.try_send(ControlCommand::Stop)
        {
            std::thread::sleep(STOP_RETRY);
        }
        if let Some(thread) = self.thread.take() {
            // The thread catches and logs its panics, except one of the logger itself.
            let _logger_panicked = thread.join().is_err();
        }
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        // After `stop` the thread is joined already.
        if self.thread.is_some() {
            self.stop_and_join();
        }
    }
}

impl NodeHandle {
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.control.shared.mailbox)
    }

    /// Submits a request and wakes the node.
    fn request(&mut self, request: ProgramRequest) -> Result<(), SubmitError> {
        self.program_requests.try_send(request).map_err(refusal)?;
        self.control.shared.wake_node.notify_one();
        Ok(())
    }
}

fn refusal<T>(error: mpsc::error::TrySendError<T>) -> SubmitError {
    match error {
        mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
        mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
    }
}

impl Replica for NodeHandle {
    fn pump(&mut self, _clock: &dyn Fn() -> Moment) {}

    fn propose(&mut self, command: Command) -> Result<(), SubmitError> {
        // The event loop waits on this queue itself, so no notification is needed.
        self.proposals.try_send(command).map_err(refusal)
    }

    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) {
        // Progress frees room in the core's apply window, so the node must run.
        if self.mailbox().take_committed(most, into) {
            self.control.shared.wake_node.notify_one();
        }
    }

    fn take_responses(&mut self) -> Responses {
        std::mem::take(&mut self.mailbox().responses)
    }

    fn take_snapshot(&mut self, taken: TakenSnapshot) -> Result<(), SubmitError> {
        let generation = self.mailbox().generation();
        self.request(ProgramRequest::Snapshot(generation, taken))
    }

    fn decline_snapshot(&mut self) -> Result<(), SubmitError> {
        self.request(ProgramRequest::DeclineSnapshot)
    }

    fn state_hash(&mut self, state: StateHash) -> Result<(), SubmitError> {
        let generation = self.mailbox().generation();
        self.request(ProgramRequest::StateHash(generation, state))
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), SubmitError> {
        let generation = self.mailbox().generation();
        self.request(ProgramRequest::Checkpoint(generation, checkpoint))
    }

    fn read(&mut self, _now: Moment, id: ReadId, lease: bool) -> Result<(), SubmitError> {
        // Unlike proposals, reads are only polled by the event loop, so it must be woken.
        self.reads.try_send((id, lease)).map_err(refusal)?;
        self.control.shared.wake_node.notify_one();
        Ok(())
    }

    fn change_membership(&mut self, change: Change) -> Result<(), SubmitError> {
        self.request(ProgramRequest::Change(change))
    }

    fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(), SubmitError> {
        self.request(ProgramRequest::TransferLeadership(to))
    }

    fn give_up(&mut self, reason: String) {
        // The first reason is the cause of later ones.
        self.mailbox().given_up.get_or_insert(reason);
        self.control.shared.wake_node.notify_one();
    }

    fn view(&self) -> NodeView {
        self.control.view()
    }

    fn control(&self) -> Option<NodeControl> {
        Some(self.control.clone())
    }
}
