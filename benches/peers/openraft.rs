//! openraft as it is meant to be used: its own runtime, and many clients that each wait for one
//! reply.
//!
//! This module holds the parts its two versions share: a log in memory, the applied commands, and
//! the clients. Their networks are function calls, their timers are off, they take no snapshots,
//! and no subscriber receives their traces.

pub(crate) mod v0_10;
pub(crate) mod v0_9;

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::workload::{Cell, Commands, Outcome, Tally};

/// Threads of the runtime that nodes and clients share.
const WORKERS: usize = 2;
/// Polling interval for the last follower to apply everything.
const LOOK: Duration = Duration::from_micros(20);
/// Timeout after which a follower counts as stuck and the run fails.
const STUCK: Duration = Duration::from_secs(10);
/// Limit of entries per message: the default of 300 would cap the gain from many clients.
const MESSAGE_ENTRIES: u64 = 4096;
/// Heartbeat interval, longer than any run: openraft uses it as the timeout of a message.
const NEVER_MILLIS: u64 = 600_000;

/// A command, in messages and logs. All nodes share one copy of its bytes, as in the other systems.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Order(Arc<[u8]>);

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Log and vote of one node, shared with its readers. The log starts at entry 0 and is never
/// compacted.
struct MemoryLog<E, V>(Arc<Mutex<(Vec<E>, Option<V>)>>);

impl<E, V> Clone for MemoryLog<E, V> {
    fn clone(&self) -> Self {
        MemoryLog(Arc::clone(&self.0))
    }
}

impl<E: Clone, V: Clone> MemoryLog<E, V> {
    fn new() -> Self {
        MemoryLog(Arc::new(Mutex::new((Vec::new(), None))))
    }

    fn inner(&self) -> MutexGuard<'_, (Vec<E>, Option<V>)> {
        self.0
            .lock()
            .expect("no thread panics while it holds the log")
    }

    fn append(&self, entries: impl IntoIterator<Item = E>) {
        self.inner().0.extend(entries);
    }

    /// Keeps the first `count` entries.
    fn truncate(&self, count: u64) {
        self.inner().0.truncate(count as usize);
    }

    fn read(&self, range: impl RangeBounds<u64>) -> Vec<E> {
        let entries = &self.inner().0;
        let start = match range.start_bound() {
            Bound::Included(first) => *first as usize,
            Bound::Excluded(before) => *before as usize + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => *last as usize + 1,
            Bound::Excluded(end) => *end as usize,
            Bound::Unbounded => entries.len(),
        };
        entries[start.min(entries.len())..end.min(entries.len())].to_vec()
    }

    fn last(&self) -> Option<E> {
        self.inner().0.last().cloned()
    }

    fn vote(&self) -> Option<V> {
        self.inner().1.clone()
    }

    fn set_vote(&self, vote: &V) {
        self.inner().1 = Some(vote.clone());
    }
}

/// Tally of one node's applied commands, shared with the waiting benchmark.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<Tally>>);

impl Board {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0
            .lock()
            .expect("no thread panics while it holds the tally")
    }

    fn apply(&self, order: &Order) {
        self.tally().apply(&order.0);
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Lets `cell.load` clients propose `commands` commands in total, each one at a time, and waits
/// until every node has applied all of them. Must not run on a worker thread of the runtime.
async fn measured<P, F>(cell: Cell, commands: u64, boards: &[Board], propose: P) -> Outcome
where
    P: Fn(Order) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let each = commands / cell.load as u64;
    let start = Instant::now();
    let client = |client: u64| {
        let propose = propose.clone();
        tokio::spawn(async move {
            let mut maker = Commands::new(cell.bytes);
            for number in client * each..(client + 1) * each {
                propose(Order(maker.numbered(number).into())).await;
            }
        })
    };
    let clients: Vec<_> = (0..cell.load as u64).map(client).collect();
    for client in clients {
        client.await.expect("a client ends after its replies");
    }
    let answered = Instant::now();
    for board in boards {
        while board.tally().applied < commands {
            assert!(
                answered.elapsed() < STUCK,
                "a node has applied only {} of {commands}",
                board.tally().applied
            );
            std::thread::sleep(LOOK);
        }
    }
    Outcome {
        took: start.elapsed(),
        tallies: boards.iter().map(|board| *board.tally()).collect(),
    }
}
