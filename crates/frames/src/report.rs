//! Columns of the study, remarks on its rows, one CSV line for each second, and logs in the
//! original study's format.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::published::{self, Published};
use crate::scene::{FrameTimes, NodeSeen, Seen};
use crate::study::{Cap, Cell as Combination, Server, Study};
use raftian_lab::report::column::{Cell, Column, Columns, Fold};
use raftian_lab::report::document::number;
use raftian_lab::report::statistics::{Interval, Summary, most, ms, quantile};

/// Columns of the study, and its quantities for `--assert`: the worst row's value, except that
/// `unseen` is the sum over all rows. The name of the schema is unchanged since this experiment was
/// one of `raftian-lab`.
pub(crate) const COLUMNS: Columns<Row> = Columns {
    schema: "raftian.lab.responsiveness/1",
    list: &[
        Column::new("dots", "", |row: &Row| u64::from(row.cell.dots).into()).head("dots", ""),
        Column::new("server", "placement of the node", |row: &Row| {
            row.cell.server.name().into()
        })
        .head("node in", ""),
        Column::new("heartbeat_ms", "ms, null without a node", |row: &Row| {
            row.heartbeat_ms().map_or(Cell::Missing, Cell::Exact)
        })
        .head("beat", "ms"),
        Column::new("fps_cap", "null without one", |row: &Row| {
            row.cell.cap.0.map(u64::from).into()
        })
        .head("cap", "fps")
        .text(|row| row.cell.cap.to_string()),
        Column::new("rounds", "", |row: &Row| row.rounds.len().into()),
        Column::new("frames", "", |row: &Row| {
            row.rounds
                .iter()
                .map(|seen| seen.frames)
                .sum::<u64>()
                .into()
        }),
        Column::new("fps_mean", "over all seconds", |row: &Row| {
            row.fps_mean().into()
        })
        .head("frames", "/s")
        .digits(1)
        .assert("min_fps", Fold::Min),
        Column::new("fps_sd", "over all seconds", |row: &Row| {
            row.fps_sd().into()
        }),
        Column::new(
            "published_fps",
            "null without a published log",
            |row: &Row| {
                row.published()
                    .map_or(Cell::Missing, |log| Cell::Exact(log.fps))
            },
        )
        .head("published", "/s")
        .digits(1),
        Column::new("frame_mean_ms", "ms, median of the rounds", |row: &Row| {
            row.frames(|frames| frames.mean).into()
        })
        .head("mean", "ms")
        .scaled(scaled),
        Column::new("frame_p50_ms", "ms, median of the rounds", |row: &Row| {
            row.frames(|frames| frames.p50).into()
        })
        .head("p50", "ms")
        .scaled(scaled),
        Column::new("frame_p95_ms", "ms, median of the rounds", |row: &Row| {
            row.frames(|frames| frames.p95).into()
        })
        .head("p95", "ms")
        .scaled(scaled),
        Column::new("frame_p99_ms", "ms, median of the rounds", |row: &Row| {
            row.frames(|frames| frames.p99).into()
        })
        .head("p99", "ms")
        .scaled(scaled)
        .assert("max_frame_p99_ms", Fold::Max),
        Column::new("frame_max_ms", "ms", |row: &Row| row.longest_ms().into())
            .head("max", "ms")
            .scaled(scaled),
        Column::new("cost_ms", "ms, mean", |row: &Row| {
            row.cost_ms.map(|cost| cost.mean).into()
        })
        .head("cost", "ms")
        .signed(3)
        .assert("max_thread_cost_ms", Fold::Rows(max_thread_cost_ms)),
        Column::new(
            "cost_off_ms",
            "ms, half of the 95 % interval",
            |row: &Row| row.cost_ms.map(|cost| cost.off).into(),
        )
        .head("+-", "ms")
        .digits(3),
        Column::new("commit_p50_ms", "ms", |row: &Row| row.commit_ms(50).into())
            .head("commit", "p50")
            .scaled(scaled),
        Column::new("commit_p95_ms", "ms", |row: &Row| row.commit_ms(95).into()),
        Column::new("orders", "", |row: &Row| row.orders().into()),
        Column::new("unseen", "orders not displayed in time", |row: &Row| {
            row.unseen().into()
        })
        .assert("unseen", Fold::Sum),
        Column::new("led", "0 to 1", |row: &Row| {
            row.node(|node| node.led).into()
        })
        .head("led", "%")
        .text(Row::led_percent)
        .assert("min_led", Fold::Min),
        Column::new("terms", "", |row: &Row| {
            row.terms().map_or(Cell::Missing, Cell::Exact)
        }),
        Column::new("messages_per_s", "", |row: &Row| {
            row.node(|node| node.messages_per_s).into()
        }),
        Column::new("adapter", "graphics adapter", |row: &Row| {
            row.adapter().into()
        }),
    ],
    totals: &[],
};

/// Measurements of one cell in all rounds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    /// The cell.
    pub(crate) cell: Combination,
    /// One measurement for each round.
    pub(crate) rounds: Vec<Seen>,
    /// Cost of its node per frame, in milliseconds; `None` without an uncapped cell to compare
    /// with, or with one round.
    pub(crate) cost_ms: Option<Interval>,
}

/// Combines cells and their measurements into rows, with costs.
pub(crate) fn rows(cells: &[Combination], seen: Vec<Vec<Seen>>) -> Vec<Row> {
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
        let fps = self.fps();
        let mean = self.fps_mean();
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
        let Combination {
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

    /// Heartbeat interval; `None` without a node.
    fn heartbeat_ms(&self) -> Option<f64> {
        (self.cell.server != Server::None).then(|| ms(self.cell.heartbeat.0))
    }

    fn led_percent(&self) -> String {
        self.node(|node| node.led * 100.0)
            .map_or("-".to_owned(), |led| format!("{led:.0}"))
    }

    /// New terms of all rounds.
    fn terms(&self) -> Option<f64> {
        let mean = self.node(|node| node.terms as f64)?;
        Some(mean * self.rounds.len() as f64)
    }

    fn adapter(&self) -> Option<&str> {
        self.rounds.first()?.adapter.as_deref()
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

/// Largest cost of a node in a thread.
fn max_thread_cost_ms(rows: &[Row]) -> f64 {
    let threads = rows.iter().filter(|row| row.cell.server == Server::Thread);
    most(threads.filter_map(|row| row.cost_ms).map(|cost| cost.mean))
}

/// Formats a number with three digits, or more above 100.
fn scaled(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".to_owned(),
        _ if value.abs() < 0.995 => format!("{value:.3}"),
        _ if value.abs() < 99.95 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
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
        let Combination {
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

/// Members of the document in addition to its rows and quantities.
pub(crate) fn more(rows: &[Row]) -> Map<String, Value> {
    let ratios: Vec<_> = ratios(rows)
        .into_iter()
        .map(|(name, ours, theirs)| {
            json!({ "name": name, "ours": number(ours), "published": number(theirs) })
        })
        .collect();
    [("ratios".to_owned(), json!(ratios))].into_iter().collect()
}
