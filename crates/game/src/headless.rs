//! A member without a window: the same Bevy app, updated whenever its node has news.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bevy::app::TaskPoolPlugin;
use bevy::diagnostic::FrameCountPlugin;
use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy_raft::prelude::*;
use raftian_node::{NodeHandle, Stopped};

use crate::admin::{self, AdminService};
use crate::divergence_report;
use crate::evidence;
use crate::replication;
use crate::report_files::{REPORTS, ReportFolder};
use crate::seat::Seat;
use crate::status_document::OwnMember;
use crate::wake::Wake;

/// Longest sleep between two updates: pending proposals are checked this often even if the node is
/// silent.
pub const MAX_SLEEP: Duration = Duration::from_millis(100);

/// A headless app in this seat: Bevy's minimum, the plugin, and the game's rules.
pub fn app(seat: Seat) -> App {
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), FrameCountPlugin, StatesPlugin))
        .add_plugins((
            replication::configured(RaftPlugin::attached(seat.node)),
            replication::plugin,
        ))
        .insert_resource(seat.log)
        .insert_resource(seat.realm)
        .insert_resource(seat.table)
        .insert_resource(seat.ticks);
    app
}

/// Runs a member until `may_end` returns true, which is called every [`MAX_SLEEP`] with whether a
/// tool asked the member to leave; then its node transfers leadership and stops.
///
/// # Errors
/// The reason why the node stopped by itself.
pub fn run(
    mut node: NodeHandle,
    member: OwnMember,
    mut may_end: impl FnMut(bool) -> bool,
) -> Result<(), Stopped> {
    let wake = Wake::new();
    let reports = ReportFolder(Some(member.config.data.join(REPORTS)));
    let requests = node.take_requests();
    let service = requests.map(|requests| AdminService::new(requests, member));
    let leave = service
        .as_ref()
        .map_or_else(Arc::default, AdminService::leave_request);
    let waker = Arc::clone(&wake);
    node.control().set_waker(Arc::new(move || waker.raise()));
    let control = node.control();
    let mut app = app(Seat::fresh(node));
    app.add_plugins((admin::plugin, divergence_report::plugin, evidence::plugin))
        .insert_resource(reports);
    if let Some(service) = service {
        app.insert_resource(service);
    }
    app.finish();
    app.cleanup();
    while !may_end(leave.load(Ordering::Acquire)) {
        app.update();
        if !control.is_running() {
            return Err(control.view().stopped.unwrap_or(Stopped::Ended));
        }
        wake.wait(MAX_SLEEP);
    }
    // Dropping the app drops its node, which transfers leadership first.
    drop(app);
    Ok(())
}
