//! What a leader knows about one follower (figure 2, "volatile state on leaders"), and how much may be under way to it.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::types::{Index, Moment};

/// A leader's view of one follower.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Highest index known to be equal and durable there (matchIndex).
    pub(crate) matched: Index,
    /// Next index to send (nextIndex).
    pub(crate) next: Index,
    /// How entries are sent to it.
    pub(crate) flow: Flow,
    /// Highest commit index sent to it.
    pub(crate) commit_sent: Index,
    /// When it last answered this leader, on the leader's clock.
    pub(crate) heard: Moment,
    /// Round trip of the last answered probe, storage included.
    pub(crate) round_trip: Option<Duration>,
}

/// How entries are sent to a follower.
#[derive(Clone, Debug)]
pub(crate) enum Flow {
    /// Where the logs agree is unknown: one message at a time, again with each heartbeat.
    Probe {
        /// A message is under way.
        sent: bool,
    },
    /// The logs agree: entries stream without waiting for answers, within the window.
    Replicate(Window),
}

/// AppendEntries under way to one follower, bounded in messages and in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    sent: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Window {
    /// Whether another message may leave.
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.sent.len() < messages && self.bytes < bytes
    }

    /// A message with entries up to `last` left. What is added here is exactly what [`Window::acknowledge`] takes back.
    pub(crate) fn push(&mut self, last: Index, bytes: usize) {
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Everything up to `matched` has arrived.
    pub(crate) fn acknowledge(&mut self, matched: Index) {
        while let Some((last, bytes)) = self.sent.front().copied()
            && last <= matched
        {
            self.sent.pop_front();
            self.bytes -= bytes;
        }
    }
}

impl Progress {
    /// A follower of which nothing is known: try right after the leader's last entry (section 5.3).
    pub(crate) fn new(last: Index, now: Moment) -> Self {
        Progress {
            matched: Index(0),
            next: last.next(),
            flow: Flow::Probe { sent: false },
            commit_sent: Index(0),
            heard: now,
            round_trip: None,
        }
    }

    /// The follower has everything up to `up_to`. Tells whether that was news.
    pub(crate) fn on_matched(&mut self, up_to: Index) -> bool {
        let news = up_to > self.matched;
        self.matched = self.matched.max(up_to);
        self.next = self.next.max(self.matched.next());
        match &mut self.flow {
            Flow::Probe { .. } => {
                self.next = self.matched.next();
                self.flow = Flow::Replicate(Window::default());
            }
            Flow::Replicate(window) => window.acknowledge(self.matched),
        }
        news
    }

    /// The follower refused entries after `refused`; `candidate` is the leader's best guess where the logs agree.
    /// Answers to messages sent before an earlier refusal was handled are stale and change nothing. Tells whether it
    /// did.
    pub(crate) fn on_conflict(&mut self, refused: Index, candidate: Index) -> bool {
        let stale = match &self.flow {
            Flow::Probe { .. } => refused != self.next.previous(),
            Flow::Replicate(_) => false,
        };
        // A follower that refuses what it acknowledged has lost its disk; trying again at once would go on for ever.
        if stale || refused <= self.matched {
            return false;
        }
        self.next = candidate.min(refused.previous()).max(self.matched).next();
        self.flow = Flow::Probe { sent: false };
        // The commit index that came with a refused message was not taken either.
        self.commit_sent = Index(0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_gives_back_exactly_what_it_took() {
        let mut window = Window::default();
        for i in 1..=3 {
            window.push(Index(i * 10), 100);
        }
        assert!(!window.has_room(3, 1000) && !window.has_room(9, 300) && window.has_room(9, 301));
        window.acknowledge(Index(19));
        assert_eq!((window.sent.len(), window.bytes), (2, 200));
        window.acknowledge(Index(30));
        assert_eq!((window.sent.len(), window.bytes), (0, 0));
    }

    #[test]
    fn a_stale_refusal_changes_nothing() {
        let mut progress = Progress::new(Index(9), Moment(0));
        assert!(progress.on_conflict(Index(9), Index(5)));
        assert_eq!(progress.next, Index(6));
        assert!(!progress.on_conflict(Index(9), Index(3)), "its message was sent before the first refusal");
        assert_eq!(progress.next, Index(6));
        assert!(progress.on_matched(Index(5)));
        assert!(!progress.on_conflict(Index(4), Index(1)), "what is known to be equal cannot be refused");
        assert_eq!((progress.matched, progress.next), (Index(5), Index(6)));
    }
}
