//! Several apps in one process, with links in memory and a manual clock: for tests of games,
//! without sockets or sleep.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy_app::{App, TaskPoolPlugin};
use raftian_node::InlineNode;
use raftian_node::driver::Driver;
use raftian_node::memory_links::{MemoryLinks, MemoryNetwork};
use raftian_node::store::{MemoryStore, Store, StoreError};
use raftian_raft::{Change, ClientId, Config, Membership, Moment, NodeId, Write, WriteNumber};

use crate::node::{RaftClock, RaftNode};
use crate::plugin::RaftPlugin;
use crate::status::RaftStatus;

/// Time between two frames of a [`TestCluster`].
pub const FRAME: Duration = Duration::from_millis(10);

/// Maximum number of frames that [`TestCluster::run_until`] waits: two minutes of simulated time.
pub const MAX_FRAMES: usize = 12_000;

/// A cluster of apps, one for each node `1..=size`.
pub struct TestCluster {
    apps: Vec<App>,
    disks: Vec<Disk>,
    network: MemoryNetwork,
    now: Moment,
    stopped: Vec<bool>,
    settings: Settings,
    plugin: Customize,
    set_up: Box<dyn FnMut(&mut App)>,
    /// Number of apps started so far: each is another client.
    started: u64,
}

type Settings = Box<dyn Fn(&mut Config)>;

type Customize = Box<dyn Fn(RaftPlugin) -> RaftPlugin>;

impl TestCluster {
    /// Creates `size` headless apps, each with its own node in its schedule; `set_up` adds the game
    /// to each.
    ///
    /// # Panics
    /// If `size` is not a possible cluster size.
    pub fn new(size: u64, set_up: impl FnMut(&mut App) + 'static) -> Self {
        Self::with_settings(size, |_| {}, set_up)
    }

    /// The same with other settings than the defaults for every node.
    ///
    /// # Panics
    /// If `size` is not a possible cluster size, or the settings are invalid.
    pub fn with_settings(
        size: u64,
        settings: impl Fn(&mut Config) + 'static,
        set_up: impl FnMut(&mut App) + 'static,
    ) -> Self {
        Self::with_plugin(size, settings, |plugin| plugin, set_up)
    }

    /// The same with a plugin that `plugin` changes, for example by [`RaftPlugin::with_ticks`].
    ///
    /// # Panics
    /// If `size` is not a possible cluster size, or the settings are invalid.
    pub fn with_plugin(
        size: u64,
        settings: impl Fn(&mut Config) + 'static,
        plugin: impl Fn(RaftPlugin) -> RaftPlugin + 'static,
        set_up: impl FnMut(&mut App) + 'static,
    ) -> Self {
        let mut cluster = TestCluster {
            apps: Vec::new(),
            disks: (0..size).map(|_| Disk::default()).collect(),
            network: MemoryNetwork::new(),
            now: Moment(0),
            stopped: vec![false; size as usize],
            settings: Box::new(settings),
            plugin: Box::new(plugin),
            set_up: Box::new(set_up),
            started: 0,
        };
        for id in 1..=size {
            let app = cluster.start(id);
            cluster.apps.push(app);
        }
        cluster
    }

    /// Returns an app for node `id`, restored from its disk.
    fn start(&mut self, id: u64) -> App {
        self.started += 1;
        let members = (1..=self.disks.len() as u64).map(NodeId);
        let membership = Membership::new(members).expect("a cluster has 1 to 256 nodes");
        let mut config = Config::new(NodeId(id), membership, self.started);
        (self.settings)(&mut config);
        let node = new_node(
            config,
            self.disks[id as usize - 1].clone(),
            self.network.links(NodeId(id)),
            self.now,
        );
        let mut app = App::new();
        app.add_plugins(TaskPoolPlugin::default());
        let plugin = RaftPlugin::in_schedule(node, RaftClock::Manual(self.now));
        app.add_plugins((self.plugin)(plugin.with_client(ClientId(self.started))));
        (self.set_up)(&mut app);
        app.finish();
        app.cleanup();
        app
    }

    /// Restarts the app of node `id`: only the content of its disk survives.
    pub fn restart(&mut self, id: u64) {
        self.apps[id as usize - 1] = self.start(id);
    }

    /// The app of node `id`.
    pub fn app(&mut self, id: u64) -> &mut App {
        &mut self.apps[id as usize - 1]
    }

    /// All apps, in order of their ids.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The network, to be cut and healed.
    pub fn network(&self) -> &MemoryNetwork {
        &self.network
    }

    /// Time on every node's clock.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Stops updating the app of node `id`, as a closed lid does, or resumes it.
    pub fn freeze(&mut self, id: u64, frozen: bool) {
        self.stopped[id as usize - 1] = frozen;
    }

    /// Runs one frame of every app that is not frozen.
    pub fn frame(&mut self) {
        self.now = self.now.after(FRAME);
        for (app, stopped) in self.apps.iter_mut().zip(&self.stopped) {
            if !stopped {
                app.insert_resource(RaftClock::Manual(self.now));
                app.update();
            }
        }
    }

    /// Runs frames until `done` returns true.
    ///
    /// # Panics
    /// If it does not within [`MAX_FRAMES`].
    pub fn run_until(&mut self, mut done: impl FnMut(&[App]) -> bool) {
        for _ in 0..MAX_FRAMES {
            if done(&self.apps) {
                return;
            }
            self.frame();
        }
        let views: Vec<_> = self
            .apps
            .iter()
            .map(|app| app.world().resource::<RaftStatus>())
            .collect();
        panic!("the condition did not hold within {MAX_FRAMES} frames: {views:#?}");
    }

    /// Requests a change of the members from the present leader, and returns it.
    ///
    /// # Panics
    /// If the leader's node has stopped.
    pub fn change_members(&mut self, change: Change) -> u64 {
        let leader = self.elect();
        let mut node = self.app(leader).world_mut().resource_mut::<RaftNode>();
        let requested = node.get().change_membership(change);
        requested.expect("the leader's node must run");
        leader
    }

    /// Runs frames until every running node knows the same leader, and returns its id.
    pub fn elect(&mut self) -> u64 {
        let stopped = self.stopped.clone();
        let leaders = |apps: &[App]| -> Vec<_> {
            let running = apps.iter().zip(&stopped).filter(|(_, stopped)| !**stopped);
            running
                .map(|(app, _)| app.world().resource::<RaftStatus>().leader())
                .collect()
        };
        self.run_until(|apps| {
            let leaders = leaders(apps);
            // Followers know a frozen leader until their election timeouts.
            leaders[0].is_some_and(|leader| !stopped[leader.0 as usize - 1])
                && leaders.iter().all(|l| *l == leaders[0])
        });
        leaders(&self.apps)[0]
            .expect("run_until just saw a leader")
            .0
    }
}

/// An in-memory node that its app pumps.
fn new_node(
    config: Config,
    disk: Disk,
    links: MemoryLinks,
    now: Moment,
) -> InlineNode<Disk, MemoryLinks> {
    let restored = disk.lock(|store| {
        // Completions that the earlier node did not receive are not delivered to this one.
        *store = MemoryStore::holding(store.restored());
        store.restored()
    });
    InlineNode::new(
        Driver::new(config, restored, disk, links, now).expect("the settings must be valid"),
    )
}

/// A disk that outlives the node that writes to it.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<MemoryStore>>);

impl Disk {
    fn lock<T>(&self, act: impl FnOnce(&mut MemoryStore) -> T) -> T {
        // Writes are applied whole, so a panic elsewhere leaves nothing to repair.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Disk {
    fn submit(&mut self, write: Write) -> Result<(), StoreError> {
        self.lock(|store| store.submit(write))
    }

    fn completed(&mut self) -> Option<Result<WriteNumber, StoreError>> {
        self.lock(Store::completed)
    }
}
