//! The app's part in a match, followed from frame to frame.
//!
//! Observers and commands of the app run whenever the world is flushed, so no resource of the
//! plugin is taken out of the world while an event is triggered.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bevy_ecs::prelude::*;
use bevy_state::prelude::*;
use raftian_node::player::{Ended, LocalMember, MatchFolders, Player, PlayerError, Progress};
use raftian_node::{NodeControl, NodeHandle};
use raftian_raft::{Config, Index};

use super::{CurrentMatch, FailureKind, MatchFailed, MatchState, ToolRequests, rules};
use crate::members;
use crate::node::RaftNode;
use crate::reset;
use crate::state::StateRegistry;
use crate::status::RaftStatus;

/// Pause between two looks at nodes that stop.
const STOPPING_PAUSE: Duration = Duration::from_millis(5);

/// A node that was opened, with its member if it belongs to a match that players join.
pub(super) type Opened = (NodeHandle, Option<LocalMember>);

/// The app's part in a match.
#[derive(Resource, Default)]
pub(crate) struct Session {
    folders: Option<MatchFolders>,
    phase: Phase,
    stopping: StoppingNodes,
    /// Index of the membership that the ticket in [`CurrentMatch`] names.
    ticket_of: Option<Index>,
    /// The failure of a node that the app attached itself was reported.
    is_failure_reported: bool,
}

#[derive(Default)]
enum Phase {
    #[default]
    Detached,
    Opening {
        result: Mutex<Receiver<Result<Opened, PlayerError>>>,
        leave: bool,
    },
    Attached(Attached),
    Left,
    Failed,
}

/// A node in the app.
struct Attached {
    origin: Origin,
    is_leaving: bool,
    /// It has taken part before, so it no longer joins.
    was_ready: bool,
}

/// How a node came into the app.
enum Origin {
    /// As a member of a match that players join.
    Member(Box<LocalMember>),
    /// By a node file.
    NodeFile,
    /// The app attached it itself, and detaches it itself.
    App,
}

/// A step that the session takes in this frame.
enum Step {
    Attach(Box<Opened>, bool),
    Fail(MatchFailed),
    End(Option<Ended>),
}

/// Opens a match on a thread of its own.
pub(super) fn open(
    world: &mut World,
    act: impl FnOnce(Player, Box<dyn FnOnce(&mut Config)>) -> Result<Opened, PlayerError>
    + Send
    + 'static,
) {
    let session = world.resource::<Session>();
    if session.is_active() || world.contains_resource::<RaftNode>() {
        let reason = "the app takes part in a match already; leave that one first";
        return world.trigger(MatchFailed::new(FailureKind::TakesPart, reason));
    }
    let takes_snapshots = world.resource::<StateRegistry>().is_used();
    let rules = rules(world);
    let session = world.resource::<Session>();
    let folders = session.folders.clone().map_or_else(program_folders, Ok);
    let stopping = session.stopping.clone();
    let (report, result) = sync_channel(1);
    let adjust = Box::new(move |config: &mut Config| {
        if !takes_snapshots {
            config.snapshot_entries = None;
        }
    });
    let opening = move || {
        // A node that stops may still lock its store.
        stopping.wait();
        let opened = folders.and_then(|folders| {
            let player = Player {
                name: None,
                rules,
                listen: None,
                addresses: Vec::new(),
                folders,
                directory: None,
            };
            act(player, adjust)
        });
        // An app that has ended wants no match: the node stops here.
        let _ended = report.send(opened).is_err();
    };
    let thread = std::thread::Builder::new().name("open-match".to_owned());
    match thread.spawn(opening) {
        Ok(_) => {
            world.resource_mut::<Session>().phase = Phase::Opening {
                result: Mutex::new(result),
                leave: false,
            };
            *world.resource_mut::<CurrentMatch>() = CurrentMatch::default();
            // Those of a node that the app attached itself before.
            reset::end(world, "another match begins");
        }
        Err(error) => {
            let reason = format!("no thread can be started: {error}");
            fail(world, MatchFailed::new(FailureKind::System, reason))
        }
    }
}

/// Folders of a program that names none: those of its executable.
fn program_folders() -> Result<MatchFolders, PlayerError> {
    let executable = std::env::current_exe().ok();
    let name = executable
        .as_deref()
        .and_then(|path| path.file_stem()?.to_str());
    MatchFolders::of_user(name.unwrap_or("bevy_raft")).map_err(PlayerError::Folders)
}

/// Begins to leave the match, or ends at once what needs no agreement.
pub(super) fn leave(world: &mut World) {
    let mut session = world.resource_mut::<Session>();
    match &mut session.phase {
        Phase::Opening { leave, .. } => *leave = true,
        Phase::Attached(attached) => match &mut attached.origin {
            Origin::Member(member) => {
                attached.is_leaving = true;
                member.leave();
            }
            Origin::NodeFile | Origin::App => end(world, None),
        },
        Phase::Detached | Phase::Left | Phase::Failed => world.trigger(MatchFailed::new(
            FailureKind::NoMatch,
            "the app takes part in no match",
        )),
    }
}

impl Session {
    pub(crate) fn new(folders: Option<MatchFolders>, is_attached: bool) -> Self {
        let phase = if is_attached {
            Phase::attached(Origin::App)
        } else {
            Phase::Detached
        };
        let mut session = Session::default();
        (session.folders, session.phase) = (folders, phase);
        session
    }

    /// Whether the session itself takes part in a match, or begins to.
    fn is_active(&self) -> bool {
        match &self.phase {
            Phase::Opening { .. } => true,
            Phase::Attached(attached) => !matches!(attached.origin, Origin::App),
            Phase::Detached | Phase::Left | Phase::Failed => false,
        }
    }

    /// The member of a match that players join.
    fn member(&mut self) -> Option<&mut LocalMember> {
        match &mut self.phase {
            Phase::Attached(Attached {
                origin: Origin::Member(member),
                ..
            }) => Some(member),
            _ => None,
        }
    }

    /// Finds the next step. `stopped` is the reason if the node has stopped, and `shown` the state
    /// that the app has entered: a result waits until the app has entered the state before it.
    fn next_step(&mut self, stopped: Option<String>, shown: MatchState) -> Option<Step> {
        match &mut self.phase {
            Phase::Opening { result, leave } => {
                let leave = *leave;
                if shown != state_of_opening(leave) {
                    return None;
                }
                let result = result.get_mut().unwrap_or_else(PoisonError::into_inner);
                match result.try_recv() {
                    Ok(Ok(opened)) => Some(Step::Attach(Box::new(opened), leave)),
                    Ok(Err(_)) if leave => Some(Step::End(None)),
                    Ok(Err(error)) => Some(Step::Fail(error.into())),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => {
                        let reason = "the thread that opened the match has panicked";
                        Some(Step::Fail(MatchFailed::new(FailureKind::System, reason)))
                    }
                }
            }
            Phase::Attached(attached) => {
                if let Origin::Member(member) = &mut attached.origin {
                    if attached.is_leaving && shown != MatchState::Leaving {
                        return None;
                    }
                    if let Some(ended) = member.poll() {
                        return Some(Step::End(Some(ended)));
                    }
                }
                stopped
                    .filter(|_| !matches!(attached.origin, Origin::App))
                    .map(|reason| Step::Fail(MatchFailed::new(FailureKind::Stopped, reason)))
            }
            Phase::Detached | Phase::Left | Phase::Failed => None,
        }
    }

    /// Follows the progress of a member until it takes part; returns it until then.
    fn progress(&mut self, has_leader: bool) -> Option<(u64, u64)> {
        if let Phase::Attached(Attached {
            origin: Origin::NodeFile,
            was_ready,
            ..
        }) = &mut self.phase
        {
            *was_ready |= has_leader;
        }
        let Phase::Attached(Attached {
            origin: Origin::Member(member),
            was_ready: was_ready @ false,
            ..
        }) = &mut self.phase
        else {
            return None;
        };
        match member.progress() {
            Progress::Waiting => None,
            Progress::CatchingUp { applied, of } => Some((applied, of)),
            Progress::Ready => {
                *was_ready = true;
                None
            }
        }
    }

    fn state(&self, status: &RaftStatus) -> MatchState {
        match &self.phase {
            Phase::Detached => MatchState::Detached,
            Phase::Opening { leave, .. } => state_of_opening(*leave),
            Phase::Left => MatchState::Left,
            Phase::Failed => MatchState::Failed,
            Phase::Attached(attached) => match (&attached.origin, &status.view) {
                _ if attached.is_leaving => MatchState::Leaving,
                (Origin::Member(_) | Origin::NodeFile, _) if !attached.was_ready => {
                    MatchState::Joining
                }
                (Origin::App, None) => MatchState::Detached,
                (_, Some(view)) if view.stopped.is_some() => MatchState::Failed,
                _ if status.leader().is_some() => MatchState::Running,
                _ => MatchState::NoQuorum,
            },
        }
    }
}

fn state_of_opening(leave: bool) -> MatchState {
    if leave {
        MatchState::Leaving
    } else {
        MatchState::Starting
    }
}

impl Phase {
    fn attached(origin: Origin) -> Self {
        Phase::Attached(Attached {
            origin,
            is_leaving: false,
            was_ready: false,
        })
    }
}

/// Begins to take part as the opened member.
fn attach(world: &mut World, (mut node, member): Opened, leaves: bool) {
    let current = match &member {
        Some(member) => CurrentMatch {
            id: Some(member.file().match_id),
            name: member.file().match_name.clone(),
            player: member.config().name.clone(),
            member: Some(member.config().id),
            directory: Some(member.directory().to_owned()),
            ..CurrentMatch::default()
        },
        None => CurrentMatch {
            member: Some(node.control().view().status.id),
            ..CurrentMatch::default()
        },
    };
    if let Some(member) = &member
        && let Some(requests) = node.take_requests()
    {
        world.insert_resource(ToolRequests::new(requests, member));
    }
    let origin = member.map_or(Origin::NodeFile, |member| Origin::Member(Box::new(member)));
    let mut session = world.resource_mut::<Session>();
    session.phase = Phase::attached(origin);
    session.ticket_of = None;
    *world.resource_mut::<CurrentMatch>() = current;
    reset::begin(world, RaftNode::new(node));
    if leaves {
        leave(world);
    }
}

/// Begins to take part through a node that the app started itself.
pub(super) fn attach_own(world: &mut World, node: RaftNode) {
    if world.resource::<Session>().is_active() {
        let reason = "the app takes part in a match already; leave that one first";
        return world.trigger(MatchFailed::new(FailureKind::TakesPart, reason));
    }
    reset::end(world, "another match begins");
    world.resource_mut::<Session>().phase = Phase::attached(Origin::App);
    *world.resource_mut::<CurrentMatch>() = CurrentMatch::default();
    reset::begin(world, node);
}

fn fail(world: &mut World, failed: MatchFailed) {
    tracing::error!(reason = failed.reason, "the match has failed");
    detach(world, Phase::Failed, &failed.reason);
    world.resource_mut::<CurrentMatch>().failure = Some(failed.clone());
    world.trigger(failed);
}

fn end(world: &mut World, ended: Option<Ended>) {
    world.resource_mut::<CurrentMatch>().ended = ended;
    detach(world, Phase::Left, "the match was left");
}

/// Removes the node from the app and stops it on a thread of its own.
fn detach(world: &mut World, next: Phase, reason: &str) {
    let phase = std::mem::replace(&mut world.resource_mut::<Session>().phase, next);
    let mut member = match phase {
        Phase::Attached(Attached {
            origin: Origin::Member(member),
            ..
        }) => Some(member),
        _ => None,
    };
    world.remove_resource::<ToolRequests>();
    let node = world.remove_resource::<RaftNode>();
    let stop = move || {
        drop(node);
        if let Some(member) = &mut member
            && let Err(error) = member.record_end()
        {
            tracing::error!(%error, "the end of the member was not recorded");
        }
    };
    // Without a thread the closure is dropped, and with it the node, which stops it here.
    let thread = std::thread::Builder::new().name("stop-node".to_owned());
    let stopping = world.resource::<Session>().stopping.clone();
    stopping.lock().extend(thread.spawn(stop).ok());
    reset::end(world, reason);
}

/// Threads that stop nodes. The program waits for them when it ends: leadership is transferred
/// first.
#[derive(Clone, Default)]
struct StoppingNodes(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl StoppingNodes {
    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all nodes have stopped.
    fn wait(&self) {
        while !self.lock().iter().all(JoinHandle::is_finished) {
            std::thread::sleep(STOPPING_PAUSE);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stopping.wait();
    }
}

/// Follows the match: what was opened is attached, what has ended is detached.
pub(crate) fn advance(world: &mut World) {
    let status = world.resource::<RaftStatus>().view.as_ref();
    let stopped = status.and_then(|view| view.stopped.as_ref().map(ToString::to_string));
    let has_node = world.contains_resource::<RaftNode>();
    let shown = *world.resource::<State<MatchState>>().get();
    let mut session = world.resource_mut::<Session>();
    session
        .stopping
        .lock()
        .retain(|thread| !thread.is_finished());
    if has_node && matches!(session.phase, Phase::Detached | Phase::Left | Phase::Failed) {
        session.phase = Phase::attached(Origin::App);
    }
    match session.next_step(stopped.clone(), shown) {
        Some(Step::Attach(opened, leave)) => attach(world, *opened, leave),
        Some(Step::Fail(failed)) => fail(world, failed),
        Some(Step::End(ended)) => end(world, ended),
        None => report_failure(world, stopped),
    }
    let has_leader = world.resource::<RaftStatus>().leader().is_some();
    let progress = world.resource_mut::<Session>().progress(has_leader);
    let mut current = world.resource_mut::<CurrentMatch>();
    if current.progress != progress {
        current.progress = progress;
    }
    refresh_ticket(world);
    members::refresh(world);
    let seen = world
        .resource::<Session>()
        .state(world.resource::<RaftStatus>());
    // Setting a state counts as a transition, even to the same state.
    if shown != seen {
        world.resource_mut::<NextState<MatchState>>().set(seen);
    }
}

/// Reports once that a node has stopped which the app attached itself; the app may attach another.
fn report_failure(world: &mut World, stopped: Option<String>) {
    let mut session = world.resource_mut::<Session>();
    if !matches!(
        session.phase,
        Phase::Attached(Attached {
            origin: Origin::App,
            ..
        })
    ) {
        return;
    }
    let was_reported = std::mem::replace(&mut session.is_failure_reported, stopped.is_some());
    match stopped {
        Some(reason) if !was_reported => {
            let failed = MatchFailed::new(FailureKind::Stopped, reason);
            world.resource_mut::<CurrentMatch>().failure = Some(failed.clone());
            world.trigger(failed);
        }
        None if was_reported => world.resource_mut::<CurrentMatch>().failure = None,
        Some(_) | None => {}
    }
}

/// Keeps the code and the ticket up to date: it names the members that can be reached, and is gone
/// once its invite is revoked.
fn refresh_ticket(world: &mut World) {
    let view = world.resource::<RaftStatus>().view.as_ref();
    let index = view.map(|view| view.status.membership_index);
    let mut session = world.resource_mut::<Session>();
    if index.is_none() || index == session.ticket_of {
        return;
    }
    if let Some(member) = session.member() {
        let (code, ticket) = (member.code(), member.ticket());
        session.ticket_of = index;
        let mut current = world.resource_mut::<CurrentMatch>();
        current.code = code;
        current.ticket = ticket.map(|ticket| ticket.to_string());
    }
}

/// Whether proposals have a match to go to. Those of an app that attaches its node itself wait
/// while it attaches another one.
pub(crate) fn takes_part(world: &World) -> bool {
    let phase = &world.resource::<Session>().phase;
    matches!(phase, Phase::Attached(_)) || world.contains_resource::<RaftNode>()
}

/// Remote control of the attached node, if it has one.
pub(crate) fn control(world: &mut World) -> Option<NodeControl> {
    world.get_resource_mut::<RaftNode>()?.get().control()
}
