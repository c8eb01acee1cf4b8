//! A long match of real processes under random faults, and an account of every order.

mod disks;

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use raftian_node::cluster::NodeFile;
use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use self::disks::Disks;
use super::event_log::Timeline;
use super::protocol::ChildEvent;
use super::{Game, LATE, account};
use crate::child_process::ProcessError;
use crate::matches::Conditions;
use crate::matches::ledger::Ledger;

/// Pause between two faults.
const CALM: std::ops::Range<u64> = 500..2_000;

/// Length of a fault in milliseconds.
const FAULT: std::ops::Range<u64> = 100..2_000;

/// Time after which a machine with a new disk counts as a voter again.
const ADMISSION: Duration = Duration::from_secs(5);

/// Time limit for a process to stand still.
const STILL: Duration = Duration::from_secs(10);

/// Time in which a machine that is starved runs once.
const SLICE: Duration = Duration::from_millis(100);

/// Time after a fault in which an election is a consequence of it.
const CONSEQUENCE: Duration = Duration::from_secs(2);

/// Least orders per second that must take effect.
const LEAST_RATE: f64 = 1.0;

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// A machine is killed, and restarted on its disk.
    Kill,
    /// The leader is killed, and restarted on its disk.
    KillLeader,
    /// All machines are killed at once, and restarted on their disks.
    KillAll,
    /// A machine stands still, and goes on.
    Pause,
    /// The leader stands still, and goes on.
    PauseLeader,
    /// A machine gets 5 % of a processor, in slices.
    Starve,
    /// The leader gets 5 % of a processor, in slices.
    StarveLeader,
    /// Every machine is killed and restarted, one after the other.
    RollingRestart,
    /// A machine is killed, and restarted without its store and mark.
    Wipe,
    /// The power of all machines fails: what was not synced is lost.
    PowerCut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 10] = [
        Fault::Kill,
        Fault::KillLeader,
        Fault::KillAll,
        Fault::Pause,
        Fault::PauseLeader,
        Fault::Starve,
        Fault::StarveLeader,
        Fault::RollingRestart,
        Fault::Wipe,
        Fault::PowerCut,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "kill",
            Fault::KillLeader => "kill of the leader",
            Fault::KillAll => "kill of all",
            Fault::Pause => "pause",
            Fault::PauseLeader => "pause of the leader",
            Fault::Starve => "5 % of a processor",
            Fault::StarveLeader => "the same, the leader",
            Fault::RollingRestart => "restart of each",
            Fault::Wipe => "loss of a disk",
            Fault::PowerCut => "power cut of all",
        })
    }
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug)]
struct Injected {
    fault: Fault,
    began: Moment,
    ended: Moment,
}

/// Outcome of a match.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of machines.
    pub machines: usize,
    /// RNG seed.
    pub seed: u64,
    /// Length.
    pub length: Duration,
    /// For each kind of fault, the times from its beginning, or the restart of all, until an order
    /// was committed, in ascending order.
    pub stops: Vec<(Fault, Vec<Duration>)>,
    /// Orders that players gave.
    pub given: u64,
    /// Orders whose effect their players saw.
    pub acknowledged: u64,
    /// Acknowledged orders that are in no state.
    pub lost: u64,
    /// Orders that took effect twice.
    pub doubled: u64,
    /// Whether all machines have the same state in the end, and had it at each effect.
    pub is_equal: bool,
    /// Whether the machines agreed in time after the last fault.
    pub is_settled: bool,
    /// Longest time between two commits.
    pub longest_gap: Duration,
    /// Leaderships that began more than two seconds after a fault.
    pub elections_without_cause: u64,
}

impl Report {
    /// Whether a promise was broken.
    pub fn is_violated(&self) -> bool {
        self.lost > 0 || self.doubled > 0 || !self.is_equal
    }

    /// Whether it had enough load to mean something, and ended in agreement.
    pub fn is_valid(&self) -> bool {
        let least = self.length.as_secs_f64() * LEAST_RATE;
        self.is_settled && self.acknowledged as f64 >= least
    }

    /// As a JSON document.
    pub fn to_json(&self) -> Value {
        let stops = self.stops.iter().map(|(fault, stops)| {
            let [p50, p95, p99, most] = quantiles(stops).map(millis);
            json!({
                "fault": fault.to_string(),
                "count": stops.len(),
                "stop_p50_ms": p50,
                "stop_p95_ms": p95,
                "stop_p99_ms": p99,
                "stop_longest_ms": most,
            })
        });
        json!({
            "schema": 1,
            "machines": self.machines,
            "seed": self.seed,
            "seconds": self.length.as_secs(),
            "faults": stops.collect::<Vec<_>>(),
            "given": self.given,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "doubled": self.doubled,
            "equal_states": self.is_equal,
            "settled": self.is_settled,
            "longest_gap_ms": millis(Some(self.longest_gap)),
            "elections_without_cause": self.elections_without_cause,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22}{:>8}{:>12}{:>12}{:>12}{:>12}",
            "fault", "count", "p50 ms", "p95 ms", "p99 ms", "longest ms"
        )?;
        for (fault, stops) in &self.stops {
            write!(f, "{:<22}{:>8}", fault.to_string(), stops.len())?;
            for stop in quantiles(stops) {
                match stop {
                    Some(stop) => write!(f, "{:>12.0}", stop.as_secs_f64() * 1e3)?,
                    None => write!(f, "{:>12}", "-")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "{} orders given, {} acknowledged, {} lost, {} doubled; longest time without a commit \
             {:.0} ms; {} elections without a cause",
            self.given,
            self.acknowledged,
            self.lost,
            self.doubled,
            self.longest_gap.as_secs_f64() * 1e3,
            self.elections_without_cause
        )?;
        writeln!(
            f,
            "states are {}; after the last fault the machines {}",
            if self.is_equal { "equal" } else { "not equal" },
            if self.is_settled {
                "agree"
            } else {
                "do not agree in time"
            }
        )
    }
}

fn millis(time: Option<Duration>) -> Option<f64> {
    time.map(|time| (time.as_secs_f64() * 1e4).round() / 10.0)
}

/// The median, the 95th and 99th percentile, and the longest of sorted times.
fn quantiles(sorted: &[Duration]) -> [Option<Duration>; 4] {
    [50, 95, 99, 100].map(|percent| {
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(place).copied()
    })
}

/// Plays one match of `size` machines for `length` under random faults.
///
/// # Errors
/// If machines cannot be started, stopped or continued, exit unexpectedly, or elect no leader at
/// the beginning.
pub fn play(
    conditions: &Conditions,
    size: usize,
    length: Duration,
    seed: u64,
    power_cuts: bool,
) -> Result<Report, ProcessError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directory = tempfile::tempdir().map_err(|source| ProcessError::TemporaryDirectory {
        users: "processes",
        source,
    })?;
    let mut disks = None;
    let mut game = Game::start_on(conditions, size, &mut rng, directory.path(), |files| {
        if power_cuts {
            disks = Some(Disks::create(directory.path(), files)?);
        }
        Ok(())
    })?;
    if !game.wait_for(LATE, |game| game.leader().is_some())? {
        return Err(ProcessError::NoLeader {
            processes: size as u64,
            limit: LATE,
        });
    }
    let start = game.clock.now();
    let end = start.after(length);
    let mut injected = Vec::new();
    while game.clock.now() < end {
        game.run_for(Duration::from_millis(rng.random_range(CALM)))?;
        let drawn = Fault::ALL[rng.random_range(0..Fault::ALL.len())];
        let fault = match drawn {
            Fault::PowerCut if disks.is_none() => Fault::KillAll,
            // A second disk is lost only when the leader has had time to admit the first one again:
            // two new disks of three machines are a lost majority.
            Fault::Wipe if game.leader().is_none() || !is_admitted(&injected, game.clock.now()) => {
                Fault::Kill
            }
            _ => drawn,
        };
        injected.push(game.inject(fault, &mut rng, disks.as_mut())?);
    }
    game.run_for(CONSEQUENCE)?;
    let over = game.clock.now();
    for (player, _) in &mut game.players {
        player.clicks = false;
    }
    let is_settled = game.settle()?;
    let happened = Timeline {
        victim: 0,
        crashed: start,
        back: over,
        over,
    };
    let elections_without_cause = game.elections_without_cause(start, &injected);
    let Game {
        mut ledger,
        records,
        states,
        ..
    } = game;
    let longest_gap = records.enter(&mut ledger, happened);
    let stops = stops(&ledger, &injected);
    let account = account(&mut ledger, &states);
    Ok(Report {
        machines: size,
        seed,
        length,
        stops,
        given: account.clicked,
        acknowledged: account.applied,
        lost: account.lost,
        doubled: account.doubled,
        is_equal: account.equal && account.violation.is_none(),
        is_settled,
        longest_gap,
        elections_without_cause,
    })
}

/// Whether the last lost disk, if there is one, had [`ADMISSION`] time to be admitted.
fn is_admitted(injected: &[Injected], now: Moment) -> bool {
    let mut faults = injected.iter().rev();
    let last = faults.find(|one| one.fault == Fault::Wipe);
    last.is_none_or(|last| now.since(last.ended) >= ADMISSION)
}

/// For each kind of fault the times until an order was committed.
fn stops(ledger: &Ledger, injected: &[Injected]) -> Vec<(Fault, Vec<Duration>)> {
    let mut commits: Vec<_> = ledger
        .orders()
        .filter_map(|order| order.committed)
        .collect();
    commits.sort_unstable();
    let stop = |one: &Injected| {
        // Without a machine there is nothing to wait for.
        let from = match one.fault {
            Fault::KillAll | Fault::PowerCut => one.ended,
            _ => one.began,
        };
        let place = commits.partition_point(|at| *at <= from);
        commits.get(place).map(|at| at.since(from))
    };
    let of = |fault: Fault| {
        let those = injected.iter().filter(|one| one.fault == fault);
        let mut stops: Vec<_> = those.filter_map(stop).collect();
        stops.sort_unstable();
        (fault, stops)
    };
    Fault::ALL.map(of).into()
}

impl Game<'_> {
    /// Injects a fault, and ends it after some time.
    fn inject(
        &mut self,
        fault: Fault,
        rng: &mut ChaCha8Rng,
        disks: Option<&mut Disks>,
    ) -> Result<Injected, ProcessError> {
        let size = self.files.len();
        let place = match fault {
            Fault::KillLeader | Fault::PauseLeader | Fault::StarveLeader => self.leader(),
            _ => None,
        };
        let place = place.unwrap_or_else(|| rng.random_range(0..size));
        let length = Duration::from_millis(rng.random_range(FAULT));
        let began = self.clock.now();
        let ended = match fault {
            Fault::Kill | Fault::KillLeader => {
                self.kill(place)?;
                self.run_for(length)?;
                self.restart(place, rng)?
            }
            Fault::Starve | Fault::StarveLeader => {
                let end = began.after(length);
                while self.clock.now() < end {
                    self.signal(place, "-STOP")?;
                    self.run_for(SLICE * 19 / 20)?;
                    self.signal(place, "-CONT")?;
                    self.run_for(SLICE / 20)?;
                }
                self.clock.now()
            }
            Fault::RollingRestart => {
                for place in 0..size {
                    self.kill(place)?;
                    self.restart(place, rng)?;
                    // The next one would be one too many, if none of them led.
                    self.wait_for(LATE, |game| game.leader().is_some())?;
                }
                self.clock.now()
            }
            Fault::Wipe => {
                self.kill(place)?;
                self.wipe(place)?;
                self.run_for(length)?;
                self.restart(place, rng)?
            }
            Fault::PowerCut => {
                for place in 0..size {
                    self.signal(place, "-STOP")?;
                }
                // A write that is under way in the system ends first.
                let deadline = Instant::now() + STILL;
                while !self.processes.0.iter().all(|one| stands_still(one.id())) {
                    if Instant::now() > deadline {
                        return Err(ProcessError::Disk {
                            what: "a power cut".to_owned(),
                            reason: format!("the processes do not stop within {STILL:?}"),
                        });
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                let disks = disks.ok_or_else(|| ProcessError::Disk {
                    what: "a power cut".to_owned(),
                    reason: "there are no disks".to_owned(),
                })?;
                disks.copy()?;
                for place in 0..size {
                    self.kill(place)?;
                }
                disks.replace()?;
                for place in 0..size {
                    self.restart(place, rng)?;
                }
                self.clock.now()
            }
            Fault::KillAll => {
                for place in 0..size {
                    self.kill(place)?;
                }
                self.run_for(length)?;
                for place in 0..size {
                    self.restart(place, rng)?;
                }
                self.clock.now()
            }
            Fault::Pause | Fault::PauseLeader => {
                self.signal(place, "-STOP")?;
                self.run_for(length)?;
                self.signal(place, "-CONT")?;
                self.clock.now()
            }
        };
        Ok(Injected {
            fault,
            began,
            ended,
        })
    }

    /// Removes store and mark of a machine that does not run.
    fn wipe(&self, place: usize) -> Result<(), ProcessError> {
        let config = NodeFile::read(&self.files[place])?;
        let removed =
            std::fs::remove_dir_all(&config.data).and_then(|()| std::fs::remove_file(&config.mark));
        removed.map_err(|source| ProcessError::DataDirectory {
            path: config.data,
            source,
        })
    }

    fn signal(&self, place: usize, signal: &str) -> Result<(), ProcessError> {
        let process = self.processes.0[place].id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        let sent = sent.and_then(|status| match status.success() {
            true => Ok(()),
            false => Err(std::io::Error::other(format!("kill {signal}: {status}"))),
        });
        sent.map_err(|source| ProcessError::Kill {
            process: super::machine(place),
            source,
        })
    }

    /// Leaderships that began neither during a fault nor shortly after one.
    fn elections_without_cause(&self, start: Moment, injected: &[Injected]) -> u64 {
        let led = self.records.0.iter().filter(|record| {
            let is_news = matches!(record.event, ChildEvent::Leads { .. }) && record.at > start;
            let has_cause = injected
                .iter()
                .any(|one| one.began <= record.at && record.at <= one.ended.after(CONSEQUENCE));
            is_news && !has_cause
        });
        led.count() as u64
    }
}

/// Whether every thread of a process has stopped, according to Linux.
fn stands_still(process: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    tasks.is_ok_and(|mut tasks| {
        tasks.all(|task| {
            let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
            // The state follows the name, which is in parentheses.
            stat.is_ok_and(|stat| {
                stat.rsplit_once(") ")
                    .is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            machines: 3,
            seed: 1,
            length: Duration::from_secs(10),
            stops: Vec::new(),
            given: 20,
            acknowledged: 20,
            lost: 0,
            doubled: 0,
            is_equal: true,
            is_settled: true,
            longest_gap: Duration::ZERO,
            elections_without_cause: 0,
        }
    }

    #[test]
    fn broken_promise_is_no_success() {
        assert!(!report().is_violated() && report().is_valid());
        for broken in [
            Report {
                lost: 1,
                ..report()
            },
            Report {
                doubled: 1,
                ..report()
            },
            Report {
                is_equal: false,
                ..report()
            },
        ] {
            assert!(broken.is_violated(), "{broken:?}");
        }
    }

    #[test]
    fn match_without_load_or_agreement_is_no_result() {
        for invalid in [
            Report {
                acknowledged: 9,
                ..report()
            },
            Report {
                is_settled: false,
                ..report()
            },
        ] {
            assert!(!invalid.is_valid(), "{invalid:?}");
        }
    }

    #[test]
    fn quantiles_are_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        let found = quantiles(&times).map(|time| time.map(|time| time.as_millis()));
        assert_eq!(found, [Some(50), Some(95), Some(99), Some(100)]);
        assert_eq!(quantiles(&[]), [None; 4]);
    }
}
