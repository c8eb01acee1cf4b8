//! `cargo lab elections`

use std::path::PathBuf;
use std::time::Instant;

use raftian_raft::NodeId;

use super::{Exit, check, write_findings};
use crate::elections::values::{Share, Sizes, Span, Time};
use crate::elections::{COLUMNS, Row, Settings, Study, World, processes, results};
use crate::report::output::Output;
use crate::terminal::errln;

/// Cluster sizes, repetitions and conditions of the elections.
#[derive(clap::Args, Debug)]
#[command(after_long_help = COLUMNS.help())]
pub struct Arguments {
    /// Cluster sizes: an inclusive range with a step, or a list.
    #[arg(long, value_name = "N..N/STEP|N,N", default_value_t = Study::default().sizes)]
    sizes: Sizes,
    /// Clusters of each size.
    #[arg(long, value_name = "N", default_value_t = Study::default().reps)]
    reps: u64,
    /// RNG seed; determines the whole run.
    #[arg(long, value_name = "N", default_value_t = Study::default().seed)]
    seed: u64,
    /// Range from which election timeouts are drawn uniformly.
    #[arg(long, value_name = "A..B", default_value_t = Settings::default().timeout)]
    timeout: Span,
    /// Time between a leader's heartbeats.
    #[arg(long, value_name = "TIME", default_value_t = Settings::default().heartbeat)]
    heartbeat: Time,
    /// Delay of each message: drawn uniformly from a range, or constant.
    #[arg(long, value_name = "A..B|TIME", default_value_t = Settings::default().delay)]
    delay: Span,
    /// Share of lost messages; a range is drawn from once per run.
    #[arg(long, value_name = "A..B%|SHARE", default_value_t = Settings::default().loss)]
    loss: Share,
    /// Polling interval of election timers, 50ms in the published study; 0 for none.
    #[arg(long, value_name = "TIME", default_value_t = Settings::default().poll)]
    poll: Time,
    /// Run pre-vote before standing for election.
    #[arg(long, value_name = "on|off", value_enum, default_value_t = Switch::Off)]
    pre_vote: Switch,
    /// Crash the first leader, and measure from the crash to the next leader.
    #[arg(long)]
    crash_leader: bool,
    /// Real time: every node is a thread, and clusters run one after another.
    #[arg(long)]
    threads: bool,
    /// Real time: N nodes are processes with disks, over QUIC; measures how long it takes to
    /// replace a killed leader.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..))]
    #[arg(conflicts_with_all = ["sizes", "threads"])]
    real_processes: Option<u64>,
    /// Time limit of each cluster, in its own time.
    #[arg(long, value_name = "TIME", default_value_t = Settings::default().limit)]
    limit: Time,
    #[command(flatten)]
    output: Output,
}

/// One node in its own process, for `--real-processes` and other experiments.
#[derive(clap::Args, Debug)]
pub struct NodeArguments {
    file: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    timeout: Span,
    #[arg(long)]
    heartbeat: Time,
    #[arg(long, value_enum)]
    pre_vote: Switch,
    /// Id of the node that should lead.
    #[arg(long)]
    leader: Option<u64>,
}

/// Runs the node until stdin closes.
pub fn run_node(arguments: &NodeArguments) -> Exit {
    let &NodeArguments {
        ref file,
        seed,
        timeout,
        heartbeat,
        pre_vote,
        leader,
    } = arguments;
    let settings = Settings {
        timeout,
        heartbeat,
        pre_vote: pre_vote == Switch::On,
        ..Settings::default()
    };
    match processes::live(file, &settings, seed, leader.map(NodeId)) {
        Ok(()) => Exit::Success,
        Err(error) => {
            errln!("{}: {error}", file.display());
            Exit::Unexpected
        }
    }
}

/// Whether pre-vote is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Switch {
    /// As in the game.
    On,
    /// As in the published study.
    Off,
}

impl Arguments {
    fn study(&self) -> Study {
        let settings = Settings {
            timeout: self.timeout,
            heartbeat: self.heartbeat,
            delay: self.delay,
            loss: self.loss,
            poll: self.poll,
            pre_vote: self.pre_vote == Switch::On,
            crash_leader: self.crash_leader || self.real_processes.is_some(),
            limit: self.limit,
        };
        let (sizes, world) = match self.real_processes {
            Some(nodes) => (Sizes(vec![nodes]), World::Processes),
            None if self.threads => (self.sizes.clone(), World::Threads),
            None => (self.sizes.clone(), World::Virtual),
        };
        Study {
            sizes,
            reps: self.reps,
            seed: self.seed,
            settings,
            world,
        }
    }
}

/// Measures elections and writes the requested outputs.
pub fn run(arguments: &Arguments) -> Exit {
    let study = arguments.study();
    let output = &arguments.output;
    if let Err(exit) = check(study.check(), output, &COLUMNS.quantity_names()) {
        return exit;
    }
    let runs = study.sizes.0.len() as u64 * study.reps;
    let progress = output.progress("elections", runs);
    let began = Instant::now();
    let rows = study.run(output.threads(), &|nodes| progress.advance(nodes));
    progress.finish();
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            errln!("{error}");
            return Exit::Unexpected;
        }
    };
    if !output.quiet {
        errln!("{runs} clusters in {:.2} s", began.elapsed().as_secs_f64());
    }
    let leaderless = rows.iter().find(|row| row.time_ms.is_none());
    let exit = write_findings(output, results::findings(&study, &rows));
    match leaderless {
        Some(Row { nodes, .. }) => {
            errln!(
                "no cluster of {nodes} nodes elected a leader in time: raise --limit, or lower --delay and --loss"
            );
            Exit::NoLeader.max(exit)
        }
        None => exit,
    }
}
