//! Means, quantiles and growth.

use std::time::Duration;

/// Maximum number of points of a cumulative curve.
const POINTS: usize = 400;

/// Duration in milliseconds, the unit of every table and document.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Mean, median and 95th percentile of measurements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Middle value, or the mean of the two in the middle.
    pub median: f64,
    /// Smallest value that at least 95 % of the values do not exceed.
    pub p95: f64,
    /// Maximum.
    pub max: f64,
}

impl Summary {
    /// Summarizes `values`, in any order; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let max = *values.last()?;
        Some(Summary {
            mean: values.iter().sum::<f64>() / count as f64,
            median: (values[(count - 1) / 2] + values[count / 2]) / 2.0,
            p95: values[(count * 95).div_ceil(100) - 1],
            max,
        })
    }
}

/// Mean with its 95 % confidence interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half width: the true mean is at most this far from it in 95 of 100 such samples.
    pub off: f64,
}

/// Quantiles 0.975 of Student's distribution for 1 to 30 degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

impl Interval {
    /// Interval of independent, normally distributed `values`; `None` with fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / freedom as f64;
        // Beyond the table by its expansion in the degrees of freedom, accurate to three digits.
        let student = STUDENT
            .get(freedom - 1)
            .copied()
            .unwrap_or(1.960 + 2.4 / freedom as f64);
        Some(Interval {
            mean,
            off: student * (variance / values.len() as f64).sqrt(),
        })
    }
}

/// Smallest of `sorted` values, ascending, that at least `percent` % of them do not exceed; `None`
/// if there are none.
pub fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent.min(100)).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

/// Cumulative distribution in percent. Large samples are thinned; the first and last value are
/// kept.
pub fn shares(mut values: Vec<f64>) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let shown = count.min(POINTS);
    let place = |at: usize| {
        if shown < 2 {
            0
        } else {
            at * (count - 1) / (shown - 1)
        }
    };
    (0..shown)
        .map(|at| {
            (
                values[place(at)],
                (place(at) + 1) as f64 * 100.0 / count as f64,
            )
        })
        .collect()
}

/// Maximum; NaN if there are none.
pub fn most(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}

/// Growth with the cluster size: as a power, and along a line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Growth {
    /// `k` of the closest `c * n^k`: the least-squares slope in logarithms.
    pub exponent: f64,
    /// Increase per node, by least squares.
    pub slope: f64,
    /// Intercept of that line at zero nodes.
    pub intercept: f64,
}

impl Growth {
    /// Fits points of size and value; `None` with fewer than two sizes, or where a logarithm does
    /// not exist.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points
            .iter()
            .any(|(size, value)| *size <= 0.0 || *value <= 0.0)
        {
            return None;
        }
        let logarithms: Vec<_> = points
            .iter()
            .map(|(size, value)| (size.ln(), value.ln()))
            .collect();
        let (exponent, _) = line(&logarithms)?;
        let (slope, intercept) = line(points)?;
        Some(Growth {
            exponent,
            slope,
            intercept,
        })
    }
}

/// Slope and intercept of a least-squares line.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let x = mean(|point| point.0);
    let y = mean(|point| point.1);
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum::<f64>()
        / spread;
    slope.is_finite().then_some((slope, y - slope * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_one_to_a_hundred() {
        let summary = Summary::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(
            summary,
            Summary {
                mean: 50.5,
                median: 50.5,
                p95: 95.0,
                max: 100.0
            }
        );
        assert_eq!(Summary::of(Vec::new()), None);
        assert_eq!(Summary::of(vec![7.0]).unwrap().p95, 7.0);
    }

    #[test]
    fn interval_matches_a_manual_calculation() {
        let Interval { mean, off } = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        // Standard deviation sqrt(2.5), standard error sqrt(0.5), times 2.776.
        assert!(
            (mean - 3.0).abs() < 1e-12 && (off - 1.963).abs() < 1e-3,
            "{mean} {off}"
        );
        assert_eq!(Interval::of(&[1.0]), None);
        let many: Vec<_> = (0..61).map(|place| f64::from(place % 2)).collect();
        // 2.000 for 60 degrees of freedom.
        let spread = Interval::of(&many).unwrap().off / 2.0 * (61.0_f64).sqrt();
        assert!((spread - 0.504).abs() < 1e-3, "{spread}");
    }

    #[test]
    fn quantile_is_one_of_the_values() {
        let values: Vec<_> = (1..=200).map(f64::from).collect();
        let of = |percent| quantile(&values, percent);
        assert_eq!(
            [of(0), of(50), of(99), of(100)],
            [Some(1.0), Some(100.0), Some(198.0), Some(200.0)]
        );
        assert_eq!((quantile(&[7.0], 99), quantile(&[], 50)), (Some(7.0), None));
    }

    #[test]
    fn growth_finds_powers_and_lines() {
        let squares: Vec<_> = (1..10)
            .map(|n| (f64::from(n), f64::from(3 * n * n)))
            .collect();
        assert!((Growth::of(&squares).unwrap().exponent - 2.0).abs() < 1e-9);
        let straight: Vec<_> = (1..10)
            .map(|n| (f64::from(n), f64::from(2 * n + 5)))
            .collect();
        let growth = Growth::of(&straight).unwrap();
        assert!((growth.slope - 2.0).abs() < 1e-9 && (growth.intercept - 5.0).abs() < 1e-9);
        assert_eq!(Growth::of(&straight[..1]), None, "one size has no growth");
    }
}
