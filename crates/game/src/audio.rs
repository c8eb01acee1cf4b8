//! Sound: cues for what happens in a match, and music.
//!
//! All sounds are synthesised when the window opens (`synth`, `cues`, `music`); there are no sound
//! files. `Play` requests a cue, `mixer` decides whether it sounds, and `Started` follows:
//! `playback` plays it, in builds with sound, and `crowns::captions` writes it. A build without
//! sound differs in `playback` alone.

mod cues;
mod mixer;
mod music;
#[cfg(any(feature = "audio", windows, target_os = "macos"))]
mod playback;
mod sound;
mod synth;

use std::path::Path;
use std::{fs, io};

use bevy::prelude::*;
use bevy::time::Real;
use serde::{Deserialize, Serialize, Serializer};

pub(crate) use cues::{ArmySize, Cue};

/// Whether this build plays sounds.
pub(crate) const HAS_SOUND: bool = cfg!(any(feature = "audio", windows, target_os = "macos"));

/// How loud everything is, and whether cues are written as well.
#[derive(Resource, Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct AudioSettings {
    /// Gain of everything, from 0 to 1.
    #[serde(serialize_with = "in_hundredths")]
    pub master: f32,
    /// Gain of the cues, from 0 to 1.
    #[serde(serialize_with = "in_hundredths")]
    pub effects: f32,
    /// Gain of the music, from 0 to 1.
    #[serde(serialize_with = "in_hundredths")]
    pub music: f32,
    /// Show each cue in words.
    pub captions: bool,
}

impl Default for AudioSettings {
    fn default() -> Self {
        AudioSettings {
            master: 0.8,
            effects: 0.8,
            music: 0.5,
            captions: false,
        }
    }
}

/// Keeps 0.8 from being written as 0.800000011920929.
fn in_hundredths<S: Serializer>(volume: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*volume) * 100.0).round() / 100.0)
}

/// Requests a cue.
#[derive(Event, Clone, Copy, Debug)]
pub(crate) struct Play(pub(crate) Cue);

/// A cue begins.
#[derive(Event, Clone, Copy, Debug)]
pub(crate) struct Started(pub(crate) Cue);

/// The cues that sound.
#[derive(Resource, Default)]
struct Sounding(mixer::Voices);

/// Lets cues begin. Plays them, and music, in builds with sound.
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<AudioSettings>()
        .init_resource::<Sounding>()
        .add_observer(begin);
    #[cfg(any(feature = "audio", windows, target_os = "macos"))]
    app.add_plugins(playback::plugin);
}

fn begin(
    play: On<Play>,
    time: Res<Time<Real>>,
    mut sounding: ResMut<Sounding>,
    mut commands: Commands,
) {
    if sounding.0.begin(play.0, time.elapsed()) {
        commands.trigger(Started(play.0));
    }
}

/// Writes each cue and the music as a WAV file into a folder that exists, to be listened to.
///
/// # Errors
/// A file could not be written.
pub fn write_all(folder: &Path) -> io::Result<()> {
    for cue in Cue::ALL {
        let file = folder.join(cue.name()).with_extension("wav");
        fs::write(file, cue.render().wav())?;
    }
    fs::write(folder.join("music.wav"), music::render().wav())
}

#[cfg(test)]
mod tests;
