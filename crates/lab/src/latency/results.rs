//! Formats a study's rows as a table, CSV, JSON, and quantities for thresholds.

use serde_json::{Map, Value, json};

use super::{Cell, LatencyBreakdown, Measured, Origin, Study, World};
use crate::report::document::number;
use crate::report::statistics::{Summary, ms, quantile};
use crate::report::table::Table;

/// Schema name. Each row has `nodes`, `rtt_ms`, `loss` (0 to 1), `rate` (orders per second),
/// `origin`, `orders` (displayed), `lost` (never displayed), `again` (repeated proposals),
/// `leader_changes` (new terms), `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`, `mean_ms`, the means of
/// the parts `queue_ms`, `network_ms`, `disk_ms`, `apply_ms` and `frame_ms`, which add up to
/// `mean_ms`, `write_ms` (median of all writes), `theory_ms`, and `off_ms`, which is `p50_ms` less
/// theory. Unmeasured values are `null`, and a combination without a leader in time is
/// listed in `unmeasured` instead of the rows. `world` among the parameters is `real` or `virtual`,
/// where a write takes `write_ms`.
pub const SCHEMA: &str = "raftian.lab.latency/1";

/// Names of the parts, in order.
pub const PARTS: [&str; 5] = ["queue", "network", "disk", "apply", "frame"];

/// Quantities for `--assert`: sums over all rows for the first three, and the worst row's value for
/// the others. `max_off_ms` is the largest deviation of a median from theory, in either direction,
/// over rows without loss.
pub const QUANTITIES: [&str; 8] = [
    "orders",
    "lost",
    "again",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "max_off_ms",
];

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
    totals: Vec<f64>,
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

    fn cells(&self) -> Vec<String> {
        let tell = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
            Some(value) if value.abs() < 99.95 => format!("{value:.1}"),
            Some(value) => format!("{value:.0}"),
            None => "-".to_owned(),
        };
        let Cell {
            nodes,
            rtt,
            loss,
            rate,
            ..
        } = &self.cell;
        let mut cells = vec![
            nodes.to_string(),
            short(ms(*rtt)),
            short(loss * 100.0),
            short(*rate),
        ];
        cells.extend([self.origin.name().to_owned(), self.totals.len().to_string()]);
        cells.extend([50, 95, 99, 100].map(|percent| tell(self.quantile_ms(percent))));
        cells.push(tell(Some(self.theory_ms())));
        cells.extend(self.parts_ms().map(|part| tell(Some(part))));
        cells.push(self.measured.lost.to_string());
        cells
    }

    /// JSON form; see [`SCHEMA`].
    pub fn json(&self) -> Value {
        let Cell {
            nodes,
            rtt,
            loss,
            rate,
            ..
        } = &self.cell;
        let Measured {
            lost,
            again,
            elections,
            write_ms,
            ..
        } = &self.measured;
        let quantile = |percent| self.quantile_ms(percent).map(number);
        let mut row = json!({
            "nodes": nodes, "rtt_ms": number(ms(*rtt)), "loss": loss, "rate": rate, "origin": self.origin.name(),
            "orders": self.totals.len(), "lost": lost, "again": again, "leader_changes": elections,
            "p50_ms": quantile(50), "p95_ms": quantile(95), "p99_ms": quantile(99), "max_ms": quantile(100),
            "mean_ms": Summary::of(self.totals.clone()).map(|summary| number(summary.mean)),
            "write_ms": number(*write_ms), "theory_ms": number(self.theory_ms()), "off_ms": self.off_ms().map(number),
        });
        if let Some(row) = row.as_object_mut() {
            let parts = PARTS.iter().zip(self.parts_ms());
            row.extend(parts.map(|(name, part)| (format!("{name}_ms"), number(part))));
        }
        row
    }
}

/// Values of [`QUANTITIES`]; NaN if nothing could be measured.
pub fn quantities(rows: &[Row]) -> [(&'static str, f64); 8] {
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>() as f64;
    // A row without orders is the worst case.
    let worst = |percent| {
        rows.iter()
            .map(|row| row.quantile_ms(percent))
            .try_fold(0.0, |most: f64, value| Some(most.max(value?)))
    };
    let off = rows
        .iter()
        .filter(|row| row.cell.loss == 0.0)
        .filter_map(Row::off_ms)
        .map(f64::abs);
    let measured = [
        sum(|row| row.totals.len() as u64),
        sum(|row| row.measured.lost),
        sum(|row| row.measured.again),
        worst(50).unwrap_or(f64::NAN),
        worst(95).unwrap_or(f64::NAN),
        worst(99).unwrap_or(f64::NAN),
        worst(100).unwrap_or(f64::NAN),
        off.reduce(f64::max).unwrap_or(f64::NAN),
    ];
    std::array::from_fn(|place| (QUANTITIES[place], measured[place]))
}

/// Rows as a table: times in milliseconds, parts as means.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        ("nodes", ""),
        ("rtt", "ms"),
        ("loss", "%"),
        ("rate", "/s"),
        ("at", ""),
        ("n", ""),
        ("p50", "ms"),
        ("p95", "ms"),
        ("p99", "ms"),
        ("max", "ms"),
        ("theory", "p50"),
        ("queue", "mean"),
        ("net", "mean"),
        ("disk", "mean"),
        ("apply", "mean"),
        ("frame", "mean"),
        ("lost", ""),
    ]);
    rows.iter().for_each(|row| table.row(row.cells()));
    table
}

/// Remarks below the table.
pub fn remarks(study: &Study, rows: &[Row]) -> Vec<String> {
    let mut remarks = vec![
        "queue, net, disk, apply and frame are means and add up to the mean latency from click to display"
            .to_owned(),
        format!(
            "theory: 1 round trip at the leader, 2 at a follower, one write, half a frame of {:.1} ms; no loss",
            1e3 / study.fps
        ),
    ];
    if matches!(study.world, World::Virtual(_)) && rows.iter().any(|row| row.cell.loss > 0.0) {
        remarks.push("in virtual time a lost message is gone; QUIC would retransmit it".to_owned());
    }
    for row in rows
        .iter()
        .filter(|row| row.measured.again + row.measured.elections > 0)
    {
        let Measured {
            again, elections, ..
        } = row.measured;
        remarks.push(format!(
            "{}, {}/s at the {}: {again} proposed again, {elections} new terms",
            row.cell.name(),
            row.cell.rate,
            row.origin.name()
        ));
    }
    let (measured, all) = (study.cells().len(), study.grid().len());
    if measured < all {
        let long = match study.world {
            World::Real => format!(", in about {:.0} min", minutes(study)),
            World::Virtual(_) => String::new(),
        };
        remarks
            .push(format!("{measured} of {all} combinations, one value varied at a time; --full measures all{long}"));
    }
    remarks
}

/// Estimated minutes for the whole grid: clicks, plus an election, warm-up orders and the last
/// orders.
fn minutes(study: &Study) -> f64 {
    let cell = |cell: &Cell| study.seconds + 1.0 + 12.0 * cell.rtt.as_secs_f64();
    (study.grid().iter().map(cell).sum::<f64>() / 60.0).ceil()
}

/// One line for each order: its cell, and its parts in milliseconds.
pub fn csv(rows: &[Row]) -> String {
    let mut heads = vec!["nodes", "rtt_ms", "loss", "rate", "origin", "total_ms"];
    heads.extend(["queue_ms", "network_ms", "disk_ms", "apply_ms", "frame_ms"]);
    let lines = rows.iter().flat_map(|row| {
        let Cell {
            nodes,
            rtt,
            loss,
            rate,
            ..
        } = &row.cell;
        let cell = [
            nodes.to_string(),
            short(ms(*rtt)),
            loss.to_string(),
            rate.to_string(),
        ];
        row.measured.orders.iter().map(move |parts| {
            let mut line = cell.to_vec();
            line.push(row.origin.name().to_owned());
            line.push(format!("{:.3}", ms(parts.total())));
            line.extend(parts.millis().map(|part| format!("{part:.3}")));
            line
        })
    });
    crate::report::csv::document(&heads, lines)
}

/// Members of the document in addition to its rows.
pub fn more(study: &Study, rows: &[Row], unmeasured: &[String]) -> Map<String, Value> {
    let quantities: Map<_, _> = quantities(rows)
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number(*value)))
        .collect();
    let cells = json!({ "measured": study.cells().len(), "of": study.grid().len() });
    let more = [
        ("quantities", Value::Object(quantities)),
        ("combinations", cells),
        ("unmeasured", json!(unmeasured)),
    ];
    more.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// Formats a value to a thousandth, without trailing zeros.
pub(super) fn short(value: f64) -> String {
    ((value * 1e3).round() / 1e3).to_string()
}
