//! `raftian lab`.

use clap::Subcommand;
use raftian_lab::cli::{Command, Host};
use raftian_lab::responsiveness::scene::Scene;

use super::output::print;
use super::{Exit, Failure};
use crate::dots::{self, DotsError};

#[derive(Subcommand, Debug)]
pub(super) enum LabCommand {
    #[command(flatten)]
    Experiment(Box<Command>),
    /// One window of `responsiveness`, started by it.
    #[command(hide = true)]
    Dots {
        /// What it shows, as JSON.
        scene: String,
    },
}

pub(super) fn run(command: &LabCommand) -> Result<Exit, Failure> {
    match command {
        LabCommand::Experiment(command) => Ok(command.run(Host::Game).into()),
        LabCommand::Dots { scene } => show(scene),
    }
}

fn show(scene: &str) -> Result<Exit, Failure> {
    let scene: Scene = serde_json::from_str(scene)
        .map_err(|error| Failure::new(Exit::Usage, format!("the scene cannot be read: {error}")))?;
    let seen = opened(&scene)?.map_err(|error| {
        let message = error.to_string();
        match error {
            DotsError::File(error) => error.into(),
            DotsError::Node(error) => error.into(),
            DotsError::Links(_) => Failure::new(Exit::Network, message),
            DotsError::NoWindow => Failure::new(Exit::NoDisplay, message),
            DotsError::Members(_) => Failure::new(Exit::Configuration, message),
            DotsError::Closed => Failure::new(Exit::Unexpected, message),
        }
    })?;
    let text = serde_json::to_string(&seen)
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    print(&text)?;
    Ok(Exit::Success)
}

#[cfg(feature = "client")]
fn opened(
    scene: &Scene,
) -> Result<Result<raftian_lab::responsiveness::scene::Seen, DotsError>, Failure> {
    if scene.headless {
        return Ok(dots::show(scene));
    }
    super::play::need_display()?;
    super::play::or_missing(|| dots::show(scene))
}

#[cfg(not(feature = "client"))]
fn opened(
    scene: &Scene,
) -> Result<Result<raftian_lab::responsiveness::scene::Seen, DotsError>, Failure> {
    Ok(dots::show(scene))
}
