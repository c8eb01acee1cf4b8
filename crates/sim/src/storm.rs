//! A storm: a seed decides what happens to a cluster, then peace comes for a part of it, and there
//! everything must be well.
//!
//! Each seed draws its own mix of faults and settings (`storm/options.rs`). Some faults wait for
//! their moment: a crash right after the message just handled, a cut right after an election. First
//! faults (safety), then peace (liveness): a quorum is healed, and whatever is not part of it stays
//! broken for good.
//!
//! # What is not simulated
//! Sockets, QUIC, threads and the operating system: real processes are for that. The mark beside a
//! store detects that an older copy was restored. If the mark was restored with it, as in the image
//! of a whole machine, only a leader that holds later acknowledgements of that store detects it
//! (`storm/old_copy.rs`); otherwise safety is lost, as in any Raft implementation, so storms
//! restore whole machines in that case alone.

mod aimed;
mod aimed_changes;
mod clients;
mod liveness;
mod memberships;
mod nemesis;
mod network;
mod old_copy;
mod options;
mod shrink;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use raftian_raft::{NodeId, PlantedFault};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::cluster::{Host, Setup, Simulation};
use crate::counters::Counters;
use crate::disk::Backup;
use clients::Clients;
use options::{Event, Options};

pub use shrink::shrink;

/// One storm, named by its seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storm {
    /// Decides everything.
    pub seed: u64,
    /// Voters of the cluster at the beginning.
    pub nodes: u64,
    /// How many things happen before peace.
    pub events: u64,
    /// What the machines are made of.
    pub machines: Machines,
    /// Of the events that are faults only these happen; `None` leaves them all.
    pub only: Option<BTreeSet<u64>>,
    /// Lines of trace kept.
    pub trace: usize,
    /// A fault of the past that is planted in every node, with the feature `planted`.
    pub planted: Option<PlantedFault>,
}

/// What of a machine is real beside the node and its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Machines {
    /// The seed decides.
    #[default]
    Drawn,
    /// Every machine has the real store, and every message is sent as bytes.
    Everything,
    /// Disks and messages hold values, never bytes.
    Bare,
}

/// What a storm was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What happened how often.
    pub tally: Counters,
    /// Everything that happened, in one number.
    pub digest: u64,
    /// Events simulated: messages, timers, faults and calls of clients.
    pub steps: u64,
    /// Time that passed for the cluster.
    pub time: Duration,
    /// The last things that happened, one a line, as many as were to be kept.
    pub trace: String,
}

/// A storm that a cluster did not survive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was violated, with the last lines of the trace if they were kept.
    pub what: String,
    /// The faults that struck: the number of the event, and what it was.
    pub faults: Vec<(u64, String)>,
}

/// What a run of many storms must have met: a run without one of these has not tested it.
pub const RARE: [&str; 66] = [
    "asked a deposed leader beside an old copy",
    "asked a deposed leader for a read",
    "asked a leader for a change before its first commit",
    "asked for a change of members",
    "called again",
    "changed members right after an election",
    "changed one member",
    "confirmed reads",
    "corrupted a message",
    "crashed in recovery",
    "crashed in the middle of a write",
    "crashed with writes under way",
    "cut off a fresh leader",
    "cut off a leader in office",
    "cut the cluster to a bridge",
    "cut the cluster to a ring",
    "deposed a leader with a change under way",
    "entered a joint configuration",
    "elected the only node that hears a quorum",
    "filled a disk",
    "finished a slow transfer under load",
    "found a differing log",
    "gave up a call",
    "gave up handing over",
    "heard of a read",
    "installed a snapshot and kept its tail",
    "installed a snapshot in place of its log",
    "led a state astray",
    "learned of a later term behind the leader",
    "left a joint configuration",
    "left a machine cut off for good",
    "left a machine down for good",
    "left a machine that hears and is not heard",
    "left a machine that is heard and does not hear",
    "joined again after an old copy",
    "lost a disk",
    "made a clock jump",
    "made a sync fail",
    "met a stranger",
    "paused",
    "promoted a learner",
    "promoted a member under load",
    "put an old disk back",
    "read by lease",
    "received a late message of an earlier leadership",
    "refused a damaged store",
    "refused a pre-vote",
    "refused a vote",
    "refused an old store",
    "replayed an old message",
    "rolled back a change of members",
    "repaired a state that went astray",
    "saw a diverged state",
    "sent a snapshot",
    "stepped down in a later term",
    "stepped down when removed",
    "stepped down with a hung disk",
    "stepped down without quorum",
    "stood for election when asked to",
    "superseded a tail that was not written yet",
    "took a snapshot",
    "truncated one entry",
    "truncated several entries",
    "was a stranger",
    "was found linearizable by clients alone",
    "was refused a read",
];

/// Most messages on their way in a storm; beyond them the oldest is lost, as in a full buffer.
const MAX_QUEUED: usize = 256;

/// Messages of the past that may come again.
const MAX_REMEMBERED: usize = 64;

impl Storm {
    /// Events before peace unless told otherwise.
    pub const EVENTS: u64 = 2_000;

    /// The storm of a seed, of a size that the seed decides too.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let nodes = [3, 3, 5, 4, 2, 3, 5, 1, 7, 6, 3, 5][(seed % 12) as usize];
        Storm {
            seed,
            nodes,
            events: Self::EVENTS,
            machines: Machines::Drawn,
            only: None,
            trace: 0,
            planted: None,
        }
    }

    /// The command that runs it again.
    #[must_use]
    pub fn replay(&self) -> String {
        let Storm {
            seed,
            nodes,
            events,
            machines,
            only,
            ..
        } = self;
        let machines = match machines {
            Machines::Drawn => "",
            Machines::Everything => " --everything",
            Machines::Bare => " --bare",
        };
        let only = only
            .as_ref()
            .filter(|only| !only.is_empty())
            .map_or(String::new(), |only| {
                let numbers: Vec<_> = only.iter().map(u64::to_string).collect();
                format!(" --only {}", numbers.join(","))
            });
        let planted = self
            .planted
            .map_or(String::new(), |fault| format!(" --plant {}", fault.name()));
        format!(
            "cargo lab storm --seed {seed} --nodes {nodes} --events {events}{machines}{only}{planted} --trace"
        )
    }

    /// Runs the storm, then the peace after it.
    ///
    /// # Errors
    /// If a property of [`crate::invariants`] is violated, a node panics, or peace does not end
    /// with one leader, equal logs, states that follow from them, every command in effect exactly
    /// once, and a history that one copy of the data could have shown.
    pub fn run(&self) -> Result<Report, Failure> {
        let options = Options::draw(self.seed, self.nodes, self.machines, self.planted);
        let mut run = Run::new(self, options);
        let result = catch_unwind(AssertUnwindSafe(|| {
            for number in 0..self.events {
                run.event(number);
            }
            run.peace();
        }));
        match result {
            Ok(()) => {
                run.tally.add(run.cluster.tally());
                let time = Duration::from_micros(run.cluster.now().0);
                let (digest, steps, trace) = (
                    run.cluster.digest(),
                    run.cluster.steps(),
                    run.cluster.trace(),
                );
                Ok(Report {
                    digest,
                    steps,
                    time,
                    tally: run.tally,
                    trace,
                })
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(Failure {
                    what: text.unwrap_or_default(),
                    faults: run.faults,
                })
            }
        }
    }
}

struct Run {
    cluster: Simulation,
    /// A stream of its own for each event, so that leaving one out leaves the others as they are.
    rng: ChaCha8Rng,
    options: Options,
    clients: Clients,
    only: Option<BTreeSet<u64>>,
    faults: Vec<(u64, String)>,
    fresh_leader: Option<NodeId>,
    /// A new leader that refused a change until it has committed an entry of its term.
    eager: Option<NodeId>,
    /// Messages of the past, to come again much later.
    past: Vec<crate::cluster::Envelope>,
    /// Requests of leaders, to come again when the same node leads a later term.
    earlier: BTreeMap<NodeId, Vec<crate::cluster::Envelope>>,
    /// Machines whose disks are lost: they must not count in what is to survive.
    wiped: BTreeSet<NodeId>,
    /// Copies of disks, to be put back later.
    copies: BTreeMap<NodeId, Backup>,
    /// Clocks were set back by this much in all: for so long one may stand still.
    set_back: Duration,
    /// Removed machines that were switched off in peace.
    switched_off: BTreeSet<NodeId>,
    tally: Counters,
}

impl Run {
    fn new(storm: &Storm, options: Options) -> Self {
        let members = options.membership.members().len() as u64;
        let mut setup = Setup::members(options.membership.clone(), storm.seed).trace(storm.trace);
        for id in members + 1..=members + options.outsiders {
            setup = setup.outsider(id);
        }
        setup = setup.configure({
            let options = options.clone();
            move |config| options.configure(config)
        });
        setup = if options.real_store {
            setup.real_store()
        } else {
            setup
        };
        setup = if options.codec { setup.codec() } else { setup };
        if let Some(entries) = options.hash_every {
            setup = setup.hash_every(entries);
        }
        Run {
            cluster: Simulation::new(setup),
            rng: ChaCha8Rng::seed_from_u64(
                storm
                    .seed
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(1),
            ),
            clients: Clients::new(options.clients, options.keys),
            options,
            only: storm.only.clone(),
            faults: Vec::new(),
            fresh_leader: None,
            eager: None,
            past: Vec::new(),
            earlier: BTreeMap::new(),
            wiped: BTreeSet::new(),
            copies: BTreeMap::new(),
            set_back: Duration::ZERO,
            switched_off: BTreeSet::new(),
            tally: Counters::default(),
        }
    }

    /// One thing happens, and a little time passes.
    fn event(&mut self, number: u64) {
        self.rng.set_stream(number);
        self.rng.set_word_pos(0);
        let pace = self.options.pace.as_micros() as u64;
        let passes = self.rng.random_range(0..=2 * pace);
        self.drift(passes);
        self.cluster.advance(Duration::from_micros(passes));
        while self.cluster.queued().len() > MAX_QUEUED {
            self.cluster.drop_at(0);
        }
        let event = self.options.pick(self.rng.random_range(0.0..1.0));
        match event {
            Event::Deliver => self.deliver(number),
            Event::Propose => {
                self.clients
                    .call(&mut self.cluster, &mut self.rng, false, &mut self.tally)
            }
            Event::Read => {
                let lease = self.options.lease_reads && self.rng.random_bool(0.5);
                self.clients
                    .read(&mut self.cluster, &mut self.rng, lease, &mut self.tally);
            }
            fault => {
                if self.strikes(number) {
                    // Recorded before it strikes: it may be the one that sinks the cluster.
                    self.faults.push((number, format!("{fault:?}")));
                    match self.fault(fault) {
                        Some(what) => {
                            self.faults.last_mut().expect("it was just recorded").1 = what
                        }
                        None => drop(self.faults.pop()),
                    }
                }
            }
        }
        let before = self.fresh_leader;
        self.cut_off_fresh_leader(number);
        self.change_fresh_leader(number, before);
        self.clients.hear(&self.cluster, &mut self.tally);
    }

    /// Whether a fault may strike as this event: all may, unless only some of them are to be
    /// replayed.
    fn strikes(&self, number: u64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&number))
    }

    /// Clocks run differently: odd ones faster, even ones slower.
    fn drift(&mut self, passes: u64) {
        let parts = passes as i64 * self.options.drift / 1_000_000;
        if parts != 0 {
            for id in self.cluster.ids() {
                self.cluster
                    .jump_clock(id, if id.0 % 2 == 1 { parts } else { -parts });
            }
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn any(&mut self, which: impl Fn(&Simulation, NodeId) -> bool) -> Option<NodeId> {
        let fitting = || {
            self.cluster
                .hosts()
                .map(Host::id)
                .filter(|id| which(&self.cluster, *id))
        };
        let count = fitting().count();
        if count == 0 {
            return None;
        }
        let place = self.rng.random_range(0..count);
        fitting().nth(place)
    }
}
