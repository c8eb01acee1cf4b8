//! `raftian` and `raftian play`: the game in a window.

use std::path::PathBuf;
use std::time::Duration;

use bevy::app::AppExit;
use clap::Args;

use super::{Exit, Failure, MemberArgs, node};
use crate::embedded::Embedded;
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
    /// When to take the picture, in seconds after the start.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    after: Option<u32>,
    /// Most frames a second; without it, as many as the display shows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: Option<u32>,
    /// Open the debug overlay at the start, as F3 does.
    #[arg(long)]
    overlay: bool,
}

/// How many nodes an embedded match has: five, as in the original.
const EMBEDDED_NODES: usize = 5;

pub(super) fn run_embedded(flags: &WindowFlags) -> Result<Exit, Failure> {
    need_display()?;
    let (embedded, node) =
        Embedded::start(EMBEDDED_NODES).map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    Ok(ended(&window::play_embedded(embedded, node, &flags.options())))
}

pub(super) fn run_member(args: &PlayArgs) -> Result<Exit, Failure> {
    need_display()?;
    let (node, member) = node::start(&args.member)?;
    Ok(ended(&window::play_member(node, member, &args.window.options())))
}

impl WindowFlags {
    fn options(&self) -> WindowOptions {
        let screenshot = self.screenshot.as_ref().map(|file| ScreenshotPlan {
            file: file.clone(),
            after: Duration::from_secs(self.after.unwrap_or(1).into()),
        });
        WindowOptions { screenshot, frame_cap: self.fps, overlay: self.overlay }
    }
}

fn ended(exit: &AppExit) -> Exit {
    match exit {
        AppExit::Success => Exit::Success,
        AppExit::Error(_) => Exit::Unexpected,
    }
}

const NO_WINDOW: &str = "run a member without a window with `raftian node --config FILE`, \
                         made by `raftian cluster new DIR`; `raftian --help` shows more";

/// Says so before anything starts if there is nowhere to open a window, and turns the engine's panics about a missing
/// display or GPU into the same sentence.
fn need_display() -> Result<(), Failure> {
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(all(unix, not(target_os = "macos"))) && !named("DISPLAY") && !named("WAYLAND_DISPLAY") {
        let message = format!("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); {NO_WINDOW}");
        return Err(Failure::new(Exit::NoDisplay, message));
    }
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        let missing = if text.contains("event loop") {
            Some("the display cannot be opened")
        } else if text.contains("GPU") || text.contains("adapter") {
            Some("there is no GPU and no software renderer (on Debian: apt-get install mesa-vulkan-drivers)")
        } else {
            None
        };
        match missing {
            Some(missing) => {
                eprintln!("raftian: {missing}; {NO_WINDOW}");
                std::process::exit(Exit::NoDisplay as i32);
            }
            None => otherwise(panic),
        }
    }));
    Ok(())
}
