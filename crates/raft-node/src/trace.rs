//! Moments of a node, told as they happen, for whoever measures where time goes.

use std::fmt;

use raftian_raft::{Command, Entry, Index, Message, NodeId, Write, WriteNumber};

/// One moment of a node.
#[derive(Clone, Copy, Debug)]
pub enum TraceEvent<'a> {
    /// It took these commands from its program, and gives them to the core now.
    Proposed(&'a [Command]),
    /// It took this message of another node from its links, and gives it to the core now.
    Received(NodeId, &'a Message),
    /// It gives this write to its disk now. Messages that do not stand on it were handed to the
    /// links just before.
    Writing(&'a Write),
    /// It learned that this write is durable.
    Written(WriteNumber),
    /// The core let go of these entries, which are committed.
    Committed(&'a [Entry]),
    /// Everything up to this index goes where the program takes it. Only told by a node on a thread
    /// of its own.
    Delivered(Index),
}

/// Whom a node tells its moments; nobody by default. It is called on the node's thread, reads its
/// own clock, and must not block.
#[derive(Default)]
pub struct Trace(Option<Box<Tracer>>);

type Tracer = dyn FnMut(TraceEvent<'_>) + Send;

impl Trace {
    /// Tells `tracer`.
    #[must_use]
    pub fn to(tracer: impl FnMut(TraceEvent<'_>) + Send + 'static) -> Self {
        Trace(Some(Box::new(tracer)))
    }

    /// Tells of one moment.
    pub(crate) fn emit(&mut self, event: TraceEvent<'_>) {
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
    fn a_command_is_taken_written_committed_and_handed_out_in_this_order() {
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
        .expect("it can run");
        let mut now = Moment(0);
        while driver.node().status().leader.is_none() {
            now = driver.pump(|| now).expect("memory takes every write");
        }
        driver.hand_out(&mut Vec::new());
        let told = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&told);
        driver.set_trace(Trace::to(move |step| {
            let name = match step {
                TraceEvent::Proposed(commands) => format!("proposed {}", commands[0].sequence),
                TraceEvent::Received(..) => "received".to_owned(),
                TraceEvent::Writing(write) => format!("writing {}", write.entries.len()),
                TraceEvent::Written(_) => "written".to_owned(),
                TraceEvent::Committed(entries) => format!("committed {}", entries[0].index.0),
                TraceEvent::Delivered(index) => format!("delivered {}", index.0),
            };
            ears.lock().expect("nobody panicked").push(name);
        }));
        let bytes = Bytes::from(b"x".as_slice());
        driver.propose(vec![Command {
            client: ClientId(1),
            sequence: 9,
            bytes,
        }]);
        driver.pump(|| now).expect("memory takes every write");
        driver.hand_out(&mut Vec::new());
        let told = told.lock().expect("nobody panicked").clone();
        assert_eq!(
            told,
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
