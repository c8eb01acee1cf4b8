//! The main loop of a node: inbox, step, persist, send, deliver. A thread, a test and a Bevy
//! schedule call the same function.

use std::collections::VecDeque;
use std::sync::Arc;

use raftian_raft::{
    Actions, Change, Command, Config, ConfigError, Decision, Entry, Event, Index, Input,
    Membership, Moment, Node, NodeId, ReadId, RefusalReason, Refused, Responses, Restored,
    Snapshot, StateHash, TakenSnapshot, Work, WriteNumber,
};

use crate::links::Links;
use crate::signing::{CommandSigner, Signatures};
use crate::store::{Store, StoreError};
use crate::trace::{Trace, TraceEvent};
use crate::view::NodeView;

pub use crate::view::Contradiction;

/// Maximum number of messages taken from the links before actions are performed. Bounds the size of
/// one write and of one round of messages.
pub const INBOX_BATCH: usize = 1024;

/// Maximum number of rounds in one pump. At the bound the driver returns to its caller, who must
/// pump again at once: a flood of messages cannot hold up a frame.
pub const ROUNDS: usize = 32;

/// Events kept for inspection. The oldest is dropped.
pub const EVENTS_KEPT: usize = 256;

/// Entries at the end of the log shown in a [`NodeView`].
pub const TAIL_SHOWN: usize = 32;

/// Item that the log delivers to the program, in one order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Committed {
    /// The next entry.
    Entry(Entry),
    /// A state that replaces everything before it: at a start, or because a leader had to send it.
    Snapshot(Snapshot),
}

impl Committed {
    /// Returns the last index that the item covers.
    pub fn index(&self) -> Index {
        match self {
            Committed::Entry(entry) => entry.index,
            Committed::Snapshot(snapshot) => snapshot.position.index,
        }
    }
}

/// A node with its disk and links, driven by calls to [`Driver::pump`].
#[derive(Debug)]
pub struct Driver<S, L> {
    node: Node,
    store: S,
    links: L,
    /// Delivered by the core and not yet taken; bounded by the core's apply window.
    committed: VecDeque<Committed>,
    responses: Responses,
    events: VecDeque<Event>,
    /// The last alarm that was logged; suppresses repetitions.
    last_alarm: Option<Decision>,
    contradiction: Option<Contradiction>,
    /// The last write that was submitted to the store, and the last that it completed.
    submitted: WriteNumber,
    written: WriteNumber,
    now: Moment,
    recording: Option<Vec<Recorded>>,
    trace: Trace,
    /// Membership that the links follow, and whether it was committed.
    followed: (Membership, bool),
    signatures: Option<Signatures>,
}

/// One recorded step of a [`Driver`]'s node. With the configuration and the restored state of its
/// start, the records replay the node bit for bit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// The node was stepped with this input.
    Stepped(Moment, Input),
    /// The node returned these actions.
    Acted(Box<Actions>),
}

impl<S: Store, L: Links> Driver<S, L> {
    /// Creates a driver for the node restored from `store`, at `now`.
    ///
    /// # Errors
    /// Those of [`Node::new`].
    pub fn new(
        config: Config,
        restored: Restored,
        store: S,
        links: L,
        now: Moment,
    ) -> Result<Self, ConfigError> {
        let node = Node::new(config, restored, now)?;
        let mut driver = Driver {
            followed: (node.membership().clone(), false),
            signatures: None,
            node,
            store,
            links,
            committed: VecDeque::new(),
            responses: Responses::default(),
            events: VecDeque::new(),
            last_alarm: None,
            contradiction: None,
            submitted: WriteNumber::default(),
            written: WriteNumber::default(),
            now,
            recording: None,
            trace: Trace::default(),
        };
        driver.links.follow(&driver.followed.0, false);
        Ok(driver)
    }

    /// Lets the links follow a membership that is new or newly committed.
    fn follow_membership(&mut self) {
        let membership = self.node.membership();
        let is_committed = self.node.commit() >= self.node.membership_index();
        if self.followed.0 != *membership || self.followed.1 != is_committed {
            self.followed = (membership.clone(), is_committed);
            if let Some(signatures) = &mut self.signatures {
                signatures.follow(membership);
            }
            self.links.follow(membership, is_committed);
        }
    }

    /// Does all work that is due and returns the time of the next call if nothing else happens;
    /// that is at once if work is left.
    ///
    /// `clock` is read after the messages are taken from the links: a message that arrived while
    /// the thread was suspended must not seem older than it is, since a follower withholds its vote
    /// from other candidates from the arrival on (thesis 6.4.1).
    ///
    /// # Errors
    /// A failed write is final: no message that waited for it has left, and the node must not be
    /// pumped again.
    ///
    /// # Panics
    /// If the node or the store breaks its contract: entries or writes out of order, a
    /// message to itself, or a timer that did not fire.
    pub fn pump(&mut self, clock: impl Fn() -> Moment) -> Result<Moment, StoreError> {
        let mut messages = Vec::new();
        for _ in 0..ROUNDS {
            messages.extend(std::iter::from_fn(|| self.links.receive()).take(INBOX_BATCH));
            self.now = self.now.max(clock());
            for (from, mut message) in messages.drain(..) {
                if let Some(signatures) = &mut self.signatures {
                    signatures.check(from, &mut message, self.now);
                }
                self.trace.emit(TraceEvent::Received(from, &message));
                self.step(Input::Receive { from, message });
            }
            while let Some(completed) = self.store.completed() {
                let number = completed?;
                assert!(
                    self.written < number && number <= self.submitted,
                    "a store completes submitted writes, in order"
                );
                self.written = number;
                self.trace.emit(TraceEvent::Written(number));
                self.step(Input::Persisted(number));
            }
            // Timers come after the messages: a heartbeat that has arrived must still prevent an
            // election.
            if self.node.wake_at() <= self.now {
                self.step(Input::Wake);
            }
            // A store may complete a write at once, so only a round without any work is the last.
            if !self.work()? {
                let next = self.node.wake_at();
                // At the end of time a deadline cannot lie later.
                assert!(
                    next > self.now || self.now == Moment(u64::MAX),
                    "every timer that was due has fired"
                );
                return Ok(next);
            }
        }
        // The bound is reached with work left: due at once.
        Ok(self.now)
    }

    fn step(&mut self, input: Input) {
        // Before the step, so that the record includes an input that makes the node panic.
        if let Some(recording) = &mut self.recording {
            recording.push(Recorded::Stepped(self.now, input.clone()));
        }
        self.node.step(self.now, input);
    }

    /// Starts to record the steps of the node, without bound: for tests, not for a long match.
    pub fn record(&mut self) {
        self.recording.get_or_insert_default();
    }

    /// Signs this node's commands from now on, and drops forwarded ones that their member did not
    /// sign, in a match that players join.
    pub fn set_signer(&mut self, signer: CommandSigner) {
        let founding = &self.node.config().membership;
        let mut signatures = Signatures::new(signer, self.node.id(), founding);
        signatures.follow(self.node.membership());
        self.signatures = Some(signatures);
    }

    /// Returns the signatures, in a match whose members sign.
    pub(crate) fn signatures(&self) -> Option<&Signatures> {
        self.signatures.as_ref()
    }

    /// Sets the receiver of trace events, in place of the one before.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Returns the record so far.
    pub fn recording(&self) -> &[Recorded] {
        self.recording.as_deref().unwrap_or_default()
    }

    /// Performs the node's pending actions; returns whether there were any.
    ///
    /// Messages leave before the write is submitted: none of them depends on it, and a store that
    /// writes synchronously would delay them (thesis 10.2.1).
    fn work(&mut self) -> Result<bool, StoreError> {
        let own = self.node.id();
        // Before the messages: the first ones to a new member must find their link.
        self.follow_membership();
        let work = self.node.work();
        if let Some(recording) = &mut self.recording {
            // Recorded even if empty, so that a replay polls the node at the same points.
            recording.push(Recorded::Acted(Box::new(work.to_actions())));
        }
        if work.is_empty() {
            return Ok(false);
        }
        let Work {
            persist,
            apply,
            others,
        } = work;
        for (to, message) in others.send.drain(..) {
            assert_ne!(to, own, "a node sends no message to itself");
            self.links.send(to, message);
        }
        if let Some(write) = persist {
            let write = write.map(<[Entry]>::to_vec);
            assert!(
                self.submitted < write.number,
                "writes are numbered in order"
            );
            let is_next = |one: &Entry, next: &Entry| next.index == one.index.next();
            assert!(
                write.entries.is_sorted_by(is_next),
                "the entries of a write have no gap"
            );
            self.submitted = write.number;
            self.trace.emit(TraceEvent::Writing(&write));
            self.store.submit(write)?;
        }
        if let Some(snapshot) = others.restore.take() {
            // The snapshot covers every entry that was not taken yet.
            self.committed.clear();
            self.committed.push_back(Committed::Snapshot(snapshot));
        }
        if !apply.is_empty() {
            self.trace.emit(TraceEvent::Committed(apply));
        }
        for entry in apply {
            let is_next = |last: &Committed| entry.index == last.index().next();
            assert!(
                self.committed.back().is_none_or(is_next),
                "entries are delivered in log order, without a gap"
            );
            self.committed.push_back(Committed::Entry(entry.clone()));
        }
        // Kept until the program takes them, perhaps many pumps later: the core requests a due
        // snapshot only once.
        self.responses.append(&mut others.responses);
        for event in others
            .events
            .iter()
            .filter(|event| event.decision.is_alarm())
        {
            // An alarm recurs with every message of that member.
            if self.last_alarm.as_ref() != Some(&event.decision) {
                tracing::error!(term = event.term.0, "this node {}", event.decision);
                self.last_alarm = Some(event.decision.clone());
            }
            if let Decision::ContradictsCommitted { from, mine, theirs } = event.decision {
                self.contradiction
                    // The first one is evidence enough; the leader repeats it with every message.
                    .get_or_insert(Contradiction { from, mine, theirs });
            }
        }
        push_bounded(&mut self.events, others.events.drain(..), EVENTS_KEPT);
        Ok(true)
    }

    /// Proposes commands. Their outcome is in the log, or in [`Driver::take_responses`] after the
    /// next pump.
    pub fn propose(&mut self, commands: Vec<Command>) {
        let signed = match &self.signatures {
            Some(signatures) => signatures.sign(commands),
            None => Ok(commands),
        };
        let commands = match signed {
            Ok(commands) => commands,
            Err(commands) => {
                // They are proposed again, until the node has recorded its own key.
                let refused = commands.iter();
                let refused = refused.map(|one| Refused::new(one, RefusalReason::Busy));
                return self.responses.refused.extend(refused);
            }
        };
        self.trace.emit(TraceEvent::Proposed(&commands));
        self.step(Input::Propose(commands));
    }

    /// Moves up to `most` committed items to `into`, in log order and each once. Taking an item
    /// counts as applying it.
    pub fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) {
        let count = most.min(self.committed.len());
        into.extend(self.committed.drain(..count));
        // `into` may contain items of earlier calls: only a call that moved some reports progress.
        if let Some(last) = into.last().filter(|_| count > 0) {
            self.step(Input::Applied(last.index()));
        }
    }

    /// Moves all committed items to `into`. They count as applied once [`Driver::applied`] is
    /// called.
    pub fn deliver(&mut self, into: &mut Vec<Committed>) {
        if let Some(last) = self.committed.back() {
            self.trace.emit(TraceEvent::Delivered(last.index()));
        }
        into.extend(self.committed.drain(..));
    }

    /// Reports that everything up to `index` has been applied.
    pub fn applied(&mut self, index: Index) {
        self.step(Input::Applied(index));
    }

    /// Returns the responses to the program since the last call. Answer a due snapshot with
    /// [`Driver::take_snapshot`].
    pub fn take_responses(&mut self) -> Responses {
        std::mem::take(&mut self.responses)
    }

    /// Transfers leadership to `to`, or to the best follower, if this node leads.
    pub fn transfer_leadership(&mut self, to: Option<NodeId>) {
        self.step(Input::TransferLeadership(to));
    }

    /// Changes the membership, if this node leads. The answer is in [`Driver::take_responses`]
    /// after the next pump.
    pub fn change_membership(&mut self, change: Change) {
        self.step(Input::ChangeMembership(change));
    }

    /// Requests the index from which a read may be answered; see [`Driver::take_responses`]. A
    /// lease is judged at `now`, however long ago the last pump was.
    pub fn read(&mut self, now: Moment, id: ReadId, lease: bool) {
        self.set_now(now);
        self.step(Input::Read { id, lease });
    }

    /// Accepts a snapshot of the program's state as of the last applied entry. While another state
    /// waits to replace that one, the snapshot is discarded and requested again.
    pub fn take_snapshot(&mut self, taken: TakenSnapshot) {
        if self.is_state_replaced() {
            self.responses.snapshot_due = true;
        } else {
            self.step(Input::TakeSnapshot(taken));
        }
    }

    /// Declines the requested snapshot; the core requests it again later.
    pub fn decline_snapshot(&mut self) {
        self.step(Input::DeclineSnapshot);
    }

    /// Reports the hash of the program's state after one entry; ignored while another state waits
    /// to replace it.
    pub fn state_hash(&mut self, state: StateHash) {
        if !self.is_state_replaced() {
            self.step(Input::StateHash(state));
        }
    }

    fn is_state_replaced(&self) -> bool {
        // A snapshot clears the queue on arrival, so one that still waits is the first item.
        matches!(self.committed.front(), Some(Committed::Snapshot(_)))
    }

    /// Fires the election timer.
    pub fn campaign(&mut self) {
        self.step(Input::Campaign);
    }

    /// Returns the decisions since the last call. [`Driver::view`] no longer shows them.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Returns the first contradiction to a committed entry that this node has found.
    pub fn contradiction(&self) -> Option<Contradiction> {
        self.contradiction
    }

    /// Ends the node and returns its store.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Returns the store, for inspection or fault injection.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the consensus state.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the links, for reading their counters or cutting them.
    pub fn links_mut(&mut self) -> &mut L {
        &mut self.links
    }

    /// Returns the links.
    pub fn links(&self) -> &L {
        &self.links
    }

    /// Advances the driver's clock, which never goes back. Inputs before the next pump are stepped
    /// at this time.
    pub fn set_now(&mut self, now: Moment) {
        self.now = self.now.max(now);
    }

    /// Returns a snapshot of the node's visible state.
    pub fn view(&self) -> NodeView {
        let last = self.node.last().index;
        // The first index is 1.
        let tail_from = Index(last.0.saturating_sub(TAIL_SHOWN as u64 - 1).max(1));
        NodeView {
            status: self.node.status(),
            founding: self.node.config().membership.clone(),
            now: self.now,
            tail: self.node.entries_from(tail_from).to_vec(),
            events: self.events.iter().cloned().collect(),
            // These belong to the caller: the event loop and `InlineNode` fill them in.
            paused: false,
            cut: false,
            stopped: None,
            checkpoints: Arc::default(),
        }
    }
}

/// Appends `items`; beyond `bound` the oldest are dropped.
pub(crate) fn push_bounded<T>(
    queue: &mut VecDeque<T>,
    items: impl IntoIterator<Item = T>,
    bound: usize,
) {
    queue.extend(items);
    if queue.len() > bound {
        queue.drain(..queue.len() - bound);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use raftian_raft::{Body, Membership, Message, Term};

    use super::*;
    use crate::store::MemoryStore;

    /// Links on which one message arrives after the thread was suspended for 250 ms.
    struct LinksAfterPause<'a> {
        clock: &'a Cell<Moment>,
        message: Option<(NodeId, Message)>,
    }

    impl Links for LinksAfterPause<'_> {
        fn send(&mut self, _to: NodeId, _message: Message) {}

        fn receive(&mut self) -> Option<(NodeId, Message)> {
            let message = self.message.take()?;
            self.clock
                .set(self.clock.get().after(Duration::from_millis(250)));
            Some(message)
        }
    }

    /// Thesis 6.4.1: a follower withholds its vote from other candidates for a time that begins
    /// when a message of the leader arrives.
    #[test]
    fn message_is_stepped_no_earlier_than_it_arrived() {
        let clock = Cell::new(Moment(1_000_000));
        let message = Message::new(Term(1), Body::VoteReply { granted: false });
        let links = LinksAfterPause {
            clock: &clock,
            message: Some((NodeId(2), message)),
        };
        let members = Membership::new([NodeId(1), NodeId(2)]).expect("two members");
        let config = Config::new(NodeId(1), members, 7);
        let mut driver = Driver::new(
            config,
            Restored::default(),
            MemoryStore::new(),
            links,
            clock.get(),
        )
        .expect("valid config");
        driver.record();
        driver
            .pump(|| clock.get())
            .expect("a memory store never fails");
        let received = driver
            .recording()
            .iter()
            .find_map(|recorded| match recorded {
                Recorded::Stepped(at, Input::Receive { .. }) => Some(*at),
                Recorded::Stepped(..) | Recorded::Acted(_) => None,
            });
        assert_eq!(received, Some(clock.get()));
    }
}
