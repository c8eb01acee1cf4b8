//! How long clusters take to elect a leader, how often somebody has to stand for that, and what it
//! costs.
//!
//! A published study measured this on threads in one process: twenty sizes from 3 to 193 nodes,
//! three clusters of each, election timeouts of 150–300 ms looked at every 50 ms, no delay, no
//! loss. [`Study::default`] has these sizes; its nodes are the shipping core in virtual time, so it
//! takes a moment and can be repeated exactly, with delay, loss, a crashed leader, and the theory
//! beside it.
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
//! An *election* is held whenever a node stands for it. A *split vote* is a term in which somebody
//! stood and nobody won. *Messages* are those sent before there was a leader, and *steps* the
//! inputs that all nodes took until then.
//!
//! Without delay nothing splits a vote in clusters of three and more: everybody gets the first
//! candidate's request at the moment it stands. Two timers that go off in the same microsecond make
//! two candidates, of which the first in order of place has every free vote; that is one more
//! election held, and a split vote only if free votes are no majority any more, for which half of a
//! cluster must stand in one microsecond.
//!
//! # Virtual and real time
//! In [`World::Threads`] each node is a thread with the driver that ships and messages go through
//! memory, one cluster after the other, in as much time as elections take. Then messages include
//! the leader's first to everybody, steps are only messages that were taken, and the same seed
//! gives the same timeouts but not the same rows. In [`World::Processes`] each is a process with
//! its own disk, over QUIC on the loopback interface, and what is measured is always how long it
//! takes to replace a leader that was killed: a first election would be that of nodes which are
//! still starting. Messages and steps are not counted then.
//!
//! # Decisions
//! **No pre-vote unless asked for.** Decision: [`Settings::pre_vote`] is off by default, although
//! the core's is on. Why: the study's nodes had none, and with it a candidate that cannot win does
//! not stand, so elections held could not be compared. Without delay both take the same time. Would
//! change if: the study were not what this is compared with.
//!
//! **Check-quorum stays on.** Decision: everything else is as in the core's settings. Why: it is
//! the shipping core that is measured; in a first election there is no leader to be loyal to, and
//! after a crash it costs time only where messages are late. Would change if: a study of that cost
//! wanted it as a parameter.
//!
//! **Polling is the caller's.** Decision: a node with `--poll` is woken at its polls, and the core
//! fires what is due whenever it is given anything. Why: the core has no timer of its own to be
//! slow. So a message to a node whose timer is overdue makes it fire before its poll, unless the
//! message sets the timer back, as a request for a vote does. Would change if: the theory and such
//! clusters differed by more than chance.
//!
//! **Disks are instant.** Decision: a write is done when it is asked for. Why: the study had none,
//! and what a disk adds can be added to a delay. Would change if: elections were bounded by disks.

pub mod charts;
mod cluster;
pub mod processes;
pub mod results;
mod row;
pub mod theory;
mod threads;
pub mod values;

use std::time::Duration;

use raftian_raft::{Membership, NodeId};
use serde_json::{Value, json};

use crate::report::parallel;
pub use cluster::Outcome;
pub use row::{COLUMNS, Row};
use values::{Share, Sizes, Span, Time};

/// Most runs of one study. Each is kept, in about 48 bytes.
const MAX_RUNS: u64 = 2_000_000;

/// Largest cluster on threads.
const MAX_THREADS: u64 = 1_000;

/// Largest cluster of processes: as many members as node files name.
const MAX_PROCESSES: u64 = raftian_node::cluster::MAX_MEMBERS as u64;

/// What every cluster of a study has in common.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Election timeouts are drawn from here.
    pub timeout: Span,
    /// Time between a leader's heartbeats.
    pub heartbeat: Time,
    /// Time that a message takes, drawn for each.
    pub delay: Span,
    /// Share of messages that are lost, drawn for each run.
    pub loss: Share,
    /// Nodes look at their election timers only this often, each with a phase of its own; zero: at
    /// once.
    pub poll: Time,
    /// Ask before standing (thesis 9.6).
    pub pre_vote: bool,
    /// Let the first leader crash, and measure from then to the next leader.
    pub crash_leader: bool,
    /// How long a cluster may take, in its own time.
    pub limit: Time,
}

/// Sizes of clusters, and how often each is run.
#[derive(Clone, PartialEq, Debug)]
pub struct Study {
    /// Numbers of nodes.
    pub sizes: Sizes,
    /// Clusters of each size.
    pub reps: u64,
    /// From which everything follows.
    pub seed: u64,
    /// What they have in common.
    pub settings: Settings,
    /// Where they live.
    pub world: World,
}

/// Where clusters live.
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
    /// What theory says about the mean time of a cluster of `nodes` without delay or loss, in
    /// milliseconds: until the first election timer is noticed. After a crash one timer is missing,
    /// and all began with the last heartbeat, half of the time between two before the crash in the
    /// mean.
    #[must_use]
    pub fn theory_ms(&self, nodes: u64) -> f64 {
        if self.crash_leader {
            let since_heartbeat = self.heartbeat.0.as_secs_f64() * 1e3 / 2.0;
            theory::first_timeout_ms(nodes - 1, self.timeout, self.poll.0) - since_heartbeat
        } else {
            theory::first_timeout_ms(nodes, self.timeout, self.poll.0)
        }
    }

    /// Whether theory covers these settings: messages take no time and none is lost.
    #[must_use]
    pub fn is_ideal(&self) -> bool {
        self.delay.to.is_zero() && self.loss.to == 0.0
    }
}

impl Study {
    /// Whether it can be run.
    ///
    /// # Errors
    /// What cannot be, and what to do.
    pub fn check(&self) -> Result<(), String> {
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
            return Err(format!(
                "{} sizes times {reps} repetitions are not between 1 and {MAX_RUNS} runs",
                sizes.0.len()
            ));
        }
        if settings.crash_leader && sizes.0.iter().any(|nodes| *nodes < 3) {
            return Err(
                "--crash-leader needs clusters of 3 nodes and more: one or two cannot do without one".to_owned()
            );
        }
        self.world.check(sizes, settings)?;
        if settings.limit.0 <= settings.timeout.to {
            return Err("--limit must be longer than the longest election timeout".to_owned());
        }
        if settings.poll.0 > Duration::from_secs(10) {
            return Err("--poll is at most 10s".to_owned());
        }
        let alone = Membership::new([NodeId(1)]).map_err(|error| error.to_string())?;
        let config = settings.config(NodeId(1), alone, 0);
        config
            .check()
            .map_err(|error| format!("--timeout and --heartbeat: {error}"))
    }

    /// Runs all clusters on so many threads, on which the rows do not depend, and tells `done` the
    /// size after each run.
    ///
    /// # Errors
    /// What [`Study::check`] finds, or why processes cannot be started.
    pub fn run(&self, threads: usize, done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Row>, String> {
        self.check()?;
        let reps = self.reps as usize;
        // In real time one cluster after the other, or they would wait for each other's cores.
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

    /// One cluster, of a study that was checked.
    fn one(&self, nodes: u64, rep: u64) -> Result<Outcome, String> {
        let (settings, seed) = (&self.settings, parallel::seed(self.seed, &[nodes, rep]));
        match self.world {
            World::Virtual => Ok(cluster::run(settings, nodes, seed)),
            World::Threads => Ok(threads::elect(settings, nodes, seed)),
            World::Processes => processes::replace_leader(settings, nodes, seed),
        }
    }

    /// Everything that decides the rows, for programs.
    #[must_use]
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

    /// The options that say the same on a command line.
    #[must_use]
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
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            World::Virtual => "virtual time",
            World::Threads => "real time, each node a thread",
            World::Processes => "real time, each node a process",
        }
    }

    fn check(self, sizes: &Sizes, settings: &Settings) -> Result<(), String> {
        let largest = sizes.0.last().copied().unwrap_or_default();
        let bare = settings.is_ideal() && settings.poll.0.is_zero();
        match self {
            World::Threads if settings.crash_leader => {
                Err("--threads measures first elections: leave --crash-leader out".to_owned())
            }
            World::Threads if largest > MAX_THREADS => {
                Err(format!("--threads takes clusters of at most {MAX_THREADS} nodes"))
            }
            World::Processes if largest > MAX_PROCESSES => {
                Err(format!("--real-processes takes 3 to {MAX_PROCESSES} nodes"))
            }
            World::Processes if !bare => {
                Err("--real-processes has the network and timers there are: leave --delay, --loss and --poll out"
                    .to_owned())
            }
            World::Virtual | World::Threads | World::Processes => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
