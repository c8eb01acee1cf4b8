//! Formats a study's rows as a table, CSV, JSON, logs in the original study's format, and
//! quantities for thresholds.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::published::{self, Published};
use crate::scene::{FrameTimes, NodeSeen, Seen};
use crate::study::{Cap, Cell, Server, Study};
use raftian_lab::report::document::number;
use raftian_lab::report::statistics::{Interval, Summary, ms, quantile};
use raftian_lab::report::table::Table;

/// Schema name, unchanged since this experiment was one of `raftian-lab`. Each row has `dots`,
/// `server`, `heartbeat_ms` and `fps_cap` (`null` without one), `rounds`, `frames`, `fps_mean` and
/// `fps_sd` over all seconds, `published_fps`, the frame times `frame_mean_ms`, `frame_p50_ms`,
/// `frame_p95_ms`, `frame_p99_ms` (medians of the rounds') and `frame_max_ms`, `cost_ms` and
/// `cost_off_ms` (mean and 95 % interval), `commit_p50_ms`, `commit_p95_ms`, `orders`, `unseen`,
/// `led` (0 to 1), `terms` and `messages_per_s`. Unmeasured values are `null`. `adapter` names the
/// graphics adapter.
pub(crate) const SCHEMA: &str = "raftian.lab.responsiveness/1";

/// Quantities for `--assert`: the worst row's value, except that `unseen` is the sum over all rows.
pub(crate) const QUANTITIES: [&str; 5] = [
    "min_fps",
    "max_frame_p99_ms",
    "max_thread_cost_ms",
    "unseen",
    "min_led",
];

/// Measurements of one cell in all rounds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    /// The cell.
    pub(crate) cell: Cell,
    /// One measurement for each round.
    pub(crate) rounds: Vec<Seen>,
    /// Cost of its node per frame, in milliseconds; `None` without an uncapped cell to compare
    /// with, or with one round.
    pub(crate) cost_ms: Option<Interval>,
}

/// Combines cells and their measurements into rows, with costs.
pub(crate) fn rows(cells: &[Cell], seen: Vec<Vec<Seen>>) -> Vec<Row> {
    let mut rows: Vec<_> = cells
        .iter()
        .zip(seen)
        .map(|(cell, rounds)| Row {
            cell: *cell,
            rounds,
            cost_ms: None,
        })
        .collect();
    let means =
        |row: &Row| -> Vec<f64> { row.rounds.iter().map(|seen| seen.frame_ms.mean).collect() };
    let alone: Vec<_> = rows
        .iter()
        .filter(|row| row.cell.server == Server::None && row.cell.cap == Cap(None))
        .map(|row| (row.cell.dots, means(row)))
        .collect();
    for row in rows
        .iter_mut()
        .filter(|row| row.cell.server != Server::None && row.cell.cap == Cap(None))
    {
        let Some((_, alone)) = alone.iter().find(|(dots, _)| *dots == row.cell.dots) else {
            continue;
        };
        // Paired by round, because other load on the machine affects both.
        let more: Vec<_> = means(row)
            .iter()
            .zip(alone)
            .map(|(with, without)| with - without)
            .collect();
        row.cost_ms = Interval::of(&more);
    }
    rows
}

impl Row {
    /// Frames per second in each second of all rounds.
    pub(crate) fn fps(&self) -> Vec<f64> {
        self.rounds
            .iter()
            .flat_map(|seen| &seen.log)
            .map(|(_, fps)| f64::from(*fps))
            .collect()
    }

    /// Mean frames per second; NaN if nothing was measured.
    pub(crate) fn fps_mean(&self) -> f64 {
        let fps = self.fps();
        fps.iter().sum::<f64>() / fps.len() as f64
    }

    fn fps_sd(&self) -> f64 {
        let (fps, mean) = (self.fps(), self.fps_mean());
        (fps.iter().map(|fps| (fps - mean).powi(2)).sum::<f64>() / (fps.len() as f64 - 1.0)).sqrt()
    }

    /// The original study's log of the same combination.
    pub(crate) fn published(&self) -> Option<Published> {
        published::of(&self.cell)
    }

    /// Median of the rounds.
    pub(crate) fn frames(&self, of: fn(&FrameTimes) -> f64) -> f64 {
        let rounds = self.rounds.iter().map(|seen| of(&seen.frame_ms)).collect();
        Summary::of(rounds).map_or(f64::NAN, |summary| summary.median)
    }

    fn longest_ms(&self) -> f64 {
        self.rounds
            .iter()
            .map(|seen| seen.frame_ms.max)
            .fold(f64::NAN, f64::max)
    }

    /// Latency that `percent` % of all orders do not exceed, in milliseconds.
    pub(crate) fn commit_ms(&self, percent: usize) -> Option<f64> {
        let mut times: Vec<_> = self
            .rounds
            .iter()
            .flat_map(|seen| seen.commits_ms.iter().copied())
            .collect();
        times.sort_by(f64::total_cmp);
        quantile(&times, percent)
    }

    fn orders(&self) -> usize {
        self.rounds.iter().map(|seen| seen.commits_ms.len()).sum()
    }

    fn unseen(&self) -> u64 {
        self.rounds.iter().map(|seen| seen.unseen).sum()
    }

    /// Mean of a node measurement over the rounds.
    fn node(&self, of: fn(&NodeSeen) -> f64) -> Option<f64> {
        let nodes: Vec<_> = self
            .rounds
            .iter()
            .filter_map(|seen| seen.node.as_ref())
            .map(of)
            .collect();
        Summary::of(nodes).map(|summary| summary.mean)
    }

    /// Display name.
    pub(crate) fn name(&self) -> String {
        let Cell {
            dots,
            server,
            heartbeat,
            cap,
        } = self.cell;
        let cap = cap
            .0
            .map(|fps| format!(", at most {fps} frames/s"))
            .unwrap_or_default();
        match server {
            Server::None => format!("{dots} dots, no node{cap}"),
            _ => format!(
                "{dots} dots, node in {}, heartbeat {heartbeat}{cap}",
                server.place()
            ),
        }
    }

    fn cells(&self) -> Vec<String> {
        let Cell {
            dots,
            server,
            heartbeat,
            cap,
        } = self.cell;
        let dash = || "-".to_owned();
        let tell = |value: f64| match value {
            _ if !value.is_finite() => "-".to_owned(),
            _ if value.abs() < 0.995 => format!("{value:.3}"),
            _ if value.abs() < 99.95 => format!("{value:.2}"),
            _ => format!("{value:.0}"),
        };
        let beat = if server == Server::None {
            dash()
        } else {
            ms(heartbeat.0).to_string()
        };
        let mut cells = vec![
            dots.to_string(),
            server.name().to_owned(),
            beat,
            cap.to_string(),
        ];
        cells.push(format!("{:.1}", self.fps_mean()));
        cells.push(
            self.published()
                .map_or_else(dash, |log| format!("{:.1}", log.fps)),
        );
        let times: [fn(&FrameTimes) -> f64; 4] = [
            |frames| frames.mean,
            |frames| frames.p50,
            |frames| frames.p95,
            |frames| frames.p99,
        ];
        cells.extend(times.map(|of| tell(self.frames(of))));
        cells.push(tell(self.longest_ms()));
        cells.push(
            self.cost_ms
                .map_or_else(dash, |cost| format!("{:+.3}", cost.mean)),
        );
        cells.push(
            self.cost_ms
                .map_or_else(dash, |cost| format!("{:.3}", cost.off)),
        );
        cells.push(self.commit_ms(50).map_or_else(dash, tell));
        cells.push(
            self.node(|node| node.led * 100.0)
                .map_or_else(dash, |led| format!("{led:.0}")),
        );
        cells
    }

    /// JSON form; see [`SCHEMA`].
    pub(crate) fn json(&self) -> Value {
        let Cell {
            dots,
            server,
            heartbeat,
            cap,
        } = self.cell;
        let frame = |of| number(self.frames(of));
        json!({
            "dots": dots, "server": server.name(), "fps_cap": cap.0, "rounds": self.rounds.len(),
            "heartbeat_ms": (server != Server::None).then(|| ms(heartbeat.0)),
            "frames": self.rounds.iter().map(|seen| seen.frames).sum::<u64>(),
            "fps_mean": number(self.fps_mean()), "fps_sd": number(self.fps_sd()),
            "published_fps": self.published().map(|log| log.fps),
            "frame_mean_ms": frame(|frames| frames.mean), "frame_p50_ms": frame(|frames| frames.p50),
            "frame_p95_ms": frame(|frames| frames.p95), "frame_p99_ms": frame(|frames| frames.p99),
            "frame_max_ms": number(self.longest_ms()),
            "cost_ms": self.cost_ms.map(|cost| number(cost.mean)),
            "cost_off_ms": self.cost_ms.map(|cost| number(cost.off)),
            "commit_p50_ms": self.commit_ms(50).map(number), "commit_p95_ms": self.commit_ms(95).map(number),
            "orders": self.orders(), "unseen": self.unseen(),
            "led": self.node(|node| node.led).map(number),
            "terms": self.node(|node| node.terms as f64).map(|mean| mean * self.rounds.len() as f64),
            "messages_per_s": self.node(|node| node.messages_per_s).map(number),
            "adapter": self.rounds.first().and_then(|seen| seen.adapter.as_ref()),
        })
    }

    /// All seconds in the original study's format, one line each: `time:<seconds since
    /// 1970>;fps:<frames>`.
    pub(crate) fn log(&self) -> String {
        self.rounds.iter().flat_map(|seen| &seen.log).fold(
            String::new(),
            |mut text, (time, fps)| {
                let _ = writeln!(text, "time:{time};fps:{fps}");
                text
            },
        )
    }
}

impl Server {
    /// Placement in words.
    pub(super) fn place(self) -> &'static str {
        match self {
            Server::None => "nothing",
            Server::Schedule => "the schedule",
            Server::Thread => "a thread",
            Server::Process => "a process",
        }
    }
}

/// Values of [`QUANTITIES`]; NaN where nothing was measured.
pub(crate) fn quantities(rows: &[Row]) -> [(&'static str, f64); 5] {
    let threads = rows.iter().filter(|row| row.cell.server == Server::Thread);
    let values = [
        rows.iter().map(Row::fps_mean).fold(f64::NAN, f64::min),
        rows.iter()
            .map(|row| row.frames(|frames| frames.p99))
            .fold(f64::NAN, f64::max),
        threads
            .filter_map(|row| row.cost_ms)
            .map(|cost| cost.mean)
            .fold(f64::NAN, f64::max),
        rows.iter().map(|row| row.unseen() as f64).sum(),
        rows.iter()
            .filter_map(|row| row.node(|node| node.led))
            .fold(f64::NAN, f64::min),
    ];
    std::array::from_fn(|place| (QUANTITIES[place], values[place]))
}

/// Rows as a table.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        ("dots", ""),
        ("node in", ""),
        ("beat", "ms"),
        ("cap", "fps"),
        ("frames", "/s"),
        ("published", "/s"),
        ("mean", "ms"),
        ("p50", "ms"),
        ("p95", "ms"),
        ("p99", "ms"),
        ("max", "ms"),
        ("cost", "ms"),
        ("+-", "ms"),
        ("commit", "p50"),
        ("led", "%"),
    ]);
    rows.iter().for_each(|row| table.row(row.cells()));
    table
}

/// Remarks below the table.
pub(crate) fn remarks(study: &Study, rows: &[Row]) -> Vec<String> {
    let mut adapters: Vec<_> = rows
        .iter()
        .flat_map(|row| &row.rounds)
        .map(|seen| seen.adapter.clone())
        .collect();
    adapters.sort();
    adapters.dedup();
    let mut remarks: Vec<_> = adapters
        .into_iter()
        .map(|adapter| match adapter {
            Some(adapter) => format!("drawn by {adapter}"),
            None => "nothing was drawn: frames of the schedule alone".to_owned(),
        })
        .collect();
    if rows
        .iter()
        .flat_map(|row| &row.rounds)
        .any(|seen| seen.profile != "release")
    {
        remarks
            .push("measured with a debug build, which is not representative of a game".to_owned());
    }
    remarks.push(format!(
        "frame times: median of {} rounds of {} s; cost: mean frame less that without a node, 95 % interval",
        study.rounds, study.seconds
    ));
    for (name, ours, theirs) in ratios(rows) {
        remarks.push(format!(
            "{name}: {ours:.3} of the frames, published {theirs:.3}"
        ));
    }
    for row in rows.iter().filter(|row| row.unseen() > 0) {
        remarks.push(format!(
            "{}: {} orders were not displayed in time",
            row.name(),
            row.unseen()
        ));
    }
    remarks
}

/// Ratios behind the original study's conclusions: frames per second of one log over another's,
/// measured and published.
pub(crate) fn ratios(rows: &[Row]) -> Vec<(String, f64, f64)> {
    let of = |dots, server| {
        let row = rows.iter().find(|row| {
            row.published()
                .is_some_and(|log| log.dots == dots && log.server == server)
        })?;
        Some((row.fps_mean(), row.published()?.fps))
    };
    let mut ratios = Vec::new();
    let mut ratio = |name: String, above: Option<(f64, f64)>, below: Option<(f64, f64)>| {
        if let (Some(above), Some(below)) = (above, below) {
            ratios.push((name, above.0 / below.0, above.1 / below.1));
        }
    };
    ratio(
        "1000 dots instead of 100, no node".to_owned(),
        of(1_000, Server::None),
        of(100, Server::None),
    );
    for dots in [100, 1_000] {
        ratio(
            format!("a node in a thread with {dots} dots"),
            of(dots, Server::Thread),
            of(dots, Server::None),
        );
        ratio(
            format!("in a process instead, with {dots} dots"),
            of(dots, Server::Process),
            of(dots, Server::Thread),
        );
    }
    ratios
}

/// One line for each second: its cell, its time, and its frames.
pub(crate) fn csv(rows: &[Row]) -> String {
    let lines = rows.iter().flat_map(|row| {
        let Cell {
            dots,
            server,
            heartbeat,
            cap,
        } = row.cell;
        let cell = [
            dots.to_string(),
            server.name().to_owned(),
            ms(heartbeat.0).to_string(),
            cap.to_string(),
        ];
        (1..).zip(&row.rounds).flat_map(move |(round, seen)| {
            let cell = cell.clone();
            seen.log.iter().map(move |(time, fps)| {
                let mut line = cell.to_vec();
                line.extend([round.to_string(), time.to_string(), fps.to_string()]);
                line
            })
        })
    });
    raftian_lab::report::csv::document(
        &[
            "dots",
            "server",
            "heartbeat_ms",
            "fps_cap",
            "round",
            "time",
            "fps",
        ],
        lines,
    )
}

/// Members of the document in addition to its rows.
pub(crate) fn more(rows: &[Row]) -> Map<String, Value> {
    let quantities: Map<_, _> = quantities(rows)
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number(*value)))
        .collect();
    let ratios: Vec<_> = ratios(rows)
        .into_iter()
        .map(|(name, ours, theirs)| json!({ "name": name, "ours": number(ours), "published": number(theirs) }))
        .collect();
    let more = [
        ("quantities", Value::Object(quantities)),
        ("ratios", json!(ratios)),
    ];
    more.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}
