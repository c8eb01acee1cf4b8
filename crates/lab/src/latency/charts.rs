//! What was measured, drawn: where time goes along each axis, and how it grows with the round trip.

use super::results::{PARTS, Row, short};
use super::{Cell, Origin, Study};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};

/// Width of a bar; the next begins one later.
const BAR: f64 = 0.8;

/// One axis: its name, its file, and what a cell is on it.
type Along = (&'static str, &'static str, fn(&Cell) -> String);

const AXES: [Along; 4] = [
    ("the round trip", "parts-by-round-trip", |cell| {
        format!("{} ms", short(cell.rtt.as_secs_f64() * 1e3))
    }),
    ("the cluster's size", "parts-by-nodes", |cell| {
        format!("{} nodes", cell.nodes)
    }),
    ("loss", "parts-by-loss", |cell| {
        format!("{} %", short(cell.loss * 100.0))
    }),
    ("the rate of orders", "parts-by-rate", |cell| {
        format!("{} /s", short(cell.rate))
    }),
];

/// The charts of a study, each with the name of its file. An axis with one value has none.
#[must_use]
pub fn all(study: &Study, rows: &[Row]) -> Vec<(&'static str, Chart)> {
    let mut charts = Vec::new();
    for (axis, (name, file, label)) in AXES.into_iter().enumerate() {
        let along = along(study, rows, axis);
        if along
            .windows(2)
            .any(|pair| label(&pair[0].cell) != label(&pair[1].cell))
        {
            charts.push((file, parts(study, name, label, &along)));
        }
        if axis == 0 && !along.is_empty() {
            charts.push(("latency-by-round-trip", growth(study, &along)));
        }
    }
    charts
}

/// Rows that are at the centre of all axes but this one, with at least one order; the leader's
/// first.
fn along<'a>(study: &Study, rows: &'a [Row], axis: usize) -> Vec<&'a Row> {
    let centre = study.centre();
    let at_centre = |row: &&Row| {
        let same = AXES
            .iter()
            .map(|(_, _, label)| label(&row.cell) == label(&centre));
        same.enumerate().all(|(place, same)| same || place == axis) && row.quantile_ms(50).is_some()
    };
    let mut along: Vec<_> = rows.iter().filter(at_centre).collect();
    along.sort_by_key(|row| row.origin);
    along
}

/// Bars of the means, from the bottom in the order in which an order meets them.
fn parts(study: &Study, name: &str, label: fn(&Cell) -> String, rows: &[&Row]) -> Chart {
    let mut series = Vec::new();
    // Sums up to each part, the largest first, so that each covers the lower end of the one before.
    for part in (0..PARTS.len()).rev() {
        let height = |row: &Row| row.parts_ms()[..=part].iter().sum::<f64>();
        let points = (1..)
            .zip(rows)
            .map(|(place, row)| (f64::from(place), height(row)))
            .collect();
        let labels = if part + 1 == PARTS.len() {
            rows.iter().map(|row| label(&row.cell)).collect()
        } else {
            Vec::new()
        };
        let name = describe(part).to_owned();
        series.push(Series {
            name,
            colour: COLOURS[part],
            shape: Shape::Bars(BAR, labels),
            points,
        });
    }
    let theory = (1..).zip(rows).flat_map(|(place, row)| {
        let (place, theory) = (f64::from(place), row.theory_ms());
        [(place - BAR / 2.0, theory), (place + BAR / 2.0, theory)]
    });
    let points = theory.collect();
    series.push(Series {
        name: "theory: round trips, one write, half a frame".to_owned(),
        colour: COLOURS[5],
        shape: Shape::Dashes,
        points,
    });
    let leaders = rows
        .iter()
        .filter(|row| row.origin == Origin::Leader)
        .count();
    let who = match leaders {
        0 => "orders at a follower".to_owned(),
        _ if leaders == rows.len() => "orders at the leader".to_owned(),
        _ => format!("bars 1 to {leaders}: orders at the leader; the others: at a follower"),
    };
    let title = format!("Where time goes, by {name} ({})", centre(study, name));
    Chart {
        title,
        x: Axis::counts(&who),
        y: Axis::measures("mean time (ms)").from_zero(),
        series,
    }
}

/// Medians and tails over the round trip, beside theory.
fn growth(study: &Study, rows: &[&Row]) -> Chart {
    let mut series = Vec::new();
    for (place, origin) in [Origin::Leader, Origin::Follower].into_iter().enumerate() {
        let of = |pick: &dyn Fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
            let mine = rows.iter().filter(|row| row.origin == origin);
            mine.filter_map(|row| Some((row.cell.rtt.as_secs_f64() * 1e3, pick(row)?)))
                .collect()
        };
        if of(&|_| Some(0.0)).is_empty() {
            continue;
        }
        let who = match origin {
            Origin::Leader => "at the leader",
            Origin::Follower => "at a follower",
        };
        let colour = COLOURS[place];
        let points = of(&|row| Some(row.theory_ms()));
        let line = points.windows(2).flatten().copied().collect();
        series.push(Series {
            name: format!("{who}, theory of the median"),
            colour: COLOURS[4 + place],
            shape: Shape::Dashes,
            points: line,
        });
        let points = of(&|row| row.quantile_ms(50));
        series.push(Series {
            name: format!("{who}, median"),
            colour,
            shape: Shape::Dots,
            points,
        });
        let points = of(&|row| row.quantile_ms(99));
        series.push(Series {
            name: format!("{who}, 99 of 100 are faster"),
            colour: COLOURS[2 + place],
            shape: Shape::Cloud,
            points,
        });
    }
    let title = format!("From click to sight ({})", centre(study, AXES[0].0));
    Chart {
        title,
        x: Axis::measures("round trip (ms)").from_zero(),
        y: Axis::measures("time (ms)").from_zero(),
        series,
    }
}

/// The values of all other axes.
fn centre(study: &Study, but: &str) -> String {
    let cell = study.centre();
    let others =
        AXES.iter()
            .filter(|(name, ..)| *name != but)
            .map(|(name, _, label)| match *name {
                "loss" => format!("{} loss", label(&cell)),
                _ => label(&cell),
            });
    others.collect::<Vec<_>>().join(", ")
}

fn describe(part: usize) -> &'static str {
    [
        "queue: click until the node took it",
        "network: messages, and what nodes do beside writing",
        "disk: the write that the commit waited for",
        "apply: committed until the program could take it",
        "frame: until the next frame took it",
    ][part]
}
