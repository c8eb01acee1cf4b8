//! A whole match in one process: five real nodes over QUIC on loopback, one of them behind this
//! window.
//!
//! Decision: the members without the window run the same headless app as `raftian node`, each on
//! its own thread, and the window can take over any member's seat by moving that member's state,
//! including the node, into itself. Why: killing the leader must never end the match, even if the
//! leader is behind the window. Would change if: a window could show several members at once.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bevy::prelude::*;
use raftian_node::cluster::{self, ClusterError, NodeConfig};
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeControl, NodeHandle, NodeOptions, StartError};
use raftian_raft::{MembershipError, NodeId};

use crate::cluster_view::{AppliedState, ClusterView, Fault, FaultKind, MemberView};
use crate::headless;
use crate::match_directory::MatchDirectory;
use crate::replication::OwnState;
use crate::seat::Seat;
use crate::wake::Wake;

/// Longest wait for a member's thread to surrender its seat, which it does between two updates.
const SURRENDER_WAIT: Duration = Duration::from_secs(2);

/// Reason why an embedded match cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The directory for the members' disks cannot be created.
    #[error(
        "cannot create a directory for the match: {0}; \
         check the space and permissions of the temporary directory"
    )]
    Directory(#[from] std::io::Error),
    /// Keys or ports for the members cannot be obtained.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A member does not start.
    #[error("member {0} failed to start: {1}")]
    Member(NodeId, StartError),
}

/// The members of an embedded match. Dropping it ends them all and removes their disks.
#[derive(Resource)]
pub struct Embedded {
    machines: Vec<Machine>,
    seat: Option<NodeId>,
    /// Declared last, so that it is removed last.
    directory: MatchDirectory,
}

/// One member.
struct Machine {
    config: NodeConfig,
    control: NodeControl,
    /// The thread of its headless app; `None` while it is behind the window or down.
    background: Option<Background>,
}

/// A headless app on its own thread.
struct Background {
    asks: SyncSender<SyncSender<Seat>>,
    wake: Arc<Wake>,
    state: Arc<Mutex<AppliedState>>,
    thread: JoinHandle<()>,
}

/// Options with which the node of `config` starts over `links`.
///
/// # Errors
/// If the cluster has no members.
pub fn node_options(
    config: &NodeConfig,
    links: QuicOptions,
) -> Result<NodeOptions, MembershipError> {
    Ok(NodeOptions::new(config, config.raft_config()?, links))
}

/// Starts the node of `config` over `links`.
///
/// # Errors
/// Those of [`NodeHandle::start`].
pub fn start_node(config: &NodeConfig, links: QuicOptions) -> Result<NodeHandle, StartError> {
    let options =
        node_options(config, links).map_err(|error| StartError::Thread(error.to_string()))?;
    NodeHandle::start(options)
}

impl Embedded {
    /// Starts `nodes` members. Returns the first for the window; the others run on their own.
    ///
    /// # Errors
    /// [`EmbeddedError`]; all members started before are stopped.
    pub fn start(nodes: usize) -> Result<(Self, NodeHandle), EmbeddedError> {
        let directory = MatchDirectory::create(&std::env::temp_dir())?;
        let mut machines = Vec::new();
        let mut first = None;
        for node in cluster::embedded(nodes, "embedded", directory.path())? {
            let id = node.config.id;
            // The socket was bound with the configuration, so that no other program can take its
            // port.
            let links = QuicOptions::new(node.socket, &node.config);
            let handle = start_node(&node.config, links)
                .map_err(|error| EmbeddedError::Member(id, error))?;
            let control = handle.control();
            let background = if first.is_none() {
                first = Some(handle);
                None
            } else {
                Some(Background::start(Seat::fresh(handle), control.clone()))
            };
            machines.push(Machine {
                config: node.config,
                control,
                background,
            });
        }
        let seat = machines.first().map(|machine| machine.config.id);
        match first {
            Some(handle) => Ok((
                Embedded {
                    machines,
                    seat,
                    directory,
                },
                handle,
            )),
            None => Err(std::io::Error::other("a match needs at least one member").into()),
        }
    }

    /// Directory of the members' disks.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Configuration of the member behind the window.
    pub fn seat_config(&self) -> Option<&NodeConfig> {
        self.machines
            .iter()
            .find(|machine| Some(machine.config.id) == self.seat)
            .map(|machine| &machine.config)
    }

    fn machine(&mut self, id: NodeId) -> Option<&mut Machine> {
        self.machines
            .iter_mut()
            .find(|machine| machine.config.id == id)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // All at once: a match that ends needs no successor.
        for machine in &self.machines {
            if machine.control.is_running() {
                machine.control.kill();
            }
        }
        for background in self
            .machines
            .iter_mut()
            .filter_map(|machine| machine.background.take())
        {
            background.end();
        }
    }
}

impl Background {
    fn start(seat: Seat, control: NodeControl) -> Self {
        let (asks, asked) = sync_channel(1);
        let wake = Wake::new();
        let state = Arc::new(Mutex::new(OwnState::founding().0));
        let waker = Arc::clone(&wake);
        control.set_waker(Arc::new(move || waker.raise()));
        let for_thread = Arc::clone(&wake);
        let shown = Arc::clone(&state);
        let thread =
            std::thread::spawn(move || run_background(seat, &control, &asked, &for_thread, &shown));
        Background {
            asks,
            wake,
            state,
            thread,
        }
    }

    fn state(&self) -> AppliedState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the thread and returns its seat; `None` if its node is gone.
    fn surrender(self) -> Option<Seat> {
        let (reply, seat) = sync_channel(1);
        let asked = self.asks.send(reply).is_ok();
        self.wake.raise();
        // A thread that has ended never replies.
        let seat = asked
            .then(|| seat.recv_timeout(SURRENDER_WAIT).ok())
            .flatten();
        self.end();
        seat
    }

    /// Waits for the thread, which ends when its node is gone or its seat can no longer be
    /// requested.
    fn end(self) {
        // The closed channel ends the thread even if its node still runs.
        drop(self.asks);
        self.wake.raise();
        if self.thread.join().is_err() {
            error!("the thread of an embedded member had panicked");
        }
    }
}

fn run_background(
    seat: Seat,
    control: &NodeControl,
    asked: &Receiver<SyncSender<Seat>>,
    wake: &Wake,
    shown: &Mutex<AppliedState>,
) {
    let mut app = headless::app(seat);
    app.finish();
    app.cleanup();
    while control.is_running() {
        app.update();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) =
            app.world().resource::<OwnState>().0;
        match asked.try_recv() {
            Ok(reply) => {
                if let Some(seat) = Seat::take(app.world_mut()) {
                    // If the requester has gone, the seat is dropped and its node stops.
                    let _gone = reply.send(seat).is_err();
                }
                return;
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => wake.wait(headless::MAX_SLEEP),
        }
    }
}

/// The window's side: updates [`ClusterView`], carries out [`Fault`]s, and moves to another seat
/// when its own is gone.
pub fn plugin(app: &mut App) {
    app.init_resource::<ClusterView>()
        .init_resource::<FaultQueue>()
        .add_observer(|fault: On<Fault>, mut queue: ResMut<FaultQueue>| queue.0.push(*fault))
        .add_systems(
            First,
            (carry_out_faults, leave_a_dead_seat)
                .chain()
                .run_if(resource_exists::<Embedded>),
        )
        .add_systems(
            PreUpdate,
            show_members
                .after(bevy_raft::RaftSystems::Apply)
                .run_if(resource_exists::<Embedded>),
        );
}

/// Faults triggered in this frame, carried out at the start of the next.
#[derive(Resource, Default)]
struct FaultQueue(Vec<Fault>);

fn carry_out_faults(world: &mut World) {
    for fault in std::mem::take(&mut world.resource_mut::<FaultQueue>().0) {
        world.resource_scope(|world, mut embedded: Mut<Embedded>| embedded.carry_out(world, fault));
    }
}

fn leave_a_dead_seat(world: &mut World) {
    world.resource_scope(|world, mut embedded: Mut<Embedded>| {
        let seat = embedded.seat;
        let alive = |machine: &&Machine| machine.control.is_running();
        if embedded
            .machines
            .iter()
            .filter(alive)
            .any(|machine| Some(machine.config.id) == seat)
        {
            return;
        }
        let next = embedded
            .machines
            .iter()
            .find(alive)
            .map(|machine| machine.config.id);
        match next {
            Some(next) => embedded.take_seat(world, next),
            // The realm stays in the world, so the window keeps showing the last state.
            None if seat.is_some() => {
                drop(Seat::take(world));
                embedded.seat = None;
            }
            None => {}
        }
    });
}

impl Embedded {
    fn carry_out(&mut self, world: &mut World, fault: Fault) {
        let Some(machine) = self.machine(fault.member) else {
            return;
        };
        match fault.kind {
            FaultKind::Kill => machine.kill(),
            FaultKind::Restart => self.restart(world, fault.member),
            FaultKind::Pause(paused) => machine.control.pause(paused),
            FaultKind::Cut(cut) => machine.control.cut(cut),
            FaultKind::TransferLeadership => machine.control.transfer_leadership(None),
            FaultKind::TakeSeat => self.take_seat(world, fault.member),
        }
    }

    fn restart(&mut self, world: &mut World, id: NodeId) {
        if self.seat == Some(id) {
            // Its window still holds the dead node, which locks the disk's file.
            drop(Seat::take(world));
            self.seat = None;
        }
        let Some(machine) = self
            .machine(id)
            .filter(|machine| !machine.control.is_running())
        else {
            return;
        };
        // The old app must release the dead node before another one opens its store.
        if let Some(background) = machine.background.take() {
            background.end();
        }
        match QuicOptions::bind(&machine.config)
            .map_err(StartError::from)
            .and_then(|links| start_node(&machine.config, links))
        {
            Ok(handle) => {
                machine.control = handle.control();
                machine.background = Some(Background::start(
                    Seat::fresh(handle),
                    machine.control.clone(),
                ));
            }
            Err(error) => error!(%id, %error, "a member failed to restart"),
        }
    }

    /// Puts the window behind the member `id`, and the member that was behind the window into the
    /// background.
    fn take_seat(&mut self, world: &mut World, id: NodeId) {
        if self.seat == Some(id) {
            return;
        }
        // A member that is down has no background app, so its seat cannot be taken.
        let Some(background) = self
            .machine(id)
            .and_then(|machine| machine.background.take())
        else {
            return;
        };
        let Some(seat) = background.surrender() else {
            return;
        };
        let before = self.seat.take();
        // The seat left behind continues in the background if its node still runs.
        if let Some(left) = Seat::take(world)
            && let Some(machine) = before.and_then(|id| self.machine(id))
            && machine.control.is_running()
        {
            machine.background = Some(Background::start(left, machine.control.clone()));
        }
        seat.put(world);
        if let Some(machine) = self.machine(id) {
            // The window updates every frame and needs no waker.
            machine.control.set_waker(Arc::new(|| {}));
        }
        self.seat = Some(id);
    }
}

impl Machine {
    fn kill(&mut self) {
        self.control.kill();
        if let Some(background) = self.background.take() {
            background.end();
        }
    }
}

fn show_members(embedded: Res<Embedded>, own: Res<OwnState>, mut view: ResMut<ClusterView>) {
    let members = embedded.machines.iter().map(|machine| {
        let id = machine.config.id;
        let up = machine.control.is_running();
        let state = match &machine.background {
            Some(background) => Some(background.state()),
            None => (embedded.seat == Some(id)).then_some(own.0),
        };
        let node = Some(machine.control.view());
        MemberView {
            id,
            name: machine.config.name.clone(),
            node,
            up,
            state: state.filter(|_| up),
        }
    });
    *view = ClusterView {
        members: members.collect(),
        seat: embedded.seat,
        embedded: true,
    };
}
