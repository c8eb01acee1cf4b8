//! `raftian` and `raftian play`: the game in a window.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bevy::app::AppExit;
use clap::Args;

use super::output::{DEFAULT_LEVEL, seconds};
use super::signals::{Asked, watch_signals};
use super::window_loss::WindowGuard;
use super::{Exit, Failure, MemberArgs, node};
use crate::embedded::Embedded;
use crate::terminal::{hold_back_libraries, release_libraries};
use crate::view::screenshot::ScreenshotPlan;
use crate::window::{self, WindowOptions};

#[derive(Args, Debug)]
pub(super) struct PlayArgs {
    #[command(flatten)]
    member: MemberArgs,
    #[command(flatten)]
    window: WindowFlags,
}

#[derive(Args, Debug)]
pub(super) struct WindowFlags {
    /// Take a picture of the window, write it to this PNG file, and end.
    #[arg(long, value_name = "FILE", requires = "after")]
    screenshot: Option<PathBuf>,
    /// Time of the picture, in seconds after the start.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    after: Option<f64>,
    /// Maximum frames per second; the default is the display's refresh rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: Option<u32>,
    /// Open the debug overlay at the start, as the first press of F3 does.
    #[arg(long)]
    overlay: bool,
}

/// Number of nodes in an embedded match: five, as in the original.
const EMBEDDED_NODES: usize = 5;

pub(super) fn run_embedded(flags: &WindowFlags, log_level: &str) -> Result<Exit, Failure> {
    need_display()?;
    hold_back(log_level);
    let asked = watch_signals()?;
    let (embedded, node) = Embedded::start(EMBEDDED_NODES)?;
    let _guard = WindowGuard::of_match(embedded.directory(), &asked);
    in_window(&asked, || {
        window::play_embedded(embedded, node, &flags.options(&asked))
    })
}

pub(super) fn run_member(args: &PlayArgs, log_level: &str) -> Result<Exit, Failure> {
    need_display()?;
    let asked = watch_signals()?;
    let (node, member) = node::start(&args.member)?;
    hold_back(log_level);
    let guard = WindowGuard::of_member(
        member.control.clone(),
        &args.member.config,
        log_level,
        &asked,
    );
    let options = args.window.options(&asked);
    let play = || in_window(&asked, || window::play_member(node, member, &options));
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
    fn options(&self, asked: &Asked) -> WindowOptions {
        let screenshot = self.screenshot.as_ref().map(|file| ScreenshotPlan {
            file: file.clone(),
            after: Duration::from_secs_f64(self.after.unwrap_or(1.0)),
        });
        WindowOptions {
            screenshot,
            frame_cap: self.fps,
            overlay: self.overlay,
            end: Arc::clone(&asked.to_end),
        }
    }
}

const NO_WINDOW: &str = "run a member without a window with `raftian node --config FILE`, \
                         made by `raftian cluster new DIR`; `raftian --help` shows more";

/// Fails before anything starts if there is no display for a window.
pub(super) fn need_display() -> Result<(), Failure> {
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // Other systems have no display server that could be missing.
    if cfg!(all(unix, not(target_os = "macos"))) && !named("DISPLAY") && !named("WAYLAND_DISPLAY") {
        let message = format!(
            "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); {NO_WINDOW}"
        );
        return Err(Failure::new(Exit::NoDisplay, message));
    }
    Ok(())
}

/// Withholds messages of the libraries below the renderer from the terminal until the first frame,
/// unless a log level was given.
fn hold_back(log_level: &str) {
    if log_level == DEFAULT_LEVEL {
        hold_back_libraries();
    }
}

/// Runs a window to its end.
fn in_window(asked: &Asked, run: impl FnOnce() -> AppExit) -> Result<Exit, Failure> {
    match or_missing(run)? {
        _ if asked.to_end() => Ok(asked.exit()),
        AppExit::Success => Ok(Exit::Success),
        AppExit::Error(_) => Ok(Exit::Unexpected),
    }
}

/// Turns a panic of the engine about a missing display or GPU into a failure, until the first frame
/// and after unwinding has stopped everything that had started.
pub(super) fn or_missing<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    let otherwise = std::panic::take_hook();
    // A recognised panic becomes a failure below, so its own message is suppressed.
    std::panic::set_hook(Box::new(move |panic| {
        if window::has_drawn() || missing(panic.payload_as_str()).is_none() {
            otherwise(panic);
        }
    }));
    let ran = std::panic::catch_unwind(AssertUnwindSafe(run));
    // The withheld messages may explain why no window came up.
    release_libraries(ran.is_err() && !window::has_drawn());
    ran.map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        match missing(text).filter(|_| !window::has_drawn()) {
            Some(missing) => Failure::new(Exit::NoDisplay, format!("{missing}; {NO_WINDOW}")),
            None => std::panic::resume_unwind(panic),
        }
    })
}

/// Derives the missing part of the system from the text of a panic.
fn missing(panic: Option<&str>) -> Option<&'static str> {
    let text = panic?;
    if text.contains("event loop") {
        Some("the display cannot be opened")
    } else if text.contains("GPU") || text.contains("adapter") {
        Some(
            "there is no GPU and no software renderer (on Debian: apt-get install mesa-vulkan-drivers)",
        )
    } else {
        None
    }
}
