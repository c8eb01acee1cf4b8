//! Several apps in one process, over links in memory and a clock moved by hand: for tests of games, without sockets or
//! sleep.

use std::time::Duration;

use bevy_app::{App, TaskPoolPlugin};
use raftian_node::Pumped;
use raftian_node::driver::Driver;
use raftian_node::memory_links::{MemoryLinks, MemoryNetwork};
use raftian_node::store::MemoryStore;
use raftian_raft::{ClientId, Config, Membership, Moment, NodeId, Restored};

use crate::plugin::{RaftClock, RaftPlugin};
use crate::status::RaftStatus;

/// Time between two frames of a [`TestCluster`].
pub const FRAME: Duration = Duration::from_millis(10);

/// Most frames [`TestCluster::run_until`] waits: two minutes of simulated time.
pub const MOST_FRAMES: usize = 12_000;

/// A cluster of apps, one for each node `1..=size`.
pub struct TestCluster {
    apps: Vec<App>,
    network: MemoryNetwork,
    now: Moment,
    stopped: Vec<bool>,
}

impl TestCluster {
    /// `size` headless apps, each with its own node in its schedule; `set_up` adds the game to each.
    ///
    /// # Panics
    /// If `size` is not a possible cluster size.
    pub fn new(size: u64, mut set_up: impl FnMut(&mut App)) -> Self {
        let network = MemoryNetwork::new();
        let membership = Membership::new((1..=size).map(NodeId)).expect("a cluster has 1 to 256 nodes");
        let apps = (1..=size).map(NodeId).map(|id| {
            let config = Config::new(id, membership.clone(), id.0);
            let node = new_node(config, Restored::default(), network.links(id), Moment(0));
            let mut app = App::new();
            app.add_plugins(TaskPoolPlugin::default());
            let plugin = RaftPlugin::in_schedule(node, RaftClock::Manual(Moment(0))).with_client(ClientId(id.0));
            app.add_plugins(plugin);
            set_up(&mut app);
            app.finish();
            app.cleanup();
            app
        });
        TestCluster { apps: apps.collect(), network, now: Moment(0), stopped: vec![false; size as usize] }
    }

    /// The app of node `id`.
    pub fn app(&mut self, id: u64) -> &mut App {
        &mut self.apps[id as usize - 1]
    }

    /// All apps, in order of their ids.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The network, to cut and to mend.
    #[must_use]
    pub fn network(&self) -> &MemoryNetwork {
        &self.network
    }

    /// Time on every node's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Stops updating the app of node `id`, as a closed lid does, or goes on with it.
    pub fn freeze(&mut self, id: u64, frozen: bool) {
        self.stopped[id as usize - 1] = frozen;
    }

    /// One frame of every app that is not frozen.
    pub fn frame(&mut self) {
        self.now = self.now.after(FRAME);
        for (app, stopped) in self.apps.iter_mut().zip(&self.stopped) {
            if !stopped {
                app.insert_resource(RaftClock::Manual(self.now));
                app.update();
            }
        }
    }

    /// Frames until `done` holds.
    ///
    /// # Panics
    /// If it does not hold after [`MOST_FRAMES`].
    pub fn run_until(&mut self, mut done: impl FnMut(&[App]) -> bool) {
        for _ in 0..MOST_FRAMES {
            if done(&self.apps) {
                return;
            }
            self.frame();
        }
        let views: Vec<_> = self.apps.iter().map(|app| app.world().resource::<RaftStatus>()).collect();
        panic!("the condition did not hold within {MOST_FRAMES} frames: {views:#?}");
    }

    /// Frames until every running node knows the same leader; gives its id.
    pub fn elect(&mut self) -> u64 {
        let stopped = self.stopped.clone();
        let leaders = |apps: &[App]| -> Vec<_> {
            let running = apps.iter().zip(&stopped).filter(|(_, stopped)| !**stopped);
            running.map(|(app, _)| app.world().resource::<RaftStatus>().leader()).collect()
        };
        self.run_until(|apps| {
            let leaders = leaders(apps);
            leaders[0].is_some_and(|leader| !stopped[leader.0 as usize - 1]) && leaders.iter().all(|l| *l == leaders[0])
        });
        leaders(&self.apps)[0].expect("it was just seen").0
    }
}

/// A node in memory that its app pumps.
fn new_node(config: Config, restored: Restored, links: MemoryLinks, now: Moment) -> Pumped<MemoryStore, MemoryLinks> {
    let driver = Driver::new(config, restored, MemoryStore::default(), links, now);
    Pumped::new(driver.expect("the default settings work"))
}
