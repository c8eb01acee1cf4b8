//! Moments of a node, told as they happen, for whoever measures where time goes.

use std::fmt;

use raftian_raft::{Command, Entry, Index, Message, NodeId, Write, WriteNumber};

/// One moment of a node.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// It took these commands from its program, and gives them to the core now.
    Took(&'a [Command]),
    /// It took this message of another node from its links, and gives it to the core now.
    Received(NodeId, &'a Message),
    /// It gives this write to its disk now. Messages that do not stand on it were handed to the links just before.
    Writing(&'a Write),
    /// It learned that this write is durable.
    Written(WriteNumber),
    /// The core let go of these entries, which are committed.
    Committed(&'a [Entry]),
    /// Everything up to this index goes where the program takes it. Only told by a node on a thread of its own.
    HandedOut(Index),
}

/// Whom a node tells its moments; nobody by default. It is called on the node's thread, reads its own clock, and must not
/// block.
#[derive(Default)]
pub struct Trace(Option<Box<Tracer>>);

type Tracer = dyn FnMut(Step<'_>) + Send;

impl Trace {
    /// Tells `tracer`.
    #[must_use]
    pub fn to(tracer: impl FnMut(Step<'_>) + Send + 'static) -> Self {
        Trace(Some(Box::new(tracer)))
    }

    /// Tells of one moment.
    pub(crate) fn tell(&mut self, step: Step<'_>) {
        if let Some(tracer) = &mut self.0 {
            tracer(step);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Trace" } else { "no trace" })
    }
}
