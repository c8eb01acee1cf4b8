//! Random client ids and seeds.

use raftian_raft::{ClientId, Incarnation};
use rand::TryRng;
use rand::rngs::SysRng;

/// Returns a client id that no other client has: 64 bits of the system's randomness.
pub fn fresh_client_id() -> ClientId {
    ClientId(fresh_seed())
}

/// Returns an incarnation for a new store, other than the default one: 53 bits of the system's
/// randomness, so that every JSON reader represents it exactly.
pub fn fresh_incarnation() -> Incarnation {
    Incarnation((fresh_seed() >> 11).max(1))
}

/// Returns 128 cryptographically random bits, for secrets and globally unique ids.
///
/// # Errors
/// If the system returns no random numbers.
pub fn fresh_secret() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| format!("the system returns no random numbers: {error}"))?;
    Ok(bytes)
}

/// Returns a seed for a node's election timeouts: 64 bits of the system's randomness. If the system
/// provides none, the seed is derived from the time and the process id.
pub fn fresh_seed() -> u64 {
    SysRng.try_next_u64().unwrap_or_else(|error| {
        tracing::warn!(%error, "the system returns no random numbers; using time and process id");
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        // The process id is moved to bits that the time changes only every few seconds.
        time.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32)
    })
}
