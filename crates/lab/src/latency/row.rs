//! Measurements of one origin of one cell, summarized.

use super::cell::{Cell, Origin};
use super::{LatencyBreakdown, Measured};
use crate::report::statistics::{Summary, ms, quantile};

/// Names of the parts, in order.
pub(super) const PARTS: [&str; 5] = ["queue", "network", "disk", "apply", "frame"];

/// Measurements of one origin of one cell.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The cell.
    pub cell: Cell,
    /// Origin of its orders.
    pub origin: Origin,
    /// Measurements.
    pub measured: Measured,
    /// Latencies in milliseconds, ascending.
    pub(super) totals: Vec<f64>,
}

impl Row {
    /// Creates a row from its measurements.
    pub fn new(cell: Cell, origin: Origin, measured: Measured) -> Self {
        let mut totals: Vec<_> = measured
            .orders
            .iter()
            .map(|parts| ms(parts.total()))
            .collect();
        totals.sort_by(f64::total_cmp);
        Row {
            cell,
            origin,
            measured,
            totals,
        }
    }

    /// Latency that `percent` of all orders do not exceed, in milliseconds; `None` without orders.
    pub fn quantile_ms(&self, percent: usize) -> Option<f64> {
        quantile(&self.totals, percent)
    }

    /// Means of the parts, in the order of [`PARTS`]; NaN without orders.
    pub fn parts_ms(&self) -> [f64; 5] {
        let mean = |part: usize| {
            let sum: f64 = self
                .measured
                .orders
                .iter()
                .map(|parts: &LatencyBreakdown| parts.millis()[part])
                .sum();
            sum / self.measured.orders.len() as f64
        };
        std::array::from_fn(mean)
    }

    /// Theoretical median, in milliseconds.
    pub fn theory_ms(&self) -> f64 {
        self.cell.theory_ms(self.origin, self.measured.write_ms)
    }

    /// Deviation of the median from theory, in milliseconds.
    pub fn off_ms(&self) -> Option<f64> {
        self.quantile_ms(50).map(|median| median - self.theory_ms())
    }

    pub(super) fn mean_ms(&self) -> Option<f64> {
        Summary::of(self.totals.clone()).map(|summary| summary.mean)
    }
}

/// Formats a value to a thousandth, without trailing zeros.
pub(super) fn short(value: f64) -> String {
    ((value * 1e3).round() / 1e3).to_string()
}
