//! A match of real processes: the shipping node on real disks, over QUIC on the loopback interface,
//! in real time.
//!
//! This program starts itself once for each machine, as `failover-node`. A machine reads its
//! player's orders from stdin, and reports on stdout what it knows as committed, each effect with
//! the resulting state, and when it leads. It exits when its stdin closes, so no machine outlives
//! the match.
//!
//! # What differs from virtual time
//! A machine is killed with SIGKILL, or the system's equivalent, so its memory is lost, and it
//! restarts as a new process on its old disk. Data it had handed to the operating system survives;
//! storms cover disks that lose unsynced writes. Players retry as the game does: 50 ms after a
//! refusal, 500 ms without an answer. Times are those at which the match received a report, some
//! tenths of a millisecond late. Reports still in the pipe of a killed machine are read to the end,
//! and count as of its kill. A leader reports a commit shortly after it notified the others; if it
//! is killed in between, that order counts as the first after the crash, and the stop is too short.
//! Catching up includes the start of the process.

pub mod chaos;
mod event_log;
mod node;
mod protocol;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use raftian_node::Clock;
use raftian_node::cluster::Timing;
use raftian_raft::Moment;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use self::event_log::{Record, Records, Timeline};
use self::protocol::{ChildCommand, ChildEvent};
use super::{Account, Failover, Outcome};
use crate::child_process::{self, ProcessError, Processes};
use crate::matches::Conditions;
use crate::matches::ledger::Ledger;
use crate::matches::machine::Player;
use crate::matches::state::State;

pub use node::live;

/// Time limit until all machines know a leader.
const LATE: Duration = Duration::from_secs(30);
/// Time with a leader before the crash.
const WARM_UP: Duration = Duration::from_millis(500);
/// Window after the warm-up in which the crash happens at a random time.
const WINDOW: Duration = Duration::from_millis(500);
/// Time after the restart.
const AFTER: Duration = Duration::from_secs(1);
/// Time limit for states to converge at the end.
const SETTLE: Duration = Duration::from_secs(20);
/// Interval of checks for convergence.
const SLICE: Duration = Duration::from_millis(10);

/// Machine, run, arrival time and report of a machine; no report at the end of its run.
type Received = (usize, u64, Instant, Option<ChildEvent>);

/// Machines, their players, and their reports.
struct Game<'a> {
    conditions: &'a Conditions,
    files: Vec<PathBuf>,
    processes: Processes,
    /// Number of earlier runs of each machine, and the time at which the last of them was killed.
    runs: Vec<(u64, Moment)>,
    players: Vec<(Player, Clicks)>,
    /// Newest term in which each machine led, and newest term in which it knew the leader.
    terms: Vec<(u64, u64)>,
    /// Replies to the last request for all states.
    states: Vec<Option<State>>,
    ledger: Ledger,
    records: Records,
    clock: Clock,
    sender: Sender<Received>,
    received: Receiver<Received>,
}

/// A player's next click, and the RNG that schedules it.
struct Clicks {
    next: Moment,
    rng: ChaCha8Rng,
}

/// Plays one match of `size` machines.
///
/// # Errors
/// If machines cannot be started, exit unexpectedly, or elect no leader in time.
pub(super) fn play(study: &Failover, size: u64, seed: u64) -> Result<Outcome, ProcessError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directory = tempfile::tempdir().map_err(|source| ProcessError::TemporaryDirectory {
        users: "processes",
        source,
    })?;
    let mut game = Game::start(
        &study.series.conditions,
        size as usize,
        &mut rng,
        directory.path(),
    )?;
    if !game.wait_for(LATE, |game| game.leader().is_some())? {
        return Err(ProcessError::NoLeader {
            processes: size,
            limit: LATE,
        });
    }
    game.run_for(WARM_UP + Duration::from_micros(rng.random_range(0..WINDOW.as_micros() as u64)))?;
    let leader = game.leader();
    let victim = study.who.among(size as usize, leader, &mut rng);
    let crashed = game.kill(victim)?;
    game.run_for(study.down.0)?;
    let effects = game.records.effects();
    let back = game.restart(victim, &mut rng)?;
    game.run_for(AFTER)?;
    let happened = Timeline {
        victim,
        crashed,
        back,
        over: game.clock.now(),
    };
    game.players
        .iter_mut()
        .for_each(|(player, _)| player.clicks = false);
    let settled = game.settle()?;
    let Game {
        mut ledger,
        records,
        states,
        ..
    } = game;
    let gap = records.enter(&mut ledger, happened);
    Ok(Outcome {
        stop: records.stop(&ledger, happened),
        leader: records
            .next_leader(happened)
            .filter(|_| leader == Some(victim)),
        gap,
        caught_up: records.caught_up(happened, effects),
        settled,
        account: account(&mut ledger, &states),
        steps: 0,
    })
}

/// Outcome of all orders according to the machines' last states.
fn account(ledger: &mut Ledger, states: &[Option<State>]) -> Account {
    let lost = states
        .iter()
        .flatten()
        .map(|state| ledger.lost(&state.sessions))
        .max()
        .unwrap_or_default();
    let mut last: Vec<_> = states
        .iter()
        .map(|state| state.as_ref().map(|state| (state.count, state.hash)))
        .collect();
    last.dedup();
    Account {
        clicked: ledger.orders().count() as u64,
        applied: ledger
            .orders()
            .filter(|order| order.applied.is_some())
            .count() as u64,
        lost,
        doubled: ledger.doubled,
        minority_commits: 0,
        equal: last.len() == 1 && ledger.diverged == 0,
        violation: ledger.violation.clone(),
    }
}

impl Clicks {
    fn new(now: Moment, rate: f64, seed: u64) -> Self {
        let mut clicks = Clicks {
            next: now,
            rng: ChaCha8Rng::seed_from_u64(seed),
        };
        clicks.advance(rate);
        clicks
    }

    /// Advances by an exponential interval: a Poisson process.
    fn advance(&mut self, rate: f64) {
        let chance: f64 = self.rng.random_range(f64::MIN_POSITIVE..1.0);
        self.next = self
            .next
            .after(Duration::from_secs_f64((-chance.ln() / rate).min(3600.0)));
    }
}

impl<'a> Game<'a> {
    fn start(
        conditions: &'a Conditions,
        size: usize,
        rng: &mut ChaCha8Rng,
        directory: &Path,
    ) -> Result<Self, ProcessError> {
        Self::start_on(conditions, size, rng, directory, |_| Ok(()))
    }

    /// Starts a match after `prepare` has seen the node files.
    fn start_on(
        conditions: &'a Conditions,
        size: usize,
        rng: &mut ChaCha8Rng,
        directory: &Path,
        prepare: impl FnOnce(&[PathBuf]) -> Result<(), ProcessError>,
    ) -> Result<Self, ProcessError> {
        let clock = Clock::start();
        let (sender, received) = channel();
        let files = child_process::node_files(directory, size, Timing::default(), rng)?;
        prepare(&files)?;
        let mut ledger = Ledger::default();
        let mut player = |place| {
            let clicks = Clicks::new(clock.now(), conditions.rate, rng.random());
            (Player::new(ledger.enter(place)), clicks)
        };
        let players = (0..size as u32).map(&mut player).collect();
        let runs = vec![(0, Moment(0)); size];
        let terms = vec![(0, 0); size];
        let states = (0..size).map(|_| None).collect();
        let processes = Processes::default();
        let records = Records::default();
        let mut game = Game {
            conditions,
            files,
            processes,
            runs,
            players,
            terms,
            states,
            ledger,
            records,
            clock,
            sender,
            received,
        };
        for place in 0..size {
            let process = game.spawn(place, rng.random())?;
            game.processes.add(process);
        }
        Ok(game)
    }

    /// Starts a machine, and a thread that reads its reports.
    fn spawn(&self, place: usize, seed: u64) -> Result<Child, ProcessError> {
        let Conditions {
            timeout,
            adaptive,
            heartbeat,
            ..
        } = self.conditions;
        let adaptive = adaptive.map(|range| ["--adaptive".to_owned(), range.to_string()]);
        let mut process = child_process::again("failover-node")?
            .arg(&self.files[place])
            .args(["--seed", &seed.to_string()])
            .args([
                "--timeout",
                &timeout.to_string(),
                "--heartbeat",
                &heartbeat.to_string(),
            ])
            .args(adaptive.into_iter().flatten())
            .spawn()
            .map_err(|source| ProcessError::Spawn {
                process: machine(place),
                source,
            })?;
        let run = self.runs[place].0;
        let sender = self.sender.clone();
        if let Some(out) = process.stdout.take() {
            thread::spawn(move || listen(place, run, out, &sender));
        }
        Ok(process)
    }

    /// Kills a machine at once, and returns the time.
    fn kill(&mut self, place: usize) -> Result<Moment, ProcessError> {
        let process = &mut self.processes.0[place];
        let killed = process.kill().and_then(|()| process.wait());
        let now = self.clock.now();
        killed.map_err(|source| ProcessError::Kill {
            process: machine(place),
            source,
        })?;
        let run = self.runs[place].0;
        let player = &mut self.players[place].0;
        self.runs[place] = (run + 1, now);
        // The next process reports its terms anew.
        self.terms[place] = (0, 0);
        // The player's memory is lost with the process: its pending orders are never confirmed.
        self.ledger.end(player.client, now);
        player.clicks = false;
        player.pending.clear();
        Ok(now)
    }

    /// Restarts a machine on its disk, with a new player, and returns the time.
    fn restart(&mut self, place: usize, rng: &mut ChaCha8Rng) -> Result<Moment, ProcessError> {
        let now = self.clock.now();
        let client = self.ledger.enter(place as u32);
        self.players[place] = (
            Player::new(client),
            Clicks::new(now, self.conditions.rate, rng.random()),
        );
        self.processes.0[place] = self.spawn(place, rng.random())?;
        Ok(now)
    }

    fn write_command(&mut self, place: usize, command: ChildCommand) -> Result<(), ProcessError> {
        let Some(stdin) = &mut self.processes.0[place].stdin else {
            return Ok(());
        };
        writeln!(stdin, "{command}").map_err(|source| ProcessError::Write {
            process: machine(place),
            source,
        })
    }

    fn run_for(&mut self, time: Duration) -> Result<(), ProcessError> {
        self.run_until(self.clock.now().after(time))
    }

    /// Processes reports and clicks until `until`.
    fn run_until(&mut self, until: Moment) -> Result<(), ProcessError> {
        while self.clock.now() < until {
            self.click()?;
            let clicks = self
                .players
                .iter()
                .filter(|(player, _)| player.clicks)
                .map(|(_, clicks)| clicks.next);
            let next = self.clock.instant(clicks.min().unwrap_or(until).min(until));
            match self
                .received
                .recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                Ok(received) => self.record(received)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        Ok(())
    }

    /// Waits until `is_so` holds, checking repeatedly. Returns false if it does not within `limit`.
    fn wait_for(
        &mut self,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<bool, ProcessError> {
        let late = self.clock.now().after(limit);
        while !is_so(self) {
            if self.clock.now() >= late {
                return Ok(false);
            }
            self.run_for(SLICE)?;
        }
        Ok(true)
    }

    /// Gives an order for every player with a due click.
    fn click(&mut self) -> Result<(), ProcessError> {
        let now = self.clock.now();
        for place in 0..self.players.len() {
            let (player, clicks) = &mut self.players[place];
            if !player.clicks || clicks.next > now {
                continue;
            }
            clicks.advance(self.conditions.rate);
            let client = player.client;
            let next = self.ledger.clients()[(client.0 - 1) as usize].orders.len() as u64 + 1;
            if player.has_room(next) {
                let sequence = self.ledger.click(client, now);
                player.pending.insert(sequence);
                self.write_command(place, ChildCommand::Order(client, sequence))?;
            }
        }
        Ok(())
    }

    fn record(&mut self, (place, run, at, event): Received) -> Result<(), ProcessError> {
        let (now_running, killed) = self.runs[place];
        let runs = run == now_running;
        let Some(event) = event else {
            let machine = place + 1;
            return if runs {
                Err(ProcessError::Exited { machine })
            } else {
                Ok(())
            };
        };
        let ago = if let ChildEvent::Leads { ago, .. } = event {
            Duration::from_micros(ago)
        } else {
            Duration::ZERO
        };
        let mut at = Moment(
            self.clock
                .now()
                .0
                .saturating_sub((at.elapsed() + ago).as_micros() as u64),
        );
        match &event {
            // A report of a killed run counts as of its kill at the latest.
            _ if !runs => at = at.min(killed),
            ChildEvent::Leads { term, .. } => self.terms[place].0 = *term,
            ChildEvent::Follows(term) => self.terms[place].1 = *term,
            ChildEvent::Done(client, sequence) if *client == self.players[place].0.client => {
                self.players[place].0.pending.remove(sequence);
            }
            ChildEvent::State(words) => self.states[place] = State::of_words(words),
            ChildEvent::Done(..)
            | ChildEvent::Committed(..)
            | ChildEvent::Effect { .. }
            | ChildEvent::Restored(..) => {}
        }
        // States are judged separately, by `account`.
        if !matches!(event, ChildEvent::State(_)) {
            self.records.0.push(Record {
                at,
                place,
                run,
                event,
            });
        }
        Ok(())
    }

    /// Leader of the newest term that all machines know.
    fn leader(&self) -> Option<usize> {
        let newest = self
            .terms
            .iter()
            .map(|(led, _)| *led)
            .max()
            .filter(|newest| *newest > 0)?;
        // An election is settled only when every machine follows the leader.
        let known = self.terms.iter().all(|(_, followed)| *followed == newest);
        self.terms
            .iter()
            .position(|(led, _)| *led == newest)
            .filter(|_| known)
    }

    /// Requests all states until each has all effects and no order is pending. Returns false if
    /// that takes too long.
    fn settle(&mut self) -> Result<bool, ProcessError> {
        let late = self.clock.now().after(SETTLE);
        loop {
            // Replies to an earlier request must not count.
            self.states.fill_with(|| None);
            (0..self.files.len())
                .try_for_each(|place| self.write_command(place, ChildCommand::State))?;
            let answered = self.wait_for(SETTLE, |game| game.states.iter().all(Option::is_some))?;
            let effects = self.records.effects();
            let has_all =
                |state: &Option<State>| state.as_ref().is_some_and(|state| state.count == effects);
            if self.states.iter().all(has_all)
                && self
                    .players
                    .iter()
                    .all(|(player, _)| player.pending.is_empty())
            {
                return Ok(true);
            }
            if !answered || self.clock.now() >= late {
                return Ok(false);
            }
            self.run_for(SLICE)?;
        }
    }
}

/// Name of a machine in errors.
fn machine(place: usize) -> String {
    format!("machine {}", place + 1)
}

/// Forwards a machine's reports until its stdout closes.
fn listen(place: usize, run: u64, out: ChildStdout, sender: &Sender<Received>) {
    let lines = BufReader::new(out).lines().map_while(Result::ok);
    for event in lines
        .filter_map(|line| ChildEvent::read(&line))
        .map(Some)
        .chain([None])
    {
        if sender.send((place, run, Instant::now(), event)).is_err() {
            return;
        }
    }
}
