//! A picture of the window taken after some time, after which the program ends: for tests,
//! documentation and bug reports.

use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use bevy::time::Real;
use bevy::window::{PrimaryWindow, WindowCloseRequested};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::terminal::note;

/// Longest wait for the renderer. A hidden window is never drawn, so its picture would never
/// arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// A picture to take. Insert it before the app runs. The app ends with success once the file is
/// written, and with an error and a line on standard error if that fails or no picture arrives
/// within 20 seconds.
#[derive(Resource, Clone, Debug, PartialEq, Eq)]
pub struct ScreenshotPlan {
    /// The file to write; its name ends in `.png`. An existing file is replaced.
    pub file: PathBuf,
    /// Time of the picture, after the start.
    pub after: Duration,
    /// Whether the window is closed then, as a player closes it, in place of the end of the app: a
    /// member of a match leaves it first.
    pub closes_window: bool,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        take_picture.run_if(resource_exists::<ScreenshotPlan>),
    );
}

fn take_picture(
    mut commands: Commands,
    plan: Res<ScreenshotPlan>,
    time: Res<Time<Real>>,
    mut asked_at: Local<Option<Duration>>,
    mut exit: MessageWriter<AppExit>,
) {
    let now = time.elapsed();
    match *asked_at {
        None if now >= plan.after => {
            *asked_at = Some(now);
            commands
                .spawn(Screenshot::primary_window())
                .observe(write_picture);
        }
        Some(asked_at) if now.saturating_sub(asked_at) >= PATIENCE => {
            note(&format!(
                "raftian: no picture for {} within {PATIENCE:?}; is the window hidden?",
                plan.file.display()
            ));
            exit.write(AppExit::error());
        }
        _ => {}
    }
}

fn write_picture(
    captured: On<ScreenshotCaptured>,
    plan: Res<ScreenshotPlan>,
    windows: Query<Entity, With<PrimaryWindow>>,
    mut close: MessageWriter<WindowCloseRequested>,
    mut exit: MessageWriter<AppExit>,
) {
    match save(&captured.image, &plan.file) {
        Ok(()) if plan.closes_window => {
            close.write_batch(windows.iter().map(|window| WindowCloseRequested { window }));
        }
        Ok(()) => {
            exit.write(AppExit::Success);
        }
        Err(problem) => {
            note(&format!(
                "raftian: cannot write the picture {}: {problem}",
                plan.file.display()
            ));
            exit.write(AppExit::error());
        }
    }
}

/// Writes an image as an opaque PNG.
fn save(image: &Image, file: &Path) -> Result<(), Box<dyn Error>> {
    if file
        .extension()
        .is_none_or(|extension| !extension.eq_ignore_ascii_case("png"))
    {
        return Err("the file name must end in .png".into());
    }
    image.clone().try_into_dynamic()?.to_rgb8().save(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_is_written_to_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("map.png");
        save(&Image::default(), &file).unwrap();
        assert!(std::fs::read(file).unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn unwritable_picture_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(save(&Image::default(), &folder.path().join("none/map.png")).is_err());
        assert!(save(&Image::default(), &folder.path().join("map.txt")).is_err());
    }
}
