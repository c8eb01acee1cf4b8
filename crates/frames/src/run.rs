//! One window, and its processes.

use std::io::{self, Read};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use raftian::cli::Exit;
use raftian_raft::NodeId;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::scene::{Scene, SceneNode, Seen};
use crate::study::{Cell, NODES, Server, Study, WARM_UP};
use raftian_lab::child_process::{self, ProcessError, Processes};
use raftian_lab::elections::values::Span;
use raftian_lab::report::parallel;

/// Cluster member of the window, which leads.
const LEADER: NodeId = NodeId(1);

/// Time limit for a window to open, to wait for its node, and to close.
const PATIENCE: Duration = Duration::from_secs(90);

/// Interval of checks whether a window has exited.
const GLANCE: Duration = Duration::from_millis(20);

/// Exit code of a window without a display.
const NO_DISPLAY: i32 = Exit::NoDisplay as i32;

/// Mode of windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stage {
    /// Whether windows stay closed and only their schedules run.
    pub(crate) headless: bool,
}

/// Reason why a cell could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    /// No display or graphics adapter.
    #[error("there is no display or no graphics adapter")]
    NoDisplay,
    /// A process cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The scene cannot be written.
    #[error("cannot encode the scene: {0}")]
    Scene(serde_json::Error),
    /// The window cannot be waited for.
    #[error("cannot wait for a window: {0}")]
    Wait(io::Error),
    /// The window did not exit.
    #[error("a window did not exit in time")]
    Late,
    /// The thread that reads the window's output ended.
    #[error("cannot read the window's output")]
    Unread,
    /// The window's output cannot be read.
    #[error("cannot read the window's output: {0}")]
    Output(io::Error),
    /// The window's output is malformed.
    #[error("cannot parse the window's output: {0}")]
    Malformed(serde_json::Error),
    /// The window reported an error.
    #[error("a window failed ({0})")]
    Exited(ExitStatus),
}

impl Stage {
    /// Measures one cell once, in real time.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub(crate) fn measure(
        &self,
        study: &Study,
        cell: &Cell,
        round: u64,
    ) -> Result<Seen, MeasureError> {
        let which = [
            round,
            cell.dots.into(),
            cell.server as u64,
            cell.heartbeat.0.as_millis() as u64,
        ];
        let mut rng = ChaCha8Rng::seed_from_u64(parallel::seed(study.seed, &which));
        let directory = tempfile::tempdir().map_err(|source| ProcessError::TemporaryDirectory {
            users: "nodes",
            source,
        })?;
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
        let input = serde_json::to_string(scene).map_err(MeasureError::Scene)?;
        let mut window = child_process::again("window")?;
        let window = window.arg(input).stdin(Stdio::null()).spawn();
        let window = running.add(window.map_err(|source| ProcessError::Spawn {
            process: "a window".to_owned(),
            source,
        })?);
        let mut stdout = window.stdout.take();
        // Read concurrently: a full pipe would block the window.
        let output = std::thread::spawn(move || {
            let mut text = String::new();
            stdout
                .as_mut()
                .map(|stdout| stdout.read_to_string(&mut text))
                .transpose()
                .map(|_| text)
        });
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(scene.seconds);
        let status = loop {
            match window.try_wait().map_err(MeasureError::Wait)? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err(MeasureError::Late),
                None => std::thread::sleep(GLANCE),
            }
        };
        let text = output
            .join()
            .map_err(|_| MeasureError::Unread)?
            .map_err(MeasureError::Output)?;
        match status.code() {
            Some(0) => serde_json::from_str(&text).map_err(MeasureError::Malformed),
            Some(NO_DISPLAY) => Err(MeasureError::NoDisplay),
            _ => Err(MeasureError::Exited(status)),
        }
    }
}

/// Starts all nodes that have a process of their own, and returns the one in the window, if any.
fn start_nodes(
    cell: &Cell,
    directory: &Path,
    rng: &mut ChaCha8Rng,
    running: &mut Processes,
) -> Result<Option<SceneNode>, ProcessError> {
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
        let node = child_process::again("node")?
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
        running.add(node.map_err(|source| ProcessError::Spawn {
            process: "a node".to_owned(),
            source,
        })?);
    }
    Ok(in_window)
}
