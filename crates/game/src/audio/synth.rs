//! Synthesis: voices that yield samples, and a track that mixes them.
//!
//! Everything is computed from constants, so a sound is the same in every run.

use std::f32::consts::{PI, TAU};

/// Samples per second.
pub(super) const RATE: u32 = 44_100;

/// Number of samples in a time.
pub(super) fn samples_in(seconds: f32) -> usize {
    (seconds.max(0.0) * RATE as f32).round() as usize
}

/// Frequency of a key in Hz, as MIDI numbers them: 69 is the A of 440 Hz.
pub(super) fn pitch(key: f32) -> f32 {
    440.0 * ((key - 69.0) / 12.0).exp2()
}

/// Factor of a level in dB.
pub(super) fn decibels(level: f32) -> f32 {
    10.0_f32.powf(level / 20.0)
}

/// Voices mixed into one channel.
pub(super) struct Track {
    samples: Vec<f32>,
    is_loop: bool,
}

impl Track {
    /// Silence; voices are cut off at its end.
    pub(super) fn new(seconds: f32) -> Self {
        Track {
            samples: vec![0.0; samples_in(seconds)],
            is_loop: false,
        }
    }

    /// Silence that begins again after its end: voices that reach beyond it go on at the start.
    pub(super) fn new_loop(seconds: f32) -> Self {
        Track {
            is_loop: true,
            ..Track::new(seconds)
        }
    }

    /// Adds a voice from a time on.
    pub(super) fn add(&mut self, seconds: f32, level: f32, voice: impl Iterator<Item = f32>) {
        let length = self.samples.len();
        let mut place = samples_in(seconds);
        for sample in voice {
            if place >= length {
                if !self.is_loop {
                    return;
                }
                place -= length;
            }
            self.samples[place] += level * sample;
            place += 1;
        }
    }

    /// The samples with a share of reverberation. `offset` lengthens its delays, in samples: two
    /// channels with different offsets sound wide.
    pub(super) fn in_room(self, share: f32, offset: usize) -> Vec<f32> {
        let mut room = Room::new(offset);
        if self.is_loop {
            // A loop begins with the reverberation of its end.
            for sample in &self.samples {
                room.reflect(*sample);
            }
        }
        self.samples
            .iter()
            .map(|sample| sample + share * room.reflect(*sample))
            .collect()
    }
}

/// Reverberation of a room: parallel combs and allpasses in series (Schroeder 1962).
struct Room {
    combs: Vec<Comb>,
    allpasses: Vec<Delay>,
}

/// Delays of the combs and of the allpasses in samples, without common factors.
const COMBS: [usize; 6] = [1_116, 1_188, 1_277, 1_356, 1_422, 1_491];
const ALLPASSES: [usize; 3] = [556, 441, 341];

/// Part of a comb's output that comes back, and how much of its treble is lost each time.
const FEEDBACK: f32 = 0.81;
const DAMPING: f32 = 0.42;

struct Comb {
    delay: Delay,
    damped: f32,
}

struct Delay {
    samples: Vec<f32>,
    place: usize,
}

impl Delay {
    fn new(length: usize) -> Self {
        Delay {
            samples: vec![0.0; length],
            place: 0,
        }
    }

    fn oldest(&self) -> f32 {
        self.samples[self.place]
    }

    fn replace(&mut self, sample: f32) {
        self.samples[self.place] = sample;
        self.place += 1;
        if self.place == self.samples.len() {
            self.place = 0;
        }
    }
}

impl Room {
    fn new(offset: usize) -> Self {
        let comb = |length: usize| Comb {
            delay: Delay::new(length + offset),
            damped: 0.0,
        };
        Room {
            combs: COMBS.map(comb).into(),
            allpasses: ALLPASSES.map(|length| Delay::new(length + offset)).into(),
        }
    }

    fn reflect(&mut self, sample: f32) -> f32 {
        let mut sum = 0.0;
        for comb in &mut self.combs {
            let out = comb.delay.oldest();
            comb.damped += (1.0 - DAMPING) * (out - comb.damped);
            comb.delay.replace(sample + FEEDBACK * comb.damped);
            sum += out;
        }
        let mut sum = sum / COMBS.len() as f32;
        for allpass in &mut self.allpasses {
            let delayed = allpass.oldest();
            allpass.replace(sum + 0.5 * delayed);
            sum = delayed - 0.5 * sum;
        }
        sum
    }
}

/// A partial tone of a struck body.
struct Partial {
    /// Frequency in Hz.
    frequency: f32,
    level: f32,
    /// Seconds in which it falls by 60 dB.
    decay: f32,
}

/// A body that was struck or plucked: partial tones that fade each at its own pace.
fn struck(partials: &[Partial], seconds: f32) -> impl Iterator<Item = f32> + use<> {
    // Each partial is a rotating vector that shrinks.
    let mut vectors: Vec<[f32; 4]> = partials
        .iter()
        .map(|partial| {
            let angle = TAU * partial.frequency / RATE as f32;
            let shrinks = decibels(-60.0 / (partial.decay * RATE as f32));
            let [cosine, sine] = [angle.cos(), angle.sin()].map(|part| part * shrinks);
            [partial.level, 0.0, cosine, sine]
        })
        .collect();
    // Felt on the hammer: without it every note begins with a click.
    let attack = samples_in(0.002) as f32;
    (0..samples_in(seconds)).map(move |number| {
        let mut sum = 0.0;
        for [x, y, cosine, sine] in &mut vectors {
            sum += *y;
            let turned = *x * *cosine - *y * *sine;
            *y = *x * *sine + *y * *cosine;
            *x = turned;
        }
        sum * (number as f32 / attack).min(1.0)
    })
}

/// A plucked string that sounds for about `decay` seconds.
pub(super) fn string(frequency: f32, decay: f32) -> impl Iterator<Item = f32> {
    // Plucked at a fifth of its length, so every fifth partial is missing.
    let partials: Vec<_> = (1..=9_u8)
        .map(f32::from)
        .map(|number| Partial {
            frequency: frequency * number * (1.0 + 0.000_2 * number * number),
            level: (PI * number / 5.0).sin().abs() / number.powf(1.1),
            decay: decay / (0.7 + 0.3 * number),
        })
        .filter(|partial| partial.frequency < 9_000.0)
        .collect();
    struck(&partials, decay)
}

/// Ratios, levels and relative decays of the partials of a bell.
const BELL: [(f32, f32, f32); 7] = [
    (0.5, 0.28, 1.0),
    (1.0, 0.8, 0.8),
    (1.19, 0.22, 0.55),
    (1.5, 0.12, 0.45),
    (2.0, 0.42, 0.45),
    (2.66, 0.14, 0.3),
    (4.1, 0.07, 0.16),
];

/// A bell whose strike note is `frequency`.
pub(super) fn bell(frequency: f32, decay: f32) -> impl Iterator<Item = f32> {
    let partials = BELL.map(|(ratio, level, part)| Partial {
        frequency: frequency * ratio,
        level,
        decay: decay * part,
    });
    struck(&partials, decay)
}

/// A wooden bar that is hit with a soft mallet.
pub(super) fn bar(frequency: f32, decay: f32) -> impl Iterator<Item = f32> {
    let partials = [(1.0, 1.0, 1.0), (3.93, 0.22, 0.35), (9.2, 0.05, 0.12)];
    let partials = partials.map(|(ratio, level, part)| Partial {
        frequency: frequency * ratio,
        level,
        decay: decay * part,
    });
    struck(&partials, decay)
}

/// A drum: its pitch falls from `first` to `last` Hz at once, and it fades over `decay` seconds.
pub(super) fn drum(first: f32, last: f32, decay: f32) -> impl Iterator<Item = f32> {
    let mut phase = 0.0_f32;
    let falls = (-1.0 / (0.022 * RATE as f32)).exp();
    let fades = decibels(-60.0 / (decay * RATE as f32));
    let mut above = first - last;
    let mut level = 1.0;
    (0..samples_in(decay)).map(move |_| {
        phase = (phase + (last + above) / RATE as f32).fract();
        above *= falls;
        level *= fades;
        level * (TAU * phase).sin()
    })
}

/// Noise below a frequency that fades over `decay` seconds: rubble, or the skin of a drum.
pub(super) fn rumble(below: f32, decay: f32) -> impl Iterator<Item = f32> {
    let mut noise = Noise::default();
    let follows = 1.0 - (-TAU * below / RATE as f32).exp();
    let fades = decibels(-60.0 / (decay * RATE as f32));
    let attack = samples_in(0.004) as f32;
    let mut level = 1.0;
    let mut low = [0.0_f32; 2];
    (0..samples_in(decay)).map(move |number| {
        low[0] += follows * (noise.next() - low[0]);
        low[1] += follows * (low[0] - low[1]);
        level *= fades;
        level * (number as f32 / attack).min(1.0) * low[1]
    })
}

/// White noise from a xorshift generator (Marsaglia 2003).
struct Noise(u32);

impl Default for Noise {
    fn default() -> Self {
        Noise(0x2545_F491)
    }
}

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / (u32::MAX / 2) as f32 - 1.0
    }
}

/// A tone that is blown or bowed.
#[derive(Clone, Copy)]
pub(super) struct Tone {
    /// Frequency in Hz.
    pub(super) frequency: f32,
    /// Seconds until it is loudest, seconds until it begins to fade, and seconds in which it fades.
    pub(super) attack: f32,
    pub(super) held: f32,
    pub(super) release: f32,
    /// Ratio of each partial to the one below it at the loudest, from 0, a sine, to 0.8, brass.
    pub(super) brightness: f32,
    /// Part of the frequency by which two voices differ.
    pub(super) detune: f32,
    /// Part of the frequency by which the pitch wavers five times a second.
    pub(super) vibrato: f32,
}

impl Tone {
    /// Loudness at a time, from 0 to 1.
    fn loudness(&self, seconds: f32) -> f32 {
        let rising = (seconds / self.attack).min(1.0);
        let falling = ((self.held + self.release - seconds) / self.release).clamp(0.0, 1.0);
        smooth(rising) * smooth(falling)
    }

    /// Its samples.
    pub(super) fn voice(self) -> impl Iterator<Item = f32> {
        let length = samples_in(self.held + self.release);
        let mut phases = [0.0_f32, 0.25];
        (0..length).map(move |number| {
            let seconds = number as f32 / RATE as f32;
            let loudness = self.loudness(seconds);
            // Vibrato sets in after the attack.
            let settled = ((seconds - self.attack) / 0.4).clamp(0.0, 1.0);
            let waver = 1.0 + self.vibrato * settled * (TAU * 5.1 * seconds).sin();
            let ratio = self.brightness * loudness;
            let mut sum = 0.0;
            for (phase, side) in phases.iter_mut().zip([-0.5, 0.5]) {
                let frequency = self.frequency * waver * (1.0 + side * self.detune);
                *phase = (*phase + frequency / RATE as f32).fract();
                sum += partials(TAU * *phase, ratio);
            }
            0.5 * loudness * sum
        })
    }
}

/// A wave of partials, each `ratio` times as loud as the one below it: the closed form of the sum of
/// `ratio^(n-1) sin(n angle)`, scaled to a peak of about 1.
fn partials(angle: f32, ratio: f32) -> f32 {
    let (sine, cosine) = angle.sin_cos();
    (1.0 - ratio * ratio) * sine / (1.0 - 2.0 * ratio * cosine + ratio * ratio)
}

/// A step from 0 to 1 without corners.
fn smooth(part: f32) -> f32 {
    0.5 - 0.5 * (PI * part).cos()
}
