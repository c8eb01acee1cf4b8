//! First retries of an order, under the same number, as in `bevy_raft`, which then backs off.

use std::time::Duration;

/// Time after which an order that its node refused is proposed again.
pub(crate) const REFUSED_RETRY: Duration = Duration::from_millis(50);

/// Time after which an order without an answer is proposed again.
pub(crate) const UNANSWERED_RETRY: Duration = Duration::from_millis(500);
