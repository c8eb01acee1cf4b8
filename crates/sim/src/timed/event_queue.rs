//! Event queue of a timed simulation: messages in flight and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use raftian_raft::Moment;

/// Maximum number of messages in flight, some 200 MB. With delays, a cluster of ten thousand nodes
/// has hundreds of candidates before the first request arrives, each with a message to every node.
/// Beyond the bound a message is lost, as on any lossy link.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// Next event.
#[derive(Debug)]
pub enum Next<Message> {
    /// A message arrives, or any other value that [`EventQueue::send`] scheduled.
    Delivery(Message),
    /// A node checks its timers.
    Wake(u32),
}

/// Events ordered by time, and at equal times by insertion: timers that are due together all fire
/// before any message that one of them sends arrives.
#[derive(Debug)]
pub struct EventQueue<Message> {
    heap: BinaryHeap<Reverse<(Moment, u64, What)>>,
    count: u64,
    /// Messages in flight, by slot. The heap stores only slots because it moves its elements.
    messages: Vec<Option<Message>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Message(u32),
    Wake(u32),
}

impl<Message> Default for EventQueue<Message> {
    fn default() -> Self {
        EventQueue {
            heap: BinaryHeap::new(),
            count: 0,
            messages: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<Message> EventQueue<Message> {
    /// Schedules a message. Returns false if it is lost because too many are in flight.
    pub fn send(&mut self, at: Moment, message: Message) -> bool {
        let place = match self.free.pop() {
            Some(place) => {
                self.messages[place as usize] = Some(message);
                place
            }
            None if self.messages.len() >= MAX_IN_FLIGHT => return false,
            None => {
                self.messages.push(Some(message));
                self.messages.len() as u32 - 1
            }
        };
        self.push(at, What::Message(place));
        true
    }

    /// Schedules a check of the node's timers at `at`.
    pub fn wake(&mut self, at: Moment, node: u32) {
        self.push(at, What::Wake(node));
    }

    fn push(&mut self, at: Moment, what: What) {
        // The count breaks ties, so that simultaneous events keep their order of insertion.
        self.count += 1;
        self.heap.push(Reverse((at, self.count, what)));
    }

    /// Removes and returns the next event, if it is due at `limit` or earlier.
    pub fn next_until(&mut self, limit: Moment) -> Option<(Moment, Next<Message>)> {
        let first = self.heap.peek_mut().filter(|first| first.0.0 <= limit)?;
        let Reverse((at, _, what)) = PeekMut::pop(first);
        let next = match what {
            What::Wake(node) => Next::Wake(node),
            What::Message(place) => {
                self.free.push(place);
                Next::Delivery(
                    self.messages[place as usize]
                        .take()
                        .expect("the heap holds only occupied slots"),
                )
            }
        };
        Some((at, next))
    }
}
