//! One machine of a match: a node, its state machine, and a player who repeats unanswered orders.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use raftian_node::driver::Committed;
use raftian_node::trace::{Trace, TraceEvent};
use raftian_node::{NodeHandle, NodeView, Replica, Stopped, SubmitError};
use raftian_raft::{ClientId, Command, Decision, Entry, Payload, Responses, TakenSnapshot, Term};

use super::protocol::{ChildCommand, ChildEvent};
use crate::child_process::{self, ProcessError};
use crate::matches::Conditions;
use crate::matches::state::{Applied, State};
use crate::retries::REFUSED_RETRY;

/// Longest interval between checks of the node without a wake-up.
const GLANCE: Duration = Duration::from_millis(20);

/// Capacity of the machine's input queue; when it is full the match waits.
const QUEUE: usize = 1024;

/// Maximum number of committed entries taken at once.
const MAX_TAKEN: usize = 4096;

/// Reasons for waking the machine's program.
enum Wakes {
    /// The node has output.
    Node,
    /// The match sent a command.
    ChildCommand(ChildCommand),
}

/// Program of one machine.
struct Program {
    node: NodeHandle,
    /// Responses of the node that are not handled yet.
    responses: Responses,
    state: State,
    /// Orders without an effect, with the time of the next proposal.
    pending: BTreeMap<(ClientId, u64), Instant>,
    patience: Duration,
    /// Newest reported terms: of its own leadership, and of a leader it followed.
    led: Term,
    followed: Term,
}

/// Runs the node of a file until stdin closes: reads orders there, and reports their outcome on
/// stdout.
///
/// # Errors
/// If the node cannot be started, or has stopped.
pub fn live(file: &Path, conditions: &Conditions, seed: u64) -> Result<(), ProcessError> {
    // Reported on the node's thread, before the program can receive the entry.
    let trace = Trace::to(|step| {
        if let TraceEvent::Committed(entries) = step {
            let committed = entries
                .iter()
                .filter_map(order)
                .map(|(client, sequence)| ChildEvent::Committed(client, sequence));
            // A failed write means that the match is gone, which also closes stdin.
            let _unsent = write_events(committed);
        }
    });
    let node = child_process::start_node(
        file,
        |id, founding| conditions.config(id, founding, seed),
        trace,
    )?;
    let (wake, woken) = sync_channel(QUEUE);
    let waker = wake.clone();
    let waker = move || {
        // A full channel already holds a wake-up.
        let _full = waker.try_send(Wakes::Node);
    };
    node.control().set_waker(Arc::new(waker));
    thread::spawn(move || listen(&wake));
    let pending = BTreeMap::new();
    let patience = conditions.patience.0;
    let mut program = Program {
        node,
        responses: Responses::default(),
        state: State::default(),
        pending,
        patience,
        led: Term(0),
        followed: Term(0),
    };
    program.run(&woken)
}

/// Reads commands until stdin closes, then exits: a machine must not outlive the match.
fn listen(wake: &SyncSender<Wakes>) {
    for command in io::stdin()
        .lock()
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| ChildCommand::read(&line))
    {
        if wake.send(Wakes::ChildCommand(command)).is_err() {
            break;
        }
    }
    std::process::exit(0);
}

/// Writes reports, each a whole line, in order.
fn write_events(lines: impl Iterator<Item = ChildEvent>) -> Result<(), ProcessError> {
    let text: String = lines.map(|event| format!("{event}\n")).collect();
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| ProcessError::Write {
            process: "stdout".to_owned(),
            source,
        })
}

/// Client and sequence number of an entry, if it is a command.
fn order(entry: &Entry) -> Option<(ClientId, u64)> {
    match &entry.payload {
        Payload::Command { command, .. } => Some((command.client, command.sequence)),
        _ => None,
    }
}

impl Program {
    fn run(&mut self, woken: &Receiver<Wakes>) -> Result<(), ProcessError> {
        let mut taken = Vec::new();
        loop {
            let mut events = Vec::new();
            taken.clear();
            self.responses.append(&mut self.node.take_responses());
            self.node.take_committed(MAX_TAKEN, &mut taken);
            taken
                .iter()
                .for_each(|committed| self.apply(committed, &mut events));
            self.snapshot();
            let view = self.node.view();
            self.report_leaders(&view, &mut events);
            if let Some(reason) = view.stopped {
                return Err(reason.into());
            }
            self.retry()?;
            write_events(events.into_iter())?;
            let next = self
                .pending
                .values()
                .min()
                .map(|at| at.saturating_duration_since(Instant::now()));
            match woken.recv_timeout(next.unwrap_or(GLANCE).min(GLANCE)) {
                Ok(Wakes::ChildCommand(ChildCommand::Order(client, sequence))) => {
                    self.pending
                        .insert((client, sequence), Instant::now() + self.patience);
                    self.propose(client, sequence)?;
                }
                Ok(Wakes::ChildCommand(ChildCommand::State)) => {
                    write_events([ChildEvent::State(self.state.words())].into_iter())?
                }
                Ok(Wakes::Node) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn apply(&mut self, committed: &Committed, events: &mut Vec<ChildEvent>) {
        let entry = match committed {
            Committed::Entry(entry) => entry,
            Committed::Snapshot(snapshot) => {
                self.state = State::restore(snapshot.data.as_deref().unwrap_or_default());
                events.push(ChildEvent::Restored(self.state.count, self.state.hash));
                return;
            }
        };
        let (client, sequence) = match self.state.apply(entry, None) {
            Applied::Nothing => return,
            Applied::Repeat(client, sequence) => (client, sequence),
            Applied::Effect(client, sequence) => {
                events.push(ChildEvent::Effect {
                    count: self.state.count,
                    hash: self.state.hash,
                    client,
                    sequence,
                });
                (client, sequence)
            }
        };
        // Repeats count too: the effect may have arrived with a snapshot.
        if self.pending.remove(&(client, sequence)).is_some() {
            events.push(ChildEvent::Done(client, sequence));
        }
    }

    /// A node that is too busy to take a snapshot requests it again.
    fn snapshot(&mut self) {
        if std::mem::take(&mut self.responses.snapshot_due) {
            let taken = TakenSnapshot {
                index: self.state.index,
                data: self.state.save(),
                compact_to: None,
            };
            let _asked_again = self.node.take_snapshot(taken);
        }
    }

    fn report_leaders(&mut self, view: &NodeView, events: &mut Vec<ChildEvent>) {
        for event in &view.events {
            if matches!(event.decision, Decision::WonElection { .. }) && event.term > self.led {
                self.led = event.term;
                let ago = view.now.since(event.at).as_micros() as u64;
                events.push(ChildEvent::Leads {
                    term: event.term.0,
                    ago,
                });
            }
        }
        if view.status.leader.is_some() && view.status.term > self.followed {
            self.followed = view.status.term;
            events.push(ChildEvent::Follows(view.status.term.0));
        }
    }

    /// Proposes every order that is due; refused ones are retried sooner than unanswered ones.
    fn retry(&mut self) -> Result<(), ProcessError> {
        let now = Instant::now();
        for refused in std::mem::take(&mut self.responses.refused) {
            if let Some(again) = self.pending.get_mut(&(refused.client, refused.sequence)) {
                *again = now + REFUSED_RETRY;
            }
        }
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(order, _)| *order)
            .collect();
        for (client, sequence) in due {
            self.pending.insert((client, sequence), now + self.patience);
            self.propose(client, sequence)?;
        }
        Ok(())
    }

    /// A full queue takes the order at the next attempt.
    fn propose(&mut self, client: ClientId, sequence: u64) -> Result<(), ProcessError> {
        // Never read: effects depend only on client and sequence number.
        let bytes: Vec<u8> = [client.0, sequence]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        match self.node.propose(Command {
            client,
            sequence,
            bytes: bytes.into(),
        }) {
            Ok(()) | Err(SubmitError::Busy) => Ok(()),
            Err(SubmitError::Stopped) => {
                Err(self.node.view().stopped.unwrap_or(Stopped::Ended).into())
            }
        }
    }
}
