//! Shrinks a failing storm to the faults it needs.

use std::collections::BTreeSet;

use super::{Failure, Storm};

/// Most storms run while shrinking.
const MAX_TRIALS: usize = 400;

/// Returns the storm reduced to faults that still make it fail in the same way, and that failure.
/// This is delta debugging over the injected faults (Zeller and Hildebrandt 2002), not over the
/// seed: each event draws from its own RNG stream, so omitting one leaves the draws of the others
/// unchanged.
pub fn shrink(storm: &Storm, failure: Failure) -> (Storm, Failure) {
    let mut kept: Vec<u64> = failure.faults.iter().map(|(number, _)| *number).collect();
    // One event may inject several faults.
    kept.dedup();
    let mut best = (
        Storm {
            only: Some(kept.iter().copied().collect()),
            ..storm.clone()
        },
        failure,
    );
    let mut parts = 2;
    let mut trials = 0;
    while kept.len() > 1 && trials < MAX_TRIALS {
        let size = kept.len().div_ceil(parts);
        let smaller = (0..parts).find_map(|part| {
            trials += 1;
            let without: Vec<u64> = kept
                .iter()
                .enumerate()
                .filter(|(at, _)| at / size != part)
                .map(|(_, n)| *n)
                .collect();
            let only: BTreeSet<u64> = without.iter().copied().collect();
            let trial = Storm {
                only: Some(only),
                ..storm.clone()
            };
            let failure = trial.run().err()?;
            // Another failure would lead away from the one to explain.
            let is_like = failure.cause.is_like(&best.1.cause);
            is_like.then_some((without, trial, failure))
        });
        match smaller {
            Some((without, trial, failure)) => {
                kept = without;
                best = (trial, failure);
                parts = (parts - 1).max(2);
            }
            // Every single fault is needed.
            None if size <= 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    best
}
