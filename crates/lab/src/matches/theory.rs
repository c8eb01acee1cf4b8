//! Theoretical time to replace a crashed leader, without split votes.

use super::Conditions;
use crate::elections::theory::first_timeout_ms;

/// Integration steps.
const STEPS: u32 = 2_000;

/// Mean time from the crash of a leader to the next one, in milliseconds; `None` where the
/// remaining machines are not a majority.
///
/// A follower last hears from the leader when the leader's newest message arrives: one delay after
/// it was sent, some time before the crash ([`silence_ms`]). From then on n - 1 election timers
/// run, the first of which fires on average after a + (b - a) / n for timeouts on [a, b]. Its node
/// runs pre-vote, which takes one round trip; it persists its own vote and requests votes, the
/// others persist theirs and reply: another round trip and two writes. In total
///
/// a + (b - a) / n - silence + 5 delays + 2 writes.
///
/// It is exact for a constant delay, as long as no second timer fires before the vote request
/// arrives; for drawn delays the mean is used, although a majority of quick replies suffices. Loss
/// is not modelled.
pub fn next_leader_ms(conditions: &Conditions, machines: u64) -> Option<f64> {
    if (machines - 1) * 2 <= machines {
        return None;
    }
    let timeout = first_timeout_ms(machines - 1, conditions.timeout, std::time::Duration::ZERO);
    let disk = conditions.disk.0.as_secs_f64() * 1e3;
    Some(timeout - silence_ms(conditions, machines) + 5.0 * delay_ms(conditions) + 2.0 * disk)
}

fn delay_ms(conditions: &Conditions) -> f64 {
    (conditions.delay.from + conditions.delay.to).as_secs_f64() * 1e3 / 2.0
}

/// Mean time since a leader's newest message at a random time, in milliseconds.
///
/// Heartbeats are sent every h regardless of other traffic; orders of all players together arrive
/// at rate r at random times, and each causes two messages: the entry, and a round trip and a write
/// c later its commit. So nothing was sent within the last x if no heartbeat was, which has the
/// probability 1 - x / h, and if no player clicked in two windows of length x, which overlap where
/// x > c: exp(-r (x + min(x, c))). The mean is the integral of the product from 0 to h; without
/// orders it is h / 2.
pub fn silence_ms(conditions: &Conditions, machines: u64) -> f64 {
    let heartbeat = conditions.heartbeat.0.as_secs_f64() * 1e3;
    let rate = conditions.rate * machines as f64 / 1e3;
    let committed = 2.0 * delay_ms(conditions) + conditions.disk.0.as_secs_f64() * 1e3;
    let longer =
        |time: f64| (1.0 - time / heartbeat) * (-rate * (time + time.min(committed))).exp();
    let step = heartbeat / f64::from(STEPS);
    // Simpson's rule.
    let inner: f64 = (1..STEPS)
        .map(|at| longer(step * f64::from(at)) * if at % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    (longer(0.0) + inner + longer(heartbeat)) * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_leader_is_silent_for_half_a_heartbeat() {
        let quiet = Conditions {
            rate: 1e-9,
            ..Conditions::default()
        };
        assert!((silence_ms(&quiet, 5) - 25.0).abs() < 1e-3);
        let busy = Conditions {
            rate: 200.0,
            delay: "0".parse().unwrap(),
            disk: "0".parse().unwrap(),
            ..quiet
        };
        // Heartbeats are then almost never the newest message: the mean of an exponential time,
        // except for 1/h of its square.
        assert!(
            (silence_ms(&busy, 5) - (1.0 - 1.0 / 50.0)).abs() < 1e-3,
            "{}",
            silence_ms(&busy, 5)
        );
        assert_eq!(next_leader_ms(&quiet, 2), None);
    }
}
