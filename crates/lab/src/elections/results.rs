//! Formats a study's rows as a table, CSV, JSON, and quantities for thresholds.

use serde_json::{Map, Value, json};

use super::{COLUMNS, Row, Study};
use crate::report::document::number;
use crate::report::statistics::Growth;
use crate::report::table::Table;

/// Schema name. Rows have at least `nodes`, `time_ms_mean`, `time_ms_median`, `time_ms_p95`,
/// `elections_mean`, `split_votes`, `messages_mean` and `theory_ms`.
pub const SCHEMA: &str = "raftian.lab.elections/1";

/// Quantities for `--assert`, over all sizes, except the means of the largest and smallest cluster.
pub const QUANTITIES: [&str; 12] = [
    "max_elections",
    "mean_elections",
    "split_votes",
    "unfinished",
    "max_time_ms",
    "mean_time_ms",
    "smallest_time_ms",
    "largest_time_ms",
    "max_off_percent",
    "mean_messages",
    "messages_exponent",
    "steps_exponent",
];

/// Values of [`QUANTITIES`]; NaN if nothing could be measured.
pub fn quantities(rows: &[Row]) -> [(&'static str, f64); 12] {
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let most = |values: Vec<f64>| values.into_iter().reduce(f64::max).unwrap_or(f64::NAN);
    let time = |row: Option<&Row>| {
        row.and_then(|row| row.time_ms)
            .map_or(f64::NAN, |time| time.mean)
    };
    let elections = || rows.iter().filter_map(|row| row.elections);
    let times = || rows.iter().filter_map(|row| row.time_ms);
    let exponent = |growth: Option<Growth>| growth.map_or(f64::NAN, |growth| growth.exponent);
    let measured = [
        most(elections().map(|elections| elections.max).collect()),
        mean(elections().map(|elections| elections.mean).collect()),
        rows.iter().map(|row| row.split_votes).sum::<u64>() as f64,
        rows.iter().map(|row| row.unfinished).sum::<u64>() as f64,
        most(times().map(|time| time.max).collect()),
        mean(times().map(|time| time.mean).collect()),
        time(rows.first()),
        time(rows.last()),
        most(
            rows.iter()
                .filter_map(Row::off_percent)
                .map(f64::abs)
                .collect(),
        ),
        mean(
            rows.iter()
                .filter_map(|row| row.messages)
                .map(|messages| messages.mean)
                .collect(),
        ),
        exponent(messages_growth(rows)),
        exponent(steps_growth(rows)),
    ];
    std::array::from_fn(|place| (QUANTITIES[place], measured[place]))
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

/// Rows as a table.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&COLUMNS);
    rows.iter().for_each(|row| table.row(row.cells()));
    table
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

/// Members of the document in addition to its rows.
pub fn more(rows: &[Row]) -> Map<String, Value> {
    let growth = |growth: Option<Growth>| {
        growth.map(|growth| {
            let Growth { exponent, slope, intercept } = growth;
            json!({ "exponent": number(exponent), "slope": number(slope), "intercept": number(intercept) })
        })
    };
    let quantities: Map<_, _> = quantities(rows)
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number(*value)))
        .collect();
    let growth =
        json!({ "messages": growth(messages_growth(rows)), "steps": growth(steps_growth(rows)) });
    [
        ("growth".to_owned(), growth),
        ("quantities".to_owned(), Value::Object(quantities)),
    ]
    .into_iter()
    .collect()
}
