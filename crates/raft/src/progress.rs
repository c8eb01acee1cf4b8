//! Replication progress of one follower (figure 2, "volatile state on leaders"), and flow control
//! towards it.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::message::{Probe, StateHash};
use crate::snapshot::{Snapshot, SnapshotName};
use crate::types::{Incarnation, Index, LogPosition, Moment, Term};

/// Maximum number of state hashes kept per node, at 16 bytes each: members that many hashes apart
/// are still compared. Beyond it the oldest is dropped.
pub(crate) const MAX_STATE_HASHES: usize = 1024;

/// Appends `state` if it is newer than the newest, and drops the oldest beyond
/// [`MAX_STATE_HASHES`].
pub(crate) fn push_state(states: &mut VecDeque<StateHash>, state: StateHash) {
    // A report that was overtaken is dropped: `state_at` relies on the order of indexes.
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
    /// Its registered incarnation; answers of another one do not count.
    pub(crate) incarnation: Incarnation,
    /// Whether it is a witness: entries are sent to it without their commands.
    pub(crate) witness: bool,
    /// Highest index known to be equal and durable there (matchIndex).
    pub(crate) matched: Index,
    /// Time at which that became known, on the leader's clock.
    pub(crate) matched_at: Moment,
    /// Term of the entry at `matched`, if the leader's log held it then.
    pub(crate) matched_term: Option<Term>,
    /// Last index it had acknowledged, once it refused such an entry: its disk lost durable
    /// entries. It no longer counts while this node leads.
    pub(crate) lost: Option<Index>,
    /// Time at which the loss was detected.
    pub(crate) lost_at: Moment,
    /// Next index to send (nextIndex).
    pub(crate) next: Index,
    /// How entries are sent to it.
    pub(crate) flow: Flow,
    /// Highest commit index sent to it.
    pub(crate) commit_sent: Index,
    /// Time of its last answer to this leader, on the leader's clock; the start of the leadership
    /// if it never answered.
    pub(crate) last_contact: Moment,
    /// Whether it has answered this leader.
    pub(crate) answered: bool,
    /// Time at which the newest answered probe was sent, on the leader's clock: the follower's last
    /// contact with the leader is no earlier.
    pub(crate) confirmed: Moment,
    /// Newest round of reads that it has confirmed.
    pub(crate) round: u64,
    /// Round trips of answered probes, storage included.
    pub(crate) round_trip: RoundTrip,
    /// Rounds of catching up, while it is joining.
    pub(crate) catch_up: Option<CatchUp>,
    /// State hashes it reported, oldest first, at most [`MAX_STATE_HASHES`].
    pub(crate) states: VecDeque<StateHash>,
    /// Highest index at which its state equalled this leader's.
    pub(crate) agreed: Index,
    /// Set if its state has diverged: it needs a snapshot that ends at or after this index.
    pub(crate) repair_at: Option<Index>,
    /// Hashes up to this index belong to a replaced state, however late they arrive.
    pub(crate) replaced: Index,
}

/// Rounds in which a joining member catches up: "each round replicates all the log entries present
/// in the leader's log at the start of the round to the new server's log" (thesis 4.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchUp {
    /// Last entry of the leader's log at the start of the round.
    target: Index,
    /// Start of the round.
    pub(crate) began: Moment,
    /// Start and end of the last unbroken series of quick rounds, without the current round.
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
    /// than `timeout` breaks the series.
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

    /// Duration of the series of quick rounds, up to the end of the last one; up to `until` for a
    /// planted bug.
    pub(crate) fn quick_for(&self, until: Option<Moment>) -> Option<Duration> {
        self.quick
            .map(|(since, end)| until.unwrap_or(end).since(since))
    }
}

/// Smoothed round trips and their deviation, as in RFC 6298.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    /// Last sample.
    pub(crate) last: Option<Duration>,
    smoothed: Duration,
    deviation: Duration,
}

impl RoundTrip {
    fn measured(&mut self, sample: Duration) {
        if self.last.is_none() {
            (self.smoothed, self.deviation) = (sample, sample / 2);
        } else {
            // The deviation is updated first, with the old mean (RFC 6298, section 2.3).
            let off = self.smoothed.abs_diff(sample);
            self.deviation = self.deviation * 3 / 4 + off / 4;
            self.smoothed = self.smoothed * 7 / 8 + sample / 8;
        }
        self.last = Some(sample);
    }

    /// Upper estimate of a round trip: the smoothed one plus four deviations, in microseconds; 0 if
    /// unknown.
    pub(crate) fn bound(&self) -> u32 {
        u32::try_from((self.smoothed + self.deviation * 4).as_micros()).unwrap_or(u32::MAX)
    }
}

/// How entries are sent to a follower.
#[derive(Clone, Hash, Debug)]
pub(crate) enum Flow {
    /// The point where the logs agree is unknown: one message at a time, repeated with each
    /// heartbeat.
    Probe {
        /// Whether a message is in flight.
        sent: bool,
    },
    /// The logs agree: entries stream without waiting for answers, within the window.
    Replicate(Window),
    /// The next entry it needs is no longer in the log: a snapshot is sent in chunks.
    Snapshot(SnapshotTransfer),
}

/// A snapshot transfer to one follower.
#[derive(Clone, Hash, Debug)]
pub(crate) struct SnapshotTransfer {
    /// The snapshot, the same until it has arrived, even if there is a newer one.
    pub(crate) snapshot: Snapshot,
    /// Name of the snapshot.
    pub(crate) name: SnapshotName,
    /// Bytes that have arrived.
    pub(crate) received: u64,
    /// Bytes that have been sent.
    pub(crate) sent: u64,
    /// Whether the first chunk has been sent; an empty snapshot has one too.
    pub(crate) begun: bool,
    /// Bytes that the follower reported last; less than `received` if it lost some.
    reported: u64,
    /// Start of the transfer.
    pub(crate) began: Moment,
    /// Time at which bytes last arrived, or were last resent.
    pub(crate) moved: Moment,
    /// Whether the follower answers. One that does not is sent one chunk at a time.
    pub(crate) answers: bool,
    /// Whether the follower refused a snapshot of this size; it is no longer sent.
    pub(crate) refused: bool,
    /// Whether it repairs a follower whose state diverged.
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

    /// Handles a report that the first `bytes` bytes have arrived.
    pub(crate) fn on_received(&mut self, bytes: u64, now: Moment) {
        // A report without progress must not delay the resend.
        if bytes > self.received {
            self.moved = now;
            self.answers = true;
        }
        // The number comes from a peer, so it is bounded by the size.
        self.reported = bytes.min(self.name.size);
        self.received = self.received.max(self.reported);
        // An earlier leader may have sent more of the same snapshot than this one has.
        self.sent = self.sent.max(self.received);
    }

    /// Rewinds to the last reported byte if nothing arrived for `timeout`.
    pub(crate) fn resend_after(&mut self, timeout: Duration, now: Moment) {
        if now.since(self.moved) >= timeout {
            self.received = self.reported;
            self.sent = self.reported;
            // Without `begun` the first chunk is sent again even if the snapshot is empty.
            (self.begun, self.answers, self.moved) = (false, false, now);
        }
    }
}

/// AppendEntries in flight to one follower, bounded in messages and in bytes.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct Window {
    sent: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Window {
    /// Whether another message may be sent.
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.sent.len() < messages && self.bytes < bytes
    }

    /// Adds a message with entries up to `last`. [`Window::acknowledge`] releases exactly what is
    /// added here.
    pub(crate) fn push(&mut self, last: Index, bytes: usize) {
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Releases the messages with entries up to `matched`.
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
    /// Initial progress of a follower: nextIndex is right after the leader's last entry (section
    /// 5.3).
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

    /// Handles an answer, which may echo a probe.
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
            // Answers may arrive out of order.
            self.confirmed = self.confirmed.max(sent);
            self.round = self.round.max(round);
        }
    }

    /// Handles an acknowledgement of everything up to `up_to`, an entry of `term` if that is known.
    /// Returns whether matchIndex advanced.
    pub(crate) fn on_matched(&mut self, up_to: Index, term: Option<Term>, now: Moment) -> bool {
        let news = up_to > self.matched;
        if news {
            (self.matched, self.matched_at, self.matched_term) = (up_to, now, term);
        }
        // Never back: the messages in flight must not be sent twice.
        self.next = self.next.max(self.matched.next());
        match &mut self.flow {
            Flow::Probe { .. } => {
                // The answer may be to an earlier message, so streaming starts right after its
                // acknowledgement.
                self.next = self.matched.next();
                self.flow = Flow::Replicate(Window::default());
            }
            Flow::Replicate(window) => window.acknowledge(self.matched),
            // Its entries may have come from elsewhere, such as an earlier leader; a repair goes on
            // regardless, because it must replace the state.
            Flow::Snapshot(transfer) => {
                if !transfer.repair && self.matched >= transfer.name.position.index {
                    self.end_transfer();
                }
            }
        }
        news
    }

    /// Stops sending entries to a follower whose log is full; heartbeats continue and detect when
    /// it has room again.
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

    /// Ends a snapshot transfer: the follower has everything the snapshot covers, and entries
    /// follow.
    pub(crate) fn end_transfer(&mut self) {
        self.next = self.matched.next();
        self.flow = Flow::Replicate(Window::default());
        self.commit_sent = Index(0);
    }

    /// Whether a refusal of the entry at `refused` proves that the follower lost acknowledged
    /// entries: the refused request was sent after the acknowledgement had arrived. An earlier
    /// request may have been overtaken. A follower that still holds what it acknowledged refuses
    /// only later entries, with a `hint` that is no earlier.
    pub(crate) fn proves_loss(&self, refused: Index, hint: Index, probe: Option<Probe>) -> bool {
        let contradicts = refused <= self.matched || hint < self.matched;
        self.lost.is_none()
            && contradicts
            && probe.is_some_and(|probe| probe.sent > self.matched_at)
    }

    /// Resets the follower to an unknown log; it no longer counts.
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
    /// change nothing. Returns whether anything changed.
    pub(crate) fn on_conflict(&mut self, refused: Index, candidate: Index) -> bool {
        let stale = match &self.flow {
            // A probe has one message in flight, so only the refusal of that one counts.
            Flow::Probe { .. } => refused != self.next.previous(),
            Flow::Replicate(_) => false,
            Flow::Snapshot(_) => true,
        };
        // An entry that was acknowledged since is no conflict; `proves_loss` handles the other
        // case.
        if stale || refused <= self.matched {
            return false;
        }
        // Before the refused entry, which differs, and after everything that was acknowledged.
        self.next = candidate.min(refused.previous()).max(self.matched).next();
        self.flow = Flow::Probe { sent: false };
        // The follower did not adopt the commit index of a refused message either.
        self.commit_sent = Index(0);
        true
    }
}

#[cfg(test)]
mod tests;
