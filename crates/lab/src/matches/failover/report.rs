//! Formats failover results as a table, JSON, CSV and charts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Failover, Outcome, Who};
use crate::matches::{World, theory, violation};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};
use crate::report::column::{Cell, Column, Columns, Fold};
use crate::report::csv;
use crate::report::findings::{Findings, named};
use crate::report::statistics::{Summary, most, ms, shares};

/// Columns of the study, and its quantities for `--assert`. Times cover all sizes except those
/// without a majority after the loss of one machine, whose stop lasts until the restart. Theory is
/// [`theory::next_leader_ms`]. The parameter `world` is `virtual` or `processes`.
pub(crate) const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.failover/1",
    list: &[
        Column::new("machines", "", |row: &Row| row.machines.into()).head("size", ""),
        Column::new("matches", "", |row: &Row| row.runs.len().into()),
        Column::new("stop_ms_mean", "ms", |row: &Row| Cell::mean(row.stop))
            .head("stop", "mean ms")
            .digits(0)
            .assert(
                "stop_ms_mean",
                Fold::Rows(|rows| stop(rows, |stop| stop.mean)),
            ),
        Column::new("stop_ms_median", "ms", |row: &Row| Cell::median(row.stop))
            .head("stop", "median")
            .digits(0),
        Column::new("stop_ms_p95", "ms", |row: &Row| Cell::p95(row.stop))
            .head("stop", "p95")
            .digits(0)
            .assert(
                "stop_ms_p95",
                Fold::Rows(|rows| stop(rows, |stop| stop.p95)),
            ),
        Column::new("stop_ms_max", "ms", |row: &Row| Cell::max(row.stop))
            .head("stop", "max")
            .digits(0)
            .assert(
                "stop_ms_max",
                Fold::Rows(|rows| stop(rows, |stop| stop.max)),
            ),
        Column::new("gap_ms_mean", "ms", |row: &Row| Cell::mean(row.gap)),
        Column::new("gap_ms_median", "ms", |row: &Row| Cell::median(row.gap)),
        Column::new("gap_ms_p95", "ms", |row: &Row| Cell::p95(row.gap)),
        Column::new("gap_ms_max", "ms", |row: &Row| Cell::max(row.gap))
            .head("gap", "max ms")
            .digits(0)
            .assert(
                "gap_ms_max",
                Fold::Rows(|rows| largest(rows, |row| row.gap.map(|gap| gap.max))),
            ),
        Column::new("leader_ms_mean", "ms", |row: &Row| Cell::mean(row.leader))
            .head("leader", "mean ms")
            .digits(1),
        Column::new("leader_ms_median", "ms", |row: &Row| {
            Cell::median(row.leader)
        }),
        Column::new("leader_ms_p95", "ms", |row: &Row| Cell::p95(row.leader)),
        Column::new("leader_ms_max", "ms", |row: &Row| Cell::max(row.leader)),
        Column::new(
            "theory_leader_ms",
            "ms, without split votes",
            |row: &Row| row.theory.into(),
        )
        .head("theory", "ms")
        .digits(1)
        .assert(
            "leader_off_percent_max",
            Fold::Rows(|rows| largest(rows, Row::leader_off_percent)),
        ),
        Column::new("catch_up_ms_mean", "ms", |row: &Row| {
            Cell::mean(row.caught_up)
        })
        .head("catch-up", "mean ms")
        .digits(0),
        Column::new("catch_up_ms_median", "ms", |row: &Row| {
            Cell::median(row.caught_up)
        }),
        Column::new("catch_up_ms_p95", "ms", |row: &Row| {
            Cell::p95(row.caught_up)
        }),
        Column::new("catch_up_ms_max", "ms", |row: &Row| {
            Cell::max(row.caught_up)
        })
        .assert(
            "catch_up_ms_max",
            Fold::Rows(|rows| largest(rows, |row| row.caught_up.map(|caught_up| caught_up.max))),
        ),
        Column::new("orders", "", |row: &Row| {
            row.sum(|run| run.account.clicked).into()
        })
        .head("orders", ""),
        Column::new("lost", "", |row: &Row| {
            row.sum(|run| run.account.lost).into()
        })
        .head("lost", "")
        .assert("lost", Fold::Sum),
        Column::new("doubled", "", |row: &Row| {
            row.sum(|run| run.account.doubled).into()
        })
        .head("doubled", "")
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
            "matches without progress after the crash, or with an order that never took effect",
            |row: &Row| row.unfinished().into(),
        )
        .assert("unfinished", Fold::Sum),
        Column::new("steps", "null if not counted", |row: &Row| {
            Some(row.sum(|run| run.steps))
                .filter(|_| row.world == World::Virtual)
                .into()
        }),
    ],
    totals: &[],
};

/// All matches of one size.
pub(crate) struct Row {
    machines: u64,
    runs: Vec<Outcome>,
    stop: Option<Summary>,
    leader: Option<Summary>,
    gap: Option<Summary>,
    caught_up: Option<Summary>,
    theory: Option<f64>,
    world: World,
}

impl Row {
    fn new(study: &Failover, machines: u64, runs: Vec<Outcome>) -> Self {
        let summary = |of: fn(&Outcome) -> Option<Duration>| {
            Summary::of(runs.iter().filter_map(of).map(ms).collect())
        };
        let theory = theory::next_leader_ms(&study.series.conditions, machines);
        Row {
            machines,
            stop: summary(|run| run.stop),
            leader: summary(|run| run.leader),
            gap: summary(|run| Some(run.gap)),
            caught_up: summary(|run| run.caught_up),
            runs,
            theory: theory.filter(|_| study.who == Who::Leader),
            world: study.series.world,
        }
    }

    fn sum(&self, of: fn(&Outcome) -> u64) -> u64 {
        self.runs.iter().map(of).sum()
    }

    fn unequal(&self) -> u64 {
        self.sum(|run| u64::from(!run.account.equal))
    }

    fn unfinished(&self) -> u64 {
        self.sum(|run| u64::from(run.stop.is_none() || !run.settled))
    }

    /// Whether the remaining machines are a majority.
    fn goes_on(&self) -> bool {
        (self.machines - 1) * 2 > self.machines
    }

    /// Deviation of the mean time to the next leader from theory, in either direction.
    fn leader_off_percent(&self) -> Option<f64> {
        let leader = self.leader?;
        Some(((leader.mean / self.theory? - 1.0) * 100.0).abs())
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

/// Collects all outputs.
pub fn findings(study: &Failover, outcomes: Vec<(u64, Vec<Outcome>)>) -> Findings {
    let csv = csv(&outcomes);
    let violation = outcomes
        .iter()
        .find_map(|(machines, runs)| first_violation(*machines, runs));
    let rows: Vec<_> = outcomes
        .into_iter()
        .map(|(machines, runs)| Row::new(study, machines, runs))
        .collect();
    let who = match study.who {
        Who::Leader => "the leader",
        Who::Follower => "a follower",
        Who::Any => "any machine",
    };
    let mut params = study.series.json();
    params.insert("sizes".to_owned(), json!(study.sizes.0));
    params.insert(
        "who".to_owned(),
        format!("{:?}", study.who).to_lowercase().into(),
    );
    params.insert("down_ms".to_owned(), ms(study.down.0).into());
    let mut facts = study.series.info();
    facts.push((
        "crashed machine".to_owned(),
        format!("{who}, for {}", study.down),
    ));
    let about = format!(
        "A crash of {who} in {} matches {}, seed {}: how long no order takes effect",
        study.series.reps,
        match study.series.world {
            World::Virtual => "of each size",
            World::Processes => "of real processes",
        },
        study.series.seed
    );
    Findings {
        name: "failover",
        title: "Failover",
        headline: about.clone(),
        about,
        remarks: remarks(study, &rows),
        heading: "In numbers".to_owned(),
        measurements: COLUMNS.measurements(&rows),
        csv,
        params: Value::Object(params),
        more: Map::new(),
        command: format!(
            "cargo lab failover {} {} --who {} --down {} {}",
            match study.series.world {
                World::Virtual => "--sizes",
                World::Processes => "--real-processes",
            },
            study.sizes,
            format!("{:?}", study.who).to_lowercase(),
            study.down,
            study.series.options()
        ),
        charts: named(charts(study, &rows)),
        logs: Vec::new(),
        facts,
        complete: true,
        violation,
    }
}

/// First violation of the matches of one size.
fn first_violation(machines: u64, runs: &[Outcome]) -> Option<String> {
    let kind = format!("{machines} machines");
    let mut runs = runs.iter().enumerate();
    runs.find_map(|(rep, run)| violation(&run.account, run.settled, &kind, rep))
}

fn remarks(study: &Failover, rows: &[Row]) -> Vec<String> {
    let mut remarks = Vec::new();
    if rows.iter().any(|row| !row.goes_on()) {
        remarks.push(format!(
            "2 machines have no majority without one: they resume when it restarts, after {}",
            study.down
        ));
    }
    let theory = "theory is the mean time to the next leader without split votes";
    match study.series.world {
        World::Virtual if study.who == Who::Leader => {
            remarks.push(format!("{theory} or message loss"))
        }
        World::Processes if study.who == Who::Leader => {
            remarks.push(format!("{theory}, with instant links and disks"))
        }
        World::Virtual | World::Processes => {}
    }
    let unfinished: u64 = rows.iter().map(Row::unfinished).sum();
    if unfinished > 0 {
        remarks.push(format!(
            "{unfinished} matches made no progress, or had orders without an effect at the end"
        ));
    }
    remarks
}

/// Rows whose remaining machines are a majority.
fn going(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.goes_on())
}

/// Statistic of the stops of all matches of rows that go on.
fn stop(rows: &[Row], pick: fn(Summary) -> f64) -> f64 {
    let stops = going(rows)
        .flat_map(|row| &row.runs)
        .filter_map(|run| run.stop);
    Summary::of(stops.map(ms).collect()).map_or(f64::NAN, pick)
}

/// Largest value of the rows that go on.
fn largest(rows: &[Row], of: fn(&Row) -> Option<f64>) -> f64 {
    most(going(rows).filter_map(of))
}

/// One line for each match, times in seconds, empty where there is none.
fn csv(outcomes: &[(u64, Vec<Outcome>)]) -> String {
    let heads = [
        "machines",
        "match",
        "stop_s",
        "leader_s",
        "gap_s",
        "catch_up_s",
        "orders",
        "lost",
        "doubled",
        "equal",
    ];
    let seconds = |time: Option<Duration>| {
        time.map_or(String::new(), |time| format!("{:.6}", time.as_secs_f64()))
    };
    let lines = outcomes.iter().flat_map(|(machines, runs)| {
        (1..).zip(runs).map(move |(number, run)| {
            let times = [run.stop, run.leader, Some(run.gap), run.caught_up].map(seconds);
            let counts = [run.account.clicked, run.account.lost, run.account.doubled]
                .map(|count| count.to_string());
            let mut line = vec![machines.to_string(), i32::to_string(&number)];
            line.extend(times);
            line.extend(counts);
            line.push(run.account.equal.to_string());
            line
        })
    });
    csv::document(&heads, lines)
}

fn charts(study: &Failover, rows: &[Row]) -> Vec<(&'static str, Chart)> {
    let going: Vec<_> = rows
        .iter()
        .filter(|row| row.goes_on() && row.stop.is_some())
        .collect();
    if going.is_empty() {
        return Vec::new();
    }
    let curve = |(number, row): (usize, &&Row)| Series {
        name: format!("{} machines", row.machines),
        colour: COLOURS[number % COLOURS.len()],
        shape: Shape::Line,
        points: shares(row.runs.iter().filter_map(|run| run.stop).map(ms).collect()),
    };
    let stops = Chart {
        title: "How long no order takes effect after a crash".to_owned(),
        x: Axis::measures("stop (ms)").from_zero(),
        y: Axis::measures("matches with at most this stop (%)").from_zero(),
        series: going
            .iter()
            .enumerate()
            .map(curve)
            .chain(beside(&going))
            .collect(),
    };
    if going.len() == 1 {
        return vec![("failover-stops", stops)];
    }
    let of = |pick: &dyn Fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
        going
            .iter()
            .filter_map(|row| Some((row.machines as f64, pick(row)?)))
            .collect()
    };
    let single = going.iter().flat_map(|row| {
        let at = row.machines as f64;
        let stops: Vec<_> = row.runs.iter().filter_map(|run| run.stop).map(ms).collect();
        shares(stops).into_iter().map(move |(stop, _)| (at, stop))
    });
    let drawn = [
        series("stop: single matches", 5, Shape::Cloud, single.collect()),
        series(
            "stop: mean",
            0,
            Shape::Dots,
            of(&|row| row.stop.map(|stop| stop.mean)),
        ),
        series(
            "next leader: mean",
            2,
            Shape::Dots,
            of(&|row| row.leader.map(|leader| leader.mean)),
        ),
        series("next leader: theory", 1, Shape::Line, of(&|row| row.theory)),
    ];
    let sizes = Chart {
        title: format!(
            "Match size and failover, {} matches of each",
            study.series.reps
        ),
        x: Axis::counts("machines"),
        y: Axis::measures("time after the crash (ms)").from_zero(),
        series: drawn.into_iter().flatten().collect(),
    };
    vec![("failover-stops", stops), ("failover-sizes", sizes)]
}

/// Comparison for the stops of a single size: next leaders, and theory.
fn beside(going: &[&Row]) -> Vec<Series> {
    let [row] = going else { return Vec::new() };
    let leaders = shares(
        row.runs
            .iter()
            .filter_map(|run| run.leader)
            .map(ms)
            .collect(),
    );
    let theory = row
        .theory
        .map(|theory| vec![(theory, 0.0), (theory, 100.0)])
        .unwrap_or_default();
    let leaders = series("next leader", 2, Shape::Line, leaders);
    let theory = series("next leader: theory of the mean", 1, Shape::Dashes, theory);
    leaders.into_iter().chain(theory).collect()
}

/// A series, unless it has no points.
fn series(name: &str, colour: usize, shape: Shape, points: Vec<(f64, f64)>) -> Option<Series> {
    let drawn = Series {
        name: name.to_owned(),
        colour: COLOURS[colour],
        shape,
        points,
    };
    Some(drawn).filter(|drawn| !drawn.points.is_empty())
}
