//! One machine: its node, disk, clock and state machine.

use std::collections::BTreeMap;

use raftian_node::driver::{Committed, Driver, Recorded};
use raftian_raft::{
    Bytes, Command, Config, Entry, Incarnation, Index, Message, Moment, Node, NodeId, ReadId,
    ReadRefusal, Refused, RequestError, Restored, Sessions, StateHash, Write,
};

use super::game::Game;
use super::links::SimLinks;
use super::state::State;
use crate::disk::DiskStore;

/// The shipping driver on a simulated disk and simulated links.
pub(crate) type SimDriver = Driver<DiskStore, SimLinks>;

/// One machine of a simulated cluster.
#[derive(Debug)]
pub struct Host {
    pub(crate) config: Config,
    pub(crate) run: u64,
    pub(crate) process: Process,
    /// The node was never started from its disk.
    pub(crate) fresh_disk: bool,
    /// Bytes on its disk were changed without the store's knowledge.
    pub(crate) damaged: bool,
    /// Its disk is full.
    pub(crate) full: bool,
    /// It is paused: messages that arrive wait, and its timers do not fire.
    pub(crate) paused: bool,
    /// Messages that arrived while it was paused.
    pub(crate) mailbox: Vec<(NodeId, Message)>,
    /// Offset of this machine's clock from the simulation's, in microseconds.
    pub(crate) ahead: u64,
    /// Rate of its clock in percent, and the simulation's time since which it applies.
    pub(crate) rate: (u64, Moment),
    pub(crate) refused: Vec<Refused>,
    pub(crate) request_results: Vec<Result<(), RequestError>>,
    pub(crate) reads: BTreeMap<ReadId, Result<Index, ReadRefusal>>,
    pub(crate) restores: u64,
    pub(crate) recordings: Vec<Recording>,
    /// Start of this run on the machine's clock, and the disk it started from.
    pub(crate) began_with: (Moment, Restored),
    state: State,
}

/// All inputs and outputs of one run of a node, enough to replay it bit for bit.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Settings of the node.
    pub config: Config,
    /// State restored from its disk.
    pub restored: Restored,
    /// Start time on its own clock.
    pub started: Moment,
    /// Recorded steps, in order.
    pub steps: Vec<Recorded>,
}

/// Run state of a machine.
#[derive(Debug)]
pub(crate) enum Process {
    Up(Box<SimDriver>),
    Down(DiskStore),
    /// The node stopped by itself, with the reason: it panicked, or its disk failed.
    Stopped(DiskStore, String),
}

impl Host {
    pub(crate) fn new(config: Config, disk: DiskStore, ahead: u64) -> Self {
        Host {
            config,
            run: 0,
            process: Process::Down(disk),
            fresh_disk: true,
            damaged: false,
            full: false,
            paused: false,
            mailbox: Vec::new(),
            ahead,
            rate: (100, Moment(0)),
            refused: Vec::new(),
            request_results: Vec::new(),
            reads: BTreeMap::new(),
            restores: 0,
            recordings: Vec::new(),
            began_with: (Moment(0), Restored::default()),
            state: State::default(),
        }
    }

    /// Returns the recordings of its runs, if the simulation records.
    pub fn recordings(&self) -> Vec<Recording> {
        self.recordings
            .iter()
            .cloned()
            .chain(self.recording())
            .collect()
    }

    /// Returns the recording of the present run.
    fn recording(&self) -> Option<Recording> {
        let steps = self
            .driver()
            .map(|driver| driver.recording().to_vec())
            .filter(|steps| !steps.is_empty())?;
        let (started, restored) = self.began_with.clone();
        Some(Recording {
            config: self.config.clone(),
            restored,
            started,
            steps,
        })
    }

    /// Returns its node, if the machine runs.
    pub fn node(&self) -> Option<&Node> {
        self.driver().map(Driver::node)
    }

    pub(crate) fn driver(&self) -> Option<&SimDriver> {
        match &self.process {
            Process::Up(driver) => Some(driver),
            Process::Down(_) | Process::Stopped(..) => None,
        }
    }

    pub(crate) fn driver_mut(&mut self) -> Option<&mut SimDriver> {
        match &mut self.process {
            Process::Up(driver) => Some(driver),
            Process::Down(_) | Process::Stopped(..) => None,
        }
    }

    pub(crate) fn disk(&self) -> &DiskStore {
        match &self.process {
            Process::Up(driver) => driver.store(),
            Process::Down(disk) | Process::Stopped(disk, _) => disk,
        }
    }

    pub(crate) fn disk_mut(&mut self) -> &mut DiskStore {
        match &mut self.process {
            Process::Up(driver) => driver.store_mut(),
            Process::Down(disk) | Process::Stopped(disk, _) => disk,
        }
    }

    /// Takes the disk out of a machine that is about to go down.
    pub(crate) fn take_disk(&mut self) -> DiskStore {
        let recording = self.recording();
        self.recordings.extend(recording);
        // The caller replaces the placeholder when it sets the next run state.
        let placeholder = DiskStore::in_memory(Restored::default());
        match std::mem::replace(&mut self.process, Process::Down(placeholder)) {
            Process::Up(driver) => driver.into_store(),
            Process::Down(disk) | Process::Stopped(disk, _) => disk,
        }
    }

    /// Returns the reason why its node stopped by itself, if it did.
    pub fn stopped(&self) -> Option<&str> {
        match &self.process {
            Process::Stopped(_, why) => Some(why),
            Process::Up(_) | Process::Down(_) => None,
        }
    }

    /// Returns whether a write to its disk may still fail: a sync is set up to fail, or it is full.
    pub fn disk_may_fail(&self) -> bool {
        self.full || self.disk().disk().is_some_and(|disk| disk.will_fail())
    }

    /// Returns whether bytes on its disk were changed without the store's knowledge.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Returns the id of its node.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Returns the durable contents of its disk, without pending writes.
    pub fn image(&self) -> &Restored {
        self.disk().image()
    }

    /// Returns the pending writes of its disk, oldest first.
    pub(crate) fn waiting_writes(&self) -> impl Iterator<Item = &Write> {
        self.disk().waiting()
    }

    /// Returns the messages that arrived while it was paused, oldest first.
    pub(crate) fn mailbox(&self) -> &[(NodeId, Message)] {
        &self.mailbox
    }

    /// Returns the incarnation of the member that its disk belongs to.
    pub fn incarnation(&self) -> Incarnation {
        self.image().incarnation
    }

    /// Returns the number of pending writes of its disk.
    pub fn writes_under_way(&self) -> usize {
        self.disk().pending()
    }

    /// Returns every entry in its state, from index 1: applied in this run, or covered by a
    /// snapshot that it restored.
    pub fn applied(&self) -> &[Entry] {
        &self.state.applied
    }

    /// Returns the commands that took effect in its state, in order and without duplicates.
    pub fn effects(&self) -> &[Command] {
        &self.state.effects
    }

    /// Returns the hash of its whole state, at the last index of [`Host::applied`].
    pub fn state_hash(&self) -> u64 {
        self.state.whole_hash()
    }

    /// Returns the game in its state; `None` before its first order.
    pub(crate) fn game(&self) -> Option<&Game> {
        self.state.game.as_ref()
    }

    /// Returns the client sessions of its state, which reject commands that were already applied.
    pub fn sessions(&self) -> &Sessions {
        &self.state.sessions
    }

    /// Makes its state diverge from the log.
    pub(crate) fn diverge(&mut self) {
        self.state.diverge();
    }

    /// Returns whether its state diverged from the log.
    pub fn is_diverged(&self) -> bool {
        self.state.is_diverged()
    }

    /// Returns the log indexes of [`Host::effects`].
    pub fn effects_at(&self) -> &[Index] {
        &self.state.effects_at
    }

    /// Removes the game from its state, as an application whose snapshots lack it would.
    #[cfg(test)]
    pub(super) fn lose_game(&mut self) {
        self.state.game = None;
    }

    /// Removes one effect from its state, as an application that skipped the command would.
    #[cfg(test)]
    pub(super) fn lose_effect(&mut self, place: usize) {
        self.state.effects.remove(place);
        self.state.effects_at.remove(place);
    }

    /// Clears the sessions of its state.
    #[cfg(test)]
    pub(super) fn lose_sessions(&mut self) {
        self.state.sessions = Sessions::default();
    }

    /// Returns the settings of its node.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the number of the present run, which each start increments.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Returns a version of the state: its run, and the number of snapshots restored in it. While
    /// it is unchanged, the state only grows.
    pub fn state_version(&self) -> (u64, u64) {
        (self.run, self.restores)
    }

    /// Returns the proposals that its node refused in this run, in order.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Returns the results of membership changes and leadership transfers in this run, in order.
    pub fn request_results(&self) -> &[Result<(), RequestError>] {
        &self.request_results
    }

    /// Returns the reads of this run that were answered or refused.
    pub fn reads(&self) -> &BTreeMap<ReadId, Result<Index, ReadRefusal>> {
        &self.reads
    }

    /// Converts the simulation's time to this machine's clock.
    pub(crate) fn clock(&self, now: Moment) -> Moment {
        let (percent, since) = self.rate;
        let passed = now.0.saturating_sub(since.0);
        let ran = u128::from(passed) * u128::from(percent) / 100;
        let ran = u64::try_from(ran).unwrap_or(u64::MAX);
        Moment(
            (now.0 - passed)
                .saturating_add(ran)
                .saturating_add(self.ahead),
        )
    }

    /// Runs the clock at `percent` of the true rate from `now` on.
    pub(crate) fn set_clock_rate(&mut self, now: Moment, percent: u64) {
        // Time that passed at the old rate becomes part of the offset, or the clock would jump.
        self.ahead = self.clock(now).0.saturating_sub(now.0);
        self.rate = (percent, now);
    }

    /// Returns the node's next wake-up, in the simulation's time.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        let (percent, since) = self.rate;
        let at = self.node()?.wake_at().0.saturating_sub(self.ahead);
        let after = at.saturating_sub(since.0);
        // Rounded up, so that the clock has reached the wake-up time.
        let passes = (u128::from(after) * 100).div_ceil(u128::from(percent));
        Some(Moment(
            (at - after).saturating_add(u64::try_from(passes).unwrap_or(u64::MAX)),
        ))
    }

    /// Clears everything that was in memory.
    pub(crate) fn forget(&mut self, process: Process) {
        self.process = process;
        self.paused = false;
        self.mailbox.clear();
        self.refused.clear();
        self.request_results.clear();
        self.reads.clear();
        self.restores = 0;
        self.state = State::default();
    }

    /// Wipes the disk: the machine restarts as another incarnation of the member.
    pub(crate) fn wipe(&mut self) {
        let blank = Restored {
            incarnation: Incarnation(self.incarnation().0 + 1),
            ..Restored::default()
        };
        let has_bytes = self.disk().disk().is_some();
        let id = self.config.id;
        let disk = if has_bytes {
            DiskStore::on_disk(id, blank)
        } else {
            DiskStore::in_memory(blank)
        };
        (self.process, self.fresh_disk, self.damaged) = (Process::Down(disk), true, false);
    }

    /// Applies committed entries and snapshots. Returns the hashes of the state at every index that
    /// is a multiple of `hash_every`.
    pub(crate) fn apply(
        &mut self,
        committed: Vec<Committed>,
        hash_every: Option<u64>,
    ) -> Vec<StateHash> {
        let mut hashes = Vec::new();
        for committed in committed {
            match committed {
                Committed::Entry(entry) => {
                    let index = entry.index;
                    self.state.apply(entry);
                    if hash_every.is_some_and(|every| index.0.is_multiple_of(every)) {
                        hashes.push(StateHash {
                            index,
                            hash: self.state_hash(),
                        });
                    }
                }
                Committed::Snapshot(snapshot) => {
                    self.restores += 1;
                    self.state = State::restore(
                        snapshot
                            .data
                            .as_deref()
                            .expect("only the snapshot of a witness has no state"),
                    );
                }
            }
        }
        hashes
    }

    /// Returns the encoded present state and the last index in it.
    pub(crate) fn save(&self) -> (Index, Bytes) {
        (Index(self.state.applied.len() as u64), self.state.save())
    }
}
