//! Shrinks a failing input.

use super::{Defect, Target, judge};

/// Most inputs tried while shrinking: a few seconds for the slowest target.
const MAX_TRIES: usize = 2_000;

/// Removes halves, quarters and so on while the input still fails, then zeroes every remaining byte
/// that the failure does not depend on. Returns the shrunk input and its failure.
pub(super) fn shrink(target: &Target, input: &[u8]) -> (Vec<u8>, Defect) {
    let mut best = input.to_vec();
    let mut defect = judge(target, &best)
        .err()
        .unwrap_or(Defect::NotDeterministic);
    let mut tries = 0;
    let mut still = |candidate: &Vec<u8>| {
        tries += 1;
        if tries > MAX_TRIES {
            None
        } else {
            judge(target, candidate).err()
        }
    };
    let mut size = best.len().next_power_of_two();
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut candidate = best.clone();
            candidate.drain(at..(at + size).min(best.len()));
            match still(&candidate) {
                Some(wrong) => (best, defect) = (candidate, wrong),
                None => at += size,
            }
        }
        size /= 2;
    }
    // Zero is the first alternative of every choice, so remaining non-zero bytes matter.
    for at in 0..best.len() {
        let mut candidate = best.clone();
        candidate[at] = 0;
        if candidate != best
            && let Some(wrong) = still(&candidate)
        {
            (best, defect) = (candidate, wrong);
        }
    }
    (best, defect)
}
