//! Independent runs on every core.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use raftian_sim::splitmix::mixed;

/// Number of threads that can run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Results of `run` for each number below `count`, in order, regardless of thread: `run` must
/// depend on nothing but its number. Each of the `threads` (at least one) holds one run at a time;
/// results are kept until all are complete.
pub fn spread<T: Send>(threads: usize, count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                // Merged once per thread, which keeps the lock out of the loop.
                let mut mine = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    mine.push((number, run(number)));
                }
                results
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .append(&mut mine);
            });
        }
    });
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Derives a seed for each run of a study, from the study's seed and the values that distinguish
/// the run, in order.
pub fn seed(study: u64, which: &[u64]) -> u64 {
    which.iter().fold(mixed(study), |seed, part| {
        mixed(seed ^ mixed(part.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        let expected: Vec<_> = (0..1_000).map(|number| number * number).collect();
        for threads in [0, 1, 7] {
            assert_eq!(spread(threads, 1_000, |number| number * number), expected);
        }
        assert_eq!(spread(4, 0, |number| number), Vec::<usize>::new());
    }

    #[test]
    fn runs_of_a_study_have_distinct_seeds() {
        let seeds: std::collections::BTreeSet<_> = (0..200)
            .flat_map(|size| (0..200).map(move |rep| seed(7, &[size, rep])))
            .collect();
        assert_eq!(seeds.len(), 40_000);
    }
}
