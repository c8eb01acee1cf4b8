//! `raftian` and `raftian play`: the game in a window.

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bevy::app::AppExit;
use clap::Args;
use raftian_node::NodeHandle;

use super::member::PlaceArgs;
use super::output::{DEFAULT_LEVEL, seconds};
use super::profile::{RunningArgs, folders, settings_file, stopped_match};
use super::signals::{StopRequest, watch_signals};
use super::start::resume;
use super::window_loss::WindowGuard;
use super::{Exit, Failure, node};
use crate::display::{self, NoDisplay};
use crate::embedded::Embedded;
use crate::screens::Screen;
use crate::screens::practice::{MEMBERS, MatchFiles};
use crate::status_document::OwnMember;
use crate::terminal::hold_back_libraries;
use crate::view::screenshot::ScreenshotPlan;
use crate::window::{self, WindowOptions};

#[derive(Args, Debug)]
pub(super) struct PlayArgs {
    #[command(flatten)]
    member: RunningArgs,
    #[command(flatten)]
    window: WindowFlags,
}

#[derive(Args, Clone, Debug, Default)]
pub(super) struct WindowFlags {
    /// Take a picture of the window, write it to this PNG file, and end.
    #[arg(long, value_name = "FILE", requires = "after")]
    screenshot: Option<PathBuf>,
    /// Time of the picture, in seconds after the start.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    after: Option<f64>,
    /// Maximum frames per second; the default is that of the settings.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: Option<u32>,
    /// Open the debug overlay at the start, as the first press of F3 does.
    #[arg(long)]
    overlay: bool,
    /// Screen to begin with. The default is the menu, for a match that players join Crowns, and for
    /// a cluster from files classic.
    #[arg(long, value_name = "SCREEN", value_enum)]
    screen: Option<FirstScreen>,
}

/// A screen to begin with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FirstScreen {
    /// The main menu.
    Menu,
    /// Classic mode: click a city to attack it.
    Classic,
    /// A match of Crowns.
    Crowns,
}

impl From<FirstScreen> for Screen {
    fn from(first: FirstScreen) -> Self {
        match first {
            FirstScreen::Menu => Screen::Menu,
            FirstScreen::Classic => Screen::Classic,
            FirstScreen::Crowns => Screen::Match,
        }
    }
}

pub(super) fn run_embedded(flags: &WindowFlags, log_level: &str) -> Result<Exit, Failure> {
    display::check()?;
    hold_back(log_level);
    let stop_request = watch_signals()?;
    let options = flags.options(Screen::Menu, &stop_request);
    let files = MatchFiles::default();
    let first = match options.screen {
        Screen::Menu => None,
        Screen::Classic | Screen::Match => Some(Embedded::start(MEMBERS)?),
    };
    if let Some((embedded, _)) = &first {
        files.set(Some(embedded.directory().to_owned()));
    }
    let _guard = WindowGuard::of_match(files.clone(), &stop_request);
    in_window(&stop_request, || window::open(first, files, &options))
}

pub(super) fn run_member(args: &PlayArgs, log_level: &str) -> Result<Exit, Failure> {
    display::check()?;
    let Some(config) = &args.member.config else {
        let directory = args.member.directory()?;
        return resume(directory, &PlaceArgs::in_window(&args.window), log_level);
    };
    let stop_request = watch_signals()?;
    let (node, member) = node::start(config)?;
    hold_back(log_level);
    let file = ["--config".into(), config.clone().into()];
    let guard = WindowGuard::of_member(member.control.clone(), file, log_level, &stop_request);
    let options = args.window.options(Screen::Classic, &stop_request);
    guarded(guard, &options, &stop_request, || {
        window::play_member(node, member, &options)
    })
}

/// Plays as a member of a match that players join, which continues without a window as `raftian
/// node` with these `arguments`.
pub(super) fn run_player(
    node: NodeHandle,
    member: OwnMember,
    may_end: impl FnMut(bool) -> bool + Send + Sync + 'static,
    arguments: [OsString; 2],
    flags: &WindowFlags,
    log_level: &str,
    stop_request: &StopRequest,
) -> Result<Exit, Failure> {
    hold_back(log_level);
    let control = member.control.clone();
    let guard = WindowGuard::of_member(control, arguments, log_level, stop_request);
    let options = flags.options(Screen::Match, stop_request);
    guarded(guard, &options, stop_request, || {
        window::play_player(node, member, &options, may_end)
    })
}

/// Runs a window to its end; the member behind it continues if the window is lost.
fn guarded(
    guard: WindowGuard,
    options: &WindowOptions,
    stop_request: &StopRequest,
    run: impl FnOnce() -> AppExit,
) -> Result<Exit, Failure> {
    let play = || in_window(stop_request, run);
    match std::panic::catch_unwind(AssertUnwindSafe(play)) {
        // A failed screenshot also ends the window with this code.
        Ok(Ok(Exit::Unexpected)) if options.screenshot.is_none() => {
            Ok(guard.lost("the renderer failed"))
        }
        Ok(ended) => ended,
        Err(panic) => Ok(guard.lost(&raftian_node::panic_message(&*panic))),
    }
}

impl WindowFlags {
    fn options(&self, usual: Screen, stop_request: &StopRequest) -> WindowOptions {
        let screenshot = self.screenshot.as_ref().map(|file| ScreenshotPlan {
            file: file.clone(),
            after: Duration::from_secs_f64(self.after.unwrap_or(1.0)),
            closes_window: false,
        });
        WindowOptions {
            is_closed_by_system: false,
            screenshot,
            frame_cap: self.fps,
            overlay: self.overlay,
            screen: self.screen.map_or(usual, Screen::from),
            // Without one the window refuses to begin a match, with the reason.
            folders: folders().ok(),
            stopped_match: stopped_match(),
            settings: settings_file(),
            end: Arc::clone(&stop_request.to_end),
        }
    }
}

const NO_WINDOW: &str = "run a member without a window with `raftian node --config FILE`, \
                         made by `raftian cluster new DIR`; `raftian --help` shows more";

/// Withholds messages of the libraries below the renderer from the terminal until the first frame,
/// unless a log level was given.
fn hold_back(log_level: &str) {
    if log_level == DEFAULT_LEVEL {
        hold_back_libraries();
    }
}

/// Runs a window to its end.
fn in_window(stop_request: &StopRequest, run: impl FnOnce() -> AppExit) -> Result<Exit, Failure> {
    match display::catch_missing(run)? {
        _ if stop_request.is_made() => Ok(stop_request.exit()),
        AppExit::Success => Ok(Exit::Success),
        AppExit::Error(_) => Ok(Exit::Unexpected),
    }
}

impl From<NoDisplay> for Failure {
    fn from(error: NoDisplay) -> Self {
        Failure::new(Exit::NoDisplay, format!("{error}; {NO_WINDOW}"))
    }
}
