//! A window of walking dots, which stands for a game, to measure its frames with a Raft node.
//!
//! [`crate::run`] opens it in a process of its own for each combination. The node is that of the
//! game: the same plugin, store and links.

mod meter;
mod walk;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scene::{Scene, SceneNode, Seen};
use bevy::input::InputPlugin;
use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy_raft::RaftClock;
use bevy_raft::prelude::*;
use raftian_node::cluster::{ClusterError, NodeFile};
use raftian_node::quic::{LinkError, QuicOptions};
use raftian_node::{InlineNode, NodeHandle, StartError};
use raftian_raft::MembershipError;
use serde::{Deserialize, Serialize};

use meter::{Meter, Sent};
use raftian::embedded::node_options;
use raftian::frame_cap;

/// Error of a measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WindowError {
    /// The node's file cannot be used.
    #[error(transparent)]
    File(#[from] ClusterError),
    /// The node's port cannot be opened.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The node's cluster has no members.
    #[error(transparent)]
    Members(#[from] MembershipError),
    /// The node does not start.
    #[error(transparent)]
    Node(#[from] StartError),
    /// The window was closed.
    #[error("the window was closed before everything was measured")]
    Closed,
}

/// Command without effect, proposed at the configured rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nudge;

impl ReplicatedCommand for Nudge {
    const NAME: &'static str = "raftian.dots.nudge/1";
}

/// Shows `scene` until everything is measured.
///
/// # Errors
/// [`WindowError`].
///
/// # Panics
/// Without a display or graphics adapter, as the engine does.
pub(crate) fn show(scene: &Scene) -> Result<Seen, WindowError> {
    let seen = Arc::new(Mutex::new(None));
    let mut app = App::new();
    if scene.headless {
        // The schedules that every game runs, so that their cost is not counted as the node's.
        app.add_plugins((MinimalPlugins, StatesPlugin, TransformPlugin, InputPlugin));
    } else {
        open(&mut app);
    }
    let sent = match &scene.node {
        Some(node) => Some(start_node(&mut app, node)?),
        None => None,
    };
    walk::plugin(&mut app, scene.dots, scene.seed, !scene.headless);
    meter::plugin(&mut app, Meter::new(scene, sent, Arc::clone(&seen)));
    if let Some(fps) = scene.fps {
        frame_cap::plugin(&mut app, fps);
    }
    app.run();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    seen.ok_or(WindowError::Closed)
}

/// Connects the app to its node, and returns the counter of its sent messages.
fn start_node(
    app: &mut App,
    SceneNode { file, in_schedule }: &SceneNode,
) -> Result<Sent, WindowError> {
    let config = NodeFile::read(Path::new(file))?;
    let options = node_options(&config, QuicOptions::bind(&config)?)?;
    let sent: Sent = if *in_schedule {
        let (mut node, clock) = InlineNode::start(options)?;
        let counters = node.driver_mut().links().counters();
        app.add_plugins(RaftPlugin::in_schedule(node, RaftClock::Real(clock)));
        Box::new(move || counters.peers().iter().map(|(_, peer)| peer.sent()).sum())
    } else {
        let node = NodeHandle::start(options)?;
        let control = node.control();
        app.add_plugins(RaftPlugin::new(node));
        Box::new(move || {
            control
                .links()
                .peers()
                .iter()
                .map(|(_, peer)| peer.sent())
                .sum()
        })
    };
    app.add_replicated_command::<Nudge>();
    Ok(sent)
}

fn open(app: &mut App) {
    use bevy::log::LogPlugin;
    use bevy::window::{PresentMode, WindowResolution};
    use bevy::winit::WinitSettings;

    let window = Window {
        title: "Raftian frames".into(),
        name: Some("raftian".into()),
        resolution: WindowResolution::new(walk::WIDTH as u32, walk::HEIGHT as u32),
        // No limit on frames.
        present_mode: PresentMode::AutoNoVsync,
        ..default()
    };
    // The command line has set up the log already.
    app.add_plugins(
        DefaultPlugins
            .set(WindowPlugin {
                primary_window: Some(window),
                ..default()
            })
            .disable::<LogPlugin>(),
    )
    .insert_resource(WinitSettings::continuous())
    .insert_resource(ClearColor(Color::BLACK));
    raftian::window::report_first_frame(app);
}
