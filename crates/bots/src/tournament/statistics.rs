//! Shares with their uncertainty, quantiles, and the mixture that cannot be exploited.

use serde::Serialize;

/// Standard deviations of an interval that holds the true share in 95 of 100 cases.
const Z: f64 = 1.96;

/// A share of wins.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Share {
    /// Wins; a draw counts as a fair part of one.
    pub wins: f64,
    /// Matches.
    pub games: u64,
    /// The share; a half without a match.
    pub rate: f64,
    /// Bounds of its 95 % Wilson interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Share {
    /// Adds a match of two: won, lost, or drawn.
    pub fn add(&mut self, won: Option<bool>) {
        self.add_of(won, 0.5);
    }

    /// Adds a match in which a draw counts `fair`.
    pub fn add_of(&mut self, won: Option<bool>, fair: f64) {
        self.wins += won.map_or(fair, |won| f64::from(u8::from(won)));
        self.games += 1;
        self.rate = self.wins / self.games as f64;
        (self.low, self.high) = wilson(self.rate, self.games as f64);
    }

    /// The share; a half without a match.
    pub fn rate(&self) -> f64 {
        if self.games == 0 { 0.5 } else { self.rate }
    }
}

/// The Wilson score interval of a share.
fn wilson(rate: f64, games: f64) -> (f64, f64) {
    let z = Z * Z / games;
    let middle = (rate + z / 2.0) / (1.0 + z);
    let half = Z * (rate * (1.0 - rate) / games + z / (4.0 * games)).sqrt() / (1.0 + z);
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Three quantiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Quantiles {
    /// Five of a hundred are at most this.
    pub p5: u64,
    /// Half are at most this.
    pub p50: u64,
    /// 95 of a hundred are at most this.
    pub p95: u64,
}

/// Returns quantiles, by nearest rank; zeros without a value.
pub fn quantiles(mut values: Vec<u64>) -> Quantiles {
    values.sort_unstable();
    let rank = |percent: usize| {
        let place = (values.len() * percent).div_ceil(100).max(1) - 1;
        values.get(place).copied().unwrap_or(0)
    };
    Quantiles {
        p5: rank(5),
        p50: rank(50),
        p95: rank(95),
    }
}

/// Rounds of fictitious play: the mixture is exact to about one percent then.
const ROUNDS: usize = 200_000;

/// Returns a mixture of rows that no column beats, for a table in which each entry is the share of
/// wins of its row. By fictitious play: both sides always choose the best answer to what the other
/// one has chosen so far, which converges to an equilibrium of a game of two (Robinson 1951).
pub fn nash_mixture(table: &[Vec<f64>]) -> Vec<f64> {
    let size = table.len();
    let mut chosen = vec![0.0; size];
    let mut gains = vec![0.0; size];
    let mut choice = 0;
    for _ in 0..ROUNDS {
        chosen[choice] += 1.0;
        for row in 0..size {
            // The table of shares is symmetric around a half, so both sides choose alike.
            gains[row] += table[row][choice] - 0.5;
        }
        choice = (0..size).fold(
            0,
            |best, row| if gains[row] > gains[best] { row } else { best },
        );
    }
    chosen.iter().map(|count| count / ROUNDS as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_of_known_shares() {
        // 8 of 10: from 0.49 to 0.943, as in Newcombe 1998.
        let mut share = Share::default();
        (0..10).for_each(|game| share.add(Some(game < 8)));
        assert!((share.low - 0.490).abs() < 0.001 && (share.high - 0.943).abs() < 0.001);
        let mut none = Share::default();
        none.add(Some(false));
        assert_eq!(none.low, 0.0);
        assert!(none.high < 0.8);
    }

    #[test]
    fn quantiles_are_values() {
        let values = (1..=100).rev().collect();
        let expected = Quantiles {
            p5: 5,
            p50: 50,
            p95: 95,
        };
        assert_eq!(quantiles(values), expected);
        assert_eq!(quantiles(vec![]), Quantiles::default());
        assert_eq!(quantiles(vec![7]).p95, 7);
    }

    #[test]
    fn mixture_of_rock_paper_scissors_is_even() {
        let table = vec![
            vec![0.5, 0.0, 1.0],
            vec![1.0, 0.5, 0.0],
            vec![0.0, 1.0, 0.5],
        ];
        let mixture = nash_mixture(&table);
        assert!(
            mixture.iter().all(|share| (share - 1.0 / 3.0).abs() < 0.02),
            "{mixture:?}"
        );
        // A row that always wins is chosen always.
        let table = vec![vec![0.5, 0.9], vec![0.1, 0.5]];
        assert!(nash_mixture(&table)[0] > 0.99);
    }
}
