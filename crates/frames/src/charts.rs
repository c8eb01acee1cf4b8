//! Charts: frames over time in the original responsiveness study's colours, frame times, and orders
//! by frame rate.

use plotters::style::RGBColor;

use crate::published::LOGS;
use crate::report::Row;
use crate::study::{Server, Study};
use raftian_lab::report::chart::{Axis, COLOURS, Chart, Series, Shape};
use raftian_lab::report::statistics::ms;

/// Width of a bar, in units of the distance between bars.
const BAR: f64 = 0.8;

/// Charts of a study, each with its file name.
pub(crate) fn all(study: &Study, rows: &[Row]) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    let over_time = frames_over_time(rows);
    if !over_time.series.is_empty() {
        charts.push(("fps-over-time".to_owned(), over_time));
    }
    for dots in &study.dots {
        let uncapped: Vec<_> = rows
            .iter()
            .filter(|row| row.cell.dots == *dots && row.cell.cap.0.is_none())
            .collect();
        if !uncapped.is_empty() {
            charts.push((format!("frame-times-{dots}"), frame_times(*dots, &uncapped)));
        }
    }
    let orders = orders(rows);
    if orders.series.len() > 1 {
        charts.push(("orders-by-frame-rate".to_owned(), orders));
    }
    charts
}

/// The original study's own chart, with its six curves.
fn frames_over_time(rows: &[Row]) -> Chart {
    let mut series = Vec::new();
    for log in LOGS {
        let Some(row) = rows.iter().find(|row| row.published() == Some(log)) else {
            continue;
        };
        let points = (1..)
            .zip(row.fps())
            .map(|(second, fps)| (f64::from(second), fps))
            .collect();
        let (red, green, blue) = log.colour;
        let server = match log.server {
            Server::None => "no node",
            Server::Schedule => "node in the schedule",
            Server::Thread => "node in a thread",
            Server::Process => "node in a process",
        };
        series.push(Series {
            name: format!(
                "{} dots, {server}: mean {:.1} (published: {:.1})",
                log.dots,
                row.fps_mean(),
                log.fps
            ),
            colour: RGBColor(red, green, blue),
            shape: Shape::Line,
            points,
        });
    }
    let x = Axis::counts("Elapsed Seconds");
    let y = Axis::measures("FPS").from_zero();
    Chart {
        title: "FPS Over Time".to_owned(),
        x,
        y,
        series,
    }
}

/// Frame times of one number of dots, as bars, with shorter ones drawn over longer ones.
fn frame_times(dots: u32, rows: &[&Row]) -> Chart {
    let label = |row: &Row| match row.cell.server {
        Server::None => "no node".to_owned(),
        server => format!("{}, {}", server.name(), row.cell.heartbeat),
    };
    let bars = |name: &str, colour, labels, of: &dyn Fn(&Row) -> f64| {
        let points = (1..)
            .zip(rows)
            .map(|(place, row)| (f64::from(place), of(row)))
            .collect();
        Series {
            name: name.to_owned(),
            colour,
            shape: Shape::Bars(BAR, labels),
            points,
        }
    };
    let labels = rows.iter().map(|row| label(row)).collect();
    let mut series = vec![
        bars("99th percentile", COLOURS[5], labels, &|row| {
            row.frames(|frames| frames.p99)
        }),
        bars("median", COLOURS[0], Vec::new(), &|row| {
            row.frames(|frames| frames.p50)
        }),
    ];
    let means: Vec<_> = (1..)
        .zip(rows)
        .map(|(place, row)| (f64::from(place), row.frames(|frames| frames.mean)))
        .collect();
    series.push(Series {
        name: "mean".to_owned(),
        colour: COLOURS[1],
        shape: Shape::Cloud,
        points: means,
    });
    let x = Axis::counts("node placement and heartbeat");
    let y = Axis::measures("frame time (ms)").from_zero();
    Chart {
        title: format!("Frame times with {dots} dots, uncapped"),
        x,
        y,
        series,
    }
}

/// Latency of orders over the measured frame rate.
fn orders(rows: &[Row]) -> Chart {
    let mut series = Vec::new();
    for (place, server) in [Server::Schedule, Server::Thread].into_iter().enumerate() {
        let mine = rows.iter().filter(|row| row.cell.server == server);
        let points: Vec<_> = mine
            .filter_map(|row| Some((row.fps_mean(), row.commit_ms(50)?)))
            .collect();
        if !points.is_empty() {
            let name = format!("node in {}, median", server.place());
            series.push(Series {
                name,
                colour: COLOURS[place],
                shape: Shape::Cloud,
                points,
            });
        }
    }
    let rates = || {
        rows.iter()
            .filter(|row| row.commit_ms(50).is_some())
            .map(Row::fps_mean)
    };
    let least = rates().fold(f64::INFINITY, f64::min);
    let most = rates().fold(0.0, f64::max);
    if most > least {
        let at = |step: u32| least * (most / least).powf(f64::from(step) / 20.0);
        let points = (0..20)
            .flat_map(|step| [at(step), at(step + 1)])
            .map(|fps| (fps, 1e3 / fps))
            .collect();
        let name = "one frame".to_owned();
        series.push(Series {
            name,
            colour: COLOURS[4],
            shape: Shape::Dashes,
            points,
        });
    }
    let x = Axis::measures("frames per second").from_zero();
    let y = Axis::measures("time (ms)").from_zero();
    let title = "Time from proposing an order to the frame that shows it".to_owned();
    let beats: Vec<_> = rows
        .iter()
        .filter(|row| row.cell.server != Server::None)
        .map(|row| row.cell.heartbeat)
        .collect();
    let title = match beats.first() {
        Some(beat) if beats.iter().all(|other| other == beat) => {
            format!("{title}, heartbeat {} ms", ms(beat.0))
        }
        _ => title,
    };
    Chart {
        title,
        x,
        y,
        series,
    }
}
