//! Trace timestamps of the nodes of one cluster, and the latency breakdown derived from them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftian_node::trace::{Trace, TraceEvent};
use raftian_raft::{AppendResult, Body, Index, NodeId, Payload, WriteNumber};

/// Timestamps of all nodes, by position. One clock times them all: they are threads of one process,
/// or share one virtual time.
#[derive(Clone, Debug)]
pub(super) struct Timestamps(Vec<Arc<Mutex<Node>>>);

/// Timestamps of one node, the first of each kind. Bounded by the orders of one cell.
#[derive(Debug, Default)]
struct Node {
    /// Time at which the node took an order, by the order's number.
    took: HashMap<u64, Instant>,
    /// Index at which an order was first committed, by the order's number.
    places: HashMap<u64, Index>,
    /// Time at which an entry was given to the disk, by index.
    writing: HashMap<Index, Instant>,
    /// Time at which an entry became durable, by index.
    written: HashMap<Index, Instant>,
    /// First and last index of pending writes.
    under_way: BTreeMap<WriteNumber, (Index, Index)>,
    /// Acknowledged index and its arrival time, by sender; both only grow.
    acknowledged: BTreeMap<NodeId, Vec<(Index, Instant)>>,
    committed: HashMap<Index, Instant>,
    delivered: Vec<(Index, Instant)>,
    writes: Vec<Duration>,
}

/// Latency breakdown of one order from click to display; the parts add up to the total.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct LatencyBreakdown {
    /// From the click until the node took it.
    pub queue: Duration,
    /// Messages in flight, and node work other than writing.
    pub network: Duration,
    /// The write that gated the commit.
    pub disk: Duration,
    /// From the commit at this node until the program could take it.
    pub apply: Duration,
    /// Until the next frame took it.
    pub frame: Duration,
}

impl LatencyBreakdown {
    /// Total latency.
    pub fn total(&self) -> Duration {
        let LatencyBreakdown {
            queue,
            network,
            disk,
            apply,
            frame,
        } = *self;
        queue + network + disk + apply + frame
    }

    /// Parts in order, in milliseconds.
    pub fn millis(&self) -> [f64; 5] {
        let LatencyBreakdown {
            queue,
            network,
            disk,
            apply,
            frame,
        } = *self;
        [queue, network, disk, apply, frame].map(|part| part.as_secs_f64() * 1e3)
    }
}

impl Timestamps {
    pub(super) fn of(nodes: usize) -> Self {
        Timestamps((0..nodes).map(|_| Arc::default()).collect())
    }

    /// Trace of the node at `place`, timed by `now`.
    pub(super) fn trace(&self, place: usize, now: impl Fn() -> Instant + Send + 'static) -> Trace {
        let node = Arc::clone(&self.0[place]);
        Trace::to(move |step| lock(&node).record(step, now()))
    }

    /// Time of each write with entries, in milliseconds.
    pub(super) fn writes_ms(&self) -> Vec<f64> {
        let of = |node: &Arc<Mutex<Node>>| lock(node).writes.clone();
        self.0
            .iter()
            .flat_map(of)
            .map(|write| write.as_secs_f64() * 1e3)
            .collect()
    }

    /// Breakdown of order `number`, clicked and displayed at the node at `place`. Time that cannot
    /// be attributed, because of a leader change, counts as network.
    pub(super) fn parts(
        &self,
        number: u64,
        place: usize,
        clicked: Instant,
        seen: Instant,
    ) -> LatencyBreakdown {
        let origin = lock(&self.0[place]);
        let took = origin
            .took
            .get(&number)
            .copied()
            .unwrap_or(clicked)
            .clamp(clicked, seen);
        let index = origin.places.get(&number).copied();
        let at = |moment: Option<Instant>, from: Instant| moment.unwrap_or(seen).clamp(from, seen);
        let committed = at(
            index.and_then(|index| origin.committed.get(&index).copied()),
            took,
        );
        let delivered = at(index.and_then(|index| origin.delivered(index)), committed);
        drop(origin);
        let way = committed - took;
        let disk = index
            .and_then(|index| self.disk(index))
            .unwrap_or_default()
            .min(way);
        LatencyBreakdown {
            queue: took - clicked,
            network: way - disk,
            disk,
            apply: delivered - committed,
            frame: seen - delivered,
        }
    }

    /// Time that the commit of an entry waited for a disk: the last reply of the majority was that
    /// of the leader's own disk, or of a follower with a write between two messages.
    fn disk(&self, index: Index) -> Option<Duration> {
        let nodes: Vec<_> = self.0.iter().map(|node| lock(node)).collect();
        let writing = |place: usize| nodes[place].writing.get(&index).copied();
        // A leader writes an entry before any other node can have received it.
        let leader = (0..nodes.len())
            .filter(|place| writing(*place).is_some())
            .min_by_key(|place| writing(*place))?;
        let mut answers: Vec<(Instant, usize)> = (0..nodes.len())
            .filter_map(|place| {
                let own = || nodes[leader].written.get(&index).copied();
                let answer = if place == leader {
                    own()
                } else {
                    nodes[leader].heard_of(place, index)
                };
                Some((answer?, place))
            })
            .collect();
        answers.sort_unstable();
        let (_, last) = *answers.get(nodes.len() / 2)?;
        Some(
            nodes[last]
                .written
                .get(&index)?
                .saturating_duration_since(writing(last)?),
        )
    }
}

fn lock(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    fn record(&mut self, step: TraceEvent<'_>, now: Instant) {
        match step {
            TraceEvent::Proposed(commands) => {
                for command in commands {
                    // A repeated proposal keeps the time of the first.
                    self.took.entry(command.sequence).or_insert(now);
                }
            }
            TraceEvent::Received(from, message) => {
                if let Body::AppendReply(reply) = &message.body
                    && let AppendResult::Matched { up_to } = reply.result
                {
                    let acknowledged = self.acknowledged.entry(from).or_default();
                    // Replies without progress do not complete a majority.
                    if acknowledged.last().is_none_or(|(last, _)| *last < up_to) {
                        acknowledged.push((up_to, now));
                    }
                }
            }
            TraceEvent::Writing(write) => {
                if let (Some(first), Some(last)) = (write.entries.first(), write.entries.last()) {
                    self.under_way
                        .insert(write.number, (first.index, last.index));
                    for entry in &write.entries {
                        self.writing.entry(entry.index).or_insert(now);
                    }
                }
            }
            TraceEvent::Written(number) => {
                if let Some((first, last)) = self.under_way.remove(&number) {
                    for index in (first.0..=last.0).map(Index) {
                        self.written.entry(index).or_insert(now);
                    }
                    self.writes.extend(
                        self.writing
                            .get(&last)
                            .map(|began| now.saturating_duration_since(*began)),
                    );
                }
            }
            TraceEvent::Committed(entries) => {
                for entry in entries {
                    self.committed.entry(entry.index).or_insert(now);
                    if let Payload::Command { command, .. } = &entry.payload {
                        self.places.entry(command.sequence).or_insert(entry.index);
                    }
                }
            }
            TraceEvent::Delivered(index) => self.delivered.push((index, now)),
        }
    }

    fn delivered(&self, index: Index) -> Option<Instant> {
        let place = self.delivered.partition_point(|(up_to, _)| *up_to < index);
        self.delivered.get(place).map(|(_, moment)| *moment)
    }

    fn heard_of(&self, place: usize, index: Index) -> Option<Instant> {
        let acknowledged = self.acknowledged.get(&NodeId(place as u64 + 1))?;
        acknowledged
            .get(acknowledged.partition_point(|(up_to, _)| *up_to < index))
            .map(|(_, moment)| *moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::{
        AppendReply, Bytes, ClientId, Command, Entry, Incarnation, Message, Stamp, Term, Write,
    };

    /// An order at a follower of three: forwarded, written by all, acknowledged by the other
    /// follower first.
    #[test]
    fn breakdown_follows_the_path_that_gated_the_commit() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let command = Command {
            client: ClientId(1),
            sequence: 7,
            bytes: Bytes::from(b"x".as_slice()),
        };
        let payload = Payload::Command {
            command: command.clone(),
            member: NodeId(1),
        };
        let entry = Entry {
            term: Term(1),
            index: Index(3),
            stamp: Stamp(0),
            payload,
        };
        let write = Write {
            number: WriteNumber(1),
            hard_state: None,
            snapshot: None,
            start: None,
            discard: false,
            incarnation: None,
            founding: None,
            entries: vec![entry.clone()],
        };
        let matched = AppendResult::Matched { up_to: Index(3) };
        let body = Body::AppendReply(AppendReply {
            probe: None,
            result: matched,
            state: None,
        });
        let answer = Message {
            term: Term(1),
            sender: Incarnation(0),
            receiver: Incarnation(0),
            body,
        };
        let moments = Timestamps::of(3);
        let record =
            |place: usize, step: TraceEvent<'_>, at| lock(&moments.0[place]).record(step, ms(at));
        record(1, TraceEvent::Proposed(std::slice::from_ref(&command)), 2);
        for (place, writing, written) in [(0, 12, 17), (1, 22, 40), (2, 22, 26)] {
            record(place, TraceEvent::Writing(&write), writing);
            record(place, TraceEvent::Written(WriteNumber(1)), written);
        }
        record(0, TraceEvent::Received(NodeId(3), &answer), 36);
        record(0, TraceEvent::Received(NodeId(2), &answer), 50);
        record(1, TraceEvent::Committed(std::slice::from_ref(&entry)), 46);
        record(1, TraceEvent::Delivered(Index(3)), 47);
        let parts = moments.parts(7, 1, ms(0), ms(60));
        assert_eq!(parts.millis(), [2.0, 40.0, 4.0, 1.0, 13.0]);
        assert_eq!(parts.total(), Duration::from_millis(60));
        assert_eq!(moments.writes_ms(), [5.0, 18.0, 4.0]);

        let lost = moments.parts(8, 1, ms(0), ms(60));
        assert_eq!(
            (lost.total(), lost.disk),
            (Duration::from_millis(60), Duration::ZERO),
            "an unknown path must add up too"
        );
    }
}
