//! What a node is told before it starts.

use core::time::Duration;

use crate::membership::Membership;
use crate::planted::PlantedFault;
use crate::types::NodeId;

/// Settings of one node. Start from [`Config::new`] and change fields;
/// [`Node::new`](crate::Node::new) refuses what cannot work.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// The members the cluster was founded with, the same at every node. A node that is not among
    /// them waits until a leader adds it; once the log holds a membership, that counts.
    pub membership: Membership,
    /// Seed of this node's ChaCha8 generator, from which its election timeouts are drawn, and
    /// another [`Incarnation`](crate::Incarnation) if its disk loses entries. A real node has
    /// another seed at every start.
    pub seed: u64,
    /// Election timeout, drawn anew from `min..max` each time the timer is set (section 5.2).
    /// Default 150–300 ms.
    pub election_timeout: (Duration, Duration),
    /// Time between a leader's heartbeats. Default 50 ms. Shorter than the shortest election
    /// timeout; a third of it lets one be lost.
    pub heartbeat: Duration,
    /// Ask before standing for election (thesis 9.6): together with `check_quorum`, a node that was
    /// cut off does not depose a leader. Default on.
    pub pre_vote: bool,
    /// A leader that has not heard from a majority for the longest election timeout steps down, and
    /// followers of a live leader refuse votes (thesis 6.2, 4.2.3). Default on.
    pub check_quorum: bool,
    /// Most entries in one AppendEntries. Default 1,024: bounds the work of one step.
    pub max_append_entries: usize,
    /// Most bytes of entries in one AppendEntries, but always at least one entry. Default 256 KiB:
    /// a quarter of a wire frame.
    pub max_append_bytes: usize,
    /// Most AppendEntries with entries in flight to one follower. Default 64. At the bound nothing
    /// more is sent to it until it answers.
    pub inflight_messages: usize,
    /// Most bytes of entries in flight to one follower. Default 4 MiB. Same behaviour at the bound.
    pub inflight_bytes: usize,
    /// Most entries a leader holds uncommitted; beyond them it refuses proposals as busy. Default
    /// 65,536.
    pub max_uncommitted_entries: usize,
    /// Most bytes of entries a leader holds uncommitted. Default 16 MiB. Same behaviour at the
    /// bound.
    pub max_uncommitted_bytes: usize,
    /// Most entries handed out for applying and not yet reported as applied. Default 4,096: a
    /// stalled reader stops the hand-out, not the node.
    pub apply_window: usize,
    /// Largest command in bytes. Default [`Config::MAX_COMMAND_BYTES`].
    pub max_command_bytes: usize,
    /// Of two candidates with equal logs the one of higher priority is preferred: a node refuses
    /// one of lower priority than its own, for at most the longest election timeout after the first
    /// such refusal since a leader was heard. Default 0.
    pub priority: u8,
    /// Answers [`Input::Read`](crate::Input::Read) with `lease` from the leader's clock while a
    /// majority cannot have elected another (thesis 6.4.1). `lease_reads`, `check_quorum` and the
    /// election timeouts must be the same at every node: a lease is as good as the promise of each
    /// follower to vote for no other candidate, also after a restart. Needs clocks whose rates
    /// differ by less than [`Config::LEASE_DRIFT`] and that go on while the machine is suspended: a
    /// clock that stands still makes the lease look young. Each message must be given to the node
    /// with a time that was read after the message arrived. A node whose leader was heard lately
    /// does not stand for election, not even when asked to. Default off.
    pub lease_reads: bool,
    /// Floor and ceiling of adaptive election timeouts, which follow the measured round trips in
    /// place of `election_timeout`. Without a measurement the timeout begins at the floor; it
    /// doubles with each campaign that came to nothing, up to the ceiling. The floor is at most the
    /// shortest `election_timeout`, so that a node without adaptive timeouts never gives up a
    /// leader sooner. All nodes must have the same. Needs `pre_vote` at every node. Default off.
    pub adaptive_timeout: Option<(Duration, Duration)>,
    /// How long one write may take before the disk counts as hung; a leader then steps down. A
    /// snapshot may take longer, at 10 MB a second. Default 2 s: far above what a busy disk takes,
    /// which is slow and not hung.
    pub disk_timeout: Duration,
    /// Entries from one snapshot of a member to its next. The members are staggered: the first in
    /// the order of ids takes its first snapshot after this many entries, each other one a part of
    /// the interval later. Default none: the state machine must be able to make one.
    pub snapshot_entries: Option<u64>,
    /// Bytes of entries applied since the last snapshot after which the first member takes its next
    /// one; the others wait for up to half as many more. Default none.
    pub snapshot_bytes: Option<usize>,
    /// Limit of committed entries without a snapshot, in bytes. At the limit a leader refuses
    /// commands as busy, a follower accepts no entries, and a snapshot is due at once; a leader
    /// whose program does not apply committed entries transfers leadership. Bounds the log of a
    /// stalled program, as behind a hidden window. While a majority needs a member whose log is
    /// full, nothing is committed. Default none; where snapshots are taken, far more than comes
    /// between two of them.
    pub max_log_bytes: Option<usize>,
    /// Time until the program is asked again for a snapshot that it declined. Default 1 s.
    pub snapshot_retry: Duration,
    /// Entries that stay in the log behind a snapshot, so that a follower that is a little behind
    /// needs none. A leader keeps up to ten times as many for followers that answer. Default 1,024.
    pub snapshot_keep: u64,
    /// Bytes of a snapshot in one message. Default 64 KiB.
    pub snapshot_chunk: usize,
    /// Chunks of a snapshot in flight to one follower. Default 8.
    pub snapshot_inflight: u64,
    /// Largest snapshot taken from a leader, in bytes. Default 64 MiB. A larger one is ignored,
    /// with an event.
    pub max_snapshot_bytes: u64,
    /// Shortest time of an unbroken row of quick rounds after which a
    /// [`Standing::Joining`](crate::Standing::Joining) member becomes a voter: rounds of catching
    /// up that each took less than the longest election timeout (thesis 4.2.1). Default 1 s.
    pub promote_after: Duration,
    /// A leader replaces a member by another incarnation of it that answers, if the registered one
    /// lost entries that it had acknowledged or has been silent for the longest election timeout; a
    /// follower that lost such entries begins another incarnation. A voter is promoted again once
    /// it has caught up. Default on; off, the operator removes such a member and adds it again.
    pub replace_incarnations: bool,
    /// Reads that may wait at one node. Default 4,096. Beyond them reads are refused as busy.
    pub max_reads: usize,
    /// A fault of the past, planted again for a test that must find it.
    #[cfg(feature = "planted")]
    pub planted: Option<PlantedFault>,
}

impl Config {
    /// Default bound of a command, 64 KiB: several fit into every message.
    pub const MAX_COMMAND_BYTES: usize = 64 * 1024;

    /// Part of a lease that is given up for clocks of different rates: one in this many. A lease
    /// lasts nine tenths of the shortest election timeout.
    pub const LEASE_DRIFT: u32 = 10;

    /// The defaults, for one member of a cluster.
    #[must_use]
    pub fn new(id: NodeId, membership: Membership, seed: u64) -> Self {
        Config {
            id,
            membership,
            seed,
            election_timeout: (Duration::from_millis(150), Duration::from_millis(300)),
            heartbeat: Duration::from_millis(50),
            pre_vote: true,
            check_quorum: true,
            max_append_entries: 1024,
            max_append_bytes: 256 * 1024,
            inflight_messages: 64,
            inflight_bytes: 4 * 1024 * 1024,
            max_uncommitted_entries: 65_536,
            max_uncommitted_bytes: 16 * 1024 * 1024,
            apply_window: 4096,
            max_command_bytes: Self::MAX_COMMAND_BYTES,
            priority: 0,
            lease_reads: false,
            adaptive_timeout: None,
            disk_timeout: Duration::from_secs(2),
            snapshot_entries: None,
            snapshot_bytes: None,
            max_log_bytes: None,
            snapshot_retry: Duration::from_secs(1),
            snapshot_keep: 1024,
            snapshot_chunk: 64 * 1024,
            snapshot_inflight: 8,
            max_snapshot_bytes: 64 * 1024 * 1024,
            promote_after: Duration::from_secs(1),
            replace_incarnations: true,
            max_reads: 4096,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Whether this fault is planted: never, without the feature.
    #[cfg(feature = "planted")]
    pub(crate) fn has_planted(&self, fault: PlantedFault) -> bool {
        self.planted == Some(fault)
    }

    /// Whether this fault is planted: never, without the feature.
    #[cfg(not(feature = "planted"))]
    #[expect(clippy::unused_self, reason = "it is the same call with the feature")]
    pub(crate) fn has_planted(&self, _fault: PlantedFault) -> bool {
        false
    }

    /// How long a node that heard a leader refuses votes for others (thesis 4.2.3): the shortest
    /// election timeout that any member may draw, so no follower of that leader gives up sooner.
    pub(crate) fn stickiness(&self) -> Duration {
        self.adaptive_timeout
            .map_or(self.election_timeout.0, |(floor, _)| floor)
    }

    /// How long nobody waits longer than for a leader: after it a silent majority is lost, a
    /// leadership transfer has failed.
    pub(crate) fn max_election_timeout(&self) -> Duration {
        self.adaptive_timeout
            .map_or(self.election_timeout.1, |(_, ceiling)| ceiling * 2)
    }

    /// Whether a node can run with these settings; [`Node::new`](crate::Node::new) asks the same.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.validate()
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        // In the microseconds that moments count: less than one is nothing, and more than fits is
        // for ever.
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (shortest, longest) = (
            micros(self.election_timeout.0),
            micros(self.election_timeout.1),
        );
        let heartbeat = micros(self.heartbeat);
        if heartbeat == 0 || heartbeat >= shortest || shortest >= longest || longest == u64::MAX {
            return Err(ConfigError::Timing);
        }
        if let Some((floor, ceiling)) = self.adaptive_timeout
            && (heartbeat >= micros(floor) || floor >= ceiling || micros(ceiling) > u64::MAX / 4)
        {
            return Err(ConfigError::AdaptiveTiming);
        }
        if let Some((floor, _)) = self.adaptive_timeout
            && floor > self.election_timeout.0
            && !self.has_planted(PlantedFault::DrawsBelowFloor)
        {
            return Err(ConfigError::AdaptiveFloor {
                floor,
                shortest: self.election_timeout.0,
            });
        }
        if self.adaptive_timeout.is_some() && !self.pre_vote {
            return Err(ConfigError::AdaptiveWithoutPreVote);
        }
        if self.lease_reads && !self.check_quorum {
            return Err(ConfigError::LeaseWithoutQuorum);
        }
        let disk_timeout = usize::try_from(self.disk_timeout.as_micros()).unwrap_or(usize::MAX);
        let bounds = [
            ("disk_timeout", disk_timeout),
            ("snapshot_chunk", self.snapshot_chunk),
            (
                "snapshot_inflight",
                usize::try_from(self.snapshot_inflight).unwrap_or(usize::MAX),
            ),
            ("max_append_entries", self.max_append_entries),
            ("max_append_bytes", self.max_append_bytes),
            ("inflight_messages", self.inflight_messages),
            ("inflight_bytes", self.inflight_bytes),
            ("max_uncommitted_entries", self.max_uncommitted_entries),
            ("max_uncommitted_bytes", self.max_uncommitted_bytes),
            ("apply_window", self.apply_window),
            ("max_command_bytes", self.max_command_bytes),
            ("max_log_bytes", self.max_log_bytes.unwrap_or(usize::MAX)),
        ];
        match bounds.iter().find(|(_, bound)| *bound == 0) {
            Some((name, _)) => Err(ConfigError::ZeroBound(name)),
            None => Ok(()),
        }
    }
}

/// Why a node could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The bounds of the adaptive timeout cannot elect or keep a leader.
    #[error("adaptive timing cannot work: need heartbeat < floor < ceiling")]
    AdaptiveTiming,
    /// Members without a measurement would give a leader up sooner than others count on.
    #[error(
        "the floor of adaptive_timeout, {floor:?}, is above the shortest election_timeout, {shortest:?}; lower the floor or \
         raise election_timeout"
    )]
    AdaptiveFloor {
        /// The floor.
        floor: Duration,
        /// The shortest election timeout.
        shortest: Duration,
    },
    /// Timeouts that differ from node to node let the shortest raise the term for ever, if it does
    /// not ask first: whoever could win is never in time.
    #[error("adaptive timing needs pre_vote; switch it on, or adaptive_timeout off")]
    AdaptiveWithoutPreVote,
    /// A lease stands on followers that refuse votes while a leader is alive.
    #[error("lease reads need check_quorum; switch it on, or lease_reads off")]
    LeaseWithoutQuorum,
    /// The timing cannot elect or keep a leader.
    #[error(
        "timing cannot work: need 0 < heartbeat < shortest election timeout < longest election timeout"
    )]
    Timing,
    /// A bound of zero would stop the node for ever.
    #[error("{0} is zero; it must be at least 1")]
    ZeroBound(&'static str),
    /// The restored log is not one a node could have written.
    #[error("the restored log is damaged: {0}")]
    DamagedLog(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(
        heartbeat: Duration,
        shortest: Duration,
        longest: Duration,
    ) -> Result<(), ConfigError> {
        let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        (config.heartbeat, config.election_timeout) = (heartbeat, (shortest, longest));
        config.validate()
    }

    /// What is different in nanoseconds may be equal to a node, whose moments are microseconds.
    #[test]
    fn timing_is_checked_in_the_unit_of_moments() {
        let (ms, ns) = (Duration::from_millis, Duration::from_nanos);
        assert_eq!(timing(ms(149), ms(150), ms(300)), Ok(()));
        assert_eq!(timing(ms(150), ms(150), ms(300)), Err(ConfigError::Timing));
        assert_eq!(
            timing(ms(50), ms(150), ms(150) + ns(999)),
            Err(ConfigError::Timing),
            "nothing to draw from"
        );
        assert_eq!(
            timing(ns(999), ms(150), ms(300)),
            Err(ConfigError::Timing),
            "a heartbeat at every moment"
        );
        assert_eq!(
            timing(Duration::MAX, ms(150), ms(300)),
            Err(ConfigError::Timing)
        );
        assert_eq!(
            timing(ms(50), ms(150), Duration::MAX),
            Err(ConfigError::Timing)
        );
    }

    #[test]
    fn adaptive_timing_has_bounds_of_its_own() {
        let adaptive = |floor: Duration, ceiling: Duration| {
            let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
            config.adaptive_timeout = Some((floor, ceiling));
            config.check()
        };
        let (us, largest) = (Duration::from_micros, Duration::from_micros(u64::MAX / 4));
        assert_eq!(adaptive(us(50_001), us(50_002)), Ok(()));
        assert_eq!(adaptive(us(50_001), largest), Ok(()));
        for (floor, ceiling) in [(50_000, 60_000), (60_000, 60_000), (60_000, 59_999)] {
            assert_eq!(
                adaptive(us(floor), us(ceiling)),
                Err(ConfigError::AdaptiveTiming),
                "{floor} to {ceiling}"
            );
        }
        assert_eq!(
            adaptive(us(50_001), largest + us(1)),
            Err(ConfigError::AdaptiveTiming),
            "more than can be waited"
        );
    }

    /// Found by a storm: a member that did not know that it had become one again stood at its
    /// shortest timeout, over and over; the only one that could win waited twice as long, as it
    /// measured, and always came a term too late.
    #[test]
    fn adaptive_timing_needs_pre_votes() {
        let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        config.adaptive_timeout = Some((Duration::from_millis(60), Duration::from_millis(500)));
        assert_eq!(config.check(), Ok(()));
        config.pre_vote = false;
        assert_eq!(config.check(), Err(ConfigError::AdaptiveWithoutPreVote));
    }

    #[test]
    fn who_measures_waits_within_the_bounds_of_what_is_measured() {
        let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        let ms = Duration::from_millis;
        assert_eq!(
            (config.stickiness(), config.max_election_timeout()),
            (ms(150), ms(300))
        );
        config.adaptive_timeout = Some((ms(60), ms(500)));
        assert_eq!(
            (config.stickiness(), config.max_election_timeout()),
            (ms(60), ms(1_000)),
            "the longest draw is twice the ceiling"
        );
    }

    #[test]
    fn no_bound_is_zero_and_no_lease_stands_on_nothing() {
        type Bound = fn(&mut Config);
        let bounds: [(&str, Bound); 11] = [
            ("disk_timeout", |config| {
                config.disk_timeout = Duration::ZERO
            }),
            ("snapshot_chunk", |config| config.snapshot_chunk = 0),
            ("snapshot_inflight", |config| config.snapshot_inflight = 0),
            ("max_append_entries", |config| config.max_append_entries = 0),
            ("max_append_bytes", |config| config.max_append_bytes = 0),
            ("inflight_messages", |config| config.inflight_messages = 0),
            ("inflight_bytes", |config| config.inflight_bytes = 0),
            ("max_uncommitted_entries", |config| {
                config.max_uncommitted_entries = 0
            }),
            ("max_uncommitted_bytes", |config| {
                config.max_uncommitted_bytes = 0
            }),
            ("apply_window", |config| config.apply_window = 0),
            ("max_command_bytes", |config| config.max_command_bytes = 0),
        ];
        let sound = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        for (name, zero) in bounds {
            let mut config = sound.clone();
            zero(&mut config);
            assert_eq!(config.check(), Err(ConfigError::ZeroBound(name)));
        }
        let config = Config {
            lease_reads: true,
            check_quorum: false,
            ..sound
        };
        assert_eq!(config.check(), Err(ConfigError::LeaseWithoutQuorum));
    }

    /// The documentation of each field promises its default; these are the ones in bytes.
    #[test]
    fn sizes_are_what_their_documentation_says() {
        let config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        assert_eq!(config.max_append_bytes, 262_144);
        assert_eq!(config.inflight_bytes, 4_194_304);
        assert_eq!(config.max_uncommitted_bytes, 16_777_216);
        assert_eq!(config.max_command_bytes, 65_536);
        assert_eq!(config.snapshot_chunk, 65_536);
        assert_eq!(config.max_snapshot_bytes, 67_108_864);
    }
}
