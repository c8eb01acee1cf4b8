//! The plugin: resources, system sets and their order.

use std::sync::{Mutex, PoisonError};

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor};
use bevy_state::app::{AppExtStates, StatesPlugin};
use raftian_node::Replica;
use raftian_raft::ClientId;

use crate::apply::{self, ApplyCommitted, CommittedEntry};
use crate::command::CommandRegistry;
use crate::node::{AppliedLog, RaftClock, RaftNode};
use crate::propose::{self, Outbox};
use crate::state::StateRegistry;
use crate::status::{self, RaftRole, RaftStatus};

/// Connects an app to its node. Must be added after `DefaultPlugins` or `StatesPlugin`, if the app
/// has them.
pub struct RaftPlugin {
    node: Mutex<Option<RaftNode>>,
    clock: RaftClock,
    client: ClientId,
}

impl RaftPlugin {
    /// A node that runs on its own thread, such as a [`NodeHandle`](raftian_node::NodeHandle). The
    /// default.
    pub fn new(node: impl Replica + 'static) -> Self {
        Self::attached(RaftNode::new(node))
    }

    /// Attaches a node that was detached from another app. Insert the [`AppliedLog`] it was
    /// detached with after adding the plugin.
    pub fn attached(node: RaftNode) -> Self {
        RaftPlugin {
            node: Mutex::new(Some(node)),
            clock: RaftClock::Elsewhere,
            client: raftian_node::fresh_client_id(),
        }
    }

    /// A node that the app's own systems pump, driven by `clock`.
    pub fn in_schedule(node: impl Replica + 'static, clock: RaftClock) -> Self {
        RaftPlugin {
            clock,
            ..Self::new(node)
        }
    }

    /// Uses this client id instead of a fresh one. It must never have been used before in the same
    /// log.
    #[must_use]
    pub fn with_client(mut self, client: ClientId) -> Self {
        self.client = client;
        self
    }
}

/// Sets in which the plugin's systems run.
#[derive(SystemSet, Clone, PartialEq, Eq, Hash, Debug)]
pub enum RaftSystems {
    /// `PreUpdate`: pumps the node, if the app does that, and updates [`RaftStatus`] and
    /// [`RaftRole`].
    Receive,
    /// `PreUpdate`, after `Receive`: applies committed entries.
    Apply,
    /// `PostUpdate`: submits new and unanswered proposals to the node.
    Propose,
}

impl Plugin for RaftPlugin {
    fn build(&self, app: &mut App) {
        // `DefaultPlugins` includes it, but a headless app may lack it.
        if !app.is_plugin_added::<StatesPlugin>() {
            app.add_plugins(StatesPlugin);
        }
        let node = self
            .node
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        app.insert_resource(node.expect("RaftPlugin must be built only once"));
        app.insert_resource(self.clock);
        app.insert_resource(Outbox::new(self.client));
        app.init_resource::<AppliedLog>()
            .init_resource::<RaftStatus>()
            .init_resource::<CommandRegistry>();
        app.init_resource::<StateRegistry>();
        app.init_resource::<CommittedEntry>()
            .init_state::<RaftRole>();

        app.init_schedule(ApplyCommitted)
            .edit_schedule(ApplyCommitted, |schedule| {
                // One entry is little work: threads would cost more than they gain, and an
                // ambiguous order would be a divergence.
                schedule.set_executor(SingleThreadedExecutor::new());
                schedule.set_build_settings(ScheduleBuildSettings {
                    ambiguity_detection: LogLevel::Error,
                    ..ScheduleBuildSettings::default()
                });
            });

        app.configure_sets(
            PreUpdate,
            (RaftSystems::Receive, RaftSystems::Apply).chain(),
        );
        // Each system that runs costs a switch of threads, which is more than most of these do. So
        // the app pumps only a node without a thread of its own, and submits only while proposals
        // are pending.
        let pumped = |clock: Res<RaftClock>| !matches!(*clock, RaftClock::Elsewhere);
        app.add_systems(
            PreUpdate,
            (
                (pump.run_if(pumped), status::refresh)
                    .chain()
                    .in_set(RaftSystems::Receive),
                apply::apply_committed.in_set(RaftSystems::Apply),
            ),
        );
        app.add_systems(
            PostUpdate,
            (
                propose::submit_proposals.run_if(propose::has_pending),
                // Pumped again, so that the proposals of this frame leave with this frame.
                pump.run_if(pumped),
            )
                .chain()
                .in_set(RaftSystems::Propose),
        );
    }
}

fn pump(node: Option<ResMut<RaftNode>>, clock: Res<RaftClock>) {
    let Some(mut node) = node else { return };
    match *clock {
        RaftClock::Elsewhere => {}
        RaftClock::Real(clock) => node.get().pump(&|| clock.now()),
        RaftClock::Manual(now) => node.get().pump(&|| now),
    }
}
