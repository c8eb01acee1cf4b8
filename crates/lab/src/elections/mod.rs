//! Measures how long clusters take to elect a leader, how many elections that takes, and what it
//! costs.
//!
//! A published study measured this on threads in one process: twenty sizes from 3 to 193 nodes,
//! three clusters of each, election timeouts of 150–300 ms polled every 50 ms, no delay, no loss.
//! [`Study::default`] has these sizes; its nodes are the shipping core in virtual time, so it takes
//! under a second and is exactly repeatable, with delay, loss, a crashed leader, and theory for
//! comparison.
//!
//! ```
//! use raftian_lab::elections::Study;
//!
//! let study = Study { sizes: "3,13".parse().unwrap(), reps: 2_000, ..Study::default() };
//! for row in study.run(2, &|_| ()).unwrap() {
//!     let time = row.time_ms.unwrap().mean;
//!     assert!((time / row.theory_ms - 1.0).abs() < 0.02, "{} nodes: {time} ms", row.nodes);
//! }
//! ```
//!
//! # What is counted
//! An *election* is held whenever a node stands for election. A *split vote* is a term with a
//! candidate and no winner. *Messages* are those sent before there was a leader, and *steps* the
//! inputs that all nodes processed until then.
//!
//! Without delay nothing splits a vote in clusters of three and more: every node receives the first
//! candidate's request at the moment it stands. Two timers that fire in the same microsecond make
//! two candidates, of which the first in order of position gets every free vote; that is one more
//! election held, and a split vote only if the free votes are no longer a majority, for which half
//! of the cluster must stand in one microsecond.
//!
//! # Virtual and real time
//! In [`World::Threads`] each node is a thread with the shipping driver and messages go through
//! memory, one cluster after another, in real time. Then messages include the leader's first
//! broadcast, steps count only received messages, and the same seed gives the same timeouts but not
//! the same rows. In [`World::Processes`] each node is a process with its own disk, over QUIC on
//! the loopback interface, and the measured time is always that of replacing a killed leader: a
//! first election would be measured among nodes that are still starting. Messages and steps are not
//! counted then.
//!
//! # Decisions
//! **No pre-vote unless asked for.** Decision: [`Settings::pre_vote`] is off by default, although
//! the core's is on. Why: the published study's nodes had none, and with it a candidate that cannot
//! win does not stand, so elections held could not be compared. Without delay both take the same
//! time. Would change if: the study were not the reference.
//!
//! **Check-quorum stays on.** Decision: all other settings are the core's defaults. Why: the
//! shipping core is measured; in a first election there is no leader to protect, and after a crash
//! check-quorum costs time only where messages are late. Would change if: a study of that cost
//! needed it as a parameter.
//!
//! **Polling is the caller's.** Decision: a node with `--poll` is woken at its polls, and the core
//! fires every due timer on any input. Why: the core has no timer of its own that could be slow. So
//! a message to a node with an overdue timer fires the timer before its poll, unless the message
//! resets it, as a vote request does. Would change if: theory and such clusters differed by more
//! than chance.
//!
//! **Disks are instant.** Decision: a write completes when it is submitted. Why: the published
//! study had no disks, and a disk's time can be added to the delay. Would change if: elections were
//! bounded by disks.

pub mod charts;
mod cluster;
mod error;
pub mod processes;
pub mod results;
pub mod theory;
mod threads;
pub mod values;

use std::time::Duration;

use raftian_raft::{Membership, NodeId};
use serde_json::{Value, json};

use crate::child_process::ProcessError;
use crate::report::parallel;
pub use cluster::Outcome;
pub use error::{SettingsError, StudyError};
pub use results::{COLUMNS, Row};
use values::{Share, Sizes, Span, Time};

/// Maximum number of runs of one study, of about 48 bytes each.
const MAX_RUNS: u64 = 2_000_000;

/// Largest cluster on threads.
const MAX_THREADS: u64 = 1_000;

/// Largest cluster of processes: as many members as node files can name.
const MAX_PROCESSES: u64 = raftian_node::cluster::MAX_MEMBERS as u64;

/// Settings shared by every cluster of a study.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Range from which election timeouts are drawn.
    pub timeout: Span,
    /// Time between a leader's heartbeats.
    pub heartbeat: Time,
    /// Range from which each message's delay is drawn.
    pub delay: Span,
    /// Range from which each run's share of lost messages is drawn.
    pub loss: Share,
    /// Polling interval of election timers, with a random phase per node; zero for none.
    pub poll: Time,
    /// Whether nodes run pre-vote before standing (thesis 9.6).
    pub pre_vote: bool,
    /// Whether the first leader crashes; the time is then measured from the crash to the next
    /// leader.
    pub crash_leader: bool,
    /// Time limit of a cluster, in its own time.
    pub limit: Time,
}

/// Cluster sizes, repetitions and settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Study {
    /// Numbers of nodes.
    pub sizes: Sizes,
    /// Clusters of each size.
    pub reps: u64,
    /// RNG seed; determines the whole study.
    pub seed: u64,
    /// Settings shared by all clusters.
    pub settings: Settings,
    /// Execution environment of the clusters.
    pub world: World,
}

/// Execution environment of the clusters.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum World {
    /// In virtual time.
    #[default]
    Virtual,
    /// In real time, each node on a thread.
    Threads,
    /// In real time, each node in a process.
    Processes,
}

impl Default for Settings {
    fn default() -> Self {
        let ms = |ms| Time(Duration::from_millis(ms));
        Settings {
            timeout: Span {
                from: ms(150).0,
                to: ms(300).0,
            },
            heartbeat: ms(100),
            delay: Span::default(),
            loss: Share::default(),
            poll: ms(0),
            pre_vote: false,
            crash_leader: false,
            limit: ms(45_000),
        }
    }
}

impl Default for Study {
    fn default() -> Self {
        Study {
            sizes: Sizes((3..=193).step_by(10).collect()),
            reps: 3,
            seed: 1,
            settings: Settings::default(),
            world: World::Virtual,
        }
    }
}

impl Settings {
    /// Theoretical mean time of a cluster of `nodes` without delay or loss, in milliseconds: until
    /// the first election timer fires. After a crash one timer is missing, and all timers started
    /// at the last heartbeat, on average half a heartbeat interval before the crash.
    pub fn theory_ms(&self, nodes: u64) -> f64 {
        if self.crash_leader {
            let since_heartbeat = self.heartbeat.0.as_secs_f64() * 1e3 / 2.0;
            theory::first_timeout_ms(nodes - 1, self.timeout, self.poll.0) - since_heartbeat
        } else {
            theory::first_timeout_ms(nodes, self.timeout, self.poll.0)
        }
    }

    /// Whether theory covers these settings: no delay and no loss.
    pub fn is_ideal(&self) -> bool {
        self.delay.to.is_zero() && self.loss.to == 0.0
    }
}

impl Study {
    /// Validates the study.
    ///
    /// # Errors
    /// Names the invalid option and its bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        let Study {
            sizes,
            reps,
            settings,
            ..
        } = self;
        let runs = (sizes.0.len() as u64)
            .checked_mul(*reps)
            .filter(|runs| (1..=MAX_RUNS).contains(runs));
        if runs.is_none() {
            return Err(SettingsError::Runs {
                sizes: sizes.0.len(),
                reps: *reps,
            });
        }
        if settings.crash_leader && sizes.0.iter().any(|nodes| *nodes < 3) {
            return Err(SettingsError::CrashOfTooFew);
        }
        self.world.check(sizes, settings)?;
        if settings.limit.0 <= settings.timeout.to {
            return Err(SettingsError::Limit);
        }
        if settings.poll.0 > Duration::from_secs(10) {
            return Err(SettingsError::Poll);
        }
        let alone = Membership::new([NodeId(1)])?;
        settings.config(NodeId(1), alone, 0).validate()?;
        Ok(())
    }

    /// Runs all clusters on `threads` threads (rows do not depend on their number) and calls `done`
    /// with the cluster size after each.
    ///
    /// # Errors
    /// Those of [`Study::check`], or if processes cannot be started.
    pub fn run(&self, threads: usize, done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Row>, StudyError> {
        self.check()?;
        let reps = self.reps as usize;
        // Real-time clusters run one at a time so that they do not compete for cores.
        let threads = if self.world == World::Virtual {
            threads
        } else {
            1
        };
        let outcomes = parallel::spread(threads, self.sizes.0.len() * reps, |number| {
            let nodes = self.sizes.0[number / reps];
            let outcome = self.one(nodes, (number % reps) as u64);
            done(nodes);
            outcome
        });
        let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        let of_size = |(nodes, runs): (&u64, &[Outcome])| {
            Row::new(*nodes, self.settings.theory_ms(*nodes), runs.to_vec())
        };
        Ok(self
            .sizes
            .0
            .iter()
            .zip(outcomes.chunks(reps))
            .map(of_size)
            .collect())
    }

    /// Runs one cluster of a validated study.
    fn one(&self, nodes: u64, rep: u64) -> Result<Outcome, ProcessError> {
        let settings = &self.settings;
        let seed = parallel::seed(self.seed, &[nodes, rep]);
        match self.world {
            World::Virtual => Ok(cluster::run(settings, nodes, seed)),
            World::Threads => Ok(threads::elect(settings, nodes, seed)),
            World::Processes => processes::replace_leader(settings, nodes, seed),
        }
    }

    /// Parameters that determine the rows, as JSON.
    pub fn json(&self) -> Value {
        let Study {
            sizes,
            reps,
            seed,
            settings,
            world,
        } = self;
        let Settings {
            timeout,
            heartbeat,
            delay,
            loss,
            poll,
            pre_vote,
            crash_leader,
            limit,
        } = settings;
        let ms = |duration: Duration| duration.as_micros() as f64 / 1e3;
        json!({
            "sizes": sizes.0, "reps": reps, "seed": seed, "world": world.name(),
            "timeout_ms": [ms(timeout.from), ms(timeout.to)], "heartbeat_ms": ms(heartbeat.0),
            "delay_ms": [ms(delay.from), ms(delay.to)], "loss": [loss.from, loss.to],
            "poll_ms": ms(poll.0), "pre_vote": pre_vote, "crash_leader": crash_leader, "limit_ms": ms(limit.0),
        })
    }

    /// Equivalent command line options.
    pub fn options(&self) -> String {
        let Study {
            sizes,
            reps,
            seed,
            settings,
            world,
        } = self;
        let Settings {
            timeout,
            heartbeat,
            delay,
            loss,
            poll,
            pre_vote,
            crash_leader,
            limit,
        } = settings;
        let pre_vote = if *pre_vote { "on" } else { "off" };
        let crash = if *crash_leader && *world != World::Processes {
            " --crash-leader"
        } else {
            ""
        };
        let (sizes, world) = match world {
            World::Virtual => (format!("--sizes {sizes}"), ""),
            World::Threads => (format!("--sizes {sizes}"), " --threads"),
            World::Processes => (format!("--real-processes {sizes}"), ""),
        };
        format!(
            "{sizes} --reps {reps} --seed {seed} --timeout {timeout} --heartbeat {heartbeat} --delay {delay} \
             --loss {loss} --poll {poll} --pre-vote {pre_vote} --limit {limit}{crash}{world}"
        )
    }
}

impl World {
    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            World::Virtual => "virtual time",
            World::Threads => "real time, each node a thread",
            World::Processes => "real time, each node a process",
        }
    }

    fn check(self, sizes: &Sizes, settings: &Settings) -> Result<(), SettingsError> {
        let largest = sizes.0.last().copied().unwrap_or_default();
        let bare = settings.is_ideal() && settings.poll.0.is_zero();
        match self {
            World::Threads if settings.crash_leader => Err(SettingsError::CrashOnThreads),
            World::Threads if largest > MAX_THREADS => Err(SettingsError::TooManyThreads),
            World::Processes if largest > MAX_PROCESSES => Err(SettingsError::TooManyProcesses),
            World::Processes if !bare => Err(SettingsError::SimulatedConditions),
            World::Virtual | World::Threads | World::Processes => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
