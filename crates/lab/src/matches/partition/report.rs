//! Formats partition results as a table, JSON, CSV and charts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{BEFORE, Outcome, PART, Partition, Shape};
use crate::matches::violation;
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape as Drawn};
use crate::report::column::{Cell, Column, Columns, Fold};
use crate::report::csv;
use crate::report::findings::{Findings, named};
use crate::report::statistics::{Summary, ms, shares};

/// Columns of the study, and its quantities for `--assert`. Those of stops cover only shapes with a
/// side that can make progress, and `stuck` counts their matches that made none while links were
/// cut; `equal_ms` is the time from healing until machines had converged.
pub(crate) const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.partition/1",
    list: &[
        Column::new("shape", "", |row: &Row| row.shape.name().into()).head("shape", ""),
        Column::new("matches", "", |row: &Row| row.runs.len().into()),
        Column::new(
            "went_on",
            "matches in which an order took effect while links were cut",
            |row: &Row| row.went_on().into(),
        )
        .head("went on", "")
        .text(Row::went_on_share),
        Column::new("stop_ms_mean", "ms", |row: &Row| Cell::mean(row.stop))
            .head("stop", "mean ms")
            .digits(0)
            .assert(
                "stop_ms_mean",
                Fold::Rows(|rows| stop(rows, |stop| stop.mean)),
            ),
        Column::new("stop_ms_median", "ms", |row: &Row| Cell::median(row.stop)),
        Column::new("stop_ms_p95", "ms", |row: &Row| Cell::p95(row.stop)),
        Column::new("stop_ms_max", "ms", |row: &Row| Cell::max(row.stop))
            .head("stop", "max")
            .digits(0)
            .assert(
                "stop_ms_max",
                Fold::Rows(|rows| stop(rows, |stop| stop.max)),
            )
            .assert("stuck", Fold::Rows(stuck)),
        Column::new("leader_ms_mean", "ms", |row: &Row| Cell::mean(row.leader))
            .head("leader", "mean ms")
            .digits(0),
        Column::new("leader_ms_median", "ms", |row: &Row| {
            Cell::median(row.leader)
        }),
        Column::new("leader_ms_p95", "ms", |row: &Row| Cell::p95(row.leader)),
        Column::new("leader_ms_max", "ms", |row: &Row| Cell::max(row.leader)),
        Column::new(
            "minority_orders",
            "given on the side without progress during the cut",
            |row: &Row| row.sum(|run| run.minority_clicked).into(),
        )
        .head("minority", "orders"),
        Column::new(
            "minority_orders_committed",
            "by any machine during the cut",
            |row: &Row| row.sum(|run| run.minority_committed).into(),
        )
        .head("thereof", "comm."),
        Column::new("minority_commits", "by the minority", |row: &Row| {
            row.sum(|run| run.account.minority_commits).into()
        })
        .head("by it", "comm.")
        .assert("minority_commits", Fold::Sum),
        Column::new("equal_ms_mean", "ms", |row: &Row| Cell::mean(row.equal))
            .head("equal", "mean ms")
            .digits(0),
        Column::new("equal_ms_median", "ms", |row: &Row| Cell::median(row.equal)),
        Column::new("equal_ms_p95", "ms", |row: &Row| Cell::p95(row.equal)),
        Column::new("equal_ms_max", "ms", |row: &Row| Cell::max(row.equal))
            .head("equal", "max")
            .digits(0)
            .assert("equal_ms_max", Fold::Max),
        Column::new("orders", "", |row: &Row| {
            row.sum(|run| run.account.clicked).into()
        }),
        Column::new("lost", "", |row: &Row| {
            row.sum(|run| run.account.lost).into()
        })
        .head("lost", "")
        .assert("lost", Fold::Sum),
        Column::new("doubled", "", |row: &Row| {
            row.sum(|run| run.account.doubled).into()
        })
        .head("dbl.", "")
        .assert("doubled", Fold::Sum),
        Column::new(
            "unequal",
            "matches that ended with different states",
            |row: &Row| row.unequal().into(),
        )
        .head("equal", "")
        .text(Row::equal_share)
        .assert("unequal", Fold::Sum),
        Column::new(
            "unfinished",
            "matches without progress, or with an order that never took effect",
            |row: &Row| row.unfinished().into(),
        )
        .assert("unfinished", Fold::Sum),
        Column::new("steps", "", |row: &Row| row.sum(|run| run.steps).into()),
    ],
    totals: &[],
};

/// All matches of one shape.
pub(crate) struct Row {
    shape: Shape,
    /// Whether one side of the shape is a majority.
    goes_on: bool,
    runs: Vec<Outcome>,
    stop: Option<Summary>,
    leader: Option<Summary>,
    equal: Option<Summary>,
}

impl Row {
    fn new(study: &Partition, shape: Shape, runs: Vec<Outcome>) -> Self {
        let summary = |of: fn(&Outcome) -> Option<Duration>| {
            Summary::of(runs.iter().filter_map(of).map(ms).collect())
        };
        Row {
            shape,
            goes_on: goes_on(study, shape),
            stop: summary(|run| run.stop),
            leader: summary(|run| run.leader),
            equal: summary(|run| run.equal_after),
            runs,
        }
    }

    fn sum(&self, of: fn(&Outcome) -> u64) -> u64 {
        self.runs.iter().map(of).sum()
    }

    fn unequal(&self) -> u64 {
        self.sum(|run| u64::from(!run.account.equal))
    }

    fn unfinished(&self) -> u64 {
        self.sum(|run| u64::from(run.stop.is_none() || run.equal_after.is_none() || !run.settled))
    }

    fn went_on(&self) -> u64 {
        self.sum(|run| u64::from(run.went_on))
    }

    /// Matches that made progress during the cut, of all.
    fn went_on_share(&self) -> String {
        format!("{}/{}", self.went_on(), self.runs.len())
    }

    /// Matches that ended with equal states, of all.
    fn equal_share(&self) -> String {
        format!(
            "{}/{}",
            self.runs.len() as u64 - self.unequal(),
            self.runs.len()
        )
    }
}

/// Whether one side of this shape is a majority.
fn goes_on(study: &Partition, shape: Shape) -> bool {
    shape != Shape::Halves || !study.machines.is_multiple_of(2)
}

/// Collects all outputs.
pub fn findings(study: &Partition, outcomes: Vec<(Shape, Vec<Outcome>)>) -> Findings {
    let csv = csv(&outcomes);
    let violation = outcomes
        .iter()
        .find_map(|(shape, runs)| first_violation(*shape, runs));
    let rows: Vec<_> = outcomes
        .into_iter()
        .map(|(shape, runs)| Row::new(study, shape, runs))
        .collect();
    let shapes: Vec<_> = study.shapes.iter().map(|shape| shape.name()).collect();
    let mut params = study.series.json();
    params.insert("shapes".to_owned(), json!(shapes));
    params.insert("machines".to_owned(), study.machines.into());
    params.insert("for_ms".to_owned(), ms(study.lasts.0).into());
    let mut facts = study.series.info();
    facts.push(("machines".to_owned(), study.machines.to_string()));
    facts.push(("duration of the cut".to_owned(), study.lasts.to_string()));
    let about = format!(
        "{} machines, links cut for {}, {} matches of each shape, seed {}: \
         progress during the cut, convergence after it",
        study.machines, study.lasts, study.series.reps, study.series.seed
    );
    Findings {
        name: "partition",
        title: "Partitions",
        headline: about.clone(),
        about,
        remarks: remarks(study),
        heading: "In numbers".to_owned(),
        measurements: COLUMNS.measurements(&rows),
        csv,
        params: Value::Object(params),
        more: Map::new(),
        command: format!(
            "cargo lab partition --shape {} --machines {} --for {} {}",
            shapes.join(","),
            study.machines,
            study.lasts,
            study.series.options()
        ),
        charts: named(charts(study, &rows)),
        logs: Vec::new(),
        facts,
        complete: true,
        violation,
    }
}

/// First violation of the matches of one shape.
fn first_violation(shape: Shape, runs: &[Outcome]) -> Option<String> {
    let mut runs = runs.iter().enumerate();
    runs.find_map(|(rep, run)| violation(&run.account, run.settled, shape.name(), rep))
}

fn remarks(study: &Partition) -> Vec<String> {
    let mut remarks = vec![
        "minority: orders given there during the cut; thereof committed by any machine; by the minority, which must be 0"
            .to_owned(),
        "equal: from healing until every machine has applied every effect; last, matches that ended with equal states"
            .to_owned(),
    ];
    if study.shapes.iter().any(|shape| !goes_on(study, *shape)) {
        remarks.push(format!(
            "neither half of {} machines is a majority: they resume after healing",
            study.machines
        ));
    }
    remarks
}

/// Rows with a side that can make progress.
fn going(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.goes_on)
}

/// Statistic of the stops of all matches with a side that can make progress.
fn stop(rows: &[Row], pick: fn(Summary) -> f64) -> f64 {
    let stops = going(rows)
        .flat_map(|row| &row.runs)
        .filter_map(|run| run.stop);
    Summary::of(stops.map(ms).collect()).map_or(f64::NAN, pick)
}

/// Number of matches that could make progress during the cut and made none.
fn stuck(rows: &[Row]) -> f64 {
    let stuck = going(rows).map(|row| row.runs.len() as u64 - row.went_on());
    stuck.sum::<u64>() as f64
}

/// One line for each match, times in seconds, empty where there is none.
fn csv(outcomes: &[(Shape, Vec<Outcome>)]) -> String {
    let heads = [
        "shape",
        "match",
        "went_on",
        "stop_s",
        "leader_s",
        "equal_s",
        "minority_orders",
        "minority_orders_committed",
        "minority_commits",
        "lost",
        "doubled",
        "equal",
    ];
    let seconds = |time: Option<Duration>| {
        time.map_or(String::new(), |time| format!("{:.6}", time.as_secs_f64()))
    };
    let lines = outcomes.iter().flat_map(|(shape, runs)| {
        (1..).zip(runs).map(move |(number, run)| {
            let account = &run.account;
            let mut line = vec![
                shape.name().to_owned(),
                i32::to_string(&number),
                run.went_on.to_string(),
            ];
            line.extend([run.stop, run.leader, run.equal_after].map(seconds));
            let counts = [
                run.minority_clicked,
                run.minority_committed,
                account.minority_commits,
            ];
            line.extend(
                counts
                    .into_iter()
                    .chain([account.lost, account.doubled])
                    .map(|count| count.to_string()),
            );
            line.push(account.equal.to_string());
            line
        })
    });
    csv::document(&heads, lines)
}

fn charts(study: &Partition, rows: &[Row]) -> Vec<(&'static str, Chart)> {
    let colour = |number: usize| COLOURS[number % COLOURS.len()];
    let mean = |row: &Row| -> Vec<(f64, f64)> {
        let parts = row.runs.first().map_or(0, |run| run.waiting.len());
        let waiting = |part: usize| {
            row.runs
                .iter()
                .map(|run| f64::from(run.waiting[part]))
                .sum::<f64>()
        };
        let at = |part: usize| (part + 1) as f64 * PART.as_secs_f64() - BEFORE.as_secs_f64();
        (0..parts)
            .map(|part| (at(part), waiting(part) / row.runs.len() as f64))
            .collect()
    };
    let over_time = |(number, row): (usize, &Row)| Series {
        name: row.shape.name().to_owned(),
        colour: colour(number),
        shape: Drawn::Line,
        points: mean(row),
    };
    let waiting = Chart {
        title: format!(
            "Pending orders; links are cut from 0 to {} s; mean of {} matches",
            study.lasts.0.as_secs_f64(),
            study.series.reps
        ),
        x: Axis::measures("time since the cut (s)"),
        y: Axis::measures("pending orders of all players").from_zero(),
        series: rows.iter().enumerate().map(over_time).collect(),
    };
    let stop = |(number, row): (usize, &Row)| Series {
        name: row.shape.name().to_owned(),
        colour: colour(number),
        shape: Drawn::Line,
        points: shares(row.runs.iter().filter_map(|run| run.stop).map(ms).collect()),
    };
    let going = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.goes_on && row.stop.is_some());
    let stops = Chart {
        title: "How long no order takes effect after a cut".to_owned(),
        x: Axis::measures("stop (ms)").from_zero(),
        y: Axis::measures("matches with at most this stop (%)").from_zero(),
        series: going.map(stop).collect(),
    };
    let mut charts = vec![("partition-waiting", waiting)];
    if !stops.series.is_empty() {
        charts.push(("partition-stops", stops));
    }
    charts
}
