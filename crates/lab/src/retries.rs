//! How long a program waits until it proposes an order again, under the same number: as `bevy_raft` does for the game.

use std::time::Duration;

/// An order that its node refused is proposed again after this time,
pub(crate) const REFUSED_RETRY: Duration = Duration::from_millis(50);

/// and one without an answer after this.
pub(crate) const UNANSWERED_RETRY: Duration = Duration::from_millis(500);
