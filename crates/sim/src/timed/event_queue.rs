//! Event queue of a timeline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use raftian_raft::Moment;

/// Maximum number of scheduled events, some 200 MB of messages. With delays, a cluster of ten
/// thousand nodes has hundreds of candidates before the first request arrives, each with a message
/// to every node. Beyond the bound an event is lost, as a message on any lossy link.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// Item of an [`EventQueue`].
#[derive(Debug)]
pub(super) enum Scheduled<Event> {
    /// A message, or another value.
    Event(Event),
    /// Wake-up of a node.
    Wake(u32),
}

/// Events ordered by time, and at equal times by insertion: timers that are due together all fire
/// before any message that one of them sends arrives.
#[derive(Debug)]
pub(super) struct EventQueue<Event> {
    heap: BinaryHeap<Reverse<(Moment, u64, What)>>,
    count: u64,
    /// Events by slot. The heap stores only slots because it moves its elements.
    events: Vec<Option<Event>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Event(u32),
    Wake(u32),
}

impl<Event> Default for EventQueue<Event> {
    fn default() -> Self {
        EventQueue {
            heap: BinaryHeap::new(),
            count: 0,
            events: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<Event> EventQueue<Event> {
    /// Schedules an event. Returns false if it is lost because too many are scheduled.
    pub(super) fn schedule(&mut self, at: Moment, event: Event) -> bool {
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place as usize] = Some(event);
                place
            }
            None if self.events.len() >= MAX_IN_FLIGHT => return false,
            None => {
                self.events.push(Some(event));
                self.events.len() as u32 - 1
            }
        };
        self.push(at, What::Event(place));
        true
    }

    /// Schedules a check of the node's timers at `at`.
    pub(super) fn wake(&mut self, at: Moment, node: u32) {
        self.push(at, What::Wake(node));
    }

    fn push(&mut self, at: Moment, what: What) {
        // The count breaks ties, so that simultaneous events keep their order of insertion.
        self.count += 1;
        self.heap.push(Reverse((at, self.count, what)));
    }

    /// Removes and returns the next event, if it is due at `limit` or earlier.
    pub(super) fn next_until(&mut self, limit: Moment) -> Option<(Moment, Scheduled<Event>)> {
        let first = self.heap.peek_mut().filter(|first| first.0.0 <= limit)?;
        let Reverse((at, _, what)) = PeekMut::pop(first);
        let next = match what {
            What::Wake(node) => Scheduled::Wake(node),
            What::Event(place) => {
                self.free.push(place);
                Scheduled::Event(
                    self.events[place as usize]
                        .take()
                        .expect("the heap holds only occupied slots"),
                )
            }
        };
        Some((at, next))
    }
}
