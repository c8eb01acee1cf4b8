//! Gates: what good balance means, in numbers.

use serde::Serialize;

use super::{Results, Share};
use crate::Level;

/// Share from which an archetype is part of the mixture.
const SUPPORT: f64 = 0.01;

/// A bound that a result must keep.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Gate {
    /// What is measured.
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
    fn new(name: impl Into<String>, value: f64, least: f64, most: f64) -> Self {
        Gate {
            name: name.into(),
            value,
            least,
            most,
            holds: (least..=most).contains(&value),
        }
    }
}

/// Returns the gates of these results.
pub fn gates(results: &Results) -> Vec<Gate> {
    let mut gates = Vec::new();
    for (name, mean) in results.archetypes.iter().zip(&results.means) {
        gates.push(Gate::new(format!("mean of {name}"), *mean, 0.35, 0.65));
    }
    let rates = results.pairs.iter().flatten().flatten().map(Share::rate);
    let best = rates.fold(0.5, f64::max);
    gates.push(Gate::new("most one-sided pair", best, 0.5, 0.85));
    let support = results.nash.iter().filter(|share| **share >= SUPPORT);
    gates.push(Gate::new(
        "archetypes in the Nash mixture",
        support.count() as f64,
        4.0,
        6.0,
    ));
    for (unit, share) in &results.ablations {
        let name = format!("without {unit:?}").to_lowercase();
        gates.push(Gate::new(name, share.rate(), 0.0, 0.45));
    }
    let first = results.first_seat.rate();
    gates.push(Gate::new("first of two seats", first, 0.47, 0.53));
    for (count, seats) in &results.seats {
        let fair = 1.0 / *count as f64;
        let sigmas = seats.iter().map(|share| {
            let deviation = (fair * (1.0 - fair) / share.games.max(1) as f64).sqrt();
            (share.rate() - fair).abs() / deviation
        });
        let most = sigmas.fold(0.0, f64::max);
        gates.push(Gate::new(
            format!("seats of {count}, in sigma from fair"),
            most,
            0.0,
            3.0,
        ));
    }
    let minutes = |seconds: u64| seconds as f64 / 60.0;
    for (count, length) in &results.lengths {
        let p5 = minutes(length.p5);
        gates.push(Gate::new(
            format!("length with {count} seats, p5 in minutes"),
            p5,
            9.0,
            20.0,
        ));
        let p95 = minutes(length.p95);
        gates.push(Gate::new(
            format!("length with {count} seats, p95 in minutes"),
            p95,
            9.0,
            20.0,
        ));
    }
    let leader = results.leader_wins.rate();
    gates.push(Gate::new("leader at half-time wins", leader, 0.60, 0.75));
    let orders = results.orders_per_minute;
    gates.push(Gate::new(
        "orders of a player per minute",
        orders,
        8.0,
        30.0,
    ));
    for (level, share) in &results.levels {
        let (name, least, most) = match level {
            Level::Warlord => ("Warlord against Captain", 0.75, 0.90),
            Level::Captain | Level::Recruit => ("Captain against Recruit", 0.85, 1.0),
        };
        gates.push(Gate::new(name, share.rate(), least, most));
    }
    gates
}
