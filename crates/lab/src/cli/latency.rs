//! `cargo lab latency`

use std::path::PathBuf;
use std::time::Instant;

use super::Exit;
use super::output::{Output, Results, named};
use crate::elections::values::{Share, Sizes, Time};
use crate::latency::results::{self, Row};
use crate::latency::value_list::{List, Rate};
use crate::latency::{self, Origin, Study, World, charts};
use crate::report::assertion;
use crate::report::document::Document;
use crate::report::environment::Environment;
use crate::report::html::Page;
use crate::terminal::errln;

/// Clusters, networks, and rate of orders.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Cluster sizes, 2 to 8: a list, or an inclusive range with a step.
    #[arg(long, value_name = "N,N|N..N", default_value_t = Study::default().nodes)]
    nodes: Sizes,
    /// Round-trip times between any two nodes.
    #[arg(long, value_name = "T,T", default_value_t = Study::default().rtts)]
    rtt: List<Time>,
    /// Shares of datagrams lost, each way.
    #[arg(long, value_name = "P,P%", default_value_t = Study::default().losses)]
    loss: List<Share>,
    /// Orders per second at each origin, 0.1 to 1000.
    #[arg(long, value_name = "R,R", default_value_t = Study::default().rates)]
    rate: List<Rate>,
    /// Nodes at which players click orders.
    #[arg(long, value_enum, default_value_t = Where::Both, value_name = "WHERE")]
    origin: Where,
    /// Duration of clicking for each combination, in seconds.
    #[arg(long, value_name = "S", default_value_t = Study::default().seconds)]
    seconds: f64,
    /// Frames per second.
    #[arg(long, value_name = "N", default_value_t = Study::default().fps)]
    fps: f64,
    /// RNG seed of clicks, losses and election timeouts; the machine's own timing varies.
    #[arg(long, value_name = "N", default_value_t = Study::default().seed)]
    seed: u64,
    /// Measure every combination, not only one varied value at a time.
    #[arg(long)]
    full: bool,
    /// Virtual time: links and disks take exactly the configured time, and a lost message is not
    /// retransmitted as by QUIC.
    #[arg(long)]
    simulated: bool,
    /// Duration of a write on a simulated disk.
    #[arg(long, value_name = "TIME", default_value_t = latency::WRITE, requires = "simulated")]
    write: Time,
    /// Parent directory of the stores; the system's temporary directory by default.
    #[arg(long, value_name = "DIR", conflicts_with = "simulated")]
    data: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Nodes at which orders are clicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Where {
    /// The leader.
    Leader,
    /// A follower.
    Follower,
    /// Both at once.
    Both,
}

impl Arguments {
    fn study(&self) -> Study {
        let origins = match self.origin {
            Where::Leader => vec![Origin::Leader],
            Where::Follower => vec![Origin::Follower],
            Where::Both => vec![Origin::Leader, Origin::Follower],
        };
        Study {
            nodes: self.nodes.clone(),
            rtts: self.rtt.clone(),
            losses: self.loss.clone(),
            rates: self.rate.clone(),
            origins,
            seconds: self.seconds,
            fps: self.fps,
            seed: self.seed,
            full: self.full,
            world: if self.simulated {
                World::Virtual(self.write)
            } else {
                World::Real
            },
        }
    }
}

/// Measures orders and writes the requested outputs.
pub fn run(arguments: &Arguments) -> Exit {
    let (study, output) = (arguments.study(), &arguments.output);
    if let Err(error) = study
        .check()
        .and_then(|()| assertion::check_names(&output.asserted, &results::QUANTITIES))
    {
        errln!("{error}");
        return Exit::Usage;
    }
    let directory = arguments.data.clone().unwrap_or_else(std::env::temp_dir);
    let cells = study.cells().len();
    let progress = output.progress("latency", cells as u64);
    let began = Instant::now();
    let measured = study.run(output.threads(), &directory, &|nodes| {
        progress.advance(nodes)
    });
    progress.finish();
    let (rows, unmeasured) = match measured {
        Ok(measured) => measured,
        Err(reason) => {
            errln!("{reason}");
            return Exit::Unexpected;
        }
    };
    if !output.quiet {
        errln!(
            "{cells} of {} combinations in {:.1} s",
            study.grid().len(),
            began.elapsed().as_secs_f64()
        );
    }
    let exit = output.give(build_results(&study, &rows, &unmeasured, output));
    unmeasured
        .iter()
        .for_each(|error| errln!("{error}: lower --rtt and --loss"));
    if unmeasured.is_empty() {
        exit
    } else {
        Exit::NoLeader.max(exit)
    }
}

fn build_results(study: &Study, rows: &[Row], unmeasured: &[String], output: &Output) -> Results {
    let verdicts = assertion::judge(&output.asserted, &results::quantities(rows));
    let command = format!("cargo lab latency {}", study.options());
    let (table, environment) = (results::table(rows), Environment::here());
    let mut remarks = results::remarks(study, rows);
    remarks.extend(unmeasured.iter().cloned());
    let on = match study.world {
        World::Real => "on real nodes with disks and QUIC".to_owned(),
        World::Virtual(write) => format!("in virtual time, with writes of {write}"),
    };
    let what = format!(
        "Latency from click to display, {on}: {} s each, seed {}",
        study.seconds, study.seed
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
        "add --out DIR for charts and a report\n"
    } else {
        ""
    };
    let page = Page {
        title: "Order latency".to_owned(),
        about: std::iter::once(format!("{what}.")).chain(remarks).collect(),
        command: command.clone(),
        tables: vec![("Click to display".to_owned(), table)],
        facts: facts(study, &environment),
        ..Page::default()
    };
    let document = Document {
        schema: results::SCHEMA,
        ok: unmeasured.is_empty()
            && rows.iter().all(|row| row.measured.lost == 0)
            && verdicts.iter().all(assertion::Verdict::holds),
        params: study.json(),
        rows: rows.iter().map(Row::json).collect(),
        more: results::more(study, rows, unmeasured),
        verdicts,
        environment,
        command,
    };
    let charts = charts::all(study, rows);
    Results {
        name: "latency",
        text: text + next,
        csv: results::csv(rows),
        document,
        charts: named(charts),
        files: Vec::new(),
        page,
    }
}

fn facts(study: &Study, environment: &Environment) -> Vec<(String, String)> {
    let Study {
        nodes,
        rtts,
        losses,
        rates,
        seconds,
        fps,
        seed,
        world,
        ..
    } = study;
    let (way, lost, decides) = match world {
        World::Real => (
            "through a proxy on the loopback interface",
            "lost datagrams",
            "clicks, losses and election timeouts",
        ),
        World::Virtual(_) => ("in virtual time", "lost messages", "everything"),
    };
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("nodes", nodes.to_string()),
        fact("round trip", format!("{rtts}, half of it each way, {way}")),
        fact(lost, losses.to_string()),
        fact("orders per second at each origin", rates.to_string()),
        fact("seconds of orders", seconds.to_string()),
        fact("frames per second", fps.to_string()),
        fact("seed", format!("{seed}; determines {decides}")),
        fact("machine", environment.line()),
    ]
}
