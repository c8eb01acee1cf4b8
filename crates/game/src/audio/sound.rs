//! Samples, and the file format in which they leave.

use super::synth::{RATE, decibels, samples_in};

/// Seconds in which every cue fades in and out, so that it does not click.
const FADE_IN: f32 = 0.001_5;
const FADE_OUT: f32 = 0.03;

/// A sound: samples from -1 to 1 at [`RATE`], those of several channels in turn.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sound {
    channels: u16,
    pub(super) samples: Vec<f32>,
}

impl Sound {
    /// One channel whose highest peak is at `peak` dBFS and whose ends are silent.
    pub(super) fn cue(mut samples: Vec<f32>, peak: f32) -> Self {
        let length = samples.len();
        for (seconds, is_end) in [(FADE_IN, false), (FADE_OUT, true)] {
            let faded = samples_in(seconds).min(length);
            for number in 0..faded {
                let place = if is_end { length - 1 - number } else { number };
                samples[place] *= number as f32 / faded as f32;
            }
        }
        let mut sound = Sound {
            channels: 1,
            samples,
        };
        sound.scale(decibels(peak) / sound.peak().max(f32::MIN_POSITIVE));
        sound
    }

    /// Two channels whose mean loudness is `rms` dBFS.
    pub(super) fn stereo(left: &[f32], right: &[f32], rms: f32) -> Self {
        let pairs = left.iter().zip(right);
        let mut sound = Sound {
            channels: 2,
            samples: pairs.flat_map(|(left, right)| [*left, *right]).collect(),
        };
        sound.scale(decibels(rms) / sound.rms().max(f32::MIN_POSITIVE));
        sound
    }

    fn scale(&mut self, factor: f32) {
        for sample in &mut self.samples {
            *sample *= factor;
        }
    }

    /// Largest distance of a sample from silence.
    pub(super) fn peak(&self) -> f32 {
        let distances = self.samples.iter().map(|sample| sample.abs());
        distances.fold(0.0, f32::max)
    }

    /// Root of the mean square of the samples.
    pub(super) fn rms(&self) -> f32 {
        let squares = self.samples.iter().map(|sample| f64::from(sample * sample));
        let mean = squares.sum::<f64>() / self.samples.len().max(1) as f64;
        mean.sqrt() as f32
    }

    /// A WAV file of 16 bits per sample.
    pub(super) fn wav(&self) -> Vec<u8> {
        let bytes = 2 * self.samples.len();
        let size = u32::try_from(bytes).expect("a sound lasts less than an hour");
        let mut file = Vec::with_capacity(44 + bytes);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + size).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16_u32.to_le_bytes());
        // Integer samples.
        file.extend_from_slice(&1_u16.to_le_bytes());
        file.extend_from_slice(&self.channels.to_le_bytes());
        file.extend_from_slice(&RATE.to_le_bytes());
        let frame = 2 * self.channels;
        file.extend_from_slice(&(RATE * u32::from(frame)).to_le_bytes());
        file.extend_from_slice(&frame.to_le_bytes());
        file.extend_from_slice(&16_u16.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&size.to_le_bytes());
        for sample in &self.samples {
            let whole = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
            file.extend_from_slice(&whole.to_le_bytes());
        }
        file
    }
}
