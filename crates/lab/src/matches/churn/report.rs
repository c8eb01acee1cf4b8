//! Formats churn results as a table, JSON, CSV and a chart.

use serde_json::{Map, Value, json};

use super::{Churn, Outcome, Turn};
use crate::matches::findings::{Findings, most, wrong};
use crate::report::chart::{Axis, COLOURS, Chart, Series, Shape};
use crate::report::csv;
use crate::report::document::number;
use crate::report::table::Table;

/// Schema name. Its rows, one for each match, have `match`, `in_bound_percent`,
/// `latency_ms_{p50,p95,p99,max}`, `stop_ms`, `leaves`, `crashes`, `restarts`, `joins`, `passed`,
/// `changes_made`, `changes_refused`, `promoted`, `orders`, `applied`, `lost`, `doubled`, `equal`,
/// `settled` and `steps`.
pub const SCHEMA: &str = "raftian.lab.churn/1";

/// Quantities for `--assert`: the worst value of all matches, or the sum over them.
pub const QUANTITIES: [&str; 9] = [
    "in_bound_percent_min",
    "latency_ms_p50_max",
    "latency_ms_p99_max",
    "latency_ms_max",
    "stop_ms_max",
    "lost",
    "doubled",
    "unequal",
    "unfinished",
];

const COLUMNS: [(&str, &str); 17] = [
    ("match", ""),
    ("in bound", "%"),
    ("p50", "ms"),
    ("p95", "ms"),
    ("p99", "ms"),
    ("max", "ms"),
    ("stop", "ms"),
    ("leave", ""),
    ("crash", ""),
    ("back", ""),
    ("join", ""),
    ("made", ""),
    ("refused", ""),
    ("orders", ""),
    ("lost", ""),
    ("doubled", ""),
    ("equal", ""),
];

fn stop_ms(run: &Outcome) -> f64 {
    run.stop.as_secs_f64() * 1e3
}

/// Names and values of one match, in the order of the CSV columns.
fn cells(place: usize, run: &Outcome) -> Vec<(&'static str, Value)> {
    let [p50, p95, p99, max] = run.latency.map(number);
    let [leaves, crashes, restarts, joins] = run.turns;
    vec![
        ("match", json!(place + 1)),
        ("in_bound_percent", number(run.in_bound * 100.0)),
        ("latency_ms_p50", p50),
        ("latency_ms_p95", p95),
        ("latency_ms_p99", p99),
        ("latency_ms_max", max),
        ("stop_ms", number(stop_ms(run))),
        ("leaves", json!(leaves)),
        ("crashes", json!(crashes)),
        ("restarts", json!(restarts)),
        ("joins", json!(joins)),
        ("passed", json!(run.passed)),
        ("changes_made", json!(run.orders.made)),
        ("changes_refused", json!(run.orders.refused)),
        ("promoted", json!(run.orders.promoted)),
        ("orders", json!(run.account.clicked)),
        ("applied", json!(run.account.applied)),
        ("lost", json!(run.account.lost)),
        ("doubled", json!(run.account.doubled)),
        ("equal", json!(run.account.equal)),
        ("settled", json!(run.settled)),
        ("steps", json!(run.steps)),
    ]
}

fn row(place: usize, run: &Outcome) -> Vec<String> {
    let ms = |value: f64| format!("{value:.0}");
    let mut row = vec![
        (place + 1).to_string(),
        format!("{:.2}", run.in_bound * 100.0),
        format!("{:.1}", run.latency[0]),
    ];
    row.extend(run.latency[1..].iter().map(|latency| ms(*latency)));
    row.push(ms(stop_ms(run)));
    row.extend(run.turns.iter().map(u64::to_string));
    let account = &run.account;
    let counts = [
        run.orders.made,
        run.orders.refused,
        account.clicked,
        account.lost,
        account.doubled,
    ];
    row.extend(counts.iter().map(u64::to_string));
    row.push(if account.equal { "yes" } else { "no" }.to_owned());
    row
}

/// Collects all outputs.
pub fn findings(study: &Churn, runs: &[Outcome]) -> Findings {
    let mut table = Table::new(&COLUMNS);
    runs.iter()
        .enumerate()
        .for_each(|(place, run)| table.row(row(place, run)));
    let all: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(place, run)| cells(place, run))
        .collect();
    let heads: Vec<_> = all.first().map_or(Vec::new(), |cells| {
        cells.iter().map(|(name, _)| *name).collect()
    });
    let lines = all.iter().map(|cells| {
        cells
            .iter()
            .map(|(_, value)| value.to_string())
            .collect::<Vec<_>>()
    });
    let object = |cells: &Vec<(&'static str, Value)>| {
        Value::Object(
            cells
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<Map<_, _>>(),
        )
    };
    let mut params = study.series.json();
    params.insert("machines".to_owned(), study.machines.into());
    params.insert(
        "every_ms".to_owned(),
        (study.every.0.as_secs_f64() * 1e3).into(),
    );
    params.insert("minutes".to_owned(), study.minutes.into());
    params.insert(
        "bound_ms".to_owned(),
        (study.bound.0.as_secs_f64() * 1e3).into(),
    );
    let mut facts = study.series.info();
    facts.push((
        "machines at the start".to_owned(),
        study.machines.to_string(),
    ));
    facts.push(("minutes per match".to_owned(), study.minutes.to_string()));
    Findings {
        name: "churn",
        schema: SCHEMA,
        title: "Churn",
        about: format!(
            "{} machines for {} min, one leaves, crashes, restarts or joins every {}, {} matches, seed {}",
            study.machines, study.minutes, study.every, study.series.reps, study.series.seed
        ),
        remarks: vec![
            format!(
                "in bound: share of time at which an order takes effect within {}",
                study.bound
            ),
            "p50 to max: from click to effect; stop: longest time between two commits".to_owned(),
            "made and refused: leaders' answers to membership change requests".to_owned(),
        ],
        table,
        csv: csv::document(&heads, lines),
        rows: all.iter().map(object).collect(),
        params,
        options: format!(
            "--machines {} --every {} --minutes {} --bound {} {}",
            study.machines,
            study.every,
            study.minutes,
            study.bound,
            study.series.options()
        ),
        quantities: quantities(runs),
        charts: runs.first().map_or(Vec::new(), |run| charts(study, run)),
        facts,
        violation: runs
            .iter()
            .enumerate()
            .find_map(|(rep, run)| wrong(&run.account, run.settled, "churn", rep)),
    }
}

fn quantities(runs: &[Outcome]) -> Vec<(&'static str, f64)> {
    let worst = |of: fn(&Outcome) -> f64| most(runs.iter().map(of));
    let sum = |of: fn(&Outcome) -> u64| runs.iter().map(of).sum::<u64>() as f64;
    let measured = [
        -worst(|run| -run.in_bound * 100.0),
        worst(|run| run.latency[0]),
        worst(|run| run.latency[2]),
        worst(|run| run.latency[3]),
        worst(stop_ms),
        sum(|run| run.account.lost),
        sum(|run| run.account.doubled),
        sum(|run| u64::from(!run.account.equal)),
        sum(|run| u64::from(!run.settled)),
    ];
    QUANTITIES.into_iter().zip(measured).collect()
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
