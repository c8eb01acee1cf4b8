//! What a node is told before it starts.

use core::time::Duration;

use crate::membership::Membership;
use crate::types::NodeId;

/// Settings of one node. Start from [`Config::new`] and change fields; [`Node::new`](crate::Node::new) refuses what
/// cannot work.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// Who votes. Must contain `id`.
    pub membership: Membership,
    /// Seed of this node's ChaCha8 generator, from which its election timeouts are drawn.
    pub seed: u64,
    /// Election timeout, drawn anew from `min..max` each time the timer is set (section 5.2). Default 150–300 ms.
    pub election_timeout: (Duration, Duration),
    /// Time between a leader's heartbeats. Default 50 ms. At most half of the shortest election timeout.
    pub heartbeat: Duration,
    /// Ask before standing for election (thesis 9.6): together with `check_quorum`, a node that was cut off does not
    /// depose a leader. Default on.
    pub pre_vote: bool,
    /// A leader that has not heard from a majority for the longest election timeout steps down, and followers of a live
    /// leader refuse votes (thesis 6.2, 4.2.3). Default on.
    pub check_quorum: bool,
    /// Most entries in one AppendEntries. Default 1,024: bounds the work of one step.
    pub max_append_entries: usize,
    /// Most bytes of entries in one AppendEntries, but always at least one entry. Default 256 KiB: a quarter of a wire
    /// frame.
    pub max_append_bytes: usize,
    /// Most AppendEntries with entries in flight to one follower. Default 64. At the bound nothing more is sent to it
    /// until it answers.
    pub inflight_messages: usize,
    /// Most bytes of entries in flight to one follower. Default 4 MiB. Same behaviour at the bound.
    pub inflight_bytes: usize,
    /// Most entries a leader holds uncommitted; beyond them it refuses proposals as busy. Default 65,536.
    pub max_uncommitted_entries: usize,
    /// Most bytes of entries a leader holds uncommitted. Default 16 MiB. Same behaviour at the bound.
    pub max_uncommitted_bytes: usize,
    /// Most entries handed out for applying and not yet reported as applied. Default 4,096: a stalled reader stops the
    /// hand-out, not the node.
    pub apply_window: usize,
    /// Largest command in bytes. Default [`Config::MAX_COMMAND_BYTES`].
    pub max_command_bytes: usize,
}

impl Config {
    /// Default bound of a command, 64 KiB: several fit into every message.
    pub const MAX_COMMAND_BYTES: usize = 64 * 1024;

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
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        // In the microseconds that moments count: less than one is nothing, and more than fits is for ever.
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (shortest, longest) = (micros(self.election_timeout.0), micros(self.election_timeout.1));
        let heartbeat = micros(self.heartbeat);
        if !self.membership.contains(self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        if heartbeat == 0 || heartbeat > shortest / 2 || shortest >= longest || longest == u64::MAX {
            return Err(ConfigError::Timing);
        }
        let bounds = [
            ("max_append_entries", self.max_append_entries),
            ("max_append_bytes", self.max_append_bytes),
            ("inflight_messages", self.inflight_messages),
            ("inflight_bytes", self.inflight_bytes),
            ("max_uncommitted_entries", self.max_uncommitted_entries),
            ("max_uncommitted_bytes", self.max_uncommitted_bytes),
            ("apply_window", self.apply_window),
            ("max_command_bytes", self.max_command_bytes),
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
    /// The node is not among the voters.
    #[error("node {0} is not a voter of its own cluster; add it to the membership")]
    NotAMember(NodeId),
    /// The timing cannot elect or keep a leader.
    #[error("timing cannot work: need 0 < 2 × heartbeat ≤ shortest election timeout < longest election timeout")]
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

    fn timing(heartbeat: Duration, shortest: Duration, longest: Duration) -> Result<(), ConfigError> {
        let mut config = Config::new(NodeId(1), Membership::new([NodeId(1)]).unwrap(), 1);
        (config.heartbeat, config.election_timeout) = (heartbeat, (shortest, longest));
        config.validate()
    }

    /// What is different in nanoseconds may be equal to a node, whose moments are microseconds.
    #[test]
    fn timing_is_checked_in_the_unit_of_moments() {
        let (ms, ns) = (Duration::from_millis, Duration::from_nanos);
        assert_eq!(timing(ms(75), ms(150), ms(300)), Ok(()));
        assert_eq!(timing(ms(76), ms(150), ms(300)), Err(ConfigError::Timing));
        assert_eq!(timing(ms(50), ms(150), ms(150) + ns(999)), Err(ConfigError::Timing), "nothing to draw from");
        assert_eq!(timing(ns(999), ms(150), ms(300)), Err(ConfigError::Timing), "a heartbeat at every moment");
        assert_eq!(timing(Duration::MAX, ms(150), ms(300)), Err(ConfigError::Timing));
        assert_eq!(timing(ms(50), ms(150), Duration::MAX), Err(ConfigError::Timing));
    }
}
