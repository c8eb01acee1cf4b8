//! What is on its way.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use raftian_lab::simulation::Envelope;
use raftian_raft::{Body, Message, Moment, NodeId, Term};

use crate::key::key;

/// What becomes of messages. In all of them, any message may be the next to arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    /// Every message ever sent may arrive at any time, and again: loss, repeats, reordering and
    /// late arrival in one.
    Remembers,
    /// At most so many are on their way; one more, and the oldest is lost. Each arrives once.
    Holds(usize),
    /// The same, but each may arrive as long as it is not lost: repeats, and late arrival within
    /// limits.
    Repeats(usize),
}

/// The messages that may arrive.
#[derive(Clone)]
pub(crate) struct Network {
    wire: Wire,
    /// By key if the wire remembers, else oldest first.
    parcels: Arc<Vec<Arc<Parcel>>>,
}

/// One message with its hash.
struct Parcel {
    envelope: Envelope,
    key: u64,
}

impl Network {
    pub(crate) fn new(wire: Wire) -> Self {
        Network {
            wire,
            parcels: Arc::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    pub(crate) fn get(&self, place: usize) -> &Envelope {
        &self.parcels[place].envelope
    }

    /// Puts a message on its way. One that is there already stays one: whoever wants it to arrive
    /// twice has a wire that remembers.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let key = key(&(from, to, &message));
        let place = match self.wire {
            Wire::Remembers => self.parcels.binary_search_by_key(&key, |parcel| parcel.key),
            Wire::Holds(_) | Wire::Repeats(_) => {
                let found = self.parcels.iter().position(|parcel| parcel.key == key);
                found.ok_or(self.parcels.len())
            }
        };
        let Err(place) = place else { return };
        let envelope = Envelope {
            serial: 0,
            from,
            to,
            sent: Moment(0),
            message,
        };
        let parcels = Arc::make_mut(&mut self.parcels);
        parcels.insert(place, Arc::new(Parcel { envelope, key }));
        match self.wire {
            Wire::Holds(most) | Wire::Repeats(most) if parcels.len() > most => {
                drop(parcels.remove(0))
            }
            Wire::Holds(_) | Wire::Repeats(_) | Wire::Remembers => {}
        }
    }

    /// Drops what `id` will never listen to again, since it is in `term` for ever: states that
    /// differ in nothing else are the same.
    pub(crate) fn bury(&mut self, id: NodeId, term: Term) {
        let dead = |envelope: &Envelope| envelope.to == id && is_over(&envelope.message, term);
        if self.parcels.iter().any(|parcel| dead(&parcel.envelope)) {
            Arc::make_mut(&mut self.parcels).retain(|parcel| !dead(&parcel.envelope));
        }
    }

    /// The message at `place` arrived.
    pub(crate) fn arrived(&mut self, place: usize) {
        match self.wire {
            Wire::Remembers | Wire::Repeats(_) => {}
            Wire::Holds(_) => drop(Arc::make_mut(&mut self.parcels).remove(place)),
        }
    }

    /// The oldest message, which is on its way no more.
    pub(crate) fn take_first(&mut self) -> Option<Envelope> {
        (!self.parcels.is_empty())
            .then(|| Arc::make_mut(&mut self.parcels).remove(0).envelope.clone())
    }

    pub(crate) fn clear(&mut self) {
        self.parcels = Arc::default();
    }
}

impl Hash for Network {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.parcels.len().hash(hasher);
        for parcel in self.parcels.iter() {
            parcel.key.hash(hasher);
        }
    }
}

/// Whether nothing happens when `message` arrives at a node that is in `term`. Requests are
/// answered however old they are, with the node's term, so they are never over.
fn is_over(message: &Message, term: Term) -> bool {
    match &message.body {
        Body::VoteReply { .. }
        | Body::AppendReply(_)
        | Body::SnapshotReply(_)
        | Body::TimeoutNow
        | Body::ReadReply { .. }
        | Body::LostEntries { .. } => message.term < term,
        Body::PreVoteReply { .. } => message.term <= term,
        Body::PreVote { .. }
        | Body::RequestVote { .. }
        | Body::AppendEntries(_)
        | Body::InstallSnapshot(_)
        | Body::Forward { .. }
        | Body::Read { .. } => false,
    }
}

/// The message without the round trip that its sender has measured, by which no node of a model
/// goes.
pub(crate) fn unmeasured(mut message: Message) -> Message {
    if let Body::AppendEntries(append) = &mut message.body {
        append.round_trip = 0;
    }
    message
}

/// The message without anything that clocks have said.
pub(crate) fn timeless(message: Message) -> Message {
    let mut message = unmeasured(message);
    let probe = match &mut message.body {
        Body::AppendEntries(append) => append.probe.as_mut(),
        Body::AppendReply(reply) => reply.probe.as_mut(),
        Body::InstallSnapshot(part) => Some(&mut part.probe),
        Body::SnapshotReply(reply) => reply.probe.as_mut(),
        Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::RequestVote { .. }
        | Body::VoteReply { .. }
        | Body::TimeoutNow
        | Body::Forward { .. }
        | Body::Read { .. }
        | Body::ReadReply { .. }
        | Body::LostEntries { .. } => None,
    };
    if let Some(probe) = probe {
        probe.sent = Moment(0);
    }
    message
}
