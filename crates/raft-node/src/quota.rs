//! Rate limits on forwarded commands: a member that floods its leader must not fill the log.
//!
//! Decision: the leader counts, and drops what exceeds the quota without an answer; an honest
//! program submits it again later. Why: a command that is not appended costs the others nothing,
//! and one in the log costs every disk. A leader floods at will; its commands are signed, so the
//! others see whose they are. Would change if: matches had more players than a leader can count.

use std::collections::BTreeMap;

use raftian_raft::{Command, Moment, NodeId};

/// Commands that a member may forward at once, also one that has been away: as many as a client may
/// have without an answer.
pub const BURST: u64 = raftian_raft::Sessions::MAX_AHEAD;

/// Commands per second that a member may forward in the long run. A player gives a few, and so does
/// each of its bots.
pub const RATE: u64 = 256;

/// Bytes of commands that a member may forward at once.
pub const BURST_BYTES: u64 = 1 << 20;

/// Bytes of commands per second that a member may forward in the long run.
pub const RATE_BYTES: u64 = 256 << 10;

/// Quotas of all members that have forwarded commands.
#[derive(Debug, Default)]
pub(crate) struct Quotas(BTreeMap<NodeId, Quota>);

/// Remaining quota of one member.
#[derive(Debug)]
struct Quota {
    commands: Tokens,
    bytes: Tokens,
}

/// A token bucket, in millionths of a token.
#[derive(Debug)]
struct Tokens {
    left: u64,
    at: Moment,
}

const MILLION: u64 = 1_000_000;

impl Tokens {
    fn full(burst: u64, at: Moment) -> Self {
        let left = burst * MILLION;
        Tokens { left, at }
    }

    fn refill(&mut self, burst: u64, rate: u64, now: Moment) {
        let micros = now.0.saturating_sub(self.at.0);
        let gained = micros.saturating_mul(rate);
        self.left = self.left.saturating_add(gained).min(burst * MILLION);
        self.at = self.at.max(now);
    }

    fn has(&self, count: u64) -> bool {
        count.saturating_mul(MILLION) <= self.left
    }

    fn take(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count.saturating_mul(MILLION));
    }
}

impl Quotas {
    /// Forgets members that have left.
    pub(crate) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.0.retain(|id, _| is_member(*id));
    }

    /// Whether `from` may forward this command at `now`, which is then counted.
    pub(crate) fn admit(&mut self, from: NodeId, command: &Command, now: Moment) -> bool {
        let quota = self.0.entry(from).or_insert_with(|| Quota {
            commands: Tokens::full(BURST, now),
            bytes: Tokens::full(BURST_BYTES, now),
        });
        quota.commands.refill(BURST, RATE, now);
        quota.bytes.refill(BURST_BYTES, RATE_BYTES, now);
        let bytes = command.bytes.len() as u64;
        let is_there = quota.commands.has(1) && quota.bytes.has(bytes);
        if is_there {
            quota.commands.take(1);
            quota.bytes.take(bytes);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raftian_raft::{Bytes, ClientId};

    use super::*;

    fn command(bytes: usize) -> Command {
        Command {
            client: ClientId(1),
            sequence: 1,
            bytes: Bytes::from(vec![0; bytes]),
        }
    }

    fn admitted(quotas: &mut Quotas, from: u64, size: usize, now: Moment) -> u64 {
        let command = command(size);
        (0..100_000)
            .take_while(|_| quotas.admit(NodeId(from), &command, now))
            .count() as u64
    }

    #[test]
    fn each_member_has_a_burst_and_then_a_rate() {
        let mut quotas = Quotas::default();
        let start = Moment(5);
        assert_eq!(admitted(&mut quotas, 1, 10, start), BURST);
        assert_eq!(admitted(&mut quotas, 1, 10, start), 0);
        assert_eq!(admitted(&mut quotas, 2, 10, start), BURST, "its own");
        let later = start.after(Duration::from_secs(2));
        assert_eq!(admitted(&mut quotas, 1, 10, later), 2 * RATE);
        // No more than a burst, however long it was silent; nor by a clock that went back.
        let much_later = start.after(Duration::from_secs(3_600));
        assert_eq!(admitted(&mut quotas, 1, 10, much_later), BURST);
        assert_eq!(admitted(&mut quotas, 1, 10, start), 0);
        assert_eq!(admitted(&mut quotas, 1, 10, much_later), 0);
    }

    #[test]
    fn bytes_are_counted_as_well() {
        let mut quotas = Quotas::default();
        let size = 64 << 10;
        let most = BURST_BYTES / size as u64;
        assert_eq!(admitted(&mut quotas, 1, size, Moment(0)), most);
        let later = Moment(0).after(Duration::from_secs(1));
        let more = RATE_BYTES / size as u64;
        assert_eq!(admitted(&mut quotas, 1, size, later), more);
    }

    #[test]
    fn member_that_left_is_forgotten() {
        let mut quotas = Quotas::default();
        quotas.admit(NodeId(1), &command(1), Moment(0));
        quotas.admit(NodeId(2), &command(1), Moment(0));
        quotas.retain(|id| id == NodeId(2));
        assert_eq!(quotas.0.len(), 1);
    }
}
