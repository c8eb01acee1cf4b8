//! Aggregate of all runs of one size.

use serde_json::{Value, json};

use super::Outcome;
use crate::report::document::number;
use crate::report::statistics::Summary;

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

/// Column heads of the table, with units.
pub const COLUMNS: [(&str, &str); 11] = [
    ("nodes", ""),
    ("mean", "ms"),
    ("median", "ms"),
    ("p95", "ms"),
    ("theory", "ms"),
    ("off", "%"),
    ("elections", "mean"),
    ("elections", "most"),
    ("split votes", "all runs"),
    ("messages", "mean"),
    ("steps", "mean"),
];

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

    /// Table cells, in the order of [`COLUMNS`].
    pub fn cells(&self) -> Vec<String> {
        let tell = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let (time, elections) = (self.time_ms, self.elections);
        vec![
            self.nodes.to_string(),
            tell(time.map(|time| time.mean), 1),
            tell(time.map(|time| time.median), 1),
            tell(time.map(|time| time.p95), 1),
            tell(Some(self.theory_ms), 1),
            self.off_percent()
                .map_or("-".to_owned(), |off| format!("{off:+.1}")),
            tell(elections.map(|elections| elections.mean), 2),
            tell(elections.map(|elections| elections.max), 0),
            self.split_votes.to_string(),
            tell(self.messages.map(|messages| messages.mean), 1),
            tell(self.steps.map(|steps| steps.mean), 1),
        ]
    }

    /// JSON form.
    pub fn json(&self) -> Value {
        let of = |summary: Option<Summary>, pick: fn(Summary) -> f64| {
            summary.map(|summary| number(pick(summary)))
        };
        json!({
            "nodes": self.nodes,
            "runs": self.runs.len(),
            "unfinished": self.unfinished,
            "time_ms_mean": of(self.time_ms, |time| time.mean),
            "time_ms_median": of(self.time_ms, |time| time.median),
            "time_ms_p95": of(self.time_ms, |time| time.p95),
            "time_ms_max": of(self.time_ms, |time| time.max),
            "theory_ms": number(self.theory_ms),
            "elections_mean": of(self.elections, |elections| elections.mean),
            "elections_max": of(self.elections, |elections| elections.max),
            "split_votes": self.split_votes,
            "messages_mean": of(self.messages, |messages| messages.mean),
            "steps_mean": of(self.steps, |steps| steps.mean),
        })
    }
}
