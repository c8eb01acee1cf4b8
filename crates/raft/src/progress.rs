//! What a leader knows about one follower (figure 2, "volatile state on leaders"), and how much may
//! be under way to it.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::message::{Probe, StateHash};
use crate::snapshot::{Snapshot, SnapshotName};
use crate::types::{Incarnation, Index, LogPosition, Moment, Term};

/// State hashes kept of each node, at 16 bytes each: members that are this many hashes apart are
/// still compared. Beyond them the oldest is dropped.
pub(crate) const MAX_STATE_HASHES: usize = 1024;

/// Appends `state` if it is newer than the newest, and drops the oldest beyond
/// [`MAX_STATE_HASHES`].
pub(crate) fn push_state(states: &mut VecDeque<StateHash>, state: StateHash) {
    if states
        .back()
        .is_none_or(|newest| newest.index < state.index)
    {
        states.push_back(state);
        if states.len() > MAX_STATE_HASHES {
            states.pop_front();
        }
    }
}

/// The hash at `index`, among hashes in order of their indexes.
pub(crate) fn state_at(states: &VecDeque<StateHash>, index: Index) -> Option<StateHash> {
    let place = states
        .binary_search_by_key(&index, |state| state.index)
        .ok()?;
    states.get(place).copied()
}

/// A leader's view of one follower.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Which life of it the members know; answers of another do not count.
    pub(crate) incarnation: Incarnation,
    /// It is a witness: entries reach it without their commands.
    pub(crate) witness: bool,
    /// Highest index known to be equal and durable there (matchIndex).
    pub(crate) matched: Index,
    /// When that became known, on the leader's clock.
    pub(crate) matched_at: Moment,
    /// Term of the entry at `matched`, if the leader's log held it then.
    pub(crate) matched_term: Option<Term>,
    /// It refused entries that it had acknowledged: its disk does not hold what was durable there.
    /// It counts for nothing any more, for as long as this node leads.
    pub(crate) lost: Option<Index>,
    /// When that was found.
    pub(crate) lost_at: Moment,
    /// Next index to send (nextIndex).
    pub(crate) next: Index,
    /// How entries are sent to it.
    pub(crate) flow: Flow,
    /// Highest commit index sent to it.
    pub(crate) commit_sent: Index,
    /// When it last answered this leader, on the leader's clock; when the leader began, if it never
    /// did.
    pub(crate) last_contact: Moment,
    /// It has answered this leader.
    pub(crate) answered: bool,
    /// When the newest answered probe was sent, on the leader's clock: the follower heard of the
    /// leader no earlier.
    pub(crate) confirmed: Moment,
    /// Newest round of reads that it has confirmed.
    pub(crate) round: u64,
    /// Round trips of answered probes, storage included.
    pub(crate) round_trip: RoundTrip,
    /// Rounds of catching up, while it is joining.
    pub(crate) catch_up: Option<CatchUp>,
    /// State hashes it reported, oldest first, at most [`MAX_STATE_HASHES`].
    pub(crate) states: VecDeque<StateHash>,
    /// Highest index at which its state was this leader's.
    pub(crate) agreed: Index,
    /// Its state differs from what the log makes of it: it needs a snapshot that ends at or after
    /// this index.
    pub(crate) repair_at: Option<Index>,
    /// Hashes up to this index are of a state that was replaced, however late they arrive.
    pub(crate) replaced: Index,
}

/// Rounds in which a joining member catches up: "each round replicates all the log entries present
/// in the leader's log at the start of the round to the new server's log" (thesis 4.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchUp {
    /// Last entry of the leader's log at the start of the round.
    target: Index,
    /// When the round began.
    pub(crate) began: Moment,
    /// Beginning and end of the last unbroken row of quick rounds; the current round is not part of
    /// it.
    quick: Option<(Moment, Moment)>,
}

impl CatchUp {
    pub(crate) fn new(last: Index, now: Moment) -> Self {
        CatchUp {
            target: last,
            began: now,
            quick: None,
        }
    }

    /// Ends the round if all of it has arrived, and begins the next one. A round that takes longer
    /// than `timeout` breaks the row.
    pub(crate) fn update(&mut self, matched: Index, last: Index, timeout: Duration, now: Moment) {
        if now.since(self.began) > timeout {
            self.quick = None;
        } else if matched >= self.target {
            self.quick = Some((self.quick.map_or(self.began, |(since, _)| since), now));
        }
        if matched >= self.target {
            (self.target, self.began) = (last, now);
        }
    }

    /// Time that the row of quick rounds took, up to the end of the last one; up to `until` for a
    /// planted fault.
    pub(crate) fn quick_for(&self, until: Option<Moment>) -> Option<Duration> {
        self.quick
            .map(|(since, end)| until.unwrap_or(end).since(since))
    }
}

/// Smoothed round trips and their deviation, as in RFC 6298.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    /// The last one.
    pub(crate) last: Option<Duration>,
    smoothed: Duration,
    deviation: Duration,
}

impl RoundTrip {
    fn measured(&mut self, sample: Duration) {
        if self.last.is_none() {
            (self.smoothed, self.deviation) = (sample, sample / 2);
        } else {
            let off = self.smoothed.abs_diff(sample);
            self.deviation = self.deviation * 3 / 4 + off / 4;
            self.smoothed = self.smoothed * 7 / 8 + sample / 8;
        }
        self.last = Some(sample);
    }

    /// What hardly any round trip exceeds: the smoothed one and four deviations, in microseconds; 0
    /// if unknown.
    pub(crate) fn bound(&self) -> u32 {
        u32::try_from((self.smoothed + self.deviation * 4).as_micros()).unwrap_or(u32::MAX)
    }
}

/// How entries are sent to a follower.
#[derive(Clone, Hash, Debug)]
pub(crate) enum Flow {
    /// Where the logs agree is unknown: one message at a time, again with each heartbeat.
    Probe {
        /// A message is under way.
        sent: bool,
    },
    /// The logs agree: entries stream without waiting for answers, within the window.
    Replicate(Window),
    /// What it needs first is no longer in the log: a snapshot is on its way, in chunks.
    Snapshot(SnapshotTransfer),
}

/// A snapshot on its way to one follower.
#[derive(Clone, Hash, Debug)]
pub(crate) struct SnapshotTransfer {
    /// The snapshot. It stays the same until it has arrived, whatever newer one there is.
    pub(crate) snapshot: Snapshot,
    /// What it is called.
    pub(crate) name: SnapshotName,
    /// Bytes that have arrived.
    pub(crate) received: u64,
    /// Bytes that have left.
    pub(crate) sent: u64,
    /// The first chunk has left, which an empty snapshot has too.
    pub(crate) begun: bool,
    /// What the follower reported last, which is less than `received` if it lost what it had.
    reported: u64,
    /// When the transfer began.
    pub(crate) began: Moment,
    /// When bytes last arrived, or were last sent again.
    pub(crate) moved: Moment,
    /// It answers. One that does not gets one chunk at a time.
    pub(crate) answers: bool,
    /// The follower takes no snapshot of this size: it is not sent any more.
    pub(crate) refused: bool,
    /// It repairs a follower whose state went astray.
    pub(crate) repair: bool,
}

impl SnapshotTransfer {
    pub(crate) fn new(snapshot: Snapshot, witness: bool, repair: bool, now: Moment) -> Self {
        let snapshot = if witness {
            Snapshot {
                data: None,
                ..snapshot
            }
        } else {
            snapshot
        };
        let name = SnapshotName::of(
            snapshot.position,
            snapshot.data.as_deref().unwrap_or_default(),
        );
        SnapshotTransfer {
            snapshot,
            name,
            received: 0,
            sent: 0,
            begun: false,
            reported: 0,
            began: now,
            moved: now,
            answers: true,
            refused: false,
            repair,
        }
    }

    /// The follower has this many bytes from the beginning.
    pub(crate) fn on_received(&mut self, bytes: u64, now: Moment) {
        if bytes > self.received {
            self.moved = now;
            self.answers = true;
        }
        self.reported = bytes.min(self.name.size);
        self.received = self.received.max(self.reported);
        self.sent = self.sent.max(self.received);
    }

    /// If nothing arrived for `timeout`, everything after what did is sent again.
    pub(crate) fn resend_after(&mut self, timeout: Duration, now: Moment) {
        if now.since(self.moved) >= timeout {
            self.received = self.reported;
            self.sent = self.reported;
            (self.begun, self.answers, self.moved) = (false, false, now);
        }
    }
}

/// AppendEntries under way to one follower, bounded in messages and in bytes.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct Window {
    sent: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Window {
    /// Whether another message may leave.
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.sent.len() < messages && self.bytes < bytes
    }

    /// A message with entries up to `last` left. What is added here is exactly what
    /// [`Window::acknowledge`] takes back.
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
    pub(crate) fn new(last: Index, now: Moment, incarnation: Incarnation, witness: bool) -> Self {
        Progress {
            incarnation,
            witness,
            matched: Index(0),
            matched_at: now,
            matched_term: None,
            lost: None,
            lost_at: now,
            next: last.next(),
            flow: Flow::Probe { sent: false },
            commit_sent: Index(0),
            last_contact: now,
            answered: false,
            confirmed: Moment(0),
            round: 0,
            round_trip: RoundTrip::default(),
            catch_up: None,
            states: VecDeque::new(),
            agreed: Index(0),
            repair_at: None,
            replaced: Index(0),
        }
    }

    /// It answered, perhaps to a probe.
    pub(crate) fn on_answer(&mut self, probe: Option<Probe>, now: Moment) {
        self.last_contact = now;
        self.answered = true;
        if let Some(Probe {
            term: _,
            sent,
            round,
        }) = probe
        {
            self.round_trip.measured(now.since(sent));
            self.confirmed = self.confirmed.max(sent);
            self.round = self.round.max(round);
        }
    }

    /// The follower has everything up to `up_to`, an entry of `term` if that is known. Returns
    /// whether that was news.
    pub(crate) fn on_matched(&mut self, up_to: Index, term: Option<Term>, now: Moment) -> bool {
        let news = up_to > self.matched;
        if news {
            (self.matched, self.matched_at, self.matched_term) = (up_to, now, term);
        }
        self.next = self.next.max(self.matched.next());
        match &mut self.flow {
            Flow::Probe { .. } => {
                self.next = self.matched.next();
                self.flow = Flow::Replicate(Window::default());
            }
            Flow::Replicate(window) => window.acknowledge(self.matched),
            // It may have got there another way, as from an earlier leader; unless its state is
            // what must be replaced.
            Flow::Snapshot(transfer) => {
                if !transfer.repair && self.matched >= transfer.name.position.index {
                    self.end_transfer();
                }
            }
        }
        news
    }

    /// Stops sending entries to a follower whose log is full; heartbeats go on and detect room.
    pub(crate) fn pause(&mut self) {
        if matches!(self.flow, Flow::Replicate(_)) {
            self.next = self.matched.next();
            self.flow = Flow::Probe { sent: true };
        }
    }

    /// The last entry that the follower acknowledged; `None` if there is none, or its term is
    /// unknown.
    pub(crate) fn acknowledged(&self) -> Option<LogPosition> {
        self.matched_term.map(|term| LogPosition {
            term,
            index: self.matched,
        })
    }

    /// Everything a snapshot covers is there: entries follow.
    pub(crate) fn end_transfer(&mut self) {
        self.next = self.matched.next();
        self.flow = Flow::Replicate(Window::default());
        self.commit_sent = Index(0);
    }

    /// Whether a refusal of the entry at `refused` proves that the follower lost what it had
    /// acknowledged: its request left after the acknowledgement had arrived. An earlier request may
    /// have been overtaken. A follower that holds what it acknowledged refuses only later entries,
    /// and its `hint` is no earlier one.
    pub(crate) fn proves_loss(&self, refused: Index, hint: Index, probe: Option<Probe>) -> bool {
        let contradicts = refused <= self.matched || hint < self.matched;
        self.lost.is_none()
            && contradicts
            && probe.is_some_and(|probe| probe.sent > self.matched_at)
    }

    /// From now on it is a follower of which nothing is known, and which does not count.
    pub(crate) fn lose(&mut self, candidate: Index, now: Moment) {
        (self.lost, self.lost_at) = (Some(self.matched), now);
        (self.matched, self.matched_term) = (Index(0), None);
        self.next = candidate.next();
        self.flow = Flow::Probe { sent: false };
        self.commit_sent = Index(0);
        self.catch_up = None;
    }

    /// The follower refused entries after `refused`; `candidate` is the leader's best guess where
    /// the logs agree. Answers to messages sent before an earlier refusal was handled are stale and
    /// change nothing. Tells whether it did.
    pub(crate) fn on_conflict(&mut self, refused: Index, candidate: Index) -> bool {
        let stale = match &self.flow {
            Flow::Probe { .. } => refused != self.next.previous(),
            Flow::Replicate(_) => false,
            Flow::Snapshot(_) => true,
        };
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
mod tests;
