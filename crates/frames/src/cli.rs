//! The command line and its results.

use std::time::Instant;

use crate::report::{COLUMNS, Row};
use crate::run::{MeasureError, Stage};
use crate::scene::Seen;
use crate::study::{Cap, Cell, Server, Study};
use crate::{charts, report};
use raftian_lab::cli::{Exit, check, write_findings};
use raftian_lab::elections::values::Time;
use raftian_lab::latency::value_list::List;
use raftian_lab::report::findings::Findings;
use raftian_lab::report::output::Output;
use raftian_lab::terminal::errln;

/// Windows to open, and the placement of their nodes.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Numbers of dots that move through the window.
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_values_t = Study::default().dots
    )]
    dots: Vec<u32>,
    /// Placement of the window's node.
    #[arg(
        long,
        value_name = "WHERE,WHERE",
        value_enum,
        value_delimiter = ',',
        default_values_t = Study::default().servers
    )]
    server: Vec<Server>,
    /// Heartbeat intervals of the leader: the original responsiveness study ran with 3ms and
    /// intended 300ms.
    #[arg(long, value_name = "T,T", default_value_t = Study::default().heartbeats)]
    heartbeat: List<Time>,
    /// Frame rate cap, or `uncapped`.
    #[arg(
        long,
        value_name = "N|uncapped,N",
        value_delimiter = ',',
        default_values_t = Study::default().caps
    )]
    fps: Vec<Cap>,
    /// Measured seconds for each combination in each round.
    #[arg(long, value_name = "S", default_value_t = Study::default().seconds)]
    seconds: u64,
    /// Rounds; from two on, costs have a confidence interval.
    #[arg(long, value_name = "N", default_value_t = Study::default().rounds)]
    rounds: u64,
    /// Orders proposed per second during the measurement.
    #[arg(long, value_name = "R", default_value_t = Study::default().orders)]
    orders: f64,
    /// RNG seed of dots and election timeouts; the machine's own timing varies.
    #[arg(long, value_name = "N", default_value_t = Study::default().seed)]
    seed: u64,
    /// Open no window: run the schedules alone, which needs no display.
    #[arg(long)]
    headless: bool,
    #[command(flatten)]
    output: Output,
}

impl Arguments {
    fn study(&self) -> Study {
        let mut study = Study {
            dots: self.dots.clone(),
            servers: self.server.clone(),
            heartbeats: self.heartbeat.clone(),
            caps: self.fps.clone(),
            seconds: self.seconds,
            rounds: self.rounds,
            orders: self.orders,
            seed: self.seed,
        };
        unique(&mut study.dots);
        unique(&mut study.servers);
        unique(&mut study.caps);
        study
    }
}

/// Removes duplicates, keeping the first occurrence.
fn unique<T: PartialEq + Copy>(values: &mut Vec<T>) {
    let all = std::mem::take(values);
    for value in all {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

/// Measures windows and writes the requested outputs.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let study = arguments.study();
    let output = &arguments.output;
    if let Err(exit) = check(study.check(), output, &COLUMNS.quantity_names()) {
        return exit;
    }
    let mut stage = Stage {
        headless: arguments.headless,
    };
    let cells = study.cells();
    let began = Instant::now();
    match measure(&mut stage, &study, &cells, output) {
        Ok(seen) => {
            if !output.quiet {
                let seconds = began.elapsed().as_secs_f64();
                errln!(
                    "{} combinations, {} times each, in {seconds:.0} s",
                    cells.len(),
                    study.rounds
                );
            }
            let rows = report::rows(&cells, seen);
            write_findings(output, findings(&study, &rows, &stage))
        }
        Err(error) => {
            errln!("{error}");
            Exit::Unexpected
        }
    }
}

/// Measures every cell in every round. If the first window finds no display, falls back to the
/// schedule alone and tries no other window.
fn measure(
    stage: &mut Stage,
    study: &Study,
    cells: &[Cell],
    output: &Output,
) -> Result<Vec<Vec<Seen>>, MeasureError> {
    let progress = output.progress("responsiveness", cells.len() as u64 * study.rounds);
    let mut seen = vec![Vec::new(); cells.len()];
    for round in 0..study.rounds {
        for (cell, seen) in cells.iter().zip(&mut seen) {
            let mut once = stage.measure(study, cell, round);
            let no_display = matches!(once, Err(MeasureError::NoDisplay));
            if no_display && round == 0 && !stage.headless {
                stage.headless = true;
                errln!(
                    "{}: measuring the schedule alone, as with --headless",
                    MeasureError::NoDisplay
                );
                once = stage.measure(study, cell, round);
            }
            match once {
                Ok(once) => seen.push(once),
                Err(error) => {
                    progress.finish();
                    return Err(error);
                }
            }
            progress.advance(cell.dots.into());
        }
    }
    progress.finish();
    Ok(seen)
}

fn findings(study: &Study, rows: &[Row], stage: &Stage) -> Findings {
    let headless = if stage.headless { " --headless" } else { "" };
    let headline = format!(
        "Frames of a window with a Raft node: {} rounds of {} s",
        study.rounds, study.seconds
    );
    Findings {
        name: "responsiveness",
        title: "Responsiveness with a Raft node",
        about: format!("{headline}."),
        headline,
        remarks: report::remarks(study, rows),
        heading: "Frames".to_owned(),
        measurements: COLUMNS.measurements(rows),
        csv: report::csv(rows),
        params: study.json(),
        more: report::more(rows),
        command: format!("cargo frames {}{headless}", study.options()),
        charts: charts::all(study, rows),
        logs: rows
            .iter()
            .map(|row| (row.cell.log_name(), row.log()))
            .collect(),
        facts: facts(study),
        complete: true,
        violation: None,
    }
}

fn facts(study: &Study) -> Vec<(String, String)> {
    let Study {
        heartbeats,
        seconds,
        rounds,
        orders,
        seed,
        ..
    } = study;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact(
            "window",
            "1000 x 1200, dots of 30 x 30, up to 5 per frame and axis".to_owned(),
        ),
        fact("heartbeat", heartbeats.to_string()),
        fact("seconds per round", seconds.to_string()),
        fact("rounds", rounds.to_string()),
        fact("orders per second", orders.to_string()),
        fact(
            "seed",
            format!("{seed}; determines dots and election timeouts"),
        ),
    ]
}
