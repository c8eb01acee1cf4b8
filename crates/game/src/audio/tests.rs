//! The sounds as files, and as a listener would measure them.

use std::fs;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;

use super::cues::{ArmySize, Cue};
use super::music;
use super::sound::Sound;
use super::synth::RATE;
use super::{Play, Started, plugin, write_all};

/// Samples of a WAV file of 16 bits, and its number of channels. Checks its header.
fn read_wav(file: &[u8]) -> (u16, Vec<i16>) {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"));
    let short = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().expect("2 bytes"));
    assert_eq!(&file[..4], b"RIFF");
    assert_eq!(number(4) as usize, file.len() - 8);
    assert_eq!(&file[8..16], b"WAVEfmt ");
    assert_eq!((number(16), short(20)), (16, 1), "integer samples");
    let channels = short(22);
    assert_eq!(number(24), RATE);
    assert_eq!(number(28), RATE * u32::from(2 * channels));
    assert_eq!((short(32), short(34)), (2 * channels, 16));
    assert_eq!(&file[36..40], b"data");
    assert_eq!(number(40) as usize, file.len() - 44);
    let samples = file[44..].chunks_exact(2);
    let samples = samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    (channels, samples.collect())
}

#[test]
fn every_sound_is_written_as_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path()).expect("the files are written");
    let read = |name: &str| {
        let file = fs::read(folder.path().join(name)).expect("it was written");
        read_wav(&file)
    };
    for cue in Cue::ALL {
        let (channels, samples) = read(&format!("{}.wav", cue.name()));
        assert_eq!(channels, 1, "{cue:?}");
        let expected = cue.length().as_secs_f32() * RATE as f32;
        assert_eq!(samples.len(), expected.round() as usize, "{cue:?}");
        assert!(samples.iter().any(|sample| sample.abs() > 2_000), "{cue:?}");
    }
    let (channels, samples) = read("music.wav");
    let frames = (music::LENGTH * RATE as f32) as usize;
    assert_eq!((channels, samples.len()), (2, 2 * frames));
    assert!((40.0..=60.0).contains(&music::LENGTH));
    assert_seamless(&samples);
    let whole = samples.iter().map(|sample| f32::from(*sample) / 32_768.0);
    let squares = whole.clone().map(|sample| f64::from(sample * sample));
    let rms = 10.0 * (squares.sum::<f64>() / samples.len() as f64).log10();
    assert!((-20.0..=-17.0).contains(&rms), "{rms} dBFS");
    let peak = whole.map(f32::abs).fold(0.0, f32::max);
    assert!(peak < 0.9, "{peak}");
}

/// From the last sample to the first one it is no farther than between others.
fn assert_seamless(samples: &[i16]) {
    for channel in 0..2 {
        let samples: Vec<_> = samples.iter().skip(channel).step_by(2).copied().collect();
        let steps = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
        let largest = steps.max().expect("there are steps");
        let [first, last] = [samples[0], samples[samples.len() - 1]];
        let seam = first.abs_diff(last);
        assert!(seam < largest / 2, "{seam}, elsewhere at most {largest}");
        assert!(seam < 1_000, "{seam}");
    }
}

#[test]
fn cues_neither_clip_nor_click() {
    for cue in Cue::ALL {
        let sound = cue.render();
        let samples = &sound.samples;
        assert!(samples.iter().all(|sample| sample.is_finite()), "{cue:?}");
        let peak = 20.0 * sound.peak().log10();
        assert!((-13.1..=-3.0).contains(&peak), "{cue:?}: {peak} dBFS");
        for end in [samples[0], samples[samples.len() - 1]] {
            assert!(end.abs() < 0.001, "{cue:?}: {end}");
        }
        let rms = 20.0 * sound.rms().log10();
        assert!((-34.0..=-15.0).contains(&rms), "{cue:?}: {rms} dBFS");
        let seconds = cue.length().as_secs_f32();
        assert!((0.08..=3.5).contains(&seconds), "{cue:?}: {seconds} s");
    }
}

#[test]
fn cues_are_the_same_in_every_run() {
    for cue in [Cue::KeepHit, Cue::Attack(ArmySize::Medium)] {
        assert_eq!(cue.render(), cue.render());
    }
}

#[test]
fn names_and_captions_differ() {
    let mut names = Cue::ALL.map(|cue| cue.name().to_owned()).to_vec();
    let mut captions = Cue::ALL.map(Cue::caption).to_vec();
    for words in [&mut names, &mut captions] {
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Cue::ALL.len());
    }
}

/// Frequency in Hz of a sound from a time on: that of the shortest shift at which it nearly equals
/// itself.
fn frequency(sound: &Sound, seconds: f32) -> f32 {
    let start = (seconds * RATE as f32) as usize;
    let part = &sound.samples[start..start + 6_000];
    let likeness = |lag: usize| -> f32 {
        let pairs = part.iter().zip(&part[lag..]).take(4_000);
        pairs.map(|(one, other)| one * other).sum()
    };
    let lags = 60..1_200;
    let most = lags.clone().map(likeness).fold(0.0, f32::max);
    let mut nearly = lags.skip_while(|lag| likeness(*lag) < 0.85 * most);
    let first = nearly.next().expect("one lag has the most");
    // The peak follows where the likeness begins to be high.
    let around = first..first + first / 5;
    let best = around.max_by(|one, other| likeness(*one).total_cmp(&likeness(*other)));
    RATE as f32 / best.expect("there is a lag") as f32
}

#[test]
fn larger_armies_have_deeper_horns() {
    let sizes = [ArmySize::Small, ArmySize::Medium, ArmySize::Large];
    let pitches = sizes.map(|size| frequency(&Cue::Attack(size).render(), 0.4));
    let [small, medium, large] = pitches;
    assert!((small - 293.7).abs() < 6.0, "{small} Hz is no D4");
    assert!((medium - 220.0).abs() < 4.0, "{medium} Hz is no A3");
    // Its fifth makes the period twice as long.
    assert!((60.0..150.0).contains(&large), "{large} Hz");
}

#[test]
fn armies_have_sizes() {
    let sizes = [1, 7, 8, 23, 24, u64::MAX].map(ArmySize::of);
    let [small, medium, large] = [ArmySize::Small, ArmySize::Medium, ArmySize::Large];
    assert_eq!(sizes, [small, small, medium, medium, large, large]);
}

/// The cues that began.
#[derive(Resource, Default)]
struct Begun(Vec<Cue>);

#[test]
fn requested_cues_begin_unless_they_repeat() {
    let mut app = App::new();
    app.init_resource::<Time<Real>>()
        .init_resource::<Begun>()
        .add_plugins(plugin)
        .add_observer(|started: On<Started>, mut begun: ResMut<Begun>| begun.0.push(started.0));
    let world = app.world_mut();
    for (passed, cue) in [
        (0, Cue::Given),
        (10, Cue::Given),
        (10, Cue::Committed),
        (90, Cue::Given),
    ] {
        let mut time = world.resource_mut::<Time<Real>>();
        time.advance_by(Duration::from_millis(passed));
        world.trigger(Play(cue));
        world.flush();
    }
    let begun = &world.resource::<Begun>().0;
    assert_eq!(*begun, [Cue::Given, Cue::Committed, Cue::Given]);
}
