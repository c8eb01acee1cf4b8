//! Randomized simulation of a cluster: a fault-injection phase (safety), then a liveness phase in
//! which a quorum is healed and must converge.
//!
//! Each seed draws its own mix of faults and settings (`storm/options.rs`). Some faults are aimed:
//! a crash right after a message was handled, a cut right after an election. In the liveness phase
//! every machine outside the healed quorum stays broken for good.
//!
//! # Not simulated
//! Sockets, QUIC, threads and the operating system; tests with real processes cover them. The
//! rollback guard next to a store detects that an older copy was restored. If the guard was
//! restored with it, as in the image of a whole machine, only a leader that holds later
//! acknowledgements of that store detects it (`storm/old_copy.rs`); otherwise safety is lost, as in
//! any Raft implementation, so storms restore whole machines in that case alone.

mod aimed;
mod aimed_changes;
mod aimed_lease;
mod clients;
mod failure;
mod liveness;
mod memberships;
mod moves;
mod nemesis;
mod network;
mod old_copy;
mod options;
mod players;
mod records;
mod shrink;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use raftian_raft::{NodeId, PlantedBug};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::cluster::{Host, Setup, Simulation};
use crate::coverage::{Counters, Mark};
use crate::disk::Backup;
use crate::splitmix::mixed;
use clients::Clients;
use options::{Event, Options};

pub use failure::{Cause, Failure, NotConverged};
pub use shrink::shrink;

/// Parameters of one storm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storm {
    /// Seed; the run is a function of it and the other parameters.
    pub seed: u64,
    /// Initial number of voters.
    pub nodes: u64,
    /// Number of events before the liveness phase.
    pub events: u64,
    /// Parts of a machine that are real.
    pub machines: Machines,
    /// Numbers of the fault events to inject; `None` injects all.
    pub only: Option<BTreeSet<u64>>,
    /// Lines of trace kept.
    pub trace: usize,
    /// Past bug injected into every node, with the feature `planted`.
    pub planted: Option<PlantedBug>,
}

/// Parts of a machine that are real, in addition to the node and its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Machines {
    /// Drawn from the seed.
    #[default]
    Drawn,
    /// Every machine has the real store, and every message is encoded to bytes.
    Everything,
    /// Disks and messages hold values, never bytes.
    Bare,
}

/// Result of a storm without a failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Counters of decisions and faults.
    pub counters: Counters,
    /// Hash of all events.
    pub digest: u64,
    /// Events simulated: messages, timers, faults and client calls.
    pub steps: u64,
    /// Simulated time.
    pub time: Duration,
    /// Last [`Storm::trace`] events, one per line.
    pub trace: String,
}

/// Marks that a run of many storms must have counted; one at zero has not been tested.
pub const RARE: [Mark; 89] = [
    Mark::BalancedVotes,
    Mark::CorrectedFileOfFounder,
    Mark::MovedAddress,
    Mark::RecordedAddress,
    Mark::RefusedNewStoreUnderGuard,
    Mark::ReplacedIncarnation,
    Mark::SawOtherFounders,
    Mark::JoinedByInvite,
    Mark::RecordedInvite,
    Mark::RevokedInvite,
    Mark::ReturnedToMatch,
    Mark::WasRefusedByMatch,
    Mark::VotedOnMember,
    Mark::AdoptedFoundingAsFounder,
    Mark::AdoptedFoundingAsOutsider,
    Mark::AdoptedFoundingWithNewDisk,
    Mark::DemotedSilentVoter,
    Mark::FoundedCluster,
    Mark::AskedDeposedLeaderForRead,
    Mark::AskedLeaderForChangeBeforeItsFirstCommit,
    Mark::AskedForChangeOfMembers,
    Mark::RetriedCall,
    Mark::ChangedMembersRightAfterElection,
    Mark::ChangedOneMember,
    Mark::ConfirmedReads,
    Mark::CorruptedMessage,
    Mark::CrashedInRecovery,
    Mark::CrashedInMiddleOfWrite,
    Mark::CrashedWithWritesUnderWay,
    Mark::CutOffFreshLeader,
    Mark::CutOffLeader,
    Mark::CutClusterToBridge,
    Mark::CutClusterToRing,
    Mark::DeposedLeaderWithChangeUnderWay,
    Mark::EnteredJointConfiguration,
    Mark::ElectedOnlyNodeConnectedToQuorum,
    Mark::FilledDisk,
    Mark::FinishedSlowTransferUnderLoad,
    Mark::FoundDifferingLog,
    Mark::GaveUpCall,
    Mark::AbortedLeadershipTransfer,
    Mark::AddedMemberWithContact,
    Mark::ReceivedReadResult,
    Mark::InstalledSnapshotAndKeptItsTail,
    Mark::InstalledSnapshotInPlaceOfItsLog,
    Mark::MadeStateDiverge,
    Mark::LearnedOfLaterTermBehindLeader,
    Mark::LeftJointConfiguration,
    Mark::LeftMachineCutOffForGood,
    Mark::LeftMachineDownForGood,
    Mark::LeftMachineThatReceivesButCannotSend,
    Mark::LeftMachineThatSendsButCannotReceive,
    Mark::RejoinedAfterItsDiskWasRestored,
    Mark::LostDisk,
    Mark::MadeClockJump,
    Mark::MadeSyncFail,
    Mark::ReceivedMessageFromUnknownIncarnation,
    Mark::Paused,
    Mark::PromotedLearner,
    Mark::PromotedMemberUnderLoad,
    Mark::ReadByLease,
    Mark::ReceivedLateMessageOfEarlierLeadership,
    Mark::RecordedContacts,
    Mark::RecordedContactsDuringChange,
    Mark::RefusedDamagedStore,
    Mark::RefusedPreVote,
    Mark::RefusedVote,
    Mark::RefusedOldStore,
    Mark::ReplayedOldMessage,
    Mark::RolledBackMembershipChange,
    Mark::RepairedDivergedState,
    Mark::ReplacedDivergedState,
    Mark::SawDivergedState,
    Mark::SentSnapshot,
    Mark::SteppedDownInLaterTerm,
    Mark::SteppedDownWhenRemoved,
    Mark::SteppedDownWithHungDisk,
    Mark::SteppedDownWithoutQuorum,
    Mark::StoodForElectionInTransfer,
    Mark::SupersededUnwrittenTail,
    Mark::TookSnapshot,
    Mark::TruncatedOneEntry,
    Mark::TruncatedSeveralEntries,
    Mark::WasAddressedUnderAnotherIncarnation,
    Mark::WasFoundLinearizableByWglSearch,
    Mark::WasRefusedRead,
    Mark::OrderedInCrowns,
    Mark::PlayedCrowns,
    Mark::EndedCrowns,
];

/// Marks that occur less than 20 times in 1,000 storms, so that only a long run must have counted
/// them.
pub const RAREST: [Mark; 9] = [
    Mark::TransferredFromSpectator,
    Mark::MovedAllInTurn,
    Mark::ReturnedToMatchUnderAnotherId,
    Mark::ReturnedToMatchWithNewDisk,
    Mark::AskedDeposedLeaderNextToRestoredDisk,
    Mark::CutOffLeaderBeforeItMeasuredRoundTrip,
    Mark::SawOtherRecordOfFounders,
    Mark::PutOldDiskBack,
    Mark::SawFounderReplacedBeforeFounding,
];

/// Most messages in flight; beyond them the oldest is dropped, as by a full buffer.
const MAX_QUEUED: usize = 256;

/// Most old messages kept for replay.
const MAX_REMEMBERED: usize = 64;

impl Storm {
    /// Default number of events before the liveness phase.
    pub const EVENTS: u64 = 2_000;

    /// Returns the default storm of a seed; the cluster size depends on the seed too.
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

    /// Returns the command that replays the storm.
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
        let (program, planted) = match self.planted {
            // The alias ends where a feature would have to be named.
            Some(fault) => (
                "cargo run --release -p raftian-lab --features planted --",
                format!(" --plant {}", fault.name()),
            ),
            None => ("cargo lab", String::new()),
        };
        format!(
            "{program} storm --seed {seed} --nodes {nodes} --events {events}\
             {machines}{only}{planted} --trace"
        )
    }

    /// Runs the fault-injection phase, then the liveness phase.
    ///
    /// # Errors
    /// Fails if a property of [`crate::invariants`] is violated, a node panics, or the liveness
    /// phase does not end with one leader, equal logs, states that follow from them, every command
    /// applied exactly once, and a linearizable history.
    pub fn run(&self) -> Result<Report, Failure> {
        let options = Options::draw(self.seed, self.nodes, self.machines, self.planted);
        let mut run = Run::new(self, options);
        let result = catch_unwind(AssertUnwindSafe(|| {
            for number in 0..self.events {
                run.event(number);
            }
            run.liveness_phase()
        }));
        let cause = match result {
            Ok(Ok(())) => {
                run.counters.add(run.cluster.counters());
                let time = Duration::from_micros(run.cluster.now().0);
                let digest = run.cluster.digest();
                let steps = run.cluster.steps();
                let trace = run.cluster.trace();
                return Ok(Report {
                    digest,
                    steps,
                    time,
                    counters: run.counters,
                    trace,
                });
            }
            Ok(Err(cause)) => cause,
            // The cluster panics over a violation in order to leave the storm at once.
            Err(panic) => match run.cluster.violation() {
                Some(violation) => Cause::Violated(violation.clone()),
                None => Cause::panicked(&*panic),
            },
        };
        Err(Failure {
            cause,
            trace: run.cluster.trace(),
            faults: run.faults,
        })
    }
}

/// Share of storms in which the clients play the game: one in this many.
const STORMS_PER_GAME: u64 = 5;

/// A generator of orders for some seeds. It has its own stream, so that the others stay as they
/// are.
fn orders(seed: u64) -> Option<ChaCha8Rng> {
    let drawn = mixed(seed ^ 0x0063_726f_776e_7300);
    drawn
        .is_multiple_of(STORMS_PER_GAME)
        .then(|| ChaCha8Rng::seed_from_u64(drawn))
}

struct Run {
    cluster: Simulation,
    /// RNG with a separate stream per event, so that omitting one leaves the others unchanged.
    rng: ChaCha8Rng,
    options: Options,
    clients: Clients,
    only: Option<BTreeSet<u64>>,
    faults: Vec<(u64, String)>,
    fresh_leader: Option<NodeId>,
    /// New leader that refused a change because it had not committed an entry of its term yet.
    eager: Option<NodeId>,
    /// Old messages, to be replayed much later.
    past: Vec<crate::cluster::Envelope>,
    /// Requests of leaders, to be replayed when the same node leads a later term.
    earlier: BTreeMap<NodeId, Vec<crate::cluster::Envelope>>,
    /// Machines with a lost disk; they do not count towards a surviving quorum.
    wiped: BTreeSet<NodeId>,
    /// Copies of disks, to be restored later.
    copies: BTreeMap<NodeId, Backup>,
    /// Total time by which clocks were set back, and the longest that one may stall.
    set_back: Duration,
    /// Machines that were admitted to the match.
    admitted: BTreeSet<NodeId>,
    /// Removed machines that were switched off in the liveness phase.
    switched_off: BTreeSet<NodeId>,
    counters: Counters,
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
        // After the outsiders, which learn the founding too.
        if options.founders_agree {
            setup = setup.founders_agree();
        }
        if let Some((id, listed)) = options.differing.clone() {
            setup = setup.differing_file(id, listed);
        }
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
            // Options are drawn from the plain seed; these draws must be independent of them.
            rng: ChaCha8Rng::seed_from_u64(
                storm
                    .seed
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(1),
            ),
            clients: Clients::new(options.clients, options.keys, orders(storm.seed)),
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
            admitted: BTreeSet::new(),
            switched_off: BTreeSet::new(),
            counters: Counters::default(),
        }
    }

    /// Lets a little time pass, then performs one event.
    fn event(&mut self, number: u64) {
        // The stream of this event, regardless of how much earlier events drew.
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
                    .call(&mut self.cluster, &mut self.rng, false, &mut self.counters)
            }
            Event::Read => {
                let lease = self.options.lease_reads && self.rng.random_bool(0.5);
                self.clients
                    .read(&mut self.cluster, &mut self.rng, lease, &mut self.counters);
            }
            fault => {
                if self.is_selected(number) {
                    // Recorded first: injecting the fault may panic, and the report needs it.
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
        self.clients
            .collect_answers(&self.cluster, &mut self.counters);
    }

    /// Returns whether a fault may be injected at this event; a replay may restrict them.
    fn is_selected(&self, number: u64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&number))
    }

    /// Applies clock drift: odd machines run fast, even ones slow.
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
