//! The node's only source of randomness.

use core::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng};

/// A seeded RNG. It is a value: a copy of a node draws what the node would have drawn. The
/// generator of `rand` is not `Clone`, so every eight draws are the first of a ChaCha8 stream keyed
/// by seed and count; a cipher block has room for eight.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    seed: u64,
    draws: u64,
    block: [u64; 8],
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng {
            seed,
            draws: 0,
            block: [0; 8],
        }
    }

    /// Draws a duration from `shortest..longest`, in whole microseconds. The distribution is
    /// uniform to less than one part in 2^20 while the range is below half a year.
    pub(crate) fn duration(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        let shortest = shortest.as_micros() as u64;
        let longest = longest.as_micros() as u64;
        let width = u128::from(longest - shortest);
        // Multiply and shift: one draw per duration, and far less bias than a remainder.
        let offset = (u128::from(self.draw()) * width) >> 64;
        Duration::from_micros(shortest + offset as u64)
    }

    /// Draws the start of a counter, low enough that it never overflows.
    pub(crate) fn counter_start(&mut self) -> u64 {
        self.draw() >> 1
    }

    fn draw(&mut self) -> u64 {
        let count = self.draws / 8;
        let place = (self.draws % 8) as usize;
        if place == 0 {
            // Seed and count alone identify a block, so the rest of the key stays zero.
            let mut key = [0; 32];
            key[..8].copy_from_slice(&self.seed.to_le_bytes());
            key[8..16].copy_from_slice(&count.to_le_bytes());
            let mut cipher = ChaCha8Rng::from_seed(key);
            self.block = core::array::from_fn(|_| cipher.next_u64());
        }
        self.draws += 1;
        self.block[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_uniform_and_a_copy_draws_the_same() {
        let interval = (Duration::from_millis(150), Duration::from_millis(300));
        let mut rng = Rng::new(7);
        let mut copy = rng.clone();
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let drawn = rng.duration(interval);
            assert_eq!(drawn, copy.duration(interval));
            assert!((interval.0..interval.1).contains(&drawn));
            tenths[((drawn - interval.0).as_millis() / 15) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1_150).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn counter_starts_differ_and_leave_room_to_count_up() {
        let mut numbers: alloc::vec::Vec<_> = (0..4)
            .flat_map(|seed| {
                let mut rng = Rng::new(seed);
                core::array::from_fn::<_, 25, _>(|_| rng.counter_start())
            })
            .collect();
        assert!(numbers.iter().all(|number| *number <= u64::MAX / 2));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 100);
    }
}
