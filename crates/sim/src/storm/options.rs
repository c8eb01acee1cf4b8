//! Swarm testing: settings and fault rates drawn per seed, because uniform faults miss corner
//! cases.

use std::time::Duration;

use raftian_raft::{Config, Incarnation, Membership, NodeId, PlantedBug, Standing};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Machines;

/// Factor of [`Options::duel_patience`].
const DUEL_TIMEOUTS: f64 = 600.0;

/// Settings of the nodes and rates of the faults.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Mean time between two events.
    pub(super) pace: Duration,
    /// Probability that a message overtakes others.
    pub(super) reorder: f64,
    /// Probability that a message is lost.
    pub(super) lose: f64,
    /// Probability that a message is duplicated at once.
    pub(super) repeat: f64,
    /// Probability that an old message is replayed.
    pub(super) replay: f64,
    /// Probability that bytes of a message are corrupted in flight.
    pub(super) corrupt: f64,
    /// Probability that a node crashes right after a message.
    pub(super) crash_after_message: f64,
    /// Probability that a new leader is cut off.
    pub(super) cut_fresh_leader: f64,
    /// Probability that a new leader receives a membership change at once.
    pub(super) change_fresh_leader: f64,
    pub(super) election_timeout: (Duration, Duration),
    /// Clock drift, plus or minus, in parts per million.
    pub(super) drift: i64,
    /// Initial membership.
    pub(super) membership: Membership,
    /// Whether the founders agree on their incarnations first.
    pub(super) founders_agree: bool,
    /// Number of machines that are not initial members.
    pub(super) outsiders: u64,
    /// Whether machines have the real store on a disk of bytes instead of a disk of values.
    pub(super) real_store: bool,
    /// Whether messages travel as bytes.
    pub(super) codec: bool,
    /// Number of clients.
    pub(super) clients: u64,
    /// Number of keys that the clients share.
    pub(super) keys: u32,
    pub(super) lease_reads: bool,
    /// Entries from one state hash to the next, if states are compared.
    pub(super) hash_every: Option<u64>,
    /// Whether machines move to other addresses, in a match with players.
    pub(super) moves: bool,
    /// Two machines of one player, of which only one may be a member.
    pub(super) shared_key: Option<(NodeId, NodeId)>,
    /// A founder whose file lists other founders, and that list.
    pub(super) differing: Option<(NodeId, Membership)>,
    /// Whether contacts are recorded, and members added with one.
    pub(super) records: bool,
    /// Whether requests of leaders are kept for replay when the same node leads a later term.
    pub(super) keeps_requests: bool,
    weights: Vec<(Event, f64)>,
    config: Config,
    priorities: Vec<u8>,
}

/// An event of the fault-injection phase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Event {
    Deliver,
    Propose,
    Read,
    Cut,
    Heal,
    Crash,
    Restart,
    HoldDisk,
    ReleaseDisk,
    FailDisk,
    FillDisk,
    Wipe,
    Rot,
    Pause,
    Resume,
    JumpClock,
    TransferLeadership,
    Campaign,
    Compact,
    ChangeMembers,
    Diverge,
    PutBack,
    ReplayEarlier,
    CutLeader,
    SupersedeTail,
    LaterTerm,
    OverlapChanges,
    RecordContacts,
    AskAboutMatch,
    MoveAddress,
    CorrectFile,
}

/// Draws a value uniform in its logarithm, so that every order of magnitude is equally likely.
fn log_uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    (rng.random_range(low.ln()..high.ln())).exp()
}

/// Draws a fault rate, zero in half of the storms.
fn sometimes(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    if rng.random_bool(0.5) {
        log_uniform(rng, low, high)
    } else {
        0.0
    }
}

/// Decides whether machines have a part that drawn ones have with probability `chance`. Bare ones
/// consume a draw too, so that their other options stay those of the seed.
fn has(machines: Machines, rng: &mut ChaCha8Rng, chance: f64) -> bool {
    match machines {
        Machines::Everything => true,
        Machines::Drawn => rng.random_bool(chance),
        Machines::Bare => {
            let _left_out = rng.random_bool(chance);
            false
        }
    }
}

impl Options {
    pub(super) fn draw(
        seed: u64,
        nodes: u64,
        machines: Machines,
        planted: Option<PlantedBug>,
    ) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let membership = members(rng, nodes);
        let learners = membership.learners().count() as u64;
        let shortest = Duration::from_millis(log_uniform(rng, 20.0, 400.0) as u64);
        let election_timeout = (shortest, shortest.mul_f64(log_uniform(rng, 1.2, 3.0)));
        let lease_reads = rng.random_bool(0.4);
        // Leases require clocks that do not jump and differ in rate by less than a tenth.
        let bad_clocks = !lease_reads && rng.random_bool(0.3);
        let drift = if bad_clocks {
            100_000
        } else {
            [0, 40_000][usize::from(rng.random_bool(0.5))]
        };
        let cut = sometimes(rng, 0.001, 0.02);
        let hold = sometimes(rng, 0.001, 0.05);
        let pause = sometimes(rng, 0.001, 0.01);
        let real_store = has(machines, rng, 0.15);
        let bytes = if real_store { 1.0 } else { 0.0 };
        let mut weights = vec![
            (Event::Propose, log_uniform(rng, 0.01, 0.3)),
            (Event::Read, sometimes(rng, 0.01, 0.2)),
            (Event::Cut, cut),
            (Event::Heal, cut * 0.7),
            (Event::Crash, sometimes(rng, 0.001, 0.02)),
            (Event::Restart, 0.03),
            (Event::HoldDisk, hold),
            (Event::ReleaseDisk, hold * 2.0),
            (Event::FailDisk, bytes * sometimes(rng, 0.001, 0.01)),
            (Event::FillDisk, bytes * sometimes(rng, 0.001, 0.01)),
            (Event::Wipe, sometimes(rng, 0.000_5, 0.003)),
            (Event::Rot, bytes * sometimes(rng, 0.002, 0.01)),
            (Event::Pause, pause),
            (Event::Resume, pause * 1.5),
            (Event::JumpClock, if bad_clocks { 0.005 } else { 0.0 }),
            (Event::TransferLeadership, sometimes(rng, 0.001, 0.02)),
            (Event::Campaign, sometimes(rng, 0.001, 0.02)),
            (Event::Compact, sometimes(rng, 0.001, 0.05)),
            (Event::ChangeMembers, sometimes(rng, 0.002, 0.05)),
            (Event::Deliver, 1.0),
        ];
        // A separate RNG, so that old failing seeds keep reproducing the same storm.
        let rng_of_states = &mut ChaCha8Rng::seed_from_u64(!seed);
        let hash_every = rng_of_states
            .random_bool(0.3)
            .then(|| log_uniform(rng_of_states, 1.0, 50.0) as u64);
        let corrupt = sometimes(rng_of_states, 0.001, 0.05);
        if hash_every.is_some() {
            weights.push((Event::Diverge, sometimes(rng_of_states, 0.000_5, 0.005)));
        }
        if real_store {
            // A separate RNG again: the draws for corruption and states stay the same.
            let rng_of_copies =
                &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(32) ^ (u64::MAX / 3));
            weights.push((Event::PutBack, sometimes(rng_of_copies, 0.001, 0.01)));
        }
        let rng_of_aims = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(16) ^ (u64::MAX / 5));
        let replay_earlier = sometimes(rng_of_aims, 0.002, 0.05);
        weights.push((Event::ReplayEarlier, replay_earlier));
        weights.push((Event::CutLeader, sometimes(rng_of_aims, 0.001, 0.02)));
        weights.push((Event::SupersedeTail, sometimes(rng_of_aims, 0.001, 0.01)));
        let later_term = sometimes(rng_of_aims, 0.001, 0.01);
        weights.push((Event::LaterTerm, later_term));
        // A separate RNG: the other draws of a seed stay the same.
        let rng_of_changes = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(48) ^ (u64::MAX / 11));
        weights.push((
            Event::OverlapChanges,
            sometimes(rng_of_changes, 0.000_5, 0.005),
        ));
        let change_fresh_leader = sometimes(rng_of_changes, 0.02, 0.8);
        // A separate RNG: storms without records stay the same.
        let rng_of_records = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(24) ^ (u64::MAX / 19));
        let record = sometimes(rng_of_records, 0.002, 0.05);
        // A separate RNG: storms without players stay the same. The annex of a match with players
        // is its record, so nothing else is recorded there.
        let rng_of_players = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(12) ^ (u64::MAX / 23));
        let players = rng_of_players.random_bool(0.25);
        let (record, ask) = if players {
            (0.0, log_uniform(rng_of_players, 0.005, 0.05))
        } else {
            (record, 0.0)
        };
        weights.push((Event::RecordContacts, record));
        weights.push((Event::AskAboutMatch, ask));
        // A separate RNG: storms without moves stay the same.
        let rng_of_moves = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(20) ^ (u64::MAX / 29));
        let moves = players && rng_of_moves.random_bool(0.5);
        if moves {
            weights.push((Event::MoveAddress, log_uniform(rng_of_moves, 0.001, 0.01)));
        }
        let mut config = settings(rng, membership.clone(), election_timeout, lease_reads);
        let rng_of_log = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(32) ^ (u64::MAX / 13));
        let is_bounded = config.snapshot_entries.is_some() && rng_of_log.random_bool(0.3);
        config.max_log_bytes =
            is_bounded.then(|| log_uniform(rng_of_log, 300.0, 20_000.0) as usize);
        if let Some((_, ceiling)) = config.adaptive_timeout {
            // Any floor that the configuration check accepts.
            let floor = config
                .heartbeat
                .mul_f64(log_uniform(rng_of_aims, 1.05, 12.0))
                .min(ceiling / 2);
            let beyond = planted == Some(PlantedBug::DrawsBelowFloor);
            config.adaptive_timeout = Some((
                if beyond {
                    floor
                } else {
                    floor.min(election_timeout.0)
                },
                ceiling,
            ));
        }
        #[cfg(feature = "planted")]
        {
            config.planted = planted;
        }
        let priorities = (0..16).map(|_| rng.random_range(0..3)).collect();
        // A separate RNG: the other draws of a seed stay the same.
        let rng_of_founding = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(8) ^ (u64::MAX / 17));
        let may_agree = membership.members().all(|(_, member)| member.may_lead());
        let founders_agree = may_agree && rng_of_founding.random_bool(0.2);
        let mut options = Options {
            pace: shortest.div_f64(log_uniform(rng, 10.0, 200.0)),
            reorder: sometimes(rng, 0.01, 1.0),
            lose: sometimes(rng, 0.005, 0.3),
            repeat: sometimes(rng, 0.005, 0.5),
            replay: sometimes(rng, 0.001, 0.05),
            corrupt,
            crash_after_message: sometimes(rng, 0.001, 0.03),
            cut_fresh_leader: sometimes(rng, 0.01, 0.6),
            change_fresh_leader,
            election_timeout,
            drift,
            outsiders: rng.random_range(0..=2) + u64::from(learners == 0 && rng.random_bool(0.3)),
            moves,
            shared_key: None,
            differing: None,
            founders_agree,
            membership,
            real_store,
            codec: has(machines, rng, 0.3),
            clients: log_uniform(rng, 1.0, 16.0) as u64,
            keys: log_uniform(rng, 1.0, 20.0) as u32,
            lease_reads,
            hash_every,
            records: record > 0.0,
            keeps_requests: replay_earlier > 0.0 || later_term > 0.0,
            weights,
            config,
            priorities: if rng.random_bool(0.3) {
                priorities
            } else {
                Vec::new()
            },
        };
        if options.founders_agree && rng_of_founding.random_bool(0.3) {
            options.differing =
                differing_file(rng_of_founding, &options.membership, options.outsiders);
            let weight = log_uniform(rng_of_founding, 0.002, 0.05);
            options.weights.push((Event::CorrectFile, weight));
        }
        let members = options.membership.members().len() as u64;
        if players && options.outsiders >= 2 && rng_of_moves.random_bool(0.7) {
            options.shared_key = Some((NodeId(members + 1), NodeId(members + 2)));
        }
        options
    }

    pub(super) fn configure(&self, config: &mut Config) {
        let id = config.id;
        let membership = config.membership.clone();
        let seed = config.seed;
        let priority = self
            .priorities
            .get(id.0 as usize % 16)
            .copied()
            .unwrap_or_default();
        *config = Config {
            id,
            membership,
            seed,
            priority,
            ..self.config.clone()
        };
    }

    /// Time that a duel of candidates exceeds in at most one storm in 10^9.
    ///
    /// Without pre-vote a node that cannot win raises the term of one that can and does not send
    /// its requests to it, for example because their memberships differ. The node that can win must
    /// then time out twice while no rival does. The distance between the timers of two nodes is a
    /// random walk whose steps are differences of two timeouts. So the number of timeouts in a duel
    /// grows with the square of their mean over their spread: one duel in 10^9 is longer than about
    /// 100 times that square against one rival, and 500 times against two (see the test).
    pub(super) fn duel_patience(&self) -> Duration {
        let (shortest, longest) = self.election_timeout;
        let mean = (shortest + longest).as_secs_f64() / 2.0;
        let spread = (longest - shortest).as_secs_f64();
        longest.mul_f64(DUEL_TIMEOUTS * (mean / spread).powi(2))
    }

    /// Returns whether clocks jump or drift more than leases tolerate.
    pub(super) fn has_bad_clocks(&self) -> bool {
        self.drift >= 100_000
    }

    /// Maps a number from 0 to 1 to an event, in proportion to the weights.
    pub(super) fn pick(&self, place: f64) -> Event {
        let mut rest = place * self.weights.iter().map(|(_, weight)| weight).sum::<f64>();
        for (event, weight) in &self.weights {
            if rest < *weight {
                return *event;
            }
            rest -= weight;
        }
        // Reached only by rounding.
        Event::Deliver
    }
}

/// Draws a membership of `nodes` voters, sometimes one of them a witness, sometimes with learners.
fn members(rng: &mut ChaCha8Rng, nodes: u64) -> Membership {
    let witness =
        (nodes >= 3 && rng.random_bool(0.15)).then(|| NodeId(rng.random_range(1..=nodes)));
    let learners = if rng.random_bool(0.3) {
        rng.random_range(1..=2)
    } else {
        0
    };
    let standing = |id: NodeId| match id {
        id if Some(id) == witness => Standing::Witness,
        id if id.0 > nodes => [Standing::Learner, Standing::Joining][(id.0 % 2) as usize],
        _ => Standing::Voter,
    };
    let members = (1..=nodes + learners)
        .map(NodeId)
        .map(|id| (id, Incarnation::default(), standing(id)));
    Membership::of(members).expect("a storm has a voter")
}

/// Draws a founder whose file lists one founder more or less than the files of the others; `None`
/// if there is no machine to add or leave out.
fn differing_file(
    rng: &mut ChaCha8Rng,
    membership: &Membership,
    outsiders: u64,
) -> Option<(NodeId, Membership)> {
    let mut listed: Vec<_> = membership.members().map(|(id, _)| id).collect();
    let founder = listed[rng.random_range(0..listed.len())];
    let others: Vec<_> = listed.iter().copied().filter(|id| *id != founder).collect();
    if outsiders > 0 && rng.random_bool(0.5) {
        listed.push(NodeId(listed.len() as u64 + 1));
    } else if others.len() < 2 {
        // A founder that lists itself alone founds a cluster of its own.
        return None;
    } else {
        let left_out = others[rng.random_range(0..others.len())];
        listed.retain(|id| *id != left_out);
    }
    let membership = Membership::new(listed).expect("a file lists its own machine");
    Some((founder, membership))
}

fn settings(
    rng: &mut ChaCha8Rng,
    membership: Membership,
    election_timeout: (Duration, Duration),
    lease_reads: bool,
) -> Config {
    let heartbeat = election_timeout.0 / 3;
    let mut config = Config::new(NodeId(1), membership, 0);
    config.election_timeout = election_timeout;
    config.heartbeat = heartbeat;
    config.lease_reads = lease_reads;
    // Leases require check-quorum.
    config.check_quorum = lease_reads || rng.random_bool(0.75);
    config.pre_vote = rng.random_bool(0.75);
    // Adaptive timeouts require pre-vote.
    let adaptive = rng.random_bool(0.2) && config.pre_vote;
    config.adaptive_timeout = adaptive.then(|| (heartbeat * 2, election_timeout.1 * 2));
    config.disk_timeout = election_timeout.1 * 2;
    config.max_append_entries = log_uniform(rng, 1.0, 64.0) as usize;
    config.inflight_messages = log_uniform(rng, 1.0, 32.0) as usize;
    config.inflight_bytes = log_uniform(rng, 100.0, 100_000.0) as usize;
    config.max_uncommitted_entries = log_uniform(rng, 4.0, 1000.0) as usize;
    config.apply_window = log_uniform(rng, 1.0, 1000.0) as usize;
    config.snapshot_entries = rng
        .random_bool(0.6)
        .then(|| log_uniform(rng, 5.0, 300.0) as u64);
    config.snapshot_bytes = rng
        .random_bool(0.2)
        .then(|| log_uniform(rng, 500.0, 20_000.0) as usize);
    config.snapshot_keep = rng.random_range(0..50);
    config.snapshot_chunk = log_uniform(rng, 32.0, 65_536.0) as usize;
    config.snapshot_inflight = rng.random_range(1..=8);
    config.promote_after = election_timeout.1 * rng.random_range(1..10);
    config.max_reads = log_uniform(rng, 1.0, 100.0) as usize;
    config.vanish_after = rng
        .random_bool(0.3)
        .then(|| election_timeout.1 * rng.random_range(2..20));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the timeouts of a candidate until it times out twice while none of its rivals does.
    fn duel(rng: &mut ChaCha8Rng, rivals: usize, timeout: &std::ops::Range<f64>) -> usize {
        let mut candidate = rng.random_range(timeout.clone());
        let mut rivals: Vec<_> = (0..rivals)
            .map(|_| rng.random_range(0.0..timeout.end))
            .collect();
        for timeouts in 0.. {
            for rival in &mut rivals {
                while *rival <= candidate {
                    *rival += rng.random_range(timeout.clone());
                }
            }
            let next = candidate + rng.random_range(timeout.clone());
            if rivals.iter().all(|rival| *rival > next) {
                return timeouts;
            }
            candidate = next;
        }
        unreachable!("the range has no end")
    }

    #[test]
    fn duels_exceed_duel_patience_at_most_once_in_a_billion() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (rivals, ratio) in [(1, 1.2), (1, 2.0), (1, 3.0), (2, 1.2), (2, 1.5), (2, 3.0)] {
            let shortest = Duration::from_millis(100);
            let longest = shortest.mul_f64(ratio);
            let options = Options {
                election_timeout: (shortest, longest),
                ..Options::draw(1, 3, Machines::Bare, None)
            };
            let mut lengths: Vec<_> = (0..2_000)
                .map(|_| duel(&mut rng, rivals, &(1.0..ratio)))
                .collect();
            lengths.sort_unstable();
            // One duel in five is longer than the first, one in fifty longer than the second. The
            // tail is exponential, so each further such step leaves a tenth.
            let fifth = lengths[1_600];
            let fiftieth = lengths[1_960];
            let billionth = fifth + 9 * (fiftieth - fifth);
            let patience = options.duel_patience().div_duration_f64(longest);
            assert!(
                billionth as f64 <= patience,
                "{rivals} rivals, ratio {ratio}: {billionth} timeouts, allowed {patience}"
            );
        }
    }
}
