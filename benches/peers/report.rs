//! Formats the results as a table and as a JSON document.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Effort;
use super::machine::Machine;
use super::workload::{Cell, System};

/// Results of one system in one cell.
pub(crate) struct Row {
    pub(crate) system: &'static System,
    pub(crate) cell: Cell,
    /// Commits per second of each round.
    pub(crate) rates: Vec<f64>,
    /// Speed of ours relative to this system.
    pub(crate) ratio: Option<f64>,
}

impl Row {
    pub(crate) fn commits(&self) -> f64 {
        median(&self.rates)
    }

    fn json(&self) -> Value {
        let Cell { nodes, bytes, load } = self.cell;
        let whole = |rate: f64| rate.round() as u64;
        let edge = |pick: fn(f64, f64) -> f64| {
            whole(self.rates.iter().copied().reduce(pick).unwrap_or_default())
        };
        json!({
            "system": self.system.name,
            "nodes": nodes,
            "bytes": bytes,
            self.system.load.name(): load,
            "commits_per_s": whole(self.commits()),
            "lowest": edge(f64::min),
            "highest": edge(f64::max),
            "raftian_to_this": self.ratio.map(|ratio| (ratio * 100.0).round() / 100.0),
        })
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Fills in the ratios: the median over the rounds, because load on the machine slows adjacent
/// measurements alike.
pub(crate) fn compare(rows: &mut [Row], ours: &str) {
    let Some(ours) = rows
        .iter()
        .find(|row| row.system.name == ours)
        .map(|row| row.rates.clone())
    else {
        return;
    };
    for row in rows {
        row.ratio = Some(median(
            &ours
                .iter()
                .zip(&row.rates)
                .map(|(ours, that)| ours / that)
                .collect::<Vec<_>>(),
        ));
    }
}

/// Formats the heading of the table.
pub(crate) fn heading(effort: &Effort, machine: &Machine) -> String {
    let Effort { rounds, slice } = effort;
    let missing = if cfg!(feature = "openraft") {
        ""
    } else {
        "openraft is skipped; `cargo peers` includes it\n"
    };
    format!(
        "commits/s in memory, median of {rounds} rounds of {} ms, {}\n\
         batch: one thread, one batch in flight; \
         clients: two threads, one command in flight per client\n{missing}\
         {:<14} {:>5} {:>5} {:>13} {:>12} {:>12}\n",
        slice.as_millis(),
        machine.line(),
        "system",
        "nodes",
        "bytes",
        "load",
        "commits/s",
        "raftian/this",
    )
}

/// Formats the rows of one cell.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let Cell { nodes, bytes, load } = row.cell;
        let load = format!("{} {load:>5}", row.system.load.name());
        let ratio = row
            .ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        let commits = row.commits();
        let _ = writeln!(
            text,
            "{:<14} {nodes:>5} {bytes:>5} {load:>13} {commits:>12.0} {ratio:>12}",
            row.system.name
        );
    }
    text
}

/// Formats all results as JSON.
pub(crate) fn document(machine: &Machine, effort: &Effort, rows: &[Row]) -> Value {
    json!({
        "machine": machine.json(),
        "rounds": effort.rounds,
        "slice_ms": effort.slice.as_millis() as u64,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    })
}
