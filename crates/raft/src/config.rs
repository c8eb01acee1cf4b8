//! Node configuration.

use core::time::Duration;

use crate::membership::{Member, Membership, Standing};
use crate::planted::PlantedBug;
use crate::types::NodeId;

/// Settings of one node. Start from [`Config::new`] and change fields;
/// [`Node::new`](crate::Node::new) rejects settings that cannot work.
#[doc(alias = "Settings")]
#[doc(alias = "Options")]
#[derive(Clone, Debug)]
pub struct Config {
    /// Id of this node.
    pub id: NodeId,
    /// Founding members of the cluster, the same at every node. A node that is not among them waits
    /// until a leader adds it; a membership in the log takes precedence.
    pub membership: Membership,
    /// Whether the founders know each other by id alone and agree on their incarnations first: see
    /// [`Restored::founding`](crate::Restored::founding). Then the incarnations in `membership` are
    /// ignored, all founders are voters, all must run at the same time once before the first
    /// election, and each empty disk needs an incarnation that no disk had before. A node that is
    /// not among them learns the founding membership first. Default off: `membership` is the
    /// founding membership, incarnations included, unless the disk holds another.
    pub founders_agree: bool,
    /// Seed of this node's ChaCha8 generator, which draws election timeouts and, if the disk lost
    /// entries, another [`Incarnation`](crate::Incarnation). A node in production uses a new seed
    /// at every start.
    pub seed: u64,
    /// Election timeout range; a value is drawn from `min..max` each time the timer is set (section
    /// 5.2). Default 150–300 ms.
    pub election_timeout: (Duration, Duration),
    /// Time between a leader's heartbeats. Default 50 ms. Must be shorter than the shortest
    /// election timeout; a third of it tolerates one lost heartbeat.
    pub heartbeat: Duration,
    /// Whether a node asks for pre-votes before it stands for election (thesis 9.6): together with
    /// `check_quorum`, a node that was partitioned does not depose a leader. Default on.
    pub pre_vote: bool,
    /// Whether a leader without answers from a majority for the longest election timeout steps
    /// down, and followers of a live leader refuse votes (thesis 6.2, 4.2.3). Default on.
    pub check_quorum: bool,
    /// Maximum number of entries in one AppendEntries. Default 1,024: bounds the work of one step.
    pub max_append_entries: usize,
    /// Maximum bytes of entries in one AppendEntries; a larger single entry is sent alone. Default
    /// 64 KiB: a line of 5 Mbit/s takes a tenth of a second to send it.
    pub max_append_bytes: usize,
    /// Maximum number of AppendEntries with entries in flight to one follower. Default 64. At the
    /// bound no further entries are sent until it answers.
    pub inflight_messages: usize,
    /// Maximum bytes of entries in flight to one follower. Default 4 MiB. Same behaviour at the
    /// bound.
    pub inflight_bytes: usize,
    /// Maximum number of uncommitted entries at a leader; at the bound it refuses proposals as
    /// busy. Default 65,536.
    pub max_uncommitted_entries: usize,
    /// Maximum bytes of uncommitted entries at a leader. Default 16 MiB. Same behaviour at the
    /// bound.
    pub max_uncommitted_bytes: usize,
    /// Maximum number of entries delivered and not yet reported as applied. Default 4,096: a
    /// stalled program stops delivery, not the node.
    pub apply_window: usize,
    /// Largest command in bytes. Default [`Config::MAX_COMMAND_BYTES`].
    pub max_command_bytes: usize,
    /// Election priority: of two candidates with equal logs the higher priority is preferred. A
    /// node refuses a candidate of lower priority than its own, for at most the longest election
    /// timeout after the first such refusal since its last contact with a leader. Default 0.
    pub priority: u8,
    /// Lease reads: answers [`Input::Read`](crate::Input::Read) with `lease` from the leader's
    /// clock while no majority can have elected another leader (thesis 6.4.1). `lease_reads`,
    /// `check_quorum` and the election timeouts must be the same at every node: a lease relies on
    /// each follower to vote for no other candidate, also after a restart. Needs clocks whose rates
    /// differ by less than [`Config::LEASE_DRIFT`] and that keep running while the machine is
    /// suspended: on a clock that stops, an expired lease looks valid. Each message must be passed
    /// to the node with a time read after the message arrived. A node with recent contact to its
    /// leader does not stand for election, not even on request. Default off.
    pub lease_reads: bool,
    /// Floor and ceiling of adaptive election timeouts, which follow the measured round trips in
    /// place of `election_timeout`. Without a measurement the timeout begins at the floor; it
    /// doubles with each failed campaign, up to the ceiling. The floor must not exceed the shortest
    /// `election_timeout`, so that a node without adaptive timeouts never gives up on a leader
    /// sooner. All nodes must use the same values. Needs `pre_vote` at every node. Default off.
    pub adaptive_timeout: Option<(Duration, Duration)>,
    /// Time one write may take before the disk counts as hung; a leader then steps down. A snapshot
    /// may take longer, at 10 MB/s. Default 2 s: far above the time a busy disk takes, which is
    /// slow, not hung.
    pub disk_timeout: Duration,
    /// Number of entries between two snapshots of a member. Members are staggered: the first in id
    /// order takes its first snapshot after this many entries, each other one a fraction of the
    /// interval later. Default none: the state machine must support snapshots.
    pub snapshot_entries: Option<u64>,
    /// Bytes of entries applied since the last snapshot after which the first member takes its next
    /// one; the others wait for up to half as many more. Default none.
    pub snapshot_bytes: Option<usize>,
    /// Limit of committed entries without a snapshot, in bytes. At the limit a leader refuses
    /// commands as busy, a follower accepts no entries, and a snapshot is due at once; a leader
    /// whose program does not apply committed entries transfers leadership. Bounds the log of a
    /// stalled program, such as one behind a hidden window. While a majority needs a member whose
    /// log is full, nothing is committed. Default none; with snapshots, it should be far above the
    /// bytes between two of them.
    pub max_log_bytes: Option<usize>,
    /// Delay after which a declined snapshot is requested again. Default 1 s.
    pub snapshot_retry: Duration,
    /// Number of entries covered by a snapshot that stay in the log, so that a follower that lags
    /// slightly needs no snapshot. A leader keeps up to ten times as many for followers that
    /// answer. Default 1,024.
    pub snapshot_keep: u64,
    /// Snapshot bytes in one message. Default 64 KiB.
    pub snapshot_chunk: usize,
    /// Snapshot chunks in flight to one follower. Default 8.
    pub snapshot_inflight: u64,
    /// Largest snapshot accepted from a leader, in bytes. Default 64 MiB. A larger one is refused,
    /// with an event.
    pub max_snapshot_bytes: u64,
    /// Minimum duration of an unbroken series of quick catch-up rounds after which a
    /// [`Standing::Joining`](crate::Standing::Joining) member becomes a voter; a quick round takes
    /// at most the longest election timeout (thesis 4.2.1). Default 1 s.
    pub promote_after: Duration,
    /// Silence after which a leader takes a voter's vote, so that a majority of the others
    /// suffices. The member is a [`Standing::Joining`](crate::Standing::Joining) one then, and gets
    /// its vote back when it has returned and kept up for `promote_after`. Only while the voters
    /// that answer are a quorum. Default none.
    pub vanish_after: Option<Duration>,
    /// Automatic replacement of incarnations. A leader replaces a member by another incarnation of
    /// it that answers, if the registered one lost entries it had acknowledged or has been silent
    /// for the longest election timeout; a follower that lost such entries begins another
    /// incarnation. A voter is promoted again once it has caught up. Default on; if off, the
    /// operator must remove such a member and add it again.
    pub replace_incarnations: bool,
    /// Maximum number of pending reads at one node. Default 4,096. Further reads are refused as
    /// busy.
    pub max_reads: usize,
    /// A past bug, planted for a test that must find it.
    #[cfg(feature = "planted")]
    pub planted: Option<PlantedBug>,
}

impl Config {
    /// Default size limit of a command, 64 KiB: several fit into every message.
    pub const MAX_COMMAND_BYTES: usize = 64 * 1024;

    /// Fraction of a lease given up for clock drift, as a divisor: a lease lasts nine tenths of the
    /// shortest election timeout.
    pub const LEASE_DRIFT: u32 = 10;

    /// Default settings for one member of a cluster.
    pub fn new(id: NodeId, membership: Membership, seed: u64) -> Self {
        Config {
            id,
            membership,
            founders_agree: false,
            seed,
            election_timeout: (Duration::from_millis(150), Duration::from_millis(300)),
            heartbeat: Duration::from_millis(50),
            pre_vote: true,
            check_quorum: true,
            max_append_entries: 1024,
            max_append_bytes: 64 * 1024,
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
            vanish_after: None,
            replace_incarnations: true,
            max_reads: 4096,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Whether this fault is planted; always false without the feature.
    #[cfg(feature = "planted")]
    pub(crate) fn has_planted(&self, fault: PlantedBug) -> bool {
        self.planted == Some(fault)
    }

    /// Whether this fault is planted; always false without the feature.
    #[cfg(not(feature = "planted"))]
    #[expect(
        clippy::unused_self,
        reason = "the signature is the one with the feature"
    )]
    pub(crate) fn has_planted(&self, _fault: PlantedBug) -> bool {
        false
    }

    /// Time for which a node refuses votes for other candidates after contact with a leader (thesis
    /// 4.2.3): the shortest election timeout that any member may draw, so no follower of that
    /// leader gives up sooner.
    pub(crate) fn stickiness(&self) -> Duration {
        self.adaptive_timeout
            .map_or(self.election_timeout.0, |(floor, _)| floor)
    }

    /// Upper bound of the election timeout. A leader without contact to a majority for this long
    /// steps down; a leadership transfer that takes longer is aborted.
    pub fn max_election_timeout(&self) -> Duration {
        self.adaptive_timeout
            // The widest adaptive timeout is drawn between the ceiling and twice the ceiling.
            .map_or(self.election_timeout.1, |(_, ceiling)| ceiling * 2)
    }

    /// Silence up to which a follower counts as answering, if its round trip takes up to
    /// `round_trip` microseconds. With adaptive timeouts the stickiness may be shorter than the
    /// time between two answers on a slow or jittery line.
    pub(crate) fn longest_silence(&self, round_trip: u32) -> Duration {
        let stickiness = self.stickiness();
        if self.adaptive_timeout.is_none() {
            return stickiness;
        }
        let round_trip = Duration::from_micros(u64::from(round_trip));
        // One lost answer is no silence.
        ((self.heartbeat + round_trip) * 2)
            .max(stickiness)
            .min(self.max_election_timeout())
    }

    /// Validates the settings, as [`Node::new`](crate::Node::new) does.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // Moments count microseconds: a shorter duration is zero, and one that does not fit never
        // ends.
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let shortest = micros(self.election_timeout.0);
        let longest = micros(self.election_timeout.1);
        let heartbeat = micros(self.heartbeat);
        // Followers would campaign against a live leader whose heartbeats are as far apart as their
        // timeouts; and an empty range has no randomness to resolve split votes (section 5.2).
        if heartbeat == 0 || heartbeat >= shortest || shortest >= longest || longest == u64::MAX {
            return Err(ConfigError::Timing);
        }
        // The longest draw is twice the ceiling, so the ceiling must leave room for it.
        if let Some((floor, ceiling)) = self.adaptive_timeout
            && (heartbeat >= micros(floor) || floor >= ceiling || micros(ceiling) > u64::MAX / 4)
        {
            return Err(ConfigError::AdaptiveTiming);
        }
        if let Some((floor, _)) = self.adaptive_timeout
            && floor > self.election_timeout.0
            && !self.has_planted(PlantedBug::DrawsBelowFloor)
        {
            return Err(ConfigError::AdaptiveFloor {
                floor,
                shortest: self.election_timeout.0,
            });
        }
        let is_voter =
            |member: &Member| member.standing == Some(Standing::Voter) && member.outgoing.is_none();
        if self.founders_agree
            && !self
                .membership
                .members()
                .all(|(_, member)| is_voter(member))
        {
            return Err(ConfigError::Founders);
        }
        if self.adaptive_timeout.is_some() && !self.pre_vote {
            return Err(ConfigError::AdaptiveWithoutPreVote);
        }
        if self.lease_reads && !self.check_quorum {
            return Err(ConfigError::LeaseWithoutQuorum);
        }
        // In microseconds as well: a shorter timeout is zero, and every write would count as hung.
        let disk_timeout = usize::try_from(self.disk_timeout.as_micros()).unwrap_or(usize::MAX);
        // Only bounds that stop the node at zero: it works without reads or kept entries.
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

/// Reason why a node could not be created.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The bounds of the adaptive timeout cannot elect or keep a leader.
    #[error("adaptive_timeout is invalid: it must satisfy heartbeat < floor < ceiling")]
    AdaptiveTiming,
    /// Members without a measurement would give up on a leader sooner than the others assume.
    #[error(
        "the floor of adaptive_timeout, {floor:?}, is above the shortest election_timeout, \
         {shortest:?}; lower the floor or raise election_timeout"
    )]
    AdaptiveFloor {
        /// The floor.
        floor: Duration,
        /// The shortest election timeout.
        shortest: Duration,
    },
    /// The disk has a record of other founders than `membership` lists.
    #[error(
        "the disk has a record of other founders; restore the list of members that it began with"
    )]
    OtherFounders,
    /// Founders that agree on their incarnations are all voters.
    #[error(
        "with founders_agree all members must be voters; other members are added once the cluster \
         is founded"
    )]
    Founders,
    /// Without pre-votes the node with the shortest timeout could raise the term for ever, so that
    /// the node that could win is never in time.
    #[error("adaptive_timeout needs pre_vote; enable pre_vote or disable adaptive_timeout")]
    AdaptiveWithoutPreVote,
    /// A lease relies on followers that refuse votes while a leader is alive.
    #[error("lease_reads needs check_quorum; enable check_quorum or disable lease_reads")]
    LeaseWithoutQuorum,
    /// The timing cannot elect or keep a leader.
    #[error(
        "timing is invalid: it must satisfy 0 < heartbeat < shortest election timeout < longest \
         election timeout"
    )]
    Timing,
    /// A bound of zero would stop the node for ever.
    #[error("{0} is zero; it must be at least 1")]
    ZeroBound(&'static str),
    /// The restored log is not one a node could have written.
    #[error(
        "the restored log is damaged: {0}; restore the disk from an up-to-date copy, or replace \
         this member"
    )]
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

    /// Durations that differ only in nanoseconds are equal to a node, whose moments are
    /// microseconds.
    #[test]
    fn timing_is_checked_in_the_unit_of_moments() {
        let ms = Duration::from_millis;
        let ns = Duration::from_nanos;
        assert_eq!(timing(ms(149), ms(150), ms(300)), Ok(()));
        assert_eq!(timing(ms(150), ms(150), ms(300)), Err(ConfigError::Timing));
        assert_eq!(
            timing(ms(50), ms(150), ms(150) + ns(999)),
            Err(ConfigError::Timing),
            "an empty range"
        );
        assert_eq!(
            timing(ns(999), ms(150), ms(300)),
            Err(ConfigError::Timing),
            "a heartbeat that rounds to zero"
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
    fn adaptive_timing_outside_its_bounds_is_invalid() {
        let adaptive = |floor: Duration, ceiling: Duration| {
            let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
            config.adaptive_timeout = Some((floor, ceiling));
            config.validate()
        };
        let us = Duration::from_micros;
        let largest = Duration::from_micros(u64::MAX / 4);
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
            "a ceiling that overflows"
        );
    }

    /// Found by a storm: a member that did not know yet that it was a member again campaigned at
    /// its shortest timeout, over and over; the only node that could win waited twice as long, as
    /// it had measured round trips, and was always one term too late.
    #[test]
    fn adaptive_timing_needs_pre_votes() {
        let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        config.adaptive_timeout = Some((Duration::from_millis(60), Duration::from_millis(500)));
        assert_eq!(config.validate(), Ok(()));
        config.pre_vote = false;
        assert_eq!(config.validate(), Err(ConfigError::AdaptiveWithoutPreVote));
    }

    #[test]
    fn adaptive_timeout_sets_stickiness_and_longest_timeout() {
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
    fn zero_bounds_and_leases_without_check_quorum_are_invalid() {
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
            assert_eq!(config.validate(), Err(ConfigError::ZeroBound(name)));
        }
        let config = Config {
            lease_reads: true,
            check_quorum: false,
            ..sound
        };
        assert_eq!(config.validate(), Err(ConfigError::LeaseWithoutQuorum));
    }

    /// The documentation of each field states its default; these are the ones in bytes.
    #[test]
    fn default_sizes_match_their_documentation() {
        let config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        assert_eq!(config.max_append_bytes, 65_536);
        assert_eq!(config.inflight_bytes, 4_194_304);
        assert_eq!(config.max_uncommitted_bytes, 16_777_216);
        assert_eq!(config.max_command_bytes, 65_536);
        assert_eq!(config.snapshot_chunk, 65_536);
        assert_eq!(config.max_snapshot_bytes, 67_108_864);
    }
}
