//! One machine: its node, its disk, its clock, and the state machine above.

use raftian_raft::{
    Actions, Command, Config, Entry, HardState, Input, Moment, Node, NodeId, Payload, Refused, Restored, Sessions,
    Verdict,
};

use super::disk::SimDisk;

/// One machine of a simulated cluster.
#[derive(Debug)]
pub struct Host {
    pub(crate) config: Config,
    pub(crate) run: u64,
    pub(crate) life: Life,
    pub(crate) disk: SimDisk,
    /// How far this machine's clock is ahead of the simulation's, in microseconds.
    pub(crate) ahead: u64,
    pub(crate) refused: Vec<Refused>,
    pub(crate) recordings: Vec<Recording>,
    applied: Vec<Entry>,
    sessions: Sessions,
    effects: Vec<Command>,
}

/// Whether a machine runs.
#[derive(Debug)]
pub(crate) enum Life {
    Up(Box<Node>),
    Down,
    /// The node broke an invariant of its own and stopped.
    Panicked(String),
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

/// One thing that happened to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// It was stepped.
    Stepped(Moment, Input),
    /// It was asked for its actions and gave these.
    Acted(Actions),
}

impl Host {
    pub(crate) fn new(config: Config, image: Restored, ahead: u64) -> Self {
        Host {
            config,
            run: 0,
            life: Life::Down,
            disk: SimDisk::new(image),
            ahead,
            refused: Vec::new(),
            recordings: Vec::new(),
            applied: Vec::new(),
            sessions: Sessions::default(),
            effects: Vec::new(),
        }
    }

    /// Its node, if the machine runs.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        match &self.life {
            Life::Up(node) => Some(node),
            Life::Down | Life::Panicked(_) => None,
        }
    }

    pub(crate) fn node_mut(&mut self) -> Option<&mut Node> {
        match &mut self.life {
            Life::Up(node) => Some(node),
            Life::Down | Life::Panicked(_) => None,
        }
    }

    /// Why its node stopped by itself, if it did.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.life {
            Life::Panicked(message) => Some(message),
            Life::Up(_) | Life::Down => None,
        }
    }

    /// Which machine it is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// What its disk holds, without the writes under way.
    #[must_use]
    pub fn image(&self) -> &Restored {
        self.disk.image()
    }

    /// Writes that its disk has not done yet.
    #[must_use]
    pub fn writes_under_way(&self) -> usize {
        self.disk.pending()
    }

    /// Every entry applied in this run, in order.
    #[must_use]
    pub fn applied(&self) -> &[Entry] {
        &self.applied
    }

    /// Commands that took effect in this run, in order: repeats left out.
    #[must_use]
    pub fn effects(&self) -> &[Command] {
        &self.effects
    }

    /// Proposals its node refused in this run, in order.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Recordings of its runs, if the simulation records.
    #[must_use]
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// The simulation's time on this machine's clock.
    pub(crate) fn clock(&self, now: Moment) -> Moment {
        Moment(now.0.saturating_add(self.ahead))
    }

    /// When the node wants to be woken, in the simulation's time.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        self.node().map(|node| Moment(node.wake_at().0.saturating_sub(self.ahead)))
    }

    /// Forgets what memory held.
    pub(crate) fn forget(&mut self, life: Life) {
        self.life = life;
        self.applied.clear();
        self.effects.clear();
        self.refused.clear();
        self.sessions = Sessions::default();
    }

    /// Loses everything on disk.
    pub(crate) fn wipe(&mut self) {
        self.disk = SimDisk::new(Restored { hard_state: HardState::default(), entries: Vec::new() });
    }

    /// The state machine of the simulation: it remembers what it applied, each command once.
    pub(crate) fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if let Payload::Command(command) = &entry.payload
                && self.sessions.admit(command.client, command.sequence) == Verdict::Apply
            {
                self.effects.push(command.clone());
            }
            self.applied.push(entry);
        }
    }
}
