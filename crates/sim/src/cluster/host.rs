//! One machine: its node, its disk, its clock, and the state machine above.

use std::collections::BTreeMap;

use raftian_node::driver::{Committed, Driver, Recorded};
use raftian_raft::{
    Bytes, Command, Config, Entry, Incarnation, Index, Message, Moment, Node, NodeId, ReadId,
    ReadRefusal, Refused, RequestError, Restored, Sessions, StateHash, Write,
};

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
    pub(crate) life: Life,
    /// Its disk was never started from.
    pub(crate) fresh_disk: bool,
    /// Bytes on its disk were changed behind the store's back.
    pub(crate) damaged: bool,
    /// Its disk is full.
    pub(crate) full: bool,
    /// It stands still: what arrives waits, and its timers do not fire.
    pub(crate) paused: bool,
    /// What arrived while it was paused.
    pub(crate) mailbox: Vec<(NodeId, Message)>,
    /// How far this machine's clock is ahead of the simulation's, in microseconds.
    pub(crate) ahead: u64,
    /// Its clock runs at this rate, in percent, since this moment of the simulation.
    pub(crate) rate: (u64, Moment),
    pub(crate) refused: Vec<Refused>,
    pub(crate) request_results: Vec<Result<(), RequestError>>,
    pub(crate) reads: BTreeMap<ReadId, Result<Index, ReadRefusal>>,
    pub(crate) restores: u64,
    pub(crate) recordings: Vec<Recording>,
    /// When this run began on the machine's clock, and from which disk.
    pub(crate) began_with: (Moment, Restored),
    state: State,
}

/// Everything that one run of a node was told and asked for, enough to replay it bit for bit.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Settings of the node.
    pub config: Config,
    /// What its disk gave back.
    pub restored: Restored,
    /// When it started, on its own clock.
    pub started: Moment,
    /// What happened to it, in order.
    pub steps: Vec<Recorded>,
}

/// Whether a machine runs.
#[derive(Debug)]
pub(crate) enum Life {
    Up(Box<SimDriver>),
    Down(DiskStore),
    /// The node stopped by itself: it broke an invariant of its own, or its disk failed.
    Stopped(DiskStore, String),
}

impl Host {
    pub(crate) fn new(config: Config, disk: DiskStore, ahead: u64) -> Self {
        Host {
            config,
            run: 0,
            life: Life::Down(disk),
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

    /// Recordings of its runs, if the simulation records.
    #[must_use]
    pub fn recordings(&self) -> Vec<Recording> {
        self.recordings
            .iter()
            .cloned()
            .chain(self.recording())
            .collect()
    }

    /// The recording of the present run.
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

    /// Its node, if the machine runs.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.driver().map(Driver::node)
    }

    pub(crate) fn driver(&self) -> Option<&SimDriver> {
        match &self.life {
            Life::Up(driver) => Some(driver),
            Life::Down(_) | Life::Stopped(..) => None,
        }
    }

    pub(crate) fn driver_mut(&mut self) -> Option<&mut SimDriver> {
        match &mut self.life {
            Life::Up(driver) => Some(driver),
            Life::Down(_) | Life::Stopped(..) => None,
        }
    }

    pub(crate) fn disk(&self) -> &DiskStore {
        match &self.life {
            Life::Up(driver) => driver.store(),
            Life::Down(disk) | Life::Stopped(disk, _) => disk,
        }
    }

    pub(crate) fn disk_mut(&mut self) -> &mut DiskStore {
        match &mut self.life {
            Life::Up(driver) => driver.store_mut(),
            Life::Down(disk) | Life::Stopped(disk, _) => disk,
        }
    }

    /// Takes the disk out of a machine that is about to be down.
    pub(crate) fn take_disk(&mut self) -> DiskStore {
        let recording = self.recording();
        self.recordings.extend(recording);
        let placeholder = DiskStore::in_memory(Restored::default());
        match std::mem::replace(&mut self.life, Life::Down(placeholder)) {
            Life::Up(driver) => driver.into_store(),
            Life::Down(disk) | Life::Stopped(disk, _) => disk,
        }
    }

    /// Why its node stopped by itself, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        match &self.life {
            Life::Stopped(_, why) => Some(why),
            Life::Up(_) | Life::Down(_) => None,
        }
    }

    /// Whether a write of its disk may still fail: a failing sync is prepared, or it is full.
    #[must_use]
    pub fn disk_may_fail(&self) -> bool {
        self.full || self.disk().disk().is_some_and(|disk| disk.will_fail())
    }

    /// Whether bytes on its disk were changed behind the store's back.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Which machine it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// What its disk holds, without the writes under way.
    #[must_use]
    pub fn image(&self) -> &Restored {
        self.disk().image()
    }

    /// Writes that its disk has not done yet, oldest first.
    pub(crate) fn waiting_writes(&self) -> impl Iterator<Item = &Write> {
        self.disk().waiting()
    }

    /// Messages that arrived while it was paused, oldest first.
    pub(crate) fn mailbox(&self) -> &[(NodeId, Message)] {
        &self.mailbox
    }

    /// Which life of the member its disk belongs to.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.image().incarnation
    }

    /// Writes that its disk has not done yet.
    #[must_use]
    pub fn writes_under_way(&self) -> usize {
        self.disk().pending()
    }

    /// Every entry that is in its state, from index 1: applied in this run, or part of a snapshot
    /// it began with.
    #[must_use]
    pub fn applied(&self) -> &[Entry] {
        &self.state.applied
    }

    /// Commands that took effect in its state, in order: repeats left out.
    #[must_use]
    pub fn effects(&self) -> &[Command] {
        &self.state.effects
    }

    /// All of its state in one number, at the last index of [`Host::applied`].
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.state.whole_hash()
    }

    /// Client sessions of its state: the commands that it refuses to apply again.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.state.sessions
    }

    /// Adds to its state what does not follow from the log.
    pub(crate) fn go_astray(&mut self) {
        self.state.go_astray();
    }

    /// Whether something is in its state that does not follow from the log.
    #[must_use]
    pub fn is_astray(&self) -> bool {
        self.state.is_astray()
    }

    /// The indexes of [`Host::effects`] in the log.
    #[must_use]
    pub fn effects_at(&self) -> &[Index] {
        &self.state.effects_at
    }

    /// Loses one effect of its state, as an application that skipped the command.
    #[cfg(test)]
    pub(super) fn lose_effect(&mut self, place: usize) {
        self.state.effects.remove(place);
        self.state.effects_at.remove(place);
    }

    /// Forgets the sessions of its state.
    #[cfg(test)]
    pub(super) fn lose_sessions(&mut self) {
        self.state.sessions = Sessions::default();
    }

    /// Settings of its node.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which run of the machine this is: counted up by each start.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Run, and how often its state was replaced in it: while both stay, the state only grows.
    #[must_use]
    pub fn life(&self) -> (u64, u64) {
        (self.run, self.restores)
    }

    /// Proposals its node refused in this run, in order.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Answers to changes of the members and leadership transfers in this run, in order.
    pub fn request_results(&self) -> &[Result<(), RequestError>] {
        &self.request_results
    }

    /// Reads of this run that were answered or refused.
    #[must_use]
    pub fn reads(&self) -> &BTreeMap<ReadId, Result<Index, ReadRefusal>> {
        &self.reads
    }

    /// The simulation's time on this machine's clock.
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

    /// From `now` on the clock runs at `percent` of the true rate.
    pub(crate) fn set_clock_rate(&mut self, now: Moment, percent: u64) {
        self.ahead = self.clock(now).0.saturating_sub(now.0);
        self.rate = (percent, now);
    }

    /// When the node wants to be woken, in the simulation's time.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        let (percent, since) = self.rate;
        let at = self.node()?.wake_at().0.saturating_sub(self.ahead);
        let after = at.saturating_sub(since.0);
        let passes = (u128::from(after) * 100).div_ceil(u128::from(percent));
        Some(Moment(
            (at - after).saturating_add(u64::try_from(passes).unwrap_or(u64::MAX)),
        ))
    }

    /// Forgets what memory held.
    pub(crate) fn forget(&mut self, life: Life) {
        self.life = life;
        self.paused = false;
        self.mailbox.clear();
        self.refused.clear();
        self.request_results.clear();
        self.reads.clear();
        self.restores = 0;
        self.state = State::default();
    }

    /// Loses everything on disk: what comes back is another life of the member.
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
        (self.life, self.fresh_disk, self.damaged) = (Life::Down(disk), true, false);
    }

    /// Puts what is committed in force. Gives back the hashes of the state at every index that
    /// `hash_every` divides.
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
                            .expect("only a witness's has no state"),
                    );
                }
            }
        }
        hashes
    }

    /// The state as it is now, and the last index in it.
    pub(crate) fn save(&self) -> (Index, Bytes) {
        (Index(self.state.applied.len() as u64), self.state.save())
    }
}
