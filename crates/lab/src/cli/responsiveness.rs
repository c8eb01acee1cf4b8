//! `cargo lab responsiveness`

use std::time::Instant;

use super::output::{Output, Results};
use super::{Exit, Host};
use crate::elections::values::Time;
use crate::latency::value_list::List;
use crate::report::assertion;
use crate::report::document::Document;
use crate::report::environment::Environment;
use crate::report::html::Page;
use crate::responsiveness::results::{self, Row};
use crate::responsiveness::scene::Seen;
use crate::responsiveness::{Cap, Cell, MeasureError, Program, Server, Stage, Study, charts};
use crate::terminal::errln;

/// Which windows are opened, beside which nodes.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Numbers of dots that walk through the window.
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = Study::default().dots)]
    dots: Vec<u32>,
    /// Where the window's node is.
    #[arg(long, value_name = "WHERE,WHERE", value_enum, value_delimiter = ',', default_values_t = Study::default().servers)]
    server: Vec<Server>,
    /// Times between two heartbeats of a leader: 3ms is what the seed ran with, 300ms what it
    /// meant.
    #[arg(long, value_name = "T,T", default_value_t = Study::default().heartbeats)]
    heartbeat: List<Time>,
    /// Most frames a second, or `uncapped`.
    #[arg(long, value_name = "N|uncapped,N", value_delimiter = ',', default_values_t = Study::default().caps)]
    fps: Vec<Cap>,
    /// How long frames are counted, for each combination in each round.
    #[arg(long, value_name = "S", default_value_t = Study::default().seconds)]
    seconds: u64,
    /// How often each combination is measured; from two on, costs have an interval.
    #[arg(long, value_name = "N", default_value_t = Study::default().rounds)]
    rounds: u64,
    /// Orders a second that are proposed meanwhile.
    #[arg(long, value_name = "R", default_value_t = Study::default().orders)]
    orders: f64,
    /// From which dots and election timeouts follow, but not what the machine makes of them.
    #[arg(long, value_name = "N", default_value_t = Study::default().seed)]
    seed: u64,
    /// Opens no window: only schedules run, which needs no display.
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

/// Keeps the first of what is said twice.
fn unique<T: PartialEq + Copy>(values: &mut Vec<T>) {
    let all = std::mem::take(values);
    for value in all {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

/// Measures windows, and gives what came out to everybody who asked for it.
pub fn run(arguments: &Arguments, host: Host) -> Exit {
    let (study, output) = (arguments.study(), &arguments.output);
    if let Err(error) = study
        .check()
        .and_then(|()| assertion::check_names(&output.asserted, &results::QUANTITIES))
    {
        errln!("{error}");
        return Exit::Usage;
    }
    let program = match host {
        Host::Game => Ok(Program::Own),
        Host::Lab => Program::build(),
    };
    let mut stage = match program {
        Ok(program) => Stage {
            program,
            headless: arguments.headless,
        },
        Err(error) => {
            errln!("{error}");
            return Exit::Unexpected;
        }
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
            output.give(told(&study, &results::rows(&cells, seen), &stage, output))
        }
        Err(error) => {
            errln!("{error}");
            Exit::Unexpected
        }
    }
}

/// What was seen of each cell in each round. Without a display the first window tells, and no other
/// is tried.
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
            if once == Err(MeasureError::NoDisplay) && round == 0 && !stage.headless {
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

fn told(study: &Study, rows: &[Row], stage: &Stage, output: &Output) -> Results {
    let verdicts = assertion::judge(&output.asserted, &results::quantities(rows));
    let headless = if stage.headless { " --headless" } else { "" };
    let command = format!("cargo lab responsiveness {}{headless}", study.options());
    let (table, remarks, environment) = (
        results::table(rows),
        results::remarks(study, rows),
        Environment::here(),
    );
    let what = format!(
        "Frames of a window beside a Raft node: {} rounds of {} s",
        study.rounds, study.seconds
    );
    let text = format!(
        "{what}\n\n{}\n{}",
        table.lines(),
        remarks
            .iter()
            .map(|remark| format!("{remark}\n"))
            .collect::<String>()
    );
    let next = if output.out.is_none() {
        "charts, logs and a report of this: add --out DIR\n"
    } else {
        ""
    };
    let page = Page {
        title: "Responsiveness beside a Raft node".to_owned(),
        about: std::iter::once(format!("{what}.")).chain(remarks).collect(),
        command: command.clone(),
        tables: vec![("Frames".to_owned(), table)],
        facts: facts(study, &environment),
        ..Page::default()
    };
    let document = Document {
        schema: results::SCHEMA,
        ok: verdicts.iter().all(assertion::Verdict::holds),
        params: study.json(),
        rows: rows.iter().map(Row::json).collect(),
        more: results::more(rows),
        verdicts,
        environment,
        command,
    };
    Results {
        name: "responsiveness",
        text: text + next,
        csv: results::csv(rows),
        document,
        charts: charts::all(study, rows),
        files: rows
            .iter()
            .map(|row| (row.cell.log_name(), row.log()))
            .collect(),
        page,
    }
}

fn facts(study: &Study, environment: &Environment) -> Vec<(String, String)> {
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
            "1000 x 1200, dots of 30 x 30, up to 5 a frame and axis".to_owned(),
        ),
        fact("heartbeat", heartbeats.to_string()),
        fact("seconds of a round", seconds.to_string()),
        fact("rounds", rounds.to_string()),
        fact("orders a second", orders.to_string()),
        fact(
            "seed",
            format!("{seed}; it decides dots and election timeouts"),
        ),
        fact("machine", environment.line()),
    ]
}
