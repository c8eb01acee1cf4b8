//! From a failing storm to the few faults it needs.

use std::collections::BTreeSet;

use super::{Failure, Storm};

/// Most storms that are tried for it.
const MAX_TRIALS: usize = 400;

/// The same storm with as few faults as still sink it, and how it sinks then: delta debugging over
/// the faults that struck (Zeller and Hildebrandt 2002), not over the seed. Each event draws from a
/// stream of its own, so leaving one out leaves what the others draw as it is.
#[must_use]
pub fn shrink(storm: &Storm, failure: Failure) -> (Storm, Failure) {
    let mut kept: Vec<u64> = failure.faults.iter().map(|(number, _)| *number).collect();
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
            trial.run().err().map(|failure| (without, trial, failure))
        });
        match smaller {
            Some((without, trial, failure)) => {
                kept = without;
                best = (trial, failure);
                parts = (parts - 1).max(2);
            }
            None if size <= 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    best
}
