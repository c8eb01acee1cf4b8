//! The study's three charts, with published values and theory.
//!
//! The published study's raw data is not available; the charts draw the sentences it published:
//! "smaller clusters containing fewer than 13 nodes had a higher average election time of
//! approximately 0.23 seconds, whereas larger clusters with more than 13 nodes stabilized around
//! 0.16 seconds", and "a stable leader was established within a maximum of three election cycles,
//! with no observable trend".

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Row, Study};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};

/// Points of a theory curve, denser at small sizes, where it bends.
const POINTS: u32 = 100;

const NODES: &str = "cluster size (nodes)";
const HELD: &str = "elections held for a leader";

/// Cluster size below which elections were slow in the published study.
const STUDY_EDGE: f64 = 13.0;
/// Published times in milliseconds, below and above that size.
const STUDY_MS: (f64, f64) = (230.0, 160.0);
/// Maximum number of elections in the published study.
const STUDY_MOST: f64 = 3.0;

/// Charts of a study, each with its file name.
pub fn all(study: &Study, rows: &[Row]) -> Vec<(&'static str, Chart)> {
    vec![
        ("elections-held", elections(study, rows)),
        ("time-to-elect", times(study, rows)),
        ("time-and-elections", both(study, rows)),
    ]
}

/// Chart of elections held over cluster size.
fn elections(study: &Study, rows: &[Row]) -> Chart {
    let of = |pick: fn(&Row) -> Option<f64>| {
        rows.iter()
            .filter_map(|row| Some((row.nodes as f64, pick(row)?)))
            .collect()
    };
    let mean = of(|row| row.elections.map(|elections| elections.mean));
    let most = of(|row| row.elections.map(|elections| elections.max));
    let mut series = vec![Series {
        name: "published study: at most 3, no trend".into(),
        colour: COLOURS[4],
        shape: Shape::Dashes,
        points: across(rows, STUDY_MOST),
    }];
    let name = "maximum of all runs".into();
    series.push(Series {
        name,
        colour: COLOURS[3],
        shape: Shape::Cloud,
        points: most,
    });
    let name = format!("mean of {} runs", study.reps);
    series.push(Series {
        name,
        colour: COLOURS[0],
        shape: Shape::Dots,
        points: mean,
    });
    if study.settings.is_ideal() {
        let points = across(rows, 1.0);
        let name = "theory without delay: one, the first candidate gets every vote".into();
        series.push(Series {
            name,
            colour: COLOURS[1],
            shape: Shape::Dashes,
            points,
        });
    }
    let held = Axis::measures(HELD).from_zero();
    chart(
        "Cluster size and elections held",
        Axis::counts(NODES),
        held,
        series,
    )
}

/// Chart of election time over cluster size.
fn times(study: &Study, rows: &[Row]) -> Chart {
    let time = |row: &Row| row.time_ms.map(|time| (row.nodes as f64, time.mean));
    let (first, last) = ends(rows);
    let growth = last.max(1) as f64 / first.max(1) as f64;
    let size =
        |part| (first as f64 * growth.powf(f64::from(part) / f64::from(POINTS))).round() as u64;
    let mut sizes: Vec<u64> = (0..=POINTS).map(size).collect();
    sizes.dedup();
    let theory = sizes
        .into_iter()
        .map(|nodes| (nodes as f64, study.settings.theory_ms(nodes)))
        .collect();
    let poll = study.settings.poll;
    let who = if study.settings.crash_leader {
        " of the remaining nodes"
    } else {
        ""
    };
    let how = if poll.0.is_zero() {
        "the first timeout".to_owned()
    } else {
        format!("the first timeout polled every {poll}")
    };
    let ideal = if study.settings.is_ideal() {
        ""
    } else {
        ", without delay and loss"
    };
    let mut series = vec![
        Series {
            name: format!("theory: {how}{who}{ideal}"),
            colour: COLOURS[1],
            shape: Shape::Line,
            points: theory,
        },
        Series {
            name: format!("mean of {} runs", study.reps),
            colour: COLOURS[0],
            shape: Shape::Dots,
            points: rows.iter().filter_map(time).collect(),
        },
    ];
    if !study.settings.crash_leader {
        let first = first as f64;
        let last = last as f64;
        let edge = STUDY_EDGE.clamp(first, last);
        let small = [(first, STUDY_MS.0), (edge, STUDY_MS.0)]
            .into_iter()
            .filter(|_| first < STUDY_EDGE);
        let large = [(edge, STUDY_MS.1), (last, STUDY_MS.1)]
            .into_iter()
            .filter(|_| last > STUDY_EDGE);
        let points = small.chain(large).collect();
        let name = "published study: about 230 ms below 13 nodes, about 160 ms above".into();
        series.push(Series {
            name,
            colour: COLOURS[4],
            shape: Shape::Dashes,
            points,
        });
    }
    let title = if study.settings.crash_leader {
        "Cluster size and time to replace a leader"
    } else {
        "Cluster size and time to elect"
    };
    chart(
        title,
        Axis::counts(NODES),
        Axis::measures(time_name(study)),
        series,
    )
}

/// Chart of election time over elections held: the mean time of all runs with the same count, and
/// the number of those runs.
fn both(study: &Study, rows: &[Row]) -> Chart {
    let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for run in rows.iter().flat_map(|row| &row.runs) {
        if let Some(time) = run.time {
            groups
                .entry(run.elections)
                .or_default()
                .push(time.as_secs_f64() * 1e3);
        }
    }
    let mean = |times: &Vec<f64>| times.iter().sum::<f64>() / times.len() as f64;
    // Largest group first: where labels collide, the earlier one is kept.
    let mut largest: Vec<_> = groups.iter().collect();
    largest.sort_by_key(|(held, times)| (Reverse(times.len()), **held));
    let points: Vec<_> = largest
        .iter()
        .map(|(held, times)| (**held as f64, mean(times)))
        .collect();
    let labels = largest
        .iter()
        .map(|(_, times)| format!("n={}", times.len()))
        .collect();
    let spread = groups
        .iter()
        .flat_map(|(held, times)| thinned(times).map(|time| (*held as f64, time)))
        .collect();
    let mut series = vec![
        Series {
            name: "single runs".into(),
            colour: COLOURS[5],
            shape: Shape::Cloud,
            points: spread,
        },
        Series {
            name: "mean of all runs with that many elections; n: number of runs".into(),
            colour: COLOURS[0],
            shape: Shape::Labelled(labels),
            points,
        },
    ];
    if !study.settings.crash_leader {
        let points = vec![(1.0, STUDY_MS.1), (STUDY_MOST, STUDY_MS.1)];
        let name = "published study: about 160 ms, with three elections too".into();
        series.push(Series {
            name,
            colour: COLOURS[4],
            shape: Shape::Dashes,
            points,
        });
    }
    chart(
        "Time to elect and elections held",
        Axis::counts(HELD),
        Axis::measures(time_name(study)),
        series,
    )
}

/// At most a hundred of `times`, from the smallest to the largest: more dots would overlap.
fn thinned(times: &[f64]) -> impl Iterator<Item = f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let shown = sorted.len().min(100);
    (0..shown).map(move |place| sorted[place * (sorted.len() - 1) / (shown - 1).max(1)])
}

/// Name and unit of the measured time.
fn time_name(study: &Study) -> &'static str {
    if study.settings.crash_leader {
        "time to the next leader (ms)"
    } else {
        "time to elect (ms)"
    }
}

fn across(rows: &[Row], value: f64) -> Vec<(f64, f64)> {
    let (first, last) = ends(rows);
    vec![(first as f64, value), (last as f64, value)]
}

/// Smallest and largest cluster size.
fn ends(rows: &[Row]) -> (u64, u64) {
    (
        rows.first().map_or(0, |row| row.nodes),
        rows.last().map_or(0, |row| row.nodes),
    )
}

fn chart(title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Chart {
    Chart {
        title: title.into(),
        x,
        y,
        series,
    }
}
