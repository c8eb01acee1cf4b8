//! The node's only chance.

use core::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A seeded source of durations. It is a value: a copy of a node draws what the node would have drawn. The generator of rand is not
/// `Clone`, so each draw is the first of a ChaCha8 stream named by seed and count.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    seed: u64,
    draws: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice { seed, draws: 0 }
    }

    /// A duration uniform in `shortest..longest`, in whole microseconds.
    pub(crate) fn duration(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        self.draws += 1;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.draws.to_le_bytes());
        let micros = shortest.as_micros() as u64..longest.as_micros() as u64;
        Duration::from_micros(ChaCha8Rng::from_seed(key).random_range(micros))
    }
}
