//! What is about to happen in a cluster: messages on their way, and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use raftian_raft::Moment;

/// Most messages on their way at once, which are some 200 MB. Ten thousand nodes with delays have
/// hundreds of candidates before the first request arrives, each with a message to everybody.
/// Beyond the bound messages are lost like any others.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// What happens next.
#[derive(Debug)]
pub enum Next<Message> {
    /// A message arrives: a message, or whatever else was put in to be given back at its time.
    Delivery(Message),
    /// A node looks at its timers.
    Wake(u32),
}

/// In order of time, and at one time in the order in which it was put in: so equal timers go off
/// before any message that one of them sends arrives.
#[derive(Debug)]
pub struct EventQueue<Message> {
    heap: BinaryHeap<Reverse<(Moment, u64, What)>>,
    count: u64,
    /// Letters under way by their places; the heap holds places alone, because it moves what it
    /// holds.
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
    /// Puts a message in. False if it is lost, because too many are under way.
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

    /// Lets a node look at its timers at that time.
    pub fn wake(&mut self, at: Moment, node: u32) {
        self.push(at, What::Wake(node));
    }

    fn push(&mut self, at: Moment, what: What) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, what)));
    }

    /// Takes out what happens next, if it does until `limit`.
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
                        .expect("a place is in the heap while it is filled"),
                )
            }
        };
        Some((at, next))
    }
}
