//! Links between machines: a queue of messages in flight, and cuts that drop them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use raftian_raft::{AppendResult, Body, Message, Moment, NodeId, SnapshotResult};

/// One message in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Serial number, unique in a run; a copy has its own.
    pub serial: u64,
    /// Sender.
    pub from: NodeId,
    /// Recipient.
    pub to: NodeId,
    /// Send time, in the simulation's time.
    pub sent: Moment,
    /// The message.
    pub message: Message,
}

/// Kind of a message, as transcripts name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// `pre-vote`
    PreVote,
    /// `pre-vote-reply`
    PreVoteReply,
    /// `request-vote`
    RequestVote,
    /// `vote-reply`
    VoteReply,
    /// `append`: AppendEntries with or without entries.
    Append,
    /// `heartbeat`: AppendEntries without entries.
    Heartbeat,
    /// `append-reply`
    AppendReply,
    /// `timeout-now`
    TimeoutNow,
    /// `forward`
    Forward,
    /// `snapshot`
    Snapshot,
    /// `snapshot-reply`
    SnapshotReply,
    /// `read`
    Read,
    /// `read-reply`
    ReadReply,
    /// `lost-entries`
    LostEntries,
    /// `founders`
    Founders,
    /// `founded`
    Founded,
}

impl Kind {
    /// Returns the narrowest kind of a message.
    pub fn of(message: &Message) -> Kind {
        match &message.body {
            Body::PreVote { .. } => Kind::PreVote,
            Body::PreVoteReply { .. } => Kind::PreVoteReply,
            Body::RequestVote { .. } => Kind::RequestVote,
            Body::VoteReply { .. } => Kind::VoteReply,
            Body::AppendEntries(append) if append.entries.is_empty() => Kind::Heartbeat,
            Body::AppendEntries(_) => Kind::Append,
            Body::AppendReply(_) => Kind::AppendReply,
            Body::TimeoutNow => Kind::TimeoutNow,
            Body::Forward { .. } => Kind::Forward,
            Body::InstallSnapshot(_) => Kind::Snapshot,
            Body::SnapshotReply(_) => Kind::SnapshotReply,
            Body::Read { .. } => Kind::Read,
            Body::ReadReply { .. } => Kind::ReadReply,
            Body::LostEntries { .. } => Kind::LostEntries,
            Body::Founders { .. } => Kind::Founders,
            Body::Founded { .. } => Kind::Founded,
        }
    }

    /// Returns its name in transcripts.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PreVote => "pre-vote",
            Kind::PreVoteReply => "pre-vote-reply",
            Kind::RequestVote => "request-vote",
            Kind::VoteReply => "vote-reply",
            Kind::Append => "append",
            Kind::Heartbeat => "heartbeat",
            Kind::AppendReply => "append-reply",
            Kind::TimeoutNow => "timeout-now",
            Kind::Forward => "forward",
            Kind::Snapshot => "snapshot",
            Kind::SnapshotReply => "snapshot-reply",
            Kind::Read => "read",
            Kind::ReadReply => "read-reply",
            Kind::LostEntries => "lost-entries",
            Kind::Founders => "founders",
            Kind::Founded => "founded",
        }
    }
}

impl Envelope {
    /// Returns whether the message is of this kind. [`Kind::Append`] covers heartbeats.
    pub fn is(&self, kind: Kind) -> bool {
        let own = Kind::of(&self.message);
        own == kind || (own == Kind::Heartbeat && kind == Kind::Append)
    }

    /// Returns whether it goes from node `from` to node `to`.
    pub fn between(&self, from: u64, to: u64) -> bool {
        self.from == NodeId(from) && self.to == NodeId(to)
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = Kind::of(&self.message).name();
        let term = self.message.term;
        write!(f, "{}->{} {kind} {term}", self.from, self.to)?;
        match &self.message.body {
            Body::PreVote { last, .. } | Body::RequestVote { last, .. } => {
                write!(f, " last {last}")
            }
            Body::PreVoteReply { granted } | Body::VoteReply { granted } => {
                write!(f, " {}", if *granted { "granted" } else { "refused" })
            }
            Body::AppendEntries(append) => {
                write!(
                    f,
                    " {} after {}, commit {}",
                    append.entries.len(),
                    append.previous,
                    append.commit
                )
            }
            Body::AppendReply(reply) => match reply.result {
                AppendResult::Matched { up_to } => write!(f, " matched {up_to}"),
                AppendResult::Full { up_to } => write!(f, " matched {up_to}, no room for more"),
                AppendResult::Conflict { refused, hint } => {
                    write!(f, " refused {refused}, hint {hint}")
                }
                AppendResult::Stale => write!(f, " stale"),
            },
            Body::TimeoutNow => Ok(()),
            Body::Forward { commands } => write!(f, " {} commands", commands.len()),
            Body::InstallSnapshot(part) => {
                let bytes = part.bytes.as_ref().map_or(0, |bytes| bytes.len());
                write!(
                    f,
                    " {}, bytes {} + {bytes} of {}",
                    part.name.position, part.offset, part.name.size
                )
            }
            Body::SnapshotReply(reply) => match reply.result {
                SnapshotResult::Received(bytes) => {
                    write!(f, " {} received {bytes}", reply.position)
                }
                SnapshotResult::Installed => write!(f, " {} installed", reply.position),
                SnapshotResult::Stale => write!(f, " stale"),
                SnapshotResult::TooLarge { limit } => write!(f, " larger than {limit}"),
                SnapshotResult::TooOld { base } => write!(f, " older than {base}"),
            },
            Body::Read { token } => write!(f, " {token:x}"),
            Body::ReadReply {
                token,
                index: Some(index),
            } => write!(f, " {token:x} at {index}"),
            Body::ReadReply { token, index: None } => write!(f, " {token:x} refused"),
            Body::LostEntries { acknowledged } => write!(f, " acknowledged {acknowledged}"),
            Body::Founders { incarnations } => {
                let known = incarnations.iter().filter(|(_, known)| known.is_some());
                write!(f, " knows {} of {}", known.count(), incarnations.len())
            }
            Body::Founded { membership } => {
                write!(f, " {} founders", membership.members().len())
            }
        }
    }
}

/// One machine's endpoint of the links: messages received but not yet taken, and messages sent.
#[derive(Debug, Default)]
pub(crate) struct SimLinks {
    pub(crate) inbox: VecDeque<(NodeId, Message)>,
    pub(crate) outbox: Vec<(NodeId, Message)>,
}

impl raftian_node::links::Links for SimLinks {
    fn send(&mut self, to: NodeId, message: Message) {
        self.outbox.push((to, message));
    }

    fn receive(&mut self) -> Option<(NodeId, Message)> {
        self.inbox.pop_front()
    }
}

/// All links of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Links {
    queue: VecDeque<Envelope>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Delay of each link; zero for a link that is not listed.
    delays: BTreeMap<(NodeId, NodeId), Duration>,
    serial: u64,
}

impl Links {
    /// Queues a message behind all others, unless its link is cut.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, sent: Moment, message: Message) {
        if !self.cuts.contains(&(from, to)) {
            self.serial += 1;
            self.queue.push_back(Envelope {
                serial: self.serial,
                from,
                to,
                sent,
                message,
            });
        }
    }

    /// Returns the messages in flight, oldest first.
    pub(crate) fn queue(&self) -> &VecDeque<Envelope> {
        &self.queue
    }

    /// Delays messages of this link by `by` from now on, unless they are delivered by hand.
    pub(crate) fn delay(&mut self, from: NodeId, to: NodeId, by: Duration) {
        self.delays.insert((from, to), by);
    }

    /// Removes all delays.
    pub(crate) fn clear_delays(&mut self) {
        self.delays.clear();
    }

    fn due(&self, envelope: &Envelope) -> Moment {
        let delay = self.delays.get(&(envelope.from, envelope.to));
        delay.map_or(envelope.sent, |delay| envelope.sent.after(*delay))
    }

    /// Returns the time at which the next message is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        // Without delays the queue is already in order of due times.
        if self.delays.is_empty() {
            return self.queue.front().map(|envelope| envelope.sent);
        }
        self.queue.iter().map(|envelope| self.due(envelope)).min()
    }

    /// Removes and returns the oldest message that is due.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<Envelope> {
        if self.delays.is_empty() {
            return self.queue.pop_front();
        }
        let place = self
            .queue
            .iter()
            .position(|envelope| self.due(envelope) <= now)?;
        self.queue.remove(place)
    }

    /// Removes and returns the message at this position of the queue.
    pub(crate) fn take_at(&mut self, place: usize) -> Option<Envelope> {
        self.queue.remove(place)
    }

    /// Removes and returns every message that matches, oldest first.
    pub(crate) fn take(&mut self, matches: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        let (taken, kept) = self.queue.drain(..).partition(|envelope| matches(envelope));
        self.queue = kept;
        Vec::from(taken as VecDeque<_>)
    }

    /// Cuts one direction; messages in flight there are lost. Returns how many were lost.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) -> usize {
        self.cuts.insert((from, to));
        self.take(|envelope| envelope.from == from && envelope.to == to)
            .len()
    }

    /// Mends one direction.
    pub(crate) fn mend(&mut self, from: NodeId, to: NodeId) {
        self.cuts.remove(&(from, to));
    }

    /// Mends every cut.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }
}
