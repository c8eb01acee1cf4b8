//! Columns of the study, remarks on its rows, and one CSV line for each order.

use serde_json::{Map, Value, json};

use super::cell::Cell as Combination;
use super::row::{Row, short};
use super::{Measured, Study, World, charts};
use crate::report::column::{Cell, Column, Columns, Fold};
use crate::report::findings::{Findings, named};
use crate::report::statistics::{most, ms};

/// Columns of the study, and its quantities for `--assert`: sums over all rows, or the value of the
/// worst row. The parts add up to the mean; in virtual time a write takes the parameter `write_ms`.
/// The document lists a combination without a leader in time in `unmeasured`, instead of its rows.
pub const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.latency/1",
    list: &[
        Column::new("nodes", "", |row: &Row| row.cell.nodes.into()).head("nodes", ""),
        Column::new("rtt_ms", "ms", |row: &Row| ms(row.cell.rtt).into())
            .head("rtt", "ms")
            .scaled(short),
        Column::new("loss", "0 to 1", |row: &Row| Cell::Exact(row.cell.loss))
            .head("loss", "%")
            .text(|row| short(row.cell.loss * 100.0)),
        Column::new("rate", "orders per second", |row: &Row| {
            Cell::Exact(row.cell.rate)
        })
        .head("rate", "/s")
        .scaled(short),
        Column::new("origin", "", |row: &Row| row.origin.name().into()).head("at", ""),
        Column::new("orders", "displayed", |row: &Row| row.totals.len().into())
            .head("n", "")
            .assert("orders", Fold::Sum),
        Column::new("p50_ms", "ms", |row: &Row| row.quantile_ms(50).into())
            .head("p50", "ms")
            .scaled(scaled)
            .assert("p50_ms", Fold::Worst),
        Column::new("p95_ms", "ms", |row: &Row| row.quantile_ms(95).into())
            .head("p95", "ms")
            .scaled(scaled)
            .assert("p95_ms", Fold::Worst),
        Column::new("p99_ms", "ms", |row: &Row| row.quantile_ms(99).into())
            .head("p99", "ms")
            .scaled(scaled)
            .assert("p99_ms", Fold::Worst),
        Column::new("max_ms", "ms", |row: &Row| row.quantile_ms(100).into())
            .head("max", "ms")
            .scaled(scaled)
            .assert("max_ms", Fold::Worst),
        Column::new("mean_ms", "ms", |row: &Row| row.mean_ms().into()),
        Column::new("theory_ms", "ms", |row: &Row| row.theory_ms().into())
            .head("theory", "p50")
            .scaled(scaled),
        Column::new("off_ms", "p50_ms less theory_ms", |row: &Row| {
            row.off_ms().into()
        })
        .assert("max_off_ms", Fold::Rows(max_off_ms)),
        Column::new("queue_ms", "mean part of mean_ms", |row: &Row| {
            row.parts_ms()[0].into()
        })
        .head("queue", "mean")
        .scaled(scaled),
        Column::new("network_ms", "mean part of mean_ms", |row: &Row| {
            row.parts_ms()[1].into()
        })
        .head("net", "mean")
        .scaled(scaled),
        Column::new("disk_ms", "mean part of mean_ms", |row: &Row| {
            row.parts_ms()[2].into()
        })
        .head("disk", "mean")
        .scaled(scaled),
        Column::new("apply_ms", "mean part of mean_ms", |row: &Row| {
            row.parts_ms()[3].into()
        })
        .head("apply", "mean")
        .scaled(scaled),
        Column::new("frame_ms", "mean part of mean_ms", |row: &Row| {
            row.parts_ms()[4].into()
        })
        .head("frame", "mean")
        .scaled(scaled),
        Column::new("write_ms", "median of all writes", |row: &Row| {
            row.measured.write_ms.into()
        }),
        Column::new("lost", "never displayed", |row: &Row| {
            row.measured.lost.into()
        })
        .head("lost", "")
        .assert("lost", Fold::Sum),
        Column::new("again", "repeated proposals", |row: &Row| {
            row.measured.again.into()
        })
        .assert("again", Fold::Sum),
        Column::new("leader_changes", "new terms", |row: &Row| {
            row.measured.elections.into()
        }),
    ],
    totals: &[],
};

/// Largest deviation of a median from theory, in either direction, over rows without loss.
fn max_off_ms(rows: &[Row]) -> f64 {
    let lossless = rows.iter().filter(|row| row.cell.loss == 0.0);
    most(lossless.filter_map(Row::off_ms).map(f64::abs))
}

/// Formats a time with one decimal place below 100 ms.
fn scaled(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".to_owned(),
        _ if value.abs() < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Collects all outputs.
pub fn findings(study: &Study, rows: &[Row], unmeasured: &[String]) -> Findings {
    let mut remarks = remarks(study, rows);
    remarks.extend(unmeasured.iter().cloned());
    let world = match study.world {
        World::Real => "on real nodes with disks and QUIC".to_owned(),
        World::Virtual(write) => format!("in virtual time, with writes of {write}"),
    };
    let headline = format!(
        "Latency from click to display, {world}: {} s each, seed {}",
        study.seconds, study.seed
    );
    Findings {
        name: "latency",
        title: "Order latency",
        about: format!("{headline}."),
        headline,
        remarks,
        heading: "Click to display".to_owned(),
        measurements: COLUMNS.measurements(rows),
        csv: csv(rows),
        params: study.json(),
        more: more(study, unmeasured),
        command: format!("cargo lab latency {}", study.options()),
        charts: named(charts::all(study, rows)),
        logs: Vec::new(),
        facts: facts(study),
        complete: unmeasured.is_empty() && rows.iter().all(|row| row.measured.lost == 0),
        violation: None,
    }
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
    let measured = study.cells().len();
    let all = study.grid().len();
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
    let cell = |cell: &Combination| study.seconds + 1.0 + 12.0 * cell.rtt.as_secs_f64();
    (study.grid().iter().map(cell).sum::<f64>() / 60.0).ceil()
}

/// One line for each order: its cell, and its parts in milliseconds.
pub fn csv(rows: &[Row]) -> String {
    let mut heads = vec!["nodes", "rtt_ms", "loss", "rate", "origin", "total_ms"];
    heads.extend(["queue_ms", "network_ms", "disk_ms", "apply_ms", "frame_ms"]);
    let lines = rows.iter().flat_map(|row| {
        let Combination {
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

/// Members of the document in addition to its rows and quantities.
fn more(study: &Study, unmeasured: &[String]) -> Map<String, Value> {
    let cells = json!({ "measured": study.cells().len(), "of": study.grid().len() });
    let more = [("combinations", cells), ("unmeasured", json!(unmeasured))];
    more.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn facts(study: &Study) -> Vec<(String, String)> {
    let Study {
        nodes,
        rtts,
        losses,
        rates,
        seconds,
        fps,
        seed,
        world,
        ..
    } = study;
    let (way, lost, decides) = match world {
        World::Real => (
            "through a proxy on the loopback interface",
            "lost datagrams",
            "clicks, losses and election timeouts",
        ),
        World::Virtual(_) => ("in virtual time", "lost messages", "everything"),
    };
    vec![
        fact("nodes", nodes.to_string()),
        fact("round trip", format!("{rtts}, half of it each way, {way}")),
        fact(lost, losses.to_string()),
        fact("orders per second at each origin", rates.to_string()),
        fact("seconds of orders", seconds.to_string()),
        fact("frames per second", fps.to_string()),
        fact("seed", format!("{seed}; determines {decides}")),
    ]
}

fn fact(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}
