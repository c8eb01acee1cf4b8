//! Gates: what good balance means, in numbers.

use serde::{Deserialize, Serialize};

use super::{Results, Share};
use crate::Level;

/// Share from which an archetype is part of the mixture.
const SUPPORT: f64 = 0.01;

/// The file of this build.
const FILE: &str = include_str!("../../../../assets/rules/gates.toml");

/// Smallest and largest values of the measures; see `assets/rules/gates.toml`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    mean: [f64; 2],
    pair: [f64; 2],
    nash: [f64; 2],
    ablation: [f64; 2],
    first_seat: [f64; 2],
    seats: [f64; 2],
    length_p5: [f64; 2],
    length_p95: [f64; 2],
    leader: [f64; 2],
    orders: [f64; 2],
    warlord: [f64; 2],
    captain: [f64; 2],
}

/// The text is not one of bounds.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the bounds cannot be read: {0}")]
pub struct BoundsError(String);

impl Bounds {
    /// Returns the bounds of this build.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn of_this_build() -> Self {
        Bounds::parse(FILE).expect("the bounds of this build are valid")
    }

    /// Reads bounds.
    ///
    /// # Errors
    /// [`BoundsError`].
    pub fn parse(text: &str) -> Result<Self, BoundsError> {
        toml::from_str(text).map_err(|error| BoundsError(error.to_string()))
    }
}

/// A bound that a result must keep.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Gate {
    /// The measure.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Smallest value.
    pub least: f64,
    /// Largest value.
    pub most: f64,
    /// Whether it is kept.
    pub holds: bool,
}

impl Gate {
    fn new(name: impl Into<String>, value: f64, [least, most]: [f64; 2]) -> Self {
        Gate {
            name: name.into(),
            value,
            least,
            most,
            holds: (least..=most).contains(&value),
        }
    }
}

/// Returns the gates of these results. What was not played has none.
pub fn gates(results: &Results, bounds: &Bounds) -> Vec<Gate> {
    let mut gates = Vec::new();
    if results.settings.games > 0 {
        for (name, mean) in results.archetypes.iter().zip(&results.means) {
            gates.push(Gate::new(format!("mean of {name}"), *mean, bounds.mean));
        }
        let rates = results.pairs.iter().flatten().flatten().map(Share::rate);
        gates.push(Gate::new(
            "most one-sided pair",
            rates.fold(0.5, f64::max),
            bounds.pair,
        ));
        let support = results.nash.iter().filter(|share| **share >= SUPPORT);
        let support = support.count() as f64;
        gates.push(Gate::new(
            "archetypes in the Nash mixture",
            support,
            bounds.nash,
        ));
        let leader = results.leader_wins.rate();
        gates.push(Gate::new("leader at half-time wins", leader, bounds.leader));
        let first = results.first_seat.rate();
        gates.push(Gate::new("first of two seats", first, bounds.first_seat));
    }
    for (unit, share) in &results.ablations {
        let name = format!("without {unit:?}").to_lowercase();
        gates.push(Gate::new(name, share.rate(), bounds.ablation));
    }
    for (count, seats) in &results.seats {
        let name = format!("seats of {count}, in deviations from fair");
        gates.push(Gate::new(name, deviations(seats), bounds.seats));
    }
    for (count, length) in &results.lengths {
        for (name, seconds, bounds) in [
            ("p5", length.p5, bounds.length_p5),
            ("p95", length.p95, bounds.length_p95),
        ] {
            let name = format!("minutes with {count} seats, {name}");
            gates.push(Gate::new(name, seconds as f64 / 60.0, bounds));
        }
    }
    if !results.lengths.is_empty() {
        let orders = results.orders_per_minute;
        gates.push(Gate::new(
            "orders of a player per minute",
            orders,
            bounds.orders,
        ));
    }
    for (level, share) in &results.levels {
        let (name, bounds) = match level {
            Level::Warlord => ("Warlord against Captain", bounds.warlord),
            Level::Captain | Level::Recruit => ("Captain against Recruit", bounds.captain),
        };
        gates.push(Gate::new(name, share.rate(), bounds));
    }
    gates
}

/// Largest distance of the shares of wins from fair ones, in standard deviations.
fn deviations(seats: &[Share]) -> f64 {
    let fair = 1.0 / seats.len() as f64;
    let distances = seats.iter().map(|share| {
        let deviation = (fair * (1.0 - fair) / share.games.max(1) as f64).sqrt();
        (share.rate() - fair).abs() / deviation
    });
    distances.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_this_build_are_read_and_wrong_ones_refused() {
        let bounds = Bounds::of_this_build();
        assert_eq!(bounds.leader, [0.60, 0.75]);
        let wrong = FILE.replace("leader", "leaders");
        let error = Bounds::parse(&wrong).unwrap_err().to_string();
        assert!(error.contains("leaders"), "{error}");
    }

    #[test]
    fn gate_holds_within_its_bounds_only() {
        let gate = |value| Gate::new("a", value, [0.35, 0.65]).holds;
        assert_eq!(
            [0.349, 0.35, 0.65, 0.651, f64::NAN].map(gate),
            [false, true, true, false, false]
        );
    }

    #[test]
    fn deviations_are_those_of_the_worst_seat() {
        let seat = |wins| {
            let mut share = Share::default();
            (0..300).for_each(|game| share.add_of(Some(game < wins), 1.0 / 3.0));
            share
        };
        // The deviation of 300 matches of three is 8.16 wins.
        let most = deviations(&[seat(100), seat(84), seat(116)]);
        assert!((most - 16.0 / 8.165).abs() < 0.01, "{most}");
    }
}
