//! Formats partition results as a table, JSON, CSV and charts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{BEFORE, Outcome, PART, Partition, Shape};
use crate::matches::findings::{Findings, cell, most, shares, summary_json, wrong};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape as Drawn};
use crate::report::csv;
use crate::report::statistics::{Summary, ms};
use crate::report::table::Table;

/// Schema name. Its rows have `shape`, `matches`, `went_on` (matches in which an order took effect
/// while links were cut), `stop_ms_{mean,median,p95,max}`, `leader_ms_{mean,median,p95,max}`,
/// `minority_orders`, `minority_orders_committed`, `minority_commits`,
/// `equal_ms_{mean,median,p95,max}`, `orders`, `lost`, `doubled`, `unequal` (matches that ended
/// with different states), `unfinished` (matches that made no progress, or in which an order never
/// took effect), and `steps`. Unmeasured values are `null`.
pub const SCHEMA: &str = "raftian.lab.partition/1";

/// Quantities for `--assert`, over all matches, except that stops cover only shapes with a side
/// that can make progress; `stuck` counts the matches of these shapes that made none while links
/// were cut, and `equal_ms_max` is the longest time from healing until machines had converged.
pub const QUANTITIES: [&str; 9] = [
    "stop_ms_mean",
    "stop_ms_max",
    "stuck",
    "equal_ms_max",
    "minority_commits",
    "lost",
    "doubled",
    "unequal",
    "unfinished",
];

const COLUMNS: [(&str, &str); 13] = [
    ("shape", ""),
    ("went on", ""),
    ("stop", "mean ms"),
    ("stop", "max"),
    ("leader", "mean ms"),
    ("minority", "orders"),
    ("thereof", "comm."),
    ("by it", "comm."),
    ("equal", "mean ms"),
    ("equal", "max"),
    ("lost", ""),
    ("dbl.", ""),
    ("equal", ""),
];

/// All matches of one shape.
struct Row<'a> {
    shape: Shape,
    runs: &'a [Outcome],
    stop: Option<Summary>,
    leader: Option<Summary>,
    equal: Option<Summary>,
}

impl<'a> Row<'a> {
    fn new(shape: Shape, runs: &'a [Outcome]) -> Self {
        let summary = |of: fn(&Outcome) -> Option<Duration>| {
            Summary::of(runs.iter().filter_map(of).map(ms).collect())
        };
        Row {
            shape,
            runs,
            stop: summary(|run| run.stop),
            leader: summary(|run| run.leader),
            equal: summary(|run| run.equal_after),
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

    fn cells(&self) -> Vec<String> {
        let count = self.runs.len() as u64;
        vec![
            self.shape.name().to_owned(),
            format!("{}/{count}", self.went_on()),
            cell(self.stop.map(|stop| stop.mean), 0),
            cell(self.stop.map(|stop| stop.max), 0),
            cell(self.leader.map(|leader| leader.mean), 0),
            self.sum(|run| run.minority_clicked).to_string(),
            self.sum(|run| run.minority_committed).to_string(),
            self.sum(|run| run.account.minority_commits).to_string(),
            cell(self.equal.map(|equal| equal.mean), 0),
            cell(self.equal.map(|equal| equal.max), 0),
            self.sum(|run| run.account.lost).to_string(),
            self.sum(|run| run.account.doubled).to_string(),
            format!("{}/{count}", count - self.unequal()),
        ]
    }

    fn json(&self) -> Value {
        let mut row = Map::new();
        row.insert("shape".to_owned(), self.shape.name().into());
        row.insert("matches".to_owned(), self.runs.len().into());
        summary_json("stop_ms", self.stop, &mut row);
        summary_json("leader_ms", self.leader, &mut row);
        summary_json("equal_ms", self.equal, &mut row);
        for (name, value) in [
            ("went_on", self.went_on()),
            ("minority_orders", self.sum(|run| run.minority_clicked)),
            (
                "minority_orders_committed",
                self.sum(|run| run.minority_committed),
            ),
            (
                "minority_commits",
                self.sum(|run| run.account.minority_commits),
            ),
            ("orders", self.sum(|run| run.account.clicked)),
            ("lost", self.sum(|run| run.account.lost)),
            ("doubled", self.sum(|run| run.account.doubled)),
            ("unequal", self.unequal()),
            ("unfinished", self.unfinished()),
            ("steps", self.sum(|run| run.steps)),
        ] {
            row.insert(name.to_owned(), value.into());
        }
        Value::Object(row)
    }
}

/// Whether one side of this shape is a majority.
fn goes_on(study: &Partition, shape: Shape) -> bool {
    shape != Shape::Halves || !study.machines.is_multiple_of(2)
}

/// Collects all outputs.
pub fn findings(study: &Partition, outcomes: &[(Shape, Vec<Outcome>)]) -> Findings {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|(shape, runs)| Row::new(*shape, runs))
        .collect();
    let mut table = Table::new(&COLUMNS);
    rows.iter().for_each(|row| table.row(row.cells()));
    let shapes: Vec<_> = study.shapes.iter().map(|shape| shape.name()).collect();
    let mut params = study.series.json();
    params.insert("shapes".to_owned(), json!(shapes));
    params.insert("machines".to_owned(), study.machines.into());
    params.insert("for_ms".to_owned(), ms(study.lasts.0).into());
    let mut facts = study.series.info();
    facts.push(("machines".to_owned(), study.machines.to_string()));
    facts.push(("duration of the cut".to_owned(), study.lasts.to_string()));
    let violation = outcomes.iter().find_map(|(shape, runs)| {
        runs.iter()
            .enumerate()
            .find_map(|(rep, run)| wrong(&run.account, run.settled, shape.name(), rep))
    });
    Findings {
        name: "partition",
        schema: SCHEMA,
        title: "Partitions",
        about: format!(
            "{} machines, links cut for {}, {} matches of each shape, seed {}: progress during the cut, convergence after it",
            study.machines, study.lasts, study.series.reps, study.series.seed
        ),
        remarks: remarks(study),
        table,
        csv: csv(outcomes),
        rows: rows.iter().map(Row::json).collect(),
        params,
        options: format!(
            "--shape {} --machines {} --for {} {}",
            shapes.join(","),
            study.machines,
            study.lasts,
            study.series.options()
        ),
        quantities: quantities(study, &rows),
        charts: charts(study, &rows),
        facts,
        violation,
    }
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

fn quantities(study: &Partition, rows: &[Row]) -> Vec<(&'static str, f64)> {
    let going = || rows.iter().filter(|row| goes_on(study, row.shape));
    let stop = Summary::of(
        going()
            .flat_map(|row| row.runs)
            .filter_map(|run| run.stop)
            .map(ms)
            .collect(),
    );
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>() as f64;
    let measured = [
        stop.map_or(f64::NAN, |stop| stop.mean),
        stop.map_or(f64::NAN, |stop| stop.max),
        going()
            .map(|row| row.runs.len() as u64 - row.went_on())
            .sum::<u64>() as f64,
        most(
            rows.iter()
                .filter_map(|row| row.equal)
                .map(|equal| equal.max),
        ),
        sum(|row| row.sum(|run| run.account.minority_commits)),
        sum(|row| row.sum(|run| run.account.lost)),
        sum(|row| row.sum(|run| run.account.doubled)),
        sum(|row| row.unequal()),
        sum(|row| row.unfinished()),
    ];
    QUANTITIES.into_iter().zip(measured).collect()
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
        .filter(|(_, row)| goes_on(study, row.shape) && row.stop.is_some());
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
