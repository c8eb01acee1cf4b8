//! One window, and its processes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use raftian_raft::NodeId;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::scene::{Scene, SceneNode, Seen};
use super::{Cell, NODES, Server, Study, WARM_UP};
use crate::child_process::{self, Processes};
use crate::elections::values::Span;
use crate::report::parallel;

/// Cluster member of the window, which leads.
const LEADER: NodeId = NodeId(1);

/// Time limit for a window to open, to wait for its node, and to close.
const PATIENCE: Duration = Duration::from_secs(90);

/// Interval of checks whether a window has exited.
const GLANCE: Duration = Duration::from_millis(20);

/// The game's exit code without a display.
const NO_DISPLAY: i32 = 11;

/// Environment variable of a window's log level.
const LOG: &str = "RAFTIAN_LOG";

/// Program that opens windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Program {
    /// This program.
    Own,
    /// Another program, a build of the game.
    Game(PathBuf),
}

/// Program and mode of windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Program that opens them.
    pub program: Program,
    /// Whether windows stay closed and only their schedules run.
    pub headless: bool,
}

/// Reason why a cell could not be measured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MeasureError {
    /// No display or graphics adapter.
    #[error("there is no display or no graphics adapter")]
    NoDisplay,
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for MeasureError {
    fn from(reason: String) -> Self {
        MeasureError::Failed(reason)
    }
}

impl Program {
    /// Builds the game in its release form, and returns its program. The first build takes many
    /// minutes.
    ///
    /// # Errors
    /// If there is no Cargo or the build fails.
    pub fn build() -> Result<Self, String> {
        let hint = "a built game includes this experiment: `raftian lab responsiveness`";
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--release",
                "--package",
                "raftian",
                "--bin",
                "raftian",
            ])
            .args(["--message-format", "json-render-diagnostics"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start Cargo to build the window: {error}; {hint}"))?;
        let told = build.stdout.take().map(BufReader::new);
        let built = told.and_then(|told| {
            told.lines()
                .map_while(Result::ok)
                .filter_map(|line| executable(&line))
                .last()
        });
        let ended = build.wait().map_err(|error| error.to_string())?;
        match built.filter(|_| ended.success()) {
            Some(game) => Ok(Program::Game(game)),
            None => Err(format!("cannot build the window; {hint}")),
        }
    }

    fn command(&self) -> Result<Command, String> {
        match self {
            Program::Own => child_process::again("responsiveness", "dots"),
            Program::Game(game) => {
                let mut window = Command::new(game);
                window.args(["lab", "dots"]).stdout(Stdio::piped());
                Ok(window)
            }
        }
    }
}

/// Path of the game's executable, if a line of Cargo's output contains it.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let named = message["target"]["name"] == "raftian";
    message["executable"]
        .as_str()
        .filter(|_| named)
        .map(PathBuf::from)
}

impl Stage {
    /// Measures one cell once, in real time.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub fn measure(&self, study: &Study, cell: &Cell, round: u64) -> Result<Seen, MeasureError> {
        let which = [
            round,
            cell.dots.into(),
            cell.server as u64,
            cell.heartbeat.0.as_millis() as u64,
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(parallel::seed(study.seed, &which));
        let directory = tempfile::tempdir()
            .map_err(|error| format!("cannot create a temporary directory for nodes: {error}"))?;
        let mut running = Processes::default();
        let node = match cell.server {
            Server::None => None,
            _ => start_nodes(cell, directory.path(), &mut rng, &mut running)?,
        };
        let scene = Scene {
            dots: cell.dots,
            fps: cell.cap.0,
            warm_up: WARM_UP.as_secs_f64(),
            seconds: study.seconds,
            headless: self.headless,
            orders: study.orders,
            seed: rng.random(),
            node,
        };
        self.show(&scene, &mut running)
    }

    fn show(&self, scene: &Scene, running: &mut Processes) -> Result<Seen, MeasureError> {
        let told = serde_json::to_string(scene).map_err(|error| error.to_string())?;
        let mut window = self.program.command()?;
        if std::env::var_os(LOG).is_none() {
            // A slow renderer is reported once below the table, not by each window.
            window.env(LOG, "error");
        }
        let window = window.arg(told).stdin(Stdio::null()).spawn();
        let window =
            running.add(window.map_err(|error| format!("cannot start a window: {error}"))?);
        let mut said = window.stdout.take();
        // Read concurrently: a full pipe would block the window.
        let heard = std::thread::spawn(move || {
            let mut text = String::new();
            said.as_mut()
                .map(|said| said.read_to_string(&mut text))
                .transpose()
                .map(|_| text)
        });
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(scene.seconds);
        let status = loop {
            match window.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    Err("a window did not exit in time".to_owned())?
                }
                None => std::thread::sleep(GLANCE),
            }
        };
        let text = heard
            .join()
            .map_err(|_| "cannot read the window's output".to_owned())?
            .map_err(|error| error.to_string())?;
        match status.code() {
            Some(0) => serde_json::from_str(&text).map_err(|error| {
                MeasureError::Failed(format!("cannot parse the window's output: {error}"))
            }),
            Some(NO_DISPLAY) => Err(MeasureError::NoDisplay),
            _ => Err(MeasureError::Failed(format!("a window failed ({status})"))),
        }
    }
}

/// Starts all nodes that have a process of their own, and returns the one in the window, if any.
fn start_nodes(
    cell: &Cell,
    directory: &Path,
    rng: &mut ChaCha8Rng,
    running: &mut Processes,
) -> Result<Option<SceneNode>, String> {
    let timing = cell.timing();
    let files = child_process::node_files(directory, NODES, timing, rng)?;
    let (from, to) = timing.election;
    let mut in_window = None;
    for (place, file) in files.into_iter().enumerate() {
        // The window's process runs this node itself.
        if place == 0 && cell.server != Server::Process {
            in_window = Some(SceneNode {
                file,
                in_schedule: cell.server == Server::Schedule,
            });
            continue;
        }
        let node = child_process::again("responsiveness", "elections-node")?
            .arg(file)
            .args(["--seed", &rng.random::<u64>().to_string()])
            .args([
                "--timeout",
                &Span { from, to }.to_string(),
                "--heartbeat",
                &cell.heartbeat.to_string(),
            ])
            .args(["--pre-vote", "on", "--leader", &LEADER.0.to_string()])
            .stdout(Stdio::null())
            .spawn();
        running.add(node.map_err(|error| format!("cannot start a node: {error}"))?);
    }
    Ok(in_window)
}
