//! Numbers that must differ from run to run.

use raftian_raft::ClientId;
use rand::TryRng;
use rand::rngs::SysRng;

/// A client id that nobody else has: 64 bits of the system's randomness.
#[must_use]
pub fn fresh_client_id() -> ClientId {
    ClientId(fresh_seed())
}

/// A seed for a node's election timeouts: 64 bits of the system's randomness. If the system has
/// none to give, the time and the process id have to do.
#[must_use]
pub fn fresh_seed() -> u64 {
    SysRng.try_next_u64().unwrap_or_else(|error| {
        tracing::warn!(%error, "the system gives no random numbers");
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        time.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32)
    })
}
