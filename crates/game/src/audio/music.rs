//! The music: one calm piece in D dorian that begins again where it ends.
//!
//! Sixteen bars of four beats. A soft chord lies under each bar, a harp plays its notes, and a flute
//! plays a melody in the second and third four bars.

use std::f32::consts::FRAC_PI_4;

use super::sound::Sound;
use super::synth::{Tone, Track, pitch, string};

/// Seconds of a beat.
const BEAT: f32 = 0.75;

/// Beats of a bar.
const BEATS: f32 = 4.0;

/// Seconds of the piece.
pub(super) const LENGTH: f32 = BEAT * BEATS * BARS.len() as f32;

/// Mean loudness in dBFS.
const RMS: f32 = -19.0;

/// A key, as MIDI numbers them.
type Key = u8;

/// Bass and chord of each bar. From bar to bar each voice moves as little as it can.
const BARS: [(Key, [Key; 4]); 16] = [
    // D minor, D minor, C, G
    (38, [57, 62, 64, 65]),
    (38, [57, 60, 62, 65]),
    (36, [55, 60, 62, 64]),
    (43, [55, 59, 62, 67]),
    // D minor, F, C, A minor
    (38, [57, 62, 65, 69]),
    (41, [57, 60, 65, 67]),
    (36, [55, 60, 64, 67]),
    (45, [57, 60, 64, 67]),
    // F, C, G, D minor
    (41, [57, 60, 65, 69]),
    (36, [55, 60, 64, 67]),
    (43, [55, 59, 62, 67]),
    (38, [57, 62, 64, 65]),
    // A minor, F, G, A minor without its third
    (45, [57, 60, 64, 67]),
    (41, [57, 60, 64, 65]),
    (43, [55, 59, 62, 69]),
    (45, [57, 62, 64, 69]),
];

/// Notes of the harp in a bar: the eighth at which each begins, and which note of the chord it is;
/// from 4 on an octave above. The bars take turns.
const FIGURES: [&[(u8, usize)]; 4] = [
    &[(0, 0), (1, 1), (2, 2), (3, 3), (5, 2), (6, 4)],
    &[(0, 1), (2, 3), (3, 2), (4, 4), (6, 3)],
    &[(0, 0), (1, 2), (3, 3), (4, 1), (5, 2), (7, 3)],
    &[(0, 2), (2, 1), (4, 3), (5, 5), (7, 4)],
];

/// Melody: the beat at which each note begins, its length in beats, and its key.
const MELODY: [(f32, f32, Key); 31] = [
    // Bars 5 to 8
    (16.0, 2.0, 69),
    (18.0, 1.0, 74),
    (19.0, 1.0, 76),
    (20.0, 2.0, 77),
    (22.0, 1.0, 76),
    (23.0, 1.0, 72),
    (24.0, 1.5, 76),
    (25.5, 0.5, 74),
    (26.0, 2.0, 72),
    (28.0, 3.5, 69),
    // Bars 9 to 12
    (32.0, 1.0, 72),
    (33.0, 1.0, 69),
    (34.0, 2.0, 65),
    (36.0, 3.0, 67),
    (39.0, 1.0, 64),
    (40.0, 1.0, 67),
    (41.0, 1.0, 71),
    (42.0, 2.0, 74),
    (44.0, 1.0, 72),
    (45.0, 3.0, 69),
    // Bars 13 to 16
    (48.0, 2.0, 76),
    (50.0, 1.0, 72),
    (51.0, 1.0, 71),
    (52.0, 2.0, 69),
    (54.0, 2.0, 72),
    (56.0, 1.0, 71),
    (57.0, 1.0, 69),
    (58.0, 2.0, 67),
    (60.0, 1.5, 69),
    (61.5, 0.5, 67),
    (62.0, 1.5, 64),
];

/// The two channels while they are mixed.
struct Stage {
    left: Track,
    right: Track,
}

impl Stage {
    /// Adds a voice at a place from -1, left, to 1, right.
    fn add(&mut self, seconds: f32, level: f32, place: f32, voice: impl Iterator<Item = f32>) {
        let angle = (place + 1.0) * FRAC_PI_4;
        let samples: Vec<f32> = voice.collect();
        for (channel, share) in [
            (&mut self.left, angle.cos()),
            (&mut self.right, angle.sin()),
        ] {
            channel.add(seconds, level * share, samples.iter().copied());
        }
    }
}

/// Renders the piece.
pub(super) fn render() -> Sound {
    let mut stage = Stage {
        left: Track::new_loop(LENGTH),
        right: Track::new_loop(LENGTH),
    };
    for (number, (bass, chord)) in BARS.into_iter().enumerate() {
        let start = number as f32 * BEATS * BEAT;
        add_chord(&mut stage, start, bass, chord);
        add_harp(&mut stage, start, chord, FIGURES[number % FIGURES.len()]);
    }
    for (beat, beats, key) in MELODY {
        let note = flute(f32::from(key), beats * BEAT);
        stage.add(beat * BEAT, 0.28, 0.15, note.voice());
    }
    let left = stage.left.in_room(0.55, 0);
    let right = stage.right.in_room(0.55, 23);
    Sound::stereo(&left, &right, RMS)
}

fn add_chord(stage: &mut Stage, start: f32, bass: Key, chord: [Key; 4]) {
    for (key, place) in chord.into_iter().zip([-0.7, 0.4, -0.3, 0.7]) {
        let tone = pad(f32::from(key));
        stage.add(start, 0.12, place, tone.voice());
    }
    let bass = f32::from(bass);
    stage.add(start, 0.16, 0.0, pad(bass).voice());
    stage.add(start, 0.4, 0.0, string(pitch(bass), 3.2));
}

fn add_harp(stage: &mut Stage, start: f32, chord: [Key; 4], figure: &[(u8, usize)]) {
    for &(eighth, note) in figure {
        let octave = 12 * (note / chord.len()) as u8;
        let key = f32::from(chord[note % chord.len()] + octave);
        // The first note of a bar is the loudest.
        let level = if eighth == 0 { 0.7 } else { 0.52 };
        let at = start + f32::from(eighth) * BEAT / 2.0;
        let place = (key - 64.0) / 20.0;
        stage.add(at, level, place, string(pitch(key), 2.4));
    }
}

/// A tone of a chord: it swells over half a bar and overlaps the next one.
fn pad(key: f32) -> Tone {
    Tone {
        frequency: pitch(key),
        attack: 1.5,
        held: BEAT * BEATS + 0.2,
        release: 2.2,
        brightness: 0.5,
        detune: 0.006,
        vibrato: 0.0,
    }
}

fn flute(key: f32, seconds: f32) -> Tone {
    Tone {
        frequency: pitch(key),
        attack: 0.12,
        held: seconds - 0.08,
        release: 0.3,
        brightness: 0.26,
        detune: 0.001,
        vibrato: 0.004,
    }
}
