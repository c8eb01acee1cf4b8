//! `cargo lab latency`

use std::path::PathBuf;
use std::time::Instant;

use super::{Exit, check, write_findings};
use crate::elections::values::{Share, Sizes, Time};
use crate::latency::results::{self, COLUMNS};
use crate::latency::value_list::{List, Rate};
use crate::latency::{self, Origin, Study, World};
use crate::report::output::Output;
use crate::terminal::errln;

/// Clusters, networks, and rate of orders.
#[derive(clap::Args, Debug)]
#[command(after_long_help = COLUMNS.help())]
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
    let study = arguments.study();
    let output = &arguments.output;
    if let Err(exit) = check(study.check(), output, &COLUMNS.quantity_names()) {
        return exit;
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
    let exit = write_findings(output, results::findings(&study, &rows, &unmeasured));
    unmeasured
        .iter()
        .for_each(|error| errln!("{error}: lower --rtt and --loss"));
    if unmeasured.is_empty() {
        exit
    } else {
        Exit::NoLeader.max(exit)
    }
}
