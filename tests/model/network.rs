//! The network of the model: messages in flight.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use raftian_raft::{Body, Message, Moment, NodeId, Term};
use raftian_sim::cluster::Envelope;

use crate::key::key;

/// Message loss and duplication. In every variant, messages may arrive in any order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    /// Every message ever sent may arrive at any time and repeatedly: loss, duplication, reordering
    /// and delay in one.
    Remembers,
    /// At most this many messages are in flight; one more, and the oldest is lost. Each arrives at
    /// most once.
    Holds(usize),
    /// The same bound, but a message may arrive repeatedly until it is lost: duplication and
    /// bounded delay.
    Repeats(usize),
}

/// Messages in flight.
#[derive(Clone)]
pub(crate) struct Network {
    wire: Wire,
    /// Sorted by key with [`Wire::Remembers`], otherwise oldest first.
    parcels: Arc<Vec<Arc<Parcel>>>,
}

/// A message in flight and its hash.
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

    /// Adds a message. An equal one in flight is kept once: [`Wire::Remembers`] and
    /// [`Wire::Repeats`] model duplicates.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let key = key(&(from, to, &message));
        let place = match self.wire {
            Wire::Remembers => self.parcels.binary_search_by_key(&key, |parcel| parcel.key),
            Wire::Holds(_) | Wire::Repeats(_) => {
                let found = self.parcels.iter().position(|parcel| parcel.key == key);
                found.ok_or(self.parcels.len())
            }
        };
        // `Ok` is the position of an equal message in flight.
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

    /// Drops messages that `id` ignores from now on, because its durable term is `term`: states
    /// that differ only in such messages are equivalent.
    pub(crate) fn bury(&mut self, id: NodeId, term: Term) {
        let dead = |envelope: &Envelope| envelope.to == id && is_over(&envelope.message, term);
        if self.parcels.iter().any(|parcel| dead(&parcel.envelope)) {
            Arc::make_mut(&mut self.parcels).retain(|parcel| !dead(&parcel.envelope));
        }
    }

    /// Removes the message at `place` after its arrival, unless it may arrive again.
    pub(crate) fn arrived(&mut self, place: usize) {
        match self.wire {
            Wire::Remembers | Wire::Repeats(_) => {}
            Wire::Holds(_) => drop(Arc::make_mut(&mut self.parcels).remove(place)),
        }
    }

    /// Removes and returns the oldest message.
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

/// Whether a node in `term` ignores `message`. Requests of any age are answered with the node's
/// term, so they are never ignored.
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
        | Body::Read { .. }
        | Body::Founders { .. }
        | Body::Founded { .. } => false,
    }
}

/// Clears the measured round trip, which does not affect the nodes of a model.
pub(crate) fn unmeasured(mut message: Message) -> Message {
    if let Body::AppendEntries(append) = &mut message.body {
        append.round_trip = 0;
    }
    message
}

/// Clears every clock reading of the message.
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
        | Body::LostEntries { .. }
        | Body::Founders { .. }
        | Body::Founded { .. } => None,
    };
    if let Some(probe) = probe {
        probe.sent = Moment(0);
    }
    message
}
