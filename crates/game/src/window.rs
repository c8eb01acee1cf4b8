//! The game in a window: behind it is either one member of a cluster of processes, or a whole match
//! in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bevy::app::PluginGroupBuilder;
use bevy::diagnostic::FrameCount;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::renderer::RenderAdapterInfo;
use bevy::render::settings::WgpuSettings;
use bevy::window::{ExitCondition, PrimaryWindow, WindowCloseRequested, WindowResolution};
use bevy::winit::WinitPlugin;
use bevy_raft::RaftPlugin;
use raftian_node::NodeHandle;
use raftian_node::player::MatchFolders;
use wgpu_types::DeviceType;

use crate::admin::{self, AdminService};
use crate::cli::StoppedMatch;
use crate::divergence_report;
use crate::embedded::{self, Embedded};
use crate::evidence;
use crate::language::Language;
use crate::report_files::{REPORTS, ReportFolder};
use crate::screens::menu::Unfinished;
use crate::screens::practice::MatchFiles;
use crate::screens::with_others::{self, StopRequested};
use crate::screens::{self, Screen};
use crate::settings::{self, Mode, Settings};
use crate::status_document::OwnMember;
use crate::terminal::{note, release_libraries};
use crate::view::screenshot::ScreenshotPlan;
use crate::{audio, crowns, frame_cap, overlay, play, remote, replication, ui, view};

/// Command-line options of the window.
#[derive(Clone, Debug, Default)]
pub struct WindowOptions {
    /// A picture to take before ending.
    pub screenshot: Option<ScreenshotPlan>,
    /// Maximum frames per second; that of the settings if `None`.
    pub frame_cap: Option<u32>,
    /// Show the overlay from the start.
    pub overlay: bool,
    /// The screen to begin with.
    pub screen: Screen,
    /// Folders of the matches that are begun in the window.
    pub folders: Option<MatchFolders>,
    /// File of the player's settings; without one they are the defaults, and are not saved.
    pub settings: Option<PathBuf>,
    /// A match of this player that was not left, which the menu offers to continue.
    pub stopped_match: Option<StoppedMatch>,
    /// Whether a system decides what closing the window does.
    pub is_closed_by_system: bool,
    /// Set when the window must close.
    pub end: Arc<AtomicBool>,
}

/// Whether a window of this process has reached its second frame: then there is a display and a
/// renderer.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// Returns [`DRAWN`].
pub(crate) fn has_drawn() -> bool {
    DRAWN.load(Ordering::Acquire)
}

/// Ends the withholding of messages of the libraries below the renderer at the second frame of this
/// app's window.
pub fn report_first_frame(app: &mut App) {
    app.add_systems(First, |frames: Res<FrameCount>| {
        // The second frame proves that the first one was drawn.
        if frames.0 > 1 && !DRAWN.swap(true, Ordering::AcqRel) {
            release_libraries(false);
        }
    });
}

/// Reports a software renderer, which explains a slow game.
fn note_software_renderer(adapter: Option<Res<RenderAdapterInfo>>) {
    if adapter.is_some_and(|adapter| adapter.device_type == DeviceType::Cpu) {
        note(
            "raftian: no graphics driver found; the window is drawn slowly by a software renderer",
        );
    }
}

/// Opens the main menu, or the screen of `options` with a match of this process. `files` receives
/// the directory of the present match.
pub fn open(
    first: Option<(Embedded, NodeHandle)>,
    files: MatchFiles,
    options: &WindowOptions,
) -> AppExit {
    menu(DefaultPlugins.build(), first, files, options).run()
}

/// The engine without a window system and a renderer, for [`without_display`] and to measure what
/// the game adds to it.
pub fn engine_without_display() -> PluginGroupBuilder {
    let without_renderer = RenderPlugin {
        render_creation: WgpuSettings {
            backends: None,
            ..default()
        }
        .into(),
        ..default()
    };
    DefaultPlugins
        .set(without_renderer)
        .disable::<WinitPlugin>()
}

/// The menu's app without a display, ready for updates: to measure and test everything but the
/// drawing.
pub fn without_display() -> App {
    let options = WindowOptions::default();
    let engine = engine_without_display();
    let mut app = menu(engine, None, MatchFiles::default(), &options);
    app.finish();
    app.cleanup();
    app
}

/// The app of [`open`] on these plugins of the engine.
fn menu(
    engine: PluginGroupBuilder,
    first: Option<(Embedded, NodeHandle)>,
    files: MatchFiles,
    options: &WindowOptions,
) -> App {
    let (embedded, node) = first.unzip();
    let title = embedded
        .as_ref()
        .and_then(Embedded::seat_config)
        .map_or("raftian".to_owned(), |config| config.name.clone());
    let stop = StopRequested(Arc::clone(&options.end));
    let options = WindowOptions {
        // A signal first makes the player leave.
        end: Arc::default(),
        is_closed_by_system: true,
        ..options.clone()
    };
    let mut app = base(engine, &title, node, &options);
    app.insert_resource(files)
        .insert_resource(Unfinished(options.stopped_match.clone()))
        .insert_resource(stop)
        .add_plugins((embedded::plugin, admin::plugin))
        .add_systems(Update, with_others::close_window);
    if let Some(embedded) = embedded {
        app.insert_resource(embedded);
    }
    app
}

/// Plays as one member of a cluster whose other members run elsewhere.
pub fn play_member(mut node: NodeHandle, member: OwnMember, options: &WindowOptions) -> AppExit {
    let requests = node.take_requests();
    let service = requests.map(|requests| AdminService::new(requests, member.clone()));
    let engine = DefaultPlugins.build();
    let mut app = base(engine, &member.config.name, Some(node), options);
    app.insert_resource(member)
        .add_plugins((remote::plugin, admin::plugin));
    if let Some(service) = service {
        app.insert_resource(service);
    }
    app.run()
}

/// Plays as a member of a match that players join. `may_end` is called in every frame with whether
/// the window was closed or a tool asked the member to leave; once it returns true, the window
/// ends.
pub fn play_player(
    mut node: NodeHandle,
    member: OwnMember,
    options: &WindowOptions,
    mut may_end: impl FnMut(bool) -> bool + Send + Sync + 'static,
) -> AppExit {
    let requests = node.take_requests();
    let service = requests.map(|requests| AdminService::new(requests, member.clone()));
    let leave = service
        .as_ref()
        .map_or_else(Arc::default, AdminService::leave_request);
    let options = WindowOptions {
        // A signal first makes the member leave.
        end: Arc::default(),
        is_closed_by_system: true,
        screenshot: options.screenshot.clone().map(|plan| ScreenshotPlan {
            closes_window: true,
            ..plan
        }),
        ..options.clone()
    };
    let engine = DefaultPlugins.build();
    let mut app = base(engine, &member.config.name, Some(node), &options);
    app.insert_resource(member)
        .add_plugins((remote::plugin, admin::plugin));
    if let Some(service) = service {
        app.insert_resource(service);
    }
    app.add_systems(
        Update,
        move |mut closed: MessageReader<WindowCloseRequested>,
              windows: Query<(), With<PrimaryWindow>>,
              mut exit: MessageWriter<AppExit>| {
            let closed = closed
                .read()
                .filter(|closed| windows.contains(closed.window));
            if closed.count() > 0 {
                leave.store(true, Ordering::Release);
            }
            if may_end(leave.load(Ordering::Acquire)) {
                exit.write(AppExit::Success);
            }
        },
    );
    app.run()
}

/// F11 switches between a window and the full screen.
fn switch_full_screen(keys: Res<ButtonInput<KeyCode>>, mut settings: ResMut<Settings>) {
    if keys.just_pressed(KeyCode::F11) {
        settings.video.mode = settings.video.mode.other();
    }
}

/// The window in the shape that the first screen needs.
fn first_window(title: &str, screen: Screen, mode: Mode) -> Window {
    let window = match screen {
        Screen::Classic => view::window(title),
        Screen::Menu | Screen::Match => Window {
            resolution: WindowResolution::new(1280, 800),
            resize_constraints: WindowResizeConstraints {
                min_width: 640.0,
                min_height: 400.0,
                ..default()
            },
            ..view::window(title)
        },
    };
    Window {
        mode: mode.of_window(),
        ..window
    }
}

fn base(
    engine: PluginGroupBuilder,
    title: &str,
    node: Option<NodeHandle>,
    options: &WindowOptions,
) -> App {
    let settings = settings::Loaded::read(options.settings.as_deref());
    let settings = settings.with_usual_language(Language::of_user());
    let mut app = App::new();
    let mode = settings.settings.video.mode;
    let window = WindowPlugin {
        primary_window: Some(first_window(title, options.screen, mode)),
        // The overlay's own window may be open still.
        exit_condition: ExitCondition::OnPrimaryClosed,
        close_when_requested: !options.is_closed_by_system,
        ..default()
    };
    let mut raft = node.map_or_else(RaftPlugin::default, RaftPlugin::new);
    if let Some(folders) = &options.folders {
        raft = raft.with_folders(folders.clone());
    }
    let folders = options.folders.as_ref();
    app.insert_resource(ReportFolder(
        folders.map(|folders| folders.data().join(REPORTS)),
    ));
    // The command line has already set up the log.
    app.add_plugins(engine.set(window).disable::<LogPlugin>())
        // A failure to draw something must not end a match.
        .set_error_handler(bevy::ecs::error::warn)
        .add_plugins((
            replication::configured(raft),
            replication::plugin,
            view::plugin,
            overlay::plugin,
            play::plugin,
            audio::plugin,
            ui::plugin,
            crowns::plugin,
            divergence_report::plugin,
            evidence::plugin,
        ));
    let cap = options.frame_cap.filter(|cap| *cap > 0);
    frame_cap::plugin(&mut app, cap.unwrap_or(0));
    settings::plugin(&mut app, settings, cap.is_some());
    screens::plugin(&mut app, options.screen);
    report_first_frame(&mut app);
    app.add_systems(Startup, note_software_renderer)
        .add_systems(Update, switch_full_screen);
    let end = Arc::clone(&options.end);
    app.add_systems(Update, move |mut exit: MessageWriter<AppExit>| {
        if end.load(Ordering::Acquire) {
            exit.write(AppExit::Success);
        }
    });
    if options.overlay {
        app.insert_resource(overlay::OverlayMode::Full);
    }
    if let Some(plan) = &options.screenshot {
        app.insert_resource(plan.clone());
    }
    app
}

#[cfg(test)]
mod tests;
