//! `cargo lab storm`

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raftian_raft::PlantedBug;

use raftian_sim::coverage::Counters;
use raftian_sim::storm::{Failure, Machines, RARE, RAREST, Report, Storm, shrink};

use super::Exit;
use crate::terminal::{errln, out, outln};

/// Lines of trace that a failure prints.
const LINES_OF_A_FAILURE: usize = 200;

/// Number of storms from which a run must have covered every rare event.
const STORMS_FOR_RARE: u64 = 1_000;

/// Number of storms from which a run must have covered the rarest events too.
const STORMS_FOR_RAREST: u64 = 10_000;

/// Storms to run.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Run one seed; it determines the whole run.
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// Seeds from A up to, but not including, B.
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with = "minutes")]
    seeds: Option<Range<u64>>,
    /// Run fresh seeds for M minutes.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Initial voters; drawn from the seed by default.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=9))]
    nodes: Option<u64>,
    /// Events before the liveness phase.
    #[arg(long, default_value_t = Storm::EVENTS)]
    events: u64,
    /// Run the real store on a byte-level disk on every machine, and encode every message.
    #[arg(long)]
    everything: bool,
    /// Keep disks and messages as values, never bytes: faster, and with fewer faults.
    #[arg(long, conflicts_with = "everything")]
    bare: bool,
    /// Inject only these faults, given as the event numbers a failure prints.
    #[arg(long, value_delimiter = ',', requires = "seed")]
    only: Option<Vec<u64>>,
    /// Plant a past bug in every node: the storms must find it. Needs a build with
    /// `--features planted`.
    #[arg(long, value_name = "NAME", value_parser = planted)]
    plant: Option<PlantedBug>,
    /// Print the trace, with --seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Threads; the number of cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one line for each seed with the digest of its run.
    #[arg(long)]
    digests: bool,
}

/// Reason why a bug cannot be planted.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlantError {
    #[error(
        "`{0}` is not a bug to plant: expected one of {names}",
        names = PlantedBug::ALL.map(PlantedBug::name).join(", ")
    )]
    Unknown(String),
    #[error("this build contains no bugs to plant: build it with `--features planted`")]
    NotCompiled,
}

pub(super) fn planted(name: &str) -> Result<PlantedBug, PlantError> {
    let bug = PlantedBug::ALL.into_iter().find(|bug| bug.name() == name);
    let bug = bug.ok_or_else(|| PlantError::Unknown(name.to_owned()))?;
    if cfg!(feature = "planted") {
        Ok(bug)
    } else {
        Err(PlantError::NotCompiled)
    }
}

/// Text that is not a range of seeds.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a range A..B with A below B")]
struct RangeError(String);

fn range(text: &str) -> Result<Range<u64>, RangeError> {
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed
        .filter(|range: &Range<u64>| !range.is_empty())
        .ok_or_else(|| RangeError(text.to_owned()))
}

/// Runs storms and reports the first failure.
pub fn run(arguments: &Arguments) -> Exit {
    if let Some(seed) = arguments.seed {
        return one(arguments, seed);
    }
    let fresh = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let (seeds, minutes) = match (&arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => (seeds.clone(), None),
        (None, minutes) => (
            fresh..u64::MAX,
            Some(minutes.unwrap_or(1.0).clamp(0.01, 100_000.0)),
        ),
    };
    outln!("storms from seed {}", seeds.start);
    let queue = SeedQueue::new(seeds, minutes);
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| queue.run_worker(arguments));
        }
    });
    queue.finish(arguments)
}

fn storm(arguments: &Arguments, seed: u64) -> Storm {
    let machines = match (arguments.everything, arguments.bare) {
        (true, _) => Machines::Everything,
        (false, true) => Machines::Bare,
        (false, false) => Machines::Drawn,
    };
    let storm = Storm {
        events: arguments.events,
        machines,
        planted: arguments.plant,
        ..Storm::of(seed)
    };
    Storm {
        nodes: arguments.nodes.unwrap_or(storm.nodes),
        ..storm
    }
}

/// Runs one seed twice; the second run must be identical.
fn one(arguments: &Arguments, seed: u64) -> Exit {
    let only: Option<BTreeSet<u64>> = arguments
        .only
        .as_ref()
        .map(|only| only.iter().copied().collect());
    let lines = if arguments.trace { usize::MAX } else { 0 };
    let storm = Storm {
        only,
        trace: lines,
        ..storm(arguments, seed)
    };
    std::panic::set_hook(Box::new(|_| {}));
    let first = storm.run();
    match first {
        Ok(report) => {
            if storm.run().as_ref() != Ok(&report) {
                errln!("seed {seed} is not reproducible: two runs differ");
                return Exit::Violated;
            }
            out!("{}", report.trace);
            print(&report.counters);
            outln!("seed {seed} passed; digest {:016x}", report.digest);
            Exit::Success
        }
        Err(failure) => report_failure(arguments, &storm, failure),
    }
}

/// Reports a failure with as few faults as reproduce it.
fn report_failure(arguments: &Arguments, storm: &Storm, failure: Failure) -> Exit {
    errln!(
        "seed {} failed:\n{}\n",
        storm.seed,
        failure.cause.to_string().lines().next().unwrap_or_default()
    );
    let (small, _) = if storm.only.is_some() {
        (storm.clone(), failure)
    } else {
        shrink(storm, failure)
    };
    let lines = if arguments.trace {
        usize::MAX
    } else {
        LINES_OF_A_FAILURE
    };
    let Err(failure) = (Storm {
        trace: lines,
        ..small.clone()
    })
    .run() else {
        errln!("the failure did not reproduce: the run is not deterministic");
        return Exit::Violated;
    };
    errln!("faults that reproduce it:");
    for (number, fault) in &failure.faults {
        errln!("  event {number}: {fault}");
    }
    errln!("{failure}");
    errln!("replay: {}", small.replay());
    Exit::Violated
}

fn print(counters: &Counters) {
    for (mark, count) in counters.iter() {
        outln!("{count:>10}  {mark}");
    }
}

/// Queue of seeds, and the merged results of finished storms.
struct SeedQueue {
    next: AtomicU64,
    end: u64,
    deadline: Option<Instant>,
    report_failure: AtomicBool,
    started: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    counters: Counters,
    storms: u64,
    steps: u64,
    time: Duration,
    failure: Option<(Storm, Failure)>,
}

impl SeedQueue {
    fn new(seeds: Range<u64>, minutes: Option<f64>) -> Self {
        let started = Instant::now();
        SeedQueue {
            next: AtomicU64::new(seeds.start),
            end: seeds.end,
            deadline: minutes.map(|minutes| started + Duration::from_secs_f64(minutes * 60.0)),
            report_failure: AtomicBool::new(false),
            started,
            log: Mutex::new(Log::default()),
        }
    }

    /// Takes seeds until none are left, time is up, or a storm failed.
    fn run_worker(&self, arguments: &Arguments) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let over = self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline);
            if seed >= self.end || over || self.report_failure.load(Ordering::Relaxed) {
                return;
            }
            let storm = storm(arguments, seed);
            let result = storm.run();
            let mut log = self
                .log
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            match result {
                Ok(Report {
                    counters,
                    digest,
                    steps,
                    time,
                    trace: _,
                }) => {
                    if arguments.digests {
                        outln!("seed {seed} digest {digest:016x}");
                    }
                    log.counters.add(&counters);
                    log.storms += 1;
                    log.steps += steps;
                    log.time += time;
                }
                Err(failure) => {
                    self.report_failure.store(true, Ordering::Relaxed);
                    // Only the first failure is reported; other workers finish their storm.
                    log.failure.get_or_insert((storm, failure));
                }
            }
        }
    }

    fn finish(self, arguments: &Arguments) -> Exit {
        let elapsed = self.started.elapsed();
        let log = self
            .log
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((storm, failure)) = log.failure {
            return report_failure(arguments, &storm, failure);
        }
        print(&log.counters);
        let rate = log.steps as f64 / elapsed.as_secs_f64();
        outln!(
            "{} storms passed: {} events in {:.1} s, {rate:.0} per second; {:.1} hours of cluster time",
            log.storms,
            log.steps,
            elapsed.as_secs_f64(),
            log.time.as_secs_f64() / 3600.0
        );
        let mut is_covered = true;
        for (marks, needed) in [
            (&RARE[..], STORMS_FOR_RARE),
            (&RAREST[..], STORMS_FOR_RAREST),
        ] {
            for mark in marks.iter().filter(|mark| log.counters.of(**mark) == 0) {
                outln!("never: {mark}");
                is_covered &= log.storms < needed;
            }
        }
        if !is_covered {
            errln!("{} storms should have covered all of these", log.storms);
            return Exit::Failed;
        }
        Exit::Success
    }
}
