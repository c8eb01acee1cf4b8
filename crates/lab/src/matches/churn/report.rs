//! Formats churn results as a table, JSON, CSV and a chart.

use serde_json::{Map, Value};

use super::{Churn, Outcome, Turn};
use crate::matches::violation;
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};
use crate::report::column::{Column, Columns, Fold};
use crate::report::findings::{Findings, named};
use crate::report::statistics::{most, ms};

/// Columns of the study, and its quantities for `--assert`: the worst value of all matches, or the
/// sum over them.
pub(crate) const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.churn/1",
    list: &[
        Column::new("match", "", |row: &Row| row.number.into()).head("match", ""),
        Column::new("in_bound_percent", "share of time", |row: &Row| {
            (row.run.in_bound * 100.0).into()
        })
        .head("in bound", "%")
        .digits(2)
        .assert("in_bound_percent_min", Fold::Min),
        Column::new("latency_ms_p50", "ms", |row: &Row| {
            row.run.latency[0].into()
        })
        .head("p50", "ms")
        .digits(1)
        .assert("latency_ms_p50_max", Fold::Max),
        Column::new("latency_ms_p95", "ms", |row: &Row| {
            row.run.latency[1].into()
        })
        .head("p95", "ms")
        .digits(0),
        Column::new("latency_ms_p99", "ms", |row: &Row| {
            row.run.latency[2].into()
        })
        .head("p99", "ms")
        .digits(0)
        .assert("latency_ms_p99_max", Fold::Max),
        Column::new("latency_ms_max", "ms", |row: &Row| {
            row.run.latency[3].into()
        })
        .head("max", "ms")
        .digits(0)
        .assert("latency_ms_max", Fold::Max),
        Column::new("stop_ms", "ms", |row: &Row| ms(row.run.stop).into())
            .head("stop", "ms")
            .digits(0)
            .assert("stop_ms_max", Fold::Max),
        Column::new("leaves", "", |row: &Row| row.run.turns[0].into()).head("leave", ""),
        Column::new("crashes", "", |row: &Row| row.run.turns[1].into()).head("crash", ""),
        Column::new("restarts", "", |row: &Row| row.run.turns[2].into()).head("back", ""),
        Column::new("joins", "", |row: &Row| row.run.turns[3].into()).head("join", ""),
        Column::new("passed", "", |row: &Row| row.run.passed.into()),
        Column::new("changes_made", "", |row: &Row| row.run.orders.made.into()).head("made", ""),
        Column::new("changes_refused", "", |row: &Row| {
            row.run.orders.refused.into()
        })
        .head("refused", ""),
        Column::new("promoted", "", |row: &Row| row.run.orders.promoted.into()),
        Column::new("orders", "", |row: &Row| row.run.account.clicked.into()).head("orders", ""),
        Column::new("applied", "", |row: &Row| row.run.account.applied.into()),
        Column::new("lost", "", |row: &Row| row.run.account.lost.into())
            .head("lost", "")
            .assert("lost", Fold::Sum),
        Column::new("doubled", "", |row: &Row| row.run.account.doubled.into())
            .head("doubled", "")
            .assert("doubled", Fold::Sum),
        Column::new("equal", "", |row: &Row| row.run.account.equal.into())
            .head("equal", "")
            .assert("unequal", Fold::Unset),
        Column::new("settled", "", |row: &Row| row.run.settled.into())
            .assert("unfinished", Fold::Unset),
        Column::new("steps", "", |row: &Row| row.run.steps.into()),
    ],
    totals: &[],
};

/// One match.
pub(crate) struct Row {
    /// Number of the match, from 1.
    number: usize,
    run: Outcome,
}

/// Collects all outputs.
pub fn findings(study: &Churn, runs: Vec<Outcome>) -> Findings {
    let rows: Vec<_> = (1..)
        .zip(runs)
        .map(|(number, run)| Row { number, run })
        .collect();
    let mut params = study.series.json();
    params.insert("machines".to_owned(), study.machines.into());
    params.insert("every_ms".to_owned(), ms(study.every.0).into());
    params.insert("minutes".to_owned(), study.minutes.into());
    params.insert("bound_ms".to_owned(), ms(study.bound.0).into());
    let mut facts = study.series.info();
    facts.push((
        "machines at the start".to_owned(),
        study.machines.to_string(),
    ));
    facts.push(("minutes per match".to_owned(), study.minutes.to_string()));
    let about = format!(
        "{} machines for {} min, one leaves, crashes, restarts or joins every {}, {} matches, \
         seed {}",
        study.machines, study.minutes, study.every, study.series.reps, study.series.seed
    );
    Findings {
        name: "churn",
        title: "Churn",
        headline: about.clone(),
        about,
        remarks: remarks(study),
        heading: "In numbers".to_owned(),
        measurements: COLUMNS.measurements(&rows),
        csv: COLUMNS.csv(&rows),
        params: Value::Object(params),
        more: Map::new(),
        command: format!(
            "cargo lab churn --machines {} --every {} --minutes {} --bound {} {}",
            study.machines,
            study.every,
            study.minutes,
            study.bound,
            study.series.options()
        ),
        charts: rows
            .first()
            .map_or(Vec::new(), |row| named(charts(study, &row.run))),
        logs: Vec::new(),
        facts,
        complete: true,
        violation: first_violation(&rows),
    }
}

fn remarks(study: &Churn) -> Vec<String> {
    vec![
        format!(
            "in bound: share of time at which an order takes effect within {}",
            study.bound
        ),
        "p50 to max: from click to effect; stop: longest time between two commits".to_owned(),
        "made and refused: leaders' answers to membership change requests".to_owned(),
    ]
}

fn first_violation(rows: &[Row]) -> Option<String> {
    let mut runs = rows.iter().map(|row| &row.run).enumerate();
    runs.find_map(|(rep, run)| violation(&run.account, run.settled, "churn", rep))
}

/// Chart of latency over the first match, with its turns.
fn charts(study: &Churn, run: &Outcome) -> Vec<(&'static str, Chart)> {
    let top = most(run.seconds.iter().map(|(_, _, longest)| *longest));
    if !top.is_finite() {
        return Vec::new();
    }
    // Turns are dots in rows above the curves, which would otherwise hide them.
    let turn = |(row, (turn, colour)): (usize, (Turn, usize))| {
        let times = run
            .happened
            .iter()
            .filter(|(_, happened)| *happened == turn);
        let height = top * (1.06 + 0.04 * (Turn::ALL.len() - row) as f64);
        Series {
            name: format!("{} (dots above)", turn.name()),
            colour: COLOURS[colour],
            shape: Shape::Cloud,
            points: times.map(|(at, _)| (*at, height)).collect(),
        }
    };
    let mut series: Vec<_> = Turn::ALL
        .into_iter()
        .zip([4, 1, 3, 2])
        .enumerate()
        .map(turn)
        .collect();
    series.retain(|series| !series.points.is_empty());
    let line = |name: &str, colour, shape, pick: fn(&(f64, f64, f64)) -> (f64, f64)| Series {
        name: name.to_owned(),
        colour: COLOURS[colour],
        shape,
        points: run.seconds.iter().map(pick).collect(),
    };
    series.push(line(
        "slowest order of each second",
        5,
        Shape::Line,
        |(at, _, longest)| (*at, *longest),
    ));
    series.push(line(
        "median of each second",
        0,
        Shape::Line,
        |(at, median, _)| (*at, *median),
    ));
    let chart = Chart {
        title: format!(
            "From click to effect while one leaves, crashes, restarts or joins every {}",
            study.every
        ),
        x: Axis::measures("time (s)").from_zero(),
        y: Axis::measures("latency (ms)").from_zero(),
        series,
    };
    vec![("churn-latency", chart)]
}
