//! First retry delays of an order, under the same number, as in `bevy_raft`, which then backs off.

use std::time::Duration;

/// Delay before an order that its node refused is proposed again.
pub(crate) const REFUSED_RETRY: Duration = Duration::from_millis(50);

/// Delay before an order without an answer is proposed again.
pub(crate) const UNANSWERED_RETRY: Duration = Duration::from_millis(500);
