//! The plugin: resources, system sets and their order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor};
use bevy_state::app::{AppExtStates, StatesPlugin};
use raftian_node::Replica;
use raftian_node::player::MatchFolders;
use raftian_raft::ClientId;

use crate::apply::{self, ApplyCommitted, CommandVerifier, CommittedEntry};
use crate::command::{AddReplicatedCommand, CommandRegistry};
use crate::disputes::{self, ReportedDisputes};
use crate::matches::{self, CurrentMatch, MatchState, OwnRules, Session};
use crate::members::{MemberProgress, Members};
use crate::node::{AppliedLog, RaftClock, RaftNode};
use crate::propose::{self, Outbox};
use crate::reads::{self, Reads};
use crate::requests::{self, Requests};
use crate::state::{AddReplicatedState, StateRegistry};
use crate::status::{self, RaftRole, RaftStatus};
use crate::ticks::{self, Tick, TickDemand, Ticker, Ticks};

/// Connects an app to a match. Must be added after `DefaultPlugins` or `StatesPlugin`, if the app
/// has them.
///
/// [`RaftPlugin::default`] begins without a match; [`MatchExt`](crate::MatchExt) starts, joins and
/// leaves one.
#[derive(Default)]
pub struct RaftPlugin {
    node: Mutex<Option<RaftNode>>,
    clock: RaftClock,
    client: Option<ClientId>,
    folders: Option<MatchFolders>,
    ticks: Option<(Duration, bool)>,
    rules: Option<String>,
}

impl RaftPlugin {
    /// A node that runs on its own thread, such as a [`NodeHandle`](raftian_node::NodeHandle).
    pub fn new(node: impl Replica + 'static) -> Self {
        Self::attached(RaftNode::new(node))
    }

    /// Attaches a node that was detached from another app. Insert the [`AppliedLog`] it was
    /// detached with after adding the plugin.
    pub fn attached(node: RaftNode) -> Self {
        RaftPlugin {
            node: Mutex::new(Some(node)),
            ..RaftPlugin::default()
        }
    }

    /// A node that the app's own systems pump, driven by `clock`.
    pub fn in_schedule(node: impl Replica + 'static, clock: RaftClock) -> Self {
        RaftPlugin {
            clock,
            ..Self::new(node)
        }
    }

    /// Uses this client id instead of a fresh one, until the next match begins. It must never have
    /// been used before in the same log.
    #[must_use]
    pub fn with_client(mut self, client: ClientId) -> Self {
        self.client = Some(client);
        self
    }

    /// Keeps the files of matches in these folders. The default is a folder of the user, named
    /// after the executable.
    #[must_use]
    pub fn with_folders(mut self, folders: MatchFolders) -> Self {
        self.folders = Some(folders);
        self
    }

    /// Adds a text to the [`rules`](crate::rules) of this app, such as the hash of its data files:
    /// programs with another one cannot play the same match.
    #[must_use]
    pub fn with_rules(mut self, rules: impl Into<String>) -> Self {
        self.rules = Some(rules.into());
        self
    }

    /// Makes the leader append a [`Tick`] every `interval`, as long as there is a quorum. All
    /// machines of a match must do so, at the same interval. A tick is stored by every member like
    /// any command, and is proposed by the app, so ticks are no more frequent than its frames.
    /// Another member proposes them if the leader's app does not run, with pauses of up to two
    /// intervals and a second.
    #[must_use]
    pub fn with_ticks(mut self, interval: Duration) -> Self {
        self.ticks = Some((interval, false));
        self
    }

    /// As [`with_ticks`](Self::with_ticks), but a [`Tick`] is appended only when the game clock
    /// reaches [`TickDemand`], and at most one per `interval`: for games that know when something
    /// happens next.
    #[must_use]
    pub fn with_ticks_on_demand(mut self, interval: Duration) -> Self {
        self.ticks = Some((interval, true));
        self
    }
}

/// Sets in which the plugin's systems run.
#[derive(SystemSet, Clone, PartialEq, Eq, Hash, Debug)]
pub enum RaftSystems {
    /// `PreUpdate`: pumps the node, if the app does that, and updates [`RaftStatus`],
    /// [`RaftRole`], [`MatchState`] and [`Members`].
    Receive,
    /// `PreUpdate`, after `Receive`: applies committed entries and reports the outcomes of reads
    /// and changes.
    Apply,
    /// `PostUpdate`: submits new and unanswered proposals and reads to the node.
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
        app.insert_resource(Session::new(self.folders.clone(), node.is_some()));
        if let Some(node) = node {
            app.insert_resource(node);
        }
        app.insert_resource(self.clock);
        let client = self.client.unwrap_or_else(raftian_node::fresh_client_id);
        app.insert_resource(Outbox::new(client));
        app.init_resource::<CurrentMatch>()
            .init_resource::<Members>()
            .init_resource::<MemberProgress>()
            .init_resource::<Reads>()
            .init_resource::<Requests>();
        app.init_resource::<AppliedLog>()
            .init_resource::<RaftStatus>()
            .init_resource::<CommandRegistry>();
        app.init_resource::<StateRegistry>();
        app.init_resource::<CommittedEntry>()
            .init_resource::<CommandVerifier>()
            .init_resource::<ReportedDisputes>()
            .init_state::<RaftRole>()
            .init_state::<MatchState>();

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
                (pump.run_if(pumped), status::refresh, matches::advance)
                    .chain()
                    .in_set(RaftSystems::Receive),
                (
                    apply::apply_committed,
                    reads::report_reads.run_if(reads::has_reads),
                    requests::report_changes.run_if(requests::has_requests),
                    disputes::report.run_if(disputes::has_news),
                )
                    .chain()
                    .in_set(RaftSystems::Apply),
            ),
        );
        app.add_systems(
            PostUpdate,
            (
                ticks::propose_ticks.run_if(resource_exists::<Ticker>),
                propose::submit_proposals.run_if(propose::has_pending),
                reads::submit_reads.run_if(reads::has_reads),
                // Pumped again, so that the proposals of this frame leave with this frame.
                pump.run_if(pumped),
            )
                .chain()
                .in_set(RaftSystems::Propose),
        );
        app.insert_resource(OwnRules(self.rules.clone()));
        if let Some((interval, on_demand)) = self.ticks {
            app.add_replicated_command::<Tick>()
                .add_replicated_state::<Ticks>()
                .init_resource::<TickDemand>()
                .insert_resource(Ticker::new(interval, on_demand));
        }
    }

    /// # Panics
    /// If systems of [`ApplyCommitted`] touch the same data and have no definite order.
    fn cleanup(&self, app: &mut App) {
        let built = app
            .world_mut()
            .schedule_scope(ApplyCommitted, |world, schedule| {
                apply::build(world, schedule)
            });
        if let Err(reason) = built {
            panic!("{reason}");
        }
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
