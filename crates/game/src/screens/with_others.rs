//! Matches with others, founded or joined from the menu.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy::window::{PrimaryWindow, WindowCloseRequested};
use bevy_raft::prelude::*;
use bevy_raft::{
    CurrentMatch, FailureKind, MatchFailed, MatchState, Members, Refusal, ToolRequests,
};

use super::Screen;
use super::menu::Unfinished;
use super::practice::{self, LastFailure};
use crate::admin::AdminService;
use crate::cli::set_current;
use crate::cluster_view::{ClusterView, MemberView};
use crate::crowns::words;
use crate::embedded::Embedded;
use crate::replication::OwnState;
use crate::status_document::OwnMember;
use crate::terminal::note;

/// Longest wait for the others to agree that this player leaves, when the window is closed.
const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// A match of this window, neither one of this process nor that of a member started by the command
/// line.
fn is_with_others(embedded: Option<Res<Embedded>>, member: Option<Res<OwnMember>>) -> bool {
    embedded.is_none() && member.is_none()
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(show_failure)
        .add_systems(OnEnter(MatchState::Running), enter.run_if(is_with_others))
        .add_systems(
            OnEnter(Screen::Menu),
            leave.run_if(is_with_others).before(practice::end),
        )
        .add_systems(
            PreUpdate,
            (
                serve_tools.run_if(resource_added::<ToolRequests>),
                end_service.run_if(resource_removed::<ToolRequests>),
                leave_for_tool.run_if(resource_exists::<AdminService>),
            )
                .run_if(is_with_others)
                .before(RaftSystems::Apply),
        )
        .add_systems(
            PreUpdate,
            show_members
                .after(RaftSystems::Apply)
                .run_if(is_with_others.and_then(resource_changed::<RaftStatus>)),
        );
}

/// Shows the match once its commands are committed.
fn enter(
    screen: Res<State<Screen>>,
    current: Res<CurrentMatch>,
    mut unfinished: ResMut<Unfinished>,
    mut next: ResMut<NextState<Screen>>,
) {
    if *screen.get() != Screen::Menu {
        return;
    }
    next.set(Screen::Match);
    unfinished.0 = None;
    if let Some(ticket) = &current.ticket {
        note(&format!(
            "raftian: others join with this ticket, also from elsewhere: {ticket}"
        ));
    }
}

/// Lets the command line find the match that the window takes part in.
fn serve_tools(
    mut tools: ResMut<ToolRequests>,
    current: Res<CurrentMatch>,
    mut commands: Commands,
) {
    let Some(requests) = tools.take() else { return };
    let member = OwnMember {
        config: tools.config().clone(),
        control: tools.control().clone(),
    };
    commands.insert_resource(AdminService::new(requests, member));
    if let Some(directory) = &current.directory {
        set_current(directory);
    }
}

fn end_service(mut commands: Commands) {
    commands.remove_resource::<AdminService>();
}

/// `raftian leave` leads back to the menu.
fn leave_for_tool(service: Res<AdminService>, mut next: ResMut<NextState<Screen>>) {
    if service.leave_request().swap(false, Ordering::AcqRel) {
        next.set(Screen::Menu);
    }
}

/// The menu ends the part in a match.
fn leave(state: Res<State<MatchState>>, mut commands: Commands) {
    if is_active(*state.get()) {
        commands.leave_match();
    }
}

/// Whether there is a match to leave.
fn is_active(state: MatchState) -> bool {
    match state {
        MatchState::Starting | MatchState::Joining | MatchState::Running | MatchState::NoQuorum => {
            true
        }
        MatchState::Detached | MatchState::Leaving | MatchState::Left | MatchState::Failed => false,
    }
}

/// Shows in the menu why a match could not be entered, or was lost.
fn show_failure(
    failed: On<MatchFailed>,
    screen: Res<State<Screen>>,
    embedded: Option<Res<Embedded>>,
    member: Option<Res<OwnMember>>,
    mut failure: ResMut<LastFailure>,
    mut next: ResMut<NextState<Screen>>,
) {
    if embedded.is_some() || member.is_some() {
        return;
    }
    failure.0 = Some(failure_text(&failed));
    if *screen.get() == Screen::Match {
        next.set(Screen::Menu);
    }
}

/// Why a match could not be entered, or was lost.
pub(super) fn failure_text(failed: &MatchFailed) -> String {
    let reason = words::sentence(&failed.reason);
    match &failed.kind {
        FailureKind::TakesPart => text!("take part|{reason}", reason),
        FailureKind::NoMatch => text!("no match|{reason}", reason),
        FailureKind::Input => text!("input|{reason}", reason),
        FailureKind::Refused(refusal) => refusal_text(refusal, &reason),
        FailureKind::Unreachable => text!("unreachable|{reason}", reason),
        FailureKind::Version => text!("version|{reason}", reason),
        FailureKind::Listen => text!("listen|{reason}", reason),
        FailureKind::Files => text!("files|{reason}", reason),
        FailureKind::Stopped => text!("stopped|{reason}", reason),
        _ => text!("system|{reason}", reason),
    }
}

/// Why a match does not admit this machine; `reason` is in English.
fn refusal_text(refusal: &Refusal, reason: &str) -> String {
    match refusal {
        Refusal::NoCode => text!("This match has no code; ask a member for a ticket"),
        Refusal::WrongSecret(invite) => text!(
            "The secret in the ticket is not that of invite {invite}; ask a member for a fresh \
             ticket",
            invite
        ),
        Refusal::UsedUp(invite) => {
            text!(
                "Invite {invite} is used up; ask a member for a fresh ticket",
                invite
            )
        }
        Refusal::Full(players) => text!(
            "The match is full: it has {players} players. You can still watch it.",
            players
        ),
        Refusal::NameTaken(name) => text!(
            "A member is named \"{name}\" already; choose another name",
            name
        ),
        _ => text!("refused|{reason}", reason),
    }
}

fn show_members(
    members: Res<Members>,
    status: Res<RaftStatus>,
    own: Res<OwnState>,
    mut view: ResMut<ClusterView>,
) {
    let shown = members.0.iter().map(|member| MemberView {
        id: member.id,
        name: member.name.clone().unwrap_or_else(|| member.id.to_string()),
        node: status.view.clone().filter(|_| member.is_local),
        up: member.is_local || member.connected,
        state: member.is_local.then_some(own.0),
    });
    *view = ClusterView {
        members: shown.collect(),
        seat: members.local().map(|own| own.id),
        embedded: false,
    };
}

/// Set when a signal ends the program.
#[derive(Resource, Default)]
pub(crate) struct StopRequested(pub(crate) Arc<AtomicBool>);

/// Closes the window, also for a signal: a match with others is left first, so that they need not
/// wait for this player.
pub(crate) fn close_window(
    mut closed: MessageReader<WindowCloseRequested>,
    windows: Query<(), With<PrimaryWindow>>,
    stop: Res<StopRequested>,
    state: Res<State<MatchState>>,
    embedded: Option<Res<Embedded>>,
    time: Res<Time<Real>>,
    mut leaving_since: Local<Option<Duration>>,
    mut commands: Commands,
    mut exit: MessageWriter<AppExit>,
) {
    let state = *state.get();
    // The flag stays set: the exit code follows from it.
    let is_stopped = stop.0.load(Ordering::Acquire) && leaving_since.is_none();
    let closed = closed
        .read()
        .filter(|closed| windows.contains(closed.window));
    let is_closed = closed.count() > 0;
    if is_closed || is_stopped {
        let is_leaving = state == MatchState::Leaving;
        let is_in_match = is_active(state) || is_leaving;
        if embedded.is_some() || !is_in_match || leaving_since.is_some() {
            exit.write(AppExit::Success);
            return;
        }
        if !is_leaving {
            commands.leave_match();
        }
        *leaving_since = Some(time.elapsed());
    }
    let Some(since) = *leaving_since else { return };
    let is_over = !is_active(state) && state != MatchState::Leaving;
    if is_over || time.elapsed().saturating_sub(since) >= LEAVE_WAIT {
        exit.write(AppExit::Success);
    }
}
