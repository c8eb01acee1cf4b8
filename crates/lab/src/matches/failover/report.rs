//! Formats failover results as a table, JSON, CSV and charts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Failover, Outcome, Who};
use crate::matches::findings::{Findings, cell, most, shares, summary_json, wrong};
use crate::matches::{World, theory};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};
use crate::report::csv;
use crate::report::document::number;
use crate::report::statistics::{Summary, ms};
use crate::report::table::Table;

/// Schema name. Its rows have `machines`, `matches`, `stop_ms_{mean,median,p95,max}`,
/// `leader_ms_{mean,median,p95,max}`, `theory_leader_ms` ([`theory::next_leader_ms`]),
/// `gap_ms_{mean,median,p95,max}`, `catch_up_ms_{mean,median,p95,max}`, `orders`, `lost`,
/// `doubled`, `unequal` (matches that ended with different states), `unfinished` (matches that made
/// no progress after the crash, or in which an order never took effect), and `steps`. Unmeasured
/// values are `null`, as are the steps of processes. `world` among its parameters is `virtual` or
/// `processes`.
pub const SCHEMA: &str = "raftian.lab.failover/1";

/// Quantities for `--assert`, over all sizes except those without a majority after the loss of one
/// machine, whose stop lasts until the restart; these count only in `lost`, `doubled`, `unequal`
/// and `unfinished`.
pub const QUANTITIES: [&str; 10] = [
    "stop_ms_mean",
    "stop_ms_p95",
    "stop_ms_max",
    "gap_ms_max",
    "leader_off_percent_max",
    "catch_up_ms_max",
    "lost",
    "doubled",
    "unequal",
    "unfinished",
];

const COLUMNS: [(&str, &str); 13] = [
    ("size", ""),
    ("stop", "mean ms"),
    ("stop", "median"),
    ("stop", "p95"),
    ("stop", "max"),
    ("gap", "max ms"),
    ("leader", "mean ms"),
    ("theory", "ms"),
    ("catch-up", "mean ms"),
    ("orders", ""),
    ("lost", ""),
    ("doubled", ""),
    ("equal", ""),
];

/// All matches of one size.
struct Row<'a> {
    machines: u64,
    runs: &'a [Outcome],
    stop: Option<Summary>,
    leader: Option<Summary>,
    gap: Option<Summary>,
    caught_up: Option<Summary>,
    theory: Option<f64>,
    world: World,
}

impl<'a> Row<'a> {
    fn new(study: &Failover, machines: u64, runs: &'a [Outcome]) -> Self {
        let summary = |of: fn(&Outcome) -> Option<Duration>| {
            Summary::of(runs.iter().filter_map(of).map(ms).collect())
        };
        let theory = theory::next_leader_ms(&study.series.conditions, machines);
        Row {
            machines,
            runs,
            stop: summary(|run| run.stop),
            leader: summary(|run| run.leader),
            gap: summary(|run| Some(run.gap)),
            caught_up: summary(|run| run.caught_up),
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

    fn cells(&self) -> Vec<String> {
        let stop = |pick: fn(Summary) -> f64| cell(self.stop.map(pick), 0);
        let equal = self.runs.len() as u64 - self.unequal();
        vec![
            self.machines.to_string(),
            stop(|stop| stop.mean),
            stop(|stop| stop.median),
            stop(|stop| stop.p95),
            stop(|stop| stop.max),
            cell(self.gap.map(|gap| gap.max), 0),
            cell(self.leader.map(|leader| leader.mean), 1),
            cell(self.theory, 1),
            cell(self.caught_up.map(|caught_up| caught_up.mean), 0),
            self.sum(|run| run.account.clicked).to_string(),
            self.sum(|run| run.account.lost).to_string(),
            self.sum(|run| run.account.doubled).to_string(),
            format!("{equal}/{}", self.runs.len()),
        ]
    }

    fn json(&self) -> Value {
        let mut row = Map::new();
        row.insert("machines".to_owned(), self.machines.into());
        row.insert("matches".to_owned(), self.runs.len().into());
        summary_json("stop_ms", self.stop, &mut row);
        summary_json("leader_ms", self.leader, &mut row);
        row.insert(
            "theory_leader_ms".to_owned(),
            self.theory.map_or(Value::Null, number),
        );
        summary_json("gap_ms", self.gap, &mut row);
        summary_json("catch_up_ms", self.caught_up, &mut row);
        for (name, value) in [
            ("orders", self.sum(|run| run.account.clicked)),
            ("lost", self.sum(|run| run.account.lost)),
            ("doubled", self.sum(|run| run.account.doubled)),
            ("unequal", self.unequal()),
            ("unfinished", self.unfinished()),
        ] {
            row.insert(name.to_owned(), value.into());
        }
        let steps = Some(self.sum(|run| run.steps)).filter(|_| self.world == World::Virtual);
        row.insert("steps".to_owned(), steps.into());
        Value::Object(row)
    }
}

/// Collects all outputs.
pub fn findings(study: &Failover, outcomes: &[(u64, Vec<Outcome>)]) -> Findings {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|(machines, runs)| Row::new(study, *machines, runs))
        .collect();
    let mut table = Table::new(&COLUMNS);
    rows.iter().for_each(|row| table.row(row.cells()));
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
    let violation = outcomes.iter().find_map(|(machines, runs)| {
        let tell = |(rep, run): (usize, &Outcome)| {
            wrong(
                &run.account,
                run.settled,
                &format!("{machines} machines"),
                rep,
            )
        };
        runs.iter().enumerate().find_map(tell)
    });
    Findings {
        name: "failover",
        schema: SCHEMA,
        title: "Failover",
        about: format!(
            "A crash of {who} in {} matches {}, seed {}: how long no order takes effect",
            study.series.reps,
            match study.series.world {
                World::Virtual => "of each size",
                World::Processes => "of real processes",
            },
            study.series.seed
        ),
        remarks: remarks(study, &rows),
        table,
        csv: csv(outcomes),
        rows: rows.iter().map(Row::json).collect(),
        params,
        options: format!(
            "{} {} --who {} --down {} {}",
            match study.series.world {
                World::Virtual => "--sizes",
                World::Processes => "--real-processes",
            },
            study.sizes,
            format!("{:?}", study.who).to_lowercase(),
            study.down,
            study.series.options()
        ),
        quantities: quantities(&rows),
        charts: charts(study, &rows),
        facts,
        violation,
    }
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

fn quantities(rows: &[Row]) -> Vec<(&'static str, f64)> {
    let going = || rows.iter().filter(|row| row.goes_on());
    let stops = || {
        going()
            .flat_map(|row| row.runs)
            .filter_map(|run| run.stop)
            .map(ms)
            .collect::<Vec<_>>()
    };
    let stop = Summary::of(stops());
    let off =
        going().filter_map(|row| Some(((row.leader?.mean / row.theory? - 1.0) * 100.0).abs()));
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>() as f64;
    let measured = [
        stop.map_or(f64::NAN, |stop| stop.mean),
        stop.map_or(f64::NAN, |stop| stop.p95),
        stop.map_or(f64::NAN, |stop| stop.max),
        most(going().filter_map(|row| row.gap).map(|gap| gap.max)),
        most(off),
        most(
            going()
                .filter_map(|row| row.caught_up)
                .map(|caught_up| caught_up.max),
        ),
        sum(|row| row.sum(|run| run.account.lost)),
        sum(|row| row.sum(|run| run.account.doubled)),
        sum(|row| row.unequal()),
        sum(|row| row.unfinished()),
    ];
    QUANTITIES.into_iter().zip(measured).collect()
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
