//! Aggregates of all runs of one size with their columns and remarks, and one CSV line for each
//! run.

use serde_json::{Map, Value, json};

use super::{Outcome, Settings, Study, charts};
use crate::report::column::{Cell, Column, Columns, Fold};
use crate::report::document::number;
use crate::report::findings::{Findings, named};
use crate::report::statistics::{Growth, Summary};

/// Measurements of one cluster size.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Nodes of each cluster.
    pub nodes: u64,
    /// Outcome of each cluster.
    pub runs: Vec<Outcome>,
    /// Clusters that timed out without a leader; of these, only split votes count below.
    pub unfinished: u64,
    /// Time to elect in milliseconds; `None` if every cluster timed out.
    pub time_ms: Option<Summary>,
    /// Elections held until there was a leader.
    pub elections: Option<Summary>,
    /// Split votes of all runs.
    pub split_votes: u64,
    /// Messages until there was a leader; `None` if they were not counted.
    pub messages: Option<Summary>,
    /// Inputs until there was a leader; `None` if they were not counted.
    pub steps: Option<Summary>,
    /// Theoretical mean time to elect without delay or loss, in milliseconds.
    pub theory_ms: f64,
}

impl Row {
    pub(super) fn new(nodes: u64, theory_ms: f64, runs: Vec<Outcome>) -> Self {
        let elected = || runs.iter().filter_map(|run| Some((run, run.time?)));
        let summary = |of: fn(&Outcome) -> u64| {
            Summary::of(elected().map(|(run, _)| of(run) as f64).collect())
        };
        let counted = |summary: &Summary| summary.max > 0.0;
        Row {
            nodes,
            unfinished: (runs.len() - elected().count()) as u64,
            time_ms: Summary::of(
                elected()
                    .map(|(_, time)| time.as_secs_f64() * 1e3)
                    .collect(),
            ),
            elections: summary(|run| run.elections),
            split_votes: runs.iter().map(|run| run.split_votes).sum(),
            messages: summary(|run| run.messages).filter(counted),
            steps: summary(|run| run.steps).filter(counted),
            theory_ms,
            runs,
        }
    }

    /// Deviation of the mean time from theory in percent.
    pub fn off_percent(&self) -> Option<f64> {
        self.time_ms
            .map(|time| (time.mean / self.theory_ms - 1.0) * 100.0)
    }
}

/// Columns of the study, and its quantities for `--assert`: over all sizes, except the mean times
/// of the smallest and largest cluster.
pub const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.elections/1",
    list: &[
        Column::new("nodes", "", |row: &Row| row.nodes.into()).head("nodes", ""),
        Column::new("runs", "", |row: &Row| row.runs.len().into()),
        Column::new("time_ms_mean", "ms", |row: &Row| Cell::mean(row.time_ms))
            .head("mean", "ms")
            .digits(1)
            .assert("mean_time_ms", Fold::Mean)
            .assert("smallest_time_ms", Fold::First)
            .assert("largest_time_ms", Fold::Last),
        Column::new("time_ms_median", "ms", |row: &Row| {
            Cell::median(row.time_ms)
        })
        .head("median", "ms")
        .digits(1),
        Column::new("time_ms_p95", "ms", |row: &Row| Cell::p95(row.time_ms))
            .head("p95", "ms")
            .digits(1),
        Column::new("time_ms_max", "ms", |row: &Row| Cell::max(row.time_ms))
            .assert("max_time_ms", Fold::Max),
        Column::new("theory_ms", "ms", |row: &Row| row.theory_ms.into())
            .head("theory", "ms")
            .digits(1),
        Column::derived(|row: &Row| row.off_percent().into())
            .head("off", "%")
            .signed(1)
            .assert("max_off_percent", Fold::MaxAbs),
        Column::new("elections_mean", "", |row: &Row| Cell::mean(row.elections))
            .head("elections", "mean")
            .digits(2)
            .assert("mean_elections", Fold::Mean),
        Column::new("elections_max", "", |row: &Row| Cell::max(row.elections))
            .head("elections", "most")
            .digits(0)
            .assert("max_elections", Fold::Max),
        Column::new("split_votes", "all runs", |row: &Row| {
            row.split_votes.into()
        })
        .head("split votes", "all runs")
        .assert("split_votes", Fold::Sum),
        Column::new("unfinished", "runs without a leader", |row: &Row| {
            row.unfinished.into()
        })
        .assert("unfinished", Fold::Sum),
        Column::new("messages_mean", "null if not counted", |row: &Row| {
            Cell::mean(row.messages)
        })
        .head("messages", "mean")
        .digits(1)
        .assert("mean_messages", Fold::Mean),
        Column::new("steps_mean", "null if not counted", |row: &Row| {
            Cell::mean(row.steps)
        })
        .head("steps", "mean")
        .digits(1),
    ],
    totals: &[
        ("messages_exponent", |rows| exponent(messages_growth(rows))),
        ("steps_exponent", |rows| exponent(steps_growth(rows))),
    ],
};

fn exponent(growth: Option<Growth>) -> f64 {
    growth.map_or(f64::NAN, |growth| growth.exponent)
}

/// Growth of messages with the cluster size; O(n) according to the published study.
pub fn messages_growth(rows: &[Row]) -> Option<Growth> {
    Growth::of(
        &rows
            .iter()
            .filter_map(|row| Some((row.nodes as f64, row.messages?.mean)))
            .collect::<Vec<_>>(),
    )
}

/// Growth of steps with the cluster size.
pub fn steps_growth(rows: &[Row]) -> Option<Growth> {
    Growth::of(
        &rows
            .iter()
            .filter_map(|row| Some((row.nodes as f64, row.steps?.mean)))
            .collect::<Vec<_>>(),
    )
}

/// Remarks below the table.
pub fn remarks(study: &Study, rows: &[Row]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (what, growth) in [
        ("messages", messages_growth(rows)),
        ("steps", steps_growth(rows)),
    ] {
        if let Some(Growth {
            exponent,
            slope,
            intercept,
        }) = growth
        {
            remarks.push(format!(
                "{what} grow as n^{exponent:.2}; as a line, {slope:.2} n {intercept:+.1}"
            ));
        }
    }
    if !study.settings.is_ideal() {
        remarks.push("theory assumes no delay and no loss".to_owned());
    }
    for row in rows.iter().filter(|row| row.unfinished > 0) {
        let Row {
            nodes,
            unfinished,
            runs,
            ..
        } = row;
        let limit = study.settings.limit;
        remarks.push(format!(
            "{unfinished} of {} clusters of {nodes} nodes had no leader within {limit}",
            runs.len()
        ));
    }
    remarks
}

/// One line for each run: cluster size, run number, seconds to the leader (empty on a timeout),
/// elections held, and the other counts.
pub fn csv(rows: &[Row]) -> String {
    let heads = [
        "cluster_size",
        "run",
        "time_to_leader_s",
        "elections_held",
        "split_votes",
        "messages",
        "steps",
        "theory_s",
    ];
    let lines = rows.iter().flat_map(|row| {
        (1..).zip(&row.runs).map(|(run, outcome)| {
            let time = outcome
                .time
                .map_or(String::new(), |time| format!("{:.6}", time.as_secs_f64()));
            let counts = [
                outcome.elections,
                outcome.split_votes,
                outcome.messages,
                outcome.steps,
            ];
            let counts = counts.map(|count| count.to_string());
            let mut line = vec![row.nodes.to_string(), i32::to_string(&run), time];
            line.extend(counts);
            line.push(format!("{:.6}", row.theory_ms / 1e3));
            line
        })
    });
    crate::report::csv::document(&heads, lines)
}

/// Collects all outputs.
pub fn findings(study: &Study, rows: &[Row]) -> Findings {
    let elected = rows.iter().all(|row| row.time_ms.is_some());
    let measured = if study.settings.crash_leader {
        "From the crash of a leader to the next"
    } else {
        "From start to leader"
    };
    let Study {
        reps, seed, world, ..
    } = study;
    Findings {
        name: "elections",
        title: "Leader elections",
        headline: format!(
            "{measured}, in {}: {reps} runs of each size, seed {seed}",
            world.name()
        ),
        about: format!("{measured}, on the shipping core in {}.", world.name()),
        remarks: remarks(study, rows),
        heading: format!("{reps} runs of each size"),
        measurements: COLUMNS.measurements(rows),
        csv: csv(rows),
        params: study.json(),
        more: more(rows),
        command: format!("cargo lab elections {}", study.options()),
        charts: if elected {
            named(charts::all(study, rows))
        } else {
            Vec::new()
        },
        logs: Vec::new(),
        facts: facts(study),
        complete: elected,
        violation: None,
    }
}

/// Members of the document in addition to its rows and quantities.
fn more(rows: &[Row]) -> Map<String, Value> {
    let growth = json!({
        "messages": growth_json(messages_growth(rows)),
        "steps": growth_json(steps_growth(rows)),
    });
    [("growth".to_owned(), growth)].into_iter().collect()
}

fn growth_json(growth: Option<Growth>) -> Option<Value> {
    let Growth {
        exponent,
        slope,
        intercept,
    } = growth?;
    Some(json!({
        "exponent": number(exponent),
        "slope": number(slope),
        "intercept": number(intercept),
    }))
}

fn facts(study: &Study) -> Vec<(String, String)> {
    let Study {
        sizes,
        reps,
        seed,
        settings,
        world,
    } = study;
    let Settings {
        timeout,
        heartbeat,
        delay,
        loss,
        poll,
        pre_vote,
        crash_leader,
        limit,
    } = settings;
    vec![
        fact("sizes", format!("{sizes} nodes")),
        fact("runs of each size", reps.to_string()),
        fact(
            "seed",
            format!("{seed}; each run's seed is derived from it, the size and the run number"),
        ),
        fact("election timeout", timeout.to_string()),
        fact("heartbeat", heartbeat.to_string()),
        fact("message delay", delay.to_string()),
        fact("lost messages", loss.to_string()),
        fact(
            "election timer polling",
            if poll.0.is_zero() {
                "none".to_owned()
            } else {
                poll.to_string()
            },
        ),
        fact("pre-vote", on_or_off(*pre_vote)),
        fact("crash the first leader", on_or_off(*crash_leader)),
        fact("world", world.name().to_owned()),
        fact("time limit", limit.to_string()),
    ]
}

fn fact(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}
