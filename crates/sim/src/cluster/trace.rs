//! Readable log of events; its last lines are printed with every failure.

use std::collections::VecDeque;
use std::fmt;

use raftian_raft::{Event, Moment, NodeId};

use super::links::Envelope;

/// A bounded list of events; the oldest lines are dropped first.
#[derive(Debug)]
pub(crate) struct Trace {
    bound: usize,
    lines: VecDeque<(Moment, Line)>,
}

/// One line, formatted only when it is printed.
#[derive(Debug)]
pub(crate) enum Line {
    Delivered(Envelope),
    Lost(Envelope),
    Decided(NodeId, Event),
    Did(NodeId, &'static str),
    Links(&'static str, Option<(NodeId, NodeId)>),
}

impl Trace {
    pub(crate) fn new(bound: usize) -> Self {
        Trace {
            bound,
            lines: VecDeque::new(),
        }
    }

    /// Returns whether lines are kept; if not, callers need not create them.
    pub(crate) fn is_kept(&self) -> bool {
        self.bound > 0
    }

    pub(crate) fn push(&mut self, at: Moment, line: Line) {
        if self.bound == 0 {
            return;
        }
        if self.lines.len() >= self.bound {
            self.lines.pop_front();
        }
        self.lines.push_back((at, line));
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in &self.lines {
            writeln!(f, "{:>10.3} ms  {line}", at.0 as f64 / 1000.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Delivered(envelope) => write!(f, "{envelope}"),
            Line::Lost(envelope) => write!(f, "{envelope} (lost)"),
            Line::Decided(id, event) => write!(f, "{id} {} {}", event.term, event.decision),
            Line::Did(id, what) => write!(f, "{id} {what}"),
            Line::Links(what, Some((from, to))) => write!(f, "{what} {from}->{to}"),
            Line::Links(what, None) => f.write_str(what),
        }
    }
}
