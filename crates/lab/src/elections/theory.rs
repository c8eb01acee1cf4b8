//! Expected time at which the first of `n` election timers fires.

use std::time::Duration;

use super::values::Span;

/// Integration steps: ten microseconds each on the published study's scale.
const STEPS: u32 = 20_000;

/// Mean time until the first of `timers` fires, in milliseconds. Each is drawn from `timeout`, and
/// polled every `poll` at a random phase of its own.
///
/// Without polling the smallest of n uniform times on [a, b] has the mean a + (b - a) / (n + 1).
/// Polling delays the detection of a timer by a second uniform time on [0, poll], so the mean is
/// the integral of the n-th power of the probability that the sum of the two has not passed yet:
/// exact except for the integration steps.
pub fn first_timeout_ms(timers: u64, timeout: Span, poll: Duration) -> f64 {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let shortest = ms(timeout.from);
    let width = ms(timeout.to) - ms(timeout.from);
    let poll = ms(poll);
    if poll == 0.0 {
        return shortest + width / (timers as f64 + 1.0);
    }
    let square = |over: f64| over.max(0.0).powi(2);
    let later = |time: f64| {
        let noticed =
            square(time) - square(time - width) - square(time - poll) + square(time - width - poll);
        (1.0 - noticed / (2.0 * width * poll))
            .clamp(0.0, 1.0)
            .powf(timers as f64)
    };
    let end = width + poll;
    let step = end / f64::from(STEPS);
    // Simpson's rule.
    let inner: f64 = (1..STEPS)
        .map(|at| later(step * f64::from(at)) * if at % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    shortest + (later(0.0) + inner + later(end)) * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    const STUDY: Span = Span {
        from: Duration::from_millis(150),
        to: Duration::from_millis(300),
    };

    /// Expected times for the published study's settings.
    #[test]
    fn theory_of_the_published_study() {
        for (nodes, exact, polled) in [
            (3, 187.5, 210.0),
            (13, 160.714, 179.0),
            (53, 152.778, 165.0),
            (193, 150.773, 158.0),
        ] {
            assert!(
                (first_timeout_ms(nodes, STUDY, Duration::ZERO) - exact).abs() < 0.001,
                "{nodes}"
            );
            let with_poll = first_timeout_ms(nodes, STUDY, Duration::from_millis(50));
            assert!((with_poll - polled).abs() < 1.0, "{nodes}: {with_poll}");
        }
    }

    #[test]
    fn single_timer_waits_half_a_poll_on_average() {
        let fast = first_timeout_ms(13, STUDY, Duration::from_micros(1));
        assert!(
            (fast - first_timeout_ms(13, STUDY, Duration::ZERO)).abs() < 0.01,
            "{fast}"
        );
        let one = first_timeout_ms(1, STUDY, Duration::from_millis(400));
        assert!((one - (225.0 + 200.0)).abs() < 0.001, "{one}");
    }

    #[test]
    fn integral_matches_random_sampling() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut draw = || rng.random_range(150.0..300.0) + rng.random_range(0.0..50.0);
        let runs = 20_000;
        let sum: f64 = (0..runs)
            .map(|_| (0..13).map(|_| draw()).fold(f64::INFINITY, f64::min))
            .sum();
        let thrown = sum / f64::from(runs);
        let exact = first_timeout_ms(13, STUDY, Duration::from_millis(50));
        assert!((thrown - exact).abs() < 0.5, "{thrown} and {exact}");
    }
}
