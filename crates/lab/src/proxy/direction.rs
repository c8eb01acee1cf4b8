//! Task of one direction: receives datagrams, applies the shape, and forwards them when they are
//! due.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::Set;
use super::counters::count;
use super::shape::{Rng, Shape};

/// Maximum number of datagrams of one direction in flight: at 1,452 bytes each about 6 MB, and at
/// 1,000 datagrams per second four seconds of delay. At the bound the newest is dropped and
/// counted, as in a full router.
pub const UNDER_WAY: usize = 4096;

/// Maximum size of a datagram.
const LARGEST: usize = 65_536;

/// One direction, before it runs.
pub(super) struct Direction {
    /// Accepted sender; datagrams from others count as strangers.
    pub(super) sender: SocketAddr,
    pub(super) receiver: SocketAddr,
    pub(super) ways: [Way; 2],
    pub(super) set: Arc<Set>,
    pub(super) seed: u64,
    pub(super) stream: u64,
}

/// Sockets at which datagrams arrive and leave.
pub(super) struct Way {
    pub(super) into: std::net::UdpSocket,
    pub(super) out: std::net::UdpSocket,
}

/// Datagrams in flight.
struct Queue {
    set: Arc<Set>,
    rng: Rng,
    /// Queued datagrams, by due time and a sequence number that keeps their order.
    envelopes: BTreeMap<(Instant, u64), Envelope>,
    numbered: u64,
    /// Due time of the last datagram that was not late; no later one overtakes it.
    last_due: Instant,
    /// Time at which the rate limit will have passed all accepted datagrams.
    passed: Instant,
}

struct Envelope {
    way: usize,
    bytes: Vec<u8>,
}

impl Direction {
    /// Forwards datagrams until the task is dropped.
    pub(super) async fn carry(self) {
        let Direction {
            sender,
            receiver,
            ways,
            set,
            seed,
            stream,
        } = self;
        let [called, answered] = ways;
        let opened =
            [called.into, called.out, answered.into, answered.out].map(UdpSocket::from_std);
        let [
            Ok(called_in),
            Ok(called_out),
            Ok(answered_in),
            Ok(answered_out),
        ] = opened
        else {
            return;
        };
        let outs = [called_out, answered_out];
        let mut one = vec![0; LARGEST];
        let mut two = vec![0; LARGEST];
        let mut queue = Queue::new(set, Rng::new(seed, stream), Instant::now());
        loop {
            // Send due datagrams before any sleep: a timer would delay them to its next tick.
            while let Some(Envelope { way, bytes }) = queue.take(Instant::now()) {
                // The receiver's socket may be gone, which loopback networks report at once.
                let _gone = outs[way].send_to(&bytes, receiver).await.is_err();
            }
            let due = queue.next_due();
            let (way, got, buffer) = tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => continue,
                got = called_in.recv_from(&mut one) => (0, got, &one),
                got = answered_in.recv_from(&mut two) => (1, got, &two),
            };
            match got {
                Ok((length, from)) if from == sender => {
                    queue.put(way, &buffer[..length], Instant::now())
                }
                Ok(_) => count(&queue.set.counters.unknown_senders),
                // Some systems report here that an earlier datagram was undeliverable. The next
                // call waits for a datagram.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

impl Queue {
    fn new(set: Arc<Set>, rng: Rng, now: Instant) -> Self {
        Queue {
            set,
            rng,
            envelopes: BTreeMap::new(),
            numbered: 0,
            last_due: now,
            passed: now,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.envelopes.first_key_value().map(|((due, _), _)| *due)
    }

    /// Processes a received datagram.
    fn put(&mut self, way: usize, datagram: &[u8], now: Instant) {
        let (shape, cut) = {
            let now = self.set.lock();
            (now.shape, now.cut)
        };
        let set = Arc::clone(&self.set);
        let counters = &set.counters;
        // Drawn even during a cut, so that each datagram takes the same number of draws.
        let fate = self.rng.fate(&shape);
        if cut {
            count(&counters.cut);
        } else if fate.lost {
            count(&counters.lost);
        } else if let Some(passed) = self.pass(&shape, datagram.len(), now) {
            let bytes = datagram.to_vec();
            let mut due = (passed + fate.delay).max(self.last_due);
            if fate.late {
                count(&counters.late);
                due += shape.late.by;
            } else {
                self.last_due = due;
            }
            if fate.duplicated {
                count(&counters.duplicated);
                self.keep(
                    due,
                    Envelope {
                        way,
                        bytes: bytes.clone(),
                    },
                );
            }
            self.keep(due, Envelope { way, bytes });
        } else {
            count(&counters.dropped);
        }
        // Counted last: a reader of this count can rely on all others.
        count(&counters.received);
    }

    /// Time at which the rate limit lets a datagram pass; `None` if its queue is full.
    fn pass(&mut self, shape: &Shape, length: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = shape.rate else {
            return Some(now);
        };
        let begins = self.passed.max(now);
        let waiting = begins.saturating_duration_since(now).as_secs_f64() * rate as f64;
        // A datagram larger than the queue still passes if nothing waits.
        if waiting + length as f64 > shape.queue.max(length as u64) as f64 {
            return None;
        }
        self.passed = begins + Duration::from_secs_f64(length as f64 / rate as f64);
        Some(self.passed)
    }

    fn keep(&mut self, due: Instant, envelope: Envelope) {
        if self.envelopes.len() >= UNDER_WAY {
            return count(&self.set.counters.dropped);
        }
        self.numbered += 1;
        self.envelopes.insert((due, self.numbered), envelope);
    }

    /// Removes the next datagram that is due and not cut.
    fn take(&mut self, now: Instant) -> Option<Envelope> {
        while let Some(first) = self
            .envelopes
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let envelope = first.remove();
            // A cut also drops datagrams in flight.
            if self.set.lock().cut {
                count(&self.set.counters.cut);
            } else {
                count(&self.set.counters.forwarded);
                return Some(envelope);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::Now;
    use super::super::counters::{Counters, Counts};
    use super::super::shape::{Delay, Late};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn queue(shape: Shape) -> (Queue, Instant) {
        let (now, start) = (Mutex::new(Now { shape, cut: false }), Instant::now());
        let set = Arc::new(Set {
            now,
            counters: Counters::default(),
        });
        (Queue::new(set, Rng::new(1, 0), start), start)
    }

    /// Drains the queue in order of departure, with due times.
    fn drained(mut queue: Queue, start: Instant) -> (Vec<(Duration, Vec<u8>)>, Counts) {
        let mut left = Vec::new();
        while let Some(due) = queue.next_due() {
            let taken = queue
                .take(due)
                .map(|envelope| (due - start, envelope.bytes));
            left.extend(taken);
        }
        (left, queue.set.counters.now())
    }

    #[test]
    fn rate_limit_serializes_datagrams_and_bounds_its_queue() {
        let (mut queue, start) = queue(Shape {
            rate: Some(1_000),
            queue: 300,
            ..Shape::default()
        });
        (0..5).for_each(|number| queue.put(0, &[number; 100], start));
        let (left, counts) = drained(queue, start);
        assert_eq!(
            left.iter().map(|(due, _)| *due).collect::<Vec<_>>(),
            [100 * MS, 200 * MS, 300 * MS]
        );
        assert_eq!(
            (counts.received, counts.forwarded, counts.dropped),
            (5, 3, 2)
        );
    }

    #[test]
    fn varying_delay_keeps_order_except_for_late_datagrams() {
        let (mut varied, start) = queue(Shape {
            delay: Delay::Uniform(MS, 50 * MS),
            ..Shape::default()
        });
        (0..100).for_each(|number| varied.put(0, &[number], start + MS * u32::from(number)));
        let (left, _) = drained(varied, start);
        assert!(left.iter().map(|(_, bytes)| bytes[0]).eq(0..100));

        let late = Late {
            share: 0.2,
            by: 10 * MS,
        };
        let (mut mixed, start) = queue(Shape {
            late,
            ..Shape::default()
        });
        (0..100).for_each(|number| mixed.put(0, &[number], start + MS * u32::from(number)));
        let (left, counts) = drained(mixed, start);
        assert!((5..40).contains(&counts.late), "{counts:?}");
        assert!(!left.iter().map(|(_, bytes)| bytes[0]).is_sorted());
    }

    #[test]
    fn full_queue_drops_the_newest_and_a_cut_drops_all() {
        let (mut queue, start) = queue(Shape {
            delay: Delay::Fixed(MS),
            ..Shape::default()
        });
        (0..UNDER_WAY + 3).for_each(|_| queue.put(0, b"x", start));
        let counts = queue.set.counters.now();
        assert_eq!((counts.received, counts.dropped), (UNDER_WAY as u64 + 3, 3));
        queue.set.lock().cut = true;
        assert!(queue.take(start + 2 * MS).is_none());
        assert_eq!(queue.set.counters.now().cut, UNDER_WAY as u64);
    }
}
