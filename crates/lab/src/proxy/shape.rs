//! Network effects of one direction.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Longest delay of one datagram: a minute. Longer ones are capped.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// Properties of one direction. The default forwards everything at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Delay of a datagram.
    pub delay: Delay,
    /// Share of datagrams that are lost, from 0 to 1.
    pub loss: f64,
    /// Share of datagrams that arrive twice, from 0 to 1; the copy comes right after the first.
    pub duplication: f64,
    /// Datagrams that later ones may overtake.
    pub late: Late,
    /// Bytes per second, without UDP and IP headers; `None` for no limit.
    pub rate: Option<u64>,
    /// Queue of the rate limit in bytes. A datagram that does not fit is dropped.
    pub queue: u64,
}

/// Distribution of delays.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Delay {
    /// Constant delay.
    Fixed(Duration),
    /// Uniform between the two bounds.
    Uniform(Duration, Duration),
    /// The first plus an exponentially distributed time with the second as its mean.
    Exponential(Duration, Duration),
}

/// Datagrams that arrive late, and their extra delay.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Late {
    /// Share of datagrams, from 0 to 1.
    pub share: f64,
    /// Additional delay. Datagrams that arrive meanwhile do not wait for late ones.
    pub by: Duration,
}

/// Reason why a shape is invalid.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A share that is out of range.
    #[error("{0} is not a share: it must be between 0 and 1")]
    Share(f64),
    /// A uniform delay from a longer to a shorter one.
    #[error("the shorter delay must come first")]
    DescendingDelay,
    /// A rate at which nothing is forwarded.
    #[error("a rate of 0 blocks everything: use a cut")]
    NoRate,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            delay: Delay::Fixed(Duration::ZERO),
            loss: 0.0,
            duplication: 0.0,
            late: Late::default(),
            rate: None,
            queue: 64 * 1024,
        }
    }
}

impl Shape {
    /// Validates the shape.
    ///
    /// # Errors
    /// If a share is out of range, a uniform delay is descending, or the rate is 0, which is a cut.
    pub fn check(&self) -> Result<(), ShapeError> {
        let shares = [self.loss, self.duplication, self.late.share];
        if let Some(share) = shares
            .into_iter()
            .find(|share| !(0.0..=1.0).contains(share))
        {
            return Err(ShapeError::Share(share));
        }
        match self.delay {
            Delay::Uniform(from, to) if from > to => Err(ShapeError::DescendingDelay),
            _ if self.rate == Some(0) => Err(ShapeError::NoRate),
            _ => Ok(()),
        }
    }
}

/// Random effects on one datagram.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fate {
    pub(super) lost: bool,
    pub(super) duplicated: bool,
    pub(super) late: bool,
    pub(super) delay: Duration,
}

/// RNG of one direction.
#[derive(Debug)]
pub(super) struct Rng(ChaCha8Rng);

impl Rng {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Rng(rng)
    }

    /// Draws the fate of the next datagram: four draws, regardless of the shape.
    pub(super) fn fate(&mut self, shape: &Shape) -> Fate {
        let [lost, duplicated, late, delay]: [f64; 4] =
            std::array::from_fn(|_| self.0.random_range(0.0..1.0));
        Fate {
            lost: lost < shape.loss,
            duplicated: duplicated < shape.duplication,
            late: late < shape.late.share,
            delay: shape.delay.at(delay).min(MAX_DELAY),
        }
    }
}

impl Delay {
    /// Quantile `part` of the delays.
    fn at(self, part: f64) -> Duration {
        match self {
            Delay::Fixed(delay) => delay,
            Delay::Uniform(from, to) => from + (to.saturating_sub(from)).mul_f64(part),
            // `part` is below 1, so the logarithm is finite; its absolute value is at most about
            // 37.
            Delay::Exponential(least, mean) => least + mean.mul_f64(-(1.0 - part).ln()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_have_their_configured_means() {
        for (delay, mean, least) in [
            (Delay::Fixed(5 * MS), 5.0, 5.0),
            (Delay::Uniform(2 * MS, 10 * MS), 6.0, 2.0),
            (Delay::Exponential(3 * MS, 4 * MS), 7.0, 3.0),
        ] {
            let mut rng = Rng::new(1, 0);
            let shape = Shape {
                delay,
                ..Shape::default()
            };
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| rng.fate(&shape).delay.as_secs_f64() * 1e3)
                .collect();
            let drawn_mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            assert!((drawn_mean - mean).abs() < 0.1, "{delay:?}: {drawn_mean}");
            assert!(
                drawn.iter().all(|delay| *delay >= least - 1e-9),
                "{delay:?}"
            );
        }
    }

    #[test]
    fn nth_datagram_gets_the_same_draws_under_any_shape() {
        let mut calm = Rng::new(7, 3);
        let mut bad = Rng::new(7, 3);
        let storm = Shape {
            loss: 0.5,
            duplication: 0.5,
            ..Shape::default()
        };
        for _ in 0..100 {
            calm.fate(&Shape::default());
            bad.fate(&storm);
        }
        assert_eq!(calm.fate(&storm), bad.fate(&storm));
        assert_ne!(
            Rng::new(7, 4).0.random::<u64>(),
            Rng::new(7, 3).0.random::<u64>(),
            "each direction has its own draws"
        );
    }

    #[test]
    fn invalid_shapes_are_refused() {
        let shape = Shape::default();
        assert_eq!(shape.check(), Ok(()));
        for wrong in [
            Shape { loss: 1.1, ..shape },
            Shape {
                duplication: f64::NAN,
                ..shape
            },
            Shape {
                delay: Delay::Uniform(2 * MS, MS),
                ..shape
            },
            Shape {
                rate: Some(0),
                ..shape
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
