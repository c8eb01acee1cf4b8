//! What is about to happen in a cluster: letters on their way, and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use raftian_raft::Moment;

/// Most messages on their way at once, which are some 200 MB. Ten thousand nodes with delays have
/// hundreds of candidates before the first request arrives, each with a message to everybody.
/// Beyond the bound messages are lost like any others.
const MOST_UNDER_WAY: usize = 1_000_000;

/// What happens next.
#[derive(Debug)]
pub(crate) enum Next<Letter> {
    /// A letter arrives: a message, or whatever else was put in to be given back at its time.
    Arrives(Letter),
    /// A node looks at its timers.
    Looks(u32),
}

/// In order of time, and at one time in the order in which it was put in: so equal timers go off
/// before any message that one of them sends arrives.
#[derive(Debug)]
pub(crate) struct Queue<Letter> {
    heap: BinaryHeap<Reverse<(Moment, u64, What)>>,
    count: u64,
    /// Letters under way by their places; the heap holds places alone, because it moves what it
    /// holds.
    letters: Vec<Option<Letter>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Letter(u32),
    Looks(u32),
}

impl<Letter> Default for Queue<Letter> {
    fn default() -> Self {
        Queue {
            heap: BinaryHeap::new(),
            count: 0,
            letters: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<Letter> Queue<Letter> {
    /// Puts a letter in. False if it is lost, because too many are under way.
    pub(crate) fn send(&mut self, at: Moment, letter: Letter) -> bool {
        let place = match self.free.pop() {
            Some(place) => {
                self.letters[place as usize] = Some(letter);
                place
            }
            None if self.letters.len() >= MOST_UNDER_WAY => return false,
            None => {
                self.letters.push(Some(letter));
                self.letters.len() as u32 - 1
            }
        };
        self.push(at, What::Letter(place));
        true
    }

    /// Lets a node look at its timers at that time.
    pub(crate) fn look(&mut self, at: Moment, node: u32) {
        self.push(at, What::Looks(node));
    }

    fn push(&mut self, at: Moment, what: What) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, what)));
    }

    /// Takes out what happens next, if it does until `limit`.
    pub(crate) fn next_until(&mut self, limit: Moment) -> Option<(Moment, Next<Letter>)> {
        let first = self.heap.peek_mut().filter(|first| first.0.0 <= limit)?;
        let Reverse((at, _, what)) = PeekMut::pop(first);
        let next = match what {
            What::Looks(node) => Next::Looks(node),
            What::Letter(place) => {
                self.free.push(place);
                Next::Arrives(
                    self.letters[place as usize]
                        .take()
                        .expect("a place is in the heap while it is filled"),
                )
            }
        };
        Some((at, next))
    }
}
