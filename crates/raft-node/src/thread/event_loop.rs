//! The node's thread: opens store and links, then runs the event loop until it is stopped.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftian_raft::{Command, Config, Index, ReadId, RoleKind};
use tokio::sync::{Notify, mpsc, watch};

use super::checkpoints::CheckpointExchange;
use super::founders::{check_founders, check_keys, record_founding};
use super::match_requests::MatchRequests;
use super::{
    ControlCommand, FromProgram, NodeOptions, PROGRAM_REQUEST_QUEUE, PROPOSAL_QUEUE,
    ProgramRequest, READ_QUEUE, Shared, StartError, lock,
};
use crate::clock::Clock;
use crate::driver::Driver;
use crate::panic_message;
use crate::quic::{LinkCounters, QuicLinks, ServiceRequest};
use crate::random_ids::fresh_incarnation;
use crate::store::{Creation, RedbStore, WriterThread};
use crate::view::{NodeView, Stopped};
use crate::wire::MAX_CONTENT;

/// Shortest time between two published views: a viewer cannot see more, and it keeps publishing off
/// the commit path.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);

/// Longest time that a stopping leader waits for its successor to take over.
const LEADERSHIP_TRANSFER_TIMEOUT: Duration = Duration::from_millis(1000);

/// Longest time that links may take to close.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

pub(super) type Started = Result<
    (
        watch::Receiver<NodeView>,
        Arc<LinkCounters>,
        mpsc::Receiver<ServiceRequest>,
    ),
    StartError,
>;
pub(super) type NodeDriver = Driver<WriterThread, QuicLinks>;

/// Thread main: opens store and links, reports to the starter, then runs the loop.
pub(super) fn run(
    options: NodeOptions,
    trace: super::Trace,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<ControlCommand>,
    mut program: FromProgram,
    started: &std::sync::mpsc::SyncSender<Started>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _receiver_gone = started
                .send(Err(StartError::Thread(error.to_string())))
                .is_err();
            return;
        }
    };
    let id = options.raft.id;
    let contact = options.contact.clone();
    let cluster = options.cluster.clone();
    // A panic during the start must reach the starter, which waits for a report.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { open(options, &shared.wake_node) })
    }));
    let opened = opened.unwrap_or_else(|panic| Err(StartError::Thread(panic_message(&*panic))));
    match opened {
        Err(error) => {
            let _receiver_gone = started.send(Err(error)).is_err();
        }
        Ok((mut driver, clock, requests)) => {
            driver.set_trace(trace);
            let checkpoints = CheckpointExchange::new(cluster, driver.node().last().index);
            let (publish, view) = watch::channel(driver.view());
            let links = driver.links_mut().counters();
            let _receiver_gone = started.send(Ok((view, links, requests))).is_err();
            let node = EventLoop {
                driver,
                clock,
                shared: Arc::clone(&shared),
                publish: publish.clone(),
                published: Instant::now(),
                taken: (0, Index(0)),
                requesters: VecDeque::new(),
                match_requests: MatchRequests::new(contact, checkpoints),
                paused: false,
                cut: false,
            };
            // `commands` is dropped last: when a view finds it closed, the reason for the stop is
            // published.
            let run = || runtime.block_on(node.run(&mut commands, &mut program));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                let stopped = Stopped::Panicked(panic_message(&*panic));
                publish.send_modify(|view| view.stopped = Some(stopped.clone()));
                wake_program(&shared);
                tracing::error!(%id, reason = %stopped, "the node stops");
            }
            tracing::info!(%id, "the node has stopped");
        }
    }
    runtime.shutdown_background();
}

fn wake_program(shared: &Shared) {
    // Cloned, so that the lock is not held while the program's callback runs.
    let waker = lock(&shared.waker).0.clone();
    if let Some(waker) = waker {
        waker();
    }
}

/// Opens store and links, inside the runtime that will drive the links. `wake` is signalled when
/// there is work.
pub(crate) fn open(
    options: NodeOptions,
    wake: &Arc<Notify>,
) -> Result<(NodeDriver, Clock, mpsc::Receiver<ServiceRequest>), StartError> {
    let id = options.raft.id;
    // An invalid configuration must not create a store.
    options.raft.validate()?;
    check_frames(&options.raft)?;
    let is_new = !options.store.exists();
    let Some(creation) = options
        .creation
        // Not used to create a store: there is one.
        .or_else(|| (!is_new).then(|| Creation::first(fresh_incarnation())))
    else {
        let file = options.store;
        return Err(StartError::NoStore { file });
    };
    let (mut store, mut restored) = RedbStore::open(
        &options.store,
        &options.mark,
        id,
        &options.cluster,
        creation,
    )?;
    record_founding(&options, &mut store, &mut restored)?;
    check_founders(&options, &restored)?;
    check_keys(&options.store, &restored.founding)?;
    let notify = Arc::clone(wake);
    let store = WriterThread::start(id, store, Arc::new(move || notify.notify_one()))?;
    // Last of all: from here on peers reach this node.
    let (links, requests) = QuicLinks::start(options.links, Arc::clone(wake))?;
    let clock = Clock::start();
    let mut driver = Driver::new(options.raft, restored, store, links, clock.now())?;
    if let Some(signer) = options.signer {
        driver.set_signer(signer);
    }
    Ok((driver, clock, requests))
}

/// Refuses a configuration that allows a message larger than a frame: it could never be sent.
fn check_frames(raft: &Config) -> Result<(), StartError> {
    let bounds = [
        ("max_append_bytes", raft.max_append_bytes),
        ("max_command_bytes", raft.max_command_bytes),
        ("snapshot_chunk", raft.snapshot_chunk),
    ];
    match bounds.iter().find(|(_, bound)| *bound > MAX_CONTENT) {
        Some((name, _)) => Err(StartError::Frame(name, MAX_CONTENT)),
        None => Ok(()),
    }
}

struct EventLoop {
    driver: NodeDriver,
    clock: Clock,
    shared: Arc<Shared>,
    publish: watch::Sender<NodeView>,
    published: Instant,
    /// Last progress of the program that the core received, with its generation.
    taken: (u64, Index),
    /// Requesters of pending membership changes and leadership transfers, in order.
    requesters: VecDeque<Requester>,
    /// Requests about the match.
    match_requests: MatchRequests,
    paused: bool,
    cut: bool,
}

/// Origin of a membership change or leadership transfer.
enum Requester {
    /// The program, which receives the answer.
    Program,
    /// An operator's remote control, which receives no answer and watches the view.
    Operator,
    /// A request about the match, whose answer is in the membership.
    Match,
}

/// Requests of the program that the core has not received yet.
#[derive(Default)]
struct Inbox {
    proposals: Vec<Command>,
    reads: Vec<(ReadId, bool)>,
    program_requests: Vec<ProgramRequest>,
}

impl Inbox {
    /// Takes the waiting requests, up to the size of each queue.
    fn gather(&mut self, program: &mut FromProgram) {
        while self.proposals.len() < PROPOSAL_QUEUE
            && let Ok(command) = program.proposals.try_recv()
        {
            self.proposals.push(command);
        }
        while self.reads.len() < READ_QUEUE
            && let Ok(read) = program.reads.try_recv()
        {
            self.reads.push(read);
        }
        while self.program_requests.len() < PROGRAM_REQUEST_QUEUE
            && let Ok(request) = program.program_requests.try_recv()
        {
            self.program_requests.push(request);
        }
    }
}

impl EventLoop {
    async fn run(
        mut self,
        commands: &mut mpsc::Receiver<ControlCommand>,
        program: &mut FromProgram,
    ) {
        let mut inbox = Inbox::default();
        loop {
            let wake_at = match self.work(program, &mut inbox) {
                Ok(wake_at) => wake_at,
                Err(stopped) => return self.stop_after(stopped),
            };
            let command = tokio::select! {
                biased;
                // Control commands come first: a flood of proposals must not delay a stop.
                command = commands.recv() => Some(command),
                // `Notify` keeps a signal that arrives during a turn, so no wake-up is lost.
                () = self.shared.wake_node.notified() => None,
                received = program.proposals.recv_many(&mut inbox.proposals, PROPOSAL_QUEUE), if !self.paused => {
                    // Zero means a closed queue: the program dropped its handle.
                    if received == 0 { Some(None) } else { None }
                }
                () = tokio::time::sleep_until(wake_at.into()), if !self.paused => None,
            };
            match command {
                // The next turn takes everything that has arrived.
                None => {}
                Some(Some(ControlCommand::Pause(paused))) => {
                    self.paused = paused;
                    self.publish_now();
                    wake_program(&self.shared);
                }
                Some(Some(ControlCommand::Cut(cut))) => {
                    self.cut = cut;
                    self.driver.links_mut().set_cut(cut);
                    self.publish_now();
                    wake_program(&self.shared);
                }
                // A paused node performs nothing, so requests would only pile up.
                Some(Some(ControlCommand::TransferLeadership(_))) if self.paused => {
                    tracing::warn!("leadership not transferred: the node is paused");
                }
                Some(Some(ControlCommand::TransferLeadership(to))) => {
                    self.driver.transfer_leadership(to);
                    self.requesters.push_back(Requester::Operator);
                }
                Some(Some(ControlCommand::Match(request, respond))) => {
                    self.match_requests.add(*request, respond);
                }
                Some(Some(ControlCommand::AddAddresses(found))) => {
                    for (fingerprint, addresses) in found {
                        self.driver
                            .links_mut()
                            .add_addresses(fingerprint, addresses);
                    }
                }
                Some(Some(ControlCommand::Kill)) => return,
                // A closed queue of proposals means that the program dropped its handle: stop
                // gracefully.
                Some(Some(ControlCommand::Stop) | None) => return self.leave().await,
            }
        }
    }

    /// Runs one turn: consensus, deliveries and the program's requests. Returns when to run the
    /// next.
    fn work(&mut self, program: &mut FromProgram, inbox: &mut Inbox) -> Result<Instant, Stopped> {
        if self.paused {
            // Not used: the loop does not sleep on the time while it is paused.
            return Ok(Instant::now());
        }
        // Of the program's queues the loop waits on proposals alone; the others are polled here.
        inbox.gather(program);
        let mut wake_at = self.driver.pump(|| self.clock.now())?;
        let mut updates = self.deliver()?;
        // Pumped again at once, so that a proposal need not wait for the next turn.
        if self.handle_inbox(inbox) {
            wake_at = self.driver.pump(|| self.clock.now())?;
            updates |= self.deliver()?;
        }
        // After the deliveries: entries committed before it still reach the program.
        if let Some(contradiction) = self.driver.contradiction() {
            return Err(contradiction.into());
        }
        let (requested, again) = self.match_requests.serve(&mut self.driver);
        if requested > 0 {
            let of_match = std::iter::repeat_with(|| Requester::Match);
            self.requesters.extend(of_match.take(requested));
            wake_at = self.driver.pump(|| self.clock.now())?;
            updates |= self.deliver()?;
        }
        let mut wake_at = self.clock.instant(wake_at);
        if let Some(again) = again {
            wake_at = wake_at.min(again);
        }
        if !updates && self.published.elapsed() < PUBLISH_EVERY {
            // A change in this turn is published soon, even if nothing else happens.
            return Ok(wake_at.min(self.published + PUBLISH_EVERY));
        }
        // At the rate of publication, off the commit path.
        if let Some(panic) = self.driver.links_mut().take_panic() {
            return Err(Stopped::Panicked(panic));
        }
        self.publish_now();
        wake_program(&self.shared);
        Ok(wake_at)
    }

    /// Moves the core's output to the mailbox; returns whether there was any.
    fn deliver(&mut self) -> Result<bool, Stopped> {
        let mut committed = Vec::new();
        self.driver.deliver(&mut committed);
        let mut responses = self.driver.take_responses();
        responses
            .request_results
            .retain(|result| match (self.requesters.pop_front(), result) {
                (Some(Requester::Program), _) => true,
                // Tried again until the membership shows it.
                (Some(Requester::Match), _) => false,
                (Some(Requester::Operator) | None, Err(refusal)) => {
                    tracing::warn!(%refusal, "leadership not transferred");
                    false
                }
                (Some(Requester::Operator) | None, Ok(())) => false,
            });
        let mut mailbox = lock(&self.shared.mailbox);
        // Under the lock of the delivery, so that a program that gave up receives no more.
        if let Some(reason) = &mailbox.given_up {
            return Err(Stopped::Program(reason.clone()));
        }
        let any = !(committed.is_empty() && responses.is_empty());
        mailbox.deliver(committed, responses);
        Ok(any)
    }

    /// Passes the program's progress and requests to the core; returns whether there were any. It
    /// must follow [`EventLoop::deliver`], so that reports about a state that is being replaced are
    /// dropped.
    fn handle_inbox(&mut self, inbox: &mut Inbox) -> bool {
        let Inbox {
            proposals,
            reads,
            program_requests,
        } = inbox;
        let mut any = !(proposals.is_empty() && reads.is_empty() && program_requests.is_empty());
        // Progress comes first: the core accepts a snapshot only of applied entries.
        let taken = lock(&self.shared.mailbox)
            .taken()
            .filter(|taken| *taken != self.taken);
        if let Some(taken) = taken {
            any = true;
            self.taken = taken;
            self.driver.applied(taken.1);
        }
        if !proposals.is_empty() {
            self.driver.propose(std::mem::take(proposals));
        }
        for (id, lease) in reads.drain(..) {
            // Each at its own time, since a lease may expire during the turn.
            self.driver.read(self.clock.now(), id, lease);
        }
        for request in program_requests.drain(..) {
            self.handle_request(request);
        }
        any
    }

    fn handle_request(&mut self, request: ProgramRequest) {
        match request {
            ProgramRequest::Snapshot(generation, taken) => {
                let mut mailbox = lock(&self.shared.mailbox);
                if mailbox.is_current(generation) {
                    // The program must not wait while the core compacts its log.
                    drop(mailbox);
                    self.driver.take_snapshot(taken);
                } else {
                    // A snapshot of a replaced state is useless: request one of the current state.
                    mailbox.responses.snapshot_due = true;
                }
            }
            ProgramRequest::DeclineSnapshot => self.driver.decline_snapshot(),
            ProgramRequest::StateHash(generation, state) => {
                // A hash of a replaced state would be compared with the wrong history.
                if lock(&self.shared.mailbox).is_current(generation) {
                    self.driver.state_hash(state);
                }
            }
            ProgramRequest::Checkpoint(generation, checkpoint) => {
                if lock(&self.shared.mailbox).is_current(generation) {
                    self.match_requests.checkpoint(&self.driver, checkpoint);
                }
            }
            ProgramRequest::Change(change) => {
                self.driver.change_membership(change);
                // Answers come in the order of the requests, so a queue is enough to route them.
                self.requesters.push_back(Requester::Program);
            }
            ProgramRequest::TransferLeadership(to) => {
                self.driver.transfer_leadership(to);
                self.requesters.push_back(Requester::Program);
            }
        }
    }

    /// Publishes the current view.
    fn publish_now(&mut self) {
        self.published = Instant::now();
        // Unlike `send` it keeps the newest view even without receivers.
        self.publish.send_replace(NodeView {
            paused: self.paused,
            cut: self.cut,
            checkpoints: self.match_requests.known_checkpoints(),
            ..self.driver.view()
        });
    }

    fn stop_after(mut self, stopped: Stopped) {
        tracing::error!(reason = %stopped, "the node stops");
        self.published = Instant::now();
        let view = NodeView {
            stopped: Some(stopped),
            checkpoints: self.match_requests.known_checkpoints(),
            ..self.driver.view()
        };
        self.publish.send_replace(view);
        wake_program(&self.shared);
    }

    /// Stops gracefully: a leader transfers leadership first (thesis 3.10), so that the cluster
    /// need not wait for an election timeout.
    async fn leave(mut self) {
        // A paused node has not run for a while, so its role may be out of date.
        if self.driver.node().role() == RoleKind::Leader && !self.paused {
            self.driver.transfer_leadership(None);
            let deadline = Instant::now() + LEADERSHIP_TRANSFER_TIMEOUT;
            while self.driver.node().role() == RoleKind::Leader && Instant::now() < deadline {
                // After a failed write nothing may be sent, so the links are just dropped.
                let Ok(wake_at) = self.driver.pump(|| self.clock.now()) else {
                    return;
                };
                if self
                    .driver
                    .take_responses()
                    .request_results
                    .iter()
                    .any(Result::is_err)
                {
                    // A leader that was just elected may not have received a reply yet, so the
                    // transfer is retried; one with only silent followers has no successor to wait
                    // for.
                    let status = self.driver.node().status();
                    let longest = self.driver.node().config().max_election_timeout();
                    if status.peers.iter().all(|peer| peer.silent_for >= longest) {
                        break;
                    }
                    self.driver.transfer_leadership(None);
                }
                let until = self.clock.instant(wake_at).min(deadline);
                tokio::select! {
                    () = self.shared.wake_node.notified() => {}
                    () = tokio::time::sleep_until(until.into()) => {}
                }
            }
        }
        self.publish_now();
        let _late = tokio::time::timeout(CLOSE_WAIT, self.driver.links_mut().close(CLOSE_WAIT))
            .await
            .is_err();
    }
}
