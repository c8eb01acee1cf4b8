//! Charts: latency breakdown along each axis, and growth with the round trip.

use super::row::{PARTS, Row, short};
use super::{Cell, Origin, Study};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};

/// Width of a bar, in units of the distance between bars.
const BAR: f64 = 0.8;

/// One axis: its name, its file name, and the label of a cell.
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

/// Charts of a study, each with its file name. An axis with one value has none.
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

/// Rows at the centre of all axes but this one, with at least one order; the leader's first.
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

/// Stacked bars of the mean parts, bottom to top in the order in which an order passes them.
fn parts(study: &Study, name: &str, label: fn(&Cell) -> String, rows: &[&Row]) -> Chart {
    let mut series = Vec::new();
    // Cumulative sums, largest first, so that each bar covers the lower part of the one before.
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
        let place = f64::from(place);
        let theory = row.theory_ms();
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
        _ => format!("bars 1 to {leaders}: orders at the leader; others: at a follower"),
    };
    let title = format!("Latency breakdown by {name} ({})", centre(study, name));
    Chart {
        title,
        x: Axis::counts(&who),
        y: Axis::measures("mean time (ms)").from_zero(),
        series,
    }
}

/// Medians and tails over the round trip, with theory.
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
            name: format!("{who}, theoretical median"),
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
            name: format!("{who}, 99th percentile"),
            colour: COLOURS[2 + place],
            shape: Shape::Cloud,
            points,
        });
    }
    let title = format!(
        "Latency from click to display ({})",
        centre(study, AXES[0].0)
    );
    Chart {
        title,
        x: Axis::measures("round trip (ms)").from_zero(),
        y: Axis::measures("time (ms)").from_zero(),
        series,
    }
}

/// Values of all other axes at the centre.
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
        "queue: from the click until the node took it",
        "network: messages, and node work other than writing",
        "disk: the write that gated the commit",
        "apply: from the commit until the program could take it",
        "frame: until the next frame took it",
    ][part]
}
