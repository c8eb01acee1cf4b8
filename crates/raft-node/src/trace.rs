//! Trace events of a node, emitted as they happen, for latency measurements.

use std::fmt;

use raftian_raft::{Command, Entry, Index, Message, NodeId, Write, WriteNumber};

/// One trace event of a node.
#[derive(Clone, Copy, Debug)]
pub enum TraceEvent<'a> {
    /// The node took these commands from its program and is about to give them to the core.
    Proposed(&'a [Command]),
    /// The node took this message from its links and is about to give it to the core.
    Received(NodeId, &'a Message),
    /// The node is about to submit this write to its disk. Messages that do not depend on it were
    /// sent just before.
    Writing(&'a Write),
    /// The disk reported this write as durable.
    Written(WriteNumber),
    /// The core delivered these committed entries.
    Committed(&'a [Entry]),
    /// Everything up to this index is available to the program. Emitted only by a node on its own
    /// thread.
    Delivered(Index),
}

/// Timing callback; none by default. It runs on the node's thread, reads its own clock, and must
/// not block.
#[derive(Default)]
pub struct Trace(Option<Box<Tracer>>);

type Tracer = dyn FnMut(TraceEvent<'_>) + Send;

impl Trace {
    /// Creates a trace that calls `tracer`.
    pub fn to(tracer: impl FnMut(TraceEvent<'_>) + Send + 'static) -> Self {
        Trace(Some(Box::new(tracer)))
    }

    /// Emits one event.
    pub(crate) fn emit(&mut self, event: TraceEvent<'_>) {
        // Without a tracer, as in production, an event costs one comparison.
        if let Some(tracer) = &mut self.0 {
            tracer(event);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Trace"
        } else {
            "no trace"
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::driver::Driver;
    use crate::memory_links::MemoryNetwork;
    use crate::store::MemoryStore;
    use raftian_raft::{Bytes, ClientId, Config, Membership, Moment, Restored};

    #[test]
    fn command_is_proposed_written_committed_delivered_in_order() {
        let own = NodeId(1);
        let config = Config::new(own, Membership::new([own]).expect("one"), 7);
        let links = MemoryNetwork::new().links(own);
        let mut driver = Driver::new(
            config,
            Restored::default(),
            MemoryStore::new(),
            links,
            Moment(0),
        )
        .expect("valid config");
        let mut now = Moment(0);
        while driver.node().status().leader.is_none() {
            now = driver.pump(|| now).expect("a memory store never fails");
        }
        driver.deliver(&mut Vec::new());
        let names = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&names);
        driver.set_trace(Trace::to(move |step| {
            let name = match step {
                TraceEvent::Proposed(commands) => format!("proposed {}", commands[0].sequence),
                TraceEvent::Received(..) => "received".to_owned(),
                TraceEvent::Writing(write) => format!("writing {}", write.entries.len()),
                TraceEvent::Written(_) => "written".to_owned(),
                TraceEvent::Committed(entries) => format!("committed {}", entries[0].index.0),
                TraceEvent::Delivered(index) => format!("delivered {}", index.0),
            };
            sink.lock().expect("no panic").push(name);
        }));
        let bytes = Bytes::from(b"x".as_slice());
        driver.propose(vec![Command {
            client: ClientId(1),
            sequence: 9,
            bytes,
        }]);
        driver.pump(|| now).expect("a memory store never fails");
        driver.deliver(&mut Vec::new());
        let names = names.lock().expect("no panic").clone();
        assert_eq!(
            names,
            [
                "proposed 9",
                "writing 1",
                "written",
                "committed 2",
                "delivered 2"
            ]
        );
    }
}
