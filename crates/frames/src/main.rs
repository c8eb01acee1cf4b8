//! `cargo frames`: the cost of a Raft node for the frames of a game, and of the frames for the
//! node.
//!
//! [`study`] describes the experiment and its decisions, [`run`] starts a process for each window
//! and node, [`window`] is such a window, and [`report`] and [`charts`] present the measurements.

mod board;
mod charts;
mod cli;
mod memory;
mod own_systems;
mod published;
mod report;
mod run;
mod scene;
mod start;
mod study;
mod window;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use raftian::cli::{Exit, Failure};
use raftian::{display, terminal};
use raftian_lab::cli::elections;

use scene::Scene;
use window::WindowError;

/// Environment variable of a window's log level.
const LOG: &str = "RAFTIAN_LOG";

/// Measures frame times of a window with a Raft node in its schedule, in a thread or in a process,
/// and how frames affect orders.
#[derive(Parser)]
#[command(
    name = "frames",
    version,
    after_long_help = report::COLUMNS.help(),
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    process: Option<Process>,
    #[command(flatten)]
    study: cli::Arguments,
}

/// Other measurements, and the processes that the experiment starts.
#[derive(Subcommand)]
enum Process {
    /// Measure the time of a frame with a board of eight seats and 200 marches, without a renderer.
    Board(board::Arguments),
    /// Measure memory while bots play one match after the other, without a renderer.
    Memory(memory::Arguments),
    /// Measure the time from the start to the menu and to a match, without a renderer.
    Start(start::Arguments),
    /// One window.
    #[command(hide = true)]
    Window {
        /// Scene, as JSON.
        scene: String,
    },
    /// One node outside the window.
    #[command(hide = true)]
    Node(elections::NodeArguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.process {
        None => cli::run(&cli.study).unless_output_failed().into(),
        Some(Process::Node(arguments)) => elections::run_node(&arguments).into(),
        Some(Process::Board(arguments)) => exit(board::run(&arguments)),
        Some(Process::Memory(arguments)) => exit(memory::run(&arguments)),
        Some(Process::Start(arguments)) => exit(start::run(&arguments)),
        Some(Process::Window { scene }) => exit(start_log().and_then(|()| show(&scene))),
    }
}

/// Reports a failure and returns the exit code.
fn exit(result: Result<(), Failure>) -> ExitCode {
    let exit = match result {
        Ok(()) if raftian_lab::terminal::output_failed() => {
            terminal::note("frames: cannot write to standard output");
            Exit::Unexpected
        }
        Ok(()) => Exit::Success,
        Err(failure) => {
            terminal::note(&format!("frames: {}", failure.message));
            failure.exit
        }
    };
    terminal::flush();
    ExitCode::from(exit as u8)
}

fn start_log() -> Result<(), Failure> {
    // Without a level only errors: a slow renderer is reported once below the table, not by each
    // window.
    let level = std::env::var(LOG);
    raftian::cli::start_log(level.as_deref().unwrap_or("error"))
}

/// Shows a scene and prints the measurements.
fn show(scene: &str) -> Result<(), Failure> {
    let scene: Scene = serde_json::from_str(scene)
        .map_err(|error| Failure::new(Exit::Usage, format!("the scene cannot be read: {error}")))?;
    let no_display = |error: display::NoDisplay| Failure::new(Exit::NoDisplay, error.to_string());
    let measured = if scene.headless {
        window::show(&scene)
    } else {
        display::check().map_err(no_display)?;
        display::catch_missing(|| window::show(&scene)).map_err(no_display)?
    };
    let seen = measured.map_err(|error| {
        let message = error.to_string();
        match error {
            WindowError::File(error) => error.into(),
            WindowError::Node(error) => error.into(),
            WindowError::Links(_) => Failure::new(Exit::Network, message),
            WindowError::Members(_) => Failure::new(Exit::Configuration, message),
            WindowError::Closed => Failure::new(Exit::Unexpected, message),
        }
    })?;
    let text = serde_json::to_string(&seen)
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    raftian_lab::terminal::write_out(format_args!("{text}\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_commands_parse() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for page in ["README.md", "docs/responsiveness.md"] {
            let text = std::fs::read_to_string(root.join(page)).expect("it is in the repository");
            let text = text.replace("\\\n", " ");
            let commands: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix("cargo "))
                .filter(|line| line.starts_with("frames"))
                .map(|line| line.split('#').next().unwrap_or_default())
                .collect();
            assert!(!commands.is_empty(), "{page}");
            for command in commands {
                if let Err(error) = Cli::try_parse_from(command.split_whitespace()) {
                    panic!("{page}: `cargo {command}`: {error}");
                }
            }
        }
    }
}
