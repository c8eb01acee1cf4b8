//! Plays cues and music on the device of the system.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bevy::audio::{AudioPlayer, AudioSink, AudioSource, PlaybackSettings, Volume};
use bevy::prelude::*;
use bevy::time::Real;

use super::cues::Cue;
use super::mixer::Ducking;
use super::{AudioSettings, Started, music};
use crate::screens::Screen;

/// Seconds in which the music fades in and out.
const FADE: f32 = 2.0;

/// Time after the end of a cue at which its voice is removed: the device is a little late.
const GRACE: Duration = Duration::from_millis(500);

/// The sounds while they are rendered.
#[derive(Resource)]
struct Rendering(Option<JoinHandle<Rendered>>);

/// The cues and the music as WAV files.
struct Rendered {
    cues: Vec<(Cue, Vec<u8>)>,
    music: Vec<u8>,
}

/// The cues, ready to be played.
#[derive(Resource)]
struct Library(BTreeMap<Cue, Handle<AudioSource>>);

/// A cue that sounds, and when it is removed.
#[derive(Component)]
struct Voice {
    until: Duration,
}

/// The music that plays.
#[derive(Component, Default)]
struct Music {
    ducking: Ducking,
    /// From 0 on a screen without music to 1.
    presence: f32,
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(play)
        .add_systems(Startup, render)
        .add_systems(
            Update,
            (
                store.run_if(resource_exists::<Rendering>),
                end_voices,
                mix_music,
            ),
        );
}

/// Renders on a thread of its own: it takes about a second. In the engine's pool for such tasks the
/// renderer's pipelines would wait for it, and the window would stay empty.
fn render(mut commands: Commands) {
    let thread = thread::Builder::new().name("raftian-audio".to_owned());
    let rendering = thread.spawn(|| Rendered {
        cues: Cue::ALL.map(|cue| (cue, cue.render().wav())).into(),
        music: music::render().wav(),
    });
    match rendering {
        Ok(rendering) => commands.insert_resource(Rendering(Some(rendering))),
        Err(error) => warn!("there will be no sound: no thread can be started: {error}"),
    }
}

fn store(
    mut commands: Commands,
    mut rendering: ResMut<Rendering>,
    mut sources: ResMut<Assets<AudioSource>>,
) {
    let Some(thread) = rendering.0.take_if(|thread| thread.is_finished()) else {
        return;
    };
    commands.remove_resource::<Rendering>();
    let Ok(rendered) = thread.join() else {
        warn!("there will be no sound: rendering it failed");
        return;
    };
    let cues = rendered.cues.into_iter();
    let handles = cues.map(|(cue, file)| (cue, sources.add(source(file))));
    let library = Library(handles.collect());
    commands.insert_resource(library);
    commands.spawn((
        Name::new("Music"),
        Music::default(),
        AudioPlayer(sources.add(source(rendered.music))),
        PlaybackSettings::LOOP.with_volume(Volume::SILENT),
    ));
}

fn source(file: Vec<u8>) -> AudioSource {
    AudioSource { bytes: file.into() }
}

fn play(
    started: On<Started>,
    library: Option<Res<Library>>,
    settings: Res<AudioSettings>,
    time: Res<Time<Real>>,
    mut music: Query<&mut Music>,
    mut commands: Commands,
) {
    let Started(cue) = *started;
    let now = time.elapsed();
    for mut music in &mut music {
        music.ducking.note(cue, now);
    }
    let Some(source) = library.as_ref().and_then(|library| library.0.get(&cue)) else {
        return;
    };
    let gain = settings.master * settings.effects;
    commands.spawn((
        Voice {
            until: now + cue.length() + GRACE,
        },
        AudioPlayer(source.clone()),
        PlaybackSettings::ONCE.with_volume(Volume::Linear(gain)),
    ));
}

/// Removes voices that have ended, on a machine without a device too, where none ever begins.
fn end_voices(mut commands: Commands, time: Res<Time<Real>>, voices: Query<(Entity, &Voice)>) {
    for (entity, voice) in &voices {
        if time.elapsed() > voice.until {
            commands.entity(entity).despawn();
        }
    }
}

fn mix_music(
    screen: Res<State<Screen>>,
    settings: Res<AudioSettings>,
    time: Res<Time<Real>>,
    mut music: Query<(&mut Music, &mut AudioSink)>,
) {
    let passed = time.delta_secs();
    for (mut music, mut sink) in &mut music {
        let change = match screen.get() {
            Screen::Menu | Screen::Match => passed / FADE,
            Screen::Classic => -passed / FADE,
        };
        music.presence = (music.presence + change).clamp(0.0, 1.0);
        let ducked = music.ducking.advance(time.elapsed(), passed);
        let gain = settings.master * settings.music * music.presence * ducked;
        sink.set_volume(Volume::Linear(gain));
        match (gain > 0.0, sink.is_paused()) {
            (true, true) => sink.play(),
            (false, false) => sink.pause(),
            (true, false) | (false, true) => {}
        }
    }
}
