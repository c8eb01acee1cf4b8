//! The app's part in a match, followed from frame to frame.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use bevy_ecs::prelude::*;
use bevy_state::prelude::*;
use raftian_node::player::{Ended, LocalMember, MatchFolders, Player, PlayerError, Progress};
use raftian_node::{NodeControl, NodeHandle, Stopped};
use raftian_raft::{Config, Index};

use super::{CurrentMatch, MatchFailed, MatchState, rules};
use crate::members;
use crate::node::RaftNode;
use crate::reset;
use crate::state::StateRegistry;
use crate::status::RaftStatus;

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
}

#[derive(Default)]
enum Phase {
    #[default]
    Detached,
    Opening {
        result: Mutex<Receiver<Result<Opened, PlayerError>>>,
        leave: bool,
    },
    Attached {
        /// `None` for a node that the app attached itself, or that a node file describes.
        member: Option<Box<LocalMember>>,
        is_leaving: bool,
        /// It has taken part before, so it no longer joins.
        was_ready: bool,
    },
    Left,
    Failed,
}

/// Opens a match on a thread of its own.
pub(super) fn open(
    world: &mut World,
    act: impl FnOnce(Player, Box<dyn FnOnce(&mut Config)>) -> Result<Opened, PlayerError>
    + Send
    + 'static,
) {
    let takes_snapshots = world.resource::<StateRegistry>().is_used();
    let rules = rules(world);
    world.resource_scope(|world, mut session: Mut<Session>| {
        if session.is_active() || world.contains_resource::<RaftNode>() {
            let reason = "the app takes part in a match already; leave that one first";
            return world.trigger(MatchFailed {
                reason: reason.to_owned(),
            });
        }
        let folders = session.folders.clone().map_or_else(program_folders, Ok);
        // A node that stops may still lock its store.
        let stopping = std::mem::take(&mut session.stopping);
        let (report, result) = sync_channel(1);
        let adjust = Box::new(move |config: &mut Config| {
            if !takes_snapshots {
                config.snapshot_entries = None;
            }
        });
        let opening = move || {
            drop(stopping);
            let opened = folders.and_then(|folders| {
                let player = Player {
                    name: None,
                    rules,
                    listen: None,
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
                *world.resource_mut::<CurrentMatch>() = CurrentMatch::default();
                session.phase = Phase::Opening {
                    result: Mutex::new(result),
                    leave: false,
                };
            }
            Err(error) => session.fail(world, format!("no thread can be started: {error}")),
        }
    });
}

/// Folders of a program that names none: those of its executable.
fn program_folders() -> Result<MatchFolders, PlayerError> {
    let executable = std::env::current_exe().ok();
    let name = executable
        .as_deref()
        .and_then(|path| path.file_stem()?.to_str());
    MatchFolders::of_user(name.unwrap_or("bevy_raft")).map_err(PlayerError::Folders)
}

impl Session {
    pub(crate) fn new(folders: Option<MatchFolders>, is_attached: bool) -> Self {
        let phase = if is_attached {
            Phase::attached(None)
        } else {
            Phase::Detached
        };
        Session {
            folders,
            phase,
            ..Session::default()
        }
    }

    /// Whether the session itself takes part in a match, or begins to.
    fn is_active(&self) -> bool {
        matches!(
            self.phase,
            Phase::Opening { .. }
                | Phase::Attached {
                    member: Some(_),
                    ..
                }
        )
    }

    /// The member of a match that players join.
    fn member(&mut self) -> Option<&mut LocalMember> {
        match &mut self.phase {
            Phase::Attached { member, .. } => member.as_deref_mut(),
            _ => None,
        }
    }

    pub(super) fn leave(&mut self, world: &mut World) {
        match &mut self.phase {
            Phase::Opening { leave, .. } => *leave = true,
            Phase::Attached {
                member: Some(member),
                is_leaving,
                ..
            } => {
                *is_leaving = true;
                member.leave();
            }
            Phase::Attached { member: None, .. } => {
                self.detach(world, "the match was left");
                self.phase = Phase::Left;
            }
            Phase::Detached | Phase::Left | Phase::Failed => world.trigger(MatchFailed {
                reason: "the app takes part in no match".to_owned(),
            }),
        }
    }

    fn fail(&mut self, world: &mut World, reason: String) {
        tracing::error!(reason, "the match has failed");
        self.phase = Phase::Failed;
        world.resource_mut::<CurrentMatch>().failure = Some(reason.clone());
        world.trigger(MatchFailed { reason });
    }

    /// Removes the node from the app and stops it on a thread of its own.
    fn detach(&mut self, world: &mut World, reason: &str) {
        let member = match std::mem::take(&mut self.phase) {
            Phase::Attached { member, .. } => member,
            _ => None,
        };
        let node = world.remove_resource::<RaftNode>();
        reset::end(world, reason);
        let stop = move || {
            drop(node);
            if let Some(mut member) = member
                && let Err(error) = member.record_end()
            {
                tracing::error!(%error, "the end of the member was not recorded");
            }
        };
        // Without a thread the closure is dropped, and with it the node, which stops it here.
        let thread = std::thread::Builder::new().name("stop-node".to_owned());
        self.stopping.0.extend(thread.spawn(stop).ok());
    }

    fn advance(&mut self, world: &mut World) {
        self.stopping.0.retain(|thread| !thread.is_finished());
        match &mut self.phase {
            Phase::Opening { result, leave } => {
                let leave = *leave;
                let opened = result
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner)
                    .try_recv();
                match opened {
                    Ok(Ok(opened)) => self.attach(world, opened, leave),
                    Ok(Err(error)) => self.fail(world, error.to_string()),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => {
                        let reason = "the thread that opened the match has panicked";
                        self.fail(world, reason.to_owned());
                    }
                }
            }
            Phase::Attached { member, .. } => {
                let stopped = world
                    .resource::<RaftStatus>()
                    .view
                    .as_ref()
                    .and_then(|view| view.stopped.clone());
                // A node that the app attached itself is detached by the app.
                if let Some(member) = member {
                    let ended = member.poll();
                    self.look_after(world, ended, stopped);
                }
            }
            Phase::Detached | Phase::Left | Phase::Failed => {
                if world.contains_resource::<RaftNode>() {
                    self.phase = Phase::attached(None);
                }
            }
        }
    }

    fn attach(&mut self, world: &mut World, (node, member): Opened, leave: bool) {
        reset::begin(world);
        let current = match &member {
            Some(member) => CurrentMatch {
                id: Some(member.file().match_id),
                name: member.file().match_name.clone(),
                player: member.config().name.clone(),
                member: Some(member.config().id),
                directory: Some(member.directory().to_owned()),
                code: member.file().code,
                ..CurrentMatch::default()
            },
            None => CurrentMatch {
                member: Some(node.control().view().status.id),
                ..CurrentMatch::default()
            },
        };
        world.insert_resource(current);
        world.insert_resource(RaftNode::new(node));
        self.phase = Phase::attached(member.map(Box::new));
        self.ticket_of = None;
        if leave {
            self.leave(world);
        }
    }

    /// Follows a member of a match that players join.
    fn look_after(&mut self, world: &mut World, ended: Option<Ended>, stopped: Option<Stopped>) {
        if let Some(ended) = ended {
            self.detach(world, "the match was left");
            self.phase = Phase::Left;
            world.resource_mut::<CurrentMatch>().ended = Some(ended);
            return;
        }
        if let Some(stopped) = stopped {
            self.detach(world, &stopped.to_string());
            return self.fail(world, stopped.to_string());
        }
        let Phase::Attached {
            member: Some(member),
            was_ready,
            ..
        } = &mut self.phase
        else {
            return;
        };
        let progress = member.progress();
        *was_ready |= progress == Progress::Ready;
        let mut current = world.resource_mut::<CurrentMatch>();
        let shown = match progress {
            Progress::CatchingUp { applied, of } if !*was_ready => Some((applied, of)),
            _ => None,
        };
        if current.progress != shown {
            current.progress = shown;
        }
    }

    /// Keeps the ticket up to date: it names the members that can be reached.
    fn refresh_ticket(&mut self, world: &mut World) {
        let index = world
            .resource::<RaftStatus>()
            .view
            .as_ref()
            .map(|view| view.status.membership_index);
        if index.is_none() || index == self.ticket_of {
            return;
        }
        if let Some(member) = self.member() {
            let ticket = member.ticket().map(|ticket| ticket.to_string());
            world.resource_mut::<CurrentMatch>().ticket = ticket;
            self.ticket_of = index;
        }
    }

    fn state(&self, status: &RaftStatus) -> MatchState {
        match &self.phase {
            Phase::Detached => MatchState::Detached,
            Phase::Opening { .. } => MatchState::Starting,
            Phase::Left => MatchState::Left,
            Phase::Failed => MatchState::Failed,
            Phase::Attached {
                is_leaving: true, ..
            } => MatchState::Leaving,
            Phase::Attached {
                member: Some(_),
                was_ready: false,
                ..
            } => MatchState::Joining,
            Phase::Attached { .. } => match &status.view {
                None => MatchState::Detached,
                Some(view) if view.stopped.is_some() => MatchState::Failed,
                _ if status.leader().is_some() => MatchState::Running,
                _ => MatchState::NoQuorum,
            },
        }
    }
}

impl Phase {
    fn attached(member: Option<Box<LocalMember>>) -> Self {
        Phase::Attached {
            member,
            is_leaving: false,
            was_ready: false,
        }
    }
}

/// Threads that stop nodes. The program waits for them when it ends: leadership is transferred
/// first.
#[derive(Default)]
struct StoppingNodes(Vec<JoinHandle<()>>);

impl Drop for StoppingNodes {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // The hook of a panic has reported it.
            let _panicked = thread.join().is_err();
        }
    }
}

/// Follows the match: what was opened is attached, what has ended is detached.
pub(crate) fn advance(world: &mut World) {
    world.resource_scope(|world, mut session: Mut<Session>| {
        session.advance(world);
        session.refresh_ticket(world);
        members::refresh(world);
        let seen = session.state(world.resource::<RaftStatus>());
        // Setting a state counts as a transition, even to the same state.
        if *world.resource::<State<MatchState>>().get() != seen {
            world.resource_mut::<NextState<MatchState>>().set(seen);
        }
    });
}

/// Whether proposals have a match to go to. Those of an app that attaches its node itself wait
/// while it attaches another one.
pub(crate) fn takes_part(world: &World) -> bool {
    let phase = &world.resource::<Session>().phase;
    matches!(phase, Phase::Attached { .. }) || world.contains_resource::<RaftNode>()
}

/// Remote control of the attached node, if it has one.
pub(crate) fn control(world: &mut World) -> Option<NodeControl> {
    world.get_resource_mut::<RaftNode>()?.get().control()
}
